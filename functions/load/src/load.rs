//! Manifests into `raw`.

use axum::Json;
use axum::extract::State as Extension;
use events::{Fact, PartitionLoaded};
use jiff::Timestamp;
use pipeline::{Mode, Table};
use serde::{Deserialize, Serialize};
use service::{Body, Kind, Platform, Problem, check_number, detached, each};
use tracing::{Instrument, info_span};
use utoipa::ToSchema;
use wap::{Digest, LedgerStep, Manifest, PartitionKey};

/// How often a load is followed by another one because something newer was extracted meanwhile.
const ROUNDS: usize = 5;

/// What to load.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoadRequest {
    /// Partitions of tables, at most 1000.
    #[schema(max_items = 1000)]
    items: Vec<LoadItem>,
}

/// A partition of a table.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoadItem {
    /// The table, as pipeline.yaml names it.
    table: String,
    /// The partition.
    #[schema(value_type = String)]
    partition: PartitionKey,
    /// The digest of a manifest that has to be in the lake. What was extracted last is loaded, which may be another.
    #[schema(value_type = Option<String>)]
    digest: Option<Digest>,
}

impl LoadItem {
    /// What was extracted last.
    pub(crate) fn newest(table: &str, partition: &PartitionKey) -> Self {
        Self { table: table.to_owned(), partition: partition.clone(), digest: None }
    }
}

/// What was loaded, in the order of the request.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LoadAnswer {
    loaded: Vec<Loaded>,
    /// Of all of them.
    rows: u64,
}

/// One partition that was loaded.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Loaded {
    #[schema(value_type = String)]
    digest: Digest,
    rows: u64,
    bytes: u64,
    /// Whether `raw` had another content before.
    changed: bool,
}

/// Replaces partitions of raw tables by what was extracted. Loading what is loaded changes nothing.
#[utoipa::path(post, path = "/load", request_body = LoadRequest, responses((status = 200, body = LoadAnswer)))]
pub(crate) async fn load(
    Extension(platform): Extension<Platform>,
    Body(request): Body<LoadRequest>,
) -> Result<Json<LoadAnswer>, Problem> {
    check_number(request.items.len())?;
    for item in &request.items {
        platform.pipeline.table(&item.table)?.calendar.window(&item.partition)?;
    }
    let loaded = detached(async move { each(request.items.into_iter().map(|item| run(platform.clone(), item))).await });
    let loaded = loaded.await?;
    Ok(Json(LoadAnswer { rows: loaded.iter().map(|loaded| loaded.rows).sum(), loaded }))
}

/// Loads. [`load`] without its wrapping.
///
/// What is loaded is what was extracted last, whatever digest was asked for: a run that slept, or an event that came late,
/// asks for a content that has been replaced since, and `raw` must not go back to it.
pub(crate) async fn run(platform: Platform, item: LoadItem) -> Result<Loaded, Problem> {
    let span = info_span!(target: "trace", "load", table = item.table, partition = %item.partition);
    replace(platform, item).instrument(span).await
}

async fn replace(platform: Platform, item: LoadItem) -> Result<Loaded, Problem> {
    let LoadItem { table, partition, digest: asked } = item;
    let table = platform.pipeline.table(&table)?;
    table.calendar.window(&partition)?;
    if let Some(asked) = &asked
        && !platform.state.has_manifest(&table.name, &partition, asked).await?
    {
        return Err(Problem::new(
            Kind::NotFound,
            "no_manifest",
            format!(
                "the lake has no manifest {asked} for partition {partition} of table {}; extract it first",
                table.name
            ),
        ));
    }
    for _ in 0..ROUNDS {
        let entry = platform.state.ledger_entry(&table.name, &partition).await?;
        let newest = entry.extracted.map(|step| step.digest);
        let Some(digest) = newest.or_else(|| asked.clone()) else {
            return Err(Problem::new(
                Kind::NotFound,
                "not_extracted",
                format!("partition {partition} of table {} was never extracted; extract it first", table.name),
            ));
        };
        let manifest = platform.state.manifest(&table.name, &partition, &digest).await?;
        let loaded = Loaded { digest, rows: manifest.rows, bytes: manifest.bytes, changed: true };
        if let Some(step) = entry.loaded.filter(|step| step.digest == loaded.digest) {
            // Again, in case that whoever loaded it died before it was told.
            announce(&platform, table, &partition, step).await?;
            return Ok(Loaded { changed: false, ..loaded });
        }
        check_contract(table, &manifest)?;
        platform.for_step("load", None).warehouse.load(table, &manifest).await?;
        let step =
            LedgerStep { digest: loaded.digest.clone(), rows: loaded.rows, bytes: loaded.bytes, at: Timestamp::now() };
        let entry = platform
            .state
            .update_ledger(&table.name, &partition, |entry| {
                // Of loads of one content side by side the first one's entry stands, and only that is announced.
                let is_new = entry.loaded.as_ref().is_none_or(|loaded| loaded.digest != step.digest);
                if is_new && entry.extracted.as_ref().is_none_or(|newest| newest.digest == step.digest) {
                    entry.loaded = Some(step.clone());
                }
            })
            .await?;
        // Something newer came meanwhile, and of two loads side by side the older may be the last to end.
        if entry.extracted.as_ref().is_none_or(|newest| newest.digest == loaded.digest) {
            tracing::info!(table = %table.name, %partition, rows = loaded.rows, "loaded");
            let changed = entry.loaded.as_ref() == Some(&step);
            announce(&platform, table, &partition, entry.loaded.unwrap_or(step)).await?;
            return Ok(Loaded { changed, ..loaded });
        }
    }
    let detail = format!("partition {partition} of table {} changes faster than it can be loaded", table.name);
    Err(Problem::new(Kind::Unavailable, "contended", detail))
}

async fn announce(
    platform: &Platform,
    table: &Table,
    partition: &PartitionKey,
    step: LedgerStep,
) -> Result<(), Problem> {
    let LedgerStep { digest, rows, bytes, at } = step;
    let fact = PartitionLoaded { table: table.name.clone(), partition: partition.clone(), digest, rows, bytes, at };
    platform.announce(Fact::PartitionLoaded(fact)).await
}

/// Refuses a manifest that does not fit the contract.
fn check_contract(table: &Table, manifest: &Manifest) -> Result<(), Problem> {
    let differences = differences(table, manifest);
    if differences.is_empty() {
        return Ok(());
    }
    Err(Problem::new(
        Kind::Rejected,
        "contract",
        format!(
            "partition {} of table {} does not match its contract: {}; change pipeline.yaml or extract it again",
            manifest.partition,
            table.name,
            differences.join("; ")
        ),
    ))
}

/// The contract against the columns that the objects have: every difference, not only the first.
pub(crate) fn differences(table: &Table, manifest: &Manifest) -> Vec<String> {
    let mut differences = Vec::new();
    for column in &table.columns {
        let contract = column.duckdb_type();
        match manifest.columns.iter().find(|found| found.name == column.name) {
            None if column.mode == Mode::Required => {
                differences.push(format!("{} ({contract}) is missing", column.name));
            }
            Some(found) if found.data_type != contract => {
                differences
                    .push(format!("{} is {contract} in the contract and {} in the lake", column.name, found.data_type));
            }
            None | Some(_) => {}
        }
    }
    for found in &manifest.columns {
        if table.column(found.name.as_str()).is_none() {
            differences.push(format!("{} is in the lake and not in the contract", found.name));
        }
    }
    differences
}
