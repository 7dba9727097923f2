//! Errors at the edge: what a caller is told, as RFC 9457 problem documents.

use std::error::Error as StdError;
use std::fmt;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use wap::Refused;

/// What the caller can do about a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request does not say who sends it, or not so that it counts: 401.
    Unauthenticated,
    /// Whoever sends it may not: 403.
    Forbidden,
    /// What was named is not there: 404.
    NotFound,
    /// Somebody else is at work, or was faster: 409.
    Conflict,
    /// The request can never succeed as it is: 422.
    Rejected,
    /// The same request may succeed later: 503. The only kind that is worth a retry.
    Unavailable,
    /// A defect or a damaged state: 500.
    Internal,
}

/// A problem, ready to be sent.
#[derive(Debug)]
pub struct Problem {
    pub kind: Kind,
    /// Stable, for programs: `attempt_over`, `held`, `refused_before` ...
    pub code: &'static str,
    /// For people: what happened, to what, and what to do next, with its causes.
    pub detail: String,
}

/// The body of a problem answer (`application/problem+json`).
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ProblemBody<'a> {
    /// What kind of problem it is, in words.
    title: &'a str,
    /// The HTTP status again.
    status: u16,
    /// What happened, to what, and what to do next.
    detail: &'a str,
    /// Stable, for programs.
    code: &'a str,
}

impl Problem {
    /// A problem without a cause beneath it.
    pub fn new(kind: Kind, code: &'static str, detail: impl Into<String>) -> Self {
        Self { kind, code, detail: detail.into() }
    }

    /// A problem from an error and everything beneath it.
    pub fn from_error(kind: Kind, code: &'static str, error: &dyn StdError) -> Self {
        Self { kind, code, detail: chain(error) }
    }

    /// A request that can never succeed.
    pub fn rejected(detail: impl Into<String>) -> Self {
        Self::new(Kind::Rejected, "rejected", detail)
    }

    /// A defect or a damaged state.
    pub fn internal(detail: impl Into<String>) -> Self {
        Self::new(Kind::Internal, "internal", detail)
    }

    fn status(&self) -> (StatusCode, &'static str) {
        match self.kind {
            Kind::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated"),
            Kind::Forbidden => (StatusCode::FORBIDDEN, "forbidden"),
            Kind::NotFound => (StatusCode::NOT_FOUND, "not found"),
            Kind::Conflict => (StatusCode::CONFLICT, "conflict"),
            Kind::Rejected => (StatusCode::UNPROCESSABLE_ENTITY, "rejected"),
            Kind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal error"),
        }
    }
}

/// An error and its causes in one line. Messages never repeat their cause, so each is printed once.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // DuckDB gives every error the same number beneath its message.
        if !text.ends_with(&cause_text) && !cause_text.starts_with("Error code ") {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.detail)
    }
}

impl StdError for Problem {}

/// The most bytes of anything that is said to people.
const MAX_WORDS: usize = 4000;

/// Text with parts that came from somewhere else, as it can be shown, logged and kept: of a bounded length, and without
/// characters that a terminal would act upon.
pub fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(MAX_WORDS));
    for (position, character) in text.char_indices() {
        if shown.len() >= MAX_WORDS {
            shown.push_str(&format!(" ... ({} bytes more)", text.len() - position));
            break;
        }
        if character.is_control() && character != '\n' {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, title) = self.status();
        let detail = plain(&self.detail);
        match self.kind {
            Kind::Internal | Kind::Unavailable => tracing::error!(code = self.code, "{detail}"),
            _ => tracing::info!(code = self.code, "{detail}"),
        }
        let body = ProblemBody { title, status: status.as_u16(), detail: &detail, code: self.code };
        let mut response = (status, Json(body)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.kind == Kind::Unauthenticated {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<state::Error> for Problem {
    fn from(error: state::Error) -> Self {
        use state::Error;
        let (kind, code) = match &error {
            Error::NoAttempt { .. } => (Kind::NotFound, "no_attempt"),
            Error::Over { .. } => (Kind::Conflict, "attempt_over"),
            Error::Held { .. } => (Kind::Conflict, "held"),
            Error::Contended { .. } => (Kind::Unavailable, "contended"),
            Error::Invalid { .. }
            | Error::Outcome(_)
            | Error::Missing { .. }
            | Error::Swapped { .. }
            | Error::UnknownVersion { .. } => (Kind::Internal, "state"),
            Error::Refused(refused) => refusal(refused),
            Error::Store(error) => store_kind(error),
        };
        Self::from_error(kind, code, &error)
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        let (kind, code) = store_kind(&error);
        Self::from_error(kind, code, &error)
    }
}

fn refusal(refused: &Refused) -> (Kind, &'static str) {
    match refused {
        Refused::NotBuilding { .. } => (Kind::Conflict, "attempt_over"),
        Refused::Moved => (Kind::Unavailable, "moved"),
        Refused::TooEarly { .. } => (Kind::Conflict, "too_early"),
        Refused::ViewMissing { .. } | Refused::KeptLacksView { .. } => (Kind::Rejected, "view_missing"),
        Refused::RefusedBefore { .. } => (Kind::Rejected, "refused_before"),
        Refused::CodeRolledBack { .. } => (Kind::Rejected, "rolled_back"),
        Refused::NothingKept | Refused::KeptExpired { .. } => (Kind::Rejected, "nothing_kept"),
        Refused::NotHeld(_) | Refused::NotPublished(_) | Refused::NothingRolledBack { .. } => {
            (Kind::NotFound, "not_found")
        }
    }
}

fn store_kind(error: &store::Error) -> (Kind, &'static str) {
    match error {
        store::Error::NotFound { .. } => (Kind::NotFound, "not_found"),
        store::Error::Conflict { .. } => (Kind::Conflict, "changed"),
        store::Error::Rejected { .. } => (Kind::Rejected, "rejected"),
        store::Error::Corrupt { .. } => (Kind::Internal, "corrupt"),
        store::Error::Unavailable { .. } => (Kind::Unavailable, "store"),
    }
}

impl From<warehouse::Error> for Problem {
    fn from(error: warehouse::Error) -> Self {
        use warehouse::Error;
        let (kind, code) = match &error {
            Error::NotFound { .. } => (Kind::NotFound, "not_found"),
            Error::Conflict { .. } => (Kind::Conflict, "in_use"),
            Error::Rejected { .. } => (Kind::Rejected, "rejected"),
            Error::Unavailable { .. } => (Kind::Unavailable, "warehouse"),
            Error::Internal { .. } => (Kind::Internal, "warehouse"),
        };
        Self::from_error(kind, code, &error)
    }
}

impl From<wap::InvalidName> for Problem {
    fn from(error: wap::InvalidName) -> Self {
        Self::from_error(Kind::Rejected, "rejected", &error)
    }
}

impl From<events::Error> for Problem {
    fn from(error: events::Error) -> Self {
        use events::Error;
        let kind = match &error {
            Error::Unavailable { .. } => Kind::Unavailable,
            Error::Store(error) => store_kind(error).0,
            Error::Rejected { .. } => Kind::Rejected,
        };
        Self::from_error(kind, "events", &error)
    }
}

impl From<dbt::Error> for Problem {
    fn from(error: dbt::Error) -> Self {
        use dbt::Error;
        let kind = match &error {
            Error::NotFound(_) => Kind::NotFound,
            Error::Rejected(_) => Kind::Rejected,
            Error::Unavailable(_) => Kind::Unavailable,
            Error::File { .. } | Error::Internal { .. } => Kind::Internal,
        };
        Self::from_error(kind, "dbt", &error)
    }
}

impl From<pipeline::Error> for Problem {
    fn from(error: pipeline::Error) -> Self {
        use pipeline::Error;
        let kind = match &error {
            Error::NotFound(_) => Kind::NotFound,
            Error::Rejected(_) | Error::InvalidFile(_) | Error::Unreadable { .. } => Kind::Rejected,
        };
        Self::from_error(kind, "pipeline", &error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_bounded_and_harmless_to_a_terminal() {
        assert_eq!(plain("two lines\nand an é"), "two lines\nand an é");
        assert_eq!(plain("\u{1b}[31mred\u{7}"), "\\u{1b}[31mred\\u{7}");
        for long in ["🎲", "\0", "a"] {
            let long = plain(&long.repeat(MAX_WORDS + 7));
            assert!(long.ends_with("bytes more)") && long.len() < MAX_WORDS + 40, "{long}");
        }
    }
}
