//! The generator core: no input, no output, no clock.
//!
//! Every value is a pure function of the settings and of the row's place, so the partitions of a sandbox can be made in
//! any order, in any number of pieces, by any number of threads.

use std::ops::Range;

use arrow::array::RecordBatch;
use jiff::{civil::Date, tz::TimeZone};

use crate::{Corruption, Error};
use calendar::{Day, Days};
use customers::Customers;
use products::Catalogue;
use purchases::{OLDEST, Purchases};
use random::Random;
use table::Table;

pub mod calendar;
pub mod change;
pub mod channels;
mod columns;
pub mod customers;
pub mod dates;
pub mod holidays;
mod names;
pub mod products;
pub mod provinces;
pub mod purchases;
pub mod random;
pub mod table;
pub mod transaction_headers;
pub mod transaction_lines;
mod transactions;

/// The change logs, in the order in which [`Retail::piece`] yields their rows.
pub const LOGS: [&Table; 4] = [
    &customers::CUSTOMERS,
    &products::PRODUCTS,
    &transaction_headers::TRANSACTION_HEADERS,
    &transaction_lines::TRANSACTION_LINES,
];

/// Tables that are written once and have no log.
pub const STATIC: [&Table; 2] = [&channels::CHANNELS, &dates::DATE_DIMENSION];

/// Customers and purchases a piece, a cohort. Some 30 values a purchase make a piece a few megabytes.
const PIECE: u32 = 8_192;

/// Days beyond a partition that decide its content: who can still return something then, and at what price.
const HORIZON: u32 = OLDEST + 3;

// Children of the root.
const CUSTOMERS: u64 = 0;
const CATALOGUE: u64 = 1;
const PURCHASES: u64 = 2;

/// One partition of the retail sandbox.
#[derive(Debug)]
pub struct Retail {
    random: Random,
    days: Days,
    catalogue: Catalogue,
    ordinal: u32,
}

impl Retail {
    /// The partition of the day `ordinal` days after the start.
    ///
    /// # Errors
    /// `Rejected` when the scale is too large.
    pub fn new(seed: u64, start: Date, zone: &TimeZone, scale: f64, ordinal: u32) -> Result<Self, Error> {
        let random = Random::new(seed);
        let days = Days::new(start, zone, scale, ordinal + HORIZON)?;
        let catalogue = Catalogue::new(random.split(CATALOGUE), &days);
        Ok(Self { random, days, catalogue, ordinal })
    }

    /// The day of the partition.
    pub fn day(&self) -> &Day {
        self.days.get(self.ordinal)
    }

    /// The number of pieces. It depends on the settings and the day alone, so the rows and their order do, too.
    pub fn pieces(&self) -> u32 {
        let rows = (0..=self.ordinal).rev().take(customers::OLDEST as usize + 1).map(|ordinal| {
            let day = self.days.get(ordinal);
            day.customers.max(day.purchases)
        });
        rows.max().unwrap_or(1).div_ceil(PIECE)
    }

    /// The log rows of one piece, in the order of [`LOGS`].
    ///
    /// # Errors
    /// `Internal` when a batch can't be assembled.
    pub fn piece(&self, number: u32, corrupt: Option<Corruption>) -> Result<[RecordBatch; 4], Error> {
        let numbers: Range<u32> = number * PIECE..(number + 1) * PIECE;
        let customers = Customers::new(self.random.split(CUSTOMERS));
        let purchases = Purchases::new(self.random.split(PURCHASES), &self.days, customers, &self.catalogue);
        let [headers, lines] = transactions::rows(purchases, self.ordinal, &numbers, corrupt)?;
        // The catalogue is small: the first piece has all of it.
        let products = self.catalogue.rows(self.ordinal)?;
        Ok([
            customers.rows(&self.days, self.ordinal, &numbers)?,
            if number == 0 { products } else { products.slice(0, 0) },
            headers,
            lines,
        ])
    }
}
