use std::path::PathBuf;

/// Why something could not be done, cut by what a caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A node, a source or a file that was named does not exist.
    #[error("{0}")]
    NotFound(String),

    /// The project, or what was asked of it, can't be accepted as it is: the message says what to change.
    #[error("{0}")]
    Rejected(String),

    /// The worker could not be started or died. Asking again starts another one.
    #[error("dbt is not available: {0}")]
    Unavailable(String),

    /// A file could not be read or written.
    #[error("failed to {action} {}", path.display())]
    File {
        /// What was tried: `read`, `write` ...
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },

    /// A defect here or a dbt that answers in a form nobody expected.
    #[error("{message}")]
    Internal {
        /// What happened.
        message: String,
        /// The cause, if there is one.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

impl Error {
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }

    pub(crate) fn internal(
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Internal { message: message.into(), source: Some(source.into()) }
    }
}
