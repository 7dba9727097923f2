//! What a function works on: the pipeline, the store, the warehouse, dbt and the state, opened as the configuration
//! says. Cheap to clone.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dbt::{Dbt, Engine, JobCost, Place, Project};
use events::{Event, EventSink, Fact};
use pipeline::{Pipeline, SourceKind};
use state::{Holder, State};
use store::ObjectStore;
use wap::{Identifier, Slot};
use warehouse::{Statistics, Step, Warehouse};

use crate::backends::{Backends, Local, UNLAYERED};
use crate::{Config, Kind, Problem, Target};

/// How often a source's file is changed anew because somebody else was faster.
const CHANGE_TRIES: usize = 5;

/// Everything outside of a function.
#[derive(Debug, Clone)]
pub struct Platform {
    pub pipeline: Arc<Pipeline>,
    pub store: Arc<dyn ObjectStore>,
    /// Outside of any step, or for the one that [`Platform::for_step`] said.
    pub warehouse: Arc<dyn Warehouse>,
    pub dbt: Arc<dyn Engine>,
    pub state: State,
    events: Arc<dyn EventSink>,
    /// The folder for files of this machine, such as those that are being written.
    pub home: Arc<Path>,
    local: Arc<dyn Local>,
}

/// What a platform is put together from: the back ends, and where this machine meets them.
#[derive(Debug, Clone)]
pub struct Parts {
    pub pipeline: Arc<Pipeline>,
    pub store: Arc<dyn ObjectStore>,
    pub warehouse: Arc<dyn Warehouse>,
    pub dbt: Arc<dyn Engine>,
    pub events: Arc<dyn EventSink>,
    /// In whose name steps are claimed.
    pub holder: Holder,
    /// After how long without a heartbeat a claim has expired.
    pub lease: Duration,
    pub home: Arc<Path>,
    pub local: Arc<dyn Local>,
}

impl Parts {
    /// Opens everything. On a laptop nothing is read or started yet beyond the pipeline file; in the cloud the fixed
    /// datasets are looked at.
    pub async fn open(config: &Config) -> Result<Self, Problem> {
        let pipeline = Arc::new(Pipeline::read(&config.pipeline_file)?);
        let home = absolute(&config.home)?;
        let backends = Backends::open(config, &home, &pipeline).await?;
        let mut settings = dbt_settings(config, &pipeline)?;
        settings.environment = backends.dbt_environment;
        Ok(Self {
            dbt: Arc::new(Dbt::new(settings)),
            warehouse: backends.warehouse,
            store: backends.store,
            events: backends.events,
            holder: backends.holder,
            lease: config.lease.unwrap_or(Duration::from_secs(pipeline.lease_seconds.into())),
            home: home.into(),
            local: backends.local,
            pipeline,
        })
    }
}

impl From<Parts> for Platform {
    fn from(parts: Parts) -> Self {
        Self {
            state: State::held_by(parts.holder, parts.store.clone(), parts.lease),
            pipeline: parts.pipeline,
            store: parts.store,
            warehouse: parts.warehouse,
            dbt: parts.dbt,
            events: parts.events,
            home: parts.home,
            local: parts.local,
        }
    }
}

impl Platform {
    /// Opens the platform that the configuration describes.
    pub async fn open(config: &Config) -> Result<Self, Problem> {
        Ok(Parts::open(config).await?.into())
    }

    /// The platform for one step: the warehouse's jobs carry the step's labels, are held to its budget, and are counted
    /// apart.
    #[must_use]
    pub fn for_step(&self, name: &str, slot: Option<&Slot>) -> Self {
        let warehouse = self.warehouse.for_step(Step {
            name: name.to_owned(),
            slot: slot.cloned(),
            max_bytes_billed: self.pipeline.limits.max_bytes_billed_per_step,
        });
        Self { warehouse, ..self.clone() }
    }

    /// Counts what dbt ran for this step.
    pub fn charge(&self, cost: JobCost) {
        let JobCost { jobs, bytes_processed, bytes_billed, slot_milliseconds } = cost;
        let cost = Statistics { jobs, bytes_processed, bytes_billed, slot_milliseconds, ..Statistics::default() };
        self.warehouse.charge(cost);
    }

    /// Tells whoever listens. The same fact told again is the same event, so a step that is repeated may tell it again.
    pub async fn announce(&self, fact: Fact) -> Result<(), Problem> {
        Ok(self.events.publish(&Event { pipeline: self.pipeline.name.clone(), fact }).await?)
    }

    /// The file of a slot, where slots are files.
    pub fn slot_file(&self, slot: &Slot) -> Option<PathBuf> {
        self.local.slot_file(slot)
    }

    /// Where dbt works on a slot.
    pub fn place(&self, slot: &Slot, project: &Project) -> Result<Place, Problem> {
        Ok(self.local.place(slot, self.schemas(project)?))
    }

    /// The schema (layer) of each relation of the project, by node id.
    pub fn schemas(&self, project: &Project) -> Result<BTreeMap<String, Identifier>, Problem> {
        Ok(project.schemas(&Identifier::new(UNLAYERED)?)?)
    }

    /// The pipeline with every source's file at hand that `table` reads: its path is one of this machine.
    pub async fn pipeline_for_reading(&self, table: &pipeline::Table) -> Result<Arc<Pipeline>, Problem> {
        let Some(SourceKind::Duckdb { path }) = self.pipeline.sources.get(&table.source).map(|source| &source.kind)
        else {
            return Ok(self.pipeline.clone());
        };
        let file = self.local.source(path).await?;
        let path = file
            .to_str()
            .ok_or_else(|| Problem::rejected(format!("{} is no text; name the home folder in UTF-8", file.display())))?
            .to_owned();
        let mut pipeline = Pipeline::clone(&self.pipeline);
        if let Some(source) = pipeline.sources.get_mut(&table.source) {
            source.kind = SourceKind::Duckdb { path };
        }
        Ok(Arc::new(pipeline))
    }

    /// Changes a source's file. `work` may be asked again, with another file, when somebody else was faster.
    pub async fn change_source<T, Work>(&self, path: &str, work: impl Fn(PathBuf) -> Work) -> Result<T, Problem>
    where
        Work: Future<Output = Result<T, Problem>>,
    {
        for _ in 0..CHANGE_TRIES {
            let draft = self.local.draft(path).await?;
            let done = work(draft.file.clone()).await?;
            if self.local.keep(draft).await? {
                return Ok(done);
            }
        }
        Err(Problem::new(
            Kind::Unavailable,
            "source",
            format!("source {path} was changed by others {CHANGE_TRIES} times while it was written; try again"),
        ))
    }
}

/// Parses the dbt project for the target and returns the file that `BGP_DBT_PARSED` can name. Nothing of the cloud is asked.
pub async fn parse_project(config: &Config) -> Result<PathBuf, Problem> {
    let pipeline = Pipeline::read(&config.pipeline_file)?;
    Ok(Dbt::new(dbt_settings(config, &pipeline)?).parsed_file().await?)
}

fn dbt_settings(config: &Config, pipeline: &Pipeline) -> Result<dbt::Settings, Problem> {
    let beside = absolute(&config.pipeline_file)?.parent().map(Path::to_path_buf).unwrap_or_default();
    let target = match config.target {
        Target::Duckdb => dbt::Target::Duckdb,
        Target::Emulators | Target::Bigquery => dbt::Target::Bigquery,
    };
    let project = beside.join(&pipeline.dbt.project);
    let mut settings = dbt::Settings::new(project, config.python(), config.cache.join("dbt-projects"), target);
    settings.layers = pipeline.dbt.layers.iter().map(|layer| layer.as_str().to_owned()).collect();
    settings.vars = pipeline.dbt.vars.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    settings.run_vars = pipeline.dbt.per_run_vars.iter().cloned().collect();
    settings.parsed.clone_from(&config.dbt_parsed);
    Ok(settings)
}

fn absolute(path: &Path) -> Result<PathBuf, Problem> {
    std::path::absolute(path).map_err(|error| Problem::internal(format!("{}: {error}", path.display())))
}
