//! The `audit` function: decides whether an attempt may be published, and says why not.

mod audit;
mod diff;
mod publication;
mod reconcile;
mod rules;
mod tests;

use service::Platform;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of the function.
pub fn routes(platform: Platform) -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(audit::audit)).routes(routes!(diff::diff)).with_state(platform)
}
