//! Admission and the work set: which content a cycle is built from, and which models that changes.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::guard::{self, Guard};
use crate::record::Hold;
use crate::{Digest, Identifier, LedgerEntry, PartitionKey};

/// The format version of [`Inputs`].
pub const INPUTS_VERSION: u32 = 1;

/// The content of every partition of every table: what a slot is built from.
pub type InputMap = BTreeMap<Identifier, BTreeMap<PartitionKey, Digest>>;

/// Everything that decides what is in a slot. Immutable, one an attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    pub version: u32,
    pub partitions: InputMap,
    /// Digest of every model (and seed and snapshot) by its id.
    pub models: BTreeMap<String, Digest>,
}

/// A partition whose content differs from the one that the live slot was built from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    pub table: Identifier,
    pub partition: PartitionKey,
    pub old: Option<Digest>,
    pub new: Option<Digest>,
}

/// A model as far as planning needs to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    pub digest: Digest,
    pub parents: BTreeSet<Parent>,
    /// Parents a difference in which can't be followed row by row: the model is then rebuilt in full.
    pub whole: BTreeSet<Parent>,
    /// Whether the model is a relation that `dbt build` makes (an ephemeral one is not).
    pub makes_relation: bool,
}

/// What a model reads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Parent {
    /// A table of `raw`.
    Table(Identifier),
    /// Another model, by its id.
    Model(String),
}

/// What a cycle has to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkSet {
    /// Partitions that differ, in order.
    pub changes: Vec<Change>,
    /// Models to build: every descendant of a changed partition, and the changed models with their descendants.
    pub build: BTreeSet<String>,
    /// Those of them that are rebuilt in full.
    pub full: BTreeSet<String>,
    /// Models that the live slot has and the project no longer has.
    pub removed: BTreeSet<String>,
}

impl WorkSet {
    /// Nothing differs: the live slot is what a build would give.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.build.is_empty() && self.removed.is_empty()
    }

    /// The partitions that differ, each once.
    pub fn partitions(&self) -> BTreeSet<PartitionKey> {
        self.changes.iter().map(|change| change.partition.clone()).collect()
    }
}

/// Admits what `raw` holds of complete partitions. A group of tables (those of one granularity) is complete for a
/// partition when every one of them has been loaded. Held partitions keep the content that `live` was built from;
/// content that `live` was built from and that the ledger no longer has stays too, for expiry is not deletion.
pub fn admit(
    groups: &[BTreeSet<Identifier>],
    ledger: &[LedgerEntry],
    held: &BTreeMap<PartitionKey, Hold>,
    live: &InputMap,
) -> InputMap {
    let mut loaded: BTreeMap<(&PartitionKey, &Identifier), &Digest> = BTreeMap::new();
    for entry in ledger {
        if let Some(step) = &entry.loaded {
            loaded.insert((&entry.partition, &entry.table), &step.digest);
        }
    }
    let known: BTreeSet<&Identifier> = groups.iter().flatten().collect();
    let mut admitted: InputMap = live
        .iter()
        .filter(|(table, _)| known.contains(table))
        .map(|(table, partitions)| (table.clone(), partitions.clone()))
        .collect();
    for group in groups {
        let partitions: BTreeSet<&PartitionKey> =
            loaded.keys().filter(|(_, table)| group.contains(*table)).map(|(partition, _)| *partition).collect();
        let is_free = |partition: &&PartitionKey| !held.contains_key(*partition) || !guard::stands(Guard::Held);
        for partition in partitions.into_iter().filter(is_free) {
            // A partition that is live already may be replaced table by table; a new one comes whole or not at all.
            let complete = group.iter().all(|table| {
                loaded.contains_key(&(partition, table))
                    || live.get(table).is_some_and(|partitions| partitions.contains_key(partition))
            });
            if !complete && guard::stands(Guard::Admission) {
                continue;
            }
            for table in group {
                if let Some(digest) = loaded.get(&(partition, table)) {
                    admitted.entry(table.clone()).or_default().insert(partition.clone(), (*digest).clone());
                }
            }
        }
    }
    admitted
}

/// The partitions in which two input maps differ.
pub fn changes(live: &InputMap, admitted: &InputMap) -> Vec<Change> {
    let tables: BTreeSet<&Identifier> = live.keys().chain(admitted.keys()).collect();
    let empty = BTreeMap::new();
    let mut changes = Vec::new();
    for table in tables {
        let old = live.get(table).unwrap_or(&empty);
        let new = admitted.get(table).unwrap_or(&empty);
        let partitions: BTreeSet<&PartitionKey> = old.keys().chain(new.keys()).collect();
        for partition in partitions {
            if old.get(partition) != new.get(partition) {
                changes.push(Change {
                    table: table.clone(),
                    partition: partition.clone(),
                    old: old.get(partition).cloned(),
                    new: new.get(partition).cloned(),
                });
            }
        }
    }
    changes
}

/// Plans a cycle: `live` is what readers see (nothing, before the first publish), `admitted` what may be built from,
/// `models` the project by model id. Models reached through several parents are planned once.
pub fn plan(live: Option<&Inputs>, admitted: &InputMap, models: &BTreeMap<String, Model>) -> WorkSet {
    let nothing = Inputs::default();
    let live = live.unwrap_or(&nothing);
    let changes = changes(&live.partitions, admitted);
    let changed_tables: BTreeSet<&Identifier> = changes.iter().map(|change| &change.table).collect();
    // Tables that have nothing admitted yet still have to exist for the models that read them.
    let mut build: BTreeSet<String> = BTreeSet::new();
    let mut full: BTreeSet<String> = BTreeSet::new();
    for (id, model) in models {
        if live.models.get(id) != Some(&model.digest) {
            build.insert(id.clone());
            full.insert(id.clone());
        }
        if model.parents.iter().any(|parent| matches!(parent, Parent::Table(table) if changed_tables.contains(table))) {
            build.insert(id.clone());
        }
    }
    // To the fixed point: the graph is a few hundred nodes, and each round settles at least one generation.
    loop {
        let before = (build.len(), full.len());
        for (id, model) in models {
            for parent in &model.parents {
                let Parent::Model(parent) = parent else { continue };
                if build.contains(parent) {
                    build.insert(id.clone());
                }
                if full.contains(parent) {
                    full.insert(id.clone());
                }
            }
            let whole_differs = model.whole.iter().any(|parent| match parent {
                Parent::Table(table) => changed_tables.contains(table),
                Parent::Model(parent) => build.contains(parent),
            });
            if whole_differs {
                full.insert(id.clone());
            }
        }
        if before == (build.len(), full.len()) {
            break;
        }
    }
    let makes_relation = |id: &String| models.get(id).is_some_and(|model| model.makes_relation);
    WorkSet {
        changes,
        build: build.into_iter().filter(makes_relation).collect(),
        full: full.into_iter().filter(makes_relation).collect(),
        removed: live.models.keys().filter(|id| !models.contains_key(*id)).cloned().collect(),
    }
}

#[cfg(test)]
#[path = "work_tests.rs"]
mod tests;
