//! The source and the lake. What the real `extract` does between them is not about publishing; here a partition of the
//! source has a version, and each version gives other rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extension;
use axum::routing::post;
use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use service::{Body, Platform, Problem};
use utoipa_axum::router::OpenApiRouter;
use wap::{Digest, Identifier, LAKE_VERSION, LedgerStep, Manifest, ManifestColumn, ManifestObject, PartitionKey};

use super::{ROWS, World};

/// The rows of a version of a partition.
pub(super) fn rows(table: &Identifier, partition: &PartitionKey, version: u32) -> Digest {
    Digest::of(format!("{table}/{partition}/{version}"))
}

impl World {
    /// Gives a partition of every table new rows in the source, and says whether those of `orders` are bad.
    pub fn write_source(&self, partition: &PartitionKey, is_bad: bool) {
        self.change(|inner| {
            for table in self.pipeline.tables.keys() {
                let version = inner.source.entry((table.clone(), partition.clone())).or_default();
                *version += 1;
                let rows = rows(table, partition, *version);
                if is_bad && table.as_str() == "orders" {
                    inner.bad.insert(rows);
                }
            }
        });
    }

    /// What the clocks of this world show.
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + self.begun.elapsed()
    }

    /// What readers shall see in the end: every model over the newest rows of every partition of `partitions`.
    pub fn wanted(&self, partitions: &[PartitionKey]) -> wap::InputMap {
        let inner = self.lock();
        let mut wanted = wap::InputMap::new();
        for ((table, partition), version) in &inner.source {
            if partitions.contains(partition) {
                let rows = rows(table, partition, *version);
                wanted.entry(table.clone()).or_default().insert(partition.clone(), rows);
            }
        }
        wanted
    }

    /// Notes a violation for every published table that is not what `inputs` give.
    pub fn compare(&self, inputs: &wap::InputMap, when: &str) {
        self.change(|inner| {
            for name in ["fct_orders", "dim_items"] {
                let shown = inner
                    .views
                    .get(name)
                    .and_then(|view| Some(inner.slots.get(&view.slot)?.relations.get(&view.target)?.content.clone()));
                if shown != Some(self.expected(name, inputs)) {
                    inner.violated(format!("{when}: {name} is not what its inputs give"));
                }
            }
            let named = inner.record().and_then(|record| record.live).map(|live| live.slot.name());
            if inner.views.values().any(|view| Some(&view.slot) != named.as_ref()) {
                inner.violated(format!("{when}: a view does not show the slot that the record names"));
            }
        });
    }
}

#[derive(Clone)]
struct Extract {
    platform: Platform,
    world: Arc<World>,
}

/// `/plan` and `/extract`, as the function has them.
pub(crate) fn routes(platform: Platform, world: Arc<World>) -> OpenApiRouter {
    OpenApiRouter::new()
        .route("/plan", post(plan))
        .route("/extract", post(extract))
        .with_state(Extract { platform, world })
}

#[derive(Deserialize)]
struct PlanRequest {
    partition: String,
}

async fn plan(Extension(extract): Extension<Extract>, Body(request): Body<PlanRequest>) -> Json<Value> {
    let tables = extract.platform.pipeline.tables.keys();
    // A call a table.
    let batches: Vec<Value> = tables.map(|table| json!([{"table": table, "partition": request.partition}])).collect();
    Json(json!({
        "partition": request.partition, "batches": batches, "sandbox": false, "attempts_per_run": 3, "approval": false,
    }))
}

#[derive(Deserialize)]
struct ExtractRequest {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    table: Identifier,
    partition: PartitionKey,
}

async fn extract(
    Extension(extract): Extension<Extract>,
    Body(request): Body<ExtractRequest>,
) -> Result<Json<Value>, Problem> {
    let mut manifests = Vec::new();
    for item in request.items {
        manifests.push(extract_partition(&extract, item).await?);
    }
    let (rows, bytes) = (ROWS * manifests.len() as u64, 0);
    Ok(Json(json!({"manifests": manifests, "rows": rows, "bytes": bytes})))
}

async fn extract_partition(Extract { platform, world }: &Extract, item: Item) -> Result<Value, Problem> {
    let table = platform.pipeline.table(item.table.as_str())?;
    let partition = item.partition;
    let read_at = world.now();
    let version = world.lock().source.get(&(table.name.clone(), partition.clone())).copied().unwrap_or_default();
    let digest = rows(&table.name, &partition, version);
    let window = table.calendar.window(&partition)?;
    let column = |name: &str, data_type: &str| {
        Ok::<_, Problem>(ManifestColumn {
            name: Identifier::new(name)?,
            data_type: data_type.to_owned(),
            nullable: true,
        })
    };
    let key = format!("lake/{}/{partition}/{digest}.parquet", table.name);
    let content = Bytes::from(digest.to_string());
    let (bytes, checksum) = (content.len() as u64, Digest::of(&content));
    let generation = match platform.store.put(&key, content, store::Precondition::Absent).await {
        Ok(generation) => generation,
        Err(store::Error::Conflict { .. }) => platform.store.head(&key).await?.generation,
        Err(error) => return Err(error.into()),
    };
    let manifest = Manifest {
        version: LAKE_VERSION,
        table: table.name.clone(),
        partition: partition.clone(),
        window: Some((window.start, window.end)),
        digest: digest.clone(),
        contract: table.contract_digest(),
        load: None,
        rows: ROWS,
        bytes,
        columns: vec![column("id", "BIGINT")?, column("at", "TIMESTAMP WITH TIME ZONE")?],
        objects: vec![ManifestObject { key, generation, rows: ROWS, bytes, checksum }],
        sums: BTreeMap::new(),
    };
    platform.state.put_manifest(&manifest).await?;
    let step = LedgerStep { digest: digest.clone(), rows: ROWS, bytes, at: read_at };
    platform
        .state
        .update_ledger(&table.name, &partition, |entry| {
            entry.extract(&step, read_at);
        })
        .await?;
    Ok(json!({"table": table.name, "partition": partition, "digest": digest}))
}
