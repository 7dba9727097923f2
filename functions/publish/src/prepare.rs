//! Making the attempt's own place.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State as Extension;
use futures::{StreamExt, TryStreamExt, stream};
use pipeline::Table;
use serde::{Deserialize, Serialize};
use service::{Body, Layer, Platform, Problem, ProjectPlan, detached};
use state::CONCURRENT_READS;
use utoipa::ToSchema;
use wap::guard::{Guard, stands};
use wap::{Attempt, AttemptId, Digest, EndReason, Manifest, PartitionKey, Slot};
use warehouse::{BuiltModel, Pin, PinnedPartition, Statistics};

/// What to prepare.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PrepareRequest {
    #[schema(value_type = String)]
    attempt: AttemptId,
}

/// What was prepared.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Prepared {
    slot: String,
    /// Partitions that the attempt reads.
    pinned: usize,
    /// Rows of the partitions that changed.
    changed_rows: u64,
    /// Steps that an attempt before this one had finished, and whose results were taken over.
    #[serde(default)]
    continued: Vec<String>,
    #[serde(default)]
    #[schema(value_type = Object)]
    cost: Statistics,
}

/// Makes the slot from the live one, pins what the attempt reads, and drops what the project no longer has.
#[utoipa::path(post, path = "/prepare", request_body = PrepareRequest, responses((status = 200, body = Prepared)))]
pub(crate) async fn prepare(
    Extension(platform): Extension<Platform>,
    Body(request): Body<PrepareRequest>,
) -> Result<Json<Prepared>, Problem> {
    detached(async move { platform.state.step(&request.attempt, "prepare", run(&platform, &request.attempt)).await })
        .await
        .map(Json)
}

async fn run(platform: &Platform, id: &AttemptId) -> Result<Prepared, Problem> {
    let attempt = platform.state.attempt(id).await?;
    let platform = &platform.for_step("prepare", Some(&attempt.slot));
    let inputs = platform.state.inputs_of(id, &attempt.inputs).await?;
    let record = platform.state.record().await?;
    let mut pins = Vec::new();
    for table in platform.pipeline.tables.values() {
        let admitted = if stands(Guard::Pin) {
            inputs.partitions.get(&table.name).cloned().unwrap_or_default()
        } else {
            loaded(platform, table).await?
        };
        let contiguous = contiguous(table, &admitted)?;
        let wanted: Vec<_> = admitted.into_iter().collect();
        let partitions = manifests(platform, table, wanted)
            .await?
            .into_iter()
            .map(|manifest| PinnedPartition { is_contiguous: contiguous.contains(&manifest.partition), manifest })
            .collect();
        let mut both = Vec::new();
        for change in attempt.work.changes.iter().filter(|change| change.table == table.name) {
            both.extend(change.old.iter().chain(&change.new).map(|digest| (change.partition.clone(), digest.clone())));
        }
        let changed = manifests(platform, table, both).await?;
        pins.push(Pin { table: table.clone(), partitions, changed });
    }
    let live = record.live.as_ref().map(|live| &live.slot);
    let plan = platform.project_plan().await?;
    platform.check_code(&attempt, &plan)?;
    let finished = finished(platform, &plan, &attempt).await?;
    let without = finished.as_ref().map_or(&[][..], |finished| &finished.models);
    match platform.warehouse.create(&attempt.slot, live, without).await {
        Ok(()) => {}
        // Names are used once, by one try: what an earlier one still does must not find its place in use.
        Err(warehouse::Error::Conflict { .. }) => {
            let detail = "an earlier try of prepare left its place half made";
            platform.state.end_attempt(id, EndReason::Failed, detail).await?;
            return Err(platform.state.over(id).await.into());
        }
        Err(error) => return Err(error.into()),
    }
    platform.warehouse.pin(&attempt.slot, &pins).await?;
    if let Some(live) = live {
        let removed = removed_relations(platform, &plan, live).await?;
        platform.warehouse.drop_relations(&attempt.slot, &removed).await?;
    }
    let continued = match finished {
        Some(finished) => adopt(platform, id, &attempt.slot, finished).await?,
        None => Vec::new(),
    };
    Ok(Prepared {
        continued,
        slot: attempt.slot.name(),
        pinned: pins.iter().map(|pin| pin.partitions.len()).sum(),
        changed_rows: pins.iter().flat_map(|pin| &pin.changed).map(|manifest| manifest.rows).sum(),
        cost: platform.warehouse.statistics(),
    })
}

/// What an expired attempt at the same work had finished.
struct Finished {
    attempt: Attempt,
    steps: Vec<String>,
    models: Vec<BuiltModel>,
}

/// Finds it. Whoever held that attempt's claim may be asleep and go on writing in its slot: but not into a layer that is
/// finished, and not into the slot of this attempt.
async fn finished(platform: &Platform, plan: &ProjectPlan, attempt: &Attempt) -> Result<Option<Finished>, Problem> {
    let Some(expired) = &attempt.continues else { return Ok(None) };
    let expired = match platform.state.attempt(&expired.attempt).await {
        // A cleanup has been here.
        Err(state::Error::NoAttempt { .. }) => return Ok(None),
        found => found?,
    };
    let mut steps: Vec<String> = plan.layers.iter().map(Layer::step).collect();
    steps.truncate(expired.finished(steps.iter().map(String::as_str)));
    let layers = plan.layers[..steps.len()].iter();
    let built: BTreeSet<&String> = layers.flat_map(|layer| layer.nodes.intersection(&attempt.work.build)).collect();
    let schemas = platform.schemas(&plan.project)?;
    // Parents first: a view can be made once what it reads is there.
    let order = plan.project.order().into_iter().filter(|id| built.contains(id));
    let models: Vec<BuiltModel> = order
        .filter_map(|id| Some((plan.project.nodes.get(&id).filter(|node| node.makes_relation())?, schemas.get(&id)?)))
        .map(|(node, schema)| BuiltModel {
            name: node.name.clone(),
            schema: schema.clone(),
            relation: node.alias.clone(),
        })
        .collect();
    Ok((!models.is_empty()).then_some(Finished { attempt: expired, steps, models }))
}

/// Takes it over, and says which steps are done.
async fn adopt(platform: &Platform, id: &AttemptId, slot: &Slot, finished: Finished) -> Result<Vec<String>, Problem> {
    let Finished { attempt: expired, steps, models } = finished;
    if !platform.warehouse.adopt(slot, &expired.slot, &models).await? {
        return Ok(Vec::new());
    }
    match platform.state.note_attempt(id, |attempt| attempt.adopt(&expired, &steps)).await? {
        Some(_) => Ok(steps),
        None => Err(platform.state.over(id).await.into()),
    }
}

/// What `raw` holds now, whatever was admitted.
async fn loaded(platform: &Platform, table: &Table) -> Result<BTreeMap<PartitionKey, Digest>, Problem> {
    let entries = platform.state.ledger().await?.into_iter().filter(|entry| entry.table == table.name);
    Ok(entries.filter_map(|entry| Some((entry.partition, entry.loaded?.digest))).collect())
}

async fn manifests(
    platform: &Platform,
    table: &Table,
    wanted: Vec<(PartitionKey, Digest)>,
) -> Result<Vec<Manifest>, Problem> {
    let reads = wanted
        .into_iter()
        .map(|(partition, digest)| async move { platform.state.manifest(&table.name, &partition, &digest).await });
    Ok(stream::iter(reads).buffered(CONCURRENT_READS).try_collect().await?)
}

/// The admitted partitions before which none is missing since the table's first.
fn contiguous(table: &Table, admitted: &BTreeMap<PartitionKey, Digest>) -> Result<BTreeSet<PartitionKey>, Problem> {
    let mut found = BTreeSet::new();
    let mut next = Some(table.calendar.first()?);
    while let Some(partition) = next.filter(|partition| admitted.contains_key(partition)) {
        next = table.calendar.next(&partition)?;
        found.insert(partition);
    }
    Ok(found)
}

/// Relations of the live slot's layers that no model of the project makes any more.
async fn removed_relations(platform: &Platform, plan: &ProjectPlan, live: &Slot) -> Result<Vec<String>, Problem> {
    let schemas = platform.schemas(&plan.project)?;
    let kept: BTreeSet<String> = schemas
        .iter()
        .filter_map(|(id, schema)| Some(format!("{schema}.{}", plan.project.nodes.get(id)?.alias)))
        .collect();
    let ours: BTreeSet<&str> = schemas.values().map(wap::Identifier::as_str).collect();
    let found = platform.warehouse.relations(live).await?;
    Ok(found
        .into_iter()
        .filter(|(schema, _)| ours.contains(schema.as_str()))
        .map(|(schema, name)| format!("{schema}.{name}"))
        .filter(|relation| !kept.contains(relation))
        .collect())
}
