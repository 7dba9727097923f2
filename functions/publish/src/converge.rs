//! After the commit: the receipt, the views, the end of the attempt. All of it follows from the record, so whoever comes
//! next can finish it.

use std::collections::BTreeSet;

use async_trait::async_trait;
use events::{CyclePublished, CycleRolledBack, Fact};
use jiff::Timestamp;
use lineage::openlineage::End;
use service::{Platform, Problem};
use store::ObjectStoreExt;
use wap::{Attempt, Deployment, EndReason, Identifier, Live, Rollback, Slot};
use warehouse::{Desired, Publication};

use crate::receipt::receipt;

/// Makes the world agree with the record, and returns the record: its cycle has a receipt from now on. Cheap when it does.
pub(crate) async fn complete(platform: &Platform) -> Result<Deployment, Problem> {
    let state = &platform.state;
    let record = state.record().await?;
    let Some(live) = &record.live else { return Ok(record) };
    let attempt = state.attempt(&live.slot.attempt).await?;
    let found = state.receipt(record.cycle).await?;
    if found.is_none() {
        // Before the views: a reader who sees the cycle finds its receipt.
        state.put_receipt(&receipt(&record, live, &attempt, None)?).await?;
    }
    let converged = platform.warehouse.converge(&FromRecord { platform }).await?;
    if converged.slot != live.slot {
        // Somebody published meanwhile, and the views are theirs; so is the rest of the work.
        return Ok(record);
    }
    // The attempt of a slot that came back ended long ago: there the receipt says whether all of this was done.
    let is_new = match &record.rollback {
        Some(_) => found.is_none_or(|receipt| receipt.mixed_seconds.is_none()),
        None => attempt.ended.is_none(),
    };
    if is_new {
        let fact = match &record.rollback {
            Some(rollback) => Fact::CycleRolledBack(rolled_back(record.cycle, live, rollback)),
            None => Fact::CyclePublished(published(record.cycle, live, &attempt)),
        };
        platform.announce(fact).await?;
    }
    if converged.changed || is_new {
        let mixed = converged.mixed.as_secs_f64();
        let receipt = receipt(&record, live, &attempt, Some(mixed))?;
        state.put_receipt(&receipt).await?;
        let mixed_milliseconds = u64::try_from(converged.mixed.as_millis()).unwrap_or(u64::MAX);
        let age_seconds = age(platform, live);
        tracing::info!(cycle = record.cycle, mixed_milliseconds, age_seconds, "converged");
        if is_new {
            platform.tell_lineage(&receipt.run, Some(&attempt), End::Published(&receipt)).await;
        }
    }
    if attempt.ended.is_none() {
        let detail = format!("cycle {}", live.slot.cycle);
        // Before the end: whoever finds the attempt ended need not look for its heartbeat.
        state.release_lease(attempt.id()).await?;
        state
            .update_attempt(attempt.id(), |attempt| {
                let ended = attempt.end(EndReason::Published, detail.clone(), Timestamp::now());
                attempt.ended.is_none().then_some(ended)
            })
            .await?;
    }
    Ok(record)
}

/// For how many seconds the newest partition had been over when it was published, where its key is that of a run.
fn age(platform: &Platform, live: &Live) -> Option<i64> {
    let newest = live.newest_partition.as_ref()?;
    let window = platform.pipeline.runs().window(newest).ok()?;
    Some(live.published_at.duration_since(window.end).as_secs())
}

fn rolled_back(cycle: u64, live: &Live, rollback: &Rollback) -> CycleRolledBack {
    CycleRolledBack {
        cycle,
        from: rollback.from.name(),
        to: live.slot.name(),
        held: rollback.held.clone(),
        at: rollback.at,
    }
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

/// What the record says now, with the views that were fixed when the slot was sealed.
struct FromRecord<'a> {
    platform: &'a Platform,
}

#[async_trait]
impl Desired for FromRecord<'_> {
    async fn retired(&self) -> Result<BTreeSet<Identifier>, warehouse::Error> {
        Ok(self.platform.state.record().await.map_err(unreadable)?.retired)
    }

    async fn desired(&self) -> Result<Option<(Slot, Publication)>, warehouse::Error> {
        let record = self.platform.state.record().await.map_err(unreadable)?;
        let Some(live) = record.live else { return Ok(None) };
        let key = Publication::key(&live.slot.attempt);
        let publication = self.platform.store.get_json::<Publication>(&key).await.map_err(unreadable)?;
        match publication {
            Some((publication, _)) => publication.of(&live.slot).map(|publication| Some((live.slot, publication))),
            None => {
                Err(warehouse::Error::internal(format!("{key} is missing from the store; restore it from a backup")))
            }
        }
    }
}

/// What is not in the record yet. Shown only by a test build that takes away the guard against it.
pub(crate) struct Uncommitted<'a> {
    pub(crate) slot: &'a Slot,
    pub(crate) publication: &'a Publication,
}

#[async_trait]
impl Desired for Uncommitted<'_> {
    async fn desired(&self) -> Result<Option<(Slot, Publication)>, warehouse::Error> {
        Ok(Some((self.slot.clone(), self.publication.clone())))
    }
}

fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> warehouse::Error {
    warehouse::Error::Unavailable { what: "reading what is to be published".to_owned(), source: Box::new(error) }
}
