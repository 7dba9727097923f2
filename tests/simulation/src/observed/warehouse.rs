use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use pipeline::Table;
use wap::{Digest, Identifier, Manifest, Slot};
use warehouse::{
    BuiltModel, Converged, Desired, Difference, Error, Loaded, Pin, Place, Publication, Rows, Statistics, Step,
    Warehouse,
};

use super::no_answer;
use crate::{Call, Process};

#[derive(Debug)]
pub(super) struct ObservedWarehouse {
    inner: Arc<dyn Warehouse>,
    process: Arc<Process>,
}

impl ObservedWarehouse {
    pub(super) fn new(inner: Arc<dyn Warehouse>, process: Arc<Process>) -> Self {
        Self { inner, process }
    }
}

pub(crate) fn lost(call: Call) -> impl FnOnce() -> Error {
    move || Error::Unavailable { what: call.name().to_owned(), source: Box::new(no_answer()) }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Warehouse for ObservedWarehouse {
    fn for_step(&self, step: Step) -> Arc<dyn Warehouse> {
        Arc::new(Self { inner: self.inner.for_step(step), process: self.process.clone() })
    }

    fn statistics(&self) -> Statistics {
        self.inner.statistics()
    }

    fn charge(&self, cost: Statistics) {
        self.inner.charge(cost);
    }

    fn relation(&self, slot: &Slot, schema: &str, relation: &str) -> String {
        self.inner.relation(slot, schema, relation)
    }

    async fn load(&self, table: &Table, manifest: &Manifest) -> Result<(), Error> {
        let (inner, table, manifest) = (self.inner.clone(), table.clone(), manifest.clone());
        let subject = table.name.clone();
        let work = async move { inner.load(&table, &manifest).await };
        self.process.call(Call::WarehouseLoad, subject.as_str(), lost(Call::WarehouseLoad), work).await
    }

    async fn loaded(&self, table: &Table) -> Result<Vec<Loaded>, Error> {
        let call = Call::WarehouseLoaded;
        self.process.call_here(call, table.name.as_str(), lost(call), self.inner.loaded(table)).await
    }

    async fn create(&self, slot: &Slot, from: Option<&Slot>, without: &[BuiltModel]) -> Result<(), Error> {
        let (inner, owned, from, without) = (self.inner.clone(), slot.clone(), from.cloned(), without.to_vec());
        let work = async move { inner.create(&owned, from.as_ref(), &without).await };
        self.process.call(Call::WarehouseCreate, &slot.name(), lost(Call::WarehouseCreate), work).await
    }

    async fn pin(&self, slot: &Slot, pins: &[Pin]) -> Result<(), Error> {
        let (inner, owned, pins) = (self.inner.clone(), slot.clone(), pins.to_vec());
        let work = async move { inner.pin(&owned, &pins).await };
        self.process.call(Call::WarehousePin, &slot.name(), lost(Call::WarehousePin), work).await
    }

    async fn adopt(&self, slot: &Slot, from: &Slot, models: &[BuiltModel]) -> Result<bool, Error> {
        let (inner, owned, from, models) = (self.inner.clone(), slot.clone(), from.clone(), models.to_vec());
        let work = async move { inner.adopt(&owned, &from, &models).await };
        self.process.call(Call::WarehouseAdopt, &slot.name(), lost(Call::WarehouseAdopt), work).await
    }

    async fn relations(&self, slot: &Slot) -> Result<Vec<(String, String)>, Error> {
        let call = Call::WarehouseRelations;
        self.process.call_here(call, &slot.name(), lost(call), self.inner.relations(slot)).await
    }

    async fn drop_relations(&self, slot: &Slot, relations: &[String]) -> Result<(), Error> {
        let (inner, owned, relations) = (self.inner.clone(), slot.clone(), relations.to_vec());
        let work = async move { inner.drop_relations(&owned, &relations).await };
        self.process.call(Call::WarehouseDropRelations, &slot.name(), lost(Call::WarehouseDropRelations), work).await
    }

    async fn columns(&self, slot: &Slot, schema: &str, relation: &str) -> Result<Vec<(String, String)>, Error> {
        let call = Call::WarehouseColumns;
        self.process.call_here(call, relation, lost(call), self.inner.columns(slot, schema, relation)).await
    }

    async fn seal(&self, slot: &Slot, publication: &Publication) -> Result<Digest, Error> {
        let (inner, owned, publication) = (self.inner.clone(), slot.clone(), publication.clone());
        let work = async move { inner.seal(&owned, &publication).await };
        self.process.call(Call::WarehouseSeal, &slot.name(), lost(Call::WarehouseSeal), work).await
    }

    async fn fingerprint(&self, slot: &Slot) -> Result<Digest, Error> {
        let call = Call::WarehouseFingerprint;
        self.process.call_here(call, &slot.name(), lost(call), self.inner.fingerprint(slot)).await
    }

    async fn dry_run(&self, slot: &Slot, publication: &Publication) -> Result<(), Error> {
        let call = Call::WarehouseDryRun;
        self.process.call_here(call, &slot.name(), lost(call), self.inner.dry_run(slot, publication)).await
    }

    async fn converge(&self, desired: &dyn Desired) -> Result<Converged, Error> {
        let call = Call::WarehouseConverge;
        self.process.call_here(call, "", lost(call), self.inner.converge(desired)).await
    }

    async fn differences(&self, slot: &Slot, publication: &Publication) -> Result<Vec<Difference>, Error> {
        let call = Call::WarehouseDifferences;
        self.process.call_here(call, &slot.name(), lost(call), self.inner.differences(slot, publication)).await
    }

    async fn published(&self) -> Result<Vec<String>, Error> {
        let call = Call::WarehousePublished;
        self.process.call_here(call, "", lost(call), self.inner.published()).await
    }

    async fn query(&self, place: &Place, sql: &str, limit: usize) -> Result<Rows, Error> {
        let call = Call::WarehouseQuery;
        self.process.call_here(call, "", lost(call), self.inner.query(place, sql, limit)).await
    }

    fn relation_of(&self, slots: &[Slot; 2], which: usize, schema: &str, relation: &str) -> String {
        self.inner.relation_of(slots, which, schema, relation)
    }

    async fn query_two(&self, slots: &[Slot; 2], sql: &str, limit: usize) -> Result<Rows, Error> {
        let call = Call::WarehouseQueryTwo;
        self.process.call_here(call, "", lost(call), self.inner.query_two(slots, sql, limit)).await
    }

    async fn digest(&self, place: &Place, sql: &str) -> Result<Digest, Error> {
        let call = Call::WarehouseDigest;
        self.process.call_here(call, "", lost(call), self.inner.digest(place, sql)).await
    }

    async fn restore(
        &self,
        slot: &Slot,
        schema: &str,
        relation: &str,
        at: Timestamp,
        into: &Identifier,
    ) -> Result<String, Error> {
        let call = Call::WarehouseRestore;
        let work = self.inner.restore(slot, schema, relation, at, into);
        self.process.call_here(call, relation, lost(call), work).await
    }

    async fn cancel(&self, slot: &Slot) -> Result<usize, Error> {
        let (inner, owned) = (self.inner.clone(), slot.clone());
        let work = async move { inner.cancel(&owned).await };
        self.process.call(Call::WarehouseCancel, &slot.name(), lost(Call::WarehouseCancel), work).await
    }

    async fn slots(&self) -> Result<Vec<String>, Error> {
        let call = Call::WarehouseSlots;
        self.process.call_here(call, "", lost(call), self.inner.slots()).await
    }

    async fn slot_bytes(&self, name: &str) -> Result<u64, Error> {
        let call = Call::WarehouseSlotBytes;
        self.process.call_here(call, name, lost(call), self.inner.slot_bytes(name)).await
    }

    async fn drop_slot(&self, name: &str) -> Result<(), Error> {
        let (inner, owned) = (self.inner.clone(), name.to_owned());
        let work = async move { inner.drop_slot(&owned).await };
        self.process.call(Call::WarehouseDropSlot, name, lost(Call::WarehouseDropSlot), work).await
    }
}
