//! Seal, test, reconcile, compare, judge.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State as Extension;
use events::{AuditRefused, BrokenRule, Fact};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use service::{Body, Platform, Problem, ProjectPlan, detached};
use store::{ObjectStoreExt, Precondition};
use utoipa::ToSchema;
use wap::{
    Attempt, AttemptId, EndReason, Refusal, RuleOutcome, RuleStatus, TableAudit, TableVolume, Verdict, list_partitions,
};
use warehouse::{Place, Publication, PublishedView, Statistics};

use crate::{publication, reconcile, rules, tests};

/// What to audit.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditRequest {
    #[schema(value_type = String)]
    attempt: AttemptId,
}

/// What was found.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Audited {
    passed: bool,
    /// Why not, in one line; empty if it passed.
    reason: String,
    /// How many rules were checked.
    rules: usize,
    /// The rules that failed or warned.
    #[schema(value_type = Vec<Object>)]
    findings: Vec<RuleOutcome>,
    /// Partitions whose content is new in this attempt.
    partitions: String,
    /// What readers go on seeing if it did not pass.
    live_cycle: u64,
    /// What moved on the way from the source to the slot.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    moved: Vec<TableVolume>,
    /// Bytes of the slot, where the warehouse tells.
    #[serde(default)]
    slot_bytes: Option<u64>,
    #[serde(default)]
    #[schema(value_type = Object)]
    cost: Statistics,
}

/// Seals the attempt's slot and judges it. A refusal is remembered with what was refused.
#[utoipa::path(post, path = "/audit", request_body = AuditRequest, responses((status = 200, body = Audited)))]
pub(crate) async fn audit(
    Extension(platform): Extension<Platform>,
    Body(request): Body<AuditRequest>,
) -> Result<Json<Audited>, Problem> {
    detached(async move {
        let plan = platform.project_plan().await?;
        let outcome =
            platform.state.step(&request.attempt, "audit", Box::pin(judge(&platform, &request.attempt, &plan))).await?;
        settle(&platform, &request.attempt, &outcome).await?;
        Ok(outcome)
    })
    .await
    .map(Json)
}

async fn judge(platform: &Platform, id: &AttemptId, plan: &ProjectPlan) -> Result<Audited, Problem> {
    let attempt = platform.state.attempt(id).await?;
    platform.check_code(&attempt, plan)?;
    plan.check_order(&attempt, None)?;
    let platform = &platform.for_step("audit", Some(&attempt.slot));
    let record = platform.state.record().await?;
    let publication = publication::build(platform, plan, &attempt, &record).await?;
    // What publish shall make is fixed here, with the content it is made for.
    platform.store.put_json(&Publication::key(id), &publication, Precondition::None).await?;
    let fingerprint = platform.warehouse.seal(&attempt.slot, &publication).await?;

    let mut outcomes = tests::run(platform, plan, &attempt).await?;
    let (reconciled, moved) = reconcile::run(platform, plan, &attempt).await?;
    outcomes.extend(reconciled);
    let tables = compare(platform, plan, &attempt, &publication, record.live.as_ref()).await?;
    outcomes.extend(rules::run(platform, plan, &attempt, &tables).await?);

    let after = platform.warehouse.fingerprint(&attempt.slot).await?;
    let verdict = Verdict::new(&attempt.slot, fingerprint, after, outcomes, tables);
    let stored = platform.state.update_attempt(id, |attempt| attempt.judge(verdict.clone())).await?;
    let attempt = stored.unwrap_or(attempt);
    tracing::info!(attempt = %id, passed = verdict.passed().is_some(), rules = verdict.rules.len(), "audited");
    Ok(Audited {
        passed: verdict.passed().is_some(),
        reason: verdict.reason(),
        rules: verdict.rules.len(),
        findings: verdict.rules.iter().filter(|rule| rule.status != RuleStatus::Passed).cloned().collect(),
        partitions: list_partitions(&attempt.work.partitions()),
        live_cycle: record.cycle,
        moved,
        slot_bytes: Some(platform.warehouse.slot_bytes(&attempt.slot.name()).await?),
        cost: platform.warehouse.statistics(),
    })
}

/// Remembers a refusal in the record. Separate from the step, so that a crash in between is mended by repeating it.
async fn settle(platform: &Platform, id: &AttemptId, outcome: &Audited) -> Result<(), Problem> {
    let state = &platform.state;
    if outcome.passed {
        return Ok(());
    }
    let attempt = state.attempt(id).await?;
    if attempt.ended.is_some() {
        return Ok(());
    }
    if attempt.verdict.as_ref().is_some_and(Verdict::was_disturbed) {
        state.end_attempt(id, EndReason::Failed, &outcome.reason).await?;
        return Ok(());
    }
    let refusal = Refusal {
        attempt: id.clone(),
        changes: attempt.work.changes.clone(),
        code: attempt.project.clone(),
        reason: outcome.reason.clone(),
        at: Timestamp::now(),
    };
    platform.announce(Fact::AuditRefused(refused(&attempt, outcome, refusal.at))).await?;
    state.update_record(|record| Ok(record.refuse(refusal.clone()))).await?;
    state
        .update_attempt(id, |attempt: &Attempt| {
            attempt.ended.is_none().then(|| attempt.end(EndReason::Refused, &outcome.reason, Timestamp::now()))
        })
        .await?;
    Ok(())
}

fn refused(attempt: &Attempt, outcome: &Audited, at: Timestamp) -> AuditRefused {
    let failed = outcome.findings.iter().filter(|rule| rule.status == RuleStatus::Failed);
    AuditRefused {
        run: attempt.run.clone(),
        attempt: attempt.id().clone(),
        cycle: attempt.slot.cycle,
        partitions: attempt.work.partitions().into_iter().collect(),
        rules: failed
            .map(|rule| BrokenRule { rule: rule.rule.clone(), subject: rule.subject.clone(), failures: rule.failures })
            .collect(),
        reason: outcome.reason.clone(),
        at,
    }
}

/// Rows of each published table, before and after, and its newest date.
async fn compare(
    platform: &Platform,
    plan: &ProjectPlan,
    attempt: &Attempt,
    publication: &Publication,
    live: Option<&wap::Live>,
) -> Result<Vec<TableAudit>, Problem> {
    let schemas = platform.schemas(&plan.project)?;
    let before: BTreeMap<&str, &str> = live
        .map(|live| live.views.iter().map(|(name, view)| (name.as_str(), view.target.as_str())).collect())
        .unwrap_or_default();
    let mut tables = Vec::new();
    for view in &publication.views {
        let newest = newest_column(platform, plan, &schemas, attempt, view).await?;
        let newest_expression = newest.map_or_else(|| "NULL".to_owned(), |column| format!("MAX({column})"));
        let relation = platform.warehouse.relation(&attempt.slot, view.schema.as_str(), view.relation.as_str());
        let sql =
            format!("SELECT COUNT(*) AS bgp_rows, CAST({newest_expression} AS STRING) AS bgp_newest FROM {relation}");
        let found = platform.warehouse.query(&Place::Slot(attempt.slot.clone()), &sql, 1).await?;
        let row = found.rows.first();
        let rows = row.and_then(|row| row[0].as_u64()).unwrap_or_default();
        let newest = row.and_then(|row| row[1].as_str()).map(str::to_owned);
        let rows_before = match (live, before.get(view.name.as_str()).and_then(|target| target.split_once('.'))) {
            (Some(live), Some((schema, relation))) => {
                let sql = format!(
                    "SELECT COUNT(*) AS bgp_rows FROM {}",
                    platform.warehouse.relation(&live.slot, schema, relation)
                );
                let place = Place::Slot(live.slot.clone());
                platform.warehouse.query(&place, &sql, 1).await?.single().and_then(serde_json::Value::as_u64)
            }
            _ => None,
        };
        tables.push(TableAudit { view: view.name.clone(), rows_before, rows, newest });
    }
    Ok(tables)
}

/// The column that says how new a table is: the unit that its model is kept by, where that is a date or a time.
async fn newest_column(
    platform: &Platform,
    plan: &ProjectPlan,
    schemas: &BTreeMap<String, wap::Identifier>,
    attempt: &Attempt,
    view: &PublishedView,
) -> Result<Option<String>, Problem> {
    let node = plan.project.nodes.iter().find(|(id, node)| {
        node.alias == view.relation.as_str() && schemas.get(*id).is_some_and(|schema| schema == &view.schema)
    });
    let Some(unit) = node.and_then(|(_, node)| node.touched.as_ref()).map(|touched| touched.unit.clone()) else {
        return Ok(None);
    };
    let columns = platform.warehouse.columns(&attempt.slot, view.schema.as_str(), view.relation.as_str()).await?;
    let is_time =
        |data_type: &str| data_type == "DATE" || data_type.starts_with("TIMESTAMP") || data_type == "DATETIME";
    Ok(columns.into_iter().find(|(name, data_type)| *name == unit && is_time(data_type)).map(|(name, _)| name))
}
