//! The workflows of this pipeline, run by the interpreter against functions on this machine.

pub(crate) mod api;
pub(crate) mod executor;
pub(crate) mod record;
pub(crate) mod schedule;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use serde_json::Value;
use service::Access;
use tracing::field::Empty;
use tracing::{Instrument, info_span};
use workflows::{
    ExecutionFailure, Executions, Finished, Host, Http, HttpClient, HttpFailure, Observer, Request, Response,
    Unobserved, Workflow,
};

use crate::failure::Failure;

/// Workflow files are part of the program, so that it runs from any folder and runs what it was built with.
pub(crate) const SOURCES: [(&str, &str); 5] = [
    ("backfill", include_str!("../../../../workflows/backfill.yaml")),
    ("cleanup", include_str!("../../../../workflows/cleanup.yaml")),
    ("daily", include_str!("../../../../workflows/daily.yaml")),
    ("initialize", include_str!("../../../../workflows/initialize.yaml")),
    ("rollback", include_str!("../../../../workflows/rollback.yaml")),
];

/// The functions, each by the variable in which workflows look for its address.
const FUNCTIONS: [&str; 6] = ["GENERATE_URL", "EXTRACT_URL", "LOAD_URL", "TRANSFORM_URL", "AUDIT_URL", "PUBLISH_URL"];

/// Every workflow, ready to run.
#[derive(Debug)]
pub(crate) struct Flows {
    workflows: BTreeMap<&'static str, Workflow>,
    http: Arc<HttpClient>,
    /// Where the functions are; known once the server listens.
    address: OnceLock<String>,
}

/// One execution that is to be run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run<'a> {
    pub workflow: &'a str,
    /// The id of the execution, by which functions know a repeated request.
    pub id: &'a str,
    /// How often the execution has been begun, this time included.
    pub attempt: u32,
    pub project: &'a str,
    pub location: &'a str,
}

impl<'a> Run<'a> {
    /// For the first time, and of this machine only.
    pub(crate) fn new(workflow: &'a str, id: &'a str) -> Self {
        Self { workflow, id, attempt: 1, project: "local", location: "local" }
    }
}

impl Flows {
    pub(crate) fn new(access: &Access) -> Result<Arc<Self>, Failure> {
        let mut workflows = BTreeMap::new();
        for (name, source) in SOURCES {
            workflows.insert(name, Workflow::parse(&format!("{name}.yaml"), source)?);
        }
        let http = Arc::new(HttpClient::new()?.with_token(access.token().map(str::to_owned)));
        Ok(Arc::new(Self { workflows, http, address: OnceLock::new() }))
    }

    /// Says where the functions are, such as `http://127.0.0.1:8080`.
    pub(crate) fn serve_from(&self, address: String) {
        // The first server is the one that is asked.
        let _ = self.address.set(address);
    }

    pub(crate) fn knows(&self, workflow: &str) -> bool {
        self.workflows.contains_key(workflow)
    }

    /// Runs a workflow to its end; nothing if there is none of this name.
    pub(crate) async fn run(
        &self,
        run: Run<'_>,
        argument: Value,
        observer: Arc<dyn Observer>,
        executions: Arc<dyn Executions>,
    ) -> Option<Finished> {
        let workflow = self.workflows.get(run.workflow)?;
        let mut host = Host::new(Arc::new(Traced(self.http.clone())));
        host.environment = self.environment(run);
        host.observer = observer;
        host.executions = executions;
        let span = info_span!(target: "trace", parent: None, "execution", otel.name = run.workflow, run = run.id);
        Some(workflow.execute(argument, &host).instrument(span).await)
    }

    /// What Google and Terraform set.
    fn environment(&self, run: Run<'_>) -> BTreeMap<String, String> {
        let address = self.address.get().cloned().unwrap_or_default();
        let google = [
            ("PROJECT_ID", run.project.to_owned()),
            ("PROJECT_NUMBER", "0".to_owned()),
            ("LOCATION", run.location.to_owned()),
            ("WORKFLOW_ID", run.workflow.to_owned()),
            ("WORKFLOW_REVISION_ID", revision(run.workflow)),
            ("WORKFLOW_EXECUTION_ID", run.id.to_owned()),
            ("WORKFLOW_EXECUTION_ATTEMPT", run.attempt.to_string()),
        ];
        let google = google.into_iter().map(|(name, value)| (format!("GOOGLE_CLOUD_{name}"), value));
        google.chain(FUNCTIONS.iter().map(|name| ((*name).to_owned(), address.clone()))).collect()
    }
}

/// Which text of a workflow was run, in the form of Google's revisions.
pub(crate) fn revision(workflow: &str) -> String {
    let source = SOURCES.iter().find(|(name, _)| *name == workflow).map_or("", |(_, source)| source);
    format!("000001-{}", &wap::Digest::of(source).as_str()[..3])
}

/// An id by which executions sort as they were begun.
pub(crate) fn new_execution_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// Makes the calls of an execution in its trace, each in a span of its own that the function is told of.
struct Traced(Arc<HttpClient>);

#[async_trait]
impl Http for Traced {
    async fn send(&self, mut request: Request) -> Result<Response, HttpFailure> {
        // Without its query, for it is in no way sure that this is no secret.
        let path = reqwest::Url::parse(&request.url).map(|url| url.path().to_owned()).unwrap_or_default();
        let span = info_span!(
            target: "trace",
            "call",
            otel.name = format!("{} {path}", request.method),
            otel.kind = "client",
            http.response.status_code = Empty,
        );
        request.headers.extend(service::traceparent(&span).map(|value| ("traceparent".to_owned(), value)));
        let response = self.0.send(request).instrument(span.clone()).await?;
        span.record("http.response.status_code", i64::from(response.code));
        Ok(response)
    }
}

/// Runs what a workflow starts at once, and keeps nothing of it.
#[derive(Debug)]
pub(crate) struct Nested(pub Arc<Flows>);

#[async_trait]
impl Executions for Nested {
    async fn run(&self, workflow: &str, argument: Value) -> Result<Value, ExecutionFailure> {
        let id = new_execution_id();
        let nested = Arc::new(Self(self.0.clone()));
        let finished = self.0.run(Run::new(workflow, &id), argument, Arc::new(Unobserved), nested).await;
        let Some(finished) = finished else {
            return Err(ExecutionFailure::Unknown(format!("there is no workflow {workflow}")));
        };
        finished.outcome.map_err(|raised| {
            ExecutionFailure::Ended(serde_json::json!({
                "name": id,
                "state": "FAILED",
                "error": {"payload": raised.value.to_string(), "context": raised.to_string()},
            }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_served_and_could_be_deployed() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../workflows");
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert_eq!(files.len(), SOURCES.len());
        for (file, (name, source)) in files.iter().zip(SOURCES) {
            assert_eq!(file.file_name().unwrap().to_str().unwrap(), format!("{name}.yaml"));
            assert_eq!(Workflow::check(source), [], "{name}");
        }
    }
}
