//! A call that failed, whichever client made it.

use std::io;

use google::{Classify, CredentialError, Failure};

use crate::{Error, Precondition};

/// What is known of a failed call: enough to decide about a repeat, and to tell the user. It holds no address, because
/// that of an upload is as good as a key.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct Failed {
    failure: Failure,
    /// The HTTP status, if there was an answer.
    pub(super) status: Option<u16>,
    message: String,
}

/// What was tried.
#[derive(Debug, Clone, Copy)]
pub(super) enum Action {
    Reading,
    Inspecting,
    Writing,
    Listing,
    Deleting(Precondition),
}

impl Action {
    /// As a log and an error name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Reading => "reading",
            Self::Inspecting => "inspecting",
            Self::Writing => "writing",
            Self::Listing => "listing",
            Self::Deleting(_) => "deleting",
        }
    }

    /// For logs and traces, where other services are called too.
    pub(super) fn call(self) -> &'static str {
        match self {
            Self::Reading => "storage read",
            Self::Inspecting => "storage inspect",
            Self::Writing => "storage write",
            Self::Listing => "storage list",
            Self::Deleting(_) => "storage delete",
        }
    }
}

impl Classify for Failed {
    fn failure(&self) -> Failure {
        self.failure
    }
}

impl Failed {
    pub(super) fn answered(status: u16, failure: Failure, message: String) -> Self {
        Self { failure, status: Some(status), message }
    }

    pub(super) fn unanswered(failure: Failure, message: impl Into<String>) -> Self {
        Self { failure, status: None, message: message.into() }
    }

    /// Somebody else wrote meanwhile, and nobody can tell any more whether this call took effect before that.
    pub(super) fn superseded() -> Self {
        Self::unanswered(
            Failure::Final,
            "the answer was lost, and somebody else wrote since, so it is unknown whether this took effect",
        )
    }

    /// After the content began to come, no answer says anything about the object's absence: a 404 then says that it was
    /// replaced while it was read. Reading it again from the start helps in any case.
    pub(super) fn while_reading(error: &google_cloud_gax::error::Error) -> Self {
        Self { failure: Failure::NOT_CONNECTED, status: None, ..Self::from(error) }
    }

    /// As the store's error.
    pub(super) fn into_error(self, action: Action, key: &str) -> Error {
        let key = key.to_owned();
        match self.status {
            Some(404) => match action {
                Action::Reading | Action::Inspecting | Action::Deleting(Precondition::None) => Error::NotFound { key },
                Action::Deleting(_) => Error::Conflict { key },
                // Neither needs an object to be there, so it is the bucket that is not.
                Action::Writing | Action::Listing => Error::Rejected {
                    key,
                    reason: format!("{self}; create the bucket, or correct its name in the configuration"),
                },
            },
            Some(412) => Error::Conflict { key },
            // A role takes minutes to come into effect after it was granted, so this may succeed later as it is.
            Some(401 | 403) => Error::Unavailable {
                action: action.name(),
                key,
                source: io::Error::other(format!("{self}; grant the account roles/storage.objectUser on the bucket")),
            },
            Some(400..500) if self.failure == Failure::Final => Error::Rejected { key, reason: self.to_string() },
            _ => Error::Unavailable { action: action.name(), key, source: io::Error::other(self) },
        }
    }
}

impl From<&google_cloud_gax::error::Error> for Failed {
    fn from(error: &google_cloud_gax::error::Error) -> Self {
        let status = error.http_status_code();
        let message = match (error.status(), status) {
            (Some(status), _) => status.message.clone(),
            (None, Some(status)) => format!("HTTP status {status}"),
            (None, None) => innermost(error),
        };
        Self { failure: error.failure(), status, message }
    }
}

impl From<google_cloud_gax::error::Error> for Failed {
    fn from(error: google_cloud_gax::error::Error) -> Self {
        Self::from(&error)
    }
}

impl From<reqwest::Error> for Failed {
    fn from(error: reqwest::Error) -> Self {
        let failure = if error.is_connect() {
            Failure::NOT_CONNECTED
        } else if error.is_builder() {
            Failure::Final
        } else {
            Failure::NO_ANSWER
        };
        Self::unanswered(failure, innermost(&error.without_url()))
    }
}

impl From<CredentialError> for Failed {
    fn from(error: CredentialError) -> Self {
        Self::unanswered(error.failure(), error.to_string())
    }
}

/// The innermost cause: "connection refused" and the like. The outer ones repeat it and add the address.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(status: u16, action: Action) -> Error {
        let failed = Failed::answered(status, Failure::of_answer(status, None, None), "because".to_owned());
        failed.into_error(action, "key")
    }

    #[test]
    fn answers_become_errors_by_what_the_caller_can_do() {
        assert!(matches!(error_of(404, Action::Reading), Error::NotFound { .. }));
        assert!(matches!(error_of(404, Action::Deleting(Precondition::None)), Error::NotFound { .. }));
        assert!(matches!(error_of(404, Action::Deleting(Precondition::Generation(1))), Error::Conflict { .. }));
        assert!(matches!(error_of(404, Action::Writing), Error::Rejected { .. }), "there is no bucket");
        assert!(matches!(error_of(412, Action::Writing), Error::Conflict { .. }));
        assert!(matches!(error_of(400, Action::Writing), Error::Rejected { .. }));
        for status in [401, 403, 408, 429, 500, 503] {
            assert!(matches!(error_of(status, Action::Reading), Error::Unavailable { .. }), "{status}");
        }
        let superseded = Failed::superseded().into_error(Action::Writing, "key");
        assert!(matches!(superseded, Error::Unavailable { .. }));
    }
}
