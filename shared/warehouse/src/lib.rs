//! The warehouse: what the pipeline needs of BigQuery, and an embedded one (DuckDB) that gives the same.
//!
//! The trait is cut for BigQuery: every call is a job that may take long and may be repeated after an unknown outcome,
//! nothing is transactional across tables, and views are re-pointed one by one. Where DuckDB can do more it simply does.

#[cfg(feature = "google")]
mod bigquery;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
#[cfg(any(feature = "google", feature = "views"))]
mod converge;
#[cfg(feature = "duckdb")]
mod duckdb;
mod error;
#[cfg(any(feature = "duckdb", feature = "google"))]
mod lake;
mod place;
mod step;
#[cfg(any(feature = "duckdb", feature = "google"))]
mod text;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use pipeline::Table;
use wap::{Digest, Identifier, Manifest, PartitionKey, Slot};

#[cfg(feature = "google")]
pub use bigquery::{BigQuery, Members, Settings};
#[cfg(any(feature = "google", feature = "views"))]
pub use converge::{Views, converge};
#[cfg(feature = "duckdb")]
pub use duckdb::DuckDb;
pub use error::Error;
pub use place::{
    DEPLOYMENT, DeploymentRow, Pin, PinnedPartition, Place, Publication, PublishedColumn, PublishedView, Rows,
};
pub use step::Step;
pub use wap::Statistics;

/// A warehouse. Every method may be called again after an error or a lost answer and then has the same effect.
#[async_trait]
pub trait Warehouse: Debug + Send + Sync {
    /// The same warehouse for one step: its jobs carry the step's labels, are held to its budget, and are counted apart
    /// from those of every other step, also of one that runs at the same time.
    fn for_step(&self, step: Step) -> Arc<dyn Warehouse>;

    /// What the jobs of this step have cost so far.
    fn statistics(&self) -> Statistics;

    /// Counts what somebody else ran for this step: it is part of the step's cost, and of its budget.
    fn charge(&self, cost: Statistics);

    /// The text by which a query names a relation of a slot. Names are never replaced in the text of a query.
    fn relation(&self, slot: &Slot, schema: &str, relation: &str) -> String;

    /// Replaces one partition of one raw table by the content of a manifest: readers of `raw` see the partition before
    /// or after, never between.
    async fn load(&self, table: &Table, manifest: &Manifest) -> Result<(), Error>;

    /// What is loaded of a table. A partition of which that can't be told counts as not loaded.
    async fn loaded(&self, table: &Table) -> Result<Vec<Loaded>, Error>;

    /// Makes the place of an attempt, starting from the content of `from` where there is one; views of `from` may not be
    /// there before the place is pinned. A place is made once: [`Error::Conflict`] if there is anything of this name. To
    /// empty it would be to delete, and a deletion that arrives late could find a place that is published by then.
    ///
    /// Models of `without` will be adopted from another slot and need not be there before.
    async fn create(&self, slot: &Slot, from: Option<&Slot>, without: &[BuiltModel]) -> Result<(), Error>;

    /// Fixes what the attempt reads: schema `raw` holds the pinned rows of each table, schema `changes` those of the
    /// partitions that differ from the live slot, as `raw__TABLE`. Nothing that happens to `raw` later matters to it.
    async fn pin(&self, slot: &Slot, pins: &[Pin]) -> Result<(), Error>;

    /// Takes over what was built in another slot: each model's relation and what it notes in schema `changes` (`NAME`,
    /// `NAME__rebuilt`), parents first. Somebody may still be writing elsewhere in that slot. `false` if the slot can't be
    /// read now, nothing is taken, and this slot is whole without.
    async fn adopt(&self, slot: &Slot, from: &Slot, models: &[BuiltModel]) -> Result<bool, Error>;

    /// All tables and views of a slot, as schema and name.
    async fn relations(&self, slot: &Slot) -> Result<Vec<(String, String)>, Error>;

    /// Drops relations, `schema.relation`, of models that the project no longer has. That one is not there is no error.
    async fn drop_relations(&self, slot: &Slot, relations: &[String]) -> Result<(), Error>;

    /// The columns of a relation of a slot, in order, with the warehouse's names of their types. Empty if there is no
    /// such relation.
    async fn columns(&self, slot: &Slot, schema: &str, relation: &str) -> Result<Vec<(String, String)>, Error>;

    /// Ends all writing to the slot, adds what readers need, and returns its fingerprint.
    async fn seal(&self, slot: &Slot, publication: &Publication) -> Result<Digest, Error>;

    /// The content of a sealed slot, as a digest: any change to it changes this.
    async fn fingerprint(&self, slot: &Slot) -> Result<Digest, Error>;

    /// Checks that every view could be made over the slot, without making any.
    async fn dry_run(&self, slot: &Slot, publication: &Publication) -> Result<(), Error>;

    /// Makes what readers see equal to what `desired` says, asking it again whenever somebody else may have changed it,
    /// and stopping as soon as it names another slot. Returns for how long views showed different slots.
    async fn converge(&self, desired: &dyn Desired) -> Result<Converged, Error>;

    /// How what readers see, and who may write it, differs from a published slot and its publication.
    async fn differences(&self, slot: &Slot, publication: &Publication) -> Result<Vec<Difference>, Error>;

    /// The slots that published views show now: one, or more while views are moved from one to another. Empty if
    /// nothing is published.
    async fn published(&self) -> Result<Vec<String>, Error>;

    /// Reads at most `limit` rows.
    async fn query(&self, place: &Place, sql: &str, limit: usize) -> Result<Rows, Error>;

    /// The text by which a query over two slots names a relation of one of them: the first (0) or the second (1).
    fn relation_of(&self, slots: &[Slot; 2], which: usize, schema: &str, relation: &str) -> String {
        self.relation(&slots[which.min(1)], schema, relation)
    }

    /// Reads at most `limit` rows of a query over two slots.
    async fn query_two(&self, slots: &[Slot; 2], sql: &str, limit: usize) -> Result<Rows, Error> {
        // Where a relation's name says its slot, any place will do.
        self.query(&Place::Slot(slots[1].clone()), sql, limit).await
    }

    /// The canonical digest of all rows of a query.
    async fn digest(&self, place: &Place, sql: &str) -> Result<Digest, Error>;

    /// Copies a relation of a slot, as it was at a time, into a dataset that is none of the pipeline's, and returns the copy's
    /// name. For warehouses that remember; others refuse.
    async fn restore(
        &self,
        slot: &Slot,
        schema: &str,
        relation: &str,
        at: Timestamp,
        into: &Identifier,
    ) -> Result<String, Error>;

    /// Asks the warehouse to cancel the jobs that still run for an attempt, whoever started them, and returns how many there were. For
    /// an attempt that was overtaken: what it still writes goes where nobody looks, but costs.
    async fn cancel(&self, slot: &Slot) -> Result<usize, Error>;

    /// Names of all slots that exist.
    async fn slots(&self) -> Result<Vec<String>, Error>;

    /// Bytes that a slot takes; none if it is not there.
    async fn slot_bytes(&self, name: &str) -> Result<u64, Error>;

    /// Drops a slot. That it is not there is no error.
    async fn drop_slot(&self, name: &str) -> Result<(), Error>;
}

/// A model that was built in a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltModel {
    /// By this it goes in schema `changes`.
    pub name: String,
    /// Where its relation is, and what that is called.
    pub schema: Identifier,
    pub relation: String,
}

impl BuiltModel {
    /// All that may be taken over of it, as schema and name, and whether it must be there.
    pub fn relations(&self) -> [(String, String, bool); 3] {
        let noted = |name: String| ("changes".to_owned(), name, false);
        [
            (self.schema.as_str().to_owned(), self.relation.clone(), true),
            noted(self.name.clone()),
            noted(format!("{}__rebuilt", self.name)),
        ]
    }
}

/// A partition of a table in raw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    pub partition: PartitionKey,
    /// The upload whose rows it holds; the content's digest where the upload is from before there was an id.
    pub load: String,
}

/// Something that readers see otherwise than was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The view, dataset or link.
    pub subject: String,
    pub found: String,
    pub expected: String,
    /// Whether [`Warehouse::converge`] makes it right.
    pub converges: bool,
}

/// What readers shall see, read anew each time it matters.
#[async_trait]
pub trait Desired: Send + Sync {
    /// The slot that the record names now, and its views; `None` if there is nothing published.
    async fn desired(&self) -> Result<Option<(Slot, Publication)>, Error>;

    /// Views that were given up: one that the slot does not have is taken from readers. No other ever is.
    async fn retired(&self) -> Result<BTreeSet<Identifier>, Error> {
        Ok(BTreeSet::new())
    }
}

/// How converging ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Converged {
    /// The slot that every view shows now.
    pub slot: Slot,
    /// For how long views showed different slots.
    pub mixed: Duration,
    /// Whether anything had to be changed.
    pub changed: bool,
}
