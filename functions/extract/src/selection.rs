//! Which rows of a source belong to a partition, and the two statements that read them: the rows, and what the source
//! itself counts and sums.

use std::collections::BTreeMap;
use std::fmt;

use duckdb::core::LogicalTypeId;
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};
use pipeline::{Changes, ColumnType, Table, Window};
use wap::{Identifier, PartitionKey};

use crate::Error;
use crate::contract::{self, SourceColumn};
use crate::source::{from_clause, typed_literal};
use crate::sums::{Sums, trimmed};

/// How a table is read from its source.
#[derive(Debug)]
pub(crate) struct Selection {
    /// The contract's columns, from the source's.
    columns: Vec<(Identifier, String)>,
    from: String,
    /// The column that says to which partition a row belongs.
    cursor: Option<Cursor>,
    /// The columns that are summed, and their expressions.
    sums: Vec<(Identifier, String)>,
}

#[derive(Debug)]
struct Cursor {
    expression: String,
    kind: CursorKind,
    time_zone: TimeZone,
}

#[derive(Debug, Clone, Copy)]
enum CursorKind {
    /// An instant with a time zone.
    Instant,
    /// An instant that the source writes without a zone, in UTC.
    UtcTime,
    /// What the clocks of the pipeline's time zone showed.
    LocalTime,
    /// A day by those clocks.
    Day,
}

/// What the source itself says about a partition.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) rows: u64,
    pub(crate) sums: BTreeMap<Identifier, String>,
}

impl fmt::Display for Totals {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} rows", self.rows)?;
        self.sums.iter().try_for_each(|(column, sum)| write!(formatter, ", {sum} in {column}"))
    }
}

impl Selection {
    /// Checks the source's columns against the contract. Lists everything that is missing or does not fit.
    pub(crate) fn new(table: &Table, found: &[SourceColumn]) -> Result<Self, Error> {
        let mut columns = Vec::new();
        let mut problems = Vec::new();
        for column in &table.columns {
            match find(found, &column.name) {
                None => problems.push(format!("column {} ({}) is missing", column.name, column.duckdb_type())),
                Some(source) => match contract::expression(&quoted(&source.name), column, source) {
                    Ok(expression) => columns.push((column.name.clone(), expression)),
                    Err(problem) => problems.push(problem),
                },
            }
        }
        if !problems.is_empty() {
            return Err(Error::rejected(format!(
                "source {} does not have table {} as pipeline.yaml describes it: {}; correct the columns there, or \
                 convert them in the table's query",
                table.source,
                table.name,
                problems.join("; ")
            )));
        }
        let sums = Sums::new(table);
        let sums = sums.columns().map(|index| columns[index].clone()).collect();
        Ok(Self { columns, from: from_clause(table), cursor: cursor(table, found), sums })
    }

    /// The statement whose rows are the partition's.
    pub(crate) fn rows(&self, window: Option<&Window>) -> Result<String, Error> {
        let columns: Vec<String> =
            self.columns.iter().map(|(name, expression)| format!("{expression} AS \"{name}\"")).collect();
        Ok(format!("SELECT {} FROM {}{}", columns.join(", "), self.from, self.filter(window)?))
    }

    /// The statement that lets the source count and sum the same rows; [`read_totals`](Self::read_totals) reads its row.
    pub(crate) fn totals(&self, window: Option<&Window>) -> Result<String, Error> {
        let sums = self.sums.iter().map(|(_, expression)| format!("CAST(coalesce(sum({expression}), 0) AS VARCHAR)"));
        let asked: Vec<String> = ["CAST(count(*) AS VARCHAR)".to_owned()].into_iter().chain(sums).collect();
        Ok(format!("SELECT {} FROM {}{}", asked.join(", "), self.from, self.filter(window)?))
    }

    /// The row of [`totals`](Self::totals).
    pub(crate) fn read_totals(&self, row: &[String]) -> Result<Totals, Error> {
        let rows = row.first().and_then(|count| count.parse().ok());
        let names = self.sums.iter().map(|(name, _)| name.clone());
        Ok(Totals {
            rows: rows
                .ok_or_else(|| Error::Internal { message: "the source did not count".to_owned(), source: None })?,
            sums: names.zip(row.iter().skip(1).map(|sum| trimmed(sum))).collect(),
        })
    }

    /// The statement that counts rows that no partition would have, where rows are told apart by a column.
    pub(crate) fn strays(&self) -> Option<String> {
        let cursor = self.cursor.as_ref()?;
        Some(format!("SELECT CAST(count(*) AS VARCHAR) FROM {} WHERE {} IS NULL", self.from, cursor.expression))
    }

    fn filter(&self, window: Option<&Window>) -> Result<String, Error> {
        match (&self.cursor, window) {
            (_, None) => Ok(String::new()),
            (Some(cursor), Some(window)) => Ok(format!(
                " WHERE {column} >= {start} AND {column} < {end}",
                column = cursor.expression,
                start = cursor.bound(window.start),
                end = cursor.bound(window.end),
            )),
            (None, Some(_)) => Err(Error::rejected(
                "a table without a log or a cursor has the one partition all; set its granularity to all",
            )),
        }
    }
}

impl Cursor {
    /// An instant as a literal that compares with the column without converting the column.
    fn bound(&self, instant: Timestamp) -> String {
        let local = |time_zone: &TimeZone| time_zone.to_datetime(instant);
        match self.kind {
            CursorKind::Instant => {
                typed_literal("TIMESTAMP WITH TIME ZONE", &format!("{}+00", written(local(&TimeZone::UTC))))
            }
            CursorKind::UtcTime => typed_literal("TIMESTAMP", &written(local(&TimeZone::UTC))),
            CursorKind::LocalTime => typed_literal("TIMESTAMP", &written(local(&self.time_zone))),
            CursorKind::Day => typed_literal("DATE", &local(&self.time_zone).date().to_string()),
        }
    }
}

/// The column that decides to which partition a row belongs. The contract has it, so its type is known to fit.
fn cursor(table: &Table, found: &[SourceColumn]) -> Option<Cursor> {
    let name = match &table.changes {
        Changes::Whole => return None,
        Changes::Log { changed_at, .. } => changed_at,
        Changes::Cursor { column, .. } => column,
    };
    let source = find(found, name)?;
    let kind = match (&table.column(name.as_str())?.column_type, source.logical_type.id()) {
        (ColumnType::Date, _) => CursorKind::Day,
        (ColumnType::Datetime, _) => CursorKind::LocalTime,
        (_, LogicalTypeId::TimestampTZ) => CursorKind::Instant,
        (_, _) => CursorKind::UtcTime,
    };
    Some(Cursor { expression: quoted(&source.name), kind, time_zone: table.calendar.time_zone.clone() })
}

/// The partition's window; none for the one that is all of time.
pub(crate) fn window(table: &Table, partition: &PartitionKey) -> Result<Option<Window>, Error> {
    if *partition == PartitionKey::all() { Ok(None) } else { Ok(Some(table.calendar.window(partition)?)) }
}

/// DuckDB compares names without regard to case.
fn find<'a>(columns: &'a [SourceColumn], name: &Identifier) -> Option<&'a SourceColumn> {
    columns.iter().find(|column| column.name.eq_ignore_ascii_case(name.as_str()))
}

fn quoted(name: &str) -> String {
    format!("source.\"{}\"", name.replace('"', "\"\""))
}

fn written(datetime: civil::DateTime) -> String {
    datetime.strftime("%Y-%m-%d %H:%M:%S").to_string()
}
