//! After whatever went wrong: one run that nobody disturbs puts everything right.

use wap::EndReason;

use crate::explore::hold;
use crate::worker::{Answer, Program, Worker, call};
use crate::world::{BAD, Budget, Lease, VIEWS, World};

/// A run takes some sixty calls, and a few times that if it ends an attempt or two first.
const CALLS: usize = 1000;

/// Whether a run from here on publishes all that is good, and every view shows it. What an audit refuses is held first,
/// as the message of the refusal says.
pub(crate) fn converges(world: &World) -> bool {
    let mut world = world.clone();
    world.workers.clear();
    world.late.clear();
    world.budget = Budget { attempts: u8::MAX, ..world.budget };
    let failed = failures(&world);
    if !run(&mut world) {
        return false;
    }
    // Somebody had written into the slot that was left: the run says so and fails, and the next one begins anew.
    if failures(&world) > failed && !run(&mut world) {
        return false;
    }
    if world.record.refused.is_some() {
        hold(&mut world);
        if !run(&mut world) {
            return false;
        }
    }
    let Some(live) = world.live() else { return false };
    let is_held = !world.record.held.is_empty();
    let inputs = world.tries[usize::from(live)].inputs;
    let views = world.tries[usize::from(live)].views;
    let content = world.content(live);
    world.broken.is_none()
        && inputs[0] == world.loaded[0]
        && (is_held || inputs[1] == world.loaded[1])
        && inputs[1] != BAD
        && content.is_clean()
        && world.tries[usize::from(live)].tested == Some(content)
        && world.building().is_none()
        && views <= VIEWS
        && world.views[..views]
            .iter()
            .all(|shown| shown.is_some_and(|shown| shown.attempt == live && shown.is_labelled))
}

fn failures(world: &World) -> usize {
    let ended = world.tries.iter().filter_map(|tried| tried.attempt.ended.as_ref());
    ended.filter(|ended| ended.reason == EndReason::Failed).count()
}

fn run(world: &mut World) -> bool {
    world.processes += 1;
    let mut worker = Worker { program: Program::ReadRecord, process: world.processes, ..Worker::default() };
    for _ in 0..CALLS {
        if worker.is_idle() {
            return true;
        }
        // Nobody else is left: whatever it waits for runs out.
        if matches!(worker.program, Program::ReadLease(_) | Program::Wait(_))
            && let Some(waited) = worker.waits_for()
        {
            world.tries[usize::from(waited)].lease = Lease::Expired;
        }
        let view = if let Program::Move { stale, .. } = worker.program { stale.trailing_zeros() as usize } else { 0 };
        call(world, &mut worker, Answer::Arrives, view);
    }
    false
}
