//! How executions and workflows look in the API.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::flows::api::{ApiError, Parameters};
use crate::flows::executor::Snapshot;
use crate::flows::record::{Place, State};
use crate::flows::revision;

/// How much of an execution is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// Its name, state and times.
    Basic,
    Full,
}

impl View {
    pub(super) fn of(parameters: &Parameters, default: Self) -> Result<Self, ApiError> {
        match parameters.get("view").map_or("", String::as_str) {
            "" | "EXECUTION_VIEW_UNSPECIFIED" => Ok(default),
            "BASIC" => Ok(Self::Basic),
            "FULL" => Ok(Self::Full),
            other => Err(ApiError::invalid(format!("view is {other:?}; it takes BASIC and FULL"))),
        }
    }
}

/// Under the names by which it was asked for: every project and location has the same executions.
pub(super) fn named(mut snapshot: Snapshot, project: &str, location: &str) -> Snapshot {
    project.clone_into(&mut snapshot.record.project);
    location.clone_into(&mut snapshot.record.location);
    snapshot
}

/// One execution.
pub(crate) fn execution(snapshot: &Snapshot, view: View) -> Value {
    let record = &snapshot.record;
    let name = format!(
        "projects/{}/locations/{}/workflows/{}/executions/{}",
        record.project, record.location, record.workflow, record.id
    );
    let mut shown = json!({
        "name": name,
        "createTime": record.created_at,
        "startTime": record.created_at,
        "state": record.state.as_str(),
        "workflowRevisionId": record.revision,
    });
    let mut add = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            shown[key] = value;
        }
    };
    add("endTime", record.ended_at.map(|at| at.to_string().into()));
    if view == View::Basic {
        return shown;
    }
    let until = record.ended_at.unwrap_or_else(Timestamp::now);
    add("duration", Some(format!("{:.3}s", until.duration_since(record.created_at).as_secs_f64().max(0.0)).into()));
    add("argument", Some(record.argument.as_str()).filter(|argument| *argument != "null").map(Value::from));
    add("result", record.result.clone().map(Value::from));
    add("labels", Some(json!(record.labels)).filter(|labels| *labels != json!({})));
    add("callLogLevel", record.call_log_level.clone().map(Value::from));
    add("executionHistoryLevel", record.execution_history_level.clone().map(Value::from));
    add(
        "error",
        record.error.as_ref().map(|error| {
            json!({
                "payload": error.payload,
                "context": error.context,
                "stackTrace": {"elements": error.trail.iter().map(element).collect::<Vec<_>>()},
            })
        }),
    );
    add(
        "status",
        snapshot
            .step
            .as_ref()
            .filter(|_| record.state == State::Active)
            .map(|(routine, step)| json!({"currentSteps": [{"routine": routine, "step": step}]})),
    );
    shown
}

fn element(place: &Place) -> Value {
    json!({"routine": place.routine, "step": place.step, "position": {"line": place.line.to_string()}})
}

/// One workflow.
pub(super) fn workflow(project: &str, location: &str, name: &str, source: &str) -> Value {
    // The leading comment of a file says what it does.
    let description = source.lines().next().and_then(|line| line.strip_prefix("# ")).unwrap_or_default();
    json!({
        "name": format!("projects/{project}/locations/{location}/workflows/{name}"),
        "description": description,
        "state": "ACTIVE",
        "revisionId": revision(name),
        "callLogLevel": "LOG_ERRORS_ONLY",
        "sourceContents": source,
    })
}

pub(super) fn location(project: &str, location: &str) -> Value {
    json!({"name": format!("projects/{project}/locations/{location}"), "locationId": location})
}
