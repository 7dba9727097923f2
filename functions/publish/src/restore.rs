//! One published table as it was at some time, as a copy beside everything else.
//!
//! Nothing that readers see is written: a sealed slot stays as it was audited, and whoever wants its content back publishes
//! a cycle, or rolls back. What the copy is for is looking, comparing, and feeding a source.

use axum::Json;
use axum::extract::State as Extension;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use service::{Body, Kind, Platform, Problem, detached};
use utoipa::ToSchema;
use wap::{Identifier, Receipt, Slot};

/// Which view, of when, and where to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RestoreRequest {
    #[schema(value_type = String)]
    view: Identifier,
    /// Readers saw it then.
    #[schema(value_type = String)]
    at: Timestamp,
    /// The dataset for the copy: none that the pipeline writes.
    #[schema(value_type = String)]
    into: Identifier,
}

/// What was copied.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Restored {
    /// The copy.
    table: String,
    /// The cycle that was live then, and its slot.
    cycle: u64,
    slot: String,
}

/// Copies a published table as it was at some time.
#[utoipa::path(post, path = "/restore", request_body = RestoreRequest, responses((status = 200, body = Restored)))]
pub(crate) async fn restore(
    Extension(platform): Extension<Platform>,
    Body(request): Body<RestoreRequest>,
) -> Result<Json<Restored>, Problem> {
    detached(run(platform, request)).await.map(Json)
}

async fn run(platform: Platform, request: RestoreRequest) -> Result<Restored, Problem> {
    let receipts = platform.state.receipts().await?;
    let (receipt, schema, relation) = live_at(&receipts, &request.view, request.at, Timestamp::now())?;
    let slot: &Slot = &receipt.slot;
    if !platform.warehouse.slots().await?.contains(&slot.name()) {
        return Err(not_found(format!(
            "cycle {} was live then, and its slot {slot} was dropped; `bgp receipt {}` says what it was built from, and \
             the lake keeps that as long as retention.lake_days says",
            receipt.cycle, receipt.cycle
        )));
    }
    let platform = platform.for_step("restore", Some(slot));
    let table = platform.warehouse.restore(slot, schema, relation, request.at, &request.into).await?;
    Ok(Restored { table, cycle: receipt.cycle, slot: slot.name() })
}

/// The receipt of the cycle that was live at a time, and the schema and relation that the view showed.
fn live_at<'a>(
    receipts: &'a [Receipt],
    view: &Identifier,
    at: Timestamp,
    now: Timestamp,
) -> Result<(&'a Receipt, &'a str, &'a str), Problem> {
    if at > now {
        return Err(Problem::rejected(format!("{at} lies ahead; name a time at which the table was as you want it")));
    }
    let before = receipts.iter().filter(|receipt| receipt.published_at <= at);
    let Some(receipt) = before.max_by_key(|receipt| receipt.cycle) else {
        let first = receipts.first().map_or_else(
            || "nothing is published yet".to_owned(),
            |first| {
                format!(
                    "the first cycle of which there is a receipt, {}, was published {}",
                    first.cycle, first.published_at
                )
            },
        );
        return Err(not_found(format!("nothing was live at {at}: {first}")));
    };
    let target = receipt.views.get(view).and_then(|shown| shown.target.split_once('.'));
    let (schema, relation) = target.ok_or_else(|| {
        let accepted: Vec<&str> = receipt.views.keys().map(Identifier::as_str).collect();
        not_found(format!("cycle {} had no view {view}; accepted: {}", receipt.cycle, accepted.join(", ")))
    })?;
    Ok((receipt, schema, relation))
}

fn not_found(detail: String) -> Problem {
    Problem::new(Kind::NotFound, "nothing_to_restore", detail)
}
