//! Where everything stands.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State as Extension;
use jiff::Timestamp;
use serde::Serialize;
use service::{Platform, Problem};
use state::Liveness;
use utoipa::ToSchema;
use wap::{Attempt, Deployment, Identifier, InputMap, LedgerEntry, PartitionKey};

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
    /// The step that is being done on the attempt that may commit, or what was done last.
    step: Option<String>,
    /// Whether the time is over for which the kept slot is kept.
    kept_expired: bool,
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
    /// Tables of it of which readers see an older content than `raw` has.
    late: usize,
    /// When `raw` changed last.
    #[schema(value_type = Option<String>)]
    loaded_at: Option<Timestamp>,
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
    let step = match &record.building {
        Some(building) => match state.attempt(&building.slot.attempt).await {
            Ok(attempt) => Some(step(&attempt)),
            // Whoever asks because something is damaged is told the rest.
            Err(state::Error::NoAttempt { id }) => Some(format!("attempts/{id}.json is missing")),
            Err(error) => return Err(error.into()),
        },
        None => None,
    };
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
    let mut partitions = Vec::new();
    for group in groups(&platform.pipeline) {
        partitions.extend(group_status(&group, &ledger, &live, &record));
    }
    let published = platform.warehouse.published().await?;
    let kept_expired = record.kept.as_ref().is_some_and(|kept| kept.until <= Timestamp::now());
    Ok(Json(Status { record, published, at_work, step, kept_expired, partitions }))
}

/// What an attempt is at.
fn step(attempt: &Attempt) -> String {
    if let Some((name, _)) = attempt.running() {
        return name.to_owned();
    }
    let last = attempt.steps.iter().filter_map(|(name, step)| Some((step.finished_at?, name))).max();
    last.map_or_else(|| "begun".to_owned(), |(_, name)| format!("after {name}"))
}

/// What is known of the partition so far.
#[derive(Debug, Default)]
struct Found {
    loaded: usize,
    rows: u64,
    live: usize,
    late: usize,
    loaded_at: Option<Timestamp>,
}

/// Every partition of the tables that are complete together.
fn group_status(
    group: &BTreeSet<Identifier>,
    ledger: &[LedgerEntry],
    live: &InputMap,
    record: &Deployment,
) -> Vec<PartitionStatus> {
    let refused: BTreeSet<&PartitionKey> =
        record.refused.iter().flat_map(|refusal| &refusal.changes).map(|change| &change.partition).collect();
    let mut all: BTreeMap<&PartitionKey, Found> = BTreeMap::new();
    for entry in ledger.iter().filter(|entry| group.contains(&entry.table)) {
        let found = all.entry(&entry.partition).or_default();
        let Some(step) = &entry.loaded else { continue };
        found.loaded += 1;
        found.rows += step.rows;
        found.loaded_at = found.loaded_at.max(Some(step.at));
        match live.get(&entry.table).and_then(|partitions| partitions.get(&entry.partition)) {
            Some(shown) if shown == &step.digest => found.live += 1,
            Some(_) => found.late += 1,
            None => {}
        }
    }
    all.into_iter()
        .map(|(partition, found)| PartitionStatus {
            partition: partition.clone(),
            state: if record.held.contains_key(partition) {
                PartitionState::Held
            } else if found.loaded < group.len() {
                PartitionState::Incomplete
            } else if found.live == found.loaded {
                PartitionState::Live
            } else if refused.contains(partition) {
                PartitionState::Refused
            } else {
                PartitionState::Pending
            },
            loaded: found.loaded,
            tables: group.len(),
            rows: found.rows,
            late: found.late,
            loaded_at: found.loaded_at,
        })
        .collect()
}
