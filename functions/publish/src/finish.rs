//! The end of a run.

use axum::Json;
use axum::extract::State as Extension;
use events::{Fact, RunFailed};
use jiff::Timestamp;
use lineage::openlineage::End;
use serde::{Deserialize, Serialize};
use service::{Body, Kind, Platform, Problem, detached, plain};
use store::{ObjectStoreExt, Precondition};
use utoipa::ToSchema;
use wap::{AttemptId, EndReason, PartitionKey, RunId};
use warehouse::Statistics;

/// How a run ended.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FinishRequest {
    #[schema(value_type = String)]
    run: RunId,
    /// The attempt, if the run had come so far.
    #[schema(value_type = Option<String>)]
    attempt: Option<AttemptId>,
    /// `published`, `already_published`, `rolled_back`, `stopped` (before publish, on purpose), `refused` or `failed`.
    outcome: Outcome,
    /// What went wrong, for people.
    reason: Option<String>,
    /// The partition that the run was for.
    partition: Option<String>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Published,
    AlreadyPublished,
    RolledBack,
    Stopped,
    Refused,
    Failed,
}

/// What is kept of a run.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Closed {
    #[schema(value_type = String)]
    run: RunId,
    #[schema(value_type = Option<String>)]
    attempt: Option<AttemptId>,
    outcome: Outcome,
    reason: Option<String>,
    partition: Option<String>,
    #[schema(value_type = String)]
    finished_at: Timestamp,
    /// What the steps have cost that its attempt has finished.
    #[serde(default)]
    #[schema(value_type = Object)]
    cost: Statistics,
}

/// Closes a run: an attempt that failed loses its right to commit, and nobody has to wait for its heartbeat to stop.
#[utoipa::path(post, path = "/finish", request_body = FinishRequest, responses((status = 200, body = Closed)))]
pub(crate) async fn finish(
    Extension(platform): Extension<Platform>,
    Body(request): Body<FinishRequest>,
) -> Result<Json<Closed>, Problem> {
    detached(run(platform, request)).await.map(Json)
}

/// The document of the run comes first, and only once: whoever asks the same again does the rest of it again.
async fn run(platform: Platform, mut request: FinishRequest) -> Result<Closed, Problem> {
    // A run is closed whatever it says of itself.
    request.reason = request.reason.map(|reason| plain(&reason));
    request.partition = request.partition.map(|partition| plain(&partition));
    let key = format!("runs/{}.json", request.run);
    let fresh = closed(&platform, request).await?;
    let run = match platform.store.put_json(&key, &fresh, Precondition::Absent).await {
        Ok(_) => fresh,
        Err(store::Error::Conflict { .. }) => match platform.store.get_json::<Closed>(&key).await? {
            Some((known, _)) if known.is_same(&fresh) => known,
            _ => {
                let detail = format!("run {} was closed in another way; {key} says how", fresh.run);
                return Err(Problem::new(Kind::Conflict, "closed", detail));
            }
        },
        Err(error) => return Err(error.into()),
    };
    if let Some(id) = &run.attempt {
        if run.outcome == Outcome::Failed {
            let reason = run.reason.as_deref().unwrap_or("the run failed");
            platform.state.end_attempt(id, EndReason::Failed, reason).await?;
        }
        platform.state.release_lease(id).await?;
    }
    if run.outcome == Outcome::Failed {
        let fact = RunFailed {
            run: run.run.clone(),
            partition: run.partition.as_deref().and_then(|partition| PartitionKey::new(partition).ok()),
            step: None,
            code: "failed".to_owned(),
            detail: run.reason.clone().unwrap_or_default(),
            at: run.finished_at,
        };
        platform.announce(Fact::RunFailed(fact)).await?;
    }
    if matches!(run.outcome, Outcome::Refused | Outcome::Failed) && !platform.openlineage.is_silent() {
        tell_lineage(&platform, &run).await?;
    }
    Ok(run)
}

/// What was published was told when it was.
async fn tell_lineage(platform: &Platform, run: &Closed) -> Result<(), Problem> {
    let attempt = match &run.attempt {
        Some(id) => Some(platform.state.attempt(id).await?),
        None => None,
    };
    let end = End::Failed(run.finished_at, run.reason.as_deref().unwrap_or("the run failed"));
    platform.tell_lineage(&run.run, attempt.as_ref(), end).await;
    Ok(())
}

async fn closed(platform: &Platform, request: FinishRequest) -> Result<Closed, Problem> {
    let mut cost = Statistics::default();
    if let Some(id) = &request.attempt {
        let steps = platform.state.attempt(id).await?.steps;
        let outcomes = steps.into_values().filter_map(|mut step| Some(step.outcome.as_mut()?.get_mut("cost")?.take()));
        for step in outcomes {
            cost += Statistics::deserialize(step).unwrap_or_default();
        }
    }
    Ok(Closed {
        run: request.run,
        attempt: request.attempt,
        outcome: request.outcome,
        reason: request.reason,
        partition: request.partition,
        finished_at: Timestamp::now(),
        cost,
    })
}

impl Closed {
    fn is_same(&self, other: &Self) -> bool {
        let said = |run: &Self| (run.attempt.clone(), run.outcome, run.reason.clone(), run.partition.clone());
        said(self) == said(other)
    }
}
