//! The function, over HTTP.

use axum::Json;
use axum::extract::State as Extension;
use events::{Fact, PartitionExtracted};
use jiff::Timestamp;
use pipeline::Changes;
use serde::{Deserialize, Serialize};
use service::{Body, Kind, Platform, Problem, check_number, detached, each};
use tracing::{Instrument, info_span};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wap::{Digest, Identifier, Manifest, PartitionKey};

use crate::{Error, partitions};

/// The routes of the function.
pub fn routes(platform: Platform) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(plan))
        .routes(routes!(partitions::partitions))
        .routes(routes!(extract_partitions))
        .with_state(platform)
}

/// What a run is for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PlanRequest {
    /// The day or hour; without it the newest day that is over.
    partition: Option<String>,
    /// Only these tables; without it all of them.
    tables: Option<Vec<String>>,
}

/// What a run has to do, and within which bounds.
#[derive(Debug, Serialize, ToSchema)]
struct Plan {
    #[schema(value_type = String)]
    partition: PartitionKey,
    /// What there is to extract and load, in as many calls.
    batches: Vec<Vec<Item>>,
    /// Whether `generate` makes the source's rows.
    sandbox: bool,
    attempts_per_run: u32,
    /// Whether a publish waits for somebody to say so.
    approval: bool,
}

/// One partition of one table.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Item {
    #[schema(value_type = String)]
    table: Identifier,
    #[schema(value_type = String)]
    partition: PartitionKey,
}

/// The tables that a run concerns, each with its own partition.
#[utoipa::path(post, path = "/plan", request_body = PlanRequest, responses((status = 200, body = Plan)))]
async fn plan(
    Extension(platform): Extension<Platform>,
    Body(request): Body<PlanRequest>,
) -> Result<Json<Plan>, Problem> {
    let pipeline = &platform.pipeline;
    let runs = pipeline.runs();
    let now = Timestamp::now();
    let partition = match &request.partition {
        Some(text) => runs.parse_containing(text)?,
        None => runs
            .previous(&runs.partition_of(now)?)?
            .ok_or_else(|| Problem::rejected("no partition is over yet; name one with `partition`"))?,
    };
    if !runs.window(&partition)?.has_ended(now) {
        return Err(Problem::rejected(format!(
            "partition {partition} is not over yet; run it after {}",
            runs.window(&partition)?.end
        )));
    }
    let wanted = request.tables.unwrap_or_default();
    for table in &wanted {
        pipeline.table(table)?;
    }
    let mut items = Vec::new();
    for concerned in pipeline.tables_for(&partition)? {
        let table = concerned.table;
        let is_wanted = wanted.is_empty() || wanted.iter().any(|name| name == table.name.as_str());
        // A week or month that is still going on would be admitted as if it were complete.
        let is_over =
            matches!(table.changes, Changes::Whole) || table.calendar.window(&concerned.partition)?.has_ended(now);
        if is_wanted && is_over {
            items.push(Item { table: table.name.clone(), partition: concerned.partition });
        }
    }
    Ok(Json(Plan {
        partition,
        batches: items.chunks(pipeline.limits.tables_per_call.max(1)).map(<[Item]>::to_vec).collect(),
        sandbox: pipeline.sandbox.is_some(),
        attempts_per_run: pipeline.limits.attempts_per_run,
        approval: pipeline.approval,
    }))
}

/// What to extract.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ExtractRequest {
    /// Partitions of tables, at most 1000.
    #[schema(max_items = 1000)]
    items: Vec<ItemRequest>,
}

/// A partition of a table.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ItemRequest {
    /// The table, as pipeline.yaml names it.
    table: String,
    /// A partition of that table.
    partition: String,
}

/// What was extracted.
#[derive(Debug, Serialize, ToSchema)]
struct Extracted {
    /// The partitions' manifests and, for tables with a cursor, those of the late partitions before them: what there is to load.
    manifests: Vec<ExtractedManifest>,
    /// Of all of them.
    rows: u64,
    /// Of all of them, in the lake.
    bytes: u64,
}

/// One manifest, by its identity.
#[derive(Debug, Serialize, ToSchema)]
struct ExtractedManifest {
    #[schema(value_type = String)]
    table: Identifier,
    #[schema(value_type = String)]
    partition: PartitionKey,
    #[schema(value_type = String)]
    digest: Digest,
}

/// Partitions of tables into the lake. The same rows give the same manifests.
#[utoipa::path(post, path = "/extract", request_body = ExtractRequest, responses((status = 200, body = Extracted)))]
async fn extract_partitions(
    Extension(platform): Extension<Platform>,
    Body(request): Body<ExtractRequest>,
) -> Result<Json<Extracted>, Problem> {
    check_number(request.items.len())?;
    // Whatever is wrong with one of them is said before any is extracted.
    let items = request
        .items
        .iter()
        .map(|item| {
            let table = platform.pipeline.table(&item.table)?;
            Ok((table.name.clone(), table.calendar.parse(&item.partition)?))
        })
        .collect::<Result<Vec<_>, Problem>>()?;
    detached(async move {
        let work = items.into_iter().map(|(table, partition)| {
            let span = info_span!(target: "trace", "extract", %table, %partition);
            extract_partition(platform.clone(), table, partition).instrument(span)
        });
        let manifests: Vec<Manifest> = each(work).await?.into_iter().flatten().collect();
        Ok(Extracted {
            rows: manifests.iter().map(|manifest| manifest.rows).sum(),
            bytes: manifests.iter().map(|manifest| manifest.bytes).sum(),
            manifests: manifests
                .into_iter()
                .map(|Manifest { table, partition, digest, .. }| ExtractedManifest { table, partition, digest })
                .collect(),
        })
    })
    .await
    .map(Json)
}

/// One partition of one table, and the late ones before it.
async fn extract_partition(
    platform: Platform,
    table: Identifier,
    partition: PartitionKey,
) -> Result<Vec<Manifest>, Problem> {
    let table = platform.pipeline.table(table.as_str())?;
    let access = platform.source_for_reading(table).await?;
    let manifests = crate::extract(&access, &platform.state, table, &partition, Timestamp::now()).await?;
    for manifest in &manifests {
        let entry = platform.state.ledger_entry(&manifest.table, &manifest.partition).await?;
        // Somebody else may have extracted it again meanwhile; then the news is theirs.
        if let Some(step) = entry.extracted.filter(|step| step.digest == manifest.digest) {
            let fact = PartitionExtracted {
                table: manifest.table.clone(),
                partition: manifest.partition.clone(),
                digest: step.digest,
                rows: step.rows,
                bytes: step.bytes,
                at: step.at,
            };
            platform.announce(Fact::PartitionExtracted(fact)).await?;
        }
    }
    Ok(manifests)
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::NotFound { .. } => Kind::NotFound,
            Error::Conflict { .. } => Kind::Conflict,
            Error::Rejected { .. } => Kind::Rejected,
            Error::Unavailable { .. } => Kind::Unavailable,
            Error::Internal { .. } => Kind::Internal,
        };
        Self::from_error(kind, "extract", &error)
    }
}
