//! Steps: claimed, done, answered.

use wap::guard::{Guard, stands};
use wap::{Attempt, Claim, Verdict, may_be_taken_over};

use crate::begin::is_alive;
use crate::domain;
use crate::worker::{Answer, AttemptChange, Program, RecordChange, Step, Then, Why, Worker};
use crate::world::{Broken, Content, Lease, NOW, World};

pub(crate) fn claim(world: &mut World, worker: &mut Worker, step: Step) {
    let Some(number) = worker.attempt else { return worker.stop() };
    let tried = &mut world.tries[usize::from(number)];
    match tried.attempt.claim(step.name(), &worker.holder(), NOW) {
        Claim::Done(_) => match step {
            Step::Publish => worker.program = Program::Named(Then::Release),
            Step::Audit => settle(&tried.attempt.clone(), worker, number),
            _ => worker.advance(step),
        },
        Claim::Over(_) => worker.go(Then::Over),
        Claim::Take(next) => {
            // The heartbeat comes first: a claim without one would look expired.
            tried.lease = Lease::Alive;
            worker.program = Program::AttemptSet(AttemptChange::Claim(step), Some(Attempt::into(*next)));
        }
        Claim::Wait { .. } => worker.program = Program::Wait(step),
    }
}

/// A refusal is remembered, each time the audit is asked for, until it is.
fn settle(attempt: &Attempt, worker: &mut Worker, number: u8) {
    let Some(verdict) = &attempt.verdict else { return worker.go(Then::Over) };
    if verdict.passed().is_some() {
        worker.advance(Step::Audit);
    } else if attempt.ended.is_some() {
        worker.program = Program::Release;
    } else if verdict.was_disturbed() {
        worker.end(number, Why::Failed, Then::Release);
    } else {
        worker.program = Program::Record(RecordChange::Refuse);
    }
}

pub(crate) fn wait(world: &mut World, worker: &mut Worker, step: Step) {
    let Some(number) = worker.attempt else { return worker.stop() };
    if is_alive(world, number) {
        worker.program = Program::Claim(step);
        return;
    }
    if world.tries[usize::from(number)].lease == Lease::Alive {
        world.broken = Some(Broken::AliveExpired);
    }
    let attempt = world.tries[usize::from(number)].attempt.clone();
    let running = attempt.running().map(|(name, running)| (name, running.holder.as_str()));
    if stands(Guard::ClaimNotTaken) && running.is_none_or(|(name, _)| !may_be_taken_over(name)) {
        return worker.end(number, Why::Expired, Then::Over);
    }
    if let Some(free) = running.and_then(|(name, holder)| attempt.give_back(name, holder)) {
        world.write_attempt(number, free.into());
    }
    worker.program = Program::Claim(step);
}

/// What the steps do between their claim and their outcome.
pub(crate) fn work(world: &mut World, worker: &mut Worker, answer: Answer) {
    let Some(number) = worker.attempt else { return worker.stop() };
    let place = world.place_of(number);
    let (done, step) = match worker.program.clone() {
        Program::Prepare => {
            let adopted = adopted(world, number);
            let content = adopted.map(|from| world.content(from)).unwrap_or_default();
            let is_done = world.write_place(place, content);
            if is_done {
                world.places[place].is_sealed = false;
            }
            let change = adopted.map_or(AttemptChange::Finish(Step::Prepare), AttemptChange::Adopt);
            (is_done.then_some(Program::Attempt(change)), Step::Prepare)
        }
        Program::Transform => {
            let versions = if stands(Guard::Pin) { world.tries[usize::from(number)].inputs } else { world.loaded };
            let content = Content { versions, is_built: true, strays: world.places[place].content.strays };
            let is_done = world.write_place(place, content);
            (is_done.then_some(Program::Attempt(AttemptChange::Finish(Step::Transform))), Step::Transform)
        }
        Program::Seal => {
            world.places[place].is_sealed = true;
            (Some(Program::Test { before: world.places[place].content }), Step::Audit)
        }
        Program::Test { before } => {
            (Some(Program::Fingerprint { before, tested: world.places[place].content }), Step::Audit)
        }
        Program::Fingerprint { before, tested } => {
            let judge = AttemptChange::Judge { before, tested, after: world.places[place].content };
            (Some(Program::Attempt(judge)), Step::Audit)
        }
        Program::CheckVerdict => (check_verdict(world, number), Step::Publish),
        Program::CheckFingerprint => return check_fingerprint(world, worker, number),
        _ => return,
    };
    match done {
        Some(next) if answer == Answer::Arrives => worker.program = next,
        _ => worker.go(Then::GiveBack(step)),
    }
}

/// The attempt whose finished work is put into the slot of this one.
fn adopted(world: &World, attempt: u8) -> Option<u8> {
    let from = domain::number(&world.tries[usize::from(attempt)].attempt.continues.as_ref()?.attempt);
    let other = &world.tries[usize::from(from)].attempt;
    (other.finished([Step::Transform.name()]) == 1).then_some(from)
}

fn check_verdict(world: &World, number: u8) -> Option<Program> {
    let attempt = &world.tries[usize::from(number)].attempt;
    attempt.verdict.as_ref().and_then(Verdict::passed)?;
    if world.live() == Some(number) {
        return Some(Program::Attempt(AttemptChange::Finish(Step::Publish)));
    }
    Some(Program::CheckFingerprint)
}

fn check_fingerprint(world: &mut World, worker: &mut Worker, number: u8) {
    let found = world.content(number).fingerprint();
    let tried = &mut world.tries[usize::from(number)];
    let Some(passed) = tried.attempt.verdict.as_ref().and_then(Verdict::passed) else { return };
    if !passed.covers(&found) {
        return worker.end(number, Why::Failed, Then::Release);
    }
    tried.was_checked = true;
    worker.program = if stands(Guard::RecordBeforeViews) {
        Program::Record(RecordChange::Commit)
    } else {
        Program::Named(Then::Commit)
    };
}
