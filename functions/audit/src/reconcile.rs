//! Reconciliation: what the lake says of the changed partitions, what `raw` holds of them, and what the mart made of
//! their rows must agree. The source was compared with the lake when the partition was extracted.

use std::collections::BTreeMap;

use pipeline::{Changes, Reconcile, Table};
use serde_json::Value;
use service::{Platform, Problem, ProjectPlan};
use wap::{Attempt, Manifest, PartitionKey, RuleOutcome, RuleStatus, TableVolume};
use warehouse::Place;

/// Reconciles every table of which a partition changed, and says how much of each there is.
pub(crate) async fn run(
    platform: &Platform,
    plan: &ProjectPlan,
    attempt: &Attempt,
) -> Result<(Vec<RuleOutcome>, Vec<TableVolume>), Problem> {
    let mut outcomes = Vec::new();
    let mut volumes = Vec::new();
    for table in platform.pipeline.tables.values() {
        let mut manifests = BTreeMap::new();
        for change in attempt.work.changes.iter().filter(|change| change.table == table.name) {
            if let Some(digest) = &change.new {
                let manifest = platform.state.manifest(&table.name, &change.partition, digest).await?;
                manifests.insert(change.partition.clone(), manifest);
            }
        }
        if manifests.is_empty() {
            continue;
        }
        let (outcome, raw_rows) = lake_and_raw(platform, attempt, table, &manifests).await?;
        outcomes.push(outcome);
        let lake_rows = manifests.values().map(|manifest| manifest.rows).sum();
        volumes.push(TableVolume {
            table: table.name.clone(),
            partitions: manifests.len() as u64,
            // Extract has counted in the source, and stores no manifest whose rows are another number.
            source_rows: lake_rows,
            lake_rows,
            lake_bytes: manifests.values().map(|manifest| manifest.bytes).sum(),
            raw_rows,
        });
        if let Some(reconcile) = &table.reconcile {
            outcomes.push(raw_and_mart(platform, plan, attempt, table, reconcile, manifests.keys()).await?);
        }
    }
    Ok((outcomes, volumes))
}

/// Rows and sums of each changed partition, in the manifest and in the pin; and all rows of them in the pin.
async fn lake_and_raw(
    platform: &Platform,
    attempt: &Attempt,
    table: &Table,
    manifests: &BTreeMap<PartitionKey, Manifest>,
) -> Result<(RuleOutcome, u64), Problem> {
    let measures: Vec<&str> =
        table.reconcile.iter().flat_map(|reconcile| reconcile.measures.keys()).map(wap::Identifier::as_str).collect();
    let sums: String =
        measures.iter().enumerate().map(|(at, column)| format!(", SUM({column}) AS bgp_sum_{at}")).collect();
    let sql = format!(
        "SELECT bgp_partition, COUNT(*) AS bgp_rows{sums} FROM {} WHERE bgp_partition IN ({}) GROUP BY bgp_partition",
        platform.warehouse.relation(&attempt.slot, "raw", table.name.as_str()),
        list(manifests.keys())
    );
    let found = platform.warehouse.query(&Place::Slot(attempt.slot.clone()), &sql, usize::MAX).await?;
    let by_partition: BTreeMap<&str, &Vec<Value>> =
        found.rows.iter().filter_map(|row| Some((row.first()?.as_str()?, row))).collect();
    let mut differences = Vec::new();
    let mut all_rows = 0;
    for (partition, manifest) in manifests {
        let row = by_partition.get(partition.as_str());
        let rows = row.and_then(|row| row[1].as_u64()).unwrap_or_default();
        all_rows += rows;
        if rows != manifest.rows {
            differences.push(format!("{partition}: {} rows in the lake, {rows} in raw", manifest.rows));
        }
        for (position, measure) in measures.iter().enumerate() {
            let raw = row.map_or_else(|| "0".to_owned(), |row| number(&row[position + 2]));
            let lake = manifest.sums.get(*measure).map_or("0", String::as_str);
            if raw != lake {
                differences.push(format!("{partition}: sum of {measure} is {lake} in the lake, {raw} in raw"));
            }
        }
    }
    Ok((judged("lake_equals_raw", table.name.as_str(), &differences), all_rows))
}

/// The latest state of every key that the changed partitions name, in `raw` and in the model.
async fn raw_and_mart(
    platform: &Platform,
    plan: &ProjectPlan,
    attempt: &Attempt,
    table: &Table,
    reconcile: &Reconcile,
    partitions: impl Iterator<Item = &PartitionKey>,
) -> Result<RuleOutcome, Problem> {
    let schemas = platform.schemas(&plan.project)?;
    let model = plan.project.nodes.iter().find(|(_, node)| node.name == reconcile.model.as_str());
    let Some((schema, node)) = model.and_then(|(id, node)| Some((schemas.get(id)?, node))) else {
        return Err(Problem::rejected(format!(
            "table {} is reconciled with model {}, which the dbt project does not have; correct tables.{}.reconcile.model",
            table.name, reconcile.model, table.name
        )));
    };
    let keys: Vec<&str> = reconcile.key.keys().map(wap::Identifier::as_str).collect();
    let (latest, is_there) = match &table.changes {
        Changes::Log { changed_at, sequence, operation } => {
            (format!("{changed_at} DESC, {sequence} DESC"), format!("{operation} <> 'delete'"))
        }
        Changes::Cursor { column, .. } => (format!("{column} DESC"), "TRUE".to_owned()),
        Changes::Whole => (keys.join(", "), "TRUE".to_owned()),
    };
    let same_key = |left: &str, right: &str| -> String {
        keys.iter().map(|key| format!("{left}.{key} = {right}.{key}")).collect::<Vec<_>>().join(" AND ")
    };
    let model_key: Vec<String> =
        reconcile.key.iter().map(|(key, column)| format!("model.{column} = changed.{key}")).collect();
    let measures = reconcile.measures.keys().enumerate();
    let raw_sums: String =
        measures.map(|(at, column)| format!(", COALESCE(SUM({column}), 0) AS bgp_sum_{at}")).collect();
    let model_sums: String =
        reconcile.measures.values().map(|column| format!(", COALESCE(SUM(model.{column}), 0)")).collect();
    let sql = format!(
        "WITH changed AS (SELECT DISTINCT {keys} FROM {raw} WHERE bgp_partition IN ({partitions})),\n\
         versions AS (SELECT raw_rows.*, ROW_NUMBER() OVER (PARTITION BY {raw_keys} ORDER BY {latest}) AS version_number \
         FROM {raw} AS raw_rows JOIN changed ON {same_key}),\n\
         current_rows AS (SELECT * FROM versions WHERE version_number = 1 AND {is_there})\n\
         SELECT COUNT(*) AS bgp_rows{raw_sums} FROM current_rows\n\
         UNION ALL\n\
         SELECT COUNT(*){model_sums} FROM {relation} AS model JOIN changed ON {model_key}",
        keys = keys.join(", "),
        raw = platform.warehouse.relation(&attempt.slot, "raw", table.name.as_str()),
        partitions = list(partitions),
        raw_keys = keys.iter().map(|key| format!("raw_rows.{key}")).collect::<Vec<_>>().join(", "),
        same_key = same_key("raw_rows", "changed"),
        relation = platform.warehouse.relation(&attempt.slot, schema.as_str(), &node.alias),
        model_key = model_key.join(" AND "),
    );
    // Which of the two rows is which does not matter: they must be equal.
    let found = platform.warehouse.query(&Place::Slot(attempt.slot.clone()), &sql, 2).await?;
    let mut differences = Vec::new();
    if let [raw, mart] = found.rows.as_slice() {
        let names = std::iter::once("rows".to_owned())
            .chain(reconcile.measures.keys().map(|column| format!("sum of {column}")));
        for (position, name) in names.enumerate() {
            let (raw, mart) = (number(&raw[position]), number(&mart[position]));
            if raw != mart {
                differences.push(format!("{name}: {raw} and {mart}"));
            }
        }
    } else {
        differences.push("the comparison gave no answer".to_owned());
    }
    Ok(judged(&format!("raw_equals_{}", reconcile.model), table.name.as_str(), &differences))
}

fn judged(rule: &str, subject: &str, differences: &[String]) -> RuleOutcome {
    let status = if differences.is_empty() { RuleStatus::Passed } else { RuleStatus::Failed };
    RuleOutcome {
        rule: rule.to_owned(),
        subject: subject.to_owned(),
        status,
        failures: differences.len() as u64,
        detail: shortened(differences),
        value: None,
        sample: Vec::new(),
    }
}

/// The first differences; a history that is wrong as a whole is not spelt out.
fn shortened(differences: &[String]) -> String {
    const SHOWN: usize = 5;
    let mut text = differences.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("; ");
    if differences.len() > SHOWN {
        text.push_str(&format!("; and {} more", differences.len() - SHOWN));
    }
    text
}

fn list<'a>(partitions: impl Iterator<Item = &'a PartitionKey>) -> String {
    // A partition key holds digits, hyphens and letters only, by its type.
    partitions.map(|partition| format!("'{partition}'")).collect::<Vec<_>>().join(", ")
}

/// A number as text that equal numbers share, whatever their types' scales.
fn number(value: &Value) -> String {
    match value {
        Value::Null => "0".to_owned(),
        Value::String(text) if text.contains('.') => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_decimals_of_two_scales_are_the_same_text() {
        assert_eq!(number(&"1250.50".into()), number(&"1250.5000".into()));
        assert_eq!(number(&"1250.00".into()), number(&1250.into()));
        assert_eq!(number(&"0.00".into()), number(&Value::Null));
        assert_eq!(number(&"100".into()), "100");
    }
}
