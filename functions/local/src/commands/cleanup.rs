//! `bgp cleanup`: what nothing names any more.

use serde_json::json;
use service::Config;

use crate::arguments::CleanupOptions;
use crate::engine::Engine;
use crate::failure::Failure;
use crate::output::{self, cell, grouped};

/// Runs the cleanup workflow and lists what it dropped, or would drop.
pub(crate) async fn cleanup(config: &Config, options: &CleanupOptions) -> Result<(), Failure> {
    let engine = Engine::start(config).await?;
    let cleaned = engine.cleanup(json!({"dry_run": options.dry_run})).await;
    engine.stop().await;
    let cleaned = cleaned?;
    if options.json {
        return output::json(&cleaned);
    }
    let items = cleaned["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        return output::print("nothing to drop");
    }
    let size = |value: &serde_json::Value| value.as_u64().map(grouped).unwrap_or_default();
    let rows: Vec<Vec<String>> = items
        .iter()
        .map(|item| {
            vec![
                cell(&item["kind"]),
                cell(&item["name"]),
                cell(&item["outcome"]).replace('_', " "),
                size(&item["bytes"]),
                cell(&item["reason"]),
            ]
        })
        .collect();
    output::table(&["kind", "name", "outcome", "bytes", "reason"], &rows)?;
    let verb = if options.dry_run { "would drop" } else { "dropped" };
    output::print(&format!("\n{verb} {} bytes", size(&cleaned["bytes"])))
}
