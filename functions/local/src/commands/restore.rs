//! `bgp restore`: a published table as it was.

use serde_json::json;
use service::Config;

use crate::arguments::RestoreOptions;
use crate::engine::Engine;
use crate::failure::Failure;
use crate::output::{self, cell};

/// Copies a published table as it was at some time into a dataset of one's own.
pub(crate) async fn restore(config: &Config, options: &RestoreOptions) -> Result<(), Failure> {
    let engine = Engine::start(config).await?;
    let body = json!({"view": options.view, "at": options.at, "into": options.into});
    let restored = engine.post("/restore", &body).await;
    engine.stop().await;
    let restored = restored?;
    if options.json {
        return output::json(&restored);
    }
    output::print(&format!(
        "{} is {} as cycle {} showed it (slot {})",
        cell(&restored["table"]),
        options.view,
        cell(&restored["cycle"]),
        cell(&restored["slot"])
    ))
}
