//! The `transform` function: dbt in the attempt's place, a layer a call.

mod transform;

use service::Platform;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of the function.
pub fn routes(platform: Platform) -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(transform::transform)).with_state(platform)
}
