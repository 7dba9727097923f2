//! The tests of the dbt project.

use std::collections::{BTreeMap, BTreeSet};

use dbt::{TestRequest, TestResult, TestStatus};
use serde_json::Value;
use service::{Platform, Problem, ProjectPlan};
use wap::{Attempt, RuleOutcome, RuleStatus};
use warehouse::Place;

/// Stands for a personal value.
const MASK: &str = "***";

/// Runs every test that looks at something that was built or at a table whose content changed.
pub(crate) async fn run(
    platform: &Platform,
    plan: &ProjectPlan,
    attempt: &Attempt,
) -> Result<Vec<RuleOutcome>, Problem> {
    let changed: BTreeSet<&str> = attempt.work.changes.iter().map(|change| change.table.as_str()).collect();
    let mut looked_at = attempt.work.build.clone();
    looked_at.extend(
        plan.project
            .sources
            .values()
            .filter(|source| changed.contains(source.table.as_str()))
            .map(|source| source.id.clone()),
    );
    let tests: Vec<String> = plan.project.tests_of(&looked_at).into_iter().collect();
    if tests.is_empty() {
        return Ok(Vec::new());
    }
    let place = platform.place(&attempt.slot, &plan.project)?;
    let report = platform.dbt.test(TestRequest { place, tests, vars: BTreeMap::new() }).await?;
    platform.charge(report.cost);
    let personal = personal_columns(platform, plan);
    let mut outcomes = Vec::new();
    for test in &report.tests {
        outcomes.push(outcome(platform, plan, attempt, test, &personal).await);
    }
    Ok(outcomes)
}

async fn outcome(
    platform: &Platform,
    plan: &ProjectPlan,
    attempt: &Attempt,
    test: &TestResult,
    personal: &BTreeSet<String>,
) -> RuleOutcome {
    let status = match test.status {
        TestStatus::Pass => RuleStatus::Passed,
        TestStatus::Warn => RuleStatus::Warned,
        TestStatus::Fail | TestStatus::Error => RuleStatus::Failed,
    };
    let sample = match (&test.compiled_sql, status) {
        (Some(sql), RuleStatus::Failed | RuleStatus::Warned) if test.status != TestStatus::Error => {
            sample(platform, attempt, sql, personal).await
        }
        _ => Vec::new(),
    };
    let subject = test.tested_nodes.first().map_or_else(
        || "the project".to_owned(),
        |id| {
            plan.project
                .nodes
                .get(id)
                .map_or_else(|| id.rsplit('.').next().unwrap_or(id).to_owned(), |node| node.name.clone())
        },
    );
    let detail = match test.status {
        TestStatus::Pass => String::new(),
        TestStatus::Error => format!("the test could not run: {}", test.message.trim()),
        TestStatus::Warn | TestStatus::Fail => {
            let column = test.column.as_ref().map_or_else(String::new, |column| format!(" ({column})"));
            format!("{} row{} found{column}", test.failures, if test.failures == 1 { "" } else { "s" })
        }
    };
    RuleOutcome { rule: test.name.clone(), subject, status, failures: test.failures, detail, value: None, sample }
}

/// Some of the rows that a test found. A sample that can't be had is no reason to lose the finding.
async fn sample(platform: &Platform, attempt: &Attempt, sql: &str, personal: &BTreeSet<String>) -> Vec<Value> {
    let limit = platform.pipeline.audit.sample_rows as usize;
    match platform.warehouse.query(&Place::Slot(attempt.slot.clone()), sql, limit).await {
        Ok(rows) => rows.objects().into_iter().map(|row| masked(row, personal)).collect(),
        Err(error) => {
            tracing::warn!(%error, "failing rows could not be sampled");
            Vec::new()
        }
    }
}

/// Columns that pipeline.yaml or the project marks as personal, by name: a name that is personal anywhere is masked
/// everywhere, since a test's query may come from any model.
pub(crate) fn personal_columns(platform: &Platform, plan: &ProjectPlan) -> BTreeSet<String> {
    let tables = platform.pipeline.tables.values().flat_map(|table| &table.columns);
    let raw = tables.filter(|column| column.personal).map(|column| column.name.as_str().to_lowercase());
    let nodes = plan.project.nodes.values().flat_map(|node| &node.columns);
    let models = nodes.filter(|column| column.is_personal).map(|column| column.name.to_lowercase());
    raw.chain(models).collect()
}

/// Masks personal values. Tests of a single column (`unique`, `accepted_values`) show it under a name of their own.
pub(crate) fn masked(row: Value, personal: &BTreeSet<String>) -> Value {
    let Value::Object(fields) = row else { return row };
    let masked = |(name, value): (String, Value)| {
        let is_personal = personal.contains(&name.to_lowercase());
        (name, if is_personal && !value.is_null() { MASK.into() } else { value })
    };
    Value::Object(fields.into_iter().map(masked).collect())
}
