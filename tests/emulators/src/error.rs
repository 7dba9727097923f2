//! What can go wrong with the emulators, cut by what the caller can do about it.

use std::path::PathBuf;

/// The error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What the emulators are made of is not on this machine.
    #[error("{} is missing; `./bgp test` and `./bgp --target emulators` install it", path.display())]
    NotFound { path: PathBuf },
    /// Two programs would write the same files.
    #[error("{} is in use by another program's emulators; wait for its end, or name another folder", folder.display())]
    InUse { folder: PathBuf },
    /// An emulator did not start, or stopped.
    #[error("the {emulator} emulator {what}; its log is {}", log.display())]
    Unavailable { emulator: &'static str, what: String, log: PathBuf },
    /// A request to an emulator got no answer.
    #[error("the {emulator} emulator gave no answer to {request}")]
    Unanswered {
        emulator: &'static str,
        request: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file system or the network of this machine refused.
    #[error("failed to {action}")]
    Internal {
        action: String,
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn internal(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        move |source| Self::Internal { action, source }
    }
}

/// The result of this crate.
pub type Result<T> = std::result::Result<T, Error>;
