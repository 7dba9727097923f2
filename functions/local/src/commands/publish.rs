//! `bgp publish`: a cycle that was audited and waits.

use serde_json::json;
use service::Config;

use crate::arguments::PublishOptions;
use crate::engine::Engine;
use crate::failure::Failure;
use crate::output::{self, cell};

/// Publishes the attempt that would become the cycle.
pub(crate) async fn publish(config: &Config, options: &PublishOptions) -> Result<(), Failure> {
    let engine = Engine::start(config).await?;
    let published = engine.post("/publish", &json!({"cycle": options.cycle})).await;
    engine.stop().await;
    let published = published?;
    if options.json {
        return output::json(&published);
    }
    output::print(&format!(
        "published cycle {} ({}): {} views",
        cell(&published["cycle"]),
        cell(&published["slot"]),
        cell(&published["views"])
    ))
}
