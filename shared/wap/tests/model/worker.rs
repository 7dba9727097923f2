//! A worker: the program of a run, a call at a time, as the functions of the pipeline make them. What is decided between
//! two calls is decided by the real functions of the domain.

use wap::guard::{Guard, stands};
use wap::protocol::{self, AtWork, Next, Round};
use wap::{Attempt, Claim, Deployment, EndReason, Refusal, Verdict};

use crate::world::{Broken, Content, DOMAIN, Lease, NOW, Shared, Shown, Versions, World, id, number, run_id};

/// Steps that are claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Step {
    Prepare,
    Transform,
    Audit,
    Publish,
}

impl Step {
    pub(crate) const ALL: [Self; 4] = [Self::Prepare, Self::Transform, Self::Audit, Self::Publish];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Transform => "transform",
            Self::Audit => "audit",
            Self::Publish => "publish",
        }
    }
}

/// Why an attempt is ended; `EndReason`, in an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Why {
    Published,
    Refused,
    Expired,
    Superseded,
    Failed,
}

impl From<Why> for EndReason {
    fn from(why: Why) -> Self {
        match why {
            Why::Published => Self::Published,
            Why::Refused => Self::Refused,
            Why::Expired => Self::Expired,
            Why::Superseded => Self::Superseded,
            Why::Failed => Self::Failed,
        }
    }
}

impl From<EndReason> for Why {
    fn from(reason: EndReason) -> Self {
        match reason {
            EndReason::Published => Self::Published,
            EndReason::Refused => Self::Refused,
            EndReason::Expired => Self::Expired,
            EndReason::Superseded => Self::Superseded,
            EndReason::Failed => Self::Failed,
        }
    }
}

/// Where a worker goes on after something that it does in several places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Then {
    /// Look at the record again.
    Begin,
    /// Views are as the record says: plan.
    Plan,
    /// The attempt is over. The run begins another; a repeated request is answered.
    Over,
    /// The work of the step failed: give its claim back.
    GiveBack(Step),
    /// Views have been moved too early, and the record comes last: only without the guard.
    Commit,
    /// Give up the heartbeat, and stop.
    Release,
}

/// What is written to the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum RecordChange {
    Begin,
    Resume,
    Commit,
    Refuse,
    End(Why, Then),
}

/// What is written to an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum AttemptChange {
    Claim(Step),
    Finish(Step),
    GiveBack(Step),
    Judge { before: Content, tested: Content, after: Content },
    End(Why, Then),
}

/// The next call of a worker, with what it has read that the call depends on. A document to be written is `None` once
/// somebody else has written it: the compare-and-set will fail.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) enum Program {
    #[default]
    Idle,
    /// Begin: read the record, the attempt that it names, its heartbeat.
    ReadRecord,
    ReadAttempt,
    ReadLease(Shared<Attempt>),
    /// Read record and ledger, plan.
    Plan,
    Create(Versions),
    Beat,
    Record(RecordChange),
    RecordSet(RecordChange, Option<Shared<Deployment>>),
    Attempt(AttemptChange),
    AttemptSet(AttemptChange, Option<Shared<Attempt>>),
    /// Read the attempt and claim the step, or learn what it answered.
    Claim(Step),
    /// Somebody else is at the step: read the heartbeat.
    Wait(Step),
    /// The work of each step.
    Prepare,
    Transform,
    Seal,
    Test {
        before: Content,
    },
    Fingerprint {
        before: Content,
        tested: Content,
    },
    CheckVerdict,
    CheckFingerprint,
    /// Converge: read the record, the views, the record again; move views; read the record.
    Named(Then),
    ReadViews(u8, Then),
    NamedAgain {
        slot: u8,
        as_wanted: u8,
        absent: u8,
        then: Then,
    },
    Move {
        slot: u8,
        stale: u8,
        absent: u8,
        overtaken: bool,
        then: Then,
    },
    NamedLast {
        slot: u8,
        then: Then,
    },
    Release,
}

/// One process at work for one run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Worker {
    pub program: Program,
    pub process: u8,
    /// The attempt it works on.
    pub attempt: Option<u8>,
    /// The attempt that it found in the record, or that it is about to end.
    pub other: Option<u8>,
    /// The attempt that was left between two steps.
    pub left: Option<u8>,
    /// The record that it began from.
    pub seen: Option<Shared<Deployment>>,
    /// Only one step was asked of it.
    pub is_duplicate: bool,
    /// Views whose etag it knows.
    pub fresh_views: u8,
}

/// How a call ends for the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Answer {
    Arrives,
    /// Done, but nobody learns of it.
    Lost,
    /// Done, not learned of, and sent again: a compare-and-set then finds what it has written itself.
    SentAgain,
}

impl Worker {
    pub(crate) fn is_idle(&self) -> bool {
        self.program == Program::Idle
    }

    pub(crate) fn holder(&self) -> String {
        format!("process-{}", self.process)
    }

    /// Between the claim of a step and its outcome: somebody keeps the heartbeat.
    pub(crate) fn keeps_heartbeat(&self) -> bool {
        matches!(
            self.program,
            Program::Prepare
                | Program::Transform
                | Program::Seal
                | Program::Test { .. }
                | Program::Fingerprint { .. }
                | Program::CheckVerdict
                | Program::CheckFingerprint
                | Program::Record(RecordChange::Commit)
                | Program::RecordSet(RecordChange::Commit, _)
                | Program::Attempt(AttemptChange::Judge { .. })
                | Program::AttemptSet(AttemptChange::Judge { .. }, _)
        )
    }

    /// About to write into the slot of its attempt.
    pub(crate) fn is_writing(&self) -> bool {
        matches!(self.program, Program::Prepare | Program::Transform)
    }

    /// About to send something that changes the world, so that its answer matters.
    pub(crate) fn is_sending(&self) -> bool {
        self.is_setting() || self.is_writing() || matches!(self.program, Program::Seal | Program::Move { .. })
    }

    /// Asking for a step that it has not claimed yet.
    pub(crate) fn claims(&self, step: Step) -> bool {
        match self.program {
            Program::Claim(claimed) | Program::AttemptSet(AttemptChange::Claim(claimed), _) => claimed == step,
            _ => false,
        }
    }

    /// About to compare and set.
    pub(crate) fn is_setting(&self) -> bool {
        matches!(self.program, Program::RecordSet(..) | Program::AttemptSet(..))
    }

    pub(crate) fn forget_attempt(&mut self, attempt: u8) {
        let target = self.target();
        if let Program::AttemptSet(_, next) = &mut self.program
            && target == Some(attempt)
        {
            *next = None;
        }
    }

    /// The attempt that a change is about.
    fn target(&self) -> Option<u8> {
        match self.program {
            Program::Record(RecordChange::End(..))
            | Program::RecordSet(RecordChange::End(..), _)
            | Program::Attempt(AttemptChange::End(..))
            | Program::AttemptSet(AttemptChange::End(..), _) => self.other,
            _ => self.attempt,
        }
    }

    /// The attempt whose heartbeat it is about to read.
    pub(crate) fn waits_for(&self) -> Option<u8> {
        if matches!(self.program, Program::Wait(_)) { self.attempt } else { self.other }
    }

    /// Takes the answer to its write for lost.
    pub(crate) fn give_up(&mut self) {
        let step = if self.program == Program::Prepare { Step::Prepare } else { Step::Transform };
        self.go(Then::GiveBack(step));
    }

    /// Learns that its attempt is over.
    pub(crate) fn give_over(&mut self) {
        self.go(Then::Over);
    }

    fn stop(&mut self) {
        *self = Self::default();
    }

    fn go(&mut self, then: Then) {
        self.program = match then {
            Then::Begin => Program::ReadRecord,
            Then::Plan => Program::Plan,
            Then::Over => {
                if self.is_duplicate {
                    return self.stop();
                }
                self.attempt = None;
                Program::ReadRecord
            }
            Then::GiveBack(step) => Program::Attempt(AttemptChange::GiveBack(step)),
            Then::Commit => Program::Record(RecordChange::Commit),
            Then::Release => Program::Release,
        };
        self.other = None;
        if self.program == Program::ReadRecord {
            self.seen = None;
            self.left = None;
        }
    }

    /// Asks for the step after `step`, or is done.
    fn advance(&mut self, step: Step) {
        if self.is_duplicate {
            return self.stop();
        }
        self.program = Program::Claim(match step {
            Step::Prepare => Step::Transform,
            Step::Transform => Step::Audit,
            Step::Audit | Step::Publish => Step::Publish,
        });
    }

    fn end(&mut self, attempt: u8, why: Why, then: Then) {
        self.other = Some(attempt);
        self.program = Program::Record(RecordChange::End(why, then));
    }
}

/// Makes the next call of a worker.
pub(crate) fn call(world: &mut World, worker: &mut Worker, answer: Answer, view: usize) {
    match worker.program.clone() {
        Program::Idle => {}
        Program::ReadRecord => read_record(world, worker),
        Program::ReadAttempt => {
            let found = worker.other.map(|other| world.tries[usize::from(other)].attempt.clone());
            worker.program = found.map_or(Program::ReadRecord, Program::ReadLease);
        }
        Program::ReadLease(attempt) => read_lease(world, worker, &attempt),
        Program::Plan => plan(world, worker),
        Program::Create(_) => create(world, worker),
        Program::Beat => {
            if let Some(attempt) = worker.attempt {
                world.tries[usize::from(attempt)].lease = Lease::Alive;
            }
            worker.program = Program::Record(RecordChange::Resume);
        }
        Program::Record(change) => decide_record(world, worker, change),
        Program::RecordSet(change, next) => set_record(world, worker, change, next, answer),
        Program::Attempt(change) => decide_attempt(world, worker, change),
        Program::AttemptSet(change, next) => set_attempt(world, worker, change, next, answer),
        Program::Claim(step) => claim(world, worker, step),
        Program::Wait(step) => wait(world, worker, step),
        Program::Named(then) => match named(world, worker, then) {
            Some(slot) => worker.program = Program::ReadViews(slot, then),
            None => worker.go(then),
        },
        Program::ReadViews(..) | Program::NamedAgain { .. } | Program::Move { .. } | Program::NamedLast { .. } => {
            converge(world, worker, answer, view);
        }
        Program::Release => {
            if let Some(attempt) = worker.attempt {
                world.tries[usize::from(attempt)].lease = Lease::Expired;
            }
            worker.stop();
        }
        _ => work(world, worker, answer),
    }
}

fn read_record(world: &World, worker: &mut Worker) {
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
fn is_alive(world: &mut World, attempt: u8) -> bool {
    let is_alive = world.tries[usize::from(attempt)].lease == Lease::Alive;
    if is_alive && !stands(Guard::StoreClock) {
        return false;
    }
    is_alive
}

fn read_lease(world: &mut World, worker: &mut Worker, attempt: &Shared<Attempt>) {
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

fn plan(world: &mut World, worker: &mut Worker) {
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

fn create(world: &mut World, worker: &mut Worker) {
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

fn decide_record(world: &World, worker: &mut Worker, change: RecordChange) {
    let record = Deployment::clone(&world.record);
    let attempt = worker.target().unwrap_or_default();
    let next = match change {
        RecordChange::Begin => {
            let building = world.building_of(attempt, worker.process);
            record.begin(worker.seen.as_deref().unwrap_or(&world.record), building)
        }
        RecordChange::Resume => record.resume(&id(attempt), &run_id(worker.process)),
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
        RecordChange::End(..) => Ok(record.end(&id(attempt))),
    };
    match (next, change) {
        (Ok(next), _) if next == *world.record => record_is_set(world, worker, change),
        (Ok(next), _) => worker.program = Program::RecordSet(change, Some(next.into())),
        (Err(_), RecordChange::Begin) => worker.end(attempt, Why::Superseded, Then::Over),
        (Err(_), RecordChange::Commit) => worker.go(Then::GiveBack(Step::Publish)),
        (Err(_), _) => worker.go(Then::Over),
    }
}

fn set_record(
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
        (Answer::Arrives, _) => record_is_set(world, worker, change),
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

fn record_is_set(_world: &World, worker: &mut Worker, change: RecordChange) {
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

fn decide_attempt(world: &World, worker: &mut Worker, change: AttemptChange) {
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
        (None, AttemptChange::Finish(_)) => lose_claim(attempt, worker),
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

fn set_attempt(
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
                worker.stop()
            } else {
                worker.program = Program::Claim(step)
            }
        }
        AttemptChange::Judge { .. } => worker.program = Program::Attempt(AttemptChange::Finish(Step::Audit)),
        AttemptChange::End(_, then) => worker.go(then),
    }
}

fn claim(world: &mut World, worker: &mut Worker, step: Step) {
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

fn wait(world: &mut World, worker: &mut Worker, step: Step) {
    let Some(number) = worker.attempt else { return worker.stop() };
    if is_alive(world, number) {
        worker.program = Program::Claim(step);
        return;
    }
    if world.tries[usize::from(number)].lease == Lease::Alive {
        world.broken = Some(Broken::AliveExpired);
    }
    if stands(Guard::ClaimNotTaken) {
        return worker.end(number, Why::Expired, Then::Over);
    }
    let attempt = world.tries[usize::from(number)].attempt.clone();
    let holder = attempt.running().map(|(_, running)| running.holder.clone()).unwrap_or_default();
    if let Some(free) = attempt.give_back(step.name(), &holder) {
        world.write_attempt(number, free.into());
    }
    worker.program = Program::Claim(step);
}

/// What the steps do between their claim and their outcome.
fn work(world: &mut World, worker: &mut Worker, answer: Answer) {
    let Some(number) = worker.attempt else { return worker.stop() };
    let place = world.place_of(number);
    let (done, step) = match worker.program.clone() {
        Program::Prepare => {
            let is_done = world.write_place(place, Content::default());
            if is_done {
                world.places[place].is_sealed = false;
            }
            (is_done.then_some(Program::Attempt(AttemptChange::Finish(Step::Prepare))), Step::Prepare)
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

/// The slot that views shall show.
fn named(world: &World, worker: &Worker, then: Then) -> Option<u8> {
    if then == Then::Commit { worker.attempt } else { world.live() }
}

fn converge(world: &mut World, worker: &mut Worker, answer: Answer, view: usize) {
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
