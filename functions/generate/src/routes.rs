//! The function: the sandbox's source, over HTTP.

use std::path::PathBuf;
use std::time::Duration;

use axum::Json;
use axum::extract::State as Extension;
use duckdb::Connection;
use jiff::Timestamp;
use pipeline::SourceKind;
use serde::{Deserialize, Serialize};
use service::{Body, Kind, Platform, Problem, detached};
use store::{FileLock, LockMode};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::{Corruption, Error, Sandbox, Summary};

/// How long a run waits for those who read the source.
const LOCK_PATIENCE: Duration = Duration::from_mins(2);

/// The routes of the function.
pub fn routes(platform: Platform) -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(initialize_source)).routes(routes!(generate_partition)).with_state(platform)
}

/// Which partition, and what to spoil in it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GenerateRequest {
    /// The day, such as `2025-08-01`.
    partition: String,
    /// `negative_price`, `orphan_line`, `null_key`, `duplicate_key` or `wrong_total`.
    corrupt: Option<String>,
}

/// Rows of the partition by table.
#[derive(Debug, Serialize, ToSchema)]
struct Generated {
    rows: std::collections::BTreeMap<&'static str, u64>,
}

/// Makes the sandbox's source with its static tables, if it is not there yet.
#[utoipa::path(post, path = "/initialize", responses((status = 200, body = Generated)))]
async fn initialize_source(Extension(platform): Extension<Platform>) -> Result<Json<Generated>, Problem> {
    let (path, settings) = sandbox(&platform)?;
    in_source(platform, path, move |connection| crate::initialize(connection, &settings)).await
}

/// Makes the rows of one partition; the same request gives the same rows and replaces them.
#[utoipa::path(post, path = "/generate", request_body = GenerateRequest, responses((status = 200, body = Generated)))]
async fn generate_partition(
    Extension(platform): Extension<Platform>,
    Body(request): Body<GenerateRequest>,
) -> Result<Json<Generated>, Problem> {
    let (path, settings) = sandbox(&platform)?;
    let corrupt = request.corrupt.as_deref().map(str::parse::<Corruption>).transpose()?;
    let days = platform.pipeline.runs();
    let partition = days.parse(&request.partition)?;
    if days.is_future(&partition, Timestamp::now())? {
        return Err(Problem::rejected(format!("partition {partition} has not begun; generate one that has")));
    }
    let window = days.window(&partition)?;
    let date = partition
        .as_str()
        .parse()
        .map_err(|error| Problem::rejected(format!("partition {partition} is not a day: {error}")))?;
    in_source(platform, path, move |connection| {
        crate::initialize(connection, &settings)?;
        crate::generate(connection, &settings, date, (window.start, window.end), corrupt)
    })
    .await
}

/// The path of the sandbox's source, and what it is filled with.
fn sandbox(platform: &Platform) -> Result<(String, Sandbox), Problem> {
    let pipeline = &platform.pipeline;
    let source = pipeline.sandbox.as_ref().and_then(|sandbox| Some((sandbox, pipeline.sources.get(&sandbox.source)?)));
    let Some((sandbox, source)) = source else {
        return Err(Problem::rejected("pipeline.yaml has no sandbox; its sources are filled by somebody else"));
    };
    let SourceKind::Duckdb { path } = &source.kind else {
        return Err(Problem::rejected(format!("the sandbox writes a DuckDB file, and source {} is none", source.name)));
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let settings = Sandbox {
        seed: sandbox.seed,
        scale: sandbox.scale,
        start: pipeline.start,
        time_zone: pipeline.time_zone.clone(),
        threads,
    };
    Ok((path.clone(), settings))
}

/// Works on the source while nobody reads it.
async fn in_source(
    platform: Platform,
    path: String,
    work: impl Fn(&mut Connection) -> Result<Summary, Error> + Clone + Send + Sync + 'static,
) -> Result<Json<Generated>, Problem> {
    let job = move |file: PathBuf| -> Result<Summary, Problem> {
        let shown = file.display().to_string();
        let unavailable = |what: String| {
            Problem::new(Kind::Unavailable, "source", format!("source {shown} can't be written: {what}"))
        };
        let mut lock = file.clone().into_os_string();
        lock.push(".lock");
        let _lock = FileLock::acquire(lock.as_ref(), LockMode::Exclusive, LOCK_PATIENCE)
            .map_err(|error| unavailable(error.to_string()))?;
        let mut connection = Connection::open(&file).map_err(|error| unavailable(error.to_string()))?;
        let summary = work(&mut connection)?;
        connection.close().map_err(|(_, error)| unavailable(error.to_string()))?;
        Ok(summary)
    };
    let summary = detached(async move {
        platform
            .change_source(&path, |file| {
                let job = job.clone();
                async move {
                    tokio::task::spawn_blocking(move || job(file))
                        .await
                        .map_err(|error| Problem::internal(format!("generating broke off: {error}")))?
                }
            })
            .await
    })
    .await?;
    Ok(Json(Generated { rows: summary.rows }))
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::NotFound(_) => Kind::NotFound,
            Error::Conflict(_) => Kind::Conflict,
            Error::Rejected(_) => Kind::Rejected,
            Error::Unavailable(_) => Kind::Unavailable,
            Error::Internal { .. } => Kind::Internal,
        };
        Self::from_error(kind, "source", &error)
    }
}
