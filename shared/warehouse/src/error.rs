//! What can go wrong with a warehouse, cut by what the caller can do about it.

type Source = Box<dyn std::error::Error + Send + Sync>;

/// The error of every warehouse.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something that the call names is not there.
    #[error("{what} does not exist; {next}")]
    NotFound { what: String, next: String },
    /// Somebody else changed it, or uses it.
    #[error("{what} is in use by another process; {next}")]
    Conflict { what: String, next: String },
    /// The request can never succeed as it is.
    #[error("{what}")]
    Rejected {
        what: String,
        #[source]
        source: Option<Source>,
    },
    /// The same call may succeed later.
    #[error("{what} failed")]
    Unavailable {
        what: String,
        #[source]
        source: Source,
    },
    /// Something is not as it must be.
    #[error("{what}")]
    Internal {
        what: String,
        #[source]
        source: Option<Source>,
    },
}

impl Error {
    /// A refusal without a cause beneath it.
    pub fn rejected(what: impl Into<String>) -> Self {
        Self::Rejected { what: what.into(), source: None }
    }

    /// A violated expectation without a cause beneath it.
    pub fn internal(what: impl Into<String>) -> Self {
        Self::Internal { what: what.into(), source: None }
    }

    #[cfg(feature = "duckdb")]
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Unavailable { what, source: Box::new(source) }
    }
}
