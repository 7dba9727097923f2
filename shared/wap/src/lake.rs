//! What extract leaves behind: immutable objects and the manifest that makes them visible.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Digest, Identifier, PartitionKey};

/// The format version of [`Manifest`] and [`LedgerEntry`].
pub const LAKE_VERSION: u32 = 1;

/// A column that every object has beside the contract's, as text: the partition's key. Neither it nor the two below
/// are part of the digest or of [`Manifest::columns`]. Their names begin with [`OWN_PREFIX`] and not with an underscore,
/// because BigQuery refuses columns whose names begin with `_PARTITION` in any letter case.
pub const PARTITION_COLUMN: &str = "bgp_partition";

/// What the clocks of the pipeline's time zone showed when the partition began (DATETIME: microseconds without a zone);
/// NULL for the partition `all`. A warehouse partitions by it.
pub const PARTITION_START_COLUMN: &str = "bgp_partition_start";

/// [`Manifest::load`], as text: tells rows that one extraction wrote from those of another.
pub const LOAD_COLUMN: &str = "bgp_load";

/// Columns of a contract may not begin with it, in any letter case.
pub const OWN_PREFIX: &str = "bgp_";

/// One table, one partition, one content. Named by its digest and never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub version: u32,
    pub table: Identifier,
    pub partition: PartitionKey,
    /// The window of log time (or of the cursor) that was read, half open; absent for the partition `all`.
    pub window: Option<(Timestamp, Timestamp)>,
    /// The digest of the rows: independent of their order and of how they are cut into objects.
    pub digest: Digest,
    /// The digest of the table's contract at extraction.
    pub contract: Digest,
    /// The id of the upload that wrote the objects: a part of their keys, and the value of [`LOAD_COLUMN`]. Absent
    /// where the objects are from before there was that column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<String>,
    pub rows: u64,
    /// Bytes of all objects.
    pub bytes: u64,
    pub columns: Vec<ManifestColumn>,
    pub objects: Vec<ManifestObject>,
    /// Sums over the integer and decimal columns that reconciliation compares, as decimal text.
    pub sums: BTreeMap<Identifier, String>,
}

/// A column as it stands in the objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestColumn {
    pub name: Identifier,
    /// The type by the name that pipeline.yaml uses for it.
    #[serde(rename = "type")]
    pub data_type: String,
    pub nullable: bool,
}

/// One Parquet object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestObject {
    pub key: String,
    pub generation: u64,
    pub rows: u64,
    pub bytes: u64,
    /// BLAKE3 of the object's bytes, so that a swapped or truncated object is noticed.
    pub checksum: Digest,
}

impl Manifest {
    /// Where a manifest of this identity is stored.
    pub fn key(table: &Identifier, partition: &PartitionKey, digest: &Digest) -> String {
        format!("manifests/{table}/{partition}/{digest}.json")
    }
}

/// What is known of one partition of one table: what was extracted last and what `raw` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerEntry {
    pub version: u32,
    pub table: Identifier,
    pub partition: PartitionKey,
    pub extracted: Option<LedgerStep>,
    /// When the source was last read for it: no earlier reading counts any more, however late it comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_at: Option<Timestamp>,
    pub loaded: Option<LedgerStep>,
}

/// One side of a [`LedgerEntry`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerStep {
    pub digest: Digest,
    pub rows: u64,
    pub bytes: u64,
    pub at: Timestamp,
}

impl LedgerEntry {
    /// An entry about which nothing is known yet.
    pub fn new(table: Identifier, partition: PartitionKey) -> Self {
        Self { version: LAKE_VERSION, table, partition, extracted: None, read_at: None, loaded: None }
    }

    /// Notes what was extracted from a source as it was at `read_at`, unless that was read later by somebody else.
    pub fn extract(&mut self, step: &LedgerStep, read_at: Timestamp) {
        if self.read_at.is_some_and(|newest| newest > read_at) {
            return;
        }
        self.read_at = Some(read_at);
        if self.extracted.as_ref().is_none_or(|known| known.digest != step.digest) {
            self.extracted = Some(step.clone());
        }
    }

    /// Where the entry is stored.
    pub fn key(table: &Identifier, partition: &PartitionKey) -> String {
        format!("ledger/{table}/{partition}.json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extraction_that_read_earlier_does_not_replace_one_that_read_later() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let step =
            |content: &str, second| LedgerStep { digest: Digest::of(content), rows: 1, bytes: 1, at: at(second) };
        let mut entry = LedgerEntry::new(Identifier::new("orders").unwrap(), PartitionKey::all());
        entry.extract(&step("new", 20), at(10));
        // Whoever read it at 5 slept until 30.
        entry.extract(&step("old", 30), at(5));
        assert_eq!(entry.extracted, Some(step("new", 20)));
        // The same again is no other extraction, but what was read before it is outdone by it, too.
        entry.extract(&step("new", 40), at(35));
        entry.extract(&step("old", 50), at(20));
        assert_eq!(entry.extracted, Some(step("new", 20)));
        entry.extract(&step("old", 60), at(36));
        assert_eq!(entry.extracted, Some(step("old", 60)));
    }
}
