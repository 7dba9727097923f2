//! What an asset is.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::Serialize;
use wap::RuleStatus;

/// One thing that the pipeline keeps or checks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Asset {
    /// Unique: `raw/orders`, `mart/fct_sales`, `live/fct_sales`.
    pub key: String,
    /// The last part of the key, as people call it.
    pub name: String,
    pub kind: AssetKind,
    /// What it is listed under. Of a model: the dbt group, or the folder below its layer, or the layer.
    pub group: String,
    /// What the pipeline file or the project says about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How a model is kept: `table`, `touched`, `view`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub materialized: Option<String>,
    /// Keys of what it is made from, or of what it checks.
    pub upstream: Vec<String>,
    /// Keys of what is made from it, or checks it.
    pub downstream: Vec<String>,
    /// The cycle that last changed it among those that led to what is live. Of a check: the last one that ran it.
    pub last_cycle: Option<u64>,
    /// When that was published.
    pub last_at: Option<Timestamp>,
    /// Rows, where they were counted: of lake and raw all partitions, of published tables as the live cycle shows them.
    pub rows: Option<u64>,
    /// Partitions in lake or raw.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partitions: Option<u64>,
    /// What checks it, with the last outcome of each.
    pub checks: Vec<Check>,
    /// Of a check: how it ended last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Check>,
    #[serde(skip)]
    pub(crate) origin: Origin,
}

/// What checks an asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The key of the asset that is the check.
    pub key: String,
    pub status: CheckStatus,
    /// Rows, or differences, that break it.
    pub failures: u64,
}

/// How a check ended last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    Passed,
    Warned,
    Failed,
    /// It was in no audit yet. Unit tests never are: they need no rows of the pipeline's.
    NotRun,
}

impl From<RuleStatus> for CheckStatus {
    fn from(status: RuleStatus) -> Self {
        match status {
            RuleStatus::Passed => Self::Passed,
            RuleStatus::Warned => Self::Warned,
            RuleStatus::Failed => Self::Failed,
        }
    }
}

/// Where facts about an asset are found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    Source(String),
    Lake(String),
    Raw(String),
    /// A node of the dbt project, by its id.
    Node(String),
    /// A published view and the id of the node whose table it shows; none for `deployment`.
    View(String, Option<String>),
    /// A rule of an audit and the table or model that it is about.
    Rule(String, String),
}

/// What an asset is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AssetKind {
    /// A table, view or query of a source.
    SourceTable,
    /// The Parquet objects of a table.
    LakeTable,
    /// A table of `raw`.
    RawTable,
    Seed,
    Model,
    Snapshot,
    /// What readers see.
    View,
    /// A data test of the dbt project.
    Test,
    /// A unit test of the dbt project.
    UnitTest,
    /// A rule of the pipeline file.
    Rule,
    /// Lake against raw, or raw against a model.
    Reconciliation,
}

impl AssetKind {
    const ALL: [(&'static str, Self); 11] = [
        ("source_table", Self::SourceTable),
        ("lake_table", Self::LakeTable),
        ("raw_table", Self::RawTable),
        ("seed", Self::Seed),
        ("model", Self::Model),
        ("snapshot", Self::Snapshot),
        ("view", Self::View),
        ("test", Self::Test),
        ("unit_test", Self::UnitTest),
        ("rule", Self::Rule),
        ("reconciliation", Self::Reconciliation),
    ];

    /// Whether it checks others and holds no rows.
    pub fn is_check(self) -> bool {
        matches!(self, Self::Test | Self::UnitTest | Self::Rule | Self::Reconciliation)
    }

    /// As it is written.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }
}

impl fmt::Display for AssetKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

impl FromStr for AssetKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.iter().find(|(word, _)| *word == text).map(|(_, kind)| *kind).ok_or_else(|| {
            format!("accepted: {}", Self::ALL.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", "))
        })
    }
}
