//! The generator core: no input, no output, no clock.
//!
//! Every value is a pure function of the settings and of the row's place, so the partitions of a sandbox can be made in
//! any order, in any number of pieces, by any number of threads.
//!
//! Customers and transactions are as many as the scale says and are found by looking at cohorts. Everything else is small:
//! a history folded from the start. A new small table is a file with a `State`, its changes, and a line
//! in `Shop`.

use std::ops::Range;

use arrow::array::RecordBatch;
use jiff::{civil::Date, tz::TimeZone};

use crate::{Corruption, Error};
use calendar::{Day, Days};
use customers::Customers;
use fate::{MOST_MOVED, OLDEST};
use purchases::Purchases;
use random::Random;
use shelves::Shelves;
use shop::Shop;
use table::Table;
use till::Till;

mod authors;
mod authors_products;
pub mod calendar;
mod categories;
mod categories_products;
mod cells;
pub mod change;
pub mod channels;
mod columns;
pub mod customers;
pub mod dates;
mod employees;
pub mod fate;
mod history;
pub mod holidays;
mod links;
mod names;
mod payment_types;
mod places;
mod products;
mod promotion_groups;
mod promotion_groups_products;
mod promotions;
pub mod provinces;
mod publishers;
mod publishers_products;
pub mod purchases;
pub mod random;
mod returns;
mod shelves;
mod shop;
mod suppliers;
mod suppliers_products;
pub mod table;
mod till;
pub mod transaction_discounts;
pub mod transaction_headers;
pub mod transaction_lines;
pub mod transaction_payments;
mod transactions;

/// The tables with as many rows as there are customers and purchases, in the order in which [`Retail::piece`] yields them.
const LARGE: [&Table; 5] = [
    &customers::CUSTOMERS,
    transactions::TABLES[0],
    transactions::TABLES[1],
    transactions::TABLES[2],
    transactions::TABLES[3],
];

/// Every change log, in the order in which [`Retail::piece`] yields their rows.
pub const LOGS: [&Table; LARGE.len() + shop::TABLES.len()] = {
    let mut logs = [LARGE[0]; LARGE.len() + shop::TABLES.len()];
    let mut at = 0;
    while at < logs.len() {
        logs[at] = if at < LARGE.len() { LARGE[at] } else { shop::TABLES[at - LARGE.len()] };
        at += 1;
    }
    logs
};

/// Tables that are written once and have no log.
pub const STATIC: [&Table; 3] = [&channels::CHANNELS, &dates::DATE_DIMENSION, &holidays::HOLIDAYS];

/// Customers and purchases a piece, a cohort. Some 30 values a purchase make a piece a few megabytes.
const PIECE: u32 = 8_192;

/// Days beyond a partition that decide its content: who can still return something then, and at what price.
const HORIZON: u32 = OLDEST + 3;

// Children of the root.
const CUSTOMERS: u64 = 0;
const SHOP: u64 = 1;
const PURCHASES: u64 = 2;
const SHELVES: u64 = 3;

/// One partition of the retail sandbox.
#[derive(Debug)]
pub struct Retail {
    random: Random,
    days: Days,
    shop: Shop,
    shelves: Shelves,
    till: Till,
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
        let shop = Shop::new(random.split(SHOP), &days);
        // Nothing that is told of today was booked earlier than this.
        let first = ordinal.saturating_sub(OLDEST + MOST_MOVED);
        let from = days.get(first).begin;
        let begin = days.get(0).begin;
        let shelves = Shelves::new(random.split(SHELVES), &shop.products, &shop.categories_products, begin, from);
        let till = Till::new(&shop, &days, first..ordinal + 1);
        Ok(Self { random, days, shop, shelves, till, ordinal })
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

    /// The log rows of one piece, in the order of [`LOGS`]. The small tables are all in the first piece; a later one ends
    /// before them.
    ///
    /// # Errors
    /// `Internal` when a batch can't be assembled.
    pub fn piece(&self, number: u32, corrupt: Option<Corruption>) -> Result<Vec<RecordBatch>, Error> {
        let mut batches = vec![self.customers(number)?];
        batches.extend(self.transactions(number, corrupt)?);
        if number == 0 {
            for batch in self.small() {
                batches.push(batch?);
            }
        }
        Ok(batches)
    }

    /// The log rows of one piece of the customers.
    ///
    /// # Errors
    /// `Internal` when the batch can't be assembled.
    pub fn customers(&self, number: u32) -> Result<RecordBatch, Error> {
        Customers::new(self.random.split(CUSTOMERS)).rows(&self.days, self.ordinal, &numbers(number))
    }

    /// The log rows of one piece of the transactions: headers, lines, discounts and payments.
    ///
    /// # Errors
    /// `Internal` when a batch can't be assembled.
    pub fn transactions(&self, number: u32, corrupt: Option<Corruption>) -> Result<[RecordBatch; 4], Error> {
        let purchases = Purchases {
            random: self.random.split(PURCHASES),
            days: &self.days,
            customers: Customers::new(self.random.split(CUSTOMERS)),
            shop: &self.shop,
            shelves: &self.shelves,
            till: &self.till,
        };
        transactions::rows(purchases, self.ordinal, &numbers(number), corrupt)
    }

    /// The log rows of the small tables, one after the other.
    ///
    /// # Errors
    /// `Internal` when a batch can't be assembled.
    pub fn small(&self) -> impl Iterator<Item = Result<RecordBatch, Error>> {
        (0..shop::TABLES.len()).map(|table| self.shop.batch(table, self.ordinal))
    }
}

/// The numbers of the customers and purchases of a piece.
const fn numbers(piece: u32) -> Range<u32> {
    piece * PIECE..(piece + 1) * PIECE
}
