//! The receipt: one document a cycle that says what was published, from what, and on what evidence.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::record::View;
use crate::verdict::Verdict;
use crate::work::WorkSet;
use crate::{Digest, Identifier, PartitionKey, RunId, Slot, Statistics};

/// The format version of [`Receipt`]. What earlier ones lack has a default.
pub const RECEIPT_VERSION: u32 = 3;

/// What was published in a cycle. Stored at `receipts/CYCLE.json` (eight digits) before the first reader sees the cycle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The format's.
    pub version: u32,
    /// Counts publishes and rollbacks.
    pub cycle: u64,
    #[serde(default)]
    pub kind: ReceiptKind,
    /// What readers see. After a rollback its own cycle is an earlier one, and `live.deployment` shows that one.
    pub slot: Slot,
    /// The run that published it: what the workflow engine calls an execution.
    pub run: RunId,
    /// The process that committed the record: a host, or an instance of a service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// When the record was committed.
    pub published_at: Timestamp,
    /// Digest of the slot's inputs, which are stored at `inputs/ATTEMPT.json`.
    pub inputs: Digest,
    /// The newest partition that the slot was built from.
    pub newest_partition: Option<PartitionKey>,
    /// Partitions that were held when the slot was built.
    pub held: Vec<PartitionKey>,
    /// What differed from the cycle before, and what that made it build. Empty for a rollback.
    pub work: WorkSet,
    /// What was taken back, if the cycle is a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<UndoneCycle>,
    /// Models in the order in which they were built.
    #[serde(default)]
    pub built: Vec<BuiltModel>,
    /// What moved on the way from the source to the slot, a line for each table of which a partition changed.
    #[serde(default)]
    pub moved: Vec<TableVolume>,
    /// The audit of the slot: every rule with its outcome, and every published table with its rows.
    pub verdict: Verdict,
    /// Every published view by name.
    pub views: BTreeMap<Identifier, View>,
    /// Bytes of the slot, where the warehouse tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot_bytes: Option<u64>,
    /// Seconds each step took, in the order in which they ended.
    pub steps: Vec<StepSeconds>,
    /// What the warehouse's jobs of all steps have cost.
    #[serde(default)]
    pub cost: Statistics,
    /// For how long views showed different slots, once they all showed this one.
    pub mixed_seconds: Option<f64>,
}

/// What made a cycle.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReceiptKind {
    /// A new slot.
    #[default]
    Publish,
    /// The slot that was kept.
    Rollback,
}

/// What a rollback took back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UndoneCycle {
    /// The slot that readers had seen.
    pub from: Slot,
    /// The cycle that this one undid, where that was a rollback too.
    pub undid: Option<u64>,
    pub reason: String,
    /// Partitions that were put on hold.
    pub held: Vec<PartitionKey>,
    /// Models that are not built again as they were.
    pub models: Vec<String>,
}

/// One model, seed or snapshot that was built.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BuiltModel {
    pub name: String,
    /// Whether it was rebuilt from nothing.
    pub full: bool,
    pub seconds: f64,
}

/// Rows and bytes of the changed partitions of one table, stage by stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TableVolume {
    pub table: Identifier,
    /// How many partitions changed.
    pub partitions: u64,
    /// Rows by the source's own count. An extraction that reads another number fails.
    pub source_rows: u64,
    pub lake_rows: u64,
    pub lake_bytes: u64,
    /// Rows that the audit counted in the slot's pin.
    pub raw_rows: u64,
}

/// How long a step took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepSeconds {
    pub step: String,
    pub seconds: f64,
    /// The process that did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
}

impl Receipt {
    /// Where the receipt of `cycle` is stored; sorts by cycle.
    pub fn key(cycle: u64) -> String {
        format!("receipts/{cycle:08}.json")
    }
}

#[cfg(test)]
#[path = "receipt_tests.rs"]
mod tests;
