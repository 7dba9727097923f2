//! The four tables of transactions together, so that a transaction is always told whole - or spoiled on purpose.

use std::ops::Range;

use arrow::array::RecordBatch;

use super::{
    change::{Change, Operation},
    fate::Delivery,
    purchases::{News, Purchases, Totals, Transaction},
    random::Random,
    table::Table,
    transaction_discounts::{Discounts, TRANSACTION_DISCOUNTS},
    transaction_headers::{Headers, TRANSACTION_HEADERS},
    transaction_lines::{Lines, TRANSACTION_LINES},
    transaction_payments::{Payments, TRANSACTION_PAYMENTS},
};
use crate::{Corruption, Error};

/// The tables, in the order in which [`rows`] yields theirs.
pub(super) const TABLES: [&Table; 4] =
    [&TRANSACTION_HEADERS, &TRANSACTION_LINES, &TRANSACTION_DISCOUNTS, &TRANSACTION_PAYMENTS];

/// The lane of a row that only a corruption adds.
const SPARE_LANE: u32 = 127;

/// The rows of a day about purchases whose number lies in a range.
///
/// A corruption spoils the first purchase of the day, and with it the range that begins with it.
///
/// # Errors
/// `Internal` when a batch can't be assembled.
pub(super) fn rows(
    purchases: Purchases<'_>,
    ordinal: u32,
    numbers: &Range<u32>,
    corrupt: Option<Corruption>,
) -> Result<[RecordBatch; 4], Error> {
    let mut rows = Rows::new(numbers.len().min(purchases.days.get(ordinal).purchases as usize));
    let mut corrupt = corrupt.filter(|_| numbers.start == 0);
    purchases.visit(ordinal, numbers, |news| {
        if news.delivery == Delivery::First
            && let Some(corruption) = corrupt.take()
        {
            rows.spoil(corruption, news.transaction);
            return;
        }
        rows.push(news);
    });
    rows.finish()
}

struct Rows {
    headers: Headers,
    lines: Lines,
    discounts: Discounts,
    payments: Payments,
}

impl Rows {
    fn new(purchases: usize) -> Self {
        // Some 5 % more headers than purchases, 3.1 lines a header, 1.3 discounts and payments.
        let expected = purchases + purchases / 8 + 16;
        Self {
            headers: Headers::new(expected),
            lines: Lines::new(expected * 3),
            discounts: Discounts::new(expected * 3 / 2),
            payments: Payments::new(expected * 3 / 2),
        }
    }

    fn push(&mut self, news: News<'_>) {
        let transaction = news.transaction;
        self.headers.push(Some(transaction.identifier), transaction, transaction.totals);
        self.lines.push(transaction);
        let (change, known) = (transaction.change, news.before.map(|before| before.discounts.len()));
        for (number, discount) in (1..).zip(&transaction.discounts) {
            // On another date there may be more of them than before,
            let is_new = known.is_some_and(|known| number as usize > known);
            let change = if is_new { Change { operation: Operation::Insert, ..change } } else { change };
            self.discounts.push(transaction.identifier, number, discount, change);
        }
        if let Some(before) = news.before {
            // or fewer.
            let gone = Change { operation: Operation::Delete, ..change };
            for (number, discount) in (1..).zip(&before.discounts).skip(transaction.discounts.len()) {
                self.discounts.push(transaction.identifier, number, discount, gone);
            }
        }
        self.pay(transaction);
    }

    fn pay(&mut self, transaction: &Transaction) {
        for (number, payment) in (1..).zip(transaction.payments()) {
            self.payments.push(transaction.identifier, number, *payment, transaction.change);
        }
    }

    fn spoil(&mut self, corruption: Corruption, transaction: &Transaction) {
        // Nothing is taken off it and it is paid at once, so that only what is meant to be wrong is.
        let mut spoiled = transaction.clone();
        let identifier = Some(transaction.identifier);
        let spare = transaction.change.lane(SPARE_LANE);
        spoiled.discounts.clear();
        if corruption == Corruption::NegativePrice
            && let Some(line) = spoiled.lines_mut().first_mut()
        {
            line.unit_price = -line.unit_price;
        }
        let subtotal: i64 = spoiled.lines().iter().map(super::purchases::Line::total).sum();
        let totals = Totals { subtotal, discount: 0, tax: spoiled.province.tax(subtotal) };
        spoiled.totals = totals;
        match corruption {
            Corruption::NegativePrice => {}
            Corruption::OrphanLine => {
                let nobody = Random::new(transaction.change.sequence.unsigned_abs()).identifier();
                for line in transaction.lines().iter().take(1) {
                    self.lines.push_line(nobody, 1, line, spare);
                }
            }
            Corruption::NullKey => {
                let mut nameless = spoiled.clone();
                nameless.change = spare;
                self.headers.push(None, &nameless, totals);
            }
            Corruption::DuplicateKey => {
                let mut elsewhere = spoiled.clone();
                elsewhere.channel = transaction.channel % 4 + 1;
                elsewhere.employee = None;
                self.headers.push(identifier, &elsewhere, totals);
            }
            Corruption::WrongTotal => spoiled.totals.subtotal += 100,
        }
        let total = spoiled.totals.total();
        spoiled.pay_at_once(total);
        self.headers.push(identifier, &spoiled, spoiled.totals);
        self.lines.push(&spoiled);
        self.pay(&spoiled);
    }

    fn finish(self) -> Result<[RecordBatch; 4], Error> {
        Ok([self.headers.finish()?, self.lines.finish()?, self.discounts.finish()?, self.payments.finish()?])
    }
}
