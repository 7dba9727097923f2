//! `bgp backfill`: a range of partitions, in order.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use service::Config;
use wap::{Digest, Identifier, PartitionKey, list_partitions};

use crate::arguments::{BackfillOptions, CyclePer};
use crate::commands::run::daily;
use crate::engine::Engine;
use crate::failure::Failure;
use crate::output::{self, cell};

/// Runs every partition of the range, oldest first. Each run finds out for itself what is left to do, so a backfill that
/// was interrupted is resumed by the same command; with `--gaps` without looking at what readers see already.
pub(crate) async fn backfill(config: &Config, options: &BackfillOptions) -> Result<(), Failure> {
    let engine = Engine::start(config).await?;
    let mut results: Vec<Value> = Vec::new();
    let failed = run(&engine, options, &mut results).await.err();
    engine.stop().await;
    // What was done is said in either case; the same command goes on from there.
    if failed.is_none() || !results.is_empty() {
        report(&results, options)?;
    }
    failed.map_or(Ok(()), Err)
}

async fn run(engine: &Engine, options: &BackfillOptions, results: &mut Vec<Value>) -> Result<(), Failure> {
    let partitions = partitions(engine, options).await?;
    let number = partitions.len();
    let width = number.to_string().len();
    for (index, partition) in partitions.iter().enumerate() {
        let is_last = index + 1 == number;
        let mut argument = json!({"partition": partition});
        if options.cycle_per == CyclePer::All && !is_last {
            argument["until"] = "load".into();
        }
        let label = format!("{partition} {:>width$}/{number}", index + 1);
        results.push(daily(engine, argument, &label).await?);
    }
    Ok(())
}

/// What is to be run. A range that can't be run to its end is refused before anything is.
async fn partitions(engine: &Engine, options: &BackfillOptions) -> Result<Vec<PartitionKey>, Failure> {
    let runs = engine.platform.pipeline.runs();
    let (from, to) = (runs.parse_containing(options.from.as_str())?, runs.parse_containing(options.to.as_str())?);
    let all: Vec<PartitionKey> = runs.range(&from, &to)?.collect();
    engine.post("/plan", &json!({"partition": to})).await?;
    if !options.gaps {
        return Ok(all);
    }
    let number = all.len();
    let gaps = gaps(engine, all).await?;
    eprintln!("{} of {number} partitions have gaps{}", gaps.len(), named(&gaps));
    Ok(gaps)
}

/// The partitions of which readers do not see some table, or see an older content than was extracted. What is on hold is
/// no gap: it is left out on purpose.
async fn gaps(engine: &Engine, all: Vec<PartitionKey>) -> Result<Vec<PartitionKey>, Failure> {
    let state = &engine.platform.state;
    let record = state.record().await?;
    let live = state.live_inputs(&record).await?.unwrap_or_default().partitions;
    let newest: BTreeMap<(Identifier, PartitionKey), Digest> = state
        .ledger()
        .await?
        .into_iter()
        .filter_map(|entry| Some(((entry.table, entry.partition), entry.extracted.or(entry.loaded)?.digest)))
        .collect();
    let mut gaps = Vec::new();
    for run in all {
        let plan = engine.post("/plan", &json!({"partition": run})).await?;
        let mut is_gap = false;
        for item in plan["batches"].as_array().into_iter().flatten().filter_map(Value::as_array).flatten() {
            let table = Identifier::new(cell(&item["table"]))?;
            let partition = PartitionKey::new(cell(&item["partition"]))?;
            if record.held.contains_key(&partition) {
                continue;
            }
            let shown = live.get(&table).and_then(|partitions| partitions.get(&partition));
            // A table that is read whole differs whenever its source does, and comes along with any run.
            let is_older = partition.as_str() != "all" && newest.get(&(table, partition)) != shown;
            is_gap |= shown.is_none() || is_older;
        }
        if is_gap {
            gaps.push(run);
        }
    }
    Ok(gaps)
}

fn named(gaps: &[PartitionKey]) -> String {
    if gaps.is_empty() { String::new() } else { format!(": {}", list_partitions(gaps)) }
}

fn report(results: &[Value], options: &BackfillOptions) -> Result<(), Failure> {
    if options.json {
        return output::json(&results);
    }
    if results.is_empty() {
        return output::print(&format!("nothing to do: readers see all from {} to {}", options.from, options.to));
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
