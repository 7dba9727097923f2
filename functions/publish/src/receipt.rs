//! What the receipt of a cycle says. All of it follows from the record and the attempt, so whoever comes next can write it.

use serde::Deserialize;
use service::Problem;
use wap::{
    Attempt, BuiltModel, Deployment, Live, RECEIPT_VERSION, Receipt, ReceiptKind, Rollback, Statistics, Step,
    StepSeconds, TableVolume, UndoneCycle, WorkSet,
};

/// The receipt of the record's cycle, which shows `live`, the slot of `attempt`.
pub(crate) fn receipt(
    record: &Deployment,
    live: &Live,
    attempt: &Attempt,
    mixed_seconds: Option<f64>,
) -> Result<Receipt, Problem> {
    let Some(verdict) = attempt.verdict.clone() else {
        return Err(Problem::internal(format!(
            "attempt {} is live and has no verdict; restore attempts/ from a backup",
            attempt.id()
        )));
    };
    let audit: AuditOutcome = outcome(attempt.steps.get("audit"));
    let shown = Receipt {
        version: RECEIPT_VERSION,
        cycle: record.cycle,
        kind: ReceiptKind::Publish,
        slot: live.slot.clone(),
        run: attempt.run.clone(),
        holder: attempt.steps.get("publish").map(|step| step.holder.clone()),
        published_at: live.published_at,
        inputs: live.inputs.clone(),
        newest_partition: live.newest_partition.clone(),
        held: live.held.clone(),
        work: WorkSet::default(),
        rollback: None,
        built: Vec::new(),
        moved: Vec::new(),
        verdict,
        views: live.views.clone(),
        slot_bytes: audit.slot_bytes,
        steps: Vec::new(),
        cost: Statistics::default(),
        mixed_seconds,
    };
    Ok(match &record.rollback {
        Some(rollback) => rolled_back(shown, rollback),
        None => built(shown, attempt, audit.moved),
    })
}

fn rolled_back(shown: Receipt, rollback: &Rollback) -> Receipt {
    Receipt {
        kind: ReceiptKind::Rollback,
        run: rollback.run.clone(),
        holder: Some(rollback.holder.clone()),
        published_at: rollback.at,
        rollback: Some(UndoneCycle {
            from: rollback.from.clone(),
            undid: rollback.undid,
            reason: rollback.reason.clone(),
            held: rollback.held.clone(),
            models: rollback.models.keys().cloned().collect(),
        }),
        ..shown
    }
}

fn built(shown: Receipt, attempt: &Attempt, moved: Vec<TableVolume>) -> Receipt {
    let mut steps: Vec<_> =
        attempt.steps.iter().filter_map(|(name, step)| Some((step.finished_at?, name, step))).collect();
    steps.sort_by_key(|(finished, name, _)| (*finished, *name));
    let mut cost = Statistics::default();
    let mut models = Vec::new();
    for (_, _, step) in &steps {
        let done: StepOutcome = outcome(Some(step));
        cost += done.cost;
        for model in done.models {
            // dbt runs its own jobs.
            cost += Statistics {
                bytes_billed: model.bytes_billed.unwrap_or_default(),
                slot_milliseconds: model.slot_milliseconds.unwrap_or_default(),
                ..Statistics::default()
            };
            models.push(BuiltModel { name: model.name, full: model.full, seconds: model.seconds });
        }
    }
    Receipt {
        work: attempt.work.clone(),
        built: models,
        moved,
        steps: steps
            .into_iter()
            .map(|(finished, name, step)| StepSeconds {
                step: name.clone(),
                seconds: finished.duration_since(step.claimed_at).as_secs_f64(),
                holder: Some(step.holder.clone()),
            })
            .collect(),
        cost,
        ..shown
    }
}

/// What a receipt takes from the outcome of any step. Steps of older programs recorded less.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StepOutcome {
    cost: Statistics,
    models: Vec<TransformedModel>,
}

#[derive(Debug, Deserialize)]
struct TransformedModel {
    name: String,
    full: bool,
    seconds: f64,
    bytes_billed: Option<u64>,
    slot_milliseconds: Option<u64>,
}

/// What a receipt takes from the outcome of the audit.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AuditOutcome {
    moved: Vec<TableVolume>,
    slot_bytes: Option<u64>,
}

/// The outcome of a step, as far as it is one that this program knows.
fn outcome<T: Default + for<'a> Deserialize<'a>>(step: Option<&Step>) -> T {
    let Some(outcome) = step.and_then(|step| step.outcome.as_ref()) else { return T::default() };
    T::deserialize(outcome).unwrap_or_default()
}
