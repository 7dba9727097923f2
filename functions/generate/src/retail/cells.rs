//! Rows of small tables, a cell at a time. The large tables build their columns themselves.

use std::{borrow::Cow, sync::Arc};

use arrow::array::{ArrayRef, BooleanBuilder, Date32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder};

use super::table::{Table, Type};

/// One value of a row.
#[derive(Clone, Debug)]
pub(super) enum Cell {
    Integer(i64),
    Text(Cow<'static, str>),
    Boolean(bool),
    /// Days since 1970.
    Date(i32),
    /// Microseconds since 1970 (UTC).
    Instant(i64),
    Null,
}

impl Cell {
    /// The id of a row counted from 0.
    pub(super) fn id(row: u32) -> Self {
        Self::Integer(i64::from(row) + 1)
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<&'static str> for Cell {
    fn from(value: &'static str) -> Self {
        Self::Text(Cow::Borrowed(value))
    }
}

impl From<String> for Cell {
    fn from(value: String) -> Self {
        Self::Text(Cow::Owned(value))
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A table's own columns under construction.
#[derive(Debug)]
pub(super) struct Cells(Vec<Column>);

#[derive(Debug)]
enum Column {
    Integers(Int64Builder),
    Text(StringBuilder),
    Booleans(BooleanBuilder),
    Dates(Date32Builder),
    Instants(TimestampMicrosecondBuilder),
}

impl Cells {
    /// Room for this many rows of a table.
    pub(super) fn new(table: &Table, rows: usize) -> Self {
        let column = |kind: Type| match kind {
            Type::Integer => Column::Integers(Int64Builder::with_capacity(rows)),
            Type::Text | Type::Identifier => Column::Text(StringBuilder::with_capacity(rows, rows * 16)),
            Type::Boolean => Column::Booleans(BooleanBuilder::with_capacity(rows)),
            Type::Date => Column::Dates(Date32Builder::with_capacity(rows)),
            Type::Timestamp => Column::Instants(TimestampMicrosecondBuilder::with_capacity(rows)),
        };
        Self(table.columns.iter().map(|&(_, kind)| column(kind)).collect())
    }

    /// Appends a row, a cell for each column.
    pub(super) fn push(&mut self, row: impl IntoIterator<Item = Cell>) {
        for (column, cell) in self.0.iter_mut().zip(row) {
            column.push(cell);
        }
    }

    /// The finished columns.
    pub(super) fn finish(self) -> impl Iterator<Item = ArrayRef> {
        self.0.into_iter().map(Column::finish)
    }
}

impl Column {
    /// A cell of another type than the column is a null, which the table's tests find.
    fn push(&mut self, cell: Cell) {
        match (self, cell) {
            (Self::Integers(column), Cell::Integer(value)) => column.append_value(value),
            (Self::Text(column), Cell::Text(value)) => column.append_value(value),
            (Self::Booleans(column), Cell::Boolean(value)) => column.append_value(value),
            (Self::Dates(column), Cell::Date(value)) => column.append_value(value),
            (Self::Instants(column), Cell::Instant(value)) => column.append_value(value),
            (column, cell) => {
                debug_assert!(matches!(cell, Cell::Null), "{cell:?} is no value of {column:?}");
                column.push_null();
            }
        }
    }

    fn push_null(&mut self) {
        match self {
            Self::Integers(column) => column.append_null(),
            Self::Text(column) => column.append_null(),
            Self::Booleans(column) => column.append_null(),
            Self::Dates(column) => column.append_null(),
            Self::Instants(column) => column.append_null(),
        }
    }

    fn finish(self) -> ArrayRef {
        match self {
            Self::Integers(mut column) => Arc::new(column.finish()),
            Self::Text(mut column) => Arc::new(column.finish()),
            Self::Booleans(mut column) => Arc::new(column.finish()),
            Self::Dates(mut column) => Arc::new(column.finish()),
            Self::Instants(mut column) => Arc::new(column.finish()),
        }
    }
}
