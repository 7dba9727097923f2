//! Giving up a published view.

use axum::Json;
use axum::extract::State as Extension;
use serde::{Deserialize, Serialize};
use service::{Body, Kind, Platform, Problem};
use utoipa::ToSchema;
use wap::Identifier;

/// Which view.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetireRequest {
    #[schema(value_type = String)]
    view: Identifier,
}

/// The views that a later cycle may lack.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Retired {
    #[schema(value_type = Vec<String>)]
    retired: Vec<Identifier>,
    /// Whether readers see the view until the next cycle.
    live: bool,
}

/// Lets the next cycle, or a rollback, go without a view that is live. Readers keep it until then.
#[utoipa::path(post, path = "/retire", request_body = RetireRequest, responses((status = 200, body = Retired)))]
pub(crate) async fn retire(
    Extension(platform): Extension<Platform>,
    Body(request): Body<RetireRequest>,
) -> Result<Json<Retired>, Problem> {
    let view = &request.view;
    let project = platform.project_plan().await?.project;
    let model = project.nodes.values().find(|node| platform.is_published(node) && node.alias == view.as_str());
    if let Some(model) = model {
        return Err(Problem::new(
            Kind::Rejected,
            "still_published",
            format!(
                "view {view} is still published, by {}; remove the model, or take it out of dbt.publish in pipeline.yaml, then \
                 retire the view",
                model.id
            ),
        ));
    }
    let record = platform.state.update_record(|record| record.retire(view)).await?;
    let live = record.live.is_some_and(|live| live.views.contains_key(view));
    Ok(Json(Retired { retired: record.retired.into_iter().collect(), live }))
}
