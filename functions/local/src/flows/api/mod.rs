//! The Workflows and Workflow Executions APIs (v1), as far as `gcloud workflows` uses them. Every project and location has the
//! workflows of this program.

mod list;
pub(crate) mod view;

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;

use crate::flows::SOURCES;
use crate::flows::api::view::View;
use crate::flows::executor::{Executor, NotCancelled, Order};

/// What an execution's argument may have, in bytes.
const ARGUMENT_BYTES: usize = 32 * 1024;
/// What Google lets a label have, in characters, and an execution in labels.
const LABEL_LENGTH: usize = 63;
const LABELS: usize = 64;
const LOG_LEVELS: [&str; 4] = ["CALL_LOG_LEVEL_UNSPECIFIED", "LOG_ALL_CALLS", "LOG_ERRORS_ONLY", "LOG_NONE"];
const HISTORY_LEVELS: [&str; 3] =
    ["EXECUTION_HISTORY_LEVEL_UNSPECIFIED", "EXECUTION_HISTORY_BASIC", "EXECUTION_HISTORY_DETAILED"];

/// The routes of both APIs. They are Google's, so /openapi.json does not describe them.
pub(crate) fn routes(executor: Executor) -> OpenApiRouter {
    OpenApiRouter::new().route("/v1/{*path}", any(answer)).with_state(executor)
}

type Parameters = BTreeMap<String, String>;

async fn answer(
    State(executor): State<Executor>,
    method: Method,
    Path(path): Path<String>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let request = Request { executor: &executor, parameters: &parameters, headers: &headers, body: &body };
    match request.answer(&method, &path) {
        Ok(value) => Json(value).into_response(),
        Err(error) => error.into_response(),
    }
}

/// An error in the form of Google's APIs.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl ApiError {
    fn not_found(message: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, code: "NOT_FOUND", message: message.into() }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: "INVALID_ARGUMENT", message: message.into() }
    }

    fn precondition(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: "FAILED_PRECONDITION", message: message.into() }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let message = service::plain(&self.message);
        let body = json!({"error": {"code": self.status.as_u16(), "message": message, "status": self.code}});
        (self.status, Json(body)).into_response()
    }
}

impl From<crate::failure::Failure> for ApiError {
    fn from(failure: crate::failure::Failure) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, code: "INTERNAL", message: failure.to_string() }
    }
}

struct Request<'a> {
    executor: &'a Executor,
    parameters: &'a Parameters,
    headers: &'a HeaderMap,
    body: &'a Bytes,
}

/// What a caller may say of a new execution.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewExecution {
    argument: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    call_log_level: Option<String>,
    execution_history_level: Option<String>,
    /// There is no quota here, and nothing is put off.
    #[serde(default, rename = "disableConcurrencyQuotaOverflowBuffering")]
    _disable_buffering: bool,
}

impl Request<'_> {
    fn answer(&self, method: &Method, path: &str) -> Result<Value, ApiError> {
        let segments: Vec<&str> = path.split('/').collect();
        let ["projects", project, rest @ ..] = segments.as_slice() else { return Err(unknown(path)) };
        let (get, post) = (method == Method::GET, method == Method::POST);
        match rest {
            ["locations"] if get => Ok(json!({"locations": [view::location(project, "local")]})),
            ["locations", location] if get => Ok(view::location(project, location)),
            ["locations", _, "operations"] if get => Ok(json!({})),
            ["locations", _, "operations", id] if get => Err(ApiError::not_found(format!("operation {id} not found"))),
            ["locations", location, "workflows"] if get => self.workflows(project, location),
            ["locations", location, "workflows", name] if get => match name.strip_suffix(":listRevisions") {
                Some(name) => Ok(json!({"workflows": [self.workflow(project, location, name)?]})),
                None => self.workflow(project, location, name),
            },
            ["locations", _, "workflows", ..] if rest.len() < 5 => Err(ApiError::precondition(
                "the workflows are part of this program: edit the files in workflows/, and start bgp up again",
            )),
            ["locations", location, "workflows", name, "executions"] if post => self.create(project, location, name),
            ["locations", location, "workflows", name, "executions"] if get => {
                self.find(name)?;
                let named = |snapshot| view::named(snapshot, project, location);
                let all = self.executor.list(name).into_iter().map(named).collect();
                list::page(all, self.parameters)
            }
            ["locations", location, "workflows", name, "executions", id] => {
                let (id, verb) = id.split_once(':').unwrap_or((id, ""));
                self.find(name)?;
                let found = self.executor.get(id).filter(|found| found.record.workflow == *name);
                let found =
                    found.ok_or_else(|| ApiError::not_found(format!("execution {id} of workflow {name} not found")))?;
                match (verb, get, post) {
                    ("", true, _) => {
                        let view = View::of(self.parameters, View::Full)?;
                        Ok(view::execution(&view::named(found, project, location), view))
                    }
                    ("cancel", _, true) => self.cancel(project, location, id),
                    _ => Err(unknown(path)),
                }
            }
            _ => Err(unknown(path)),
        }
    }

    fn find(&self, name: &str) -> Result<(), ApiError> {
        if self.executor.knows(name) {
            return Ok(());
        }
        let known: Vec<&str> = SOURCES.iter().map(|(name, _)| *name).collect();
        Err(ApiError::not_found(format!("workflow {name} not found; there are {}", known.join(", "))))
    }

    fn workflow(&self, project: &str, location: &str, name: &str) -> Result<Value, ApiError> {
        self.find(name)?;
        let source = SOURCES.iter().find(|(known, _)| *known == name).map_or("", |(_, source)| source);
        Ok(view::workflow(project, location, name, source))
    }

    fn workflows(&self, project: &str, location: &str) -> Result<Value, ApiError> {
        let all: Vec<Value> =
            SOURCES.iter().map(|(name, source)| view::workflow(project, location, name, source)).collect();
        list::slice(all, "workflows", self.parameters)
    }

    fn create(&self, project: &str, location: &str, name: &str) -> Result<Value, ApiError> {
        self.find(name)?;
        let asked: NewExecution = if self.body.is_empty() {
            NewExecution::default()
        } else {
            // A page in a browser can send other content to a loopback port without being asked.
            let kind = self.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
            if !kind.to_ascii_lowercase().starts_with("application/json") {
                return Err(ApiError::invalid("the body must have the content type application/json"));
            }
            serde_json::from_slice(self.body)
                .map_err(|error| ApiError::invalid(format!("the body is no execution: {error}")))?
        };
        let argument = asked.argument.filter(|text| !text.is_empty()).unwrap_or_else(|| "null".to_owned());
        if argument.len() > ARGUMENT_BYTES {
            let size = argument.len();
            return Err(ApiError::invalid(format!("the argument has {size} bytes, and may have {ARGUMENT_BYTES}")));
        }
        if let Err(error) = serde_json::from_str::<Value>(&argument) {
            return Err(ApiError::invalid(format!(
                "the argument is not JSON: {error}; such as {{\"partition\":\"2025-08-01\"}}"
            )));
        }
        check_labels(&asked.labels)?;
        check_level("callLogLevel", asked.call_log_level.as_deref(), &LOG_LEVELS)?;
        check_level("executionHistoryLevel", asked.execution_history_level.as_deref(), &HISTORY_LEVELS)?;
        let started = self.executor.start(Order {
            workflow: name.to_owned(),
            project: project.to_owned(),
            location: location.to_owned(),
            argument,
            labels: asked.labels,
            call_log_level: asked.call_log_level,
            execution_history_level: asked.execution_history_level,
            parent: None,
        })?;
        Ok(view::execution(&started, View::Full))
    }

    fn cancel(&self, project: &str, location: &str, id: &str) -> Result<Value, ApiError> {
        match self.executor.cancel(id)? {
            Ok(cancelled) => Ok(view::execution(&view::named(cancelled, project, location), View::Full)),
            Err(NotCancelled::Unknown) => Err(ApiError::not_found(format!("execution {id} not found"))),
            Err(NotCancelled::Ended(state)) => Err(ApiError::precondition(format!(
                "execution {id} has ended ({}) and can't be cancelled",
                state.as_str()
            ))),
        }
    }
}

fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), ApiError> {
    let fits = |text: &str| {
        text.chars().count() <= LABEL_LENGTH
            && text
                .chars()
                .all(|letter| letter == '-' || letter == '_' || (letter.is_alphanumeric() && !letter.is_uppercase()))
    };
    let wrong = labels.iter().find(|(key, value)| !fits(key) || !fits(value) || !key.starts_with(char::is_alphabetic));
    match wrong {
        Some((key, value)) => Err(ApiError::invalid(format!(
            "label {key:?}: {value:?}: keys begin with a lower-case letter, and keys and values have at most {LABEL_LENGTH} \
             lower-case letters, digits, - and _"
        ))),
        None if labels.len() > LABELS => Err(ApiError::invalid(format!("an execution has at most {LABELS} labels"))),
        None => Ok(()),
    }
}

fn check_level(name: &str, given: Option<&str>, known: &[&str]) -> Result<(), ApiError> {
    match given {
        Some(given) if !known.contains(&given) => {
            Err(ApiError::invalid(format!("{name} is {given:?}; it takes {}", known.join(", "))))
        }
        _ => Ok(()),
    }
}

fn unknown(path: &str) -> ApiError {
    ApiError::not_found(format!("there is no method for /v1/{path} here"))
}
