//! What becomes of a purchase, and on which days the source is told.

use super::{
    calendar::Days,
    random::{Random, share},
};

/// A partition tells nothing of purchases more days old than this.
pub const OLDEST: u32 = 30;

/// Shares of purchases: late; and, one excluding the other: told twice, moved, cancelled, returned.
const LATE: u32 = share(1_000);
const REPEATED: u32 = share(500);
const MOVED: u32 = share(700);
const CANCELLED: u32 = share(800);
const RETURNED: u32 = share(4_800);

const MOST_DELAY: u32 = 3;
/// Later than the latest first delivery, so that a return never precedes its purchase.
const FIRST_RETURN: u32 = MOST_DELAY + 1;
/// A day less than the oldest: a return that falls on a day on which the shops are closed comes a day later.
const LAST_RETURN: u32 = OLDEST - 1;

/// The furthest that a purchase is booked from its own day.
pub(super) const MOST_MOVED: u32 = 2;

/// What becomes of a purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fate {
    /// Days from the purchase until it becomes visible.
    delay: u32,
    outcome: Outcome,
}

/// What happens to it afterwards, at an age in days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Kept,
    /// Told again.
    Repeated {
        age: u32,
    },
    /// Booked on another date.
    Moved {
        age: u32,
        by: i32,
    },
    /// Withdrawn.
    Cancelled {
        age: u32,
    },
    /// Brought back.
    Returned {
        age: u32,
    },
}

/// One piece of news about a purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The purchase itself.
    First,
    /// The same once more.
    Again,
    /// The purchase, booked on a date this many days later, at that date's prices, promotions and taxes.
    Moved {
        /// Days, negative for an earlier date.
        by: i32,
    },
    /// The purchase is withdrawn.
    Cancelled,
    /// A transaction of its own that returns some of the purchase, at what was paid.
    Return,
}

impl Fate {
    /// Whether a purchase is told of once, on its day: true of most, and known from its bits alone.
    #[inline]
    pub(super) fn is_plain(bits: Random) -> bool {
        bits.low() >= LATE && bits.high() >= RETURNED
    }

    /// The first purchase of a day is on time and kept, so that no partition is empty but those of closed days.
    pub(super) fn new(bits: Random, days: &Days, day: u32, index: u32) -> Self {
        if index == 0 || Self::is_plain(bits) {
            return Self { delay: 0, outcome: Outcome::Kept };
        }
        let (low, high) = (bits.low(), bits.high());
        let delay = match if low < LATE { 1 + low % MOST_DELAY } else { 0 } {
            MOST_DELAY if days.is_closed(day + MOST_DELAY) => MOST_DELAY - 1,
            delay if days.is_closed(day + delay) => delay + 1,
            delay => delay,
        };
        // Nothing is told while the shops are closed.
        let open = |age: u32| age + u32::from(days.is_closed(day + age));
        let outcome = match high {
            ..REPEATED => Outcome::Repeated { age: open(delay + high % 2) },
            REPEATED..MOVED => {
                let distance = 1 + (high % MOST_MOVED).cast_signed();
                let is_back = (high / 2).is_multiple_of(2) && day >= distance.unsigned_abs();
                // A date in the future can't be booked, so a move forward waits until it is past.
                let wait = if is_back { 0 } else { distance.unsigned_abs() };
                let by = if is_back { -distance } else { distance };
                let age = open(delay + wait + 1 + high / 4 % 2);
                if days.is_closed(day.saturating_add_signed(by)) { Outcome::Kept } else { Outcome::Moved { age, by } }
            }
            MOVED..CANCELLED => Outcome::Cancelled { age: open(delay + 1 + high % 3) },
            CANCELLED..RETURNED => {
                Outcome::Returned { age: open(FIRST_RETURN + high % (LAST_RETURN - FIRST_RETURN + 1)) }
            }
            _ => Outcome::Kept,
        };
        Self { delay, outcome }
    }

    /// What the source is told when the purchase is this old.
    pub(super) fn deliveries(self, age: u32) -> [Option<Delivery>; 2] {
        let (then, delivery) = match self.outcome {
            Outcome::Kept => (None, Delivery::First),
            Outcome::Repeated { age } => (Some(age), Delivery::Again),
            Outcome::Moved { age, by } => (Some(age), Delivery::Moved { by }),
            Outcome::Cancelled { age } => (Some(age), Delivery::Cancelled),
            Outcome::Returned { age } => (Some(age), Delivery::Return),
        };
        [(age == self.delay).then_some(Delivery::First), (then == Some(age)).then_some(delivery)]
    }

    /// By how many days the purchase is moved in the end.
    pub(super) fn moved_by(self) -> i32 {
        if let Outcome::Moved { by, .. } = self.outcome { by } else { 0 }
    }

    /// The age at which it is returned.
    pub(super) fn returned_at(self) -> Option<u32> {
        if let Outcome::Returned { age } = self.outcome { Some(age) } else { None }
    }
}
