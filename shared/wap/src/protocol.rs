//! What is decided between two calls to the world: pure functions of what was read. The functions of the pipeline ask
//! them and act; the model in `tests/model` asks them in every order that crashes, delays and races can bring about.

use crate::guard::{self, Guard};
use crate::record::{Building, Deployment, Refused};
use crate::{Attempt, Digest, Ended, RunId, Slot, WorkSet, may_be_taken_over};

/// What a run that wants to begin finds of the attempt that the record names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AtWork {
    /// This run began it: the request came twice.
    Mine,
    /// Somebody is at it. Wait.
    Other,
    /// It is over, and the record does not say so yet: end it again.
    Ended(Ended),
    /// Its holder is gone in the middle of a step, and may only be asleep: end it.
    Expired,
    /// It was left between two steps, or in one that may be taken over, and can be gone on with if it is still wanted.
    Left,
}

/// Judges the attempt that the record names. `is_alive`: its heartbeat is younger than the lease.
pub fn at_work(building: &Building, attempt: &Attempt, is_alive: bool, run: &RunId) -> AtWork {
    if let Some(ended) = &attempt.ended {
        return AtWork::Ended(ended.clone());
    }
    match (is_alive, attempt.running()) {
        (true, _) if &building.run == run => AtWork::Mine,
        (true, _) => AtWork::Other,
        (false, Some((step, _))) if !may_be_taken_over(step) && guard::stands(Guard::ClaimNotTaken) => AtWork::Expired,
        (false, _) => AtWork::Left,
    }
}

/// What a run does once it has planned and nobody is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Go on with the attempt that was left.
    Resume,
    /// End the attempt that was left: there is something newer to publish. Then look again.
    Supersede,
    /// Nothing differs from what is live.
    Nothing,
    /// Begin a new attempt.
    Start,
}

/// Decides that, from the record and the plan that was made of it. `left`: the attempt that the record names, if one
/// can be gone on with.
pub fn next(
    planned: &Deployment,
    left: Option<&Attempt>,
    inputs: &Digest,
    work: &WorkSet,
    code: &Digest,
) -> Result<Next, Refused> {
    if let Some(left) = left {
        let is_wanted = &left.inputs == inputs || !guard::stands(Guard::StillWanted);
        return Ok(if is_wanted { Next::Resume } else { Next::Supersede });
    }
    if work.is_empty() {
        return Ok(Next::Nothing);
    }
    planned.check_refusals(work, code)?;
    Ok(Next::Start)
}

/// The slot whose finished layers a new attempt may take over: that of the attempt which expired last, or the one which
/// that had begun to take over itself. The layers must be what this attempt would build: from the same inputs, by the same
/// code, on what is live now.
pub fn continued(
    record: &Deployment,
    expired: &Attempt,
    inputs: &Digest,
    work: &WorkSet,
    code: &Digest,
) -> Option<Slot> {
    let is_same = &expired.inputs == inputs && &expired.work == work && &expired.project == code;
    let is_on_live = expired.slot.cycle == record.cycle + 1;
    if !(is_same && is_on_live) && guard::stands(Guard::SameWork) {
        return None;
    }
    if expired.finished(["prepare"]) == 1 { Some(expired.slot.clone()) } else { expired.continues.clone() }
}

/// What a publisher does with views that are moved one by one, each by a compare-and-set on its own etag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Round {
    /// The record names another slot by now: read everything again.
    Again,
    /// Move these, by position, each only if it is as it was read.
    Move(Vec<usize>),
}

/// Decides that. `named` is the slot that the record named before the views were read, `named_after` after that: a
/// publisher who is late then either sees the newer slot, or holds etags that the newer publisher will make invalid.
pub fn round(named: &Slot, named_after: &Slot, is_as_wanted: impl IntoIterator<Item = bool>) -> Round {
    if named != named_after && guard::stands(Guard::RecordReread) {
        return Round::Again;
    }
    let stale = is_as_wanted.into_iter().enumerate().filter(|(_, is_as_wanted)| !is_as_wanted);
    Round::Move(stale.map(|(position, _)| position).collect())
}

/// Whether the views are done, once those of a round were moved and nobody else had moved one: the record still names
/// their slot.
pub fn is_settled(named: &Slot, named_last: &Slot) -> bool {
    named == named_last || !guard::stands(Guard::RecordReread)
}

#[cfg(test)]
#[path = "protocol_tests.rs"]
mod tests;
