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
    fate::{Delivery, Fate, OLDEST},
    payment_types,
    provinces::Province,
    random::{Random, scale},
    returns,
    shelves::Shelves,
    shop::Shop,
    till::{Discount, Till},
};

/// Lines of a transaction, in 16 transactions.
const LINES: [u8; 16] = [1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 4, 5, 6, 7, 8];
/// Units of a line, in 16 lines.
const UNITS: [u8; 16] = [1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 3, 4, 5, 6, 8, 9];
/// Payments of a transaction, in 16 transactions.
const PAYMENTS: [u8; 16] = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 4];

/// The most lines that a transaction has.
pub const MOST_LINES: usize = 8;
/// The most payments that a transaction has.
const MOST_PAYMENTS: usize = 4;
/// Lanes of one purchase: its rows of a table, and one spare for a corrupted row. Eight lines have far fewer discounts.
const LANES_EACH: u32 = 128;
const _: () = assert!((OLDEST + 1) * LANES_EACH <= super::change::LANES);

/// Accounts older than this many days buy no more.
const OLDEST_ACCOUNT: u32 = 1_000;

// Children of a purchase's node.
const IDENTIFIER: u64 = 0;
const TIME: u64 = 1;
const CUSTOMER: u64 = 2;
const BASKET: u64 = 3;
const RETURN: u64 = 4;
const PAYMENT: u64 = 5;
const EMPLOYEE: u64 = 6;
const LINE: u64 = 16;

/// A header, its lines, what was taken off and how it was paid.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// Its id.
    pub identifier: u128,
    /// The purchase that it returns.
    pub original: Option<u128>,
    /// Who buys or returns.
    pub customer: u128,
    /// Where.
    pub channel: i64,
    /// Who sold it, in the store; the row, from 0.
    pub employee: Option<u32>,
    /// When, in microseconds since 1970 (UTC).
    pub at: i64,
    /// Where the customer lives, which decides the tax.
    pub province: Province,
    /// The sums, in cents.
    pub totals: Totals,
    lines: [Line; MOST_LINES],
    count: usize,
    /// What promotions took off, in order.
    pub discounts: Vec<Discount>,
    payments: [Payment; MOST_PAYMENTS],
    paid: usize,
    /// When and how the source is told.
    pub change: Change,
}

/// A header's sums, in cents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// The sum of the lines.
    pub subtotal: i64,
    /// What was taken off it.
    pub discount: i64,
    /// The tax on what was left.
    pub tax: i64,
}

impl Totals {
    /// What is paid.
    pub fn total(&self) -> i64 {
        self.subtotal - self.discount + self.tax
    }
}

/// A line of a transaction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Line {
    /// The row of the product, from 0.
    pub product: u32,
    /// Units; less than 0 of a return.
    pub quantity: i64,
    /// The price of a unit, in cents.
    pub unit_price: i64,
    /// Whether the log has this row twice.
    pub is_twice: bool,
}

impl Line {
    /// Quantity times price, in cents.
    #[inline]
    pub fn total(&self) -> i64 {
        self.quantity * self.unit_price
    }
}

/// A payment of a transaction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Payment {
    /// The row of its type, from 0.
    pub payment_type: u32,
    /// Cents; less than 0 of a return.
    pub amount: i64,
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

    /// Keeps the first lines only.
    pub(super) fn truncate(&mut self, count: usize) {
        self.count = self.count.min(count);
    }

    /// The payments, in order.
    pub fn payments(&self) -> &[Payment] {
        &self.payments[..self.paid]
    }

    /// The payments, to change them.
    pub fn payments_mut(&mut self) -> &mut [Payment] {
        &mut self.payments[..self.paid]
    }

    /// Pays a total with the first payment.
    pub(super) fn pay_at_once(&mut self, total: i64) {
        self.payments[0].amount = total;
        self.paid = 1;
    }

    /// Keeps the payments of something only, but one at least.
    pub(super) fn drop_empty_payments(&mut self) {
        self.paid = self.payments().iter().take_while(|payment| payment.amount != 0).count().max(1);
    }
}

/// Everything that is ever bought, as far as it may be told of on one day.
#[derive(Clone, Copy, Debug)]
pub(super) struct Purchases<'a> {
    pub(super) random: Random,
    pub(super) days: &'a Days,
    pub(super) customers: Customers,
    pub(super) shop: &'a Shop,
    pub(super) shelves: &'a Shelves,
    pub(super) till: &'a Till,
}

/// One piece of news, to be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct News<'a> {
    pub(super) delivery: Delivery,
    pub(super) transaction: &'a Transaction,
    /// What the log said of it before, when that changes.
    pub(super) before: Option<&'a Transaction>,
}

impl Purchases<'_> {
    /// Visits the news of a day about purchases whose number lies in a range, by the day of purchase (the newest first)
    /// and number.
    pub(super) fn visit(self, ordinal: u32, numbers: &std::ops::Range<u32>, mut visit: impl FnMut(News<'_>)) {
        for age in 0..=OLDEST.min(ordinal) {
            let cohort = Cohort::new(self, ordinal, age);
            for index in numbers.start..numbers.end.min(self.days.get(cohort.day).purchases) {
                let random = cohort.random.split(u64::from(index));
                if age > 0 && Fate::is_plain(random) {
                    continue;
                }
                let fate = Fate::new(random, self.days, cohort.day, index);
                for delivery in fate.deliveries(age).into_iter().flatten() {
                    let transaction = &cohort.transaction(random, index, fate, delivery);
                    let is_moved = matches!(delivery, Delivery::Moved { .. });
                    let before = is_moved.then(|| cohort.transaction(random, index, fate, Delivery::First));
                    visit(News { delivery, transaction, before: before.as_ref() });
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
    /// Employees who were hired before the purchases.
    hired: u32,
}

/// The instants between which what a purchase refers to must hold.
#[derive(Clone, Copy)]
struct Span {
    earliest: i64,
    at: i64,
    latest: i64,
}

impl Span {
    /// Whether something is so at all of these instants.
    #[inline]
    fn holds(self, is_so: impl Fn(i64) -> bool) -> bool {
        is_so(self.earliest) && (self.latest == self.earliest || is_so(self.latest))
    }
}

impl<'a> Cohort<'a> {
    fn new(all: Purchases<'a>, told: u32, age: u32) -> Self {
        let day = told - age;
        // A purchase may be booked on an earlier date, but not on one before the first.
        let begin = all.days.get(day.saturating_sub(super::fate::MOST_MOVED)).begin;
        Self {
            all,
            random: all.random.split(u64::from(day)),
            day,
            told,
            launched: all.shelves.launched(begin.max(all.days.get(0).begin + 1)),
            hired: all.shop.employees.rows_by(begin.max(all.days.get(0).begin + 1)),
        }
    }

    fn transaction(&self, random: Random, index: u32, fate: Fate, delivery: Delivery) -> Transaction {
        let all = &self.all;
        let today = all.days.get(self.day);
        let offset = today.slots(today.purchases).early(index, random.split(TIME));
        let own = self.instant(0, offset);
        let moved = self.instant(fate.moved_by(), offset);
        let returned = fate.returned_at().map(|age| self.told_at(random, index, age, true));
        let (at, booked_on) = match delivery {
            Delivery::Moved { by } => (moved, self.day.saturating_add_signed(by)),
            _ => (own, self.day),
        };
        let span = Span { earliest: own.min(moved), at, latest: own.max(moved).max(returned.unwrap_or(own)) };
        let first_day = self.day.saturating_add_signed(fate.moved_by().min(0));
        let (customer, province) = self.customer(random.split(CUSTOMER), first_day, span);

        let basket = random.split(BASKET);
        let mut lines = [Line::default(); MOST_LINES];
        let count = usize::from(LINES[(basket.low() % 16) as usize]);
        let mut chosen = None;
        for (child, line) in (LINE..).zip(&mut lines[..count]) {
            let bits = random.split(child);
            let product = all.shelves.pick(bits, chosen, self.launched, span.earliest, span.latest);
            chosen.get_or_insert(product);
            // People take more of what is promoted. A booking on another date has the same units.
            let more = i64::from(all.till.promotes(self.day, product)) * i64::from(1 + bits.low() / 16 % 2);
            *line = Line {
                product,
                quantity: (i64::from(UNITS[(bits.low() % 16) as usize]) + more).min(9),
                unit_price: all.shelves.unit_price(product, at),
                is_twice: (bits.low() / 16).is_multiple_of(512) && delivery == Delivery::First,
            };
        }
        let lines_ = &lines[..count];
        let discounts = all.till.discounts(booked_on, at, lines_);
        let subtotal = lines_.iter().map(Line::total).sum();
        let discount = discounts.iter().map(|discount| discount.amount).sum();
        let totals = Totals { subtotal, discount, tax: province.tax(subtotal - discount) };
        let channel = channels::pick(basket.high());
        let (payments, paid) = self.payments(random.split(PAYMENT), totals.total(), span);
        let transaction = Transaction {
            identifier: random.split(IDENTIFIER).identifier(),
            original: None,
            customer: all.customers.identifier(customer),
            channel,
            employee: (channel == channels::STORE).then(|| self.employee(random.split(EMPLOYEE), span)),
            at,
            province,
            totals,
            lines,
            count,
            discounts,
            payments,
            paid,
            change: self.change(random, index, delivery),
        };
        match delivery {
            Delivery::Return => returns::returned(&transaction, random.split(RETURN)),
            _ => transaction,
        }
    }

    /// The instant this many days after a purchase: the same time of day, on another date whatever clocks do.
    fn instant(&self, days_later: i32, offset: i64) -> i64 {
        let day = self.all.days.get(self.day.saturating_add_signed(days_later));
        day.begin + offset.min(day.length - 1)
    }

    /// Somebody who buys at the earliest instant (on the first day) and at the latest, and where they live at the
    /// purchase.
    fn customer(&self, random: Random, first_day: u32, span: Span) -> (Customer, Province) {
        let (days, customers) = (self.all.days, self.all.customers);
        let registered_today = Customers::registered_by(days, first_day, span.earliest - days.get(first_day).begin);
        let accounts = (first_day + 1).min(OLDEST_ACCOUNT);
        let mut bits = random;
        for _ in 0..ATTEMPTS {
            // Recent customers buy more: the age of an account is the square of a uniform draw.
            let age = scale(scale(bits.high(), bits.high()), accounts);
            let day = first_day - age;
            let count = if age == 0 { registered_today } else { days.get(day).customers };
            let customer = Customer { day, index: scale(bits.low(), count) };
            bits = bits.split(0);
            if customers.buys_for(days, customer) < age {
                continue;
            }
            let state = |instant| customers.at(days, customer, instant);
            let buys = |instant| state(instant).is_some_and(|version| version.buys());
            if let Some(now) = state(span.at)
                && now.buys()
                && (span.earliest == span.latest || span.holds(buys))
            {
                return (customer, now.province());
            }
        }
        let customer = Customer { day: first_day, index: 0 };
        let province = customers.at(days, customer, span.at).map(|version| version.province());
        (customer, province.unwrap_or(Province::ON))
    }

    /// Somebody who works in the store all the while; the first employee always does.
    fn employee(&self, random: Random, span: Span) -> u32 {
        let works = |row: u32| {
            span.holds(|instant| self.all.shop.employees.at(row, instant).is_some_and(|state| state.is_active))
        };
        let drawn = [random.high(), random.low()].map(|bits| scale(bits, self.hired));
        drawn.into_iter().find(|&row| works(row)).unwrap_or(0)
    }

    /// How a total is paid: in parts that add up to it.
    fn payments(&self, random: Random, total: i64, span: Span) -> ([Payment; MOST_PAYMENTS], usize) {
        let types = &self.all.shop.payment_types;
        let count = usize::from(PAYMENTS[(random.low() % 16) as usize]);
        let mut payments = [Payment::default(); MOST_PAYMENTS];
        let mut left = total;
        for (number, payment) in payments[..count].iter_mut().enumerate() {
            let bits = random.split(number as u64);
            let drawn = payment_types::pick(bits.low());
            let is_accepted = |instant| types.at(drawn, instant).is_some_and(|state| state.is_active);
            // Every part is something as long as there is a cent for each; the last one is what is left.
            let others = i64::try_from(count - number - 1).unwrap_or_default();
            let part = if others == 0 { left } else { (1 + bits.below(left - others)).min(left) };
            *payment = Payment { payment_type: if span.holds(is_accepted) { drawn } else { 0 }, amount: part };
            left -= part;
        }
        (payments, count)
    }

    /// When the source is told of a purchase of this age. First news comes in the first half of a slot, anything later
    /// in the second.
    fn told_at(&self, random: Random, index: u32, age: u32, is_later: bool) -> i64 {
        let (day, clock) = (self.all.days.get(self.day + age), random.split(TIME));
        let slots = day.slots(self.all.days.get(self.day).purchases);
        day.begin
            + match (is_later, age) {
                (false, 0) => slots.early(index, clock),
                (false, _) => slots.early(index, clock.split(u64::from(age))),
                (true, _) => slots.late(index, clock.split(u64::from(age))),
            }
    }

    fn change(&self, random: Random, index: u32, delivery: Delivery) -> Change {
        let (today, age) = (self.all.days.get(self.told), self.told - self.day);
        let told_at = self.told_at(random, index, age, delivery != Delivery::First);
        let operation = match delivery {
            Delivery::First | Delivery::Again | Delivery::Return => Operation::Insert,
            Delivery::Moved { .. } => Operation::Update,
            Delivery::Cancelled => Operation::Delete,
        };
        Change::new(self.told, today, told_at - today.begin, age * LANES_EACH, operation)
    }
}

const ATTEMPTS: u32 = 12;
