//! One layer.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State as Extension;
use dbt::{NodeStatus, RunRequest};
use serde::{Deserialize, Serialize};
use service::{Body, Kind, Layer, Platform, Problem, ProjectPlan, detached};
use utoipa::ToSchema;
use wap::AttemptId;
use warehouse::Statistics;

/// What to build.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TransformRequest {
    #[schema(value_type = String)]
    attempt: AttemptId,
    /// The layer, one of those that `begin` answered.
    layer: String,
    /// Answer only what building the layer answered, and build nothing: a job has been told to.
    #[serde(default)]
    recorded: bool,
}

/// What was built.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Transformed {
    layer: String,
    models: Vec<BuiltModel>,
    #[serde(default)]
    #[schema(value_type = Object)]
    cost: Statistics,
}

/// One model, seed or snapshot.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct BuiltModel {
    name: String,
    /// Whether it was rebuilt from nothing.
    full: bool,
    seconds: f64,
}

/// Builds those models of one layer that the work set names.
#[utoipa::path(post, path = "/transform", request_body = TransformRequest, responses((status = 200, body = Transformed)))]
pub(crate) async fn transform(
    Extension(platform): Extension<Platform>,
    Body(request): Body<TransformRequest>,
) -> Result<Json<Transformed>, Problem> {
    detached(run(platform, request)).await.map(Json)
}

async fn run(platform: Platform, request: TransformRequest) -> Result<Transformed, Problem> {
    let plan = platform.project_plan().await?;
    let Some(layer) = plan.layers.iter().find(|layer| layer.name == request.layer) else {
        let known: Vec<&str> = plan.layers.iter().map(|layer| layer.name.as_str()).collect();
        return Err(Problem::rejected(format!(
            "there is no layer {:?}; there are {}",
            request.layer,
            known.join(", ")
        )));
    };
    let step = layer.step();
    if request.recorded {
        let outcome = platform.state.outcome(&request.attempt, &step).await?;
        return outcome.ok_or_else(|| {
            Problem::new(
                Kind::Rejected,
                "not_built",
                format!(
                    "the job that was to build layer {} ended without having done so; its log says why",
                    layer.name
                ),
            )
        });
    }
    platform.state.step(&request.attempt, &step, Box::pin(build(&platform, &request.attempt, &plan, layer))).await
}

async fn build(
    platform: &Platform,
    attempt: &AttemptId,
    plan: &ProjectPlan,
    layer: &Layer,
) -> Result<Transformed, Problem> {
    let attempt = platform.state.attempt(attempt).await?;
    platform.check_code(&attempt, plan)?;
    plan.check_order(&attempt, Some(&layer.name))?;
    let platform = &platform.for_step(&layer.step(), Some(&attempt.slot));
    let nodes: Vec<String> = layer.nodes.intersection(&attempt.work.build).cloned().collect();
    let full: BTreeSet<String> = layer.nodes.intersection(&attempt.work.full).cloned().collect();
    let report = platform
        .dbt
        .run(RunRequest {
            place: platform.place(&attempt.slot, &plan.project)?,
            nodes,
            full: full.clone(),
            vars: BTreeMap::new(),
        })
        .await?;
    platform.charge(report.cost);
    let name_of = |id: &str| plan.project.nodes.get(id).map_or_else(|| id.to_owned(), |node| node.name.clone());
    let failed: Vec<String> = report
        .nodes
        .iter()
        .filter(|node| node.status == NodeStatus::Error)
        .map(|node| format!("{}: {}", name_of(&node.id), node.message.trim()))
        .collect();
    if !report.is_success() {
        return Err(Problem::new(
            Kind::Rejected,
            "model_failed",
            format!("models failed in layer {}; readers still see the cycle before. {}", layer.name, failed.join("; ")),
        ));
    }
    let models = report
        .nodes
        .iter()
        .map(|node| BuiltModel { name: name_of(&node.id), full: full.contains(&node.id), seconds: node.seconds })
        .collect();
    Ok(Transformed { layer: layer.name.clone(), models, cost: platform.warehouse.statistics() })
}
