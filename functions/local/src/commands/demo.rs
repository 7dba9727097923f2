//! `bgp demo`: some days through as many cycles.

use serde_json::{Value, json};
use service::Config;

use crate::arguments::DemoOptions;
use crate::commands::run::daily;
use crate::engine::Engine;
use crate::failure::Failure;
use crate::output::{self, cell, grouped};

/// Runs the first days of the pipeline, each as a cycle of its own.
pub(crate) async fn demo(config: &Config, options: &DemoOptions) -> Result<(), Failure> {
    let engine = Engine::start(config).await?;
    let mut partition = Some(engine.platform.pipeline.runs().first()?);
    let mut results = Vec::new();
    for _ in 0..options.days {
        let Some(day) = partition else { break };
        results.push(daily(&engine, json!({"partition": day}), day.as_str()).await?);
        partition = engine.platform.pipeline.runs().next(&day)?;
    }
    let rows = live_rows(&engine).await?;
    engine.stop().await;
    if options.json {
        return output::json(&results);
    }
    output::print("")?;
    let lines: Vec<Vec<String>> = results.iter().map(line).collect();
    output::table(
        &["cycle", "partition", "rows", "models", "views", "slot", "move s", "transform s", "audit s", "publish s"],
        &lines,
    )?;
    output::print(&format!(
        "\n{rows}\n\nWhere to look next:\n  ./bgp status\n  ./bgp sql \"select * from live.deployment\"\n  ./bgp run daily \
         --partition {} --data '{{\"corrupt\":\"negative_price\"}}'   # see the audit refuse it",
        partition.map_or_else(String::new, |day| day.to_string())
    ))
}

fn line(result: &Value) -> Vec<String> {
    let seconds = |step: &str| result["seconds"][step].as_f64().map_or_else(String::new, |value| format!("{value:.2}"));
    vec![
        cell(&result["cycle"]),
        cell(&result["partition"]),
        grouped(result["moved"]["rows"].as_u64().unwrap_or_default()),
        cell(&result["models"]),
        cell(&result["views"]),
        cell(&result["slot"]),
        seconds("extract"),
        seconds("transform"),
        seconds("audit"),
        seconds("publish"),
    ]
}

async fn live_rows(engine: &Engine) -> Result<String, Failure> {
    let record = engine.platform.state.record().await?;
    let Some(receipt) = engine.platform.state.receipt(record.cycle).await? else { return Ok(String::new()) };
    let tables: Vec<String> =
        receipt.verdict.tables.iter().map(|table| format!("{} {}", table.view, grouped(table.rows))).collect();
    Ok(format!("Readers see cycle {}: {}", record.cycle, tables.join(", ")))
}
