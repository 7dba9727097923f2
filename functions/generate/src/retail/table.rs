//! What a table of the source is: a name, a key and columns.

use std::{collections::HashMap, sync::Arc};

use arrow::{
    array::{ArrayRef, RecordBatch},
    datatypes::{DataType, Field, Schema, TimeUnit},
};

use crate::Error;

/// A table of the source.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// The columns that identify a row, of the current table when this one is a log.
    pub key: &'static [&'static str],
    /// Its own columns, in order; those of the log follow.
    pub columns: &'static [Column],
    /// Whether and how it is a change log.
    pub log: Log,
}

/// A column's name and type.
pub type Column = (&'static str, Type);

/// What the rows of a table are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// The rows themselves.
    None,
    /// Changes of things that happen once.
    Events,
    /// Changes of things that last: each says from when on it holds.
    Versions,
}

/// The types of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A UUID: 16 bytes in a batch, text in the source.
    Identifier,
    /// Text.
    Text,
    /// 64 bits; money is in cents.
    Integer,
    /// True or false.
    Boolean,
    /// A calendar date.
    Date,
    /// An instant in UTC, in microseconds.
    Timestamp,
}

impl Log {
    /// The columns with which every row of such a table ends.
    pub const fn columns(self) -> &'static [Column] {
        const VERSIONS: &[Column] = &[
            ("is_deleted", Type::Boolean),
            ("valid_from", Type::Timestamp),
            ("changed_at", Type::Timestamp),
            ("change_sequence", Type::Integer),
            ("operation", Type::Text),
        ];
        const EVENTS: &[Column] = &[VERSIONS[0], VERSIONS[2], VERSIONS[3], VERSIONS[4]];
        match self {
            Self::None => &[],
            Self::Events => EVENTS,
            Self::Versions => VERSIONS,
        }
    }
}

impl Table {
    /// Every column, in order.
    pub fn all_columns(&self) -> impl Iterator<Item = Column> {
        self.columns.iter().chain(self.log.columns()).copied()
    }

    /// The name of the view of current rows, when the table is a change log.
    pub fn current(&self) -> Option<&'static str> {
        self.name.strip_suffix("_log").filter(|_| self.log != Log::None)
    }

    /// The columns of the view of current rows: the table's own, and when the row was last changed.
    pub fn current_columns(&self) -> impl Iterator<Item = &'static str> {
        self.columns.iter().map(|(name, _)| *name).chain(["changed_at"])
    }

    /// A batch of this table from its columns, in order.
    ///
    /// # Errors
    /// `Internal` when an array does not fit its column.
    pub fn batch(&self, arrays: Vec<ArrayRef>) -> Result<RecordBatch, Error> {
        let fields: Vec<Field> = self.all_columns().map(|(name, kind)| kind.field(name)).collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
            .map_err(Error::internal(format!("assemble a batch of {}", self.name)))
    }
}

impl Type {
    /// The type's name in SQL.
    pub const fn sql(self) -> &'static str {
        match self {
            Self::Identifier | Self::Text => "VARCHAR",
            Self::Integer => "BIGINT",
            Self::Boolean => "BOOLEAN",
            Self::Date => "DATE",
            Self::Timestamp => "TIMESTAMP",
        }
    }

    fn field(self, name: &str) -> Field {
        let data_type = match self {
            // DuckDB renders the text as it appends, faster than a batch of text could be appended.
            Self::Identifier => {
                let uuid = HashMap::from([("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned())]);
                return Field::new(name, DataType::FixedSizeBinary(16), true).with_metadata(uuid);
            }
            Self::Text => DataType::Utf8,
            Self::Integer => DataType::Int64,
            Self::Boolean => DataType::Boolean,
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
        };
        Field::new(name, data_type, true)
    }
}
