//! `customers_log`: registrations, and what happens to an account later.
//!
//! A customer is named by the day of registration and a number within it. Their later changes come at fixed ages
//! ([`AGES`]), each with a small chance, so a customer's whole history follows from that name, and the changes of a
//! day are found by visiting one cohort an age instead of everybody.

use std::fmt::Write;

use arrow::array::{RecordBatch, StringBuilder};

use super::{
    calendar::{Days, Slots},
    change::{Change, Operation},
    columns::{Identifiers, LogColumns, dates, epoch_day, text, timestamps, words},
    history::MOST_LATE,
    names,
    provinces::Province,
    random::{Random, scale, share},
    table::{Log, Table, Type},
};
use crate::Error;

/// The table.
pub const CUSTOMERS: Table = Table {
    name: "customers_log",
    key: &["customer_id"],
    columns: &[
        ("customer_id", Type::Identifier),
        ("first_name", Type::Text),
        ("last_name", Type::Text),
        ("email", Type::Text),
        ("province", Type::Text),
        ("date_of_birth", Type::Date),
        ("status", Type::Text),
        ("registered_at", Type::Timestamp),
    ],
    log: Log::Versions,
};

/// Ages in days at which an account may change.
const AGES: [u32; 13] = [1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377];

/// A partition tells nothing of customers who registered more days ago than this.
pub const OLDEST: u32 = AGES[AGES.len() - 1];

/// Three customers in four never change. Of the others, these shares change at an age.
const RESTLESS: u32 = share(25_000);
const DELETED: u32 = share(1_200);
const TOGGLED: u32 = share(4_000);
const MOVED: u32 = share(8_000);
const READDRESSED: u32 = share(11_000);
/// The share of changes that become visible later than they hold.
const LATE: u32 = share(10_000);

const MAIL_DOMAINS: [&str; 3] = ["example.com", "example.org", "example.net"];

// Children of a customer's node. The change at an age is child CHANGES + age.
const IDENTIFIER: u64 = 0;
const NAME: u64 = 1;
const PROVINCE: u64 = 2;
const BIRTH: u64 = 3;
const TIME: u64 = 4;
const EARLIER: u64 = 5;
const CHANGES: u64 = 16;

/// A customer: the day of registration and the number within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Customer {
    /// The ordinal of the day of registration.
    pub day: u32,
    /// The number within the day, in order of registration.
    pub index: u32,
}

/// A customer's state from one change to the next.
#[derive(Clone, Copy, Debug)]
pub struct Version {
    /// Where the customer lives.
    pub province: Province,
    is_active: bool,
    /// How often the e-mail address was changed.
    mail: usize,
    /// From when on the state holds.
    pub valid_from: i64,
    /// The ordinal of the day on which the change became visible.
    ordinal: u32,
    /// The change that led here.
    pub change: Change,
}

impl Version {
    /// Whether somebody in this state buys.
    pub fn buys(&self) -> bool {
        self.is_active && self.change.operation != Operation::Delete
    }
}

/// Everybody who ever registers.
#[derive(Clone, Copy, Debug)]
pub struct Customers(Random);

impl Customers {
    /// All customers below this node.
    pub const fn new(random: Random) -> Self {
        Self(random)
    }

    /// The customer's id.
    pub fn identifier(self, customer: Customer) -> u128 {
        self.random(customer).split(IDENTIFIER).identifier()
    }

    /// How many customers have surely registered on a day by an offset into it. The first does so at its first instant.
    pub fn registered_by(days: &Days, day: u32, offset: i64) -> u32 {
        let day = days.get(day);
        day.slots(day.customers).before(offset).clamp(1, day.customers)
    }

    /// The customer's state at an instant; none before registration.
    #[inline]
    pub fn at(self, days: &Days, customer: Customer, at: i64) -> Option<Version> {
        self.history(days, customer).take_while(|version| version.valid_from <= at).last()
    }

    /// The customer's versions, in the order of validity, which is the order of the log, up to the last day.
    fn history(self, days: &Days, customer: Customer) -> impl Iterator<Item = Version> {
        let random = self.random(customer);
        let registered = registration(random, days, customer);
        // The first customer of a day never changes, so that there is always somebody who can buy.
        let is_restless = customer.index > 0 && random.high() < RESTLESS;
        let ages = AGES.iter().take(if is_restless { AGES.len() } else { 0 });
        let mut latest = registered;
        let changes = ages.filter_map(move |&age| {
            if latest.change.operation == Operation::Delete {
                return None;
            }
            latest = change(random.split(CHANGES + u64::from(age)), days, customer, age, &latest)?;
            Some(latest)
        });
        std::iter::once(registered).chain(changes)
    }

    fn random(self, customer: Customer) -> Random {
        self.0.split(u64::from(customer.day)).split(u64::from(customer.index))
    }

    /// The log rows of a day for the customers whose number lies in a range: registrations, then changes by age.
    ///
    /// # Errors
    /// `Internal` when the batch can't be assembled.
    pub fn rows(self, days: &Days, ordinal: u32, numbers: &std::ops::Range<u32>) -> Result<RecordBatch, Error> {
        let cohort = |day: u32| numbers.start..numbers.end.min(days.get(day).customers);
        let mut rows = Rows::new(cohort(ordinal).len());
        for index in cohort(ordinal) {
            let customer = Customer { day: ordinal, index };
            let random = self.random(customer);
            let version = registration(random, days, customer);
            rows.push(random, days, customer, &version);
        }
        for day in AGES.iter().filter_map(|&age| ordinal.checked_sub(age)) {
            for index in cohort(day) {
                let customer = Customer { day, index };
                for version in self.history(days, customer).skip(1).filter(|version| version.ordinal == ordinal) {
                    rows.push(self.random(customer), days, customer, &version);
                }
            }
        }
        rows.finish()
    }
}

fn slots(days: &Days, customer: Customer, day: u32) -> Slots {
    days.get(day).slots(days.get(customer.day).customers)
}

fn registration(random: Random, days: &Days, customer: Customer) -> Version {
    let day = days.get(customer.day);
    let offset = match customer.index {
        0 => 0,
        index => slots(days, customer, customer.day).early(index, random.split(TIME)),
    };
    let change = Change::new(customer.day, day, offset, 0, Operation::Insert);
    Version {
        province: Province::pick(random.split(PROVINCE)),
        is_active: true,
        mail: 0,
        valid_from: change.changed_at,
        ordinal: customer.day,
        change,
    }
}

/// What happens to the customer at an age, if anything.
fn change(random: Random, days: &Days, customer: Customer, age: u32, previous: &Version) -> Option<Version> {
    let kind = random.high();
    let ordinal = customer.day + age;
    if kind >= READDRESSED || ordinal > days.last() {
        return None;
    }
    let offset = slots(days, customer, ordinal).early(customer.index, random.split(TIME));
    // Customers of several cohorts may change at the same instant; the age tells them apart.
    let lane = AGES.iter().take_while(|&&earlier| earlier <= age).count();
    let operation = if kind < DELETED { Operation::Delete } else { Operation::Update };
    let change = Change::new(ordinal, days.get(ordinal), offset, u32::try_from(lane).unwrap_or_default(), operation);
    let mut version = Version { valid_from: change.changed_at, ordinal, change, ..*previous };
    match kind {
        ..DELETED => return Some(version),
        DELETED..TOGGLED => version.is_active = !previous.is_active,
        TOGGLED..MOVED => version.province = Province::pick(random.split(PROVINCE)),
        _ => version.mail += 1,
    }
    if random.low() < LATE {
        // Never before the previous version holds: the order of validity stays the order of the log.
        let earlier = random.split(EARLIER).below(MOST_LATE);
        version.valid_from = (change.changed_at - earlier).max(previous.valid_from + 1);
    }
    Some(version)
}

struct Rows {
    identifiers: Identifiers,
    first_names: StringBuilder,
    last_names: StringBuilder,
    emails: StringBuilder,
    provinces: StringBuilder,
    births: Vec<i32>,
    statuses: StringBuilder,
    registered: Vec<i64>,
    log: LogColumns,
    email: String,
}

impl Rows {
    fn new(capacity: usize) -> Self {
        Self {
            identifiers: Identifiers::new(capacity),
            first_names: words(capacity, 6),
            last_names: words(capacity, 7),
            emails: words(capacity, 36),
            provinces: words(capacity, 2),
            births: Vec::with_capacity(capacity),
            statuses: words(capacity, 6),
            registered: Vec::with_capacity(capacity),
            log: LogColumns::with_valid_from(capacity),
            email: String::new(),
        }
    }

    fn push(&mut self, random: Random, days: &Days, customer: Customer, version: &Version) {
        let name = random.split(NAME);
        let ((first, first_mail), (last, last_mail)) = (names::first(name), names::last(name));
        let registered = registration(random, days, customer);
        let years_old = 18 + scale(random.split(BIRTH).high(), 62);
        let days_old = years_old * 366 + scale(random.split(BIRTH).low(), 365);

        self.identifiers.push(random.split(IDENTIFIER).identifier());
        self.first_names.append_value(first);
        self.last_names.append_value(last);
        self.email.clear();
        let domain = MAIL_DOMAINS[(random.low() as usize % 3 + version.mail) % 3];
        // Writing to a string cannot fail.
        let _ = write!(self.email, "{first_mail}.{last_mail}.{}.{}@{domain}", customer.day, customer.index);
        self.emails.append_value(&self.email);
        self.provinces.append_value(version.province.code());
        self.births.push(epoch_day(days.get(customer.day).date).saturating_sub_unsigned(days_old));
        self.statuses.append_value(if version.is_active { "active" } else { "inactive" });
        self.registered.push(registered.change.changed_at);
        self.log.push_valid_from(version.change, version.valid_from);
    }

    fn finish(mut self) -> Result<RecordBatch, Error> {
        let own = [
            self.identifiers.finish(),
            text(&mut self.first_names),
            text(&mut self.last_names),
            text(&mut self.emails),
            text(&mut self.provinces),
            dates(self.births),
            text(&mut self.statuses),
            timestamps(self.registered),
        ];
        CUSTOMERS.batch(own.into_iter().chain(self.log.finish()).collect())
    }
}
