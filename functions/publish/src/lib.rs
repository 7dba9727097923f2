//! The `publish` function: the only one that changes the record. Begins attempts, prepares their places, publishes what
//! passed its audit, and closes attempts.

mod begin;
mod cleanup;
mod converge;
mod doctor;
mod finish;
mod hold;
mod planning;
mod prepare;
mod publish;
mod receipt;
mod restore;
mod retire;
mod rollback;
mod status;

use service::Platform;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of the function.
pub fn routes(platform: Platform) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(begin::begin))
        .routes(routes!(prepare::prepare))
        .routes(routes!(publish::publish))
        .routes(routes!(finish::finish))
        .routes(routes!(hold::hold))
        .routes(routes!(hold::release))
        .routes(routes!(rollback::rollback))
        .routes(routes!(retire::retire))
        .routes(routes!(status::status))
        .routes(routes!(cleanup::cleanup))
        .routes(routes!(doctor::examine, doctor::mend))
        .routes(routes!(restore::restore))
        .with_state(platform)
}
