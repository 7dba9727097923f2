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
    let runs = engine.platform.pipeline.runs();
    let (from, to) = (runs.parse_containing(options.from.as_str())?, runs.parse_containing(options.to.as_str())?);
    let mut results: Vec<Value> = Vec::new();
    let mut failed = None;
    for partition in runs.range(&from, &to)? {
        let is_last = partition == to;
        let mut argument = json!({"partition": partition});
        if options.cycle_per == CyclePer::All && !is_last {
            argument["until"] = "load".into();
        }
        match daily(&engine, argument, partition.as_str()).await {
            Ok(result) => results.push(result),
            Err(failure) => {
                failed = Some(failure);
                break;
            }
        }
    }
    engine.stop().await;
    // What was done is said in either case; the same command goes on from there.
    report(&results, options)?;
    failed.map_or(Ok(()), Err)
}

fn report(results: &[Value], options: &BackfillOptions) -> Result<(), Failure> {
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
