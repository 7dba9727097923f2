//! Opening a source and asking it questions, read-only, in one transaction.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use duckdb::{AccessMode, Config, Connection};
use pipeline::{RelationName, Rows, Source, SourceKind, Table};
use store::{FileLock, LockMode};

use crate::Error;
use crate::contract::{SourceColumn, literal};
use crate::describe::Declared;

/// How long a writer of the source file may take before an extraction gives up.
const LOCK_PATIENCE: Duration = Duration::from_mins(1);

/// How DuckDB begins to say so.
const OUT_OF_MEMORY: &str = "Out of Memory Error";

/// An open source. Its answers belong to one moment: all questions are asked in one transaction.
pub(crate) struct Session {
    connection: Connection,
    /// How people know the source.
    shown: String,
    /// Keeps writers of the file out. Released last.
    _lock: Option<FileLock>,
}

impl Session {
    /// Opens the source. DuckDB keeps blocks of the file and what a query has to remember in `memory` (MiB); what is
    /// more, it spills to a folder under `home`. Blocks, up to a minute if the file is being written.
    pub(crate) fn open(source: &Source, home: &Path, memory: usize, threads: i64) -> Result<Self, Error> {
        let spill = home.join("tmp");
        std::fs::create_dir_all(&spill).map_err(|error| Error::Unavailable {
            message: format!("folder {} can't be made; make {} writable", spill.display(), home.display()),
            source: Some(error.into()),
        })?;
        let spill = spill.join(format!("extract-{}", uuid::Uuid::now_v7().simple()));
        let config = Config::default()
            .with("memory_limit", format!("{memory}MiB"))
            .and_then(|config| config.with("temp_directory", spill.to_string_lossy()))
            .and_then(|config| config.threads(threads))
            .map_err(|error| refused(&format!("source {}", source.name), "opened", error))?;
        let session = match &source.kind {
            SourceKind::Duckdb { path } => Self::open_file(source, &home.join(path), config)?,
            SourceKind::Sql { setup } => Self::open_setup(source, setup, home, config)?,
            SourceKind::Postgres(_) => {
                return Err(Error::rejected(format!("source {} is no source of DuckDB's", source.name)));
            }
        };
        // Only some builds know time zones. Without them nothing reads a clock of another zone either.
        if let Err(error) = session.connection.execute_batch("SET TimeZone = 'UTC'") {
            tracing::debug!(source = %source.name, %error, "the session's time zone could not be set");
        }
        session.execute(
            "SET arrow_large_buffer_size = false; SET produce_arrow_string_view = false; \
             SET arrow_lossless_conversion = false; SET preserve_insertion_order = false; BEGIN TRANSACTION",
        )?;
        Ok(session)
    }

    fn open_file(source: &Source, path: &Path, config: Config) -> Result<Self, Error> {
        let shown = format!("source {} ({})", source.name, path.display());
        // Looked for before it is locked, because locking would make its folder.
        if !path.is_file() {
            return Err(Error::NotFound {
                message: format!(
                    "{shown} does not exist; make it with generate, or correct sources.{}.path",
                    source.name
                ),
                source: None,
            });
        }
        let lock = match FileLock::acquire(&lock_path(path), LockMode::Shared, LOCK_PATIENCE) {
            Ok(lock) => Some(lock),
            // A folder that can only be read. DuckDB's own lock still keeps a writer apart; it only waits for nobody.
            Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => None,
            Err(error) => {
                let message = match error.kind() {
                    ErrorKind::TimedOut => format!("{shown} is being written; extract again when that is done"),
                    _ => format!("{shown} can't be locked"),
                };
                return Err(Error::Unavailable { message, source: Some(error.into()) });
            }
        };
        let connection = config
            .access_mode(AccessMode::ReadOnly)
            .and_then(|config| Connection::open_with_flags(path, config))
            .map_err(|error| refused(&shown, "opened", error))?;
        Ok(Self { connection, shown, _lock: lock })
    }

    fn open_setup(source: &Source, setup: &[String], home: &Path, config: Config) -> Result<Self, Error> {
        let shown = format!("source {}", source.name);
        let connection =
            Connection::open_in_memory_with_flags(config).map_err(|error| refused(&shown, "opened", error))?;
        // Files are named relative to the home folder, as the path of a DuckDB file is.
        let search = format!("SET file_search_path = {}", literal(&home.to_string_lossy()));
        connection.execute_batch(&search).map_err(|error| refused(&shown, "opened", error))?;
        for (place, statement) in setup.iter().enumerate() {
            let doing = format!("set up (statement {} of sources.{}.setup)", place + 1, source.name);
            connection.execute_batch(statement).map_err(|error| refused(&shown, &doing, error))?;
        }
        Ok(Self { connection, shown, _lock: None })
    }

    /// The columns of a table as the source has them.
    pub(crate) fn columns(&self, table: &Table) -> Result<Vec<SourceColumn>, Error> {
        self.columns_of(&from_clause(table), &format!("asked for table {}", table.name))
    }

    /// The columns of what stands after FROM.
    pub(crate) fn columns_of(&self, from: &str, doing: &str) -> Result<Vec<SourceColumn>, Error> {
        let described: Vec<(String, String)> = self
            .connection
            .prepare(&format!("DESCRIBE SELECT * FROM {from}"))
            .and_then(|mut statement| {
                statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).and_then(Iterator::collect)
            })
            .map_err(|error| refused(&self.shown, doing, error))?;
        let statement = self
            .connection
            .prepare(&format!("SELECT * FROM {from}"))
            .map_err(|error| refused(&self.shown, doing, error))?;
        let columns = described.into_iter().enumerate().map(|(index, (name, type_name))| SourceColumn {
            name,
            type_name,
            logical_type: statement.column_logical_type(index),
        });
        Ok(columns.collect())
    }

    /// What a table declares of its columns. Views, and tables of what is attached, declare nothing.
    pub(crate) fn declared(&self, relation: &RelationName) -> Result<Declared, Error> {
        let parts = relation.parts();
        let named = |column: &str, from_end: usize| {
            let part = parts.len().checked_sub(from_end).and_then(|place| parts.get(place));
            part.map(|part| format!("lower({column}) = lower({})", literal(part.as_str())))
        };
        let named = [named("table_name", 1), named("schema_name", 2), named("database_name", 3)];
        let named: Vec<String> = named.into_iter().flatten().collect();
        let sql = format!(
            "SELECT constraint_type, unnest(constraint_column_names) FROM duckdb_constraints() \
             WHERE constraint_type IN ('PRIMARY KEY', 'NOT NULL') AND {}",
            named.join(" AND ")
        );
        let found: Vec<(String, String)> = self
            .connection
            .prepare(&sql)
            .and_then(|mut statement| {
                statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).and_then(Iterator::collect)
            })
            .map_err(|error| refused(&self.shown, "asked for its constraints", error))?;
        let mut declared = Declared::default();
        for (kind, column) in found {
            if kind == "PRIMARY KEY" {
                declared.key.push(column.clone());
            }
            declared.required.push(column);
        }
        Ok(declared)
    }

    /// The single row that a query answers with, every column as text.
    pub(crate) fn row(&self, sql: &str) -> Result<Vec<String>, Error> {
        self.connection
            .prepare(sql)
            .and_then(|mut statement| {
                statement.query_row([], |row| {
                    (0..row.as_ref().column_count()).map(|index| row.get::<_, String>(index)).collect()
                })
            })
            .map_err(|error| refused(&self.shown, "read", error))
    }

    /// Hands the rows of a query to `each`, a few thousand at a time, as they come.
    pub(crate) fn stream(
        &self,
        sql: &str,
        mut each: impl FnMut(duckdb::arrow::array::StructArray) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let failed = |error| refused(&self.shown, "read", error);
        let mut statement = self.connection.prepare(sql).map_err(failed)?;
        // The iterator would panic where a later row can't be read; stepping returns the error.
        let _ = statement.stream_arrow([]).map_err(failed)?;
        while let Some(batch) = statement.step().map_err(failed)? {
            each(batch)?;
        }
        Ok(())
    }

    fn execute(&self, sql: &str) -> Result<(), Error> {
        self.connection.execute_batch(sql).map_err(|error| refused(&self.shown, "opened", error))
    }
}

/// Who writes the source file holds this lock exclusively.
fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

/// What is read, as it stands after FROM; its columns are known as those of `source`.
pub(crate) fn from_clause(table: &Table) -> String {
    match &table.rows {
        Rows::Relation(relation) => format!("{} AS source", relation.quoted()),
        // The line ends keep a comment at the end of the query from taking the parenthesis along.
        Rows::Query(query) => format!("(\n{}\n) AS source", query.trim_end().trim_end_matches(';')),
    }
}

/// Whether an error says that the memory of [`Session::open`] was too little.
pub(crate) fn ran_out_of_memory(error: &Error) -> bool {
    matches!(error, Error::Rejected { source: Some(source), .. } if source.to_string().contains(OUT_OF_MEMORY))
}

/// DuckDB names the kind of an error in the first words of its message; there is no other place where it does.
fn refused(shown: &str, doing: &str, error: duckdb::Error) -> Error {
    let said = error.to_string();
    let source = Some(error.into());
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if has(&["not a valid DuckDB database", "Corrupt", "corrupt", "checksum", "Serialization Error"]) {
        let message =
            format!("{shown} could not be {doing}: the file is damaged; restore it, or delete it and make it again");
        Error::Rejected { message, source }
    } else if has(&["Could not set lock", "Conflicting lock"]) {
        let message = format!("{shown} is open for writing in another program; close it there and extract again");
        Error::Unavailable { message, source }
    } else if has(&[OUT_OF_MEMORY]) {
        let message = format!(
            "{shown} could not be {doing} in the memory that an extraction has; leave out or shorten its \
                     largest columns in the table's query"
        );
        Error::Rejected { message, source }
    } else if has(&[
        "Catalog Error",
        "Binder Error",
        "Parser Error",
        "Conversion Error",
        "Out of Range Error",
        "Invalid Input Error",
    ]) {
        let message = format!("{shown} could not be {doing}; correct the table in pipeline.yaml, or the source");
        Error::Rejected { message, source }
    } else if has(&["No files found", "No such file"]) {
        let message = format!("{shown} could not be {doing}: a file is missing");
        Error::NotFound { message, source }
    } else if has(&["IO Error", "HTTP Error", "Connection Error"]) {
        let message = format!("{shown} could not be {doing}; check that it can be reached and extract again");
        Error::Unavailable { message, source }
    } else {
        Error::Internal { message: format!("{shown} could not be {doing}"), source }
    }
}

/// A text in the form of the source's own literals: used for instants and dates only.
pub(crate) fn typed_literal(type_name: &str, text: &str) -> String {
    format!("{type_name} {}", literal(text))
}
