//! A world without clocks, disks and networks: objects, slots and views in memory, with the rules of Cloud Storage and
//! BigQuery that publishing depends on, and an eye on every change of what readers see.

mod dbt;
mod lake;
mod stage;
mod store;
mod views;
mod warehouse;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::dbt::{Dbt, Engine as _, Project, Settings, Target};
use ::pipeline::Pipeline;
use ::service::{Draft, Local, OpenLineage, Parts, Platform, Problem, Secrets};
use ::store::Generation;
use async_trait::async_trait;
use bytes::Bytes;
use events::StoreSink;
use state::Holder;
use tokio::time::Instant;
use utoipa_axum::router::OpenApiRouter;
use wap::{Deployment, Digest, Identifier, PartitionKey, RECORD_KEY, Slot};

use crate::service::Place;
use crate::{Fates, Process, Service};
pub use stage::WorldStage;

/// After how long without a heartbeat a claim has expired: what pipeline.yaml gives by default.
pub const LEASE: Duration = Duration::from_mins(1);

/// The content of a table by partition: rows are told apart by the digest of all of them.
pub(crate) type Content = BTreeMap<PartitionKey, Digest>;

/// Rows of a partition of every table.
pub(crate) const ROWS: u64 = 10;

/// An object of the store.
#[derive(Debug, Clone)]
struct Stored {
    generation: Generation,
    content: Bytes,
    written: Instant,
}

/// A slot: what BigQuery has as datasets.
#[derive(Debug, Clone, Default)]
struct SlotState {
    /// By schema and name.
    relations: BTreeMap<(String, String), Relation>,
    /// Partitions that differ from the slot before, by table.
    changed: BTreeMap<String, BTreeSet<PartitionKey>>,
    /// Whether transform has the right to write.
    is_writable: bool,
    /// From when on readers get through its views: BigQuery takes a while to know of an authorisation everywhere.
    is_readable_from: Option<Instant>,
}

#[derive(Debug, Clone, Default)]
struct Relation {
    content: Content,
    /// When it was written last: a number that only grows.
    version: u64,
    /// How many clones are behind it.
    depth: u32,
}

/// A published view.
#[derive(Debug, Clone, PartialEq, Eq)]
struct View {
    slot: String,
    /// Schema and relation.
    target: (String, String),
    definition: Digest,
    etag: u64,
}

#[derive(Debug, Default)]
struct Inner {
    objects: BTreeMap<String, Stored>,
    slots: BTreeMap<String, SlotState>,
    /// Names of all slots that ever were.
    names: BTreeSet<String>,
    views: BTreeMap<String, View>,
    raw: BTreeMap<(Identifier, PartitionKey), Digest>,
    /// What the source has: the version of each partition of each table.
    source: BTreeMap<(Identifier, PartitionKey), u32>,
    /// Content with rows that the audit must find.
    bad: BTreeSet<Digest>,
    /// Generations, etags and versions.
    counter: u64,
    violations: Vec<String>,
    /// How often each model was built, by layer and name.
    builds: BTreeMap<(String, String), u64>,
    /// Slots that were committed, in order.
    committed: Vec<String>,
    /// How often something that was hoped to be seen was seen.
    seen: BTreeMap<&'static str, u64>,
}

impl Inner {
    fn tick(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    fn record(&self) -> Option<Deployment> {
        serde_json::from_slice(&self.objects.get(RECORD_KEY)?.content).ok()
    }

    fn violated(&mut self, what: impl Into<String>) {
        let what = what.into();
        if self.violations.len() < 20 && !self.violations.contains(&what) {
            self.violations.push(what);
        }
    }
}

/// The world. All processes share one.
#[derive(Debug)]
pub struct World {
    inner: Mutex<Inner>,
    begun: Instant,
    pipeline: Arc<Pipeline>,
    project: Arc<Project>,
    dbt: Arc<Dbt>,
}

impl World {
    /// An empty world. `folder` gets the pipeline file and the parsed project.
    pub async fn new(folder: &Path) -> Arc<Self> {
        let (pipeline, project) = (folder.join("pipeline.yaml"), folder.join("project.json"));
        std::fs::write(&pipeline, include_str!("../pipeline.yaml")).unwrap();
        std::fs::write(&project, include_str!("../project.json")).unwrap();
        let pipeline = Pipeline::read(&pipeline).unwrap();
        let mut settings = Settings::new(folder, "python", folder, Target::Duckdb);
        settings.layers = pipeline.dbt.layers.iter().map(|layer| layer.as_str().to_owned()).collect();
        settings.parsed = Some(project);
        let dbt = Arc::new(Dbt::new(settings));
        let project = dbt.project().await.unwrap();
        Arc::new(Self { inner: Mutex::default(), begun: Instant::now(), pipeline: Arc::new(pipeline), project, dbt })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the world, and looks at what readers see then.
    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.lock();
        let outcome = change(&mut inner);
        self.look(&mut inner);
        outcome
    }

    /// Functions in this world, whose calls meet these fates.
    pub fn service(self: &Arc<Self>, name: &str, fates: Arc<dyn Fates>) -> Arc<Service> {
        Service::new(Arc::new(Here(self.clone())), name, fates)
    }

    /// What went wrong.
    pub fn violations(&self) -> Vec<String> {
        self.lock().violations.clone()
    }

    pub(crate) fn violated(&self, what: impl Into<String>) {
        self.lock().violated(what);
    }

    /// What was seen, and how often.
    pub fn seen(&self) -> BTreeMap<&'static str, u64> {
        self.lock().seen.clone()
    }

    /// Notes that something happened that the simulation is there to reach.
    pub(crate) fn saw(&self, what: &'static str) {
        *self.lock().seen.entry(what).or_default() += 1;
    }

    /// The record, if there is one.
    pub fn record(&self) -> Option<Deployment> {
        self.lock().record()
    }

    /// Changes the record by hand.
    pub fn rewrite_record(&self, change: impl FnOnce(&mut serde_json::Value)) {
        let mut inner = self.lock();
        let stored = inner.objects.get_mut(RECORD_KEY).unwrap();
        let mut record = serde_json::from_slice(&stored.content).unwrap();
        change(&mut record);
        stored.content = record.to_string().into();
    }

    /// Everything that readers and the next run depend on, as a digest.
    pub fn digest(&self) -> Digest {
        let inner = self.lock();
        let views: BTreeMap<&String, (&String, &(String, String))> =
            inner.views.iter().map(|(name, view)| (name, (&view.slot, &view.target))).collect();
        let record = inner.objects.get(RECORD_KEY).map(|object| &object.content);
        Digest::of(format!("{views:?}\n{record:?}\n{:?}", inner.slots.keys().collect::<Vec<_>>()))
    }

    /// Looks at what readers see.
    fn look(&self, inner: &mut Inner) {
        let mut wrong = Vec::new();
        let mut slots: BTreeSet<&str> = BTreeSet::new();
        for (name, view) in &inner.views {
            slots.insert(&view.slot);
            let Some(slot) = inner.slots.get(&view.slot) else {
                wrong.push(format!("view {name} dangles: slot {} is gone", view.slot));
                continue;
            };
            let Some(relation) = slot.relations.get(&view.target) else {
                wrong.push(format!("view {name} dangles: {:?} is not in slot {}", view.target, view.slot));
                continue;
            };
            if slot.is_readable_from.is_none_or(|from| from > Instant::now()) {
                wrong.push(format!("view {name} shows slot {}, which its readers may not read yet", view.slot));
            }
            if !inner.committed.contains(&view.slot) {
                wrong.push(format!("view {name} shows slot {}, which was never committed", view.slot));
            }
            for (partition, rows) in &relation.content {
                if self.is_bad(inner, &view.target.1, partition, rows) {
                    wrong.push(format!("view {name} shows bad rows of {partition} in slot {}", view.slot));
                }
            }
            if let Some(inputs) = inputs_of(inner, &view.slot)
                && view.target.0 != warehouse::OWN_SCHEMA
                && self.expected(&view.target.1, &inputs) != relation.content
            {
                wrong.push(format!("view {name} shows in slot {} something else than its inputs give", view.slot));
            }
        }
        let mixed = slots.len() > 1;
        if mixed {
            *inner.seen.entry("mixed views").or_default() += 1;
        }
        for violation in wrong {
            inner.violated(violation);
        }
    }

    /// What a model gives for its inputs.
    fn expected(&self, model: &str, inputs: &wap::InputMap) -> Content {
        let Some(node) = self.project.nodes.values().find(|node| node.name == model) else { return Content::new() };
        let mut parents: Vec<Content> = Vec::new();
        for parent in &node.parents {
            parents.push(match self.project.sources.get(parent) {
                Some(source) => inputs.get(source.table.as_str()).cloned().unwrap_or_default(),
                None => {
                    self.project.nodes.get(parent).map(|node| self.expected(&node.name, inputs)).unwrap_or_default()
                }
            });
        }
        combined(model, &parents)
    }

    /// Whether rows of a model come from rows that the audit must find.
    fn is_bad(&self, inner: &Inner, model: &str, partition: &PartitionKey, rows: &Digest) -> bool {
        inner.bad.iter().any(|bad| {
            inner.raw_of(bad).is_some_and(|(table, key)| {
                &key == partition
                    && self
                        .expected(model, &BTreeMap::from([(table, BTreeMap::from([(key, bad.clone())]))]))
                        .get(partition)
                        == Some(rows)
            })
        })
    }
}

impl Inner {
    /// The table and the partition that rows were extracted for.
    fn raw_of(&self, rows: &Digest) -> Option<(Identifier, PartitionKey)> {
        self.source.iter().find_map(|((table, partition), newest)| {
            (0..=*newest)
                .any(|version| lake::rows(table, partition, version) == *rows)
                .then(|| (table.clone(), partition.clone()))
        })
    }
}

/// What a slot was built from, as its attempt says.
fn inputs_of(inner: &Inner, slot: &str) -> Option<wap::InputMap> {
    let attempt = slot.rsplit('_').next()?;
    let stored = inner.objects.get(&format!("inputs/{attempt}.json"))?;
    serde_json::from_slice::<wap::Inputs>(&stored.content).ok().map(|inputs| inputs.partitions)
}

/// The rows that a model makes of its parents' rows, partition by partition.
fn combined(model: &str, parents: &[Content]) -> Content {
    let partitions: BTreeSet<&PartitionKey> = parents.iter().flat_map(BTreeMap::keys).collect();
    let rows = |partition: &PartitionKey| {
        let of_parents: Vec<Option<&Digest>> = parents.iter().map(|parent| parent.get(partition)).collect();
        Digest::of(format!("{model}/{partition}/{of_parents:?}"))
    };
    partitions.into_iter().map(|partition| (partition.clone(), rows(partition))).collect()
}

/// The world as processes reach it.
#[derive(Debug)]
struct Here(Arc<World>);

impl Place for Here {
    fn parts(&self, process: &Arc<Process>) -> Parts {
        let world = &self.0;
        let store: Arc<dyn ::store::ObjectStore> = Arc::new(store::SimulatedStore { world: world.clone() });
        Parts {
            pipeline: world.pipeline.clone(),
            events: Arc::new(StoreSink::new(store.clone())),
            store,
            warehouse: Arc::new(warehouse::SimulatedWarehouse { world: world.clone(), process: process.clone() }),
            dbt: Arc::new(dbt::SimulatedEngine { world: world.clone(), process: process.clone() }),
            openlineage: OpenLineage::silent(None).into(),
            holder: Holder::instance_of(process.name()),
            lease: LEASE,
            home: Path::new("/simulated").into(),
            local: Arc::new(Nowhere),
            secrets: Secrets::default(),
        }
    }

    fn sources(&self, platform: Platform) -> OpenApiRouter {
        lake::routes(platform, self.0.clone())
    }
}

/// A machine without files.
#[derive(Debug)]
struct Nowhere;

#[async_trait]
impl Local for Nowhere {
    fn slot_file(&self, _: &Slot) -> Option<std::path::PathBuf> {
        None
    }

    fn place(&self, slot: &Slot, schemas: BTreeMap<String, Identifier>) -> ::dbt::Place {
        ::dbt::Place::Duckdb { file: Path::new("/simulated").join(slot.name()), schemas }
    }

    async fn source(&self, path: &str) -> Result<std::path::PathBuf, Problem> {
        Err(Problem::internal(format!("{path} is not simulated")))
    }

    async fn draft(&self, path: &str) -> Result<Draft, Problem> {
        Err(Problem::internal(format!("{path} is not simulated")))
    }

    async fn keep(&self, _: Draft) -> Result<bool, Problem> {
        Err(Problem::internal("there is no source's file that could be kept"))
    }
}
