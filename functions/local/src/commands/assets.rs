//! `bgp assets`: everything that the pipeline keeps or checks, and what is made from what.

use std::collections::BTreeSet;

use lineage::{Asset, AssetKind, Catalog, CheckStatus};
use service::{Config, Platform};

use crate::arguments::{AssetsOptions, GraphFormat};
use crate::failure::Failure;
use crate::output::{self, grouped};

/// Keys are cut in the table.
const LONGEST_KEY: usize = 60;

/// Prints the assets as a table, as JSON or as a graph.
pub(crate) async fn assets(config: &Config, options: &AssetsOptions) -> Result<(), Failure> {
    let catalog = Platform::open(config).await?.catalog_with_history().await?;
    let shown = selected(&catalog, options)?;
    if let Some(format) = options.graph {
        let keys: BTreeSet<&str> = shown.iter().map(|asset| asset.key.as_str()).collect();
        let asks_for_checks = options.kind.is_some_and(AssetKind::is_check) || options.name.is_some();
        // Some hundred tests beside the tables would hide what is made from what.
        let graph =
            catalog.graph(|asset| keys.contains(asset.key.as_str()) && (asks_for_checks || !asset.kind.is_check()));
        return match format {
            GraphFormat::Json => output::json(&graph),
            GraphFormat::Mermaid => output::print(graph.mermaid().trim_end()),
            GraphFormat::Svg => output::print(graph.svg().trim_end()),
        };
    }
    if options.json {
        return output::json(&shown);
    }
    if let [asset] = shown.as_slice() {
        return detail(asset);
    }
    // Whoever asks for a kind or a name gets what was asked for; else checks are counted beside what they check.
    let is_listed = |asset: &&&Asset| options.kind.is_some() || options.name.is_some() || !asset.kind.is_check();
    let rows: Vec<Vec<String>> = shown.iter().filter(is_listed).map(|asset| row(asset)).collect();
    output::table(&["asset", "kind", "group", "reads", "readers", "cycle", "rows", "checks"], &rows)?;
    let left_out = match shown.len() - rows.len() {
        0 => String::new(),
        checks => format!("; {checks} checks are not listed: --kind test, unit_test, rule or reconciliation"),
    };
    output::print(&format!("\n{} assets{left_out}", shown.len()))
}

/// The assets that the options name, in the order of the catalog.
fn selected<'a>(catalog: &'a Catalog, options: &AssetsOptions) -> Result<Vec<&'a Asset>, Failure> {
    let groups: BTreeSet<&str> = catalog.assets.iter().map(|asset| asset.group.as_str()).collect();
    if let Some(group) = options.group.as_deref().filter(|group| !groups.contains(group)) {
        let accepted = groups.into_iter().collect::<Vec<_>>().join(", ");
        return Err(Failure::new(format!("there is no group {group:?}; accepted: {accepted}")));
    }
    let is_of = |asset: &&Asset| {
        options.group.as_ref().is_none_or(|group| *group == asset.group)
            && options.kind.is_none_or(|kind| kind == asset.kind)
    };
    let all: Vec<&Asset> = catalog.assets.iter().filter(is_of).collect();
    let Some(name) = &options.name else { return Ok(all) };
    // The whole key says one, the name all along the way from source to readers, a part of it whatever has that part.
    let ways: [fn(&Asset, &str) -> bool; 3] =
        [|asset, name| asset.key == name, |asset, name| asset.name == name, |asset, name| asset.key.contains(name)];
    for way in ways {
        let found: Vec<&Asset> = all.iter().copied().filter(|asset| way(asset, name)).collect();
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Err(Failure::new(format!("there is no asset with {name:?} in its key; `bgp assets` lists all")))
}

fn row(asset: &Asset) -> Vec<String> {
    let number = |number: Option<u64>| number.map(grouped).unwrap_or_default();
    vec![
        short(&asset.key),
        asset.kind.to_string(),
        asset.group.clone(),
        asset.upstream.len().to_string(),
        asset.downstream.len().to_string(),
        asset.last_cycle.map(|cycle| cycle.to_string()).unwrap_or_default(),
        number(asset.rows),
        checks(asset),
    ]
}

/// The names of tests are as long as what they say.
fn short(key: &str) -> String {
    if key.chars().count() <= LONGEST_KEY {
        return key.to_owned();
    }
    key.chars().take(LONGEST_KEY - 1).chain(['…']).collect()
}

/// `12`, or `12, 1 failed`; of a check how it ended.
fn checks(asset: &Asset) -> String {
    if let Some(outcome) = &asset.outcome {
        return word(outcome.status).to_owned();
    }
    if asset.checks.is_empty() {
        return String::new();
    }
    let mut text = asset.checks.len().to_string();
    for status in [CheckStatus::Failed, CheckStatus::Warned] {
        let count = asset.checks.iter().filter(|check| check.status == status).count();
        if count > 0 {
            text = format!("{text}, {count} {}", word(status));
        }
    }
    text
}

fn word(status: CheckStatus) -> &'static str {
    match status {
        CheckStatus::Passed => "passed",
        CheckStatus::Warned => "warned",
        CheckStatus::Failed => "failed",
        CheckStatus::NotRun => "not run",
    }
}

/// Everything about one asset.
fn detail(asset: &Asset) -> Result<(), Failure> {
    let kept = asset.materialized.as_ref().map(|materialized| format!(", kept as {materialized}")).unwrap_or_default();
    output::print(&output::folded(&asset.key, &format!("{}, group {}{kept}", asset.kind, asset.group)))?;
    if let Some(description) = &asset.description {
        output::print(&output::folded("", description))?;
    }
    let known = match (asset.last_cycle, asset.last_at) {
        (Some(cycle), Some(at)) => format!("cycle {cycle}, {}", at.strftime("%Y-%m-%dT%H:%M:%SZ")),
        _ => "in no cycle yet".to_owned(),
    };
    output::print(&output::folded("last", &known))?;
    if let Some(rows) = asset.rows {
        let partitions = asset.partitions.map(|count| format!(" in {count} partitions")).unwrap_or_default();
        output::print(&output::folded("rows", &format!("{}{partitions}", grouped(rows))))?;
    }
    if let Some(outcome) = &asset.outcome {
        output::print(&output::folded("outcome", &format!("{}, {} failures", word(outcome.status), outcome.failures)))?;
    }
    let checks: BTreeSet<&str> = asset.checks.iter().map(|check| check.key.as_str()).collect();
    let readers: Vec<&str> = asset.downstream.iter().map(String::as_str).filter(|key| !checks.contains(key)).collect();
    list("reads", asset.upstream.iter().map(String::as_str))?;
    list("readers", readers.into_iter())?;
    list("checks", asset.checks.iter().map(|check| format!("{}: {}", check.key, word(check.status))))
}

/// A line each, under a name.
fn list<T: AsRef<str>>(name: &str, lines: impl Iterator<Item = T>) -> Result<(), Failure> {
    for (place, line) in lines.enumerate() {
        output::print(format!("{:10}{}", if place == 0 { name } else { "" }, line.as_ref()).trim_end())?;
    }
    Ok(())
}
