//! What can go wrong with events, cut by what the caller can do about it.

/// The error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What arrived is no event that can be read, or what is to be published is none. It never will be.
    #[error("{what}")]
    Rejected { what: String },
    /// The topic can't be reached; the same call may succeed later.
    #[error("the event {id} could not be published to {topic}")]
    Unavailable {
        id: String,
        topic: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the events in the store could not be read or written")]
    Store(#[from] store::Error),
}

impl Error {
    pub(crate) fn rejected(what: impl Into<String>) -> Self {
        Self::Rejected { what: what.into() }
    }
}
