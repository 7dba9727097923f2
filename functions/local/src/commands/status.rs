//! `bgp status`: where everything stands.

use service::Config;

use crate::arguments::JsonOption;
use crate::engine::Engine;
use crate::failure::Failure;
use crate::output::{self, cell};

/// Prints the record, who is at work, and every partition.
pub(crate) async fn status(config: &Config, options: &JsonOption) -> Result<(), Failure> {
    let engine = Engine::start(config).await?;
    let status = engine.get("/status").await;
    engine.stop().await;
    let status = status?;
    if options.json {
        return output::json(&status);
    }
    let record = &status["record"];
    let live = &record["live"];
    if live.is_null() {
        output::print("live      nothing is published yet; start with: bgp run daily --partition D")?;
    } else {
        let slot = &live["slot"];
        output::print(&format!(
            "live      cycle {}, slot {}_{}_{}, {} views, newest partition {}, published {}",
            cell(&record["cycle"]),
            cell(&slot["color"]),
            cell(&slot["cycle"]),
            cell(&slot["attempt"]),
            live["views"].as_object().map_or(0, serde_json::Map::len),
            cell(&live["newest_partition"]),
            cell(&live["published_at"]),
        ))?;
    }
    let kept = &record["kept"];
    if !kept.is_null() {
        let slot = &kept["live"]["slot"];
        output::print(&format!("kept      cycle {}, until {}", cell(&slot["cycle"]), cell(&kept["until"])))?;
    }
    let building = &record["building"];
    if !building.is_null() {
        let at_work = status["at_work"].as_str().map_or_else(|| "nobody is at work on it".to_owned(), str::to_owned);
        output::print(&format!(
            "building  cycle {}, attempt {}: {at_work}",
            cell(&building["slot"]["cycle"]),
            cell(&building["slot"]["attempt"])
        ))?;
    }
    let refused = &record["refused"];
    if !refused.is_null() {
        output::print(&format!("refused   attempt {}: {}", cell(&refused["attempt"]), cell(&refused["reason"])))?;
    }
    for (partition, hold) in record["held"].as_object().into_iter().flatten() {
        output::print(&format!("held      {partition}: {}", cell(&hold["reason"])))?;
    }
    output::print("")?;
    let rows: Vec<Vec<String>> = status["partitions"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|entry| {
            vec![
                cell(&entry["partition"]),
                cell(&entry["state"]),
                format!("{} of {}", cell(&entry["loaded"]), cell(&entry["tables"])),
                cell(&entry["rows"]),
            ]
        })
        .collect();
    output::table(&["partition", "state", "tables", "rows"], &rows)
}
