//! `bgp run`: one execution of a workflow.

use std::fmt::Write as _;
use std::sync::Arc;

use clap::ValueEnum;
use serde_json::{Map, Value};
use service::Config;
use workflows::Raised;

use crate::arguments::{RunOptions, WorkflowName};
use crate::engine::Engine;
use crate::failure::Failure;
use crate::output;
use crate::progress::Progress;

/// What the workflow takes as its argument.
const KNOWN: [&str; 4] = ["partition", "until", "tables", "corrupt"];

/// Runs a workflow and says what came of it.
pub(crate) async fn run(config: &Config, options: &RunOptions) -> Result<(), Failure> {
    let WorkflowName::Daily = options.workflow;
    let argument = argument(options)?;
    let label = argument["partition"].as_str().unwrap_or("newest").to_owned();
    let engine = Engine::start(config).await?;
    let finished = daily(&engine, argument, &label).await;
    engine.stop().await;
    let finished = finished?;
    if options.json { output::json(&finished) } else { output::print(&sentence(&finished)) }
}

/// Runs the daily workflow for one partition with progress, and returns its result with the run's id.
pub(crate) async fn daily(engine: &Engine, argument: Value, label: &str) -> Result<Value, Failure> {
    let progress = Arc::new(Progress::new(label));
    let execution = engine.daily(argument, progress.clone()).await?;
    match execution.outcome {
        Ok(mut result) => {
            progress.finish(result["outcome"].as_str().unwrap_or_default());
            result["run"] = execution.run.into();
            result["steps"] = execution.steps.into();
            for step in ["generate", "extract", "transform", "audit", "publish"] {
                if let Some(seconds) = progress.seconds(step) {
                    result["seconds"][step] = seconds.into();
                }
            }
            Ok(result)
        }
        Err(raised) => {
            progress.finish("failed");
            Err(explain(&raised, label))
        }
    }
}

/// The workflow's argument: `--data`, with the other options written into it.
fn argument(options: &RunOptions) -> Result<Value, Failure> {
    let mut argument = match &options.data {
        None => Map::new(),
        Some(text) => match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(fields)) => fields,
            Ok(_) => return Err(Failure::new("--data takes a JSON object such as '{\"partition\":\"2025-08-01\"}'")),
            Err(error) => return Err(Failure::new(format!("--data is not JSON: {error}"))),
        },
    };
    if let Some(unknown) = argument.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        return Err(Failure::new(format!("--data has the unknown key {unknown:?}; it takes {}", KNOWN.join(", "))));
    }
    if let Some(partition) = &options.partition {
        argument.insert("partition".to_owned(), partition.as_str().into());
    }
    if let Some(until) = options.until.and_then(|until| until.to_possible_value()) {
        argument.insert("until".to_owned(), until.get_name().into());
    }
    if !options.tables.is_empty() {
        argument.insert("tables".to_owned(), options.tables.clone().into());
    }
    Ok(Value::Object(argument))
}

/// What came of a run, in a sentence or two.
fn sentence(result: &Value) -> String {
    let text = |name: &str| output::cell(&result[name]);
    let mut sentence = match result["outcome"].as_str() {
        Some("published") => format!(
            "published cycle {} ({}): {} models built, {} of them in full, {} views",
            text("cycle"),
            text("slot"),
            text("models"),
            text("full"),
            text("views")
        ),
        Some("already_published") => format!("already published: cycle {} ({})", text("cycle"), text("slot")),
        Some("stopped") if result["attempt"].is_string() && !is_audited(result) => format!(
            "stopped after {}: cycle {} was begun in {}; the next run goes on with it",
            text("after"),
            text("cycle"),
            text("slot")
        ),
        Some("stopped") if result["attempt"].is_string() => format!(
            "stopped after {}: cycle {} waits in {}; publish it with: bgp publish {}",
            text("after"),
            text("cycle"),
            text("slot"),
            text("cycle")
        ),
        _ => format!("stopped after {}", text("after")),
    };
    if let Some(held) = result["held"].as_array().filter(|held| !held.is_empty()) {
        let names: Vec<String> = held.iter().map(output::cell).collect();
        let _ = write!(sentence, "\nheld, and left as they were: {}", names.join(", "));
    }
    if let Some(warnings) = result["warnings"].as_array().filter(|warnings| !warnings.is_empty()) {
        for warning in warnings {
            let _ = write!(
                sentence,
                "\nwarning: {} on {}: {}",
                output::cell(&warning["rule"]),
                output::cell(&warning["subject"]),
                output::cell(&warning["detail"])
            );
        }
    }
    sentence
}

/// Whether a run that stopped had its audit behind it.
fn is_audited(result: &Value) -> bool {
    matches!(result["after"].as_str(), Some("audit" | "publish"))
}

/// Why a run failed: the audit's findings with their samples, or the function's own words.
pub(crate) fn explain(raised: &Raised, label: &str) -> Failure {
    let value = innermost(&raised.value);
    let audit = &value["audit"];
    if !audit.is_object() {
        let words = value["body"]["detail"]
            .as_str()
            .or_else(|| value["message"].as_str())
            .or_else(|| value.as_str())
            .map_or_else(|| value.to_string(), str::to_owned);
        return Failure::new(format!("{label}: {words}"));
    }
    let mut text = format!("the audit refused partition {}", output::cell(&audit["partitions"]));
    for finding in audit["findings"].as_array().into_iter().flatten() {
        let _ = write!(
            text,
            "\n  {}: {} on {}: {}",
            output::cell(&finding["status"]),
            output::cell(&finding["rule"]),
            output::cell(&finding["subject"]),
            output::cell(&finding["detail"])
        );
        for row in finding["sample"].as_array().into_iter().flatten() {
            let _ = write!(text, "\n    {row}");
        }
    }
    let live = audit["live_cycle"].as_u64().unwrap_or_default();
    let seen = if live == 0 { "nothing, as before".to_owned() } else { format!("cycle {live}, unchanged") };
    let partition = output::cell(&audit["partitions"]);
    // The run's own partition, if it is among them: a week or month that comes with a day is seldom what is wrong.
    let mut named = partition.split(", ").filter(|name| *name != "all");
    let first = named.clone().find(|name| *name == label).or_else(|| named.next()).unwrap_or(&partition).to_owned();
    let _ = write!(
        text,
        "\nreaders see {seen}. Correct the source and run {first} again, or go on without it: bgp hold {first}"
    );
    Failure::new(text)
}

/// The error of the first branch that failed, where branches ran at once.
fn innermost(value: &Value) -> &Value {
    match &value["branches"][0]["error"]["payload"] {
        Value::Null => value,
        payload => innermost(payload),
    }
}
