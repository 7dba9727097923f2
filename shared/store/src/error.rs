//! What can go wrong with a store, cut by what the caller can do about it.

/// The error of every store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such object.
    #[error("object {key} does not exist")]
    NotFound { key: String },
    /// The precondition did not hold: somebody else wrote. Read again, decide again.
    #[error("object {key} was changed by somebody else; read it again before writing")]
    Conflict { key: String },
    /// The request can never succeed as it is.
    #[error("object {key} refused: {reason}")]
    Rejected { key: String, reason: String },
    /// An object is there but is not what it should be. It is never used half.
    #[error("object {key} is corrupt; restore it from a backup or delete it and run the step that makes it")]
    Corrupt {
        key: String,
        #[source]
        source: serde_json::Error,
    },
    /// The store can't be reached or has no room; the same call may succeed later.
    #[error("the store failed while {action} {key}")]
    Unavailable {
        action: &'static str,
        key: String,
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn unavailable(action: &'static str, key: &str) -> impl FnOnce(std::io::Error) -> Self {
        let key = key.to_owned();
        move |source| Self::Unavailable { action, key, source }
    }
}
