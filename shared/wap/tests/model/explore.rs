//! The model: which steps are possible in a world, and what must hold in all of them.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;

use stateright::{Model, Property};
use wap::guard::{Guard, without};
use wap::{EndReason, Hold};

use crate::domain::DOMAIN;
use crate::rerun;
use crate::worker::{Answer, Program, Step, Then, Worker, call};
use crate::world::{Broken, Budget, CORRECTED, Lease, NOW, Try, VIEWS, World};

/// Workers in a world where a bounded number of things goes wrong, without the guards in `removed`.
#[derive(Debug)]
pub(crate) struct Protocol {
    pub workers: usize,
    pub budget: Budget,
    pub removed: Vec<Guard>,
    /// Worlds from which a re-run is known to converge.
    converging: Mutex<HashSet<u64>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Start(usize),
    /// A request for a step of an attempt comes a second time, to another process.
    Duplicate(usize, u8, Step),
    Call(usize, Answer),
    MoveView(usize, usize, Answer),
    /// The worker gives up waiting; what it asked for is done later.
    GiveUp(usize),
    KeepHeartbeat(usize),
    Crash(usize),
    Expire(u8),
    Land(usize),
    Meddle(u8),
    Load,
    Hold,
}

impl Protocol {
    pub(crate) fn new(workers: usize, budget: Budget, removed: &[Guard]) -> Self {
        Self { workers, budget, removed: removed.to_vec(), converging: Mutex::default() }
    }

    fn converges(&self, world: &World) -> bool {
        let mut hasher = DefaultHasher::new();
        (&world.record, &world.tries, &world.places, &world.views, world.loaded).hash(&mut hasher);
        let digest = hasher.finish();
        if self.converging.lock().unwrap().contains(&digest) {
            return true;
        }
        let converges = without(&self.removed, || rerun::converges(world));
        if converges {
            self.converging.lock().unwrap().insert(digest);
        }
        converges
    }
}

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self.workers, self.budget)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.broken.is_some() {
            return;
        }
        for (index, worker) in world.workers.iter().enumerate() {
            // Workers that are in the same state are interchangeable.
            if index > 0 && &world.workers[index - 1] == worker {
                continue;
            }
            if worker.is_idle() {
                start(world, index, actions);
            } else {
                proceed(world, index, worker, actions);
            }
        }
        environment(world, actions);
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut world = before.clone();
        without(&self.removed, || apply(&mut world, action));
        world.workers.sort();
        world.late.sort_unstable();
        (&world != before).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("readers see what passed its audit, as audited", |model: &Self, world: &World| {
                without(&model.removed, || shows_what_was_audited(world))
            }),
            Property::always("what is live is what its inputs say", |model: &Self, world: &World| {
                without(&model.removed, || {
                    let inputs = |live: u8| world.tries[usize::from(live)].inputs;
                    world.live().is_none_or(|live| world.content(live).versions == inputs(live))
                })
            }),
            Property::always("no view is missing", |_, world: &World| {
                !is_ended(world, EndReason::Published) || world.views.iter().all(Option::is_some)
            }),
            Property::always("no view is left behind", |_, world: &World| {
                let live = world.record.live.as_ref().map_or(VIEWS, |live| live.views.len());
                world.views[live.min(VIEWS)..].iter().all(Option::is_none)
            }),
            Property::always("a slot has one writer", |model: &Self, world: &World| {
                without(&model.removed, || has_one_writer(world))
            }),
            Property::always("only the attempt that the record names commits", |_, world: &World| {
                world.broken != Some(Broken::CommitNotNamed)
            }),
            Property::always("cycles count up by one", |_, world: &World| world.broken != Some(Broken::CycleSkipped)),
            Property::always("after begin no earlier attempt moves a view", |_, world: &World| {
                world.broken != Some(Broken::EarlierAttemptMovedView)
            }),
            Property::always("views show only what was committed", |_, world: &World| {
                world.broken != Some(Broken::ViewBeforeRecord)
            }),
            Property::always("one attempt at a time", |_, world: &World| {
                world.broken != Some(Broken::BegunBesideAnother)
            }),
            Property::always("what was refused is not tried again unchanged", |_, world: &World| {
                world.broken != Some(Broken::RefusedTriedAgain)
            }),
            Property::always("a held partition stays", |_, world: &World| world.broken != Some(Broken::HeldTaken)),
            Property::always("names are never used again", |_, world: &World| world.broken != Some(Broken::NameReused)),
            Property::always("whoever is alive is not taken for dead", |_, world: &World| {
                world.broken != Some(Broken::AliveExpired)
            }),
            Property::always("a re-run converges", |model: &Self, world: &World| {
                world.broken.is_some() || model.converges(world)
            }),
            Property::sometimes("published", |_, world: &World| world.record.cycle > 0),
            Property::sometimes("published twice", |_, world: &World| world.record.cycle > 1),
            Property::sometimes("refused", |_, world| is_ended(world, EndReason::Refused)),
            Property::sometimes("overtaken", |_, world| is_ended(world, EndReason::Superseded)),
            Property::sometimes("expired", |_, world| is_ended(world, EndReason::Expired)),
            Property::sometimes("resumed", |_, world: &World| {
                world.record.building.as_ref().is_some_and(|building| {
                    world
                        .tries
                        .iter()
                        .any(|tried| tried.attempt.slot == building.slot && tried.attempt.run != building.run)
                })
            }),
            Property::sometimes("gone on with", |_, world: &World| {
                let steps =
                    |tried: &Try| tried.attempt.continues.is_some() && tried.attempt.finished(["transform"]) == 1;
                world.tries.iter().any(steps)
            }),
            Property::sometimes(
                "mixed views seen",
                |_, world: &World| matches!(world.views, [Some(one), Some(other)] if one.attempt != other.attempt),
            ),
        ]
    }
}

fn shows_what_was_audited(world: &World) -> bool {
    world.views.iter().flatten().all(|shown| {
        let content = world.content(shown.attempt);
        content.is_clean() && world.tries[usize::from(shown.attempt)].tested == Some(content)
    })
}

fn has_one_writer(world: &World) -> bool {
    let writers = world.workers.iter().filter(|worker| worker.is_writing());
    let mut places: Vec<_> =
        writers.filter_map(|worker| worker.attempt).map(|attempt| world.place_of(attempt)).collect();
    places.sort_unstable();
    places.windows(2).all(|pair| pair[0] != pair[1])
}

fn is_ended(world: &World, reason: EndReason) -> bool {
    world.tries.iter().any(|tried| tried.attempt.ended.as_ref().is_some_and(|ended| ended.reason == reason))
}

fn start(world: &World, index: usize, actions: &mut Vec<Action>) {
    if world.budget.runs > 0 {
        actions.push(Action::Start(index));
    }
    if world.budget.duplicates == 0 {
        return;
    }
    for attempt in world.building().into_iter().chain(world.live()) {
        let steps = &world.tries[usize::from(attempt)].attempt.steps;
        let is_sent = |step: &Step| {
            steps.contains_key(step.name())
                || world.workers.iter().any(|worker| worker.attempt == Some(attempt) && worker.claims(*step))
        };
        let sent = Step::ALL.into_iter().filter(is_sent);
        actions.extend(sent.map(|step| Action::Duplicate(index, attempt, step)));
    }
}

fn proceed(world: &World, index: usize, worker: &Worker, actions: &mut Vec<Action>) {
    let can_lose = world.budget.losses > 0 && worker.is_sending();
    if let Program::Move { stale, .. } = worker.program {
        for view in (0..VIEWS).filter(|view| stale & (1 << view) != 0) {
            actions.push(Action::MoveView(index, view, Answer::Arrives));
            if can_lose {
                actions.push(Action::MoveView(index, view, Answer::Lost));
            }
        }
    } else {
        actions.push(Action::Call(index, Answer::Arrives));
        if can_lose {
            actions.push(Action::Call(index, Answer::Lost));
        }
        if can_lose && worker.is_setting() {
            actions.push(Action::Call(index, Answer::SentAgain));
        }
        if can_lose && worker.is_writing() {
            actions.push(Action::GiveUp(index));
        }
    }
    if let Some(tried) = worker.attempt.map(|attempt| &world.tries[usize::from(attempt)])
        && worker.keeps_heartbeat()
        && (tried.lease == Lease::Expired || tried.attempt.ended.is_some())
    {
        actions.push(Action::KeepHeartbeat(index));
    }
    if world.budget.crashes > 0 {
        actions.push(Action::Crash(index));
    }
}

/// Clocks, jobs, people.
fn environment(world: &World, actions: &mut Vec<Action>) {
    let budget = &world.budget;
    if let Some(attempt) = world.building() {
        let tried = &world.tries[usize::from(attempt)];
        if budget.expiries > 0 && tried.lease == Lease::Alive && tried.attempt.ended.is_none() {
            actions.push(Action::Expire(attempt));
        }
        if budget.meddles > 0 && can_meddle(world, attempt, tried) {
            actions.push(Action::Meddle(attempt));
        }
    }
    actions.extend((0..world.late.len()).map(Action::Land));
    if budget.loads > 0 && world.loaded[1] < CORRECTED {
        actions.push(Action::Load);
    }
    if budget.holds > 0 && world.record.refused.is_some() {
        actions.push(Action::Hold);
    }
}

/// Fingerprints are the guard against somebody with the right to write; after the last one only the seal is.
fn can_meddle(world: &World, attempt: u8, tried: &Try) -> bool {
    world.places.get(usize::from(attempt)).is_some_and(|place| place.is_sealed) && !tried.was_checked
}

fn apply(world: &mut World, action: Action) {
    match action {
        Action::Start(index) => {
            world.budget.runs -= 1;
            world.processes += 1;
            world.workers[index] =
                Worker { program: Program::ReadRecord, process: world.processes, ..Worker::default() };
        }
        Action::Duplicate(index, attempt, step) => {
            world.budget.duplicates -= 1;
            world.processes += 1;
            world.workers[index] = Worker {
                program: Program::Claim(step),
                process: world.processes,
                attempt: Some(attempt),
                is_duplicate: true,
                ..Worker::default()
            };
        }
        Action::Call(index, answer) => advance(world, index, answer, 0),
        Action::MoveView(index, view, answer) => advance(world, index, answer, view),
        Action::GiveUp(index) => {
            world.budget.losses -= 1;
            if let Some(attempt) = world.workers[index].attempt {
                let place = world.place_of(attempt);
                world.late.push(u8::try_from(place).unwrap());
            }
            world.workers[index].give_up();
        }
        Action::KeepHeartbeat(index) => {
            if let Some(attempt) = world.workers[index].attempt {
                let tried = &mut world.tries[usize::from(attempt)];
                if tried.attempt.ended.is_some() {
                    world.workers[index].go(Then::Over);
                } else {
                    tried.lease = Lease::Alive;
                }
            }
        }
        Action::Crash(index) => {
            world.budget.crashes -= 1;
            world.workers[index] = Worker::default();
        }
        Action::Expire(attempt) => {
            world.budget.expiries -= 1;
            world.tries[usize::from(attempt)].lease = Lease::Expired;
        }
        Action::Land(index) => {
            let place = usize::from(world.late.remove(index));
            let mut content = world.places[place].content;
            content.strays += 1;
            world.write_place(place, content);
        }
        Action::Meddle(attempt) => {
            world.budget.meddles -= 1;
            world.place(attempt).content.strays += 1;
        }
        Action::Load => {
            world.budget.loads -= 1;
            world.loaded[1] += 1;
        }
        Action::Hold => {
            world.budget.holds -= 1;
            hold(world);
        }
    }
}

/// An operator goes on without the second partition.
pub(crate) fn hold(world: &mut World) {
    let hold = Hold { reason: String::new(), since: NOW, rolled_back: None };
    let next = wap::Deployment::clone(&world.record).hold(DOMAIN.partitions[1].clone(), hold);
    if next != *world.record {
        world.write_record(next.into());
    }
}

fn advance(world: &mut World, index: usize, answer: Answer, view: usize) {
    if answer != Answer::Arrives {
        world.budget.losses -= 1;
    }
    let mut worker = world.workers[index].clone();
    call(world, &mut worker, answer, view);
    world.workers[index] = worker;
}
