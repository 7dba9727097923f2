//! BigQuery: slots with rights, clones of a bounded depth, tables with a time of their last change.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use pipeline::Table;
use serde_json::Value;
use tokio::time::{Instant, sleep_until};
use wap::guard::{Guard, stands};
use wap::{Digest, Identifier, Manifest, Slot};
use warehouse::{
    BuiltModel, Converged, DEPLOYMENT, Desired, Difference, Error, Loaded, Pin, Place, Publication, Rows, Statistics,
    Step, Warehouse, converge,
};

use super::views::LiveViews;
use super::{Content, Inner, ROWS, Relation, SlotState, World};
use crate::Process;

/// The schema of `deployment`.
pub(super) const OWN_SCHEMA: &str = "live";
pub(super) const RAW: &str = "raw";

/// How long it takes until an authorisation is known everywhere.
const AUTHORISATION: Duration = Duration::from_secs(20);

/// How many clones may stand behind a table.
const MAX_DEPTH: u32 = 3;

#[derive(Debug, Clone)]
pub(super) struct SimulatedWarehouse {
    pub(super) world: Arc<World>,
    pub(super) process: Arc<Process>,
}

fn gone(slot: &str) -> Error {
    Error::NotFound { what: format!("slot {slot}"), next: "begin a new attempt".to_owned() }
}

pub(super) fn writable<'a>(inner: &'a mut Inner, slot: &str) -> Result<&'a mut SlotState, Error> {
    let state = inner.slots.get_mut(slot).ok_or_else(|| gone(slot))?;
    if state.is_writable { Ok(state) } else { Err(Error::rejected(format!("nobody may write slot {slot} any more"))) }
}

fn fingerprint(state: &SlotState) -> Digest {
    let traces: Vec<_> =
        state.relations.iter().map(|(name, relation)| (name, relation.version, relation.content.len())).collect();
    Digest::of(format!("{traces:?}"))
}

/// The relation that a query names, as [`Warehouse::relation`] does.
fn relation_of<'a>(inner: &'a Inner, sql: &str) -> Option<&'a Relation> {
    let name = sql.split(" FROM ").nth(1)?.split_whitespace().next()?;
    let [slot, schema, relation] = name.split('/').collect::<Vec<_>>().try_into().ok()?;
    inner.slots.get(slot)?.relations.get(&(schema.to_owned(), relation.to_owned()))
}

#[async_trait]
impl Warehouse for SimulatedWarehouse {
    fn for_step(&self, _: Step) -> Arc<dyn Warehouse> {
        Arc::new(self.clone())
    }

    fn statistics(&self) -> Statistics {
        Statistics::default()
    }

    fn charge(&self, _: Statistics) {}

    fn relation(&self, slot: &Slot, schema: &str, relation: &str) -> String {
        format!("{}/{schema}/{relation}", slot.name())
    }

    async fn load(&self, table: &Table, manifest: &Manifest) -> Result<(), Error> {
        self.world.change(|inner| {
            inner.raw.insert((table.name.clone(), manifest.partition.clone()), manifest.digest.clone());
        });
        Ok(())
    }

    async fn loaded(&self, table: &Table) -> Result<Vec<Loaded>, Error> {
        let inner = self.world.lock();
        let of_table = inner.raw.iter().filter(|((name, _), _)| name == &table.name);
        Ok(of_table
            .map(|((_, partition), digest)| Loaded { partition: partition.clone(), load: digest.to_string() })
            .collect())
    }

    async fn create(&self, slot: &Slot, from: Option<&Slot>, without: &[BuiltModel]) -> Result<(), Error> {
        self.world.change(|inner| {
            if stands(Guard::NamesOnce) && inner.names.contains(&slot.name()) {
                let next = "an earlier try made it; begin a new attempt".to_owned();
                return Err(Error::Conflict { what: format!("slot {slot}"), next });
            }
            let is_readable_from = Some(Instant::now() + AUTHORISATION);
            let mut state = SlotState { is_writable: true, is_readable_from, ..SlotState::default() };
            if let Some(from) = from {
                let version = inner.tick();
                let source = inner.slots.get(&from.name()).ok_or_else(|| gone(&from.name()))?;
                for (name, relation) in &source.relations {
                    let is_left_out = |model: &BuiltModel| model.schema.as_str() == name.0 && model.relation == name.1;
                    if name.0 == OWN_SCHEMA || name.0 == RAW || without.iter().any(is_left_out) {
                        continue;
                    }
                    // At the limit the table is copied in full.
                    let depth = if relation.depth == MAX_DEPTH { 0 } else { relation.depth + 1 };
                    let copy = Relation { content: relation.content.clone(), version, depth };
                    state.relations.insert(name.clone(), copy);
                }
            }
            inner.names.insert(slot.name());
            inner.slots.insert(slot.name(), state);
            Ok(())
        })
    }

    async fn pin(&self, slot: &Slot, pins: &[Pin]) -> Result<(), Error> {
        self.world.change(|inner| {
            let version = inner.tick();
            let state = writable(inner, &slot.name())?;
            for pin in pins {
                let content: Content = pin
                    .partitions
                    .iter()
                    .map(|pinned| (pinned.manifest.partition.clone(), pinned.manifest.digest.clone()))
                    .collect();
                let table = pin.table.name.as_str().to_owned();
                let changed: BTreeSet<_> = pin.changed.iter().map(|manifest| manifest.partition.clone()).collect();
                state.changed.insert(table.clone(), changed);
                state.relations.insert((RAW.to_owned(), table), Relation { content, version, depth: 0 });
            }
            Ok(())
        })
    }

    async fn adopt(&self, slot: &Slot, from: &Slot, models: &[BuiltModel]) -> Result<bool, Error> {
        self.world.change(|inner| {
            let version = inner.tick();
            let source = inner.slots.get(&from.name()).ok_or_else(|| gone(&from.name()))?;
            let mut taken = Vec::new();
            for (schema, name, is_required) in models.iter().flat_map(BuiltModel::relations) {
                match source.relations.get(&(schema.clone(), name.clone())) {
                    Some(relation) => {
                        let depth = if relation.depth == MAX_DEPTH { 0 } else { relation.depth + 1 };
                        taken.push(((schema, name), Relation { version, depth, ..relation.clone() }));
                    }
                    None if is_required => {
                        return Err(Error::rejected(format!("{schema}.{name} is not in slot {from}")));
                    }
                    None => {}
                }
            }
            writable(inner, &slot.name())?.relations.extend(taken);
            *inner.seen.entry("finished layers taken over").or_default() += 1;
            Ok(true)
        })
    }

    async fn relations(&self, slot: &Slot) -> Result<Vec<(String, String)>, Error> {
        let inner = self.world.lock();
        let state = inner.slots.get(&slot.name()).ok_or_else(|| gone(&slot.name()))?;
        Ok(state.relations.keys().cloned().collect())
    }

    async fn drop_relations(&self, slot: &Slot, relations: &[String]) -> Result<(), Error> {
        self.world.change(|inner| {
            let state = writable(inner, &slot.name())?;
            state.relations.retain(|(schema, name), _| !relations.contains(&format!("{schema}.{name}")));
            Ok(())
        })
    }

    async fn columns(&self, slot: &Slot, schema: &str, relation: &str) -> Result<Vec<(String, String)>, Error> {
        let inner = self.world.lock();
        let state = inner.slots.get(&slot.name()).ok_or_else(|| gone(&slot.name()))?;
        let is_there = state.relations.contains_key(&(schema.to_owned(), relation.to_owned()));
        Ok(if is_there { vec![("id".to_owned(), "INT64".to_owned())] } else { Vec::new() })
    }

    async fn seal(&self, slot: &Slot, publication: &Publication) -> Result<Digest, Error> {
        self.world.change(|inner| {
            let name = slot.name();
            let own = (OWN_SCHEMA.to_owned(), DEPLOYMENT.to_owned());
            let is_there = inner.slots.get(&name).is_some_and(|state| state.relations.contains_key(&own));
            let version = if is_there { 0 } else { inner.tick() };
            let state = inner.slots.get_mut(&name).ok_or_else(|| gone(&name))?;
            state.relations.entry(own).or_insert_with(|| Relation { version, ..Relation::default() });
            if publication.views.is_empty() {
                return Err(Error::rejected("there is nothing to publish"));
            }
            state.is_writable = !stands(Guard::Seal);
            Ok(fingerprint(state))
        })
    }

    async fn fingerprint(&self, slot: &Slot) -> Result<Digest, Error> {
        let inner = self.world.lock();
        inner.slots.get(&slot.name()).map(fingerprint).ok_or_else(|| gone(&slot.name()))
    }

    async fn dry_run(&self, slot: &Slot, publication: &Publication) -> Result<(), Error> {
        let is_readable_from = self.world.lock().slots.get(&slot.name()).and_then(|state| state.is_readable_from);
        sleep_until(is_readable_from.ok_or_else(|| gone(&slot.name()))?).await;
        let inner = self.world.lock();
        let state = inner.slots.get(&slot.name()).ok_or_else(|| gone(&slot.name()))?;
        for view in &publication.views {
            let target = (view.schema.as_str().to_owned(), view.relation.as_str().to_owned());
            if !state.relations.contains_key(&target) {
                return Err(Error::rejected(format!("view {} would show what is not there", view.name)));
            }
        }
        Ok(())
    }

    async fn converge(&self, desired: &dyn Desired) -> Result<Converged, Error> {
        converge(&LiveViews { world: &self.world, process: &self.process }, desired).await
    }

    async fn differences(&self, _: &Slot, _: &Publication) -> Result<Vec<Difference>, Error> {
        Ok(Vec::new())
    }

    async fn published(&self) -> Result<Vec<String>, Error> {
        let inner = self.world.lock();
        let slots: BTreeSet<&String> = inner.views.values().map(|view| &view.slot).collect();
        Ok(slots.into_iter().cloned().collect())
    }

    async fn query(&self, _: &Place, sql: &str, _: usize) -> Result<Rows, Error> {
        let inner = self.world.lock();
        let relation = relation_of(&inner, sql)
            .ok_or_else(|| Error::rejected(format!("the query names no relation that is there: {sql}")))?;
        let count = |partitions: usize| Value::from(partitions as u64 * ROWS);
        let rows = if sql.starts_with("SELECT bgp_partition") {
            let asked = relation.content.keys().filter(|partition| sql.contains(&format!("'{partition}'")));
            asked.map(|partition| vec![partition.as_str().into(), count(1)]).collect()
        } else {
            vec![vec![count(relation.content.len()), Value::Null]]
        };
        Ok(Rows { columns: vec!["first".to_owned(), "second".to_owned()], rows, is_cut: false })
    }

    async fn digest(&self, _: &Place, sql: &str) -> Result<Digest, Error> {
        let inner = self.world.lock();
        let relation = relation_of(&inner, sql)
            .ok_or_else(|| Error::rejected(format!("the query names no relation that is there: {sql}")))?;
        Ok(Digest::of(format!("{:?}", relation.content)))
    }

    async fn restore(&self, _: &Slot, _: &str, _: &str, _: Timestamp, _: &Identifier) -> Result<String, Error> {
        Err(Error::rejected("this warehouse remembers nothing"))
    }

    /// Asks, and nothing more: a job that has begun may end all the same.
    async fn cancel(&self, _: &Slot) -> Result<usize, Error> {
        Ok(0)
    }

    async fn slots(&self) -> Result<Vec<String>, Error> {
        Ok(self.world.lock().slots.keys().cloned().collect())
    }

    async fn slot_bytes(&self, _: &str) -> Result<u64, Error> {
        Ok(0)
    }

    async fn drop_slot(&self, name: &str) -> Result<(), Error> {
        self.world.change(|inner| {
            inner.slots.remove(name);
        });
        Ok(())
    }
}
