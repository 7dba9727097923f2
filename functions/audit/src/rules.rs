//! The rules of pipeline.yaml: volume, freshness, and queries that must find nothing.

use pipeline::{Rule, RuleCheck, Severity};
use serde_json::Value;
use service::{Platform, Problem, ProjectPlan};
use wap::{Attempt, RuleOutcome, RuleStatus, TableAudit};
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
    let mut outcomes = Vec::new();
    for rule in &platform.pipeline.audit.rules {
        let model = plan.project.nodes.iter().find(|(_, node)| node.name == rule.model.as_str());
        let Some((schema, node)) = model.and_then(|(id, node)| Some((schemas.get(id)?, node))) else {
            return Err(Problem::rejected(format!(
                "rule {} is about model {}, which the dbt project does not have; correct audit.rules in pipeline.yaml",
                rule.name, rule.model
            )));
        };
        let relation = platform.warehouse.relation(&attempt.slot, schema.as_str(), &node.alias);
        let finding = match &rule.check {
            RuleCheck::Volume { max_change_ratio } => volume(rule, tables, *max_change_ratio),
            RuleCheck::Freshness { column, max_age_hours } => {
                freshness(platform, attempt, &relation, column.as_str(), *max_age_hours).await?
            }
            RuleCheck::Sql { query } => {
                let sql = query.replace("{model}", &relation);
                let limit = platform.pipeline.audit.sample_rows.max(1) as usize;
                let rows = platform.warehouse.query(&Place::Slot(attempt.slot.clone()), &sql, limit).await?;
                let personal = personal_columns(platform, plan);
                let sample: Vec<Value> = rows.objects().into_iter().map(|row| masked(row, &personal)).collect();
                let more = if rows.is_cut { " or more" } else { "" };
                (!sample.is_empty()).then(|| (format!("{}{more} rows found", sample.len()), sample))
            }
        };
        outcomes.push(outcome(rule, finding));
    }
    Ok(outcomes)
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
    // Against the end of the newest partition, never against the clock: a backfill of last year is fresh for last year.
    let partitions = platform.warehouse.relation(&attempt.slot, "raw", "bgp_partitions");
    let sql = format!(
        "SELECT CAST(MAX({column}) AS STRING) AS bgp_newest, \
         CAST((SELECT MAX(ends_at) FROM {partitions}) AS STRING) AS bgp_end \
         FROM {relation} HAVING MAX(CAST({column} AS TIMESTAMP)) IS NULL \
         OR MAX(CAST({column} AS TIMESTAMP)) < (SELECT MAX(ends_at) FROM {partitions}) - INTERVAL {max_age_hours} HOUR"
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

fn outcome(rule: &Rule, finding: Finding) -> RuleOutcome {
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
        sample,
    }
}
