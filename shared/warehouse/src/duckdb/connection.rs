//! Opening DuckDB files, and the two ways in which text gets into a statement.

use std::path::Path;

use ::duckdb::{AccessMode, Config, Connection};

use crate::Error;

/// Opens a file that nobody writes.
pub(super) fn open_read_only(file: &Path) -> Result<Connection, Error> {
    open(file, AccessMode::ReadOnly)
}

/// Opens (or makes) a file for writing.
pub(super) fn open_writable(file: &Path) -> Result<Connection, Error> {
    open(file, AccessMode::ReadWrite)
}

fn open(file: &Path, mode: AccessMode) -> Result<Connection, Error> {
    let shown = file.display().to_string();
    let configuration = Config::default().access_mode(mode).map_err(sql_error(format!("configuring {shown}")))?;
    let connection = Connection::open_with_flags(file, configuration).map_err(|source| {
        let text = source.to_string();
        if text.contains("Could not set lock") || text.contains("different configuration") {
            Error::Conflict { what: shown.clone(), next: "wait until it has finished, or close it".to_owned() }
        } else {
            sql_error(format!("opening {shown}"))(source)
        }
    })?;
    // Every timestamp is UTC, whatever the machine's zone.
    connection
        .execute_batch("SET TimeZone = 'UTC'; SET preserve_insertion_order = false;")
        .map_err(sql_error("configuring the session"))?;
    Ok(connection)
}

/// Turns DuckDB's error into ours. What it says of the statement is kept as the cause.
pub(super) fn sql_error(what: impl Into<String>) -> impl FnOnce(::duckdb::Error) -> Error {
    let what = what.into();
    move |source| {
        let text = source.to_string();
        if text.contains("IO Error") || text.contains("Out of Memory") || text.contains("No space left") {
            Error::Unavailable { what, source: Box::new(source) }
        } else {
            Error::Rejected { what: format!("{what} was refused by DuckDB"), source: Some(Box::new(source)) }
        }
    }
}

/// A quoted identifier.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A quoted string.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
