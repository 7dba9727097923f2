//! `transaction_discounts_log`: what promotions took off, in the order in which they did.

use arrow::array::RecordBatch;

use super::{
    change::Change,
    columns::{Identifiers, LogColumns, Numbers, integers},
    table::{Log, Table, Type},
    till::Discount,
};
use crate::Error;

/// The table.
pub const TRANSACTION_DISCOUNTS: Table = Table {
    name: "transaction_discounts_log",
    key: &["transaction_id", "discount_number"],
    columns: &[
        ("transaction_id", Type::Identifier),
        ("discount_number", Type::Integer),
        ("promotion_id", Type::Integer),
        ("line_number", Type::Integer),
        ("discounted_units", Type::Integer),
        ("amount_cents", Type::Integer),
    ],
    log: Log::Events,
};

/// Discounts under construction.
#[derive(Debug)]
pub(super) struct Discounts {
    identifiers: Identifiers,
    numbers: Vec<i64>,
    promotions: Vec<i64>,
    lines: Numbers,
    units: Numbers,
    amounts: Vec<i64>,
    log: LogColumns,
}

impl Discounts {
    /// Room for this many.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            identifiers: Identifiers::new(capacity),
            numbers: Vec::with_capacity(capacity),
            promotions: Vec::with_capacity(capacity),
            lines: Numbers::new(capacity),
            units: Numbers::new(capacity),
            amounts: Vec::with_capacity(capacity),
            log: LogColumns::new(capacity),
        }
    }

    /// Appends one, counted from 1.
    pub(super) fn push(&mut self, transaction: u128, number: u32, discount: &Discount, change: Change) {
        self.identifiers.push(transaction);
        self.numbers.push(i64::from(number));
        self.promotions.push(i64::from(discount.promotion) + 1);
        self.lines.push(discount.line.map(i64::from));
        self.units.push(discount.units);
        self.amounts.push(discount.amount);
        self.log.push(change.lane(number));
    }

    /// The finished batch.
    ///
    /// # Errors
    /// `Internal` when the batch can't be assembled.
    pub(super) fn finish(self) -> Result<RecordBatch, Error> {
        let own = [
            self.identifiers.finish(),
            integers(self.numbers),
            integers(self.promotions),
            self.lines.finish(),
            self.units.finish(),
            integers(self.amounts),
        ];
        TRANSACTION_DISCOUNTS.batch(own.into_iter().chain(self.log.finish()).collect())
    }
}
