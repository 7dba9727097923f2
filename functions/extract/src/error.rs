//! What can go wrong with an extraction, cut by what the caller can do about it.

use std::error::Error as StdError;

/// Why a partition was not extracted. Nothing of it is visible in the lake.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something that is asked for is not there.
    #[error("{message}")]
    NotFound {
        /// What is missing, and what to do.
        message: String,
        /// What went wrong below, if anything did.
        #[source]
        source: Option<BoxedError>,
    },
    /// Somebody else changed something meanwhile; extract again.
    #[error("{message}")]
    Conflict {
        /// What was changed, and what to do.
        message: String,
        /// What went wrong below, if anything did.
        #[source]
        source: Option<BoxedError>,
    },
    /// The request can never succeed as it stands.
    #[error("{message}")]
    Rejected {
        /// What is wrong with it, and what to do.
        message: String,
        /// What went wrong below, if anything did.
        #[source]
        source: Option<BoxedError>,
    },
    /// Something can't be reached or is busy; the same request may succeed later.
    #[error("{message}")]
    Unavailable {
        /// What it is, and what to do.
        message: String,
        /// What went wrong below, if anything did.
        #[source]
        source: Option<BoxedError>,
    },
    /// What should not happen.
    #[error("{message}")]
    Internal {
        /// What was attempted.
        message: String,
        /// What went wrong below, if anything did.
        #[source]
        source: Option<BoxedError>,
    },
}

type BoxedError = Box<dyn StdError + Send + Sync>;

impl Error {
    pub(crate) fn rejected(message: impl Into<String>) -> Self {
        Self::Rejected { message: message.into(), source: None }
    }

    /// Adapter for `map_err`: names what was attempted.
    pub(crate) fn internal<E: Into<BoxedError>>(message: impl Into<String>) -> impl FnOnce(E) -> Self {
        let message = message.into();
        move |source| Self::Internal { message, source: Some(source.into()) }
    }
}

impl From<pipeline::Error> for Error {
    fn from(source: pipeline::Error) -> Self {
        match source {
            pipeline::Error::NotFound(message) => Self::NotFound { message, source: None },
            other => Self::rejected(other.to_string()),
        }
    }
}

impl From<state::Error> for Error {
    fn from(source: state::Error) -> Self {
        match source {
            state::Error::Store(source) => source.into(),
            state::Error::Missing { .. } => Self::NotFound { message: source.to_string(), source: None },
            state::Error::Contended { .. } => Self::Conflict { message: source.to_string(), source: None },
            state::Error::UnknownVersion { .. } => Self::rejected(source.to_string()),
            other => Self::internal("the state could not be changed")(other),
        }
    }
}

impl From<store::Error> for Error {
    fn from(source: store::Error) -> Self {
        let message = "the lake could not be read or written".to_owned();
        match source {
            store::Error::NotFound { .. } => Self::NotFound { message, source: Some(source.into()) },
            store::Error::Conflict { .. } => Self::Conflict { message, source: Some(source.into()) },
            store::Error::Rejected { .. } => Self::Rejected { message, source: Some(source.into()) },
            store::Error::Corrupt { .. } => Self::Internal { message, source: Some(source.into()) },
            store::Error::Unavailable { .. } => Self::Unavailable { message, source: Some(source.into()) },
        }
    }
}

impl From<rows::Error> for Error {
    fn from(source: rows::Error) -> Self {
        Self::internal("the rows could not be digested")(source)
    }
}

impl From<parquet::errors::ParquetError> for Error {
    fn from(source: parquet::errors::ParquetError) -> Self {
        Self::internal("the rows could not be written as Parquet")(source)
    }
}
