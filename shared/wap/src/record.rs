//! The record: the single truth about what is live. Changed only by the transitions below, each a pure function that
//! returns the next record or says why not; whoever stores it does so by compare-and-set.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::guard::{self, Guard};
use crate::rollback::{Rollback, RolledBack};
use crate::slot::{Color, Slot};
use crate::work::{Change, WorkSet};
use crate::{AttemptId, Digest, EndReason, Identifier, PartitionKey, RunId};

/// The format version of [`Deployment`].
pub const RECORD_VERSION: u32 = 3;

/// Where the record is stored.
pub const RECORD_KEY: &str = "state/deployment.json";

/// The record. `Default` is the record of a pipeline that has published nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    pub version: u32,
    /// Counts publishes and rollbacks; 0 before the first.
    pub cycle: u64,
    pub live: Option<Live>,
    /// The slot that `rollback` would name.
    pub kept: Option<Kept>,
    /// The attempt that may commit.
    pub building: Option<Building>,
    /// The slot of the attempt whose claim ran out last, until the next one begins: that one may take over the layers
    /// that it had finished.
    #[serde(default)]
    pub expired: Option<Slot>,
    pub held: BTreeMap<PartitionKey, Hold>,
    pub refused: Option<Refusal>,
    /// Views that a later slot may lack: then they are taken from readers.
    #[serde(default)]
    pub retired: BTreeSet<Identifier>,
    /// The rollback by which `live` came back, until the next publish.
    #[serde(default)]
    pub rollback: Option<Rollback>,
}

impl Default for Deployment {
    fn default() -> Self {
        Self {
            version: RECORD_VERSION,
            cycle: 0,
            live: None,
            kept: None,
            building: None,
            expired: None,
            held: BTreeMap::new(),
            refused: None,
            retired: BTreeSet::new(),
            rollback: None,
        }
    }
}

/// What readers see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Live {
    pub slot: Slot,
    /// Every published view by name.
    pub views: BTreeMap<Identifier, View>,
    /// Digest of the slot's inputs; they are stored under the attempt's id.
    pub inputs: Digest,
    /// The newest partition that the slot was built from.
    pub newest_partition: Option<PartitionKey>,
    /// Partitions that were held when it was built.
    pub held: Vec<PartitionKey>,
    pub published_at: Timestamp,
}

/// One published view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// `layer.relation` in the slot that the view shows.
    pub target: String,
    /// Digest of the view's definition.
    pub digest: Digest,
}

/// The slot that was live before, kept for a rollback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    pub live: Live,
    pub until: Timestamp,
}

/// The attempt that may commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Building {
    pub slot: Slot,
    pub run: RunId,
    pub since: Timestamp,
}

/// A partition that cycles leave as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    pub reason: String,
    pub since: Timestamp,
    /// The rollback that put it on hold; nothing if somebody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back: Option<RolledBack>,
}

/// A content that an audit refused, with the code that it was built by: the same two are not tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    pub attempt: AttemptId,
    pub changes: Vec<Change>,
    /// Digest of all model digests.
    pub code: Digest,
    pub reason: String,
    pub at: Timestamp,
}

/// Why a transition is not possible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("attempt {attempt} may not commit: {holder}; start a new run")]
    NotBuilding { attempt: AttemptId, holder: String },
    #[error(
        "publishing would drop the live view {view}, which readers may use; restore its model and keep it under dbt.publish, \
         or give it up: bgp retire {view}"
    )]
    ViewMissing { view: Identifier },
    #[error(
        "partition {partitions} was refused by the audit of attempt {attempt} ({reason}) and has not changed since; \
         correct it and run it again, or go on without it: bgp hold {newest}"
    )]
    RefusedBefore { partitions: String, newest: PartitionKey, attempt: AttemptId, reason: String },
    #[error("the record was changed by somebody else meanwhile; try again")]
    Moved,
    #[error("attempt {attempt} has not done {step}, which comes before this; do its steps in their order")]
    TooEarly { attempt: AttemptId, step: String },
    #[error("partition {0} is not held; `bgp status` lists those that are")]
    NotHeld(PartitionKey),
    #[error("view {0} is not published; `bgp status` lists those that are")]
    NotPublished(Identifier),
    #[error("no slot is kept to roll back to; correct the source or the project, and run again")]
    NothingKept,
    #[error(
        "slot {slot} was kept until {until} and may be dropped at any time, so it is not rolled back to; correct the source or \
         the project, and run again"
    )]
    KeptExpired { slot: Slot, until: Timestamp },
    #[error(
        "slot {slot} lacks the live view {view}, which readers may use; take it out of the project and give it up with bgp \
         retire {view}, then roll back"
    )]
    KeptLacksView { slot: Slot, view: Identifier },
    #[error(
        "the code of cycle {cycle} was rolled back by cycle {by} ({reason}) and has not changed since: {models}; correct it, or \
         take it up again: bgp release --cycle {cycle}"
    )]
    CodeRolledBack { cycle: u64, by: u64, reason: String, models: String },
    #[error("nothing is kept out because cycle {cycle} was rolled back; `bgp status` lists what is")]
    NothingRolledBack { cycle: u64 },
}

impl Deployment {
    /// The slot of a new attempt: the colour that is not live, for the next cycle.
    pub fn next_slot(&self, attempt: AttemptId) -> Slot {
        let color = self.live.as_ref().map_or(Color::Blue, |live| live.slot.color.other());
        Slot { color, cycle: self.cycle + 1, attempt }
    }

    /// Refuses a work set that contains what an audit refused, unchanged, under unchanged code.
    pub fn check_refusals(&self, work: &WorkSet, code: &Digest) -> Result<(), Refused> {
        let Some(refusal) = self.refused.as_ref().filter(|_| guard::stands(Guard::Refusals)) else { return Ok(()) };
        let wanted: BTreeSet<&Change> = work.changes.iter().collect();
        let same_content = refusal.changes.iter().all(|change| wanted.contains(change));
        if &refusal.code != code || !same_content || refusal.changes.is_empty() {
            return Ok(());
        }
        // What comes with it and is not newer, such as the order that a line lacked, may be the correction.
        let newest = refusal.changes.iter().map(|change| &change.partition).filter(|key| key.as_str() != "all").max();
        let refused: BTreeSet<&Change> = refusal.changes.iter().collect();
        if wanted.difference(&refused).any(|change| Some(&change.partition) <= newest) {
            return Ok(());
        }
        let partitions: BTreeSet<&PartitionKey> =
            refusal.changes.iter().map(|change| &change.partition).filter(|key| key.as_str() != "all").collect();
        Err(Refused::RefusedBefore {
            // A week or month that came with a day begins before it, and is seldom what is wrong.
            newest: partitions.last().map_or_else(PartitionKey::all, |newest| (*newest).clone()),
            partitions: crate::list_partitions(partitions.iter().copied()),
            attempt: refusal.attempt.clone(),
            reason: refusal.reason.clone(),
        })
    }

    /// Makes `building` the attempt that may commit, if the record is still the one that it was `planned` from.
    pub fn begin(mut self, planned: &Self, building: Building) -> Result<Self, Refused> {
        if &self != planned && guard::stands(Guard::PlannedRecord) {
            return Err(Refused::Moved);
        }
        self.building = Some(building);
        self.expired = None;
        Ok(self)
    }

    /// Whether `attempt` is the one that may commit.
    pub fn may_commit(&self, attempt: &AttemptId) -> bool {
        self.building.as_ref().is_some_and(|building| &building.slot.attempt == attempt)
    }

    /// Hands the attempt that may commit to another run, as that run found it: of several that find it left, one goes on.
    pub fn resume(mut self, found: &Building, run: &RunId) -> Result<Self, Refused> {
        match &mut self.building {
            Some(building) if building.slot == found.slot && (building.run == found.run || &building.run == run) => {
                run.clone_into(&mut building.run);
            }
            _ => return Err(Refused::Moved),
        }
        Ok(self)
    }

    /// Commits: from here on `live` is what readers shall see, and the slot before it is kept. What was committed
    /// already, by a call whose answer was lost, stays as it is.
    pub fn commit(mut self, attempt: &AttemptId, live: Live, keep_until: Timestamp) -> Result<Self, Refused> {
        if self.live.as_ref().is_some_and(|live| &live.slot.attempt == attempt) {
            return Ok(self);
        }
        match &self.building {
            Some(building) if &building.slot.attempt == attempt => {}
            _ if !guard::stands(Guard::AttemptClaim) => {}
            other => {
                return Err(Refused::NotBuilding { attempt: attempt.clone(), holder: describe(other.as_ref()) });
            }
        }
        if guard::stands(Guard::ViewList)
            && let Some(before) = &self.live
            && let Some(view) =
                before.views.keys().find(|view| !live.views.contains_key(*view) && !self.retired.contains(*view))
        {
            return Err(Refused::ViewMissing { view: view.clone() });
        }
        self.retired.retain(|view| !live.views.contains_key(view));
        self.rollback = None;
        self.cycle = live.slot.cycle;
        self.kept = self.live.take().map(|live| Kept { live, until: keep_until });
        self.live = Some(live);
        self.building = None;
        self.expired = None;
        self.refused = None;
        Ok(self)
    }

    /// Takes the right to commit from `attempt`, if it still has it.
    #[must_use]
    pub fn end(mut self, attempt: &AttemptId, reason: EndReason) -> Self {
        if self.may_commit(attempt) {
            let building = self.building.take();
            self.expired = building.map(|building| building.slot).filter(|_| reason == EndReason::Expired);
        }
        self
    }

    /// Remembers a refusal and ends the attempt. One that was overtaken has no say any more.
    #[must_use]
    pub fn refuse(self, refusal: Refusal) -> Self {
        if !self.may_commit(&refusal.attempt) {
            return self;
        }
        let mut next = self.end(&refusal.attempt, EndReason::Refused);
        next.refused = Some(refusal);
        next
    }

    /// Leaves `partition` as it is in later cycles. Holding twice keeps the first reason.
    #[must_use]
    pub fn hold(mut self, partition: PartitionKey, hold: Hold) -> Self {
        self.held.entry(partition).or_insert(hold);
        self
    }

    /// Lets later cycles take `partition` again.
    pub fn release(mut self, partition: &PartitionKey) -> Result<Self, Refused> {
        match self.held.remove(partition) {
            Some(_) => Ok(self),
            None => Err(Refused::NotHeld(partition.clone())),
        }
    }

    /// Lets later slots lack `view`. Retiring twice is retiring once.
    pub fn retire(mut self, view: &Identifier) -> Result<Self, Refused> {
        let is_live = self.live.as_ref().is_some_and(|live| live.views.contains_key(view));
        if !is_live && !self.retired.contains(view) {
            return Err(Refused::NotPublished(view.clone()));
        }
        self.retired.insert(view.clone());
        Ok(self)
    }
}

fn describe(building: Option<&Building>) -> String {
    building.map_or_else(
        || "it was ended and no other has begun".to_owned(),
        |building| format!("attempt {} of run {} has taken over", building.slot.attempt, building.run),
    )
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
