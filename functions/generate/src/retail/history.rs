//! Small tables: some rows at the start, then a few changes a day, whatever the scale.
//!
//! They are few, so a history is folded from the start, and the log of a day, the state as of an instant and the choice
//! of what the next change is about all read the one result. A new table is a [`State`] and what happens to it.

use arrow::array::RecordBatch;

use super::{
    calendar::{Day, Days},
    cells::{Cell, Cells},
    change::{Change, LANES, Operation},
    columns::LogColumns,
    random::{Random, scale},
    table::Table,
};
use crate::Error;

/// A late version holds from at most this long before it became visible (in microseconds).
pub(super) const MOST_LATE: i64 = 3 * 24 * 3_600_000_000;

/// Updates told late, in a hundred.
const LATE: u32 = 20;

/// What a row says from one change to the next.
pub(super) trait State: Copy {
    /// The change log.
    const TABLE: &'static Table;

    /// The values of the table's own columns for the row with this number, counted from 0.
    fn cells(&self, row: u32) -> impl IntoIterator<Item = Cell>;
}

/// A state of a row and the change that led to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Version<S> {
    pub(super) row: u32,
    pub(super) state: S,
    /// From when on it holds, in microseconds since 1970 (UTC).
    pub(super) valid_from: i64,
    pub(super) change: Change,
    ordinal: u32,
    /// The row's version before.
    before: Option<u32>,
}

impl<S> Version<S> {
    pub(super) fn is_deleted(&self) -> bool {
        self.change.operation == Operation::Delete
    }
}

/// All versions of all rows of a table, in the order of the log. Within a row that is also the order of validity.
#[derive(Debug)]
pub(super) struct History<S> {
    versions: Vec<Version<S>>,
    /// Each row's newest version.
    newest: Vec<u32>,
    /// When the log first told of each row; rising.
    told: Vec<i64>,
}

/// A point in the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment<'a> {
    pub(super) ordinal: u32,
    pub(super) day: &'a Day,
    /// Microseconds into the day.
    pub(super) offset: i64,
}

impl Moment<'_> {
    /// Microseconds since 1970 (UTC).
    pub(super) fn instant(&self) -> i64 {
        self.day.begin + self.offset
    }
}

/// What happens to a table.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step<S> {
    Insert(S),
    /// A new state, which may have held for some time before it was told.
    Update(u32, S),
    /// A new state that is told at once.
    Prompt(u32, S),
    Delete(u32),
    Nothing,
}

/// How often something happens to a table, in a hundred days.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace(pub(super) u32);

impl Pace {
    /// The moments of a day at which something happens, each with bits of its own, in order.
    pub(super) fn moments(
        self,
        random: Random,
        days: &Days,
        ordinal: u32,
    ) -> impl Iterator<Item = (Moment<'_>, Random)> {
        let today = random.split(u64::from(ordinal));
        let day = days.get(ordinal);
        // Half to one and a half times the pace on most days.
        let expected = self.0 / 2 + scale(today.high(), self.0 + 1);
        let events = expected / 100 + u32::from(scale(today.low(), 100) < expected % 100);
        let slots = day.slots(events);
        (0..events).map(move |event| {
            let random = today.split(u64::from(event));
            (Moment { ordinal, day, offset: slots.early(event, random.split(0)) }, random.split(1))
        })
    }
}

impl<S: State> History<S> {
    /// The rows that are there from the first instant on.
    pub(super) fn founded(days: &Days, states: impl IntoIterator<Item = S>) -> Self {
        Self::founded_after(0, days, states)
    }

    /// The same, told after what they refer to: these microseconds later.
    pub(super) fn founded_after(delay: i64, days: &Days, states: impl IntoIterator<Item = S>) -> Self {
        let day = days.get(0);
        let mut history = Self { versions: Vec::new(), newest: Vec::new(), told: Vec::new() };
        for (row, state) in (0..).zip(states) {
            // They hold from the first instant on, and are told as fast as the log can tell them apart.
            let moment = Moment { ordinal: 0, day, offset: delay + i64::from(row / LANES) };
            history.append(row, moment, state, day.begin, Operation::Insert);
        }
        history
    }

    /// Lets things happen on every day but the first.
    pub(super) fn unfold(
        mut self,
        random: Random,
        days: &Days,
        pace: Pace,
        step: impl Fn(&Self, Moment<'_>, Random) -> Step<S>,
    ) -> Self {
        for ordinal in 1..=days.last() {
            for (moment, random) in pace.moments(random, days, ordinal) {
                let next = step(&self, moment, random.split(0));
                self.take(next, moment, random.split(1));
            }
        }
        self
    }

    /// Applies a step.
    pub(super) fn take(&mut self, step: Step<S>, moment: Moment<'_>, random: Random) {
        match step {
            Step::Insert(state) => {
                self.insert(moment, state);
            }
            Step::Update(row, state) if scale(random.high(), 100) < LATE => {
                self.update(moment, row, state, moment.instant() - random.split(0).below(MOST_LATE));
            }
            Step::Update(row, state) | Step::Prompt(row, state) => self.update(moment, row, state, moment.instant()),
            Step::Delete(row) => self.delete(moment, row),
            Step::Nothing => {}
        }
    }

    /// Adds a row, and says which. Moments come in the order of time, here and below.
    pub(super) fn insert(&mut self, moment: Moment<'_>, state: S) -> u32 {
        let row = self.rows();
        self.append(row, moment, state, moment.instant(), Operation::Insert);
        row
    }

    /// Gives a row a new state that holds from an instant on, but never before the present one does: the order of
    /// validity stays the order of the log.
    pub(super) fn update(&mut self, moment: Moment<'_>, row: u32, state: S, valid_from: i64) {
        let valid_from = valid_from.max(self.newest(row).valid_from + 1);
        self.append(row, moment, state, valid_from, Operation::Update);
    }

    /// Deletes a row; its last state stays in the log.
    pub(super) fn delete(&mut self, moment: Moment<'_>, row: u32) {
        let state = self.newest(row).state;
        self.append(row, moment, state, moment.instant(), Operation::Delete);
    }

    fn append(&mut self, row: u32, moment: Moment<'_>, state: S, valid_from: i64, operation: Operation) {
        let lane = match self.versions.last() {
            Some(last) if last.change.changed_at == moment.instant() => last.change.lane_number() + 1,
            _ => 0,
        };
        let change = Change::new(moment.ordinal, moment.day, moment.offset, lane, operation);
        let place = u32::try_from(self.versions.len()).unwrap_or(u32::MAX);
        let before = self.newest.get_mut(row as usize).map(|newest| std::mem::replace(newest, place));
        if before.is_none() {
            self.newest.push(place);
            self.told.push(change.changed_at);
        }
        // A row that was made or changed at this very instant can't hold from any earlier one.
        let valid_from =
            before.map_or(valid_from, |before| valid_from.max(self.versions[before as usize].valid_from + 1));
        self.versions.push(Version { row, state, valid_from, change, ordinal: moment.ordinal, before });
    }

    /// How many rows the log told of by an instant. A finished history goes beyond the day that it is asked about, and
    /// nothing that happens may depend on how far.
    pub(super) fn rows_by(&self, instant: i64) -> u32 {
        u32::try_from(self.told.partition_point(|&told| told <= instant)).unwrap_or(u32::MAX)
    }

    /// How many rows there are so far.
    pub(super) fn rows(&self) -> u32 {
        u32::try_from(self.newest.len()).unwrap_or(u32::MAX)
    }

    /// A row's last version.
    pub(super) fn newest(&self, row: u32) -> &Version<S> {
        &self.versions[self.newest[row as usize] as usize]
    }

    /// A row's versions, the newest first.
    pub(super) fn versions(&self, row: u32) -> impl Iterator<Item = &Version<S>> {
        let newest = self.newest.get(row as usize).map(|&place| &self.versions[place as usize]);
        std::iter::successors(newest, |version| version.before.map(|place| &self.versions[place as usize]))
    }

    /// The state that holds at an instant, if there is one.
    pub(super) fn at(&self, row: u32, instant: i64) -> Option<&S> {
        let version = self.versions(row).find(|version| version.valid_from <= instant)?;
        (!version.is_deleted()).then_some(&version.state)
    }

    /// The state that the log tells of by an instant, if there is one.
    pub(super) fn known(&self, row: u32, instant: i64) -> Option<&S> {
        let version = self.versions(row).find(|version| version.change.changed_at <= instant)?;
        (!version.is_deleted()).then_some(&version.state)
    }

    /// One of the rows that are there now and that something may happen to, all alike.
    pub(super) fn any(&self, random: Random, may: impl Fn(u32, &S) -> bool) -> Option<u32> {
        let mut bits = random;
        (0..ATTEMPTS).find_map(|_| {
            let row = scale(bits.high(), self.rows());
            bits = bits.split(0);
            let newest = self.newest(row);
            (!newest.is_deleted() && may(row, &newest.state)).then_some(row)
        })
    }

    /// What a day's log tells.
    pub(super) fn of_day(&self, ordinal: u32) -> &[Version<S>] {
        let from = self.versions.partition_point(|version| version.ordinal < ordinal);
        let to = self.versions.partition_point(|version| version.ordinal <= ordinal);
        &self.versions[from..to]
    }

    /// The log rows of a day.
    ///
    /// # Errors
    /// `Internal` when the batch can't be assembled.
    pub(super) fn batch(&self, ordinal: u32) -> Result<RecordBatch, Error> {
        let today = self.of_day(ordinal);
        let mut cells = Cells::new(S::TABLE, today.len());
        let mut log = LogColumns::with_valid_from(today.len());
        for version in today {
            cells.push(version.state.cells(version.row));
            log.push_valid_from(version.change, version.valid_from);
        }
        S::TABLE.batch(cells.finish().chain(log.finish()).collect())
    }
}

const ATTEMPTS: u32 = 16;
