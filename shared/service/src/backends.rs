//! Which store and warehouse a platform works on: a folder and DuckDB, or Cloud Storage and BigQuery.
//!
//! Everything that differs between laptop, emulators and cloud is decided here, from the configuration. Functions see
//! the traits of `store` and `warehouse`, and [`Local`] for the rest.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use dbt::Place;
use events::EventSink;
use pipeline::Pipeline;
use state::Holder;
use store::ObjectStore;
use wap::{Identifier, Slot};
use warehouse::Warehouse;

use crate::{Config, Problem, Target};

#[cfg(feature = "google")]
mod cloud;
#[cfg(feature = "duckdb")]
mod embedded;

/// The schema for relations of a dbt project that are in no layer.
pub(crate) const UNLAYERED: &str = "main";

/// The store and the warehouse, and what goes with them.
#[derive(Debug)]
pub(crate) struct Backends {
    pub store: Arc<dyn ObjectStore>,
    pub warehouse: Arc<dyn Warehouse>,
    pub events: Arc<dyn EventSink>,
    pub holder: Holder,
    /// Variables for the process that dbt runs in.
    pub dbt_environment: BTreeMap<String, String>,
    pub local: Arc<dyn Local>,
}

impl Backends {
    pub(crate) async fn open(config: &Config, home: &Path, pipeline: &Pipeline) -> Result<Self, Problem> {
        match config.target {
            Target::Duckdb => embedded(home, pipeline),
            Target::Emulators | Target::Bigquery => in_the_cloud(config, home, pipeline).await,
        }
    }
}

#[cfg(feature = "google")]
use cloud::open as in_the_cloud;
#[cfg(feature = "duckdb")]
use embedded::open as embedded;

#[cfg(not(feature = "duckdb"))]
fn embedded(_: &Path, _: &Pipeline) -> Result<Backends, Problem> {
    Err(Problem::rejected(
        "this program was built without DuckDB, for the cloud; set BGP_TARGET to bigquery, or build it with the feature duckdb",
    ))
}

#[cfg(not(feature = "google"))]
#[expect(clippy::unused_async, reason = "stands in for what waits for the cloud")]
async fn in_the_cloud(_: &Config, _: &Path, _: &Pipeline) -> Result<Backends, Problem> {
    Err(Problem::rejected(
        "this program was built without Google's clients; build it with the feature google, or use the target duckdb",
    ))
}

/// Where programs and files of this machine meet the back ends.
#[async_trait]
pub trait Local: Debug + Send + Sync {
    /// The file of a slot, where slots are files.
    fn slot_file(&self, slot: &Slot) -> Option<PathBuf>;

    /// Where dbt works on a slot.
    fn place(&self, slot: &Slot, schemas: BTreeMap<String, Identifier>) -> Place;

    /// A file that holds the newest content of a source, to be read only. `path` is as the pipeline file has it: relative
    /// to the home folder or, in the cloud, to the bucket.
    async fn source(&self, path: &str) -> Result<PathBuf, Problem>;

    /// The source's file for whoever changes it. What is changed counts once it was kept.
    async fn draft(&self, path: &str) -> Result<Draft, Problem>;

    /// Keeps what was changed. `false` if somebody else was faster: then it has to be made again, from a new draft.
    async fn keep(&self, draft: Draft) -> Result<bool, Problem>;
}

/// A source's file that is being changed.
#[derive(Debug)]
pub struct Draft {
    pub file: PathBuf,
    #[cfg(feature = "google")]
    object: Option<store::Draft>,
}
