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
    /// The name of the view of current rows, when the table is a change log.
    pub current: Option<&'static str>,
    /// The columns that identify a row of the current table.
    pub key: &'static [&'static str],
    /// Every column, in order.
    pub columns: &'static [Column],
}

/// A column's name and type.
pub type Column = (&'static str, Type);

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

/// The columns that a change log has and its current table does not.
pub const LOG_COLUMNS: [&str; 4] = ["is_deleted", "valid_from", "change_sequence", "operation"];

impl Table {
    /// A batch of this table from its columns, in order.
    ///
    /// # Errors
    /// `Internal` when an array does not fit its column.
    pub fn batch(&self, arrays: Vec<ArrayRef>) -> Result<RecordBatch, Error> {
        let fields: Vec<Field> = self.columns.iter().map(|&(name, kind)| kind.field(name)).collect();
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
