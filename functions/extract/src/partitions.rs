//! The partitions of a range, for what runs one after the other.

use axum::Json;
use axum::extract::State as Extension;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use service::{Body, Platform, Problem};
use utoipa::ToSchema;
use wap::PartitionKey;

/// In one answer: a workflow holds them all in its memory.
const LIMIT: usize = 1000;

/// Which partitions.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PartitionsRequest {
    /// The first; without it the pipeline's first.
    from: Option<String>,
    /// The last; without it the newest that is over.
    to: Option<String>,
}

/// Partitions in order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Range {
    /// The first of them, at most 1000.
    #[schema(value_type = Vec<String>)]
    partitions: Vec<PartitionKey>,
    /// The one to ask from for the rest, if there is a rest.
    #[schema(value_type = Option<String>)]
    next: Option<PartitionKey>,
    /// The last of all of them, if there is any.
    #[schema(value_type = Option<String>)]
    last: Option<PartitionKey>,
    /// Whether `generate` makes the source's rows.
    sandbox: bool,
}

/// The partitions of a range, oldest first. A range that can't be run to its end is refused.
#[utoipa::path(post, path = "/partitions", request_body = PartitionsRequest, responses((status = 200, body = Range)))]
pub(crate) async fn partitions(
    Extension(platform): Extension<Platform>,
    Body(request): Body<PartitionsRequest>,
) -> Result<Json<Range>, Problem> {
    let runs = platform.pipeline.runs();
    let sandbox = platform.pipeline.sandbox.is_some();
    let now = Timestamp::now();
    let first = match &request.from {
        Some(text) => runs.parse_containing(text)?,
        None => runs.first()?,
    };
    let last = match &request.to {
        Some(text) => Some(runs.parse_containing(text)?),
        None => runs.previous(&runs.partition_of(now)?)?.filter(|newest| *newest >= first),
    };
    let Some(last) = last else {
        return Ok(Json(Range { partitions: Vec::new(), next: None, last: None, sandbox }));
    };
    if !runs.window(&last)?.has_ended(now) {
        return Err(Problem::rejected(format!(
            "partition {last} is not over yet; run it after {}",
            runs.window(&last)?.end
        )));
    }
    let mut range = runs.range(&first, &last)?;
    let partitions = range.by_ref().take(LIMIT).collect();
    Ok(Json(Range { partitions, next: range.next(), last: Some(last), sandbox }))
}
