//! What work in the warehouse has cost.

use std::ops::AddAssign;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the jobs of a step have cost. An embedded warehouse costs nothing and counts nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Statistics {
    /// Jobs that were run.
    pub jobs: u64,
    /// Bytes that queries read.
    pub bytes_processed: u64,
    /// Bytes that queries are billed for.
    pub bytes_billed: u64,
    /// Computing time of all jobs, in milliseconds of one slot (of the warehouse's processors, not of this project's).
    pub slot_milliseconds: u64,
    /// Bytes of objects that load jobs read.
    pub bytes_loaded: u64,
    /// Tables that were cloned.
    pub clones: u64,
    /// Tables that were copied in full, because the chain of clones behind them was as long as is allowed.
    pub copies: u64,
}

impl AddAssign for Statistics {
    fn add_assign(&mut self, other: Self) {
        self.jobs += other.jobs;
        self.bytes_processed += other.bytes_processed;
        self.bytes_billed += other.bytes_billed;
        self.slot_milliseconds += other.slot_milliseconds;
        self.bytes_loaded += other.bytes_loaded;
        self.clones += other.clones;
        self.copies += other.copies;
    }
}
