//! Headers and lines together, so that a transaction is always told whole - or spoiled on purpose.

use std::ops::Range;

use arrow::array::RecordBatch;

use super::{
    purchases::{Delivery, Purchases, Transaction},
    random::Random,
    transaction_headers::{Headers, Totals},
    transaction_lines::Lines,
};
use crate::{Corruption, Error};

/// The lane of a row that only a corruption adds; lines use 1 to 8.
const SPARE_LANE: u32 = 127;

/// The header and line rows of a day about purchases whose number lies in a range.
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
) -> Result<[RecordBatch; 2], Error> {
    // Some 5 % more headers than purchases, and 3.1 lines a header.
    let expected = numbers.len() + numbers.len() / 8 + 1;
    let (mut headers, mut lines) = (Headers::new(expected), Lines::new(expected * 3));
    let mut corrupt = corrupt.filter(|_| numbers.start == 0);
    purchases.visit(ordinal, numbers, |delivery, transaction| {
        if delivery == Delivery::First
            && let Some(corruption) = corrupt.take()
        {
            spoil(corruption, transaction, &mut headers, &mut lines);
            return;
        }
        headers.push(Some(transaction.identifier), transaction, Totals::of(transaction));
        lines.push(transaction);
    });
    Ok([headers.finish()?, lines.finish()?])
}

fn spoil(corruption: Corruption, transaction: &Transaction, headers: &mut Headers, lines: &mut Lines) {
    let mut spoiled = *transaction;
    let mut totals = Totals::of(transaction);
    let identifier = Some(transaction.identifier);
    let spare = transaction.change.lane(SPARE_LANE);
    match corruption {
        Corruption::NegativePrice => {
            if let Some(line) = spoiled.lines_mut().first_mut() {
                line.unit_price = -line.unit_price;
            }
            totals = Totals::of(&spoiled);
        }
        Corruption::OrphanLine => {
            let nobody = Random::new(transaction.change.sequence.unsigned_abs()).identifier();
            for line in transaction.lines().iter().take(1) {
                lines.push_line(nobody, 1, line, spare);
            }
        }
        Corruption::NullKey => {
            let mut nameless = *transaction;
            nameless.change = spare;
            headers.push(None, &nameless, totals);
        }
        Corruption::DuplicateKey => {
            let mut elsewhere = *transaction;
            elsewhere.channel = transaction.channel % 4 + 1;
            headers.push(identifier, &elsewhere, totals);
        }
        Corruption::WrongTotal => totals.subtotal += 100,
    }
    headers.push(identifier, &spoiled, totals);
    lines.push(&spoiled);
}
