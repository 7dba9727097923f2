//! What calls of the warehouse are about.

use pipeline::Table;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wap::{AttemptId, Identifier, Manifest, PartitionKey, Slot};

use crate::Error;

/// Where a query reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// What readers see.
    Live,
    /// A slot, by its own names: `layer.relation`.
    Slot(Slot),
}

/// What an attempt reads of one table.
#[derive(Debug, Clone)]
pub struct Pin {
    pub table: Table,
    /// All admitted partitions.
    pub partitions: Vec<PinnedPartition>,
    /// Content of the changed partitions, before and after.
    pub changed: Vec<Manifest>,
}

/// One admitted partition.
#[derive(Debug, Clone)]
pub struct PinnedPartition {
    pub manifest: Manifest,
    /// Whether every partition since the start of the pipeline is admitted.
    pub is_contiguous: bool,
}

/// The view that says which cycle it is, in every slot and where readers look.
pub const DEPLOYMENT: &str = "deployment";

/// What readers shall see of a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publication {
    pub views: Vec<PublishedView>,
    pub deployment: DeploymentRow,
}

impl Publication {
    /// Where the publication of an attempt is stored.
    pub fn key(attempt: &AttemptId) -> String {
        format!("publications/{attempt}.json")
    }

    /// Itself, if it is what was stored for this slot, and else what is wrong.
    pub fn of(self, slot: &Slot) -> Result<Self, Error> {
        let row = &self.deployment;
        if row.attempt == slot.attempt && row.cycle == slot.cycle {
            return Ok(self);
        }
        let key = Self::key(&slot.attempt);
        Err(Error::internal(format!(
            "{key} is not what belongs there: it is that of attempt {} for cycle {}; begin a new attempt, or put the right \
             object back",
            row.attempt, row.cycle
        )))
    }
}

/// One view in `live`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedView {
    pub name: Identifier,
    /// Schema (layer) and relation in the slot.
    pub schema: Identifier,
    pub relation: Identifier,
    /// The area of the business it belongs to, for people.
    pub area: Option<String>,
    pub description: String,
    /// Every column, in order; empty: those that the relation has.
    pub columns: Vec<PublishedColumn>,
}

/// A column of a view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedColumn {
    pub name: Identifier,
    pub description: String,
}

/// The one row of the view `deployment`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeploymentRow {
    pub cycle: u64,
    pub attempt: AttemptId,
    pub newest_partition: Option<PartitionKey>,
    pub held: Vec<PartitionKey>,
}

/// The answer to a query.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Value>>,
    /// Whether there were more rows than the limit.
    pub is_cut: bool,
}

impl Rows {
    /// The one value of a query such as `select count(*)`.
    pub fn single(&self) -> Option<&Value> {
        self.rows.first().and_then(|row| row.first())
    }

    /// Rows as JSON objects.
    pub fn objects(&self) -> Vec<Value> {
        self.rows
            .iter()
            .map(|row| Value::Object(self.columns.iter().cloned().zip(row.iter().cloned()).collect()))
            .collect()
    }
}
