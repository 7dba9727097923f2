//! A folder and DuckDB.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use dbt::Place;
use events::StoreSink;
use pipeline::Pipeline;
use state::Holder;
use store::{Counted, Folder, ObjectStore};
use wap::{Identifier, Slot};
use warehouse::DuckDb;

use super::{Backends, Draft, Local};
use crate::Problem;

pub(crate) fn open(home: &Path, pipeline: &Pipeline) -> Result<Backends, Problem> {
    let folder = Arc::new(Folder::open(home.join("bucket"))?);
    let store: Arc<dyn ObjectStore> = Arc::new(Counted::new(folder.clone()));
    let live = pipeline.live.dataset.as_str();
    let warehouse = DuckDb::open(&home.join("warehouse"), store.clone(), live)?;
    Ok(Backends {
        events: Arc::new(StoreSink::new(folder)),
        store,
        warehouse: Arc::new(warehouse.clone()),
        holder: Holder::this_process(),
        dbt_environment: BTreeMap::new(),
        local: Arc::new(Embedded { warehouse, home: home.into() }),
    })
}

#[derive(Debug)]
struct Embedded {
    warehouse: DuckDb,
    home: PathBuf,
}

#[async_trait]
impl Local for Embedded {
    fn slot_file(&self, slot: &Slot) -> Option<PathBuf> {
        Some(self.warehouse.slot_file(slot))
    }

    fn place(&self, slot: &Slot, schemas: BTreeMap<String, Identifier>) -> Place {
        Place::Duckdb { file: self.warehouse.slot_file(slot), schemas }
    }

    async fn source(&self, path: &str) -> Result<PathBuf, Problem> {
        Ok(self.home.join(path))
    }

    /// The file itself: whoever changes it holds its lock.
    async fn draft(&self, path: &str) -> Result<Draft, Problem> {
        Ok(Draft {
            file: self.home.join(path),
            #[cfg(feature = "google")]
            object: None,
        })
    }

    async fn keep(&self, _: Draft) -> Result<bool, Problem> {
        Ok(true)
    }
}
