//! Going back: the record names the kept slot again, and what that takes from readers stays out until it is released.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::record::{Deployment, Hold, Kept, Live, Refused};
use crate::verdict::list;
use crate::work::{Inputs, changes};
use crate::{Digest, PartitionKey, RunId, Slot};

/// A rollback, as the record remembers it for as long as readers see what it brought back. Its own cycle is the record's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    pub run: RunId,
    /// The process that committed it.
    pub holder: String,
    /// Why, in the words of whoever asked for it.
    pub reason: String,
    /// The slot that readers had seen until then.
    pub from: Slot,
    /// The cycle that it undid, where that was a rollback itself.
    pub undid: Option<u64>,
    /// Partitions that it put on hold.
    pub held: Vec<PartitionKey>,
    /// The models that `from` has otherwise than the slot that is live, as `from` has them (`None`: it lacks the model).
    /// The same ones are not built again until one of them is changed or they are released.
    pub models: BTreeMap<String, Option<Digest>>,
    pub at: Timestamp,
}

/// Which rollback put a partition on hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolledBack {
    /// The cycle that was rolled back.
    pub cycle: u64,
    /// The cycle that the rollback itself counts as. No slot ever has this number, so either names the rollback.
    pub by: u64,
}

impl RolledBack {
    fn is_named(&self, cycle: u64) -> bool {
        self.cycle == cycle || self.by == cycle
    }
}

/// Who asks for a rollback, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollbackRequest {
    pub run: RunId,
    pub holder: String,
    pub reason: String,
    pub at: Timestamp,
    /// Until when the slot is kept that is live now.
    pub keep_until: Timestamp,
}

impl Deployment {
    /// The live slot and the one that a rollback would name, if one may.
    pub fn rollback_target(&self, now: Timestamp) -> Result<(&Live, &Kept), Refused> {
        let (Some(live), Some(kept)) = (&self.live, &self.kept) else { return Err(Refused::NothingKept) };
        if kept.until <= now {
            return Err(Refused::KeptExpired { slot: kept.live.slot.clone(), until: kept.until });
        }
        match live.views.keys().find(|view| !kept.live.views.contains_key(*view) && !self.retired.contains(*view)) {
            Some(view) => Err(Refused::KeptLacksView { slot: kept.live.slot.clone(), view: view.clone() }),
            None => Ok((live, kept)),
        }
    }

    /// Names the kept slot, if the record is still the one that was `checked`. `live` and `kept` are the inputs of the two
    /// slots: partitions in which they differ are put on hold, and models in which they differ are remembered.
    ///
    /// An attempt that is building loses its right to commit, for what it was copied from is no longer live. To roll back
    /// a rollback is to undo it: its holds go, and there is nothing to keep out.
    pub fn rollback(
        mut self,
        checked: &Self,
        live: &Inputs,
        kept: &Inputs,
        request: &RollbackRequest,
    ) -> Result<Self, Refused> {
        if &self != checked {
            return Err(Refused::Moved);
        }
        let (before, target) = self.rollback_target(request.at)?;
        let (before, target) = (before.clone(), target.live.clone());
        let (undone_cycle, cycle) = (self.cycle, self.cycle + 1);
        // What undid a rollback brought back a publish, and a rollback of that is one like the first.
        let undid = self.rollback.take().filter(|before| before.undid.is_none()).map(|_| undone_cycle);
        let (mut held, mut models) = (BTreeSet::new(), BTreeMap::new());
        if undid.is_some() {
            self.held.retain(|_, hold| hold.rolled_back.is_none_or(|by| by.by != undone_cycle));
        } else {
            held = changes(&kept.partitions, &live.partitions).into_iter().map(|change| change.partition).collect();
            models = differing(&kept.models, &live.models);
        }
        let rolled_back = RolledBack { cycle: before.slot.cycle, by: cycle };
        for partition in &held {
            let reason = format!("cycle {} was rolled back by cycle {cycle}: {}", rolled_back.cycle, request.reason);
            let hold = Hold { reason, since: request.at, rolled_back: Some(rolled_back) };
            self.held.entry(partition.clone()).or_insert(hold);
        }
        self.rollback = Some(Rollback {
            run: request.run.clone(),
            holder: request.holder.clone(),
            reason: request.reason.clone(),
            from: before.slot.clone(),
            undid,
            held: held.into_iter().collect(),
            models,
            at: request.at,
        });
        self.cycle = cycle;
        self.kept = Some(Kept { live: before, until: request.keep_until });
        self.live = Some(target);
        self.building = None;
        self.expired = None;
        Ok(self)
    }

    /// Refuses models that were rolled back and are as they were.
    pub fn check_rolled_back(&self, models: &BTreeMap<String, Digest>) -> Result<(), Refused> {
        let Some(rollback) = self.rollback.as_ref().filter(|rollback| !rollback.models.is_empty()) else {
            return Ok(());
        };
        if rollback.models.iter().any(|(id, digest)| models.get(id) != digest.as_ref()) {
            return Ok(());
        }
        Err(Refused::CodeRolledBack {
            cycle: rollback.from.cycle,
            by: self.cycle,
            reason: rollback.reason.clone(),
            models: list(rollback.models.keys().map(|id| id.rsplit('.').next().unwrap_or(id))),
        })
    }

    /// Takes up again all that the rollback of `cycle` keeps out. A rollback may be named by its own cycle too.
    pub fn release_cycle(mut self, cycle: u64) -> Result<Self, Refused> {
        let before = self.held.len();
        self.held.retain(|_, hold| hold.rolled_back.is_none_or(|by| !by.is_named(cycle)));
        let mut is_released = self.held.len() < before;
        if let Some(rollback) = &mut self.rollback
            && (RolledBack { cycle: rollback.from.cycle, by: self.cycle }).is_named(cycle)
            && !rollback.models.is_empty()
        {
            rollback.models.clear();
            is_released = true;
        }
        if is_released { Ok(self) } else { Err(Refused::NothingRolledBack { cycle }) }
    }
}

/// The models in which the two differ, as `live` has them.
fn differing(kept: &BTreeMap<String, Digest>, live: &BTreeMap<String, Digest>) -> BTreeMap<String, Option<Digest>> {
    let ids: BTreeSet<&String> = kept.keys().chain(live.keys()).collect();
    ids.into_iter().filter(|id| kept.get(*id) != live.get(*id)).map(|id| (id.clone(), live.get(id).cloned())).collect()
}

#[cfg(test)]
#[path = "rollback_tests.rs"]
mod tests;
