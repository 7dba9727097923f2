//! `bgp status`: where everything stands.

use serde_json::{Map, Value};
use service::Config;

use crate::arguments::JsonOption;
use crate::engine::Engine;
use crate::failure::Failure;
use crate::output::{self, cell};

/// How many names a line of the head shows.
const NAMED: usize = 5;

/// Prints the record, who is at work, and every partition.
pub(crate) async fn status(config: &Config, options: &JsonOption) -> Result<(), Failure> {
    let engine = Engine::start(config).await?;
    let status = engine.get("/status").await;
    engine.stop().await;
    let status = status?;
    if options.json {
        return output::json(&status);
    }
    for (name, text) in head(&status) {
        output::print(&output::folded(name, &text))?;
    }
    output::print("")?;
    let rows: Vec<Vec<String>> = status["partitions"].as_array().into_iter().flatten().map(partition).collect();
    output::table(&["partition", "state", "tables", "rows", "late"], &rows)
}

/// The record, a name and a text for each thing that there is.
fn head(status: &Value) -> Vec<(&'static str, String)> {
    let record = &status["record"];
    let mut lines = vec![("live", live(record))];
    let rollback = &record["rollback"];
    if !rollback.is_null() {
        let of = cell(&rollback["from"]["cycle"]);
        lines.push(("rollback", format!("of cycle {of}, {}: {}", time(&rollback["at"]), cell(&rollback["reason"]))));
        let models = names(rollback["models"].as_object().into_iter().flat_map(Map::keys));
        if !models.is_empty() {
            lines.push(("kept out", format!("{models}, until changed or: bgp release --cycle {of}")));
        }
    }
    let kept = &record["kept"];
    if !kept.is_null() {
        let over = if status["kept_expired"] == true { ", which is over: it is not rolled back to" } else { "" };
        let cycle = cell(&kept["live"]["slot"]["cycle"]);
        lines.push(("kept", format!("cycle {cycle}, until {}{over}", time(&kept["until"]))));
    }
    let building = &record["building"];
    if !building.is_null() {
        let at_work = status["at_work"].as_str().map_or_else(|| "nobody is at work on it".to_owned(), str::to_owned);
        lines.push((
            "building",
            format!(
                "cycle {}, attempt {}, since {}, {}: {at_work}",
                cell(&building["slot"]["cycle"]),
                cell(&building["slot"]["attempt"]),
                time(&building["since"]),
                cell(&status["step"]),
            ),
        ));
    }
    let refused = &record["refused"];
    if !refused.is_null() {
        let (attempt, reason) = (cell(&refused["attempt"]), cell(&refused["reason"]));
        lines.push(("refused", format!("attempt {attempt}, {}: {reason}", time(&refused["at"]))));
    }
    for (partition, hold) in record["held"].as_object().into_iter().flatten() {
        lines.push(("held", format!("{partition}, since {}: {}", time(&hold["since"]), cell(&hold["reason"]))));
    }
    let retired: Vec<String> = record["retired"].as_array().into_iter().flatten().map(cell).collect();
    if !retired.is_empty() {
        lines.push(("retired", names(retired.iter())));
    }
    lines
}

fn live(record: &Value) -> String {
    let live = &record["live"];
    if live.is_null() {
        return "nothing is published yet; start with: bgp run daily --partition D".to_owned();
    }
    let slot = &live["slot"];
    format!(
        "cycle {}, slot {}_{}_{}, {} views, newest partition {}, published {}",
        cell(&record["cycle"]),
        cell(&slot["color"]),
        cell(&slot["cycle"]),
        cell(&slot["attempt"]),
        live["views"].as_object().map_or(0, Map::len),
        cell(&live["newest_partition"]),
        time(&live["published_at"]),
    )
}

fn partition(entry: &Value) -> Vec<String> {
    let late = entry["late"].as_u64().unwrap_or_default();
    vec![
        cell(&entry["partition"]),
        cell(&entry["state"]),
        format!("{} of {}", cell(&entry["loaded"]), cell(&entry["tables"])),
        cell(&entry["rows"]),
        if late == 0 { String::new() } else { format!("{late}, since {}", time(&entry["loaded_at"])) },
    ]
}

/// A time to the second.
fn time(value: &Value) -> String {
    let text = cell(value);
    match text.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => text,
    }
}

fn names<'a>(all: impl Iterator<Item = &'a String>) -> String {
    let all: Vec<&str> = all.map(|name| name.rsplit('.').next().unwrap_or(name)).collect();
    match all.len().checked_sub(NAMED) {
        Some(more @ 1..) => format!("{} and {more} more", all[..NAMED].join(", ")),
        _ => all.join(", "),
    }
}
