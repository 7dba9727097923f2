//! A worker: the program of a run, a call at a time, as the functions of the pipeline make them. What is decided between
//! two calls is decided by the real functions of the domain.

use wap::{Attempt, Deployment, EndReason};

use crate::begin::{create, plan, read_lease, read_record};
use crate::domain::Shared;
use crate::steps::{claim, wait, work};
use crate::views::{converge, named};
use crate::world::{Content, Lease, Versions, World};
use crate::writes::{decide_attempt, decide_record, set_attempt, set_record};

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
    /// The layers of another attempt are in its slot.
    Adopt(u8),
    Judge {
        before: Content,
        tested: Content,
        after: Content,
    },
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
                | Program::Attempt(AttemptChange::Judge { .. } | AttemptChange::Adopt(_))
                | Program::AttemptSet(AttemptChange::Judge { .. } | AttemptChange::Adopt(_), _)
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
    pub(crate) fn target(&self) -> Option<u8> {
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

    pub(crate) fn stop(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn go(&mut self, then: Then) {
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
    pub(crate) fn advance(&mut self, step: Step) {
        if self.is_duplicate {
            return self.stop();
        }
        self.program = Program::Claim(match step {
            Step::Prepare => Step::Transform,
            Step::Transform => Step::Audit,
            Step::Audit | Step::Publish => Step::Publish,
        });
    }

    pub(crate) fn end(&mut self, attempt: u8, why: Why, then: Then) {
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
