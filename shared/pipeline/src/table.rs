//! A table: where its rows come from, how its changes are found, and how it lies in the lake and in `raw`.

use std::fmt;
use std::str::FromStr;

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Value, json};
use wap::{Digest, Identifier};

use crate::calendar::Calendar;
use crate::column::{Column, ColumnType, Mode};
use crate::names::{Word, quoted};

/// One table of the pipeline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Table {
    /// Its name in `raw`, in the lake and in every message.
    pub name: Identifier,
    /// The source it is read from.
    pub source: Identifier,
    /// What is read there.
    pub rows: Rows,
    /// For people.
    pub description: Option<String>,
    /// The columns that identify a row (of a log: the thing whose versions the rows are). May be empty without a log.
    pub key: Vec<Identifier>,
    /// How the rows of a partition are found.
    pub changes: Changes,
    /// The table's partitions.
    pub calendar: Calendar,
    /// All columns, in the order of the lake and of `raw`.
    pub columns: Vec<Column>,
    /// The layout of its Parquet objects.
    pub lake: LakeLayout,
    /// The layout of its table in `raw`.
    pub raw: RawLayout,
    /// A model whose sums must agree with this table's.
    pub reconcile: Option<Reconcile>,
}

/// What is read from a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rows {
    /// A table or view.
    Relation(RelationName),
    /// The text of a SELECT.
    Query(String),
}

/// The name of a table or view in a source, of one to three parts: `orders`, `sales.orders`, `shop.sales.orders`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct RelationName(pub(crate) Vec<Identifier>);

impl RelationName {
    /// The parts, at least one.
    pub fn parts(&self) -> &[Identifier] {
        &self.0
    }

    /// As it stands in SQL, whatever words the language reserves.
    pub fn quoted(&self) -> String {
        let parts: Vec<String> = self.0.iter().map(|part| format!("\"{part}\"")).collect();
        parts.join(".")
    }
}

impl FromStr for RelationName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split('.').map(Identifier::new).collect::<Result<Vec<_>, _>>() {
            Ok(parts) if parts.len() <= 3 => Ok(Self(parts)),
            _ => Err(format!(
                "{} is not a table or view; accepted: one to three identifiers with dots between them, such as sales.orders",
                quoted(text)
            )),
        }
    }
}

impl fmt::Display for RelationName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<&str> = self.0.iter().map(Identifier::as_str).collect();
        formatter.write_str(&parts.join("."))
    }
}

/// How the rows that belong to a partition are found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Changes {
    /// The source keeps a change log; a row belongs to the partition in which it became visible.
    Log {
        /// When the change became visible.
        changed_at: Identifier,
        /// A unique, rising number that orders changes of one instant.
        sequence: Identifier,
        /// What the change did.
        operation: Identifier,
    },
    /// A column says when a row was last written, or which day it is about.
    Cursor {
        /// The column: a timestamp, datetime or date.
        column: Identifier,
        /// How many partitions before the asked one are extracted again, for rows that arrive late.
        late_partitions: u32,
    },
    /// The whole table is read every time; it has the one partition `all`.
    Whole,
}

/// The layout of a table's objects in the lake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LakeLayout {
    /// The prefix of its objects' keys, without slashes at either end.
    pub path: String,
    /// The compression of Parquet pages.
    pub compression: Compression,
    /// An object is closed once it has this many rows.
    pub object_rows: u64,
    /// An object is closed once it has about this many bytes.
    pub object_bytes: u64,
}

/// The compression of Parquet pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Small; the default.
    Zstd,
    /// Fast.
    Snappy,
    /// None at all.
    None,
}

/// The layout of a table in `raw`; only BigQuery has use for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RawLayout {
    /// How the table is partitioned, where that is not left to the loader.
    pub partition_by: Option<RawPartitioning>,
    /// Up to four columns that rows are sorted by.
    pub cluster_by: Vec<Identifier>,
    /// Days after which a partition of `raw` expires; the lake keeps it.
    pub expiration_days: Option<u32>,
    /// Whether queries must filter by the partitioning column.
    pub require_partition_filter: bool,
}

/// How a table in `raw` is partitioned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RawPartitioning {
    /// By a date, datetime or timestamp column.
    Time {
        /// The column.
        column: Identifier,
        /// The length of a partition.
        granularity: RawGranularity,
    },
    /// By ranges of an integer column: `start`, `start + interval` ... up to `end`, which is not included.
    Range {
        /// The column.
        column: Identifier,
        /// The first value.
        start: i64,
        /// One past the last value.
        end: i64,
        /// The length of a range.
        interval: i64,
    },
}

/// The length of a partition of a table in `raw`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RawGranularity {
    /// One hour.
    Hour,
    /// One day.
    Day,
    /// One month.
    Month,
    /// One year.
    Year,
}

/// Sums that must agree between a table and a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reconcile {
    /// The model.
    pub model: Identifier,
    /// The table's key columns, each with the model's column that holds it.
    pub key: IndexMap<Identifier, Identifier>,
    /// The table's number columns, each with the model's column whose sum must be equal.
    pub measures: IndexMap<Identifier, Identifier>,
}

impl Word for Compression {
    const KIND: &'static str = "compression";
    const ALL: &'static [(&'static str, Self)] =
        &[("zstd", Self::Zstd), ("snappy", Self::Snappy), ("none", Self::None)];
}

impl Word for RawGranularity {
    const KIND: &'static str = "granularity of a raw table";
    const ALL: &'static [(&'static str, Self)] =
        &[("hour", Self::Hour), ("day", Self::Day), ("month", Self::Month), ("year", Self::Year)];
}

impl Table {
    /// The column with that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name.as_str() == name)
    }

    /// The digest of all that decides the table's rows: two tables with one digest hold the same rows for the same
    /// source. Descriptions, masking and layouts are left out.
    pub fn contract_digest(&self) -> Digest {
        let calendar = json!(self.calendar);
        let contract = json!({
            "source": self.source,
            "rows": self.rows,
            "key": self.key,
            "changes": self.changes,
            // Where the table starts and ends decides which partitions there are, not what is in them.
            "partition": [calendar["granularity"], calendar["week_starts"], calendar["time_zone"]],
            "columns": contract_of(&self.columns),
        });
        Digest::of(contract.to_string())
    }
}

fn contract_of(columns: &[Column]) -> Vec<Value> {
    let of_type = |column_type: &ColumnType| match column_type {
        ColumnType::Record(fields) => json!(contract_of(fields)),
        scalar => json!(scalar),
    };
    columns
        .iter()
        .map(|column| {
            // A required and a nullable column hold the same values, but the manifest's schema differs.
            let Column { name, column_type, mode, rounding, description: _, personal: _ } = column;
            json!([name, of_type(column_type), mode as &Mode, rounding])
        })
        .collect()
}
