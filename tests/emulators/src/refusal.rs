//! A refusal in Google's words: the reason decides the status.
//!
//! Reasons and statuses: <https://docs.cloud.google.com/bigquery/docs/error-messages>,
//! <https://docs.cloud.google.com/storage/docs/json_api/v1/status-codes>

use axum::body::Body;
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::proxy::{problem, status};

/// Why a request or a job failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: String,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(reason: &str, message: impl Into<String>) -> Self {
        Self { reason: reason.to_owned(), message: message.into() }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new("invalid", message)
    }

    pub(crate) fn invalid_query(message: impl Into<String>) -> Self {
        Self::new("invalidQuery", message)
    }

    pub(crate) fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new("notFound", format!("Not found: {what}"))
    }

    /// What BigQuery can do and this cannot. Said aloud, so that nobody takes silence for success.
    pub(crate) fn not_emulated(what: impl std::fmt::Display) -> Self {
        Self::new("notImplemented", format!("the emulated cloud has no {what}"))
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self.reason.as_str() {
            "accessDenied" | "quotaExceeded" | "rateLimitExceeded" | "responseTooLarge" => StatusCode::FORBIDDEN,
            "notFound" => StatusCode::NOT_FOUND,
            "duplicate" => StatusCode::CONFLICT,
            "notModified" => StatusCode::NOT_MODIFIED,
            "conditionNotMet" => StatusCode::PRECONDITION_FAILED,
            "notImplemented" => StatusCode::NOT_IMPLEMENTED,
            "internalError" => StatusCode::INTERNAL_SERVER_ERROR,
            "backendError" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// Whether it is about the request for a job and not about the job, which then does not come to be.
    pub(crate) fn is_about_the_request(&self) -> bool {
        ["notImplemented", "backendError"].contains(&self.reason.as_str())
    }

    pub(crate) fn response(&self) -> Response<Body> {
        if self.reason == "notModified" {
            return status(StatusCode::NOT_MODIFIED);
        }
        problem(self.status(), &self.reason, &self.message)
    }

    /// As the `errorResult` of a job.
    pub(crate) fn proto(&self) -> Value {
        json!({"reason": self.reason, "message": self.message})
    }

    /// Reads an `ErrorProto`, or the body of an error response.
    pub(crate) fn of(error: &Value) -> Self {
        let proto = error.pointer("/error/errors/0").unwrap_or(error);
        let text = |key| proto[key].as_str().unwrap_or_default().to_owned();
        let reason = text("reason");
        let reason = if reason.is_empty() { "internalError".to_owned() } else { reason };
        Self { reason, message: text("message") }
    }
}

impl From<crate::Error> for Refusal {
    fn from(error: crate::Error) -> Self {
        Self::new("backendError", error.to_string())
    }
}
