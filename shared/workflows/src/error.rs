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

/// One thing in a file that would be refused at deployment, or that this interpreter lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Counted from 1.
    pub line: usize,
    /// The innermost step in which it stands, if it stands in one.
    pub step: Option<String>,
    /// What is wrong there and what to write instead.
    pub message: String,
}

/// A fault in the source before it is known which file it came from.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) line: usize,
    pub(crate) step: Option<String>,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn new(line: usize, message: impl Into<String>) -> Self {
        Self { line, step: None, message: message.into() }
    }

    /// The same, in `step`, unless a step further in is known.
    pub(crate) fn in_step(mut self, step: &str) -> Self {
        self.step.get_or_insert_with(|| step.to_owned());
        self
    }

    pub(crate) fn into_problem(self) -> Problem {
        Problem { line: self.line, step: self.step, message: self.message }
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
