//! The function, over HTTP.

use axum::Json;
use axum::extract::State as Extension;
use events::{Fact, PartitionExtracted};
use jiff::Timestamp;
use pipeline::{Changes, Table};
use serde::{Deserialize, Serialize};
use service::{Body, Kind, Platform, Problem, detached};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wap::{Digest, Identifier, PartitionKey};

use crate::Error;

/// The routes of the function.
pub fn routes(platform: Platform) -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(plan)).routes(routes!(extract_partition)).with_state(platform)
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
    items: Vec<Item>,
    /// Whether `generate` makes the source's rows.
    sandbox: bool,
    attempts_per_run: u32,
    /// Whether a publish waits for somebody to say so.
    approval: bool,
}

/// One partition of one table.
#[derive(Debug, Serialize, ToSchema)]
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
        items,
        sandbox: pipeline.sandbox.is_some(),
        attempts_per_run: pipeline.limits.attempts_per_run,
        approval: pipeline.approval,
    }))
}

/// What to extract.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ExtractRequest {
    /// The table, as pipeline.yaml names it.
    table: String,
    /// A partition of that table.
    partition: String,
}

/// What was extracted.
#[derive(Debug, Serialize, ToSchema)]
struct Extracted {
    /// The partition's manifest and, for a table with a cursor, those of the late partitions before it.
    manifests: Vec<ExtractedManifest>,
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
    rows: u64,
    bytes: u64,
}

/// One partition of one table into the lake. The same rows give the same manifest.
#[utoipa::path(post, path = "/extract", request_body = ExtractRequest, responses((status = 200, body = Extracted)))]
async fn extract_partition(
    Extension(platform): Extension<Platform>,
    Body(request): Body<ExtractRequest>,
) -> Result<Json<Extracted>, Problem> {
    detached(async move {
        let table: &Table = platform.pipeline.table(&request.table)?;
        let partition = table.calendar.parse(&request.partition)?;
        let pipeline = platform.pipeline_for_reading(table).await?;
        let manifests =
            crate::extract(&pipeline, &platform.home, &platform.state, table, &partition, Timestamp::now()).await?;
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
        let manifests = manifests
            .into_iter()
            .map(|manifest| ExtractedManifest {
                table: manifest.table,
                partition: manifest.partition,
                digest: manifest.digest,
                rows: manifest.rows,
                bytes: manifest.bytes,
            })
            .collect();
        Ok(Extracted { manifests })
    })
    .await
    .map(Json)
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
