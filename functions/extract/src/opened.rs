//! A table of an open source, whichever kind of source that is.

use duckdb::arrow::array::StructArray;
use duckdb::core::LogicalTypeId;
use pipeline::{Column, SourceKind, Table, Window};
use service::SourceAccess;
use wap::Identifier;

use crate::Error;
use crate::contract::{self, SourceColumn};
use crate::postgres::PostgresTable;
use crate::selection::{CursorColumn, Selection, Totals, find};
use crate::source::Session;

/// A table that can be read. All answers belong to one moment. Every method blocks.
pub(crate) trait Opened: Send {
    /// How many rows no partition would have, as text; none where rows are not told apart by a column.
    fn strays(&self) -> Result<Option<String>, Error>;

    /// What the source itself counts and sums of a window; of everything without one.
    fn totals(&self, window: Option<&Window>) -> Result<Totals, Error>;

    /// Hands the rows of a window to `each`, a few thousand at a time, as they come.
    fn stream(
        &self,
        window: Option<&Window>,
        each: &mut dyn FnMut(StructArray) -> Result<(), Error>,
    ) -> Result<(), Error>;
}

/// Opens a source and checks the table's columns. `memory` (MiB) and `threads` are for the DuckDB of this process. Blocks, inside
/// of a tokio runtime.
pub(crate) fn open(
    access: &SourceAccess,
    table: &Table,
    memory: usize,
    threads: i64,
) -> Result<Box<dyn Opened>, Error> {
    Ok(match &access.source.kind {
        SourceKind::Postgres(postgres) => Box::new(PostgresTable::open(access, postgres, table)?),
        SourceKind::Duckdb { .. } | SourceKind::Sql { .. } => {
            Box::new(DuckdbTable::open(access, table, memory, threads)?)
        }
    })
}

/// A table that DuckDB reads.
struct DuckdbTable {
    session: Session,
    selection: Selection,
}

impl DuckdbTable {
    fn open(access: &SourceAccess, table: &Table, memory: usize, threads: i64) -> Result<Self, Error> {
        let session = Session::open(&access.source, &access.home, memory, threads)?;
        let found = session.columns(table)?;
        let column_named = |name: &Identifier| find(&found, |column: &SourceColumn| &column.name, name);
        let convert = |column: &Column| match column_named(&column.name) {
            None => Err(format!("column {} ({}) is missing", column.name, column.duckdb_type())),
            Some(source) => contract::expression(&quoted(&source.name), column, source),
        };
        let cursor = |name: &Identifier| {
            let source = column_named(name)?;
            let expression = quoted(&source.name);
            let is_instant = source.logical_type.id() == LogicalTypeId::TimestampTZ;
            Some(CursorColumn { stray: format!("{expression} IS NULL"), expression, is_instant })
        };
        let selection = Selection::new(table, convert, cursor)?;
        Ok(Self { session, selection })
    }
}

impl Opened for DuckdbTable {
    fn strays(&self) -> Result<Option<String>, Error> {
        self.selection.strays().map(|sql| self.session.row(&sql).map(|row| row.concat())).transpose()
    }

    fn totals(&self, window: Option<&Window>) -> Result<Totals, Error> {
        self.selection.read_totals(&self.session.row(&self.selection.totals(window)?)?)
    }

    fn stream(
        &self,
        window: Option<&Window>,
        each: &mut dyn FnMut(StructArray) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.session.stream(&self.selection.rows(window)?, each)
    }
}

/// A column of what is read, as it stands in SQL.
pub(crate) fn quoted(name: &str) -> String {
    format!("source.\"{}\"", name.replace('"', "\"\""))
}
