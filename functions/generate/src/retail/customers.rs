//! `customers_log`: registrations, and what happens to an account later.
//!
//! A customer is named by the day of registration and a number within it. Their later changes come at fixed ages
//! ([`AGES`]), each with a small chance, so a customer's whole history follows from that name, and the changes of a
//! day are found by visiting one cohort an age instead of everybody.

use arrow::array::RecordBatch;

use super::{
    calendar::{Days, Slots},
    change::{Change, Operation},
    columns::{Identifiers, LogColumns, Texts, dates, epoch_day, timestamps},
    history::MOST_LATE,
    names::{self, pick},
    places::{Address, ascii},
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
        ("gender", Type::Text),
        ("street", Type::Text),
        ("city", Type::Text),
        ("province", Type::Text),
        ("postal_code", Type::Text),
        ("date_of_birth", Type::Date),
        ("signup_platform", Type::Text),
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

const MAIL_DOMAINS: [&str; 3] = ["@example.com", "@example.org", "@example.net"];
const GENDERS: [&str; 16] = {
    let mut genders = ["female"; 16];
    let mut at = 8;
    while at < 15 {
        genders[at] = "male";
        at += 1;
    }
    genders[15] = "other";
    genders
};
const PLATFORMS: [&str; 8] = ["web", "web", "web", "web", "app", "app", "app", "store"];

/// Days for which those who registered in a month, January to December, keep buying on average: gifts for Christmas win
/// over few, while who starts in spring stays.
const LOYALTY: [u32; 12] = [70, 80, 120, 140, 120, 90, 80, 80, 90, 70, 40, 35];
/// The share of customers who never leave.
const FAITHFUL: u32 = share(15_000);
/// Quantiles of the exponential distribution by sixteenths, in thousandths of its mean.
const EXPONENTIAL: [u32; 17] =
    [0, 65, 134, 208, 288, 375, 470, 575, 693, 827, 981, 1_163, 1_386, 1_674, 2_079, 2_773, 5_000];

// Children of a customer's node. The change at an age is child CHANGES + age.
const IDENTIFIER: u64 = 0;
const NAME: u64 = 1;
const ADDRESS: u64 = 2;
const BIRTH: u64 = 3;
const TIME: u64 = 4;
const EARLIER: u64 = 5;
const LOYAL: u64 = 6;
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
    address: Address,
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
    /// The province in which the customer lives.
    pub fn province(&self) -> Province {
        self.address.province
    }

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

    /// How many days after the registration the customer still buys: an exponential lifetime, whose hazard depends on
    /// the month of the registration.
    pub fn buys_for(self, days: &Days, customer: Customer) -> u32 {
        let bits = self.random(customer).split(LOYAL);
        if bits.low() < FAITHFUL {
            return u32::MAX;
        }
        let month = days.get(customer.day).date.month().unsigned_abs();
        let step = (bits.high() >> 28) as usize;
        let between = scale(bits.high() << 4, EXPONENTIAL[step + 1] - EXPONENTIAL[step]);
        LOYALTY[usize::from(month) - 1] * (EXPONENTIAL[step] + between) / 1_000
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
    let (day, offset) = (days.get(customer.day), registration_offset(random, days, customer));
    let change = Change::new(customer.day, day, offset, 0, Operation::Insert);
    Version {
        address: Address::new(random.split(ADDRESS)),
        is_active: true,
        mail: 0,
        valid_from: change.changed_at,
        ordinal: customer.day,
        change,
    }
}

fn registration_offset(random: Random, days: &Days, customer: Customer) -> i64 {
    match customer.index {
        0 => 0,
        index => slots(days, customer, customer.day).early(index, random.split(TIME)),
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
        TOGGLED..MOVED => version.address = Address::new(random.split(ADDRESS)),
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
    first_names: Texts,
    last_names: Texts,
    emails: Texts,
    genders: Texts,
    streets: Texts,
    cities: Texts,
    provinces: Texts,
    postal_codes: Texts,
    births: Vec<i32>,
    platforms: Texts,
    statuses: Texts,
    registered: Vec<i64>,
    log: LogColumns,
}

impl Rows {
    fn new(capacity: usize) -> Self {
        Self {
            identifiers: Identifiers::new(capacity),
            first_names: Texts::new(capacity, 6),
            last_names: Texts::new(capacity, 7),
            emails: Texts::new(capacity, 36),
            genders: Texts::new(capacity, 6),
            streets: Texts::new(capacity, 20),
            cities: Texts::new(capacity, 9),
            provinces: Texts::new(capacity, 2),
            postal_codes: Texts::new(capacity, 7),
            births: Vec::with_capacity(capacity),
            platforms: Texts::new(capacity, 4),
            statuses: Texts::new(capacity, 7),
            registered: Vec::with_capacity(capacity),
            log: LogColumns::with_valid_from(capacity),
        }
    }

    fn push(&mut self, random: Random, days: &Days, customer: Customer, version: &Version) {
        let (name, birth) = (random.split(NAME), random.split(BIRTH));
        let ((first, first_mail), (last, last_mail)) = (names::first(name), names::last(name));
        let day = days.get(customer.day);
        let registered = day.begin + registration_offset(random, days, customer);
        let years_old = 18 + scale(birth.high(), 62);
        let days_old = years_old * 366 + scale(birth.low(), 365);

        self.identifiers.push(random.split(IDENTIFIER).identifier());
        self.first_names.push(first);
        self.last_names.push(last);
        for text in [first_mail, ".", last_mail, "."] {
            self.emails.part(text);
        }
        self.emails.digits(customer.day);
        self.emails.part(".");
        self.emails.digits(customer.index);
        self.emails.push(MAIL_DOMAINS[(random.low() as usize % 3 + version.mail) % 3]);
        // Each field reads bits of its own.
        let bits = birth.split(0);
        self.genders.push(pick(&GENDERS, bits.high()));
        self.platforms.push(pick(&PLATFORMS, bits.low()));

        let (number, street, kind) = version.address.street();
        self.streets.digits(number);
        for text in [" ", street, " "] {
            self.streets.part(text);
        }
        self.streets.push(kind);
        self.cities.push(version.address.city());
        self.provinces.push(version.address.province.code());
        self.postal_codes.push(ascii(&version.address.postal_code()));

        self.births.push(epoch_day(day.date).saturating_sub_unsigned(days_old));
        self.statuses.push(if version.is_active { "active" } else { "inactive" });
        self.registered.push(registered);
        self.log.push_valid_from(version.change, version.valid_from);
    }

    fn finish(self) -> Result<RecordBatch, Error> {
        let own = [
            self.identifiers.finish(),
            self.first_names.finish(),
            self.last_names.finish(),
            self.emails.finish(),
            self.genders.finish(),
            self.streets.finish(),
            self.cities.finish(),
            self.provinces.finish(),
            self.postal_codes.finish(),
            dates(self.births),
            self.platforms.finish(),
            self.statuses.finish(),
            timestamps(self.registered),
        ];
        CUSTOMERS.batch(own.into_iter().chain(self.log.finish()).collect())
    }
}
