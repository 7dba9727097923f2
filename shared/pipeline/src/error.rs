//! What can go wrong with a pipeline file or a partition, cut by what the caller can do about it.

use std::fmt;
use std::path::PathBuf;

/// Why a pipeline file, a name or a partition was refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name that the pipeline does not have. The message names the nearest one.
    #[error("{0}")]
    NotFound(String),

    /// A value that cannot be accepted as it stands; correct it and ask again.
    #[error("{0}")]
    Rejected(String),

    /// A pipeline file with mistakes: all that could be found, in the order of the file.
    #[error("{}", one_a_line(.0))]
    InvalidFile(Vec<Problem>),

    /// A pipeline file that could not be read at all.
    #[error("cannot read the pipeline file {}; check that it exists and is readable UTF-8 text", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
}

/// One mistake in a pipeline file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file's name as it was given.
    pub file: String,
    /// The line, counted from 1; 0 where the mistake has no place.
    pub line: u64,
    /// The key's path, such as `tables.customers.partition.granularity`; empty for the file as a whole.
    pub key: String,
    /// What is wrong and what is accepted.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.file)?;
        if self.line > 0 {
            write!(formatter, ":{}", self.line)?;
        }
        if !self.key.is_empty() {
            write!(formatter, ": {}", self.key)?;
        }
        write!(formatter, ": {}", self.message)
    }
}

fn one_a_line(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    lines.join("\n")
}
