//! After the commit: the receipt, the views, the end of the attempt. All of it follows from the record, so whoever comes
//! next can finish it.

use async_trait::async_trait;
use events::{CyclePublished, Fact};
use jiff::Timestamp;
use service::{Platform, Problem};
use store::ObjectStoreExt;
use wap::{Attempt, EndReason, Live, RECEIPT_VERSION, Receipt, Slot, StepSeconds};
use warehouse::{Desired, Publication};

/// Makes the world agree with the record. Cheap when it does.
pub(crate) async fn complete(platform: &Platform) -> Result<(), Problem> {
    let record = platform.state.record().await?;
    let Some(live) = &record.live else { return Ok(()) };
    let attempt = platform.state.attempt(&live.slot.attempt).await?;
    if platform.state.receipt(record.cycle).await?.is_none() {
        // Before the views: a reader who sees the cycle finds its receipt.
        platform.state.put_receipt(&receipt(record.cycle, live, &attempt, None)?).await?;
    }
    let converged = platform.warehouse.converge(&FromRecord { platform }).await?;
    if converged.slot != live.slot {
        // Somebody published meanwhile, and the views are theirs; so is the rest of the work.
        return Ok(());
    }
    if converged.changed || attempt.ended.is_none() {
        let mixed = converged.mixed.as_secs_f64();
        platform.state.put_receipt(&receipt(record.cycle, live, &attempt, Some(mixed))?).await?;
    }
    if attempt.ended.is_none() {
        platform.announce(Fact::CyclePublished(published(record.cycle, live, &attempt))).await?;
    }
    platform
        .state
        .update_attempt(attempt.id(), |attempt| {
            let ended = attempt.end(EndReason::Published, format!("cycle {}", live.slot.cycle), Timestamp::now());
            attempt.ended.is_none().then_some(ended)
        })
        .await?;
    Ok(())
}

fn published(cycle: u64, live: &Live, attempt: &Attempt) -> CyclePublished {
    CyclePublished {
        run: attempt.run.clone(),
        cycle,
        attempt: attempt.id().clone(),
        slot: live.slot.name(),
        newest_partition: live.newest_partition.clone(),
        held: live.held.clone(),
        views: live.views.keys().cloned().collect(),
        at: live.published_at,
    }
}

/// The receipt of a cycle, from the record and the attempt.
pub(crate) fn receipt(
    cycle: u64,
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
    let mut steps: Vec<_> =
        attempt.steps.iter().filter_map(|(name, step)| Some((step.finished_at?, name, step))).collect();
    steps.sort_by_key(|(finished, name, _)| (*finished, *name));
    Ok(Receipt {
        version: RECEIPT_VERSION,
        cycle,
        slot: live.slot.clone(),
        run: attempt.run.clone(),
        published_at: live.published_at,
        inputs: live.inputs.clone(),
        newest_partition: live.newest_partition.clone(),
        held: live.held.clone(),
        work: attempt.work.clone(),
        verdict,
        views: live.views.clone(),
        steps: steps
            .into_iter()
            .map(|(finished, name, step)| StepSeconds {
                step: name.clone(),
                seconds: finished.duration_since(step.claimed_at).as_secs_f64(),
            })
            .collect(),
        mixed_seconds,
    })
}

/// What the record says now, with the views that were fixed when the slot was sealed.
struct FromRecord<'a> {
    platform: &'a Platform,
}

#[async_trait]
impl Desired for FromRecord<'_> {
    async fn desired(&self) -> Result<Option<(Slot, Publication)>, warehouse::Error> {
        let unreadable = |error: Box<dyn std::error::Error + Send + Sync>| warehouse::Error::Unavailable {
            what: "reading what is to be published".to_owned(),
            source: error,
        };
        let record = self.platform.state.record().await.map_err(|error| unreadable(error.into()))?;
        let Some(live) = record.live else { return Ok(None) };
        let key = Publication::key(&live.slot.attempt);
        let publication =
            self.platform.store.get_json::<Publication>(&key).await.map_err(|error| unreadable(error.into()))?;
        match publication {
            Some((publication, _)) => Ok(Some((live.slot, publication))),
            None => {
                Err(warehouse::Error::internal(format!("{key} is missing from the store; restore it from a backup")))
            }
        }
    }
}
