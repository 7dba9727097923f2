//! Begin: what is there, what is to do, a new attempt.

use wap::Attempt;
use wap::guard::{Guard, stands};
use wap::protocol::{self, AtWork, Next};

use crate::domain::{DOMAIN, Shared, run_id};
use crate::worker::{Program, RecordChange, Then, Why, Worker};
use crate::world::{Broken, Lease, World};

pub(crate) fn read_record(world: &World, worker: &mut Worker) {
    worker.seen = Some(world.record.clone());
    worker.other = world.building();
    worker.program = match worker.other {
        Some(_) if stands(Guard::OldAttemptEnds) => Program::ReadAttempt,
        _ => to_plan(world),
    };
}

fn to_plan(world: &World) -> Program {
    let is_recovered = world.record.live.is_none() || !stands(Guard::RecoveryFirst);
    if is_recovered { Program::Plan } else { Program::Named(Then::Plan) }
}

/// Whether the heartbeat is young enough; without the guard a clock that is wrong says.
pub(crate) fn is_alive(world: &mut World, attempt: u8) -> bool {
    let is_alive = world.tries[usize::from(attempt)].lease == Lease::Alive;
    if is_alive && !stands(Guard::StoreClock) {
        return false;
    }
    is_alive
}

pub(crate) fn read_lease(world: &mut World, worker: &mut Worker, attempt: &Shared<Attempt>) {
    let (Some(other), Some(seen)) = (worker.other, worker.seen.clone()) else { return worker.go(Then::Begin) };
    let Some(building) = &seen.building else { return worker.go(Then::Begin) };
    let is_alive = is_alive(world, other);
    match protocol::at_work(building, attempt, is_alive, &run_id(worker.process)) {
        AtWork::Mine => {
            worker.attempt = Some(other);
            worker.program = Program::Beat;
        }
        AtWork::Other => worker.go(Then::Begin),
        AtWork::Ended(ended) => worker.end(other, ended.reason.into(), Then::Begin),
        AtWork::Expired => {
            if world.tries[usize::from(other)].lease == Lease::Alive && !stands(Guard::StoreClock) {
                world.broken = Some(Broken::AliveExpired);
            }
            worker.end(other, Why::Expired, Then::Begin);
        }
        AtWork::Left => {
            worker.left = Some(other);
            worker.program = to_plan(world);
        }
    }
}

pub(crate) fn plan(world: &mut World, worker: &mut Worker) {
    let Some(seen) = worker.seen.clone() else { return worker.go(Then::Begin) };
    if world.record != seen {
        return worker.go(Then::Begin);
    }
    let plan = world.plan(&seen);
    let left = worker.left;
    let attempt = left.map(|left| world.tries[usize::from(left)].attempt.clone());
    match protocol::next(&seen, attempt.as_deref(), &plan.inputs, &plan.work, &DOMAIN.code) {
        Err(_) | Ok(Next::Nothing) => worker.stop(),
        Ok(Next::Resume) => {
            worker.attempt = left;
            worker.program = Program::Beat;
        }
        Ok(Next::Supersede) => worker.end(left.unwrap_or_default(), Why::Superseded, Then::Begin),
        Ok(Next::Start) => worker.program = Program::Create(plan.versions),
    }
}

pub(crate) fn create(world: &mut World, worker: &mut Worker) {
    let Some(seen) = worker.seen.clone() else { return worker.go(Then::Begin) };
    if world.tries.len() >= usize::from(world.budget.attempts) {
        return worker.stop();
    }
    // Planned from the record that was seen; what was loaded since is not in it.
    let Program::Create(versions) = worker.program else { return };
    let loaded = std::mem::replace(&mut world.loaded, versions);
    let plan = world.plan(&seen);
    world.loaded = loaded;
    worker.attempt = Some(world.create(&seen, &plan, worker.process));
    worker.program = Program::Record(RecordChange::Begin);
}
