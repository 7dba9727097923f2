//! `bgp retire`: giving up a published view.

use serde_json::json;
use service::Config;

use crate::arguments::RetireOptions;
use crate::engine::Engine;
use crate::failure::Failure;
use crate::output;

/// Lets the next cycle go without a view.
pub(crate) async fn retire(config: &Config, options: &RetireOptions) -> Result<(), Failure> {
    let engine = Engine::start(config).await?;
    let answer = engine.post("/retire", &json!({"view": options.view})).await;
    engine.stop().await;
    let answer = answer?;
    if options.json {
        return output::json(&answer);
    }
    let until = if answer["live"] == true { "readers see it until the next cycle" } else { "readers do not see it" };
    output::print(&format!("retired {}: {until}", options.view))
}
