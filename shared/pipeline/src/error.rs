//! What can go wrong with a pipeline file or a partition, cut by what the caller can do about it.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

/// The most mistakes that are listed, and the most characters that are shown of each.
const MOST_SHOWN: usize = 100;
const LONGEST_SHOWN: usize = 1000;

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
            write!(formatter, ": {}", shortened(&self.key))?;
        }
        write!(formatter, ": {}", shortened(&self.message))
    }
}

fn one_a_line(problems: &[Problem]) -> String {
    let mut lines: Vec<String> = problems.iter().take(MOST_SHOWN).map(Problem::to_string).collect();
    if let Some(more @ 1..) = problems.len().checked_sub(MOST_SHOWN) {
        lines.push(format!("... and {more} more mistakes"));
    }
    lines.join("\n")
}

/// A message repeats what is in the file, which may be anything.
fn shortened(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(LONGEST_SHOWN) {
        None => text.into(),
        Some((end, _)) => format!("{} ... ({} bytes more)", &text[..end], text.len() - end).into(),
    }
}
