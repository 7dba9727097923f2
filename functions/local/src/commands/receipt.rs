//! `bgp receipt`: what was published in a cycle.

use lineage::openlineage::End;
use service::{Config, Platform};
use wap::{PartitionKey, Receipt, RuleStatus, Statistics, list_partitions};

use crate::arguments::ReceiptOptions;
use crate::failure::Failure;
use crate::output::{self, grouped};

/// Names are cut, so that tables fit a terminal of a hundred columns.
const LONGEST_NAME: usize = 40;

/// How many of the slowest models are named.
const SLOWEST: usize = 3;

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
    if options.openlineage {
        let attempt = platform.state.attempt(&receipt.slot.attempt).await?;
        return output::json(&platform.run_events(&receipt.run, Some(&attempt), End::Published(&receipt)).await?);
    }
    if options.json {
        return output::json(&receipt);
    }
    for (name, text) in facts(&receipt) {
        output::print(&output::folded(&name, &text))?;
    }
    if !receipt.moved.is_empty() {
        output::print("")?;
        let rows: Vec<Vec<String>> = receipt
            .moved
            .iter()
            .map(|table| {
                let numbers = [table.partitions, table.source_rows, table.lake_rows, table.raw_rows, table.lake_bytes];
                [short(table.table.as_str())].into_iter().chain(numbers.map(grouped)).collect()
            })
            .collect();
        output::table(&["table", "partitions", "source rows", "lake rows", "raw rows", "lake bytes"], &rows)?;
    }
    output::print("")?;
    let rows: Vec<Vec<String>> = receipt
        .verdict
        .tables
        .iter()
        .map(|table| {
            let before = table.rows_before.map_or_else(String::new, grouped);
            vec![short(table.view.as_str()), before, grouped(table.rows), table.newest.clone().unwrap_or_default()]
        })
        .collect();
    output::table(&["view", "rows before", "rows", "newest"], &rows)?;
    if receipt.steps.is_empty() {
        return Ok(());
    }
    output::print("")?;
    let steps: Vec<Vec<String>> =
        receipt.steps.iter().map(|step| vec![short(&step.step), format!("{:.2}", step.seconds)]).collect();
    output::table(&["step", "seconds"], &steps)
}

/// What there is to say before the tables, each under a name.
fn facts(receipt: &Receipt) -> Vec<(String, String)> {
    let mut facts = vec![
        (format!("cycle {}", receipt.cycle), format!("slot {}, {}", receipt.slot, seconds_only(receipt))),
        ("run".to_owned(), by(receipt)),
    ];
    let mut say = |name: &str, text: String| facts.push((name.to_owned(), text));
    if let Some(rollback) = &receipt.rollback {
        say("rollback", format!("from slot {}: {}", rollback.from, rollback.reason));
        if let Some(undid) = rollback.undid {
            say("", format!("undid the rollback of cycle {undid}"));
        }
        if !rollback.held.is_empty() {
            say("", format!("put on hold {}", list_partitions(&rollback.held)));
        }
        if !rollback.models.is_empty() {
            say("", format!("keeps out {} models as they were", rollback.models.len()));
        }
    } else {
        let work = &receipt.work;
        say("changed", format!("partitions {}", or_none(&work.partitions().into_iter().collect::<Vec<_>>())));
        say("built", built(receipt));
        if !work.removed.is_empty() {
            say("", format!("{} models that the project no longer has are gone", work.removed.len()));
        }
    }
    let newest = receipt.newest_partition.as_ref().map_or("none", PartitionKey::as_str);
    say("inputs", format!("digest {}, newest partition {newest}, held {}", receipt.inputs, or_none(&receipt.held)));
    let warned: Vec<_> = receipt.verdict.rules.iter().filter(|rule| rule.status == RuleStatus::Warned).collect();
    say("audit", format!("{} rules, {} warned", receipt.verdict.rules.len(), warned.len()));
    for rule in warned {
        say("", format!("{} on {}: {}", rule.rule, rule.subject, rule.detail));
    }
    let size = receipt.slot_bytes.map_or_else(String::new, |bytes| format!("{} bytes, ", grouped(bytes)));
    let mixed = receipt
        .mixed_seconds
        .map_or_else(|| "being re-pointed".to_owned(), |seconds| format!("showed different slots for {seconds:.3} s"));
    say("views", format!("{}, {size}{mixed}", receipt.views.len()));
    if receipt.cost != Statistics::default() {
        say("cost", cost(&receipt.cost));
    }
    facts
}

/// When it was committed, to the second.
fn seconds_only(receipt: &Receipt) -> String {
    let what = if receipt.rollback.is_some() { "rolled back" } else { "published" };
    let time = receipt.published_at.to_string();
    format!("{what} {}Z", time.split(['.', 'Z']).next().unwrap_or_default())
}

fn by(receipt: &Receipt) -> String {
    let holder = receipt.holder.as_ref().map_or_else(String::new, |holder| format!(", by process {holder}"));
    format!("{}{holder}", receipt.run)
}

fn built(receipt: &Receipt) -> String {
    let work = &receipt.work;
    let mut text = format!("{} models, {} of them in full", work.build.len(), work.full.len());
    let mut slowest: Vec<_> = receipt.built.iter().collect();
    slowest.sort_by(|left, right| right.seconds.total_cmp(&left.seconds));
    let named: Vec<String> =
        slowest.iter().take(SLOWEST).map(|model| format!("{} {:.2} s", short(&model.name), model.seconds)).collect();
    if !named.is_empty() {
        text = format!("{text}; the slowest: {}", named.join(", "));
    }
    text
}

fn cost(cost: &Statistics) -> String {
    format!(
        "{} jobs; {} bytes billed, {} read, {} loaded; {} slot milliseconds; {} clones, {} copies",
        grouped(cost.jobs),
        grouped(cost.bytes_billed),
        grouped(cost.bytes_processed),
        grouped(cost.bytes_loaded),
        grouped(cost.slot_milliseconds),
        grouped(cost.clones),
        grouped(cost.copies)
    )
}

fn or_none(partitions: &[PartitionKey]) -> String {
    if partitions.is_empty() { "none".to_owned() } else { list_partitions(partitions) }
}

fn short(name: &str) -> String {
    if name.chars().count() <= LONGEST_NAME {
        return name.to_owned();
    }
    name.chars().take(LONGEST_NAME - 1).chain(['…']).collect()
}
