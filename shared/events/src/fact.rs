//! The facts that are announced: a struct for the data of each type of event.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wap::{AttemptId, Digest, Identifier, PartitionKey, RunId};

use crate::Error;

/// A partition was read from its source and is complete in the lake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PartitionExtracted {
    /// The table, as pipeline.yaml names it.
    #[schemars(with = "String")]
    pub table: Identifier,
    /// The partition: `2025-08-01T05`, `2025-08-01`, `2025-08` or `all`.
    #[schemars(with = "String")]
    pub partition: PartitionKey,
    /// The digest of its rows. The manifest is at `manifests/TABLE/PARTITION/DIGEST.json` in the bucket.
    #[schemars(with = "String")]
    pub digest: Digest,
    /// Rows in all objects.
    pub rows: u64,
    /// Bytes of all objects.
    pub bytes: u64,
    /// When the ledger recorded it. The same content can come back after another one, and is told apart by this.
    pub at: Timestamp,
}

/// A partition of `raw` was replaced by what was extracted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PartitionLoaded {
    /// The table, as pipeline.yaml names it.
    #[schemars(with = "String")]
    pub table: Identifier,
    /// The partition.
    #[schemars(with = "String")]
    pub partition: PartitionKey,
    /// The digest of its rows.
    #[schemars(with = "String")]
    pub digest: Digest,
    /// Rows that the partition has now.
    pub rows: u64,
    /// Bytes of the objects that were loaded.
    pub bytes: u64,
    /// When the ledger recorded it.
    pub at: Timestamp,
}

/// An audit found something wrong, so the attempt is not published. Readers see what they saw before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditRefused {
    /// The run.
    #[schemars(with = "String")]
    pub run: RunId,
    /// The attempt that was refused.
    #[schemars(with = "String")]
    pub attempt: AttemptId,
    /// The cycle that it would have become.
    pub cycle: u64,
    /// The partitions that it would have brought in.
    #[schemars(with = "Vec<String>")]
    pub partitions: Vec<PartitionKey>,
    /// What failed. Rows are not shown.
    pub rules: Vec<BrokenRule>,
    /// The same in one line, for people.
    pub reason: String,
    /// When the record took note of it.
    pub at: Timestamp,
}

/// A rule that an audit found broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BrokenRule {
    /// The dbt test, reconciliation or volume rule.
    pub rule: String,
    /// The table or model it is about.
    pub subject: String,
    /// Rows, or differences, that break it.
    pub failures: u64,
}

/// A cycle was published: readers see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CyclePublished {
    /// The run.
    #[schemars(with = "String")]
    pub run: RunId,
    /// The cycle. Its receipt is at `receipts/CYCLE.json` in the bucket, with eight digits.
    pub cycle: u64,
    /// The attempt that became it.
    #[schemars(with = "String")]
    pub attempt: AttemptId,
    /// The name of its slot.
    pub slot: String,
    /// The newest partition in it.
    #[schemars(with = "Option<String>")]
    pub newest_partition: Option<PartitionKey>,
    /// Partitions that are held back: they are as the cycle before had them.
    #[schemars(with = "Vec<String>")]
    pub held: Vec<PartitionKey>,
    /// The published views.
    #[schemars(with = "Vec<String>")]
    pub views: Vec<Identifier>,
    /// When the record was committed.
    pub at: Timestamp,
}

/// Readers see the slot again that was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CycleRolledBack {
    /// The cycle that the rollback itself counts as.
    pub cycle: u64,
    /// The name of the slot that was live.
    pub from: String,
    /// The name of the slot that is live now.
    pub to: String,
    /// Partitions that are held back because of it.
    #[schemars(with = "Vec<String>")]
    pub held: Vec<PartitionKey>,
    /// When the record was committed.
    pub at: Timestamp,
}

/// A run ended without having done what it was started for, for another reason than an audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunFailed {
    /// The run.
    #[schemars(with = "String")]
    pub run: RunId,
    /// The partition that it was about.
    #[schemars(with = "Option<String>")]
    pub partition: Option<PartitionKey>,
    /// The step that failed, if one did.
    pub step: Option<String>,
    /// Stable, for programs.
    pub code: String,
    /// For people: what happened, to what, and what to do next.
    pub detail: String,
    /// When the run ended.
    pub at: Timestamp,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    PartitionExtracted(PartitionExtracted),
    PartitionLoaded(PartitionLoaded),
    AuditRefused(AuditRefused),
    CyclePublished(CyclePublished),
    CycleRolledBack(CycleRolledBack),
    RunFailed(RunFailed),
}

impl Fact {
    /// The `type` of its event. A change that old readers would misread gets a new version.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::PartitionExtracted(_) => kinds::PARTITION_EXTRACTED,
            Self::PartitionLoaded(_) => kinds::PARTITION_LOADED,
            Self::AuditRefused(_) => kinds::AUDIT_REFUSED,
            Self::CyclePublished(_) => kinds::CYCLE_PUBLISHED,
            Self::CycleRolledBack(_) => kinds::CYCLE_ROLLED_BACK,
            Self::RunFailed(_) => kinds::RUN_FAILED,
        }
    }

    /// The `id` of its event: a function of what identifies the fact, and nothing else. It is harmless in a file name.
    pub fn id(&self) -> String {
        let identity = match self {
            Self::PartitionExtracted(PartitionExtracted { table, partition, digest, at, .. })
            | Self::PartitionLoaded(PartitionLoaded { table, partition, digest, at, .. }) => {
                format!("{table}/{partition}/{digest}/{at}")
            }
            Self::AuditRefused(refused) => refused.attempt.to_string(),
            // An attempt can become live twice: by its publish, and by a rollback to it.
            Self::CyclePublished(published) => format!("{}/{}", published.cycle, published.attempt),
            Self::CycleRolledBack(rolled_back) => format!("{}/{}", rolled_back.cycle, rolled_back.to),
            Self::RunFailed(failed) => failed.run.to_string(),
        };
        Digest::of(format!("{}/{identity}", self.kind())).to_string()
    }

    /// The `subject` of its event, to filter by: what it happened to.
    pub fn subject(&self) -> String {
        match self {
            Self::PartitionExtracted(PartitionExtracted { table, partition, .. })
            | Self::PartitionLoaded(PartitionLoaded { table, partition, .. }) => format!("{table}/{partition}"),
            Self::AuditRefused(refused) => format!("attempts/{}", refused.attempt),
            Self::CyclePublished(published) => format!("cycles/{}", published.cycle),
            Self::CycleRolledBack(rolled_back) => format!("cycles/{}", rolled_back.cycle),
            Self::RunFailed(failed) => format!("runs/{}", failed.run),
        }
    }

    /// When it happened.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::PartitionExtracted(PartitionExtracted { at, .. })
            | Self::PartitionLoaded(PartitionLoaded { at, .. })
            | Self::AuditRefused(AuditRefused { at, .. })
            | Self::CyclePublished(CyclePublished { at, .. })
            | Self::CycleRolledBack(CycleRolledBack { at, .. })
            | Self::RunFailed(RunFailed { at, .. }) => *at,
        }
    }

    /// The data of its event.
    pub(crate) fn data(&self) -> Result<Value, Error> {
        let data = match self {
            Self::PartitionExtracted(data) => serde_json::to_value(data),
            Self::PartitionLoaded(data) => serde_json::to_value(data),
            Self::AuditRefused(data) => serde_json::to_value(data),
            Self::CyclePublished(data) => serde_json::to_value(data),
            Self::CycleRolledBack(data) => serde_json::to_value(data),
            Self::RunFailed(data) => serde_json::to_value(data),
        };
        data.map_err(|error| Error::rejected(format!("a {} event can't be written as JSON: {error}", self.kind())))
    }

    /// The fact that an event of type `kind` tells; nothing if this project has no such type.
    pub(crate) fn from_data(kind: &str, data: Value) -> Result<Option<Self>, Error> {
        fn read<T: DeserializeOwned>(kind: &str, data: Value) -> Result<T, Error> {
            serde_json::from_value(data).map_err(|error| {
                Error::rejected(format!("the data of a {kind} event does not fit its schema: {error}"))
            })
        }
        let fact = match kind {
            kinds::PARTITION_EXTRACTED => Self::PartitionExtracted(read(kind, data)?),
            kinds::PARTITION_LOADED => Self::PartitionLoaded(read(kind, data)?),
            kinds::AUDIT_REFUSED => Self::AuditRefused(read(kind, data)?),
            kinds::CYCLE_PUBLISHED => Self::CyclePublished(read(kind, data)?),
            kinds::CYCLE_ROLLED_BACK => Self::CycleRolledBack(read(kind, data)?),
            kinds::RUN_FAILED => Self::RunFailed(read(kind, data)?),
            _ => return Ok(None),
        };
        Ok(Some(fact))
    }
}

mod kinds {
    pub(super) const PARTITION_EXTRACTED: &str = "dev.bluegreenprint.partition.extracted.v1";
    pub(super) const PARTITION_LOADED: &str = "dev.bluegreenprint.partition.loaded.v1";
    pub(super) const AUDIT_REFUSED: &str = "dev.bluegreenprint.audit.refused.v1";
    pub(super) const CYCLE_PUBLISHED: &str = "dev.bluegreenprint.cycle.published.v1";
    pub(super) const CYCLE_ROLLED_BACK: &str = "dev.bluegreenprint.cycle.rolledback.v1";
    pub(super) const RUN_FAILED: &str = "dev.bluegreenprint.run.failed.v1";
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use schemars::{Schema, schema_for};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_754_006_400 + second).unwrap()
    }

    pub(crate) fn extracted(digest: &str, second: i64) -> Fact {
        Fact::PartitionExtracted(PartitionExtracted {
            table: Identifier::new("orders").unwrap(),
            partition: PartitionKey::new("2025-08-01").unwrap(),
            digest: Digest::of(digest),
            rows: 10,
            bytes: 1000,
            at: at(second),
        })
    }

    /// One of each type, with its schema.
    fn each() -> Vec<(Fact, Schema)> {
        let (run, attempt) = (RunId::new("run-1").unwrap(), AttemptId::new("4f09c1ab22").unwrap());
        let partition = PartitionKey::new("2025-08-01").unwrap();
        let loaded = PartitionLoaded {
            table: Identifier::new("orders").unwrap(),
            partition: partition.clone(),
            digest: Digest::of("rows"),
            rows: 10,
            bytes: 1000,
            at: at(1),
        };
        let refused = AuditRefused {
            run: run.clone(),
            attempt: attempt.clone(),
            cycle: 3,
            partitions: vec![partition.clone()],
            rules: vec![BrokenRule { rule: "not_null".to_owned(), subject: "orders".to_owned(), failures: 2 }],
            reason: "not_null on orders: 2 rows".to_owned(),
            at: at(2),
        };
        let published = CyclePublished {
            run: run.clone(),
            cycle: 3,
            attempt,
            slot: "blue_3_4f09c1ab22".to_owned(),
            newest_partition: Some(partition.clone()),
            held: vec![],
            views: vec![Identifier::new("orders").unwrap()],
            at: at(3),
        };
        let rolled_back = CycleRolledBack {
            cycle: 4,
            from: "blue_3_4f09c1ab22".to_owned(),
            to: "green_2_0a1b2c3d4e".to_owned(),
            held: vec![partition.clone()],
            at: at(4),
        };
        let failed = RunFailed {
            run,
            partition: Some(partition),
            step: Some("transform".to_owned()),
            code: "unavailable".to_owned(),
            detail: "the store failed while reading".to_owned(),
            at: at(5),
        };
        vec![
            (extracted("rows", 0), schema_for!(PartitionExtracted)),
            (Fact::PartitionLoaded(loaded), schema_for!(PartitionLoaded)),
            (Fact::AuditRefused(refused), schema_for!(AuditRefused)),
            (Fact::CyclePublished(published), schema_for!(CyclePublished)),
            (Fact::CycleRolledBack(rolled_back), schema_for!(CycleRolledBack)),
            (Fact::RunFailed(failed), schema_for!(RunFailed)),
        ]
    }

    fn schema_file(fact: &Fact) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("schemas/{}.json", fact.kind()))
    }

    fn schema_text(schema: &Schema) -> String {
        serde_json::to_string_pretty(schema).unwrap() + "\n"
    }

    #[test]
    fn the_documented_schemas_are_those_of_the_types() {
        for (fact, schema) in each() {
            let file = schema_file(&fact);
            let documented = std::fs::read_to_string(&file).unwrap_or_default();
            assert_eq!(
                documented,
                schema_text(&schema),
                "{} is not the schema of its type; if readers can live with the change, write it anew: \
                 cargo test -p events -- --ignored write_schemas",
                file.display()
            );
        }
        let files = std::fs::read_dir(schema_file(&extracted("", 0)).parent().unwrap()).unwrap().count();
        assert_eq!(files, each().len(), "a schema is left of a type that is no more");
    }

    #[test]
    #[ignore = "writes the files that the test before this compares"]
    fn write_schemas() {
        for (fact, schema) in each() {
            std::fs::write(schema_file(&fact), schema_text(&schema)).unwrap();
        }
    }

    #[test]
    fn facts_survive_being_written_and_read() {
        for (fact, _) in each() {
            let read = Fact::from_data(fact.kind(), fact.data().unwrap()).unwrap();
            assert_eq!(read, Some(fact));
        }
        assert_eq!(Fact::from_data("com.example.other", Value::Null).unwrap(), None);
    }

    #[test]
    fn the_same_fact_has_the_same_id_and_another_has_another() {
        assert_eq!(extracted("a", 0).id(), extracted("a", 0).id());
        let ids: BTreeSet<_> = each().iter().map(|(fact, _)| fact.id()).collect();
        assert_eq!(ids.len(), each().len());
        // A content that comes back after another one is news.
        assert_eq!(BTreeSet::from([extracted("a", 0).id(), extracted("b", 1).id(), extracted("a", 2).id()]).len(), 3);
    }

    #[test]
    fn readers_live_with_fields_they_do_not_know() {
        let fact = extracted("a", 0);
        let mut data = fact.data().unwrap();
        data["added_later"] = Value::Bool(true);
        assert_eq!(Fact::from_data(fact.kind(), data).unwrap(), Some(fact));
    }
}
