//! `transaction_headers_log`: who bought what for how much, and when.

use arrow::array::RecordBatch;

use super::{
    columns::{Identifiers, LogColumns, Numbers, Texts, integers, timestamps},
    purchases::{Totals, Transaction},
    table::{Log, Table, Type},
};
use crate::Error;

/// The table.
pub const TRANSACTION_HEADERS: Table = Table {
    name: "transaction_headers_log",
    key: &["transaction_id"],
    columns: &[
        ("transaction_id", Type::Identifier),
        ("customer_id", Type::Identifier),
        ("channel_id", Type::Integer),
        ("employee_id", Type::Integer),
        ("type", Type::Text),
        ("original_transaction_id", Type::Identifier),
        ("transaction_at", Type::Timestamp),
        ("gross_subtotal_cents", Type::Integer),
        ("total_discount_cents", Type::Integer),
        ("total_tax_cents", Type::Integer),
        ("total_cents", Type::Integer),
    ],
    log: Log::Events,
};

/// Headers under construction.
#[derive(Debug)]
pub struct Headers {
    identifiers: Identifiers,
    customers: Identifiers,
    channels: Vec<i64>,
    employees: Numbers,
    types: Texts,
    originals: Identifiers,
    instants: Vec<i64>,
    subtotals: Vec<i64>,
    discounts: Vec<i64>,
    taxes: Vec<i64>,
    totals: Vec<i64>,
    log: LogColumns,
}

impl Headers {
    /// Room for this many.
    pub fn new(capacity: usize) -> Self {
        Self {
            identifiers: Identifiers::new(capacity),
            customers: Identifiers::new(capacity),
            channels: Vec::with_capacity(capacity),
            employees: Numbers::new(capacity),
            types: Texts::new(capacity, 8),
            originals: Identifiers::new(capacity),
            instants: Vec::with_capacity(capacity),
            subtotals: Vec::with_capacity(capacity),
            discounts: Vec::with_capacity(capacity),
            taxes: Vec::with_capacity(capacity),
            totals: Vec::with_capacity(capacity),
            log: LogColumns::new(capacity),
        }
    }

    /// Appends the header of a transaction, under this id.
    pub fn push(&mut self, identifier: Option<u128>, transaction: &Transaction, totals: Totals) {
        let kind = if transaction.original.is_some() { "Return" } else { "Purchase" };
        self.identifiers.push_option(identifier);
        self.customers.push(transaction.customer);
        self.channels.push(transaction.channel);
        self.employees.push_id(transaction.employee);
        self.types.push(kind);
        self.originals.push_option(transaction.original);
        self.instants.push(transaction.at);
        self.subtotals.push(totals.subtotal);
        self.discounts.push(totals.discount);
        self.taxes.push(totals.tax);
        self.totals.push(totals.total());
        self.log.push(transaction.change);
    }

    /// The finished batch.
    ///
    /// # Errors
    /// `Internal` when the batch can't be assembled.
    pub fn finish(self) -> Result<RecordBatch, Error> {
        let own = [
            self.identifiers.finish(),
            self.customers.finish(),
            integers(self.channels),
            self.employees.finish(),
            self.types.finish(),
            self.originals.finish(),
            timestamps(self.instants),
            integers(self.subtotals),
            integers(self.discounts),
            integers(self.taxes),
            integers(self.totals),
        ];
        TRANSACTION_HEADERS.batch(own.into_iter().chain(self.log.finish()).collect())
    }
}
