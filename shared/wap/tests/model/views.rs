//! Converge: views follow the record, one by one.

use wap::guard::{Guard, stands};
use wap::protocol::{self, Round};

use crate::worker::{Answer, AttemptChange, Program, Then, Why, Worker};
use crate::world::{Shown, World};

/// The slot that views shall show.
pub(crate) fn named(world: &World, worker: &Worker, then: Then) -> Option<u8> {
    if then == Then::Commit { worker.attempt } else { world.live() }
}

pub(crate) fn converge(world: &mut World, worker: &mut Worker, answer: Answer, view: usize) {
    match worker.program.clone() {
        Program::ReadViews(slot, then) => {
            let bits = |is: &dyn Fn(Option<Shown>) -> bool| {
                (0..wanted(world, slot)).filter(|view| is(world.views[*view])).fold(0, |bits, view| bits | (1 << view))
            };
            let as_wanted = bits(&|shown| shown.is_some_and(|shown| shown.attempt == slot && shown.is_labelled));
            let absent = bits(&|shown| shown.is_none());
            worker.fresh_views = (1 << wanted(world, slot)) - 1;
            worker.program = Program::NamedAgain { slot, as_wanted, absent, then };
        }
        Program::NamedAgain { slot, as_wanted, absent, then } => {
            let Some(again) = named(world, worker, then) else { return worker.go(then) };
            let views = (0..wanted(world, slot)).map(|view| as_wanted & (1 << view) != 0);
            worker.program = match protocol::round(&world.slot(slot), &world.slot(again), views) {
                Round::Again => Program::Named(then),
                Round::Move(stale) if stale.is_empty() => Program::NamedLast { slot, then },
                Round::Move(stale) => {
                    let stale = stale.into_iter().fold(0, |bits, view| bits | (1 << view));
                    Program::Move { slot, stale, absent: absent & stale, overtaken: false, then }
                }
            };
        }
        Program::Move { slot, mut stale, mut absent, mut overtaken, then } => {
            let bit = 1 << view;
            if absent & bit != 0 {
                absent &= !bit;
                if world.views[view].is_none() {
                    world.write_view(view, Shown { attempt: slot, is_labelled: false });
                    worker.fresh_views |= bit;
                } else {
                    overtaken = true;
                    stale &= !bit;
                }
            } else {
                stale &= !bit;
                if worker.fresh_views & bit != 0 || !stands(Guard::ViewMatch) {
                    world.write_view(view, Shown { attempt: slot, is_labelled: true });
                } else {
                    overtaken = true;
                }
            }
            worker.program = match (answer, stale, overtaken) {
                (Answer::Lost, ..) if worker.is_duplicate => return worker.stop(),
                (Answer::Lost, ..) if then == Then::Plan => return worker.go(Then::Begin),
                (Answer::Lost, ..) | (_, 0, true) => Program::Named(then),
                (_, 0, false) => Program::NamedLast { slot, then },
                _ => Program::Move { slot, stale, absent, overtaken, then },
            };
        }
        Program::NamedLast { slot, then } => {
            let Some(last) = named(world, worker, then) else { return worker.go(then) };
            if !protocol::is_settled(&world.slot(slot), &world.slot(last)) {
                worker.program = Program::Named(then);
            } else if then == Then::Commit {
                worker.go(then);
            } else {
                finish_publish(world, worker, slot, then);
            }
        }
        _ => {}
    }
    if !matches!(worker.program, Program::NamedAgain { .. } | Program::Move { .. }) {
        worker.fresh_views = 0;
    }
}

/// Views that the slot's publication has.
fn wanted(world: &World, slot: u8) -> usize {
    world.tries[usize::from(slot)].views
}

/// Closes the attempt that is live, whoever published it.
fn finish_publish(world: &World, worker: &mut Worker, slot: u8, then: Then) {
    if world.tries[usize::from(slot)].attempt.ended.is_some() {
        return worker.go(then);
    }
    worker.other = Some(slot);
    worker.program = Program::Attempt(AttemptChange::End(Why::Published, then));
}
