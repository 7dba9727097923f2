//! One attempt at a cycle: its claims, its outcomes, its verdict.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::guard::{self, Guard};
use crate::record::Refused;
use crate::slot::Slot;
use crate::verdict::Verdict;
use crate::work::WorkSet;
use crate::{AttemptId, Digest, RunId};

/// The format version of [`Attempt`].
pub const ATTEMPT_VERSION: u32 = 2;

/// Whether a step whose claim ran out is simply done by somebody else. Publishing is: it writes no slot, and commits by one
/// compare-and-set, so whoever only slept finds it done. All others write, and their expiry ends the attempt.
pub fn may_be_taken_over(step: &str) -> bool {
    step == "publish"
}

/// What is known of an attempt. Stored at [`Attempt::key`], changed by compare-and-set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    pub version: u32,
    pub slot: Slot,
    pub run: RunId,
    pub begun_at: Timestamp,
    /// Digest of the stored inputs.
    pub inputs: Digest,
    /// Digest of the dbt project's files, so that a step notices when they change under it.
    pub project: Digest,
    pub work: WorkSet,
    /// The slot of an expired attempt with the same work, whose finished layers this one may take over.
    #[serde(default)]
    pub continues: Option<Slot>,
    /// Claimed steps by name: `prepare`, `transform.clean` ...
    pub steps: BTreeMap<String, Step>,
    pub verdict: Option<Verdict>,
    pub ended: Option<Ended>,
}

/// A step that somebody has claimed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The process that does it.
    pub holder: String,
    pub claimed_at: Timestamp,
    /// What the step answered, once it is done.
    pub outcome: Option<serde_json::Value>,
    pub finished_at: Option<Timestamp>,
}

/// Why and when an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ended {
    pub reason: EndReason,
    pub detail: String,
    pub at: Timestamp,
}

/// The ways in which an attempt ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    Published,
    Refused,
    /// A step's claim ran out: whoever held it may be dead or asleep.
    Expired,
    /// Another run took its place.
    Superseded,
    Failed,
}

/// What a caller who wants to do a step finds.
#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    /// Nobody has it: the attempt to store, after which the step is the caller's.
    Take(Box<Attempt>),
    /// Somebody is at `step`, this one or another: wait for the outcome or for the claim to expire.
    Wait { step: String, holder: String },
    /// It was done before.
    Done(serde_json::Value),
    /// The attempt is over.
    Over(Ended),
}

impl Attempt {
    /// Where the attempt is stored.
    pub fn key(id: &AttemptId) -> String {
        format!("attempts/{id}.json")
    }

    /// Where its heartbeat is.
    pub fn lease_key(id: &AttemptId) -> String {
        format!("attempts/{id}/lease")
    }

    /// Where its inputs are.
    pub fn inputs_key(id: &AttemptId) -> String {
        format!("inputs/{id}.json")
    }

    /// The id.
    pub fn id(&self) -> &AttemptId {
        &self.slot.attempt
    }

    /// What `holder` may do about `step`.
    pub fn claim(&self, step: &str, holder: &str, now: Timestamp) -> Claim {
        if let Some(done) = self.steps.get(step).and_then(|step| step.outcome.clone()) {
            return Claim::Done(done);
        }
        if let Some(ended) = &self.ended {
            return Claim::Over(ended.clone());
        }
        if let Some(running) = self.running().filter(|_| guard::stands(Guard::StepClaim)) {
            return Claim::Wait { step: running.0.to_owned(), holder: running.1.holder.clone() };
        }
        let mut next = self.clone();
        next.steps.insert(
            step.to_owned(),
            Step { holder: holder.to_owned(), claimed_at: now, outcome: None, finished_at: None },
        );
        Claim::Take(Box::new(next))
    }

    /// Refuses a step before those that it builds on are done: on the copy of what is live it would find nothing amiss.
    pub fn check_done(&self, before: impl IntoIterator<Item = String>) -> Result<(), Refused> {
        let is_done = |step: &str| self.steps.get(step).is_some_and(|step| step.outcome.is_some());
        match before.into_iter().find(|step| !is_done(step)) {
            None => Ok(()),
            Some(step) => Err(Refused::TooEarly { attempt: self.id().clone(), step }),
        }
    }

    /// How many of `steps`, from the first on, are done.
    pub fn finished<'a>(&self, steps: impl IntoIterator<Item = &'a str>) -> usize {
        let is_done = |step: &&str| self.steps.get(*step).is_some_and(|step| step.outcome.is_some());
        steps.into_iter().take_while(is_done).count()
    }

    /// Takes over `steps` of another attempt, whose results were put into the slot of this one. `None` if this attempt
    /// is over.
    pub fn adopt(&self, other: &Self, steps: &[String]) -> Option<Self> {
        let mut next = self.clone();
        let done = steps.iter().filter_map(|step| Some((step.clone(), other.steps.get(step)?.clone())));
        next.steps.extend(done);
        self.ended.is_none().then_some(next)
    }

    /// The step that somebody has claimed and not finished: at most one, for a slot has one writer.
    pub fn running(&self) -> Option<(&str, &Step)> {
        self.steps.iter().find(|(_, step)| step.outcome.is_none()).map(|(name, step)| (name.as_str(), step))
    }

    /// Records what `step` answered, if `holder` still has it.
    pub fn finish(&self, step: &str, holder: &str, outcome: serde_json::Value, now: Timestamp) -> Option<Self> {
        let mut next = self.clone();
        let claimed = next.steps.get_mut(step)?;
        if self.ended.is_some() || claimed.holder != holder || claimed.outcome.is_some() {
            return None;
        }
        claimed.outcome = Some(outcome);
        claimed.finished_at = Some(now);
        Some(next)
    }

    /// Gives a claim back, so that a step that failed can be tried again. `None` if `holder` has it no more.
    pub fn give_back(&self, step: &str, holder: &str) -> Option<Self> {
        let is_mine = self.steps.get(step).is_some_and(|step| step.outcome.is_none() && step.holder == holder);
        (is_mine && self.ended.is_none()).then(|| {
            let mut next = self.clone();
            next.steps.remove(step);
            next
        })
    }

    /// Records what the audit found, unless the attempt is over.
    pub fn judge(&self, verdict: Verdict) -> Option<Self> {
        self.ended.is_none().then(|| Self { verdict: Some(verdict), ..self.clone() })
    }

    /// Ends the attempt; the first reason stays.
    #[must_use]
    pub fn end(&self, reason: EndReason, detail: impl Into<String>, now: Timestamp) -> Self {
        let mut next = self.clone();
        next.ended.get_or_insert(Ended { reason, detail: detail.into(), at: now });
        next
    }
}
