//! What can go wrong before a workflow runs.

/// Why a workflow could not be loaded, or its HTTP client not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file would not run as it stands: at `line` something is malformed, unknown, not supported here or over one of
    /// Google's limits.
    #[error("{file}:{line}: {message}")]
    Rejected {
        /// The name that the caller gave the file.
        file: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong there and what to write instead.
        message: String,
    },
    /// The HTTP client could not be made; nothing in the workflow is at fault.
    #[error("failed to build the http client")]
    Internal {
        /// What the HTTP library said.
        #[source]
        source: reqwest::Error,
    },
}

/// A fault in the source before it is known which file it came from.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) line: usize,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn new(line: usize, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }

    pub(crate) fn in_file(self, file: &str) -> Error {
        Error::Rejected { file: file.to_owned(), line: self.line, message: self.message }
    }
}

/// `, did you mean "x"?` for the accepted name nearest to `given`, or nothing when none is near.
pub(crate) fn suggestion<'a>(given: &str, accepted: impl IntoIterator<Item = &'a str>) -> String {
    accepted
        .into_iter()
        .map(|name| (strsim::jaro_winkler(given, name), name))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map_or_else(String::new, |(_, name)| format!(", did you mean \"{name}\"?"))
}
