//! Going back to the slot that was kept.

use axum::Json;
use axum::extract::State as Extension;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use service::{Body, Kind, Platform, Problem, Reason, detached};
use store::ObjectStoreExt;
use utoipa::ToSchema;
use wap::{Deployment, EndReason, Kept, PartitionKey, Receipt, Refused, RunId, Slot, Verdict};
use warehouse::Publication;

use crate::begin::cancel_jobs;
use crate::converge::complete;
use crate::publish::views;

/// How often the record may change under the checks before others are let through.
const TRIES: usize = 20;

/// What to roll back, and who asks for it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RollbackRequest {
    /// The run: the same request of the same run again changes nothing.
    #[schema(value_type = String)]
    run: RunId,
    /// The live cycle, as `status` shows it. If another one is live meanwhile, nothing is rolled back.
    cycle: u64,
    /// For people; shown wherever what was rolled back is held.
    #[schema(value_type = Option<String>, max_length = 1000)]
    reason: Option<Reason>,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RollbackOutcome {
    /// The cycle that the rollback counts as.
    cycle: u64,
    /// The slot that readers had seen, and the one that they see now.
    from: String,
    to: String,
    /// The rollback that this one undid.
    undid: Option<u64>,
    /// Partitions that are on hold because of it.
    #[schema(value_type = Vec<String>)]
    held: Vec<PartitionKey>,
    /// How many models are not built again as they were.
    models: usize,
    views: usize,
}

/// Names the kept slot in the record and points the views at it. What readers lose by it is held until it is released.
#[utoipa::path(post, path = "/rollback", request_body = RollbackRequest, responses((status = 200, body = RollbackOutcome)))]
pub(crate) async fn rollback(
    Extension(platform): Extension<Platform>,
    Body(request): Body<RollbackRequest>,
) -> Result<Json<RollbackOutcome>, Problem> {
    detached(async move { run(&platform, &request).await }).await.map(Json)
}

async fn run(platform: &Platform, request: &RollbackRequest) -> Result<RollbackOutcome, Problem> {
    let state = &platform.state;
    for _ in 0..TRIES {
        // Every cycle has a receipt before the next one is there: this is the record that has it, and only this is changed.
        let record = complete(platform).await?;
        if record.cycle != request.cycle {
            return repeated(platform, &record, request).await;
        }
        let now = Timestamp::now();
        let (live, kept) = record.rollback_target(now).map_err(state::Error::from)?;
        check(platform, kept).await?;
        let live_inputs = state.inputs_of(&live.slot.attempt, &live.inputs).await?;
        let kept_inputs = state.inputs_of(&kept.live.slot.attempt, &kept.live.inputs).await?;
        let mut checked = record.clone();
        if let Some(building) = checked.building.take() {
            let detail = format!("cycle {} is rolled back by run {}", request.cycle, request.run);
            state.end_attempt(&building.slot.attempt, EndReason::Superseded, &detail).await?;
            cancel_jobs(platform, &building.slot).await;
        }
        let hours = i64::from(platform.pipeline.retention.kept_slot_hours);
        let asked = wap::RollbackRequest {
            run: request.run.clone(),
            holder: state.holder().to_string(),
            reason: request.reason.clone().map_or_else(|| "no reason given".to_owned(), String::from),
            at: now,
            keep_until: now.checked_add(Span::new().hours(hours)).unwrap_or(Timestamp::MAX),
        };
        let committed =
            state.update_record(|record| record.rollback(&checked, &live_inputs, &kept_inputs, &asked)).await;
        match committed {
            Err(state::Error::Refused(Refused::Moved)) => {}
            Err(error) => return Err(error.into()),
            Ok(record) => {
                tracing::info!(cycle = record.cycle, run = %request.run, "rolled back");
                complete(platform).await?;
                return repeated(platform, &record, request).await;
            }
        }
    }
    Err(Problem::new(
        Kind::Unavailable,
        "moved",
        "the record is changed by others all the time; try the rollback again",
    ))
}

/// The outcome of this request, if it was done before: the rollback of a cycle is the next one, and its receipt says whose.
async fn repeated(
    platform: &Platform,
    record: &Deployment,
    request: &RollbackRequest,
) -> Result<RollbackOutcome, Problem> {
    let receipt = match request.cycle.checked_add(1).filter(|cycle| *cycle <= record.cycle) {
        Some(cycle) => platform.state.receipt(cycle).await?,
        None => None,
    };
    if let Some(Receipt { run, cycle, slot, views, rollback: Some(rollback), .. }) = receipt
        && run == request.run
    {
        return Ok(RollbackOutcome {
            cycle,
            from: rollback.from.name(),
            to: slot.name(),
            undid: rollback.undid,
            held: rollback.held,
            models: rollback.models.len(),
            views: views.len(),
        });
    }
    let live = record.live.as_ref().map_or_else(|| "nothing".to_owned(), |_| format!("cycle {}", record.cycle));
    Err(Problem::new(
        Kind::Conflict,
        "not_live",
        format!("cycle {} is not live, {live} is; look at `bgp status`, then decide anew", request.cycle),
    ))
}

/// The kept slot must be there, as it was audited, with every view that it had.
async fn check(platform: &Platform, kept: &Kept) -> Result<(), Problem> {
    let slot = &kept.live.slot;
    let platform = &platform.for_step("rollback", Some(slot));
    let attempt = platform.state.attempt(&slot.attempt).await?;
    let Some(passed) = attempt.verdict.as_ref().and_then(Verdict::passed) else {
        return Err(refused("kept_unaudited", slot, "has no verdict that it passed its audit"));
    };
    match platform.warehouse.fingerprint(slot).await {
        Ok(found) if &found == passed.fingerprint() => {}
        Ok(_) => return Err(refused("fingerprint", slot, "changed after its audit")),
        Err(warehouse::Error::NotFound { .. }) => return Err(refused("kept_gone", slot, "is gone")),
        Err(error) => return Err(error.into()),
    }
    let key = Publication::key(&slot.attempt);
    let Some((publication, _)) = platform.store.get_json::<Publication>(&key).await? else {
        return Err(refused("kept_gone", slot, &format!("can't be published, because {key} is missing")));
    };
    let publication = publication.of(slot)?;
    if views(&publication)? != kept.live.views {
        return Err(refused("fingerprint", slot, &format!("can't be published, because {key} changed since")));
    }
    platform.warehouse.dry_run(slot, &publication).await.map_err(|error| {
        let problem = Problem::from(error);
        Problem { detail: format!("slot {slot}, which was kept, can't be shown: {}", problem.detail), ..problem }
    })
}

fn refused(code: &'static str, slot: &Slot, why: &str) -> Problem {
    Problem::new(
        Kind::Rejected,
        code,
        format!(
            "slot {slot}, which was kept, {why}; nothing is rolled back. Correct the source or the project, and run again"
        ),
    )
}
