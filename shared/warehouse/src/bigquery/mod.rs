//! BigQuery.
//!
//! **Slots.** A slot is a set of datasets, `PREFIX_COLOR_CYCLE_ATTEMPT_SCHEMA`: one for each layer, and `raw` (the pin),
//! `changes` and `live` (the slot's own view `deployment`). Its names carry the attempt's id, so nobody else ever writes
//! them. A new slot starts as clones of the live one's tables; its views are made anew over its own tables.
//!
//! **Raw, and why a late loader can do no harm.** `raw` is a projection of the lake for people, and nothing checks who
//! loads into it when: a process that was paused for an hour may replace a partition by what was right an hour ago. So no
//! attempt trusts it. A pin clones a table of raw into the slot and then reads, partition by partition, which upload its
//! rows are from (`bgp_load`) and how many they are. What is not exactly what was admitted is deleted there and loaded
//! from the lake, into the clone that only this attempt writes.
//!
//! **Readers.** The dataset `live` holds one view for each published table. BigQuery moves one view at a time; each patch
//! carries the etag that was read before the record was, so that whoever is late changes nothing ([`views`]). The
//! datasets of slots authorise all views of `live`; readers have no right on slots.
//!
//! **Jobs** have ids that follow from what they are for ([`jobs`]), and labels by pipeline, step, cycle and attempt.
//! Calls are repeated by the rules of [`google::retry`] only.

mod datasets;
mod jobs;
mod layout;
mod load;
mod names;
mod pin;
mod query;
mod raw;
mod rest;
mod restore;
mod rows;
mod schema;
mod slots;
mod statements;
mod tables;
mod values;
mod views;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use google::{Connection, Credentials};
use jiff::Timestamp;
use pipeline::{RawDataset, Table};
use store::ObjectStore;
use wap::{Digest, Identifier, Manifest, Slot};

use crate::{
    BuiltModel, Converged, Desired, Difference, Error, Loaded, Pin, Place, Publication, Rows, Statistics, Step,
    Warehouse, converge,
};
pub use datasets::Members;
use names::{CHANGES, LIVE, Names, RAW};
use rest::Rest;
use tables::TableName;
use views::LiveViews;

/// Where BigQuery is, and what is whose there.
#[derive(Debug, Clone)]
pub struct Settings {
    pub connection: Connection,
    /// The project that holds the datasets, and that jobs are billed to.
    pub project: String,
    /// The place of all datasets: `EU`, `us-central1`.
    pub location: String,
    /// The pipeline's name, a label of everything.
    pub pipeline: Identifier,
    /// First part of the names of slots' datasets.
    pub prefix: Identifier,
    /// The dataset that readers use.
    pub live: Identifier,
    /// The dataset that the lake is loaded into.
    pub raw: RawDataset,
    /// The dataset for tables that stage a load.
    pub operations: Identifier,
    /// The schemas that dbt builds in: one a layer, and the one for models in no layer.
    pub schemas: Vec<Identifier>,
    pub members: Members,
    /// Holds the lake.
    pub store: Arc<dyn ObjectStore>,
    /// The bucket that BigQuery reads the store's objects from.
    pub bucket: String,
    /// Somebody who may read `live` and nothing else. If given, what is to be published is read as that account first.
    pub reader: Option<Credentials>,
    /// Whether to make `raw`, `live` and `operations` where they are missing: for emulators. Elsewhere Terraform does.
    pub make_fixed_datasets: bool,
}

/// A warehouse in a project of BigQuery, for one step. Cheap to clone.
#[derive(Debug, Clone)]
pub struct BigQuery {
    rest: Rest,
    reader: Option<Rest>,
    names: Arc<Names>,
    location: Arc<str>,
    pipeline: Arc<Identifier>,
    schemas: Arc<[Identifier]>,
    members: Arc<Members>,
    store: Arc<dyn ObjectStore>,
    bucket: Arc<str>,
    step: Arc<Step>,
    statistics: Arc<Mutex<Statistics>>,
    /// Bytes that the step's jobs that run now may be billed for.
    reserved: Arc<Mutex<u64>>,
}

impl BigQuery {
    /// Opens the warehouse, and checks that its fixed datasets are there.
    pub async fn open(settings: Settings) -> Result<Self, Error> {
        let taken = |schema: &&Identifier| [RAW, CHANGES, LIVE].contains(&schema.as_str());
        if let Some(schema) = settings.schemas.iter().find(taken) {
            return Err(Error::rejected(format!(
                "a layer can't be called {schema}: every slot has a schema of that name; rename its folder"
            )));
        }
        let rest = Rest::new(&settings.connection, &settings.project).await?;
        let names = Names {
            project: settings.project,
            prefix: settings.prefix,
            raw: settings.raw.dataset.clone(),
            live: settings.live,
            operations: settings.operations,
        };
        let warehouse = Self {
            reader: settings.reader.map(|reader| rest.with_credentials(reader)),
            rest,
            names: Arc::new(names),
            location: settings.location.into(),
            pipeline: Arc::new(settings.pipeline),
            schemas: settings.schemas.into(),
            members: Arc::new(settings.members),
            store: settings.store,
            bucket: settings.bucket.into(),
            step: Arc::default(),
            statistics: Arc::default(),
            reserved: Arc::default(),
        };
        warehouse.check_fixed_datasets(&settings.raw, settings.make_fixed_datasets).await?;
        Ok(warehouse)
    }

    /// The dataset of a slot for one of its schemas, for dbt to write to.
    pub fn slot_dataset(&self, slot: &Slot, schema: &str) -> String {
        self.names.dataset(slot, schema)
    }

    fn count(&self, cost: Statistics) {
        *self.statistics.lock().unwrap_or_else(PoisonError::into_inner) += cost;
    }

    fn spent(&self) -> Statistics {
        *self.statistics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A text that is never the same twice.
fn unique() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

#[async_trait]
impl Warehouse for BigQuery {
    fn for_step(&self, step: Step) -> Arc<dyn Warehouse> {
        Arc::new(Self { step: Arc::new(step), statistics: Arc::default(), reserved: Arc::default(), ..self.clone() })
    }

    fn statistics(&self) -> Statistics {
        self.spent()
    }

    fn relation(&self, slot: &Slot, schema: &str, relation: &str) -> String {
        self.names.sql(&self.names.dataset(slot, schema), relation)
    }

    fn charge(&self, cost: Statistics) {
        self.count(cost);
    }

    async fn load(&self, table: &Table, manifest: &Manifest) -> Result<(), Error> {
        self.load_partition(table, manifest).await
    }

    async fn loaded(&self, table: &Table) -> Result<Vec<Loaded>, Error> {
        self.loaded_partitions(table).await
    }

    async fn create(&self, slot: &Slot, from: Option<&Slot>, without: &[BuiltModel]) -> Result<(), Error> {
        self.create_slot(slot, from, without).await
    }

    async fn pin(&self, slot: &Slot, pins: &[Pin]) -> Result<(), Error> {
        self.pin_all(slot, pins).await
    }

    async fn adopt(&self, slot: &Slot, from: &Slot, models: &[BuiltModel]) -> Result<bool, Error> {
        self.adopt_models(slot, from, models).await
    }

    async fn relations(&self, slot: &Slot) -> Result<Vec<(String, String)>, Error> {
        let found = self.slot_relations(slot).await?;
        Ok(found.into_iter().map(|relation| (relation.schema, relation.name.table)).collect())
    }

    async fn drop_relations(&self, slot: &Slot, relations: &[String]) -> Result<(), Error> {
        for relation in relations {
            let Some((schema, name)) = relation.split_once('.') else {
                return Err(Error::internal(format!("{relation} is no schema and relation")));
            };
            self.drop_table(&TableName::new(self.names.dataset(slot, schema), name)).await?;
        }
        Ok(())
    }

    async fn columns(&self, slot: &Slot, schema: &str, relation: &str) -> Result<Vec<(String, String)>, Error> {
        let table = self.table(&TableName::new(self.names.dataset(slot, schema), relation)).await?;
        let fields = table.map(|table| table.schema.fields).unwrap_or_default();
        Ok(fields.into_iter().map(|field| (field.name.clone(), field.sql_type())).collect())
    }

    async fn seal(&self, slot: &Slot, publication: &Publication) -> Result<Digest, Error> {
        self.seal_slot(slot, publication).await
    }

    async fn fingerprint(&self, slot: &Slot) -> Result<Digest, Error> {
        self.slot_fingerprint(slot).await
    }

    async fn dry_run(&self, slot: &Slot, publication: &Publication) -> Result<(), Error> {
        self.check_views(slot, publication).await
    }

    async fn converge(&self, desired: &dyn Desired) -> Result<Converged, Error> {
        converge(&LiveViews(self), desired).await
    }

    async fn differences(&self, slot: &Slot, publication: &Publication) -> Result<Vec<Difference>, Error> {
        self.published_differences(slot, publication).await
    }

    async fn published(&self) -> Result<Vec<String>, Error> {
        self.published_slots().await
    }

    async fn query(&self, place: &Place, sql: &str, limit: usize) -> Result<Rows, Error> {
        self.read_rows(place, sql, limit).await
    }

    async fn digest(&self, place: &Place, sql: &str) -> Result<Digest, Error> {
        self.digest_rows(place, sql).await
    }

    async fn restore(
        &self,
        slot: &Slot,
        schema: &str,
        relation: &str,
        at: Timestamp,
        into: &Identifier,
    ) -> Result<String, Error> {
        self.restore_table(slot, schema, relation, at, into).await
    }

    async fn cancel(&self, slot: &Slot) -> Result<usize, Error> {
        self.cancel_jobs(slot).await
    }

    async fn slots(&self) -> Result<Vec<String>, Error> {
        self.slot_names().await
    }

    async fn slot_bytes(&self, name: &str) -> Result<u64, Error> {
        self.slot_size(name).await
    }

    async fn drop_slot(&self, name: &str) -> Result<(), Error> {
        self.drop_slot_datasets(name).await
    }
}

#[cfg(test)]
mod tests;
