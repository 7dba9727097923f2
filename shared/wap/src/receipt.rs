//! The receipt: one document a cycle that says what was published, from what, and on what evidence.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::record::View;
use crate::verdict::Verdict;
use crate::work::WorkSet;
use crate::{Digest, Identifier, PartitionKey, RunId, Slot};

/// The format version of [`Receipt`].
pub const RECEIPT_VERSION: u32 = 1;

/// Stored at [`Receipt::key`] when the record is committed, before the first reader sees the cycle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    pub version: u32,
    pub cycle: u64,
    pub slot: Slot,
    pub run: RunId,
    pub published_at: Timestamp,
    pub inputs: Digest,
    pub newest_partition: Option<PartitionKey>,
    pub held: Vec<PartitionKey>,
    pub work: WorkSet,
    pub verdict: Verdict,
    pub views: std::collections::BTreeMap<Identifier, View>,
    /// Seconds each step took, in the order in which they ended.
    pub steps: Vec<StepSeconds>,
    /// For how long views showed different slots, once they all showed this one.
    pub mixed_seconds: Option<f64>,
}

/// How long a step took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepSeconds {
    pub step: String,
    pub seconds: f64,
}

impl Receipt {
    /// Where the receipt of `cycle` is stored; sorts by cycle.
    pub fn key(cycle: u64) -> String {
        format!("receipts/{cycle:08}.json")
    }
}
