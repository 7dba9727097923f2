//! The `load` function: a manifest of the lake becomes a partition of `raw`.

mod door;
mod load;
mod receive;

use service::Platform;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of the function.
pub fn routes(platform: Platform) -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(load::load)).routes(routes!(receive::receive)).with_state(platform)
}
