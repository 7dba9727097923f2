//! The whole pipeline, as `pipeline.yaml` describes it.

use std::io::Read as _;
use std::path::Path;

use indexmap::IndexMap;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;
use wap::{Digest, Identifier, PartitionKey};

use crate::calendar::{Calendar, Granularity};
use crate::cron::Cron;
use crate::error::Error;
use crate::names::{Word, accepted};
use crate::read;
use crate::source::Source;
use crate::table::{LakeLayout, Table};

/// Larger files are refused unread: a pipeline of a thousand tables needs a tenth of it.
const LARGEST_FILE: u64 = 1024 * 1024;

/// A pipeline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pipeline {
    /// Its name.
    pub name: Identifier,
    /// The time zone of its partitions and schedules.
    #[serde(serialize_with = "crate::calendar::serialize_time_zone")]
    pub time_zone: TimeZone,
    /// The first day that has a partition.
    pub start: Date,
    /// The places that tables are read from.
    pub sources: IndexMap<Identifier, Source>,
    /// Where `generate` writes, when the source is the sandbox's own.
    pub sandbox: Option<Sandbox>,
    /// The layout of tables that say nothing else; its path is the prefix of theirs.
    pub lake: LakeLayout,
    /// The dataset that the lake is loaded into.
    pub raw: RawDataset,
    /// The tables, in the order of the file.
    pub tables: IndexMap<Identifier, Table>,
    /// The dbt project.
    pub dbt: Dbt,
    /// What readers see.
    pub live: Live,
    /// What is checked beyond the tests of the dbt project.
    pub audit: Audit,
    /// How long things are kept.
    pub retention: Retention,
    /// Seconds without a heartbeat after which a step's claim ends.
    pub lease_seconds: u32,
    /// Whether every publish waits for an approval.
    pub approval: bool,
    /// Bounds of one run.
    pub limits: Limits,
    /// When workflows run by themselves. It decides nothing that is built.
    #[serde(skip)]
    pub schedule: Schedule,
}

/// When workflows run by themselves, in the pipeline's time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The newest partition that is over.
    pub daily: Cron,
    /// What nothing names any more.
    pub cleanup: Cron,
}

/// How `generate` fills a source.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sandbox {
    /// The source, a DuckDB file.
    pub source: Identifier,
    /// Decides every row, together with the date and the scale.
    pub seed: u64,
    /// 1.0 is some 4,000 transactions a day.
    pub scale: f64,
}

/// The dataset that the lake is loaded into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RawDataset {
    /// Its name.
    pub dataset: Identifier,
    /// For people.
    pub description: Option<String>,
    /// Labels of the dataset.
    pub labels: IndexMap<String, String>,
    /// Days after which a partition of a table that says nothing else expires.
    pub expiration_days: Option<u32>,
    /// How far back BigQuery can see: 48 to 168 hours, whole days.
    pub time_travel_hours: Option<u32>,
}

/// The dbt project.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Dbt {
    /// Its folder, relative to the pipeline file. Not looked at where it is kept in git.
    pub project: String,
    /// The repository that it is kept in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git: Option<DbtGit>,
    /// Folders that are run one call each, in this order. Empty: the whole project in one call.
    pub layers: Vec<Identifier>,
    /// Folders (`models/mart`) or names of models whose tables readers see.
    pub publish: Vec<String>,
    /// Passed to dbt as they are.
    pub vars: IndexMap<String, serde_json::Value>,
    /// Names of vars that change with every run and are left out of model digests.
    pub per_run_vars: Vec<String>,
}

/// A dbt project in a git repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DbtGit {
    /// As `git clone` takes it, without credentials.
    pub url: String,
    /// A commit, by all 40 (or 64) hexadecimal digits of its name.
    pub revision: String,
    /// The project's folder in the repository; empty for its root.
    pub subdirectory: String,
}

/// What readers see, and what the datasets behind it are called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Live {
    /// The dataset (or schema) that readers use.
    pub dataset: Identifier,
    /// First part of the names of the slots' datasets.
    pub prefix: Identifier,
}

/// What is checked beyond the tests of the dbt project.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Audit {
    /// How many failing rows a verdict shows of each check.
    pub sample_rows: u32,
    /// The checks.
    pub rules: Vec<Rule>,
}

/// One check of one published model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rule {
    /// Its name, unique.
    pub name: Identifier,
    /// The model that is checked.
    pub model: Identifier,
    /// Whether a failure refuses the attempt.
    pub severity: Severity,
    /// What is checked.
    pub check: RuleCheck,
}

/// What a rule checks.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleCheck {
    /// The query returns no row. `{model}` in its text stands for the attempt's table.
    Sql {
        /// A SELECT of rows that must not be.
        query: String,
    },
    /// The number of rows differs from the live table's by at most this share of it.
    Volume {
        /// 0.5 allows half as many to half as many again.
        max_change_ratio: f64,
    },
    /// The newest value of the column is not older than this before the end of the newest partition.
    Freshness {
        /// A date, datetime or timestamp column of the model.
        column: Identifier,
        /// The age that is still fresh.
        max_age_hours: u32,
    },
    /// A figure of the whole table differs by at most this share from its mean over the last cycles.
    Drift {
        /// An aggregate over the model's rows that gives a number.
        metric: String,
        /// 0.5 allows half as much to half as much again.
        max_change_ratio: f64,
        /// How many of the last published cycles are compared with, at most.
        cycles: u32,
    },
    /// Two models have the same sums, group by group.
    Balance {
        /// What is added up of the model: an expression over its columns.
        measure: String,
        /// The columns of both models that groups are formed by.
        by: Vec<Identifier>,
        /// The model that must agree.
        other: Identifier,
        /// What is added up of it.
        other_measure: String,
    },
}

/// Whether a failure refuses the attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Refuses it.
    Error,
    /// Is reported only.
    Warn,
}

/// How long things are kept. `None` is for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Retention {
    /// The slot that was live before, the target of a rollback.
    pub kept_slot_hours: u32,
    /// What an attempt made that was refused or ended.
    pub ended_attempts_hours: u32,
    /// Objects of the lake that nothing names any more.
    pub lake_days: Option<u32>,
    /// Receipts.
    pub receipts_days: Option<u32>,
}

/// Bounds of one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// How often a run begins again after an attempt expired.
    pub attempts_per_run: u32,
    /// How many tables one call extracts, and then one call loads.
    pub tables_per_call: usize,
    /// A BigQuery job that would be billed more is refused.
    pub max_bytes_billed_per_step: Option<u64>,
}

/// One partition of one table.
#[derive(Debug, Clone, PartialEq)]
pub struct TablePartition<'a> {
    /// The table.
    pub table: &'a Table,
    /// Its partition.
    pub partition: PartitionKey,
}

impl Word for Severity {
    const KIND: &'static str = "severity";
    const ALL: &'static [(&'static str, Self)] = &[("error", Self::Error), ("warn", Self::Warn)];
}

impl Pipeline {
    /// Reads and checks the file at `path`.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        Self::parse(&path.to_string_lossy(), &Self::text(path)?)
    }

    /// The text of the file at `path`, unchecked.
    pub fn text(path: &Path) -> Result<String, Error> {
        let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
        let mut source = String::new();
        // One byte more than is accepted tells a file that is too large, however large it is.
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(LARGEST_FILE + 1).read_to_string(&mut source).map_err(unreadable)?;
        Ok(source)
    }

    /// The sources of a file that need not have tables yet; the rest of it is not looked at.
    pub fn sources(file_name: &str, source: &str) -> Result<IndexMap<Identifier, Source>, Error> {
        read::sources(file_name, source)
    }

    /// Checks the text of a pipeline file. `file_name` only appears in errors.
    ///
    /// Returns every mistake at once, except that a file that is not YAML ends at its first.
    pub fn parse(file_name: &str, source: &str) -> Result<Self, Error> {
        if source.len() as u64 > LARGEST_FILE {
            return Err(Error::Rejected(format!("{file_name} is too large; a pipeline file has at most 1 MiB")));
        }
        read::pipeline(file_name, source)
    }

    /// The table with that name; the error names the nearest.
    pub fn table(&self, name: &str) -> Result<&Table, Error> {
        self.tables.get(name).ok_or_else(|| {
            Error::NotFound(format!(
                "pipeline {} has no table {name:?}{}",
                self.name,
                accepted(name, self.tables.keys().map(Identifier::as_str))
            ))
        })
    }

    /// What runs are for: days, or the weeks or months that all tables have in common. The sandbox is generated by days.
    pub fn runs(&self) -> Calendar {
        let mut runs = Calendar::daily(self.time_zone.clone(), self.start);
        let mut partitioned =
            self.tables.values().map(|table| &table.calendar).filter(|found| found.granularity != Granularity::All);
        if self.sandbox.is_none()
            && let Some(first) = partitioned.next()
            && matches!(first.granularity, Granularity::Week | Granularity::Month)
            && partitioned.all(|other| (other.granularity, other.week_starts) == (first.granularity, first.week_starts))
        {
            (runs.granularity, runs.week_starts) = (first.granularity, first.week_starts);
        }
        runs
    }

    /// The partitions that a run concerns, table by table: of a weekly or monthly table the one that contains the day, of
    /// an hourly table all hours of it, of an unpartitioned table the one it has.
    pub fn tables_for(&self, run: &PartitionKey) -> Result<Vec<TablePartition<'_>>, Error> {
        let mut concerned = Vec::new();
        for table in self.tables.values() {
            let partitions = table.calendar.partitions_for(run)?;
            concerned.extend(partitions.into_iter().map(|partition| TablePartition { table, partition }));
        }
        Ok(concerned)
    }

    /// The digest of everything that the file says, independent of comments and formatting.
    pub fn digest(&self) -> Digest {
        Digest::of(serde_json::json!(self).to_string())
    }
}
