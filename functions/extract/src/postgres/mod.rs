//! A table on a PostgreSQL server, read in one transaction and one snapshot.
//!
//! Rows come by `COPY ... TO STDOUT (FORMAT binary)`, as fast as they are taken and no faster, and become Arrow batches here.

mod contract;
mod decode;
mod describe;
mod server;

use std::pin::pin;

use arrow::array::StructArray;
use futures::TryStreamExt as _;
use pipeline::{Column, Postgres, Table, Window};
use service::SourceAccess;
use tokio_postgres::binary_copy::BinaryCopyOutStream;
use tokio_postgres::types::{FromSql, Type};
use wap::Identifier;

use crate::Error;
use crate::opened::{Opened, quoted};
use crate::selection::{CursorColumn, Selection, Totals, find};
use crate::source::from_clause;
use contract::{Check, base};
use decode::Decoder;
pub(crate) use describe::describe;
use server::Server;

/// A column as the server describes it.
struct Found {
    name: String,
    column_type: Type,
}

/// An open table. Dropping it ends the transaction and the connection.
pub(crate) struct PostgresTable {
    server: Server,
    selection: Selection,
    /// What is looked at in the values of each column.
    checks: Vec<Check>,
    table: Table,
}

impl PostgresTable {
    /// Connects and checks the columns. Blocks, inside of a tokio runtime.
    pub(crate) fn open(access: &SourceAccess, at: &Postgres, table: &Table) -> Result<Self, Error> {
        let server = Server::open(access, at)?;
        let found = server.columns(&from_clause(table), &format!("asked for table {}", table.name))?;
        let column_named = |name: &Identifier| find(&found, |column: &Found| &column.name, name);
        let convert = |column: &Column| match column_named(&column.name) {
            None => Err(format!("column {} ({}) is missing", column.name, column.duckdb_type())),
            Some(Found { name, column_type }) => contract::conversion(&quoted(name), column, column_type),
        };
        let cursor = |name: &Identifier| {
            let Found { name, column_type } = column_named(name)?;
            let expression = quoted(name);
            // The end of all time is in no partition.
            let stray = format!("{expression} IS NULL OR NOT isfinite({expression})");
            Some(CursorColumn { stray, expression, is_instant: *base(column_type) == Type::TIMESTAMPTZ })
        };
        let selection = Selection::new(table, |column| convert(column).map(|(expression, _)| expression), cursor)?;
        let checks =
            table.columns.iter().map(|column| convert(column).map_or(Check::None, |(_, check)| check)).collect();
        Ok(Self { server, selection, checks, table: table.clone() })
    }

    fn copy(
        &self,
        window: Option<&Window>,
        each: &mut dyn FnMut(StructArray) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let server = &self.server;
        let failed = |error| server.refused("read", error);
        let sql = format!("COPY ({}) TO STDOUT (FORMAT binary)", self.selection.rows(window)?);
        let copied = server.wait(server.client.copy_out(&sql)).map_err(failed)?;
        // What the bytes mean is known by the contract; the library only has to find where they begin and end.
        let types = vec![Type::BYTEA; self.table.columns.len()];
        let mut rows = pin!(BinaryCopyOutStream::new(copied, &types));
        let mut decoder = Decoder::new(&self.table.columns, &self.checks);
        loop {
            // A batch at a time, because what is done with one may block, which nothing may inside of a runtime.
            let is_last = server.wait(async {
                while let Some(row) = rows.try_next().await.map_err(failed)? {
                    for place in 0..types.len() {
                        let value = row.try_get::<Option<Raw<'_>>>(place).map_err(failed)?;
                        decoder
                            .append(place, value.map(|Raw(bytes)| bytes))
                            .map_err(|reason| self.unkept(place, &reason))?;
                    }
                    if decoder.end_row() {
                        return Ok::<_, Error>(false);
                    }
                }
                Ok(true)
            })?;
            if decoder.rows() > 0 {
                each(decoder.take()?)?;
            }
            if is_last {
                return Ok(());
            }
        }
    }

    fn unkept(&self, place: usize, reason: &str) -> Error {
        let column = &self.table.columns[place].name;
        Error::rejected(format!(
            "{} has a value in column {column} of table {} that can't be kept: {reason}; correct it there, or convert it in the \
             table's query",
            self.server.shown, self.table.name
        ))
    }
}

impl Opened for PostgresTable {
    fn strays(&self) -> Result<Option<String>, Error> {
        self.selection.strays().map(|sql| self.server.row(&sql).map(|row| row.concat())).transpose()
    }

    fn totals(&self, window: Option<&Window>) -> Result<Totals, Error> {
        self.selection.read_totals(&self.server.row(&self.selection.totals(window)?)?)
    }

    fn stream(
        &self,
        window: Option<&Window>,
        each: &mut dyn FnMut(StructArray) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let outcome = self.copy(window, each);
        if outcome.is_err() {
            // Otherwise the rest of the rows would still be sent, and read by nobody.
            self.server.hang_up();
        }
        outcome
    }
}

/// The bytes of a value as the server sent them.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
