//! `pipeline.yaml` as types, and the calendar of its partitions.
//!
//! [`Pipeline::parse`] reads the file strictly: unknown keys, bad values and names that do not exist are refused, each
//! with its file, line, key and the nearest accepted value; `reference.yaml` beside this crate explains every key.
//! [`Calendar`] translates between partition keys and windows of time. Pure except for [`Pipeline::read`], which reads
//! one file.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod calendar;
mod column;
mod cron;
pub mod draft;
mod error;
mod names;
mod pipeline;
mod place;
mod read;
mod source;
mod table;
mod yaml;

pub use calendar::{Calendar, Granularity, Partitions, Window};
pub use column::{Column, ColumnType, Mode, Rounding};
pub use cron::Cron;
pub use error::{Error, Problem};
pub use pipeline::{
    Audit, Dbt, DbtGit, Limits, Live, Pipeline, RawDataset, Retention, Rule, RuleCheck, Sandbox, Schedule, Severity,
    TablePartition,
};
pub use source::{Postgres, SecretReference, Source, SourceKind, Tls};
pub use table::{
    Changes, Compression, LakeLayout, RawGranularity, RawLayout, RawPartitioning, Reconcile, RelationName, Rows, Table,
};
