//! The `load` function: a manifest of the lake becomes a partition of `raw`.

mod load;

use service::Platform;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of the function.
pub fn routes(platform: Platform) -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(load::load)).with_state(platform)
}
