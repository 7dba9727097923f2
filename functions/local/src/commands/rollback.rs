//! `bgp rollback`: back to the slot that was kept.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use service::Config;

use crate::arguments::RollbackOptions;
use crate::commands::run::explain;
use crate::engine::Engine;
use crate::failure::Failure;
use crate::output::{self, cell};

/// Runs the rollback workflow and says what came of it.
pub(crate) async fn rollback(config: &Config, options: &RollbackOptions) -> Result<(), Failure> {
    let mut argument = Map::new();
    if let Some(reason) = &options.reason {
        argument.insert("reason".to_owned(), reason.as_str().into());
    }
    if let Some(cycle) = options.cycle {
        argument.insert("cycle".to_owned(), cycle.into());
    }
    let engine = Engine::start(config).await?;
    let execution = engine.rollback(argument.into()).await;
    engine.stop().await;
    let execution = execution?;
    let mut result = execution.outcome.map_err(|raised| explain(&raised, "rollback"))?;
    result["run"] = execution.run.into();
    result["steps"] = execution.steps.into();
    if options.json { output::json(&result) } else { output::print(&sentence(&result)) }
}

fn sentence(result: &Value) -> String {
    let text = |name: &str| cell(&result[name]);
    let mut sentence = format!(
        "rolled back to {}, {} views, as cycle {}; {} is kept",
        text("to"),
        text("views"),
        text("cycle"),
        text("from")
    );
    if !result["undid"].is_null() {
        let _ =
            write!(sentence, "\nthis undid the rollback of cycle {}, and what that held is released", text("undid"));
        return sentence;
    }
    let held: Vec<String> = result["held"].as_array().into_iter().flatten().map(cell).collect();
    if !held.is_empty() {
        let _ = write!(sentence, "\nheld, until they are released: {}", held.join(", "));
    }
    if result["models"] != 0 {
        let _ = write!(
            sentence,
            "\n{} models are as they were before; the next run is refused until the code is changed back or corrected",
            text("models")
        );
    }
    let _ = write!(sentence, "\ntake all of it up again with: bgp release --cycle {}", text("cycle"));
    sentence
}
