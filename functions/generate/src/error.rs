//! The one error of this crate, cut by what a caller can do about it.

/// Why the sandbox could not be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What the request needs is not there yet.
    #[error("{0}")]
    NotFound(String),
    /// The source was made with other settings than the request names.
    #[error("{0}")]
    Conflict(String),
    /// The request can never succeed as it stands.
    #[error("{0}")]
    Rejected(String),
    /// Another run is writing; the same request can succeed once that has finished.
    #[error("another run is writing to the source: try again when it has finished")]
    Unavailable(#[source] duckdb::Error),
    /// `DuckDB` or Arrow refused; the transaction was rolled back and the source is as it was.
    #[error("failed to {action}")]
    Internal {
        /// What was attempted, as a verb phrase.
        action: String,
        /// What went wrong below.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// Adapter for `map_err`: names the action that failed.
    pub(crate) fn internal<E>(action: impl Into<String>) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let action = action.into();
        move |source| Self::Internal { action, source: source.into() }
    }

    /// Adapter for `map_err` of statements that write: tells a conflict with another writer from other failures.
    pub(crate) fn writing(action: impl Into<String>) -> impl FnOnce(duckdb::Error) -> Self {
        let internal = Self::internal(action);
        // DuckDB gives conflicts no code of their own; these are its words for rows, the catalog and a commit.
        let conflicts = ["Conflict on", "write-write conflict"];
        move |source| {
            let message = source.to_string();
            if conflicts.iter().any(|conflict| message.contains(conflict)) {
                return Self::Unavailable(source);
            }
            internal(source)
        }
    }
}
