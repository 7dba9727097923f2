//! Going on without a partition, and taking it up again.

use axum::Json;
use axum::extract::State as Extension;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use service::{Body, Kind, Platform, Problem, Reason};
use utoipa::ToSchema;
use wap::{Hold, PartitionKey};

/// Which partition, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HoldRequest {
    #[schema(value_type = String)]
    partition: PartitionKey,
    /// For people; shown wherever the hold is.
    #[schema(value_type = Option<String>, max_length = 1000)]
    reason: Option<Reason>,
}

/// What to take up again: a partition, or all that the rollback of a cycle keeps out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReleaseRequest {
    #[schema(value_type = Option<String>)]
    partition: Option<PartitionKey>,
    /// The cycle that was rolled back, or the one that the rollback counts as.
    cycle: Option<u64>,
}

/// The holds there are now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Holds {
    #[schema(value_type = Vec<String>)]
    held: Vec<PartitionKey>,
}

/// Later cycles go on with what they had accepted of this partition before, all of its tables.
#[utoipa::path(post, path = "/hold", request_body = HoldRequest, responses((status = 200, body = Holds)))]
pub(crate) async fn hold(
    Extension(platform): Extension<Platform>,
    Body(request): Body<HoldRequest>,
) -> Result<Json<Holds>, Problem> {
    let ledger = platform.state.ledger().await?;
    if !ledger.iter().any(|entry| entry.partition == request.partition) {
        return Err(Problem::new(
            Kind::NotFound,
            "no_partition",
            format!("nothing was extracted for partition {}; `bgp status` lists the partitions", request.partition),
        ));
    }
    let reason = request.reason.map_or_else(|| "held by hand".to_owned(), String::from);
    let hold = Hold { reason, since: Timestamp::now(), rolled_back: None };
    let record =
        platform.state.update_record(|record| Ok(record.hold(request.partition.clone(), hold.clone()))).await?;
    Ok(Json(Holds { held: record.held.into_keys().collect() }))
}

/// The next cycle takes what `raw` holds of this partition, or what was rolled back.
#[utoipa::path(post, path = "/release", request_body = ReleaseRequest, responses((status = 200, body = Holds)))]
pub(crate) async fn release(
    Extension(platform): Extension<Platform>,
    Body(request): Body<ReleaseRequest>,
) -> Result<Json<Holds>, Problem> {
    let record = match (&request.partition, request.cycle) {
        (Some(partition), None) => platform.state.update_record(|record| record.release(partition)).await?,
        (None, Some(cycle)) => platform.state.update_record(|record| record.release_cycle(cycle)).await?,
        _ => return Err(Problem::rejected("name what to release by one of `partition` and `cycle`")),
    };
    Ok(Json(Holds { held: record.held.into_keys().collect() }))
}
