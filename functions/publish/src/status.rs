//! Where everything stands.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State as Extension;
use serde::Serialize;
use service::{Platform, Problem};
use state::Liveness;
use utoipa::ToSchema;
use wap::{Deployment, PartitionKey};

use crate::planning::groups;

/// The record, who is at work, and what is known of every partition.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Status {
    #[schema(value_type = Object)]
    record: Deployment,
    /// The slots that readers are shown now: one, unless views are being re-pointed.
    published: Vec<String>,
    /// Who works on the attempt that may commit, if somebody does.
    at_work: Option<String>,
    partitions: Vec<PartitionStatus>,
}

/// One partition, all its tables.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PartitionStatus {
    #[schema(value_type = String)]
    partition: PartitionKey,
    state: PartitionState,
    /// Tables of it that are in `raw`, and tables that it has.
    loaded: usize,
    tables: usize,
    rows: u64,
}

/// How far a partition has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PartitionState {
    /// Some of its tables are missing in `raw`.
    Incomplete,
    /// Complete; readers do not see it, or see an older content.
    Pending,
    /// Refused by an audit and unchanged since.
    Refused,
    /// Held: cycles go on with what they had.
    Held,
    /// Readers see it as `raw` has it.
    Live,
}

/// Answers where everything stands.
#[utoipa::path(get, path = "/status", responses((status = 200, body = Status)))]
pub(crate) async fn status(Extension(platform): Extension<Platform>) -> Result<Json<Status>, Problem> {
    let state = &platform.state;
    let record = state.record().await?;
    let live = state.live_inputs(&record).await?.unwrap_or_default().partitions;
    let ledger = state.ledger().await?;
    let at_work = match &record.building {
        Some(building) => match state.liveness(&building.slot.attempt).await? {
            Liveness::Alive { holder, heartbeat } => Some(format!(
                "run {} (attempt {}, process {holder}, heartbeat {} s ago)",
                building.run,
                building.slot.attempt,
                heartbeat.as_secs()
            )),
            Liveness::Gone { .. } => None,
        },
        None => None,
    };
    let refused: BTreeSet<&PartitionKey> =
        record.refused.iter().flat_map(|refusal| &refusal.changes).map(|change| &change.partition).collect();
    let mut partitions = Vec::new();
    for group in groups(&platform.pipeline) {
        let mut found: BTreeMap<&PartitionKey, (usize, u64, bool)> = BTreeMap::new();
        for entry in ledger.iter().filter(|entry| group.contains(&entry.table)) {
            let (loaded, rows, is_live) = found.entry(&entry.partition).or_insert((0, 0, true));
            let Some(step) = &entry.loaded else { continue };
            *loaded += 1;
            *rows += step.rows;
            let shown = live.get(&entry.table).and_then(|partitions| partitions.get(&entry.partition));
            *is_live &= shown == Some(&step.digest);
        }
        for (partition, (loaded, rows, is_live)) in found {
            let state = if record.held.contains_key(partition) {
                PartitionState::Held
            } else if loaded < group.len() {
                PartitionState::Incomplete
            } else if is_live {
                PartitionState::Live
            } else if refused.contains(partition) {
                PartitionState::Refused
            } else {
                PartitionState::Pending
            };
            partitions.push(PartitionStatus { partition: partition.clone(), state, loaded, tables: group.len(), rows });
        }
    }
    let published = platform.warehouse.published().await?;
    Ok(Json(Status { record, published, at_work, partitions }))
}
