//! Dropping what nothing names any more.
//!
//! What there is, is listed first and the record is read afterwards; what it does not name then, it never names again
//! ([`wap::Deployment::slots`]). So a run that begins meanwhile loses nothing: its attempt is newer than the list. Each
//! drop looks once more at what could have changed, and comes in an order in which a crash leaves only what the next
//! cleanup finds again.

mod discard;
mod inventory;
mod leftovers;
mod plan;

use axum::Json;
use axum::extract::State as Extension;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use service::{Body, Platform, Problem, detached};
use utoipa::ToSchema;

pub(crate) use discard::discard;
pub(crate) use inventory::{Found, lake_prefixes, take};
use plan::plan;
pub(crate) use plan::{Item, Kind, crashed};

/// What to do.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CleanupRequest {
    /// Only say what would be dropped.
    dry_run: Option<bool>,
}

/// What was dropped, or would be.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Cleaned {
    dry_run: bool,
    items: Vec<Done>,
    /// Bytes of all that was dropped, or would be.
    bytes: u64,
}

/// One thing, and what became of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Done {
    #[serde(flatten)]
    item: Item,
    outcome: Outcome,
}

/// What became of a thing that was to be dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// It is still there: nothing was asked but what there is.
    WouldDrop,
    Dropped,
    /// Something names it again, or somebody else changed it.
    Spared,
}

/// Drops slots and objects that nothing names any more and whose retention is over. Asked twice, it finds nothing to do.
#[utoipa::path(post, path = "/cleanup", request_body = CleanupRequest, responses((status = 200, body = Cleaned)))]
pub(crate) async fn cleanup(
    Extension(platform): Extension<Platform>,
    Body(request): Body<CleanupRequest>,
) -> Result<Json<Cleaned>, Problem> {
    detached(run(platform, request)).await.map(Json)
}

async fn run(platform: Platform, request: CleanupRequest) -> Result<Cleaned, Problem> {
    let dry_run = request.dry_run.unwrap_or_default();
    let platform = platform.for_step("cleanup", None);
    let mut found = take(&platform).await?;
    let mut items = plan(&found, &platform.pipeline.retention, Timestamp::now());
    for item in &mut items {
        item.measure(&platform).await?;
    }
    let mut done = Vec::new();
    for item in items {
        let outcome = if dry_run {
            Outcome::WouldDrop
        } else if discard(&platform, &mut found, &item).await? {
            tracing::info!(kind = ?item.kind, name = item.name, bytes = item.bytes, reason = item.reason, "dropped");
            Outcome::Dropped
        } else {
            Outcome::Spared
        };
        done.push(Done { item, outcome });
    }
    let counted = done.iter().filter(|done| done.outcome != Outcome::Spared);
    Ok(Cleaned { dry_run, bytes: counted.map(|done| done.item.bytes).sum(), items: done })
}

#[cfg(test)]
mod tests;
