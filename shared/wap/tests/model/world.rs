//! The world that workers share: the objects of the store, the slots and views of the warehouse.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use wap::guard::{Guard, stands};
use wap::{
    ATTEMPT_VERSION, Attempt, Building, Deployment, Digest, LedgerEntry, LedgerStep, Live, RuleOutcome, RuleStatus,
    Slot, View, WorkSet, protocol,
};

use crate::domain::{self, DOMAIN, Shared, id, input_map, inputs_of, number, run_id, version_digest};
use crate::worker::{Program, Worker};

/// Views that readers use.
pub(crate) const VIEWS: usize = 2;
/// Partitions of the one table.
pub(crate) const PARTITIONS: usize = 2;
/// The second partition comes wrong first, and is corrected later.
pub(crate) const BAD: u8 = 1;
pub(crate) const CORRECTED: u8 = 2;

/// No decision depends on the time: it stands still.
pub(crate) const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// Which content of each partition: 0 is none.
pub(crate) type Versions = [u8; PARTITIONS];

/// What is in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Content {
    pub versions: Versions,
    pub is_built: bool,
    /// Writes that nobody waited for: a job that its caller had given up, or somebody with the right to write.
    pub strays: u8,
}

impl Content {
    pub(crate) fn fingerprint(self) -> Digest {
        Digest::of(format!("{self:?}"))
    }

    /// What its tests would find.
    pub(crate) fn is_clean(self) -> bool {
        self.is_built && self.versions[1] != BAD
    }

    pub(crate) fn rules(self) -> Vec<RuleOutcome> {
        let status = if self.is_clean() { RuleStatus::Passed } else { RuleStatus::Failed };
        vec![RuleOutcome {
            rule: "price".to_owned(),
            subject: "lines".to_owned(),
            status,
            failures: 0,
            detail: String::new(),
            value: None,
            sample: Vec::new(),
        }]
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Place {
    pub content: Content,
    pub is_sealed: bool,
    /// The attempt that made it.
    pub owner: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Lease {
    Alive,
    /// Older than the lease, or given up.
    Expired,
}

/// An attempt, with what only the model knows of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Try {
    pub attempt: Shared<Attempt>,
    pub lease: Lease,
    pub inputs: Versions,
    /// How many of the views its project has.
    pub views: usize,
    /// The record has named it.
    pub has_begun: bool,
    pub was_committed: bool,
    /// What the tests saw.
    pub tested: Option<Content>,
    /// Its fingerprint was checked for the last time.
    pub was_checked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Shown {
    pub attempt: u8,
    /// A view is made without the labels that say it is complete.
    pub is_labelled: bool,
}

/// How much may still go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    pub attempts: u8,
    pub runs: u8,
    pub crashes: u8,
    pub expiries: u8,
    /// Answers that are lost, requests that arrive late.
    pub losses: u8,
    /// Requests for a step that come twice.
    pub duplicates: u8,
    /// Writes into a sealed slot by somebody with the right to.
    pub meddles: u8,
    /// New content of the second partition.
    pub loads: u8,
    pub holds: u8,
    /// Views that the project loses.
    pub drops: u8,
}

impl fmt::Display for Budget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "attempts={} runs={}", self.attempts, self.runs)?;
        let faults = [
            ("crashes", self.crashes),
            ("expiries", self.expiries),
            ("losses", self.losses),
            ("duplicates", self.duplicates),
            ("meddles", self.meddles),
            ("loads", self.loads),
            ("holds", self.holds),
            ("drops", self.drops),
        ];
        for (name, bound) in faults.into_iter().filter(|(_, bound)| *bound > 0) {
            write!(formatter, " {name}={bound}")?;
        }
        Ok(())
    }
}

/// A rule of the protocol that was broken by the last step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Broken {
    CommitNotNamed,
    CycleSkipped,
    EarlierAttemptMovedView,
    ViewBeforeRecord,
    BegunBesideAnother,
    RefusedTriedAgain,
    HeldTaken,
    NameReused,
    AliveExpired,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub record: Shared<Deployment>,
    pub tries: Vec<Try>,
    pub places: Vec<Place>,
    pub views: [Option<Shown>; VIEWS],
    /// What `raw` holds.
    pub loaded: Versions,
    /// Jobs whose callers have given up: places that they will write.
    pub late: Vec<u8>,
    /// In order: who is who makes no difference.
    pub workers: Vec<Worker>,
    pub processes: u8,
    pub budget: Budget,
    pub broken: Option<Broken>,
}

/// What a run plans from what it has read.
pub(crate) struct Plan {
    pub versions: Versions,
    pub inputs: Digest,
    pub work: WorkSet,
}

impl World {
    /// One partition is loaded, nothing is published.
    pub(crate) fn new(workers: usize, budget: Budget) -> Self {
        Self {
            record: Deployment::default().into(),
            tries: Vec::new(),
            places: Vec::new(),
            views: [None; VIEWS],
            loaded: [1, 0],
            late: Vec::new(),
            workers: vec![Worker::default(); workers],
            processes: 0,
            budget,
            broken: None,
        }
    }

    /// The attempt whose slot is live.
    pub(crate) fn live(&self) -> Option<u8> {
        self.record.live.as_ref().map(|live| number(&live.slot.attempt))
    }

    /// The attempt that may commit.
    pub(crate) fn building(&self) -> Option<u8> {
        self.record.building.as_ref().map(|building| number(&building.slot.attempt))
    }

    pub(crate) fn slot(&self, attempt: u8) -> Slot {
        self.tries[usize::from(attempt)].attempt.slot.clone()
    }

    /// Where an attempt writes. Without the guard a slot's names are its colour's.
    pub(crate) fn place_of(&self, attempt: u8) -> usize {
        if stands(Guard::NamesOnce) {
            usize::from(attempt)
        } else {
            self.tries[usize::from(attempt)].attempt.slot.color as usize
        }
    }

    pub(crate) fn place(&mut self, attempt: u8) -> &mut Place {
        let place = self.place_of(attempt);
        &mut self.places[place]
    }

    pub(crate) fn content(&self, attempt: u8) -> Content {
        self.places[self.place_of(attempt)].content
    }

    /// Admission and work set, as the real functions say.
    pub(crate) fn plan(&self, record: &Deployment) -> Plan {
        let live_versions = record.live.as_ref().map(|live| self.tries[usize::from(number(&live.slot.attempt))].inputs);
        let live = live_versions.map(|versions| inputs_of(input_map(versions)));
        let ledger: Vec<LedgerEntry> = (0..PARTITIONS)
            .filter(|partition| self.loaded[*partition] > 0)
            .map(|partition| {
                let mut entry = LedgerEntry::new(DOMAIN.table.clone(), DOMAIN.partitions[partition].clone());
                let digest = version_digest(partition, self.loaded[partition]);
                entry.loaded = Some(LedgerStep { digest, rows: 1, bytes: 1, at: NOW });
                entry
            })
            .collect();
        let group = [[DOMAIN.table.clone()].into()];
        let live_map = live.as_ref().map(|live| live.partitions.clone()).unwrap_or_default();
        let admitted = wap::admit(&group, &ledger, &record.held, &live_map);
        let work = wap::plan(live.as_ref(), &admitted, &DOMAIN.models);
        let versions = std::array::from_fn(|partition| {
            let found = admitted.get(&DOMAIN.table).and_then(|found| found.get(&DOMAIN.partitions[partition]));
            (1..=CORRECTED).find(|version| Some(&version_digest(partition, *version)) == found).unwrap_or(0)
        });
        Plan { versions, inputs: Digest::of_json(&inputs_of(admitted)).unwrap(), work }
    }

    /// Stores a new attempt.
    pub(crate) fn create(&mut self, planned: &Deployment, plan: &Plan, process: u8) -> u8 {
        let number = u8::try_from(self.tries.len()).unwrap();
        let expired =
            planned.expired.as_ref().map(|slot| &self.tries[usize::from(domain::number(&slot.attempt))].attempt);
        let continues =
            expired.and_then(|expired| protocol::continued(planned, expired, &plan.inputs, &plan.work, &DOMAIN.code));
        let attempt = Attempt {
            version: ATTEMPT_VERSION,
            slot: planned.next_slot(id(number)),
            run: run_id(process),
            begun_at: NOW,
            inputs: plan.inputs.clone(),
            project: DOMAIN.code.clone(),
            work: plan.work.clone(),
            continues,
            steps: BTreeMap::new(),
            verdict: None,
            ended: None,
        };
        let color = attempt.slot.color as usize;
        self.tries.push(Try {
            attempt: attempt.into(),
            lease: Lease::Alive,
            inputs: plan.versions,
            views: if planned.cycle > 0 { VIEWS - usize::from(self.budget.drops) } else { VIEWS },
            has_begun: false,
            was_committed: false,
            tested: None,
            was_checked: false,
        });
        let place = if stands(Guard::NamesOnce) { usize::from(number) } else { color };
        if place < self.places.len() && self.places[place] != Place::default() {
            self.broken = Some(Broken::NameReused);
        }
        if place >= self.places.len() {
            self.places.resize(place + 1, Place::default());
        }
        self.places[place].owner = number;
        number
    }

    pub(crate) fn building_of(&self, attempt: u8, process: u8) -> Building {
        Building { slot: self.slot(attempt), run: run_id(process), since: NOW }
    }

    pub(crate) fn live_of(&self, attempt: u8) -> Live {
        let view = View { target: "mart.lines".to_owned(), digest: DOMAIN.code.clone() };
        let tried = &self.tries[usize::from(attempt)];
        Live {
            slot: tried.attempt.slot.clone(),
            views: DOMAIN.views[..tried.views].iter().map(|name| (name.clone(), view.clone())).collect(),
            inputs: tried.attempt.inputs.clone(),
            newest_partition: None,
            held: Vec::new(),
            published_at: NOW,
        }
    }

    /// Writes the record. Whoever has read it before will be told that it has changed.
    pub(crate) fn write_record(&mut self, next: Shared<Deployment>) {
        let (old, new) = (&self.record, &next);
        let has_published = new.live.as_ref().map(|live| &live.slot) != old.live.as_ref().map(|live| &live.slot);
        if new.cycle != old.cycle + u64::from(has_published) {
            self.broken = Some(Broken::CycleSkipped);
        }
        self.record = next;
        if stands(Guard::RecordCompareAndSet) {
            for worker in &mut self.workers {
                if let Program::RecordSet(_, next) = &mut worker.program {
                    *next = None;
                }
            }
        }
    }

    /// Writes an attempt, likewise.
    pub(crate) fn write_attempt(&mut self, attempt: u8, next: Shared<Attempt>) {
        self.tries[usize::from(attempt)].attempt = next;
        if stands(Guard::AttemptCompareAndSet) {
            for worker in &mut self.workers {
                worker.forget_attempt(attempt);
            }
        }
    }

    /// Moves a view. Whoever has read its etag before holds an old one.
    pub(crate) fn write_view(&mut self, view: usize, shown: Shown) {
        let newer = |tried: &Try| tried.has_begun && tried.attempt.slot.cycle > self.slot(shown.attempt).cycle;
        let moved = self.views[view].is_none_or(|before| before.attempt != shown.attempt);
        if moved && self.tries.iter().any(newer) {
            self.broken = Some(Broken::EarlierAttemptMovedView);
        }
        if !self.tries[usize::from(shown.attempt)].was_committed {
            self.broken = Some(Broken::ViewBeforeRecord);
        }
        self.views[view] = Some(shown);
        for worker in &mut self.workers {
            worker.fresh_views &= !(1 << view);
        }
    }

    /// A write that reaches a slot. A seal keeps it out.
    pub(crate) fn write_place(&mut self, place: usize, content: Content) -> bool {
        let place = &mut self.places[place];
        if place.is_sealed && stands(Guard::Seal) {
            return false;
        }
        place.content = content;
        true
    }
}
