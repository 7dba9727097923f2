//! `bgp receipt`: what was published in a cycle.

use service::{Config, Platform};
use wap::RuleStatus;

use crate::arguments::ReceiptOptions;
use crate::failure::Failure;
use crate::output::{self, grouped};

/// Prints the receipt of a cycle.
pub(crate) async fn receipt(config: &Config, options: &ReceiptOptions) -> Result<(), Failure> {
    let platform = Platform::open(config).await?;
    let cycle = match options.cycle {
        Some(cycle) => cycle,
        None => platform.state.record().await?.cycle,
    };
    let Some(receipt) = platform.state.receipt(cycle).await? else {
        return Err(Failure::new(format!("there is no receipt of cycle {cycle}; `bgp status` shows the live cycle")));
    };
    if options.json {
        return output::json(&receipt);
    }
    let rules = &receipt.verdict.rules;
    let warned = rules.iter().filter(|rule| rule.status == RuleStatus::Warned).count();
    output::print(&format!(
        "cycle {}, slot {}, published {}, run {}\npartitions {}; {} models built, {} in full; {} rules checked, {warned} warned",
        receipt.cycle,
        receipt.slot,
        receipt.published_at,
        receipt.run,
        wap::list_partitions(&receipt.work.partitions()),
        receipt.work.build.len(),
        receipt.work.full.len(),
        rules.len(),
    ))?;
    let mixed = receipt.mixed_seconds.map_or_else(
        || "views are being re-pointed".to_owned(),
        |seconds| format!("views showed different slots for {seconds:.3} s"),
    );
    output::print(&format!("{mixed}\n"))?;
    let rows: Vec<Vec<String>> = receipt
        .verdict
        .tables
        .iter()
        .map(|table| {
            let before = table.rows_before.map_or_else(String::new, grouped);
            vec![table.view.to_string(), before, grouped(table.rows), table.newest.clone().unwrap_or_default()]
        })
        .collect();
    output::table(&["view", "rows before", "rows", "newest"], &rows)?;
    output::print("")?;
    let steps: Vec<Vec<String>> =
        receipt.steps.iter().map(|step| vec![step.step.clone(), format!("{:.2}", step.seconds)]).collect();
    output::table(&["step", "seconds"], &steps)
}
