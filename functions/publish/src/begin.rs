//! Becoming the attempt that may commit.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State as Extension;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use service::{Body, Platform, Problem, detached};
use state::{Liveness, State};
use tokio::time::Instant;
use utoipa::ToSchema;
use wap::guard::{Guard, stands};
use wap::protocol::{self, AtWork, Next};
use wap::{
    ATTEMPT_VERSION, Attempt, AttemptId, Building, EndReason, PartitionKey, Refused, RunId, Slot, list_partitions,
};

use crate::converge::complete;
use crate::planning::{Planned, plan_cycle};

/// How often a run that waits for another looks again.
const POLL: Duration = Duration::from_millis(100);

/// How much longer than a lease a run waits for another: an expired lease is then certain to have been seen.
const GRACE: Duration = Duration::from_secs(1);

/// Who begins.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BeginRequest {
    /// The run: the workflow's execution.
    #[schema(value_type = String)]
    run: RunId,
}

/// What there is to do.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Begun {
    outcome: BeginOutcome,
    /// The attempt; absent if there is nothing to do.
    #[schema(value_type = Option<String>)]
    attempt: Option<AttemptId>,
    /// The cycle that the attempt becomes if it is published, or the one that is live.
    cycle: u64,
    slot: Option<String>,
    /// The layers to transform, in order.
    layers: Vec<String>,
    /// Partitions whose content is new, as text.
    partitions: String,
    /// How many models are built, and how many of them in full.
    models: usize,
    full: usize,
    #[schema(value_type = Vec<String>)]
    held: Vec<PartitionKey>,
}

/// How `begin` ended.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BeginOutcome {
    /// A new attempt.
    Begun,
    /// An attempt that a run before this one left between two steps.
    Resumed,
    /// Nothing differs from what is live.
    AlreadyPublished,
}

/// Finishes what a dead publisher left, ends or resumes what a dead run left, and begins an attempt if anything that is
/// complete differs from what is live.
#[utoipa::path(post, path = "/begin", request_body = BeginRequest, responses((status = 200, body = Begun)))]
pub(crate) async fn begin(
    Extension(platform): Extension<Platform>,
    Body(request): Body<BeginRequest>,
) -> Result<Json<Begun>, Problem> {
    detached(run(platform, request)).await.map(Json)
}

async fn run(platform: Platform, request: BeginRequest) -> Result<Begun, Problem> {
    let state = &platform.state;
    let deadline = Instant::now() + state.lease() + GRACE;
    loop {
        let record = state.record().await?;
        let building = record.building.as_ref().filter(|_| stands(Guard::OldAttemptEnds));
        let left = match building {
            None => None,
            Some(building) => {
                let attempt = state.attempt(&building.slot.attempt).await?;
                let liveness = state.liveness(attempt.id()).await?;
                let is_alive = matches!(liveness, Liveness::Alive { .. });
                match protocol::at_work(building, &attempt, is_alive, &request.run) {
                    AtWork::Mine => match resume(&platform, building, &request).await? {
                        Some(begun) => return Ok(begun),
                        None => continue,
                    },
                    AtWork::Left => Some((building.clone(), attempt)),
                    AtWork::Other => {
                        wait(state, building, &attempt, liveness, deadline).await?;
                        continue;
                    }
                    AtWork::Ended(ended) => {
                        // Its end was recorded in the attempt and not yet in the record.
                        state.end_attempt(attempt.id(), ended.reason, &ended.detail).await?;
                        cancel_jobs(&platform, &building.slot).await;
                        continue;
                    }
                    AtWork::Expired => {
                        let (Liveness::Alive { holder, .. } | Liveness::Gone { holder, .. }) = &liveness;
                        state.expire(attempt.id(), holder, liveness.heartbeat()).await?;
                        cancel_jobs(&platform, &building.slot).await;
                        continue;
                    }
                }
            }
        };
        if record.live.is_some() && stands(Guard::RecoveryFirst) {
            complete(&platform).await?;
        }
        let planned = plan_cycle(&platform).await?;
        if planned.record != record && stands(Guard::PlannedRecord) {
            continue;
        }
        let left = left.as_ref();
        let attempt = left.map(|(_, attempt)| attempt);
        let (inputs, code) = (&planned.inputs_digest, &planned.project.code);
        let next = protocol::next(&planned.record, attempt, inputs, &planned.work, code).map_err(state::Error::from)?;
        match (next, left) {
            (Next::Nothing, _) => return Ok(already_published(&planned)),
            (Next::Resume, Some((building, _))) => {
                if let Some(begun) = resume(&platform, building, &request).await? {
                    return Ok(begun);
                }
            }
            (Next::Supersede, Some((building, attempt))) => {
                let detail = format!("run {} has something newer to publish", request.run);
                state.end_attempt(attempt.id(), EndReason::Superseded, &detail).await?;
                cancel_jobs(&platform, &building.slot).await;
            }
            (Next::Start | Next::Resume | Next::Supersede, _) => {
                planned.record.check_rolled_back(&planned.inputs.models).map_err(state::Error::from)?;
                match start(&platform, &request, &planned).await {
                    Err(state::Error::Refused(Refused::Moved)) => {}
                    Err(error) => return Err(error.into()),
                    Ok(slot) => return Ok(describe(BeginOutcome::Begun, &slot, &planned)),
                }
            }
        }
    }
}

/// Waits a moment for whoever is at work, or says that it takes too long.
async fn wait(
    state: &State,
    building: &Building,
    attempt: &Attempt,
    liveness: Liveness,
    deadline: Instant,
) -> Result<(), Problem> {
    if Instant::now() < deadline {
        tokio::time::sleep(POLL).await;
        return Ok(());
    }
    let expires_in = state.lease().saturating_sub(liveness.heartbeat().unwrap_or_default()).as_secs();
    let (Liveness::Alive { holder, .. } | Liveness::Gone { holder, .. }) = liveness;
    let step = attempt.running().map_or("between two steps", |(name, _)| name);
    let holder = format!("run {} (attempt {}, {step}, process {holder})", building.run, attempt.id());
    Err(state::Error::Held { holder, expires_in }.into())
}

/// Jobs of an attempt that is over go on writing where nobody looks, and cost. That they do not end is no reason to wait.
pub(crate) async fn cancel_jobs(platform: &Platform, slot: &Slot) {
    match platform.warehouse.cancel(slot).await {
        Ok(0) => {}
        Ok(jobs) => tracing::info!(%slot, jobs, "cancelled what an attempt before this one had left running"),
        Err(error) => tracing::warn!(%slot, %error, "jobs of an attempt before this one could not be cancelled"),
    }
}

/// Goes on with an attempt; `None` if another run was faster.
async fn resume(platform: &Platform, building: &Building, request: &BeginRequest) -> Result<Option<Begun>, Problem> {
    let id = &building.slot.attempt;
    // The heartbeat comes first: whoever reads the new name finds it alive.
    platform.state.beat(id).await?;
    let attempt = platform.state.attempt(id).await?;
    let record = match platform.state.update_record(|record| record.resume(building, &request.run)).await {
        Ok(record) => record,
        Err(state::Error::Refused(Refused::Moved)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let plan = platform.project_plan().await?;
    // The run that began it asks again, and is told what it was told before.
    let is_own = attempt.run == request.run;
    Ok(Some(Begun {
        outcome: if is_own { BeginOutcome::Begun } else { BeginOutcome::Resumed },
        attempt: Some(id.clone()),
        cycle: building.slot.cycle,
        slot: Some(building.slot.name()),
        layers: plan.layers.iter().map(|layer| layer.name.clone()).collect(),
        partitions: list_partitions(&attempt.work.partitions()),
        models: attempt.work.build.len(),
        full: attempt.work.full.len(),
        held: record.held.keys().cloned().collect(),
    }))
}

/// Stores the attempt and names it in the record. The attempt is there first: the record never names one that is not.
async fn start(platform: &Platform, request: &BeginRequest, planned: &Planned) -> Result<Slot, state::Error> {
    let slot = planned.record.next_slot(State::new_attempt_id()?);
    let continues = continued(&platform.state, planned).await?;
    let now = Timestamp::now();
    let attempt = Attempt {
        version: ATTEMPT_VERSION,
        slot: slot.clone(),
        run: request.run.clone(),
        begun_at: now,
        inputs: planned.inputs_digest.clone(),
        project: planned.project.code.clone(),
        work: planned.work.clone(),
        continues,
        steps: BTreeMap::new(),
        verdict: None,
        ended: None,
    };
    platform.state.create_attempt(&attempt, &planned.inputs).await?;
    let building = Building { slot: slot.clone(), run: request.run.clone(), since: now };
    let begun = platform.state.update_record(|record| record.begin(&planned.record, building.clone())).await;
    if let Err(error) = begun {
        // It never was the one that may commit, so nobody else will end it.
        platform.state.end_attempt(&slot.attempt, EndReason::Superseded, "another run began first").await?;
        return Err(error);
    }
    tracing::info!(attempt = %slot.attempt, cycle = slot.cycle, run = %request.run, "begun");
    Ok(slot)
}

/// The slot whose finished layers the new attempt may take over.
async fn continued(state: &State, planned: &Planned) -> Result<Option<Slot>, state::Error> {
    let Some(slot) = &planned.record.expired else { return Ok(None) };
    match state.attempt(&slot.attempt).await {
        Ok(expired) => {
            let (inputs, code) = (&planned.inputs_digest, &planned.project.code);
            Ok(protocol::continued(&planned.record, &expired, inputs, &planned.work, code))
        }
        // A cleanup has been here.
        Err(state::Error::NoAttempt { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn describe(outcome: BeginOutcome, slot: &Slot, planned: &Planned) -> Begun {
    Begun {
        outcome,
        attempt: Some(slot.attempt.clone()),
        cycle: slot.cycle,
        slot: Some(slot.name()),
        layers: planned.project.layers.iter().map(|layer| layer.name.clone()).collect(),
        partitions: list_partitions(&planned.work.partitions()),
        models: planned.work.build.len(),
        full: planned.work.full.len(),
        held: planned.record.held.keys().cloned().collect(),
    }
}

fn already_published(planned: &Planned) -> Begun {
    Begun {
        outcome: BeginOutcome::AlreadyPublished,
        attempt: None,
        cycle: planned.record.cycle,
        slot: planned.record.live.as_ref().map(|live| live.slot.name()),
        layers: Vec::new(),
        partitions: String::new(),
        models: 0,
        full: 0,
        held: planned.record.held.keys().cloned().collect(),
    }
}
