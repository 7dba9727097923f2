//! Connectors: the one that starts another workflow, and what to write instead of the others.

use std::time::Duration;

use crate::exception::Exception;
use crate::host::ExecutionFailure;
use crate::library::{Arguments, Blocking, Body, Function};
use crate::value::Value;

const RUN: &str = "googleapis.workflowexecutions.v1.projects.locations.workflows.executions.run";
pub(super) const INSTEAD: &str = "call googleapis.workflowexecutions.v1.projects.locations.workflows.executions.run";

pub(super) const FUNCTIONS: &[Function] = &[Function {
    name: RUN,
    parameters: &["workflow_id", "argument", "location", "project_id", "connector_params"],
    required: 1,
    body: Body::Blocking(Blocking::RunExecution),
}];

/// For how long a connector waits, in seconds, and the most that it can be told to.
const DEFAULT_TIMEOUT: f64 = 1800.0;
const MAX_TIMEOUT: f64 = 31_536_000.0;

/// What to write for a connector that is not here.
pub(super) fn advice(name: &str) -> String {
    if name.starts_with("googleapis.workflowexecutions.") {
        return INSTEAD.to_owned();
    }
    let host = name.split('.').nth(1).unwrap_or("SERVICE");
    format!("send the request to https://{host}.googleapis.com/ by http.request, with auth: {{type: OAuth2}}")
}

/// What is to be run: the workflow, its argument and for how long to wait.
pub(crate) struct Wanted {
    pub(crate) workflow: String,
    pub(crate) argument: serde_json::Value,
    pub(crate) timeout: Duration,
}

pub(crate) fn wanted(arguments: &Arguments) -> Result<Wanted, Exception> {
    let workflow = arguments.text(0)?.to_string();
    let argument = arguments.get(1).to_json()?;
    let params = match arguments.named("connector_params") {
        Value::Null => None,
        Value::Map(params) => Some(params),
        _ => return Err(Exception::type_error("executions.run: connector_params must be a map")),
    };
    let timeout = match params.and_then(|params| params.get("timeout")) {
        None => DEFAULT_TIMEOUT,
        Some(timeout) => timeout
            .as_number()
            .filter(|seconds| *seconds > 0.0 && *seconds <= MAX_TIMEOUT)
            .ok_or_else(|| Exception::value_error("executions.run: timeout must be above 0 and at most a year"))?,
    };
    Ok(Wanted { workflow, argument, timeout: Duration::from_secs_f64(timeout) })
}

/// What the call raises.
pub(crate) fn failed(failure: ExecutionFailure) -> Exception {
    match failure {
        ExecutionFailure::Unknown(message) => Exception::new(Value::map([
            ("code", Value::Int(404)),
            ("message", Value::text(format!("HTTP server responded with error code 404: {message}"))),
            ("tags", Value::list(vec![Value::text("HttpError")])),
        ])),
        ExecutionFailure::Ended(operation) => Exception::new(Value::map([
            ("message", Value::text("Execution failed or cancelled.")),
            ("operation", Value::from(operation)),
            ("tags", Value::list(vec![Value::text("OperationError")])),
        ])),
    }
}
