//! `transaction_lines_log`: the products of a transaction. Some rows are in the log twice, to the byte.

use arrow::array::RecordBatch;

use super::{
    change::Change,
    columns::{Identifiers, LogColumns, integers},
    purchases::{Line, Transaction},
    table::{Log, Table, Type},
};
use crate::Error;

/// The table.
pub const TRANSACTION_LINES: Table = Table {
    name: "transaction_lines_log",
    key: &["transaction_id", "line_number"],
    columns: &[
        ("transaction_id", Type::Identifier),
        ("line_number", Type::Integer),
        ("product_id", Type::Integer),
        ("quantity", Type::Integer),
        ("unit_price_cents", Type::Integer),
        ("gross_line_total_cents", Type::Integer),
    ],
    log: Log::Events,
};

/// Lines under construction.
#[derive(Debug)]
pub struct Lines {
    identifiers: Identifiers,
    numbers: Vec<i64>,
    products: Vec<i64>,
    quantities: Vec<i64>,
    prices: Vec<i64>,
    totals: Vec<i64>,
    log: LogColumns,
}

impl Lines {
    /// Room for this many.
    pub fn new(capacity: usize) -> Self {
        Self {
            identifiers: Identifiers::new(capacity),
            numbers: Vec::with_capacity(capacity),
            products: Vec::with_capacity(capacity),
            quantities: Vec::with_capacity(capacity),
            prices: Vec::with_capacity(capacity),
            totals: Vec::with_capacity(capacity),
            log: LogColumns::new(capacity),
        }
    }

    /// Appends every line of a transaction.
    pub fn push(&mut self, transaction: &Transaction) {
        for (number, line) in (1..).zip(transaction.lines()) {
            for _ in 0..=u32::from(line.is_twice) {
                self.push_line(transaction.identifier, number, line, transaction.change.lane(number));
            }
        }
    }

    /// Appends one line.
    #[inline]
    pub fn push_line(&mut self, transaction: u128, number: u32, line: &Line, change: Change) {
        self.identifiers.push(transaction);
        self.numbers.push(i64::from(number));
        self.products.push(i64::from(line.product) + 1);
        self.quantities.push(line.quantity);
        self.prices.push(line.unit_price);
        self.totals.push(line.total());
        self.log.push(change);
    }

    /// The finished batch.
    ///
    /// # Errors
    /// `Internal` when the batch can't be assembled.
    pub fn finish(self) -> Result<RecordBatch, Error> {
        let own = [
            self.identifiers.finish(),
            integers(self.numbers),
            integers(self.products),
            integers(self.quantities),
            integers(self.prices),
            integers(self.totals),
        ];
        TRANSACTION_LINES.batch(own.into_iter().chain(self.log.finish()).collect())
    }
}
