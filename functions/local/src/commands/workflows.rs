//! `bgp workflows`: what can be said of workflow files.

use std::path::Path;

use serde_json::json;
use workflows::Workflow;

use crate::arguments::{CheckOptions, WorkflowsCommand, WorkflowsOptions};
use crate::failure::Failure;
use crate::output;

/// The file of a workflow is far below this; Google takes 128 KB.
const LARGEST_FILE: u64 = 1024 * 1024;

pub(crate) fn workflows(options: &WorkflowsOptions) -> Result<(), Failure> {
    match &options.command {
        WorkflowsCommand::Check(options) => check(options),
    }
}

/// Lists what would be refused at the deployment of each file.
fn check(options: &CheckOptions) -> Result<(), Failure> {
    let mut found = Vec::new();
    for file in &options.files {
        let source = read(file)?;
        found.extend(Workflow::check(&source).into_iter().map(|problem| (file, problem)));
    }
    if options.json {
        let problems: Vec<_> = found
            .iter()
            .map(|(file, problem)| {
                json!({"file": file, "line": problem.line, "step": problem.step, "message": problem.message})
            })
            .collect();
        output::json(&json!({"files": options.files.len(), "problems": problems}))?;
    } else {
        for (file, problem) in &found {
            let step = problem.step.as_ref().map(|step| format!("step {step}: ")).unwrap_or_default();
            let line = format!("{}:{}: {step}{}", file.display(), problem.line, problem.message);
            output::print(&service::plain(&line))?;
        }
    }
    match (found.len(), options.files.len()) {
        (0, 1) if !options.json => output::print("1 workflow, nothing to correct"),
        (0, files) if !options.json => output::print(&format!("{files} workflows, nothing to correct")),
        (0, _) => Ok(()),
        (1, _) => Err(Failure::new("1 problem; correct it before you deploy")),
        (problems, _) => Err(Failure::new(format!("{problems} problems; correct them before you deploy"))),
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    let failed = |what: String| Failure::new(format!("can't read {}: {what}; name a workflow file", file.display()));
    let size = std::fs::metadata(file).map_err(|error| failed(error.to_string()))?.len();
    if size > LARGEST_FILE {
        return Err(failed(format!("it has {size} bytes")));
    }
    std::fs::read_to_string(file).map_err(|error| failed(error.to_string()))
}
