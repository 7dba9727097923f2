//! `bgp hold` and `bgp release`: going on without a partition, and taking it up again.

use serde_json::{Value, json};
use service::Config;

use crate::arguments::{HoldOptions, ReleaseOptions};
use crate::engine::Engine;
use crate::failure::Failure;
use crate::output::{self, cell};

/// Holds a partition.
pub(crate) async fn hold(config: &Config, options: &HoldOptions) -> Result<(), Failure> {
    let body = json!({"partition": options.partition, "reason": options.reason});
    let holds = send(config, "/hold", &body).await?;
    if options.json {
        return output::json(&holds);
    }
    output::print(&format!(
        "held {}: later cycles go on with what they had of it. Held now: {}",
        options.partition,
        list(&holds)
    ))
}

/// Releases a partition, or all that a rollback keeps out.
pub(crate) async fn release(config: &Config, options: &ReleaseOptions) -> Result<(), Failure> {
    let body = json!({"partition": options.partition, "cycle": options.cycle});
    let holds = send(config, "/release", &body).await?;
    if options.json {
        return output::json(&holds);
    }
    let released = match (&options.partition, options.cycle) {
        (Some(partition), _) => partition.to_string(),
        (None, cycle) => format!("what the rollback of cycle {} kept out", cycle.unwrap_or_default()),
    };
    output::print(&format!("released {released}: the next cycle takes it. Held now: {}", list(&holds)))
}

async fn send(config: &Config, path: &str, body: &Value) -> Result<Value, Failure> {
    let engine = Engine::start(config).await?;
    let answer = engine.post(path, body).await;
    engine.stop().await;
    answer
}

fn list(holds: &Value) -> String {
    let names: Vec<String> = holds["held"].as_array().into_iter().flatten().map(cell).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}
