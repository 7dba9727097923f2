//! `transaction_payments_log`: how a transaction was paid, or paid back.

use arrow::array::RecordBatch;

use super::{
    change::Change,
    columns::{Identifiers, LogColumns, integers},
    purchases::Payment,
    table::{Log, Table, Type},
};
use crate::Error;

/// The table.
pub const TRANSACTION_PAYMENTS: Table = Table {
    name: "transaction_payments_log",
    key: &["transaction_id", "payment_number"],
    columns: &[
        ("transaction_id", Type::Identifier),
        ("payment_number", Type::Integer),
        ("payment_type_id", Type::Integer),
        ("amount_cents", Type::Integer),
    ],
    log: Log::Events,
};

/// Payments under construction.
#[derive(Debug)]
pub(super) struct Payments {
    identifiers: Identifiers,
    numbers: Vec<i64>,
    types: Vec<i64>,
    amounts: Vec<i64>,
    log: LogColumns,
}

impl Payments {
    /// Room for this many.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            identifiers: Identifiers::new(capacity),
            numbers: Vec::with_capacity(capacity),
            types: Vec::with_capacity(capacity),
            amounts: Vec::with_capacity(capacity),
            log: LogColumns::new(capacity),
        }
    }

    /// Appends one, counted from 1.
    pub(super) fn push(&mut self, transaction: u128, number: u32, payment: Payment, change: Change) {
        self.identifiers.push(transaction);
        self.numbers.push(i64::from(number));
        self.types.push(i64::from(payment.payment_type) + 1);
        self.amounts.push(payment.amount);
        self.log.push(change.lane(number));
    }

    /// The finished batch.
    ///
    /// # Errors
    /// `Internal` when the batch can't be assembled.
    pub(super) fn finish(self) -> Result<RecordBatch, Error> {
        let own = [self.identifiers.finish(), integers(self.numbers), integers(self.types), integers(self.amounts)];
        TRANSACTION_PAYMENTS.batch(own.into_iter().chain(self.log.finish()).collect())
    }
}
