//! The commit.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State as Extension;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use service::{Body, Kind, Platform, Problem, detached};
use store::ObjectStoreExt;
use utoipa::ToSchema;
use wap::guard::{Guard, stands};
use wap::{Attempt, AttemptId, AuditPassed, Digest, EndReason, Identifier, Live, View};
use warehouse::{Publication, PublishedView, Statistics};

use crate::converge::{Uncommitted, complete};

/// What to publish: an attempt, or by hand the cycle that it would become.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublishRequest {
    #[schema(value_type = Option<String>)]
    attempt: Option<AttemptId>,
    /// The cycle that waits to be published, as `status` shows it.
    cycle: Option<u64>,
}

/// What was published.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Published {
    cycle: u64,
    slot: String,
    views: usize,
    #[serde(default)]
    #[schema(value_type = Object)]
    cost: Statistics,
}

/// Checks the verdict and the slot's fingerprint, commits the record, and converges the views.
#[utoipa::path(post, path = "/publish", request_body = PublishRequest, responses((status = 200, body = Published)))]
pub(crate) async fn publish(
    Extension(platform): Extension<Platform>,
    Body(request): Body<PublishRequest>,
) -> Result<Json<Published>, Problem> {
    detached(async move {
        let id = attempt_of(&platform, &request).await?;
        let published = platform.state.step(&id, "publish", commit(&platform, &id)).await?;
        // A repeated request finds the step done and the world perhaps not yet: this is where a crash after the commit heals.
        complete(&platform).await?;
        platform.state.release_lease(&id).await?;
        Ok(published)
    })
    .await
    .map(Json)
}

async fn attempt_of(platform: &Platform, request: &PublishRequest) -> Result<AttemptId, Problem> {
    match (&request.attempt, request.cycle) {
        (Some(attempt), None) => Ok(attempt.clone()),
        (None, Some(cycle)) => {
            let record = platform.state.record().await?;
            if let Some(building) = record.building.filter(|building| building.slot.cycle == cycle) {
                return Ok(building.slot.attempt);
            }
            if let Some(live) = record.live.filter(|live| live.slot.cycle == cycle) {
                return Ok(live.slot.attempt);
            }
            Err(Problem::new(
                Kind::NotFound,
                "no_cycle",
                format!("no attempt for cycle {cycle} waits to be published; `bgp status` shows which does"),
            ))
        }
        _ => Err(Problem::rejected("name what to publish by one of `attempt` and `cycle`")),
    }
}

async fn commit(platform: &Platform, id: &AttemptId) -> Result<Published, Problem> {
    let attempt = platform.state.attempt(id).await?;
    let platform = &platform.for_step("publish", Some(&attempt.slot));
    let Some(passed) = attempt.verdict.as_ref().and_then(wap::Verdict::passed) else {
        return Err(Problem::rejected(format!("attempt {id} has not passed an audit; run its audit first")));
    };
    let record = platform.state.record().await?;
    let already = record.live.as_ref().is_some_and(|live| &live.slot.attempt == id);
    if !already {
        check_fingerprint(platform, &attempt, &passed).await?;
        let key = Publication::key(id);
        let Some((publication, _)) = platform.store.get_json::<Publication>(&key).await? else {
            return Err(Problem::internal(format!("{key} is missing from the store; begin a new attempt")));
        };
        let publication = publication.of(&attempt.slot)?;
        if stands(Guard::DryRun) {
            platform.warehouse.dry_run(&attempt.slot, &publication).await?;
        }
        if !stands(Guard::RecordBeforeViews) {
            platform.warehouse.converge(&Uncommitted { slot: &attempt.slot, publication: &publication }).await?;
        }
        let live = live(&attempt, &publication)?;
        let hours = i64::from(platform.pipeline.retention.kept_slot_hours);
        let keep_until = live.published_at.checked_add(Span::new().hours(hours)).unwrap_or(Timestamp::MAX);
        platform.state.update_record(|record| record.commit(id, live.clone(), keep_until)).await?;
        tracing::info!(attempt = %id, cycle = attempt.slot.cycle, "committed");
    }
    let views = platform.state.record().await?.live.map_or(0, |live| live.views.len());
    Ok(Published { cycle: attempt.slot.cycle, slot: attempt.slot.name(), views, cost: platform.warehouse.statistics() })
}

/// What was audited must be what is published.
async fn check_fingerprint(platform: &Platform, attempt: &Attempt, passed: &AuditPassed) -> Result<(), Problem> {
    let found = platform.warehouse.fingerprint(&attempt.slot).await?;
    if passed.covers(&found) {
        return Ok(());
    }
    let detail = format!("slot {} changed after its audit", attempt.slot);
    platform.state.end_attempt(attempt.id(), EndReason::Failed, &detail).await?;
    Err(Problem::new(
        Kind::Rejected,
        "fingerprint",
        format!("{detail}; it is not published and readers still see the cycle before. Run again"),
    ))
}

fn live(attempt: &Attempt, publication: &Publication) -> Result<Live, Problem> {
    Ok(Live {
        slot: attempt.slot.clone(),
        views: views(publication)?,
        inputs: attempt.inputs.clone(),
        newest_partition: publication.deployment.newest_partition.clone(),
        held: publication.deployment.held.clone(),
        published_at: Timestamp::now(),
    })
}

/// The views of a publication as the record names them.
pub(crate) fn views(publication: &Publication) -> Result<BTreeMap<Identifier, View>, Problem> {
    publication.views.iter().map(|view| Ok((view.name.clone(), record_of(view)?))).collect()
}

fn record_of(view: &PublishedView) -> Result<View, Problem> {
    let columns: Vec<&Identifier> = view.columns.iter().map(|column| &column.name).collect();
    let definition = (&view.schema, &view.relation, columns);
    Ok(View {
        target: format!("{}.{}", view.schema, view.relation),
        digest: Digest::of_json(&definition).map_err(|error| Problem::internal(error.to_string()))?,
    })
}
