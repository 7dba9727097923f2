//! `bgp backfill`: a range of partitions, in order.

use serde_json::{Value, json};
use service::Config;

use crate::arguments::{BackfillOptions, CyclePer};
use crate::commands::run::daily;
use crate::engine::Engine;
use crate::failure::Failure;
use crate::output::{self, cell};

/// Runs every partition of the range, oldest first. Each run finds out for itself what is left to do, so a backfill that
/// was interrupted is resumed by the same command.
pub(crate) async fn backfill(config: &Config, options: &BackfillOptions) -> Result<(), Failure> {
    let engine = Engine::start(config).await?;
    let days = engine.platform.pipeline.days();
    let (from, to) = (days.parse(options.from.as_str())?, days.parse(options.to.as_str())?);
    let mut results: Vec<Value> = Vec::new();
    for partition in days.range(&from, &to)? {
        let is_last = partition == to;
        let mut argument = json!({"partition": partition});
        if options.cycle_per == CyclePer::All && !is_last {
            argument["until"] = "load".into();
        }
        results.push(daily(&engine, argument, partition.as_str()).await?);
    }
    engine.stop().await;
    if options.json {
        return output::json(&results);
    }
    let lines: Vec<Vec<String>> = results
        .iter()
        .map(|result| {
            let names = ["partition", "outcome", "cycle", "slot"];
            names.iter().map(|name| cell(&result[*name])).chain([cell(&result["moved"]["rows"])]).collect()
        })
        .collect();
    output::table(&["partition", "outcome", "cycle", "slot", "rows"], &lines)
}
