//! The rules of pipeline.yaml: volume, freshness, drift, balance, and queries that must find nothing.

use pipeline::{Rule, RuleCheck, Severity};
use serde_json::Value;
use service::{Platform, Problem, ProjectPlan};
use wap::{Attempt, Identifier, ReceiptKind, RuleOutcome, RuleStatus, TableAudit};
use warehouse::Place;

use crate::tests::{masked, personal_columns};

/// Checks every rule.
pub(crate) async fn run(
    platform: &Platform,
    plan: &ProjectPlan,
    attempt: &Attempt,
    tables: &[TableAudit],
) -> Result<Vec<RuleOutcome>, Problem> {
    let schemas = platform.schemas(&plan.project)?;
    let relation_of = |rule: &Rule, name: &Identifier| {
        let model = plan.project.nodes.iter().find(|(_, node)| node.name == name.as_str());
        let found = model.and_then(|(id, node)| Some((schemas.get(id)?, node)));
        found.map(|(schema, node)| platform.warehouse.relation(&attempt.slot, schema.as_str(), &node.alias)).ok_or_else(
            || {
                Problem::rejected(format!(
                    "rule {} is about model {name}, which the dbt project does not have; correct audit.rules in \
                     pipeline.yaml",
                    rule.name
                ))
            },
        )
    };
    let mut outcomes = Vec::new();
    for rule in &platform.pipeline.audit.rules {
        let relation = relation_of(rule, &rule.model)?;
        let mut value = None;
        let finding = match &rule.check {
            RuleCheck::Volume { max_change_ratio } => volume(rule, tables, *max_change_ratio),
            RuleCheck::Freshness { column, max_age_hours } => {
                freshness(platform, attempt, &relation, column.as_str(), *max_age_hours).await?
            }
            RuleCheck::Drift { metric, max_change_ratio, cycles } => {
                value = measure(platform, attempt, rule, &relation, metric).await?;
                let before = earlier_values(platform, rule, *cycles).await?;
                drift(value, &before, *max_change_ratio)
            }
            RuleCheck::Balance { measure, by, other, other_measure } => {
                let other = relation_of(rule, other)?;
                let sql = balance_query((&relation, measure), (&other, other_measure), by);
                rows_found(platform, plan, attempt, &sql).await?
            }
            RuleCheck::Sql { query } => {
                rows_found(platform, plan, attempt, &query.replace("{model}", &relation)).await?
            }
        };
        outcomes.push(outcome(rule, value, finding));
    }
    Ok(outcomes)
}

/// What a query that must find nothing has found.
async fn rows_found(platform: &Platform, plan: &ProjectPlan, attempt: &Attempt, sql: &str) -> Result<Finding, Problem> {
    let limit = platform.pipeline.audit.sample_rows.max(1) as usize;
    let rows = platform.warehouse.query(&Place::Slot(attempt.slot.clone()), sql, limit).await?;
    let personal = personal_columns(platform, plan);
    let sample: Vec<Value> = rows.objects().into_iter().map(|row| masked(row, &personal)).collect();
    let more = if rows.is_cut { " or more" } else { "" };
    Ok((!sample.is_empty()).then(|| (format!("{}{more} rows found", sample.len()), sample)))
}

/// The figure of a drift rule; none of a table without rows.
async fn measure(
    platform: &Platform,
    attempt: &Attempt,
    rule: &Rule,
    relation: &str,
    metric: &str,
) -> Result<Option<f64>, Problem> {
    // As text: exact numbers come as text from BigQuery, others from DuckDB.
    let sql = format!("SELECT CAST({metric} AS STRING) AS bgp_metric FROM {relation}");
    let found = platform.warehouse.query(&Place::Slot(attempt.slot.clone()), &sql, 1).await?;
    match found.single() {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_str().and_then(|text| text.parse().ok()).filter(|number: &f64| number.is_finite()).map_or_else(
            || {
                Err(Problem::rejected(format!(
                    "rule {} measures {value}, which is not a number; correct its metric in audit.rules of pipeline.yaml",
                    rule.name
                )))
            },
            |number| Ok(Some(number)),
        ),
    }
}

/// What the rule measured in the cycles that were published last.
async fn earlier_values(platform: &Platform, rule: &Rule, cycles: u32) -> Result<Vec<f64>, Problem> {
    let mut values = Vec::new();
    let mut cycle = platform.state.record().await?.cycle;
    // A cycle that lacks a value, of a rollback or from before the rule, is passed over, but not without end.
    let oldest = cycle.saturating_sub(2 * u64::from(cycles));
    while cycle > oldest && values.len() < cycles as usize {
        if let Some(receipt) = platform.state.receipt(cycle).await?
            && receipt.kind == ReceiptKind::Publish
        {
            let of_rule = receipt.verdict.rules.iter().find(|outcome| outcome.rule == rule.name.as_str());
            values.extend(of_rule.and_then(|outcome| outcome.value));
        }
        cycle -= 1;
    }
    Ok(values)
}

fn drift(value: Option<f64>, before: &[f64], max_change_ratio: f64) -> Finding {
    let value = value?;
    if before.is_empty() {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "there are at most a hundred")]
    let mean = before.iter().sum::<f64>() / before.len() as f64;
    let is_far = (value - mean).abs() > max_change_ratio * mean.abs();
    is_far.then(|| {
        let detail = format!(
            "{value} now, {mean:.2} on average of the last {} cycles; allowed is a change of {max_change_ratio}",
            before.len()
        );
        (detail, Vec::new())
    })
}

/// Groups in which the sums of two relations differ, also those that only one of them has.
fn balance_query(one: (&str, &str), other: (&str, &str), by: &[Identifier]) -> String {
    let by = by.iter().map(Identifier::as_str).collect::<Vec<_>>().join(", ");
    format!(
        "SELECT {by}, SUM(bgp_one) AS bgp_sum, SUM(bgp_other) AS bgp_other_sum FROM (\
         SELECT {by}, COALESCE({}, 0) AS bgp_one, 0 AS bgp_other FROM {} UNION ALL \
         SELECT {by}, 0, COALESCE({}, 0) FROM {}) AS bgp_both \
         GROUP BY {by} HAVING SUM(bgp_one) <> SUM(bgp_other)",
        one.1, one.0, other.1, other.0
    )
}

/// What a rule found: in words, and some rows.
type Finding = Option<(String, Vec<Value>)>;

fn volume(rule: &Rule, tables: &[TableAudit], max_change_ratio: f64) -> Finding {
    let table = tables.iter().find(|table| table.view == rule.model)?;
    let before = table.rows_before.filter(|rows| *rows > 0)?;
    #[expect(clippy::cast_precision_loss, reason = "a ratio needs no more than 52 bits")]
    let change = (table.rows as f64 - before as f64).abs() / before as f64;
    (change > max_change_ratio).then(|| {
        let detail =
            format!("{before} rows before, {} now: a change of {change:.2}, allowed is {max_change_ratio}", table.rows);
        (detail, Vec::new())
    })
}

async fn freshness(
    platform: &Platform,
    attempt: &Attempt,
    relation: &str,
    column: &str,
    max_age_hours: u32,
) -> Result<Finding, Problem> {
    // Against the end of the newest partition, never against the clock: a backfill of last year is fresh for last year. The week or
    // month that a table is read by may go on after the newest day, so the time that every table has reached is what counts.
    let partitions = platform.warehouse.relation(&attempt.slot, "raw", "bgp_partitions");
    let reached =
        format!("(SELECT MAX(ends_at) AS bgp_end FROM {partitions} WHERE ends_at IS NOT NULL GROUP BY table_name)");
    let end = format!("(SELECT MIN(bgp_end) FROM {reached} AS bgp_reached)");
    let sql = format!(
        "SELECT CAST(MAX({column}) AS STRING) AS bgp_newest, \
         CAST({end} AS STRING) AS bgp_end \
         FROM {relation} HAVING MAX(CAST({column} AS TIMESTAMP)) IS NULL \
         OR MAX(CAST({column} AS TIMESTAMP)) < {end} - INTERVAL {max_age_hours} HOUR"
    );
    let found = platform.warehouse.query(&Place::Slot(attempt.slot.clone()), &sql, 1).await?;
    Ok(found.rows.first().map(|row| {
        let shown = |value: &Value| value.as_str().unwrap_or("nothing").to_owned();
        let detail = format!(
            "the newest {column} is {}, the newest partition ends at {}; allowed are {max_age_hours} h",
            shown(&row[0]),
            shown(&row[1])
        );
        (detail, Vec::new())
    }))
}

fn outcome(rule: &Rule, value: Option<f64>, finding: Finding) -> RuleOutcome {
    let status = match (&finding, rule.severity) {
        (None, _) => RuleStatus::Passed,
        (Some(_), Severity::Warn) => RuleStatus::Warned,
        (Some(_), Severity::Error) => RuleStatus::Failed,
    };
    let (detail, sample) = finding.unwrap_or_default();
    RuleOutcome {
        rule: rule.name.as_str().to_owned(),
        subject: rule.model.as_str().to_owned(),
        failures: u64::from(status != RuleStatus::Passed),
        status,
        detail,
        value,
        sample,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_is_measured_against_the_mean_of_earlier_cycles() {
        assert!(drift(Some(120.0), &[90.0, 110.0], 0.2).is_none());
        assert!(drift(Some(80.0), &[90.0, 110.0], 0.2).is_none());
        let (detail, _) = drift(Some(121.0), &[90.0, 110.0], 0.2).unwrap_or_default();
        assert_eq!(detail, "121 now, 100.00 on average of the last 2 cycles; allowed is a change of 0.2");
        assert!(drift(Some(-79.0), &[-100.0], 0.2).is_some());
        assert!(drift(Some(1.0), &[0.0], 0.2).is_some(), "everything is far from nothing");
    }

    #[test]
    fn what_was_never_measured_has_not_drifted() {
        assert!(drift(Some(1.0), &[], 0.2).is_none());
        assert!(drift(None, &[1.0], 0.2).is_none());
    }
}
