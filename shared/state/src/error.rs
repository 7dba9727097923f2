//! What can go wrong with the state, cut by what the caller can do about it.

use wap::{AttemptId, Ended, Refused};

/// The error of the state.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no attempt {id}; `bgp status` lists the attempts")]
    NoAttempt { id: AttemptId },
    #[error("{key} is missing from the store; restore it from a backup")]
    Missing { key: String },
    /// The attempt is over. A run may begin a new one.
    #[error("attempt {id} is over: {}; begin a new one", ended.detail)]
    Over { id: AttemptId, ended: Ended },
    /// Another run is at work.
    #[error("{holder} is at work; wait for it to finish, or for its heartbeat to stop for {expires_in} s")]
    Held { holder: String, expires_in: u64 },
    /// The transition is against the rules of publishing.
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("{what}")]
    Invalid { what: String },
    #[error("{key} is changed by others all the time; try again")]
    Contended { key: String },
    #[error(
        "{key} has format version {found}, this program knows {known}; use the program that wrote it, or a newer one"
    )]
    UnknownVersion { key: String, found: u32, known: u32 },
    /// The document is one that belongs elsewhere.
    #[error("{key} is not what belongs there: {found}; put the right object back, the store may keep earlier versions")]
    Swapped { key: String, found: String },
    #[error("the state could not be read or written")]
    Store(#[from] store::Error),
    #[error("the outcome of a step is not what this program records")]
    Outcome(#[from] serde_json::Error),
}
