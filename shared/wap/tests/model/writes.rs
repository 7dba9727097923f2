//! Changes of the record and of attempts: read, decide, compare and set.

use wap::{Attempt, Deployment, Refusal, Refused, Verdict};

use crate::domain::{DOMAIN, Shared, id, number, run_id};
use crate::worker::{Answer, AttemptChange, Program, RecordChange, Step, Then, Why, Worker};
use crate::world::{Broken, NOW, World};

pub(crate) fn decide_record(world: &World, worker: &mut Worker, change: RecordChange) {
    let record = Deployment::clone(&world.record);
    let attempt = worker.target().unwrap_or_default();
    let next = match change {
        RecordChange::Begin => {
            let building = world.building_of(attempt, worker.process);
            record.begin(worker.seen.as_deref().unwrap_or(&world.record), building)
        }
        RecordChange::Resume => {
            let found = worker.seen.as_deref().unwrap_or(&world.record).building.as_ref();
            found.map_or(Err(Refused::Moved), |found| record.resume(found, &run_id(worker.process)))
        }
        RecordChange::Commit => record.commit(&id(attempt), world.live_of(attempt), NOW),
        RecordChange::Refuse => {
            let tried = &world.tries[usize::from(attempt)].attempt;
            Ok(record.refuse(Refusal {
                attempt: id(attempt),
                changes: tried.work.changes.clone(),
                code: DOMAIN.code.clone(),
                reason: String::new(),
                at: NOW,
            }))
        }
        RecordChange::End(why, _) => Ok(record.end(&id(attempt), why.into())),
    };
    match (next, change) {
        (Ok(next), _) if next == *world.record => record_is_set(worker, change),
        (Ok(next), _) => worker.program = Program::RecordSet(change, Some(next.into())),
        (Err(_), RecordChange::Begin) => worker.end(attempt, Why::Superseded, Then::Over),
        (Err(_), RecordChange::Resume) => worker.go(Then::Begin),
        (Err(_), RecordChange::Commit) => worker.go(Then::GiveBack(Step::Publish)),
        (Err(_), _) => worker.go(Then::Over),
    }
}

pub(crate) fn set_record(
    world: &mut World,
    worker: &mut Worker,
    change: RecordChange,
    next: Option<Shared<Deployment>>,
    answer: Answer,
) {
    let attempt = worker.target().unwrap_or_default();
    let Some(next) = next else {
        worker.program = Program::Record(change);
        return;
    };
    match change {
        RecordChange::Begin => check_begin(world, attempt),
        RecordChange::Commit => {
            if world.building() != Some(attempt) {
                world.broken = Some(Broken::CommitNotNamed);
            }
            world.tries[usize::from(attempt)].was_committed = true;
        }
        _ => {}
    }
    world.write_record(next);
    match (answer, change) {
        (Answer::Arrives, _) => record_is_set(worker, change),
        (Answer::SentAgain, _) => worker.program = Program::Record(change),
        (Answer::Lost, RecordChange::Begin) => worker.end(attempt, Why::Superseded, Then::Over),
        (Answer::Lost, RecordChange::Resume) => worker.go(Then::Over),
        (Answer::Lost, RecordChange::Commit) => worker.go(Then::GiveBack(Step::Publish)),
        (Answer::Lost, RecordChange::Refuse) => worker.program = Program::Claim(Step::Audit),
        (Answer::Lost, RecordChange::End(_, then)) => worker.go(then),
    }
}

/// What no attempt may be when it begins.
fn check_begin(world: &mut World, attempt: u8) {
    let tried = world.tries[usize::from(attempt)].clone();
    let live = world.live().map(|live| world.tries[usize::from(live)].inputs).unwrap_or_default();
    let refused = world.record.refused.as_ref().map(|refusal| number(&refusal.attempt));
    if world.building().is_some() {
        world.broken = Some(Broken::BegunBesideAnother);
    }
    if world.record.held.contains_key(&DOMAIN.partitions[1]) && tried.inputs[1] != live[1] {
        world.broken = Some(Broken::HeldTaken);
    }
    if refused.is_some_and(|refused| world.tries[usize::from(refused)].inputs == tried.inputs) {
        world.broken = Some(Broken::RefusedTriedAgain);
    }
    world.tries[usize::from(attempt)].has_begun = true;
}

fn record_is_set(worker: &mut Worker, change: RecordChange) {
    worker.program = match change {
        RecordChange::Begin | RecordChange::Resume => {
            worker.seen = None;
            worker.other = None;
            worker.left = None;
            Program::Claim(Step::Prepare)
        }
        RecordChange::Commit => Program::Attempt(AttemptChange::Finish(Step::Publish)),
        RecordChange::Refuse => {
            worker.other = worker.attempt;
            Program::Attempt(AttemptChange::End(Why::Refused, Then::Release))
        }
        RecordChange::End(why, then) => Program::Attempt(AttemptChange::End(why, then)),
    };
}

pub(crate) fn decide_attempt(world: &World, worker: &mut Worker, change: AttemptChange) {
    let target = worker.target().unwrap_or_default();
    let attempt = &world.tries[usize::from(target)].attempt;
    let holder = worker.holder();
    let next = match change {
        AttemptChange::Claim(step) => {
            worker.program = Program::Claim(step);
            return;
        }
        AttemptChange::Finish(step) => attempt.finish(step.name(), &holder, serde_json::Value::Null, NOW),
        AttemptChange::GiveBack(step) => attempt.give_back(step.name(), &holder),
        AttemptChange::Adopt(from) => {
            attempt.adopt(&world.tries[usize::from(from)].attempt, &[Step::Transform.name().to_owned()])
        }
        AttemptChange::Judge { before, tested, after } => {
            let slot = attempt.slot.clone();
            let verdict = Verdict::new(&slot, before.fingerprint(), after.fingerprint(), tested.rules(), Vec::new());
            attempt.judge(verdict)
        }
        AttemptChange::End(why, _) => attempt.ended.is_none().then(|| attempt.end(why.into(), String::new(), NOW)),
    };
    match (next, change) {
        (Some(next), _) => worker.program = Program::AttemptSet(change, Some(next.into())),
        // The attempt is over, or the claim was lost.
        (None, AttemptChange::Finish(_) | AttemptChange::Adopt(_)) => lose_claim(attempt, worker),
        (None, _) => attempt_is_set(worker, change),
    }
}

/// A worker that finds its claim gone: the run begins another attempt if this one is over, and fails otherwise.
fn lose_claim(attempt: &Attempt, worker: &mut Worker) {
    if attempt.ended.is_some() || worker.is_duplicate {
        return worker.go(Then::Over);
    }
    if let Some(attempt) = worker.attempt {
        worker.end(attempt, Why::Failed, Then::Release);
    }
}

pub(crate) fn set_attempt(
    world: &mut World,
    worker: &mut Worker,
    change: AttemptChange,
    next: Option<Shared<Attempt>>,
    answer: Answer,
) {
    let target = worker.target().unwrap_or_default();
    let Some(next) = next else {
        worker.program = Program::Attempt(change);
        return;
    };
    if let AttemptChange::Judge { tested, .. } = change {
        world.tries[usize::from(target)].tested = Some(tested);
    }
    world.write_attempt(target, next);
    match (answer, change) {
        (Answer::Arrives, _) => attempt_is_set(worker, change),
        (Answer::SentAgain, _) => worker.program = Program::Attempt(change),
        (Answer::Lost, AttemptChange::Claim(step) | AttemptChange::Finish(step) | AttemptChange::GiveBack(step)) => {
            worker.program = Program::Claim(step);
        }
        (Answer::Lost, AttemptChange::Judge { .. }) => worker.go(Then::GiveBack(Step::Audit)),
        (Answer::Lost, AttemptChange::Adopt(_)) => worker.go(Then::GiveBack(Step::Prepare)),
        (Answer::Lost, AttemptChange::End(_, then)) => worker.go(then),
    }
}

fn attempt_is_set(worker: &mut Worker, change: AttemptChange) {
    match change {
        AttemptChange::Claim(step) => {
            worker.program = match step {
                Step::Prepare => Program::Prepare,
                Step::Transform => Program::Transform,
                Step::Audit => Program::Seal,
                Step::Publish => Program::CheckVerdict,
            }
        }
        // The outcome is recorded, and the answer of the step is what the next request of it would be told.
        AttemptChange::Finish(step @ (Step::Audit | Step::Publish)) => worker.program = Program::Claim(step),
        AttemptChange::Finish(step) => worker.advance(step),
        AttemptChange::GiveBack(step) => {
            if worker.is_duplicate {
                worker.stop();
            } else {
                worker.program = Program::Claim(step);
            }
        }
        AttemptChange::Judge { .. } => worker.program = Program::Attempt(AttemptChange::Finish(Step::Audit)),
        AttemptChange::Adopt(_) => worker.program = Program::Attempt(AttemptChange::Finish(Step::Prepare)),
        AttemptChange::End(_, then) => worker.go(then),
    }
}
