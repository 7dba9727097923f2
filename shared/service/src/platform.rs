//! What a function works on: the pipeline, the store, the warehouse, dbt and the state, opened as the configuration
//! says. Cheap to clone.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dbt::{Dbt, Place, Project};
use pipeline::Pipeline;
use state::State;
use store::{Folder, ObjectStore};
use wap::{Identifier, Slot};
use warehouse::{DuckDb, Warehouse};

use crate::{Config, Problem};

/// Everything outside of a function.
#[derive(Debug, Clone)]
pub struct Platform {
    pub pipeline: Arc<Pipeline>,
    pub store: Arc<dyn ObjectStore>,
    pub warehouse: Arc<dyn Warehouse>,
    pub dbt: Arc<Dbt>,
    pub state: State,
    /// The folder that source paths are relative to.
    pub home: Arc<Path>,
    embedded: Arc<DuckDb>,
}

/// The schema for relations of a dbt project that are in no layer.
const UNLAYERED: &str = "main";

impl Platform {
    /// Opens everything. Nothing is read or started yet beyond the pipeline file.
    pub fn open(config: &Config) -> Result<Self, Problem> {
        let pipeline = Arc::new(Pipeline::read(&config.pipeline_file)?);
        let home = absolute(&config.home)?;
        let store: Arc<dyn ObjectStore> = Arc::new(Folder::open(home.join("bucket"))?);
        let embedded = Arc::new(DuckDb::open(&home.join("warehouse"), store.clone(), pipeline.live.dataset.as_str())?);
        let lease = config.lease.unwrap_or(Duration::from_secs(pipeline.lease_seconds.into()));
        let beside = absolute(&config.pipeline_file)?.parent().map(Path::to_path_buf).unwrap_or_default();
        let mut settings = dbt::Settings::new(
            beside.join(&pipeline.dbt.project),
            &config.python,
            config.cache.join("dbt-projects"),
            dbt::Target::Duckdb,
        );
        settings.layers = pipeline.dbt.layers.iter().map(|layer| layer.as_str().to_owned()).collect();
        settings.vars = pipeline.dbt.vars.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        settings.run_vars = pipeline.dbt.per_run_vars.iter().cloned().collect();
        Ok(Self {
            state: State::new(store.clone(), lease),
            dbt: Arc::new(Dbt::new(settings)),
            warehouse: embedded.clone(),
            embedded,
            home: home.into(),
            store,
            pipeline,
        })
    }

    /// The file of a slot.
    pub fn slot_file(&self, slot: &Slot) -> PathBuf {
        self.embedded.slot_file(slot)
    }

    /// Where dbt works on a slot.
    pub fn place(&self, slot: &Slot, project: &Project) -> Result<Place, Problem> {
        Ok(Place::Duckdb { file: self.embedded.slot_file(slot), schemas: self.schemas(project)? })
    }

    /// The schema (layer) of each relation of the project, by node id.
    pub fn schemas(&self, project: &Project) -> Result<std::collections::BTreeMap<String, Identifier>, Problem> {
        Ok(project.schemas(&Identifier::new(UNLAYERED)?)?)
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Problem> {
    std::path::absolute(path).map_err(|error| Problem::internal(format!("{}: {error}", path.display())))
}
