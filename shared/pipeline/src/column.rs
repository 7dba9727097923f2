//! Columns and their types: the set that BigQuery and DuckDB have in common.

use serde::Serialize;
use wap::Identifier;

use crate::names::Word;

/// One column of a table, or one field of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Its name, in the source, the lake and `raw` alike.
    pub name: Identifier,
    /// The type of one value.
    pub column_type: ColumnType,
    /// Whether it may be NULL, or holds a list.
    pub mode: Mode,
    /// For people.
    pub description: Option<String>,
    /// Whether values are masked in every sample, log and receipt.
    pub personal: bool,
    /// How a number with too many decimals is rounded when it is loaded; only NUMERIC columns have one.
    pub rounding: Option<Rounding>,
}

/// The type of a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// Text in UTF-8.
    String,
    /// A whole number of 64 bits.
    Integer,
    /// True or false.
    Boolean,
    /// A calendar day.
    Date,
    /// A time of day, in microseconds.
    Time,
    /// A date and time without a time zone, in microseconds.
    Datetime,
    /// An instant, in microseconds.
    Timestamp,
    /// A decimal number of up to 38 digits, 9 of them after the point.
    Numeric {
        /// All digits.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// A decimal number with more digits after the point. BigQuery's limit is 76 digits, but DuckDB's is 38.
    Bignumeric {
        /// All digits.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// A floating-point number of 64 bits.
    Float,
    /// Bytes.
    Bytes,
    /// A JSON document.
    Json,
    /// A place or shape, as well-known text.
    Geography,
    /// Named fields.
    Record(Vec<Column>),
}

/// Whether a column may be NULL, or holds a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Never NULL.
    Required,
    /// May be NULL.
    Nullable,
    /// A list of values, none of them NULL.
    Repeated,
}

/// How a decimal number with too many decimals is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// 2.5 becomes 3 and -2.5 becomes -3.
    HalfAwayFromZero,
    /// 2.5 becomes 2 and 3.5 becomes 4.
    HalfEven,
}

impl Word for Mode {
    const KIND: &'static str = "mode";
    const ALL: &'static [(&'static str, Self)] =
        &[("required", Self::Required), ("nullable", Self::Nullable), ("repeated", Self::Repeated)];
}

impl Word for Rounding {
    const KIND: &'static str = "rounding";
    const ALL: &'static [(&'static str, Self)] =
        &[("half_away_from_zero", Self::HalfAwayFromZero), ("half_even", Self::HalfEven)];
}

impl Column {
    /// The type in DuckDB's SQL, a list for a repeated column. Says nothing about NULL.
    pub fn duckdb_type(&self) -> String {
        let element = self.column_type.duckdb_type();
        if self.mode == Mode::Repeated { format!("{element}[]") } else { element }
    }

    /// The type in BigQuery's SQL, an array for a repeated column. Says nothing about NULL.
    pub fn bigquery_type(&self) -> String {
        let element = self.column_type.bigquery_type();
        if self.mode == Mode::Repeated { format!("ARRAY<{element}>") } else { element }
    }
}

impl ColumnType {
    /// The type's name in DuckDB's SQL.
    pub fn duckdb_type(&self) -> String {
        match self {
            Self::String | Self::Geography => "VARCHAR".to_owned(),
            Self::Integer => "BIGINT".to_owned(),
            Self::Boolean => "BOOLEAN".to_owned(),
            Self::Date => "DATE".to_owned(),
            Self::Time => "TIME".to_owned(),
            Self::Datetime => "TIMESTAMP".to_owned(),
            Self::Timestamp => "TIMESTAMP WITH TIME ZONE".to_owned(),
            Self::Numeric { precision, scale } | Self::Bignumeric { precision, scale } => {
                format!("DECIMAL({precision}, {scale})")
            }
            Self::Float => "DOUBLE".to_owned(),
            Self::Bytes => "BLOB".to_owned(),
            Self::Json => "JSON".to_owned(),
            Self::Record(fields) => {
                let fields: Vec<String> =
                    fields.iter().map(|field| format!("\"{}\" {}", field.name, field.duckdb_type())).collect();
                format!("STRUCT({})", fields.join(", "))
            }
        }
    }

    /// The type's name in BigQuery's SQL.
    pub fn bigquery_type(&self) -> String {
        match self {
            Self::String => "STRING".to_owned(),
            Self::Integer => "INT64".to_owned(),
            Self::Boolean => "BOOL".to_owned(),
            Self::Date => "DATE".to_owned(),
            Self::Time => "TIME".to_owned(),
            Self::Datetime => "DATETIME".to_owned(),
            Self::Timestamp => "TIMESTAMP".to_owned(),
            Self::Numeric { precision, scale } => format!("NUMERIC({precision}, {scale})"),
            Self::Bignumeric { precision, scale } => format!("BIGNUMERIC({precision}, {scale})"),
            Self::Float => "FLOAT64".to_owned(),
            Self::Bytes => "BYTES".to_owned(),
            Self::Json => "JSON".to_owned(),
            Self::Geography => "GEOGRAPHY".to_owned(),
            Self::Record(fields) => {
                let fields: Vec<String> =
                    fields.iter().map(|field| format!("`{}` {}", field.name, field.bigquery_type())).collect();
                format!("STRUCT<{}>", fields.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, column_type: ColumnType, mode: Mode) -> Column {
        let name = Identifier::new(name).unwrap();
        Column { name, column_type, mode, description: None, personal: false, rounding: None }
    }

    #[test]
    fn every_type_has_a_name_in_both_dialects() {
        let cases = [
            (ColumnType::String, "VARCHAR", "STRING"),
            (ColumnType::Integer, "BIGINT", "INT64"),
            (ColumnType::Boolean, "BOOLEAN", "BOOL"),
            (ColumnType::Date, "DATE", "DATE"),
            (ColumnType::Time, "TIME", "TIME"),
            (ColumnType::Datetime, "TIMESTAMP", "DATETIME"),
            (ColumnType::Timestamp, "TIMESTAMP WITH TIME ZONE", "TIMESTAMP"),
            (ColumnType::Numeric { precision: 12, scale: 2 }, "DECIMAL(12, 2)", "NUMERIC(12, 2)"),
            (ColumnType::Bignumeric { precision: 38, scale: 18 }, "DECIMAL(38, 18)", "BIGNUMERIC(38, 18)"),
            (ColumnType::Float, "DOUBLE", "FLOAT64"),
            (ColumnType::Bytes, "BLOB", "BYTES"),
            (ColumnType::Json, "JSON", "JSON"),
            (ColumnType::Geography, "VARCHAR", "GEOGRAPHY"),
        ];
        for (column_type, duckdb, bigquery) in cases {
            assert_eq!(column_type.duckdb_type(), duckdb);
            assert_eq!(column_type.bigquery_type(), bigquery);
        }
    }

    #[test]
    fn records_and_lists_nest() {
        let tags = column("tags", ColumnType::String, Mode::Repeated);
        let end = column("end", ColumnType::Integer, Mode::Nullable);
        let spans = column("spans", ColumnType::Record(vec![end, tags]), Mode::Repeated);
        assert_eq!(spans.duckdb_type(), "STRUCT(\"end\" BIGINT, \"tags\" VARCHAR[])[]");
        assert_eq!(spans.bigquery_type(), "ARRAY<STRUCT<`end` INT64, `tags` ARRAY<STRING>>>");
    }
}
