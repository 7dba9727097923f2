//! The simulated world as a stage of the crash matrix.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use wap::PartitionKey;

use super::{LEASE, World};
use crate::matrix::Stage;
use crate::{Calm, Fates, Service};

const FIRST: &str = "2025-08-01";
const SECOND: &str = "2025-08-02";

/// A world in which the first partition is published and the second is in the source.
#[derive(Debug)]
pub struct WorldStage {
    world: Arc<World>,
}

impl WorldStage {
    pub async fn new(folder: &Path) -> Self {
        let world = World::new(folder).await;
        for partition in [FIRST, SECOND] {
            world.write_source(&PartitionKey::new(partition).unwrap(), false);
        }
        let first = world.service("first", Arc::new(Calm));
        let outcome = first.daily("first", json!({"partition": FIRST})).await;
        assert_eq!(outcome.map_err(|raised| raised.value).unwrap()["outcome"], "published");
        world.lock().builds.clear();
        Self { world }
    }
}

#[async_trait]
impl Stage for WorldStage {
    fn service(&self, name: &str, fates: Arc<dyn Fates>) -> Arc<Service> {
        self.world.service(name, fates)
    }

    fn partition(&self) -> &'static str {
        SECOND
    }

    fn nap(&self) -> Duration {
        LEASE * 3
    }

    async fn judge(&self) -> Vec<String> {
        let partitions = [FIRST, SECOND].map(|partition| PartitionKey::new(partition).unwrap());
        self.world.compare(&self.world.wanted(&partitions), "in the end");
        self.world.violations()
    }

    fn builds(&self) -> BTreeMap<(String, String), u64> {
        self.world.lock().builds.clone()
    }

    async fn digest(&self) -> String {
        self.world.digest().to_string()
    }
}
