//! Which rows of a source belong to a partition, and the two statements that read them: the rows, and what the source
//! itself counts and sums.

use std::collections::BTreeMap;
use std::fmt;

use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};
use pipeline::{Changes, Column, ColumnType, Table, Window};
use wap::{Identifier, PartitionKey};

use crate::Error;
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

/// The source's column that decides to which partition a row belongs.
#[derive(Debug)]
pub(crate) struct CursorColumn {
    pub(crate) expression: String,
    /// Whether it has a time zone.
    pub(crate) is_instant: bool,
    /// What is true of rows that no partition would have.
    pub(crate) stray: String,
}

#[derive(Debug)]
struct Cursor {
    column: CursorColumn,
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
    /// Checks the source's columns against the contract, and lists everything that is missing or does not fit. `convert` gives
    /// the expression of the contract's column or says what is wrong, `cursor` describes the source's column of that name.
    pub(crate) fn new(
        table: &Table,
        convert: impl Fn(&Column) -> Result<String, String>,
        cursor: impl FnOnce(&Identifier) -> Option<CursorColumn>,
    ) -> Result<Self, Error> {
        let mut columns = Vec::new();
        let mut problems = Vec::new();
        for column in &table.columns {
            match convert(column) {
                Ok(expression) => columns.push((column.name.clone(), expression)),
                Err(problem) => problems.push(problem),
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
        Ok(Self { columns, from: from_clause(table), cursor: Cursor::new(table, cursor), sums })
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
        Some(format!("SELECT CAST(count(*) AS VARCHAR) FROM {} WHERE {}", self.from, cursor.column.stray))
    }

    fn filter(&self, window: Option<&Window>) -> Result<String, Error> {
        match (&self.cursor, window) {
            (_, None) => Ok(String::new()),
            (Some(cursor), Some(window)) => Ok(format!(
                " WHERE {column} >= {start} AND {column} < {end}",
                column = cursor.column.expression,
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
    /// The contract has the column, so its type is known to fit.
    fn new(table: &Table, describe: impl FnOnce(&Identifier) -> Option<CursorColumn>) -> Option<Self> {
        let name = match &table.changes {
            Changes::Whole => return None,
            Changes::Log { changed_at, .. } => changed_at,
            Changes::Cursor { column, .. } => column,
        };
        let column = describe(name)?;
        let kind = match &table.column(name.as_str())?.column_type {
            ColumnType::Date => CursorKind::Day,
            ColumnType::Datetime => CursorKind::LocalTime,
            _ if column.is_instant => CursorKind::Instant,
            _ => CursorKind::UtcTime,
        };
        Some(Self { column, kind, time_zone: table.calendar.time_zone.clone() })
    }

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

/// The partition's window; none for the one that is all of time.
pub(crate) fn window(table: &Table, partition: &PartitionKey) -> Result<Option<Window>, Error> {
    if *partition == PartitionKey::all() { Ok(None) } else { Ok(Some(table.calendar.window(partition)?)) }
}

/// The column of that name: in the same spelling, or else in the same letters.
pub(crate) fn find<'a, T>(columns: &'a [T], name_of: impl Fn(&T) -> &str, name: &Identifier) -> Option<&'a T> {
    let same = columns.iter().find(|column| name_of(column) == name.as_str());
    same.or_else(|| columns.iter().find(|column| name_of(column).eq_ignore_ascii_case(name.as_str())))
}

fn written(datetime: civil::DateTime) -> String {
    datetime.strftime("%Y-%m-%d %H:%M:%S").to_string()
}
