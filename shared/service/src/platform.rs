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
use crate::{Config, Kind, OpenLineage, Problem, Secrets, SourceAccess, Target};

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
    pub openlineage: Arc<OpenLineage>,
    events: Arc<dyn EventSink>,
    /// The folder for files of this machine, such as those that are being written.
    pub home: Arc<Path>,
    local: Arc<dyn Local>,
    secrets: Secrets,
}

/// What a platform is put together from: the back ends, and where this machine meets them.
#[derive(Debug, Clone)]
pub struct Parts {
    pub pipeline: Arc<Pipeline>,
    pub store: Arc<dyn ObjectStore>,
    pub warehouse: Arc<dyn Warehouse>,
    pub dbt: Arc<dyn Engine>,
    pub events: Arc<dyn EventSink>,
    pub openlineage: Arc<OpenLineage>,
    /// In whose name steps are claimed.
    pub holder: Holder,
    /// After how long without a heartbeat a claim has expired.
    pub lease: Duration,
    pub home: Arc<Path>,
    pub local: Arc<dyn Local>,
    pub secrets: Secrets,
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
            openlineage: Arc::new(OpenLineage::new(
                &config.openlineage,
                config.cloud.project.clone().filter(|_| config.target == Target::Bigquery),
            )),
            holder: backends.holder,
            lease: config.lease.unwrap_or(Duration::from_secs(pipeline.lease_seconds.into())),
            home: home.into(),
            local: backends.local,
            secrets: Secrets::of(config),
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
            openlineage: parts.openlineage,
            home: parts.home,
            local: parts.local,
            secrets: parts.secrets,
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

    /// The source that a table is read from, with what it takes to open it: its path is one of this machine.
    pub async fn source_for_reading(&self, table: &pipeline::Table) -> Result<SourceAccess, Problem> {
        let mut source = self.pipeline.sources.get(&table.source).cloned().ok_or_else(|| {
            let (table, source) = (&table.name, &table.source);
            Problem::rejected(format!("table {table} is read from source {source}, which pipeline.yaml does not have"))
        })?;
        if let SourceKind::Duckdb { path } = &mut source.kind {
            let file = self.local.source(path).await?;
            let shown = || format!("{} is no text; name the home folder in UTF-8", file.display());
            file.to_str().ok_or_else(|| Problem::rejected(shown()))?.clone_into(path);
        }
        self.secrets.access(source, &self.home).await
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

/// Settings that read a project in a folder before there is a pipeline file for it.
pub fn settings_of_folder(config: &Config, project: &Path) -> dbt::Settings {
    dbt::Settings::new(project, config.python(), config.cache.join("dbt-projects"), dbt::Target::Duckdb)
}

fn dbt_settings(config: &Config, pipeline: &Pipeline) -> Result<dbt::Settings, Problem> {
    let beside = absolute(&config.pipeline_file)?.parent().map(Path::to_path_buf).unwrap_or_default();
    let target = match config.target {
        Target::Duckdb => dbt::Target::Duckdb,
        Target::Emulators | Target::Bigquery => dbt::Target::Bigquery,
    };
    let cache = config.cache.join("dbt-projects");
    let git = pipeline.dbt.git.as_ref().map(|git| dbt::GitSource {
        url: git.url.clone(),
        revision: git.revision.clone(),
        subdirectory: git.subdirectory.clone(),
    });
    let project = git.as_ref().map_or_else(|| beside.join(&pipeline.dbt.project), |git| git.folder(&cache));
    let mut settings = dbt::Settings::new(project, config.python(), cache, target);
    settings.git = git;
    settings.layers = pipeline.dbt.layers.iter().map(|layer| layer.as_str().to_owned()).collect();
    settings.vars = pipeline.dbt.vars.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    settings.run_vars = pipeline.dbt.per_run_vars.iter().cloned().collect();
    settings.parsed.clone_from(&config.dbt_parsed);
    Ok(settings)
}

fn absolute(path: &Path) -> Result<PathBuf, Problem> {
    std::path::absolute(path).map_err(|error| Problem::internal(format!("{}: {error}", path.display())))
}
