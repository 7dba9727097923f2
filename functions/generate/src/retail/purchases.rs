//! What customers buy, and how news of it reaches the source.
//!
//! A purchase is named by its business day and a number within it. One word of bits decides its [`Fate`]: how late it
//! becomes visible and what happens to it afterwards. So the log of a partition is found by looking at the fates of the
//! last [`OLDEST`] days' purchases, and any purchase can be computed again whenever it has to be told again.

use super::{
    calendar::Days,
    change::{Change, Operation},
    channels,
    customers::{Customer, Customers},
    provinces::Province,
    random::{Random, scale, share},
    shelves::Shelves,
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

/// Lines of a transaction, in 16 transactions.
const LINES: [u8; 16] = [1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 4, 5, 6, 7, 8];
/// Units of a line, in 16 lines.
const UNITS: [u8; 16] = [1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 3, 4, 5, 6, 8, 9];

/// The most lines that a transaction has.
pub const MOST_LINES: usize = 8;
/// Lanes of one purchase: its header and its lines, and one spare for a corrupted row.
const LANES_EACH: u32 = 128;
const _: () = assert!((OLDEST + 1) * LANES_EACH <= super::change::LANES);

// Children of a purchase's node.
const IDENTIFIER: u64 = 0;
const TIME: u64 = 1;
const CUSTOMER: u64 = 2;
const BASKET: u64 = 3;
const RETURN: u64 = 4;
const LINE: u64 = 16;

/// What becomes of a purchase, in days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fate {
    /// Days from the purchase until it becomes visible.
    delay: u32,
    outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Kept,
    /// Told again, some days after the first time.
    Repeated {
        after: u32,
    },
    /// Booked on another date, some days after the first time.
    Moved {
        after: u32,
        by: i32,
    },
    /// Withdrawn, some days after the first time.
    Cancelled {
        after: u32,
    },
    /// Brought back, some days after the purchase.
    Returned {
        after: u32,
    },
}

impl Fate {
    /// The first purchase of a day is on time and kept, so that no partition is empty.
    fn new(bits: Random, day: u32, index: u32) -> Self {
        if index == 0 {
            return Self { delay: 0, outcome: Outcome::Kept };
        }
        let (low, high) = (bits.low(), bits.high());
        let delay = if low < LATE { 1 + low % MOST_DELAY } else { 0 };
        let outcome = match high {
            ..REPEATED => Outcome::Repeated { after: high % 2 },
            REPEATED..MOVED => {
                let distance = 1 + (high % 2).cast_signed();
                let is_back = (high / 2).is_multiple_of(2) && day >= distance.unsigned_abs();
                // A date in the future can't be booked, so a move forward waits until it is past.
                let wait = if is_back { 0 } else { distance.unsigned_abs() };
                Outcome::Moved { after: wait + 1 + high / 4 % 2, by: if is_back { -distance } else { distance } }
            }
            MOVED..CANCELLED => Outcome::Cancelled { after: 1 + high % 3 },
            CANCELLED..RETURNED => Outcome::Returned { after: FIRST_RETURN + high % (OLDEST - FIRST_RETURN + 1) },
            _ => Outcome::Kept,
        };
        Self { delay, outcome }
    }

    /// What the source is told when the purchase is this old.
    fn deliveries(self, age: u32) -> [Option<Delivery>; 2] {
        let since_first = age.checked_sub(self.delay);
        let later = match self.outcome {
            Outcome::Kept => None,
            Outcome::Repeated { after } => (since_first == Some(after)).then_some(Delivery::Again),
            Outcome::Moved { after, by } => (since_first == Some(after)).then_some(Delivery::Moved { by }),
            Outcome::Cancelled { after } => (since_first == Some(after)).then_some(Delivery::Cancelled),
            Outcome::Returned { after } => (age == after).then_some(Delivery::Return),
        };
        [(since_first == Some(0)).then_some(Delivery::First), later]
    }

    /// The days between which the state of customer and products must hold: from, to, counted from the purchase.
    fn span(self) -> (i32, i32) {
        match self.outcome {
            Outcome::Moved { by, .. } => (by.min(0), by.max(0)),
            Outcome::Returned { after } => (0, after.cast_signed()),
            _ => (0, 0),
        }
    }
}

/// One piece of news about a purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The purchase itself.
    First,
    /// The same once more.
    Again,
    /// The purchase, booked on a date this many days later, at that date's prices and taxes.
    Moved {
        /// Days, negative for an earlier date.
        by: i32,
    },
    /// The purchase is withdrawn.
    Cancelled,
    /// A transaction of its own that returns some of the purchase, at the price paid.
    Return,
}

/// A header and its lines.
#[derive(Clone, Copy, Debug)]
pub struct Transaction {
    /// Its id.
    pub identifier: u128,
    /// The purchase that it returns.
    pub original: Option<u128>,
    /// Who buys or returns.
    pub customer: u128,
    /// Where.
    pub channel: i64,
    /// When, in microseconds since 1970 (UTC).
    pub at: i64,
    /// Where the customer lives, which decides the tax.
    pub province: Province,
    lines: [Line; MOST_LINES],
    count: usize,
    /// When and how the source is told.
    pub change: Change,
}

/// A line of a transaction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Line {
    /// The product, from 1.
    pub product: i64,
    /// Units, at least one.
    pub quantity: i64,
    /// The price of a unit, in cents.
    pub unit_price: i64,
    /// Whether the log has this row twice.
    pub is_twice: bool,
}

impl Line {
    /// Quantity times price, in cents.
    pub fn total(&self) -> i64 {
        self.quantity * self.unit_price
    }
}

impl Transaction {
    /// The lines, in order.
    pub fn lines(&self) -> &[Line] {
        &self.lines[..self.count]
    }

    /// The lines, to change them.
    pub fn lines_mut(&mut self) -> &mut [Line] {
        &mut self.lines[..self.count]
    }

    /// The sum of the lines, in cents.
    pub fn subtotal(&self) -> i64 {
        self.lines().iter().map(Line::total).sum()
    }
}

/// Everything that is ever bought.
#[derive(Clone, Copy, Debug)]
pub struct Purchases<'a> {
    random: Random,
    days: &'a Days,
    customers: Customers,
    shelves: &'a Shelves,
}

impl<'a> Purchases<'a> {
    /// All purchases below this node.
    pub(super) const fn new(random: Random, days: &'a Days, customers: Customers, shelves: &'a Shelves) -> Self {
        Self { random, days, customers, shelves }
    }

    /// Visits the news of a day about purchases whose number lies in a range, by the day of purchase (the newest first)
    /// and number.
    pub fn visit(self, ordinal: u32, numbers: &std::ops::Range<u32>, mut visit: impl FnMut(Delivery, &Transaction)) {
        for age in 0..=OLDEST.min(ordinal) {
            let cohort = Cohort::new(self, ordinal, age);
            for index in numbers.start..numbers.end.min(self.days.get(cohort.day).purchases) {
                let random = cohort.random.split(u64::from(index));
                let is_plain = random.low() >= LATE && random.high() >= RETURNED;
                if age > 0 && is_plain {
                    continue;
                }
                let fate = Fate::new(random, cohort.day, index);
                for delivery in fate.deliveries(age).into_iter().flatten() {
                    visit(delivery, &cohort.transaction(random, index, fate, delivery));
                }
            }
        }
    }
}

/// The purchases of one day, as seen from a later one.
struct Cohort<'a> {
    all: Purchases<'a>,
    random: Random,
    /// The ordinal of the day of purchase.
    day: u32,
    /// The ordinal of the day on which the source is told.
    told: u32,
    /// Products that exist on every day on which these purchases may be booked.
    launched: u32,
}

impl<'a> Cohort<'a> {
    fn new(all: Purchases<'a>, told: u32, age: u32) -> Self {
        let day = told - age;
        Self {
            all,
            random: all.random.split(u64::from(day)),
            day,
            told,
            launched: all.shelves.launched(all.days.get(day).begin),
        }
    }

    fn transaction(&self, random: Random, index: u32, fate: Fate, delivery: Delivery) -> Transaction {
        let today = self.all.days.get(self.day);
        let offset = today.slots(today.purchases).early(index, random.split(TIME));
        let (from, to) = fate.span();
        let (earliest, latest) = (self.instant(from, offset), self.instant(to, offset));
        let at = match delivery {
            Delivery::Moved { by } => self.instant(by, offset),
            _ => self.instant(0, offset),
        };
        let first_day = self.day.saturating_add_signed(from);
        let (customer, province) = self.customer(random.split(CUSTOMER), first_day, (earliest, at, latest));

        let basket = random.split(BASKET);
        let mut lines = [Line::default(); MOST_LINES];
        let count = usize::from(LINES[(basket.low() % 16) as usize]);
        let mut chosen = None;
        for (child, line) in (LINE..).zip(&mut lines[..count]) {
            let bits = random.split(child);
            let product = self.all.shelves.pick(bits, chosen, self.launched, earliest, latest);
            chosen.get_or_insert(product);
            *line = Line {
                product: i64::from(product) + 1,
                quantity: i64::from(UNITS[(bits.low() % 16) as usize]),
                unit_price: self.all.shelves.unit_price(product, at),
                is_twice: (bits.low() / 16).is_multiple_of(512) && delivery == Delivery::First,
            };
        }
        let transaction = Transaction {
            identifier: random.split(IDENTIFIER).identifier(),
            original: None,
            customer: self.all.customers.identifier(customer),
            channel: channels::pick(basket.high()),
            at,
            province,
            lines,
            count,
            change: self.change(random, index, offset, delivery),
        };
        match delivery {
            Delivery::Return => returned(&transaction, random.split(RETURN)),
            _ => transaction,
        }
    }

    /// The instant this many days after a purchase: the same time of day, on another date whatever clocks do.
    fn instant(&self, days_later: i32, offset: i64) -> i64 {
        let day = self.all.days.get(self.day.saturating_add_signed(days_later));
        day.begin + offset.min(day.length - 1)
    }

    /// Somebody who buys at the earliest instant (on the first day) and at the latest, and where they live at `at`.
    fn customer(
        &self,
        random: Random,
        first_day: u32,
        (earliest, at, latest): (i64, i64, i64),
    ) -> (Customer, Province) {
        let days = self.all.days;
        let registered_today = Customers::registered_by(days, first_day, earliest - days.get(first_day).begin);
        let mut bits = random;
        for _ in 0..ATTEMPTS {
            // Recent customers buy more: the age of an account is the square of a uniform draw.
            let age = scale(scale(bits.high(), bits.high()), first_day + 1);
            let day = first_day - age;
            let count = if age == 0 { registered_today } else { days.get(day).customers };
            let customer = Customer { day, index: scale(bits.low(), count) };
            let state = |instant| self.all.customers.at(days, customer, instant);
            let buys = |instant| state(instant).is_some_and(|version| version.buys());
            if let Some(now) = state(at)
                && now.buys()
                && (earliest == latest || (buys(earliest) && buys(latest)))
            {
                return (customer, now.province);
            }
            bits = bits.split(0);
        }
        let customer = Customer { day: first_day, index: 0 };
        let province = self.all.customers.at(days, customer, at).map(|version| version.province);
        (customer, province.unwrap_or(Province::ON))
    }

    fn change(&self, random: Random, index: u32, offset: i64, delivery: Delivery) -> Change {
        let (today, age) = (self.all.days.get(self.told), self.told - self.day);
        let slots = today.slots(self.all.days.get(self.day).purchases);
        let clock = random.split(TIME);
        // First news comes in the first half of a slot, anything later in the second.
        let offset = match delivery {
            Delivery::First if age == 0 => offset,
            Delivery::First => slots.early(index, clock.split(u64::from(age))),
            _ => slots.late(index, clock.split(u64::from(age))),
        };
        let operation = match delivery {
            Delivery::First | Delivery::Again | Delivery::Return => Operation::Insert,
            Delivery::Moved { .. } => Operation::Update,
            Delivery::Cancelled => Operation::Delete,
        };
        Change::new(self.told, today, offset, age * LANES_EACH, operation)
    }
}

const ATTEMPTS: u32 = 8;

/// The return of some of a purchase: its first lines, and some units of each.
fn returned(purchase: &Transaction, random: Random) -> Transaction {
    let kept = scale(random.high(), u32::try_from(purchase.count).unwrap_or_default()) as usize + 1;
    let mut transaction = Transaction {
        identifier: random.identifier(),
        original: Some(purchase.identifier),
        at: purchase.change.changed_at,
        count: kept,
        ..*purchase
    };
    for (child, line) in (LINE..).zip(transaction.lines_mut()) {
        line.quantity = 1 + random.split(child).below(line.quantity);
    }
    transaction
}
