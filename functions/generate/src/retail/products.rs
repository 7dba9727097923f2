//! `products_log`: the catalogue and its changes.
//!
//! A sandbox starts with [`FOUNDING`] products; afterwards a handful of changes a day, whatever the scale. They are few,
//! so the catalogue of a day is folded from the start, and the log, the prices of past sales and the choice of what can
//! be sold all read the one result.

use arrow::array::RecordBatch;

use super::{
    calendar::Days,
    change::{Change, Operation},
    columns::{LogColumns, integers, text, words},
    names,
    random::{Random, scale},
    table::{Table, Type},
};
use crate::Error;

/// The table.
pub const PRODUCTS: Table = Table {
    name: "products_log",
    current: Some("products"),
    key: &["product_id"],
    columns: &[
        ("product_id", Type::Integer),
        ("name", Type::Text),
        ("unit_price_cents", Type::Integer),
        ("cost_price_cents", Type::Integer),
        ("status", Type::Text),
        ("is_deleted", Type::Boolean),
        ("valid_from", Type::Timestamp),
        ("changed_at", Type::Timestamp),
        ("change_sequence", Type::Integer),
        ("operation", Type::Text),
    ],
};

/// Products at the first instant of the sandbox. All of them share that instant, so each needs a lane.
const FOUNDING: u32 = 500;
const _: () = assert!(FOUNDING <= super::change::LANES);

/// A late version holds from at most this long before it became visible (in microseconds).
pub const MOST_LATE: i64 = 3 * 24 * 3_600_000_000;

const LOWEST_PRICE: i64 = 199;

/// A product's state from one change to the next.
#[derive(Clone, Copy, Debug)]
struct Version {
    product: u32,
    unit_price: i64,
    cost_price: i64,
    is_active: bool,
    valid_from: i64,
    ordinal: u32,
    change: Change,
}

impl Version {
    fn is_sold(&self) -> bool {
        self.is_active && self.change.operation != Operation::Delete
    }
}

/// All versions of all products up to a day.
#[derive(Debug)]
pub struct Catalogue {
    names: Vec<String>,
    /// By product, then by `valid_from`, which within a product is also the order of the log.
    versions: Vec<Version>,
    /// Where a product's versions begin; one more at the end.
    begins: Vec<usize>,
}

impl Catalogue {
    /// Folds the catalogue from the start to the last day.
    pub fn new(random: Random, days: &Days) -> Self {
        let mut latest: Vec<Version> = (0..FOUNDING)
            .map(|product| {
                let change = Change::new(0, days.get(0), 0, product, Operation::Insert);
                launch(random, product, 0, change)
            })
            .collect();
        let mut versions = latest.clone();
        for ordinal in 1..=days.last() {
            let today = random.split(DAYS).split(u64::from(ordinal));
            let events = 4 + scale(today.high(), 5);
            let slots = days.get(ordinal).slots(events);
            for event in 0..events {
                let random_event = today.split(u64::from(event));
                let offset = slots.early(event, random_event.split(TIME));
                let change = Change::new(ordinal, days.get(ordinal), offset, 0, Operation::Update);
                let version = next_version(random, random_event, &latest, ordinal, change);
                match latest.get_mut(version.product as usize) {
                    Some(previous) => *previous = version,
                    None => latest.push(version),
                }
                versions.push(version);
            }
        }
        // Stable: within a product the order of the log stays.
        versions.sort_by_key(|version| version.product);
        let count = u32::try_from(latest.len()).unwrap_or(u32::MAX);
        let begins = (0..=count).map(|product| versions.partition_point(|version| version.product < product)).collect();
        let names = (0..count).map(|product| names::product(random.split(NAMES).split(u64::from(product)))).collect();
        Self { names, versions, begins }
    }

    /// How many products have been launched before an instant.
    pub fn launched(&self, before: i64) -> u32 {
        let first_version = |product: &u32| &self.versions[self.begins[*product as usize]];
        let count = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        let later = (FOUNDING..count).rev().take_while(|product| first_version(product).valid_from >= before);
        count - u32::try_from(later.count()).unwrap_or_default()
    }

    /// Picks one of the first `launched` products that can be sold at both instants, the popular ones more often.
    ///
    /// Product 0 can always be sold and is the last resort.
    pub fn pick(&self, random: Random, launched: u32, earliest: i64, latest: i64) -> u32 {
        let mut bits = random;
        for _ in 0..ATTEMPTS {
            let popularity = scale(bits.high(), bits.high());
            let product = scale(popularity, launched);
            let is_sold = |at| self.version(product, at).is_some_and(Version::is_sold);
            if is_sold(earliest) && (latest == earliest || is_sold(latest)) {
                return product;
            }
            bits = bits.split(0);
        }
        0
    }

    /// The unit price that is valid at an instant, in cents.
    pub fn unit_price(&self, product: u32, at: i64) -> i64 {
        self.version(product, at).map_or(LOWEST_PRICE, |version| version.unit_price)
    }

    /// The log rows of a day, in the order of the log.
    ///
    /// # Errors
    /// `Internal` when the batch can't be assembled.
    pub fn rows(&self, ordinal: u32) -> Result<RecordBatch, Error> {
        let mut today: Vec<&Version> = self.versions.iter().filter(|version| version.ordinal == ordinal).collect();
        today.sort_by_key(|version| version.change.sequence);
        let (mut names, mut statuses) = (words(today.len(), 20), words(today.len(), 12));
        let mut log = LogColumns::with_valid_from(today.len());
        for version in &today {
            names.append_value(&self.names[version.product as usize]);
            statuses.append_value(if version.is_active { "active" } else { "discontinued" });
            log.push_valid_from(version.change, version.valid_from);
        }
        let numbers = |value: fn(&Version) -> i64| integers(today.iter().map(|version| value(version)).collect());
        let own = [
            numbers(|version| i64::from(version.product) + 1),
            text(&mut names),
            numbers(|version| version.unit_price),
            numbers(|version| version.cost_price),
            text(&mut statuses),
        ];
        PRODUCTS.batch(own.into_iter().chain(log.finish()).collect())
    }

    /// The version that is valid at an instant; sales are recent, so the search starts at the newest.
    #[inline]
    fn version(&self, product: u32, at: i64) -> Option<&Version> {
        let product = product as usize;
        let versions = &self.versions[self.begins[product]..self.begins[product + 1]];
        versions.iter().rev().find(|version| version.valid_from <= at)
    }
}

const ATTEMPTS: u32 = 16;

// Children of the catalogue's node, and of an event's.
const DAYS: u64 = 0;
const NAMES: u64 = 1;
const PRICES: u64 = 2;
const TIME: u64 = 0;
const KIND: u64 = 1;
const LATE: u64 = 2;

fn launch(random: Random, product: u32, ordinal: u32, change: Change) -> Version {
    let price = random.split(PRICES).split(u64::from(product));
    let unit_price = (5 + price.below(95)) * 100 + 99;
    Version {
        product,
        unit_price,
        cost_price: unit_price * (40 + price.split(0).below(30)) / 100,
        is_active: true,
        valid_from: change.changed_at,
        ordinal,
        change: Change { operation: Operation::Insert, ..change },
    }
}

/// What an event makes of the catalogue: mostly a new price; a launch when it meets a deleted product, so that the
/// catalogue never runs dry.
fn next_version(random: Random, event: Random, latest: &[Version], ordinal: u32, change: Change) -> Version {
    let count = u32::try_from(latest.len()).unwrap_or(u32::MAX);
    let product = scale(event.low(), count);
    let previous = latest[product as usize];
    let mut version = Version { valid_from: change.changed_at, ordinal, change, ..previous };
    let kind = event.split(KIND);
    match scale(kind.high(), 100) {
        _ if previous.change.operation == Operation::Delete => launch(random, count, ordinal, change),
        0..5 => launch(random, count, ordinal, change),
        5..12 if product > 0 => {
            version.change.operation = Operation::Delete;
            version
        }
        12..25 if product > 0 => {
            version.is_active = !previous.is_active;
            version
        }
        _ => {
            version.unit_price = (previous.unit_price * (85 + kind.split(0).below(33)) / 100).max(LOWEST_PRICE);
            if scale(kind.low(), 3) == 0 {
                version.cost_price = version.unit_price * 55 / 100;
            }
            let late = event.split(LATE);
            if scale(late.high(), 100) < 20 {
                // Never before the previous version holds: the order of validity stays the order of the log.
                version.valid_from = (change.changed_at - late.split(0).below(MOST_LATE)).max(previous.valid_from + 1);
            }
            version
        }
    }
}
