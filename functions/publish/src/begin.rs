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
        let free = match &record.building {
            None => None,
            Some(building) => match at_work(state, building, &request.run).await? {
                AtWork::Me => return resume(&platform, building, &request).await,
                AtWork::Nobody { is_resumable: true } => Some(building.clone()),
                AtWork::Nobody { is_resumable: false } => {
                    cancel_jobs(&platform, &building.slot).await;
                    continue;
                }
                AtWork::Other { holder, heartbeat } => {
                    if Instant::now() >= deadline {
                        let expires_in = state.lease().saturating_sub(heartbeat).as_secs();
                        return Err(state::Error::Held { holder, expires_in }.into());
                    }
                    tokio::time::sleep(POLL).await;
                    continue;
                }
            },
        };
        if record.live.is_some() {
            complete(&platform).await?;
        }
        let planned = plan_cycle(&platform).await?;
        if planned.record != record {
            continue;
        }
        if let Some(left) = free {
            let attempt = state.attempt(&left.slot.attempt).await?;
            if attempt.inputs == planned.inputs_digest {
                return resume(&platform, &left, &request).await;
            }
            let detail = format!("run {} has something newer to publish", request.run);
            state.end_attempt(attempt.id(), EndReason::Superseded, &detail).await?;
            cancel_jobs(&platform, &attempt.slot).await;
            continue;
        }
        if planned.work.is_empty() {
            return Ok(already_published(&planned));
        }
        planned.record.check_rolled_back(&planned.inputs.models).map_err(state::Error::from)?;
        planned.record.check_refusals(&planned.work, &planned.project.code).map_err(state::Error::from)?;
        match start(&platform, &request, &planned).await {
            Err(state::Error::Refused(Refused::Moved)) => {}
            Err(error) => return Err(error.into()),
            Ok(slot) => return Ok(describe(BeginOutcome::Begun, &slot, &planned)),
        }
    }
}

/// Jobs of an attempt that is over go on writing where nobody looks, and cost. That they do not end is no reason to wait.
pub(crate) async fn cancel_jobs(platform: &Platform, slot: &Slot) {
    match platform.warehouse.cancel(slot).await {
        Ok(0) => {}
        Ok(jobs) => tracing::info!(%slot, jobs, "cancelled what an attempt before this one had left running"),
        Err(error) => tracing::warn!(%slot, %error, "jobs of an attempt before this one could not be cancelled"),
    }
}

enum AtWork {
    /// This run began it: the request came twice.
    Me,
    /// Whoever it was is gone. An attempt that was left between two steps can be gone on with.
    Nobody {
        is_resumable: bool,
    },
    Other {
        holder: String,
        heartbeat: Duration,
    },
}

async fn at_work(state: &State, building: &Building, run: &RunId) -> Result<AtWork, Problem> {
    let id = &building.slot.attempt;
    let attempt = state.attempt(id).await?;
    if let Some(ended) = &attempt.ended {
        // Its end was recorded in the attempt and not yet in the record, or the other way round.
        state.end_attempt(id, ended.reason, &ended.detail).await?;
        return Ok(AtWork::Nobody { is_resumable: false });
    }
    match state.liveness(id).await? {
        Liveness::Alive { .. } if &building.run == run => Ok(AtWork::Me),
        Liveness::Alive { holder, heartbeat } => {
            let step = attempt.running().map_or("between two steps", |(name, _)| name);
            let holder = format!("run {} (attempt {id}, {step}, process {holder})", building.run);
            Ok(AtWork::Other { holder, heartbeat })
        }
        Liveness::Gone { holder, heartbeat } => {
            if attempt.running().is_some() {
                state.expire(id, &holder, heartbeat).await?;
                return Ok(AtWork::Nobody { is_resumable: false });
            }
            Ok(AtWork::Nobody { is_resumable: true })
        }
    }
}

async fn resume(platform: &Platform, building: &Building, request: &BeginRequest) -> Result<Begun, Problem> {
    let id = &building.slot.attempt;
    platform.state.beat(id).await?;
    let attempt = platform.state.attempt(id).await?;
    let record = platform
        .state
        .update_record(|mut record| {
            if let Some(current) = &mut record.building
                && &current.slot.attempt == id
            {
                current.run = request.run.clone();
                Ok(record)
            } else {
                Err(Refused::Moved)
            }
        })
        .await?;
    let plan = platform.project_plan().await?;
    Ok(Begun {
        outcome: BeginOutcome::Resumed,
        attempt: Some(id.clone()),
        cycle: building.slot.cycle,
        slot: Some(building.slot.name()),
        layers: plan.layers.iter().map(|layer| layer.name.clone()).collect(),
        partitions: list_partitions(&attempt.work.partitions()),
        models: attempt.work.build.len(),
        full: attempt.work.full.len(),
        held: record.held.keys().cloned().collect(),
    })
}

/// Stores the attempt and names it in the record. The attempt is there first: the record never names one that is not.
async fn start(platform: &Platform, request: &BeginRequest, planned: &Planned) -> Result<Slot, state::Error> {
    let slot = planned.record.next_slot(State::new_attempt_id()?);
    let now = Timestamp::now();
    let attempt = Attempt {
        version: ATTEMPT_VERSION,
        slot: slot.clone(),
        run: request.run.clone(),
        begun_at: now,
        inputs: planned.inputs_digest.clone(),
        project: planned.project.code.clone(),
        work: planned.work.clone(),
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
