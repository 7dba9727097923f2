//! `channels`: where things are sold. Five rows without a log, as small reference tables often are.

use arrow::array::RecordBatch;

use super::{
    columns::{integers, text, timestamps, words},
    table::{Log, Table, Type},
};
use crate::Error;

/// The table.
pub const CHANNELS: Table = Table {
    name: "channels",
    key: &["channel_id"],
    columns: &[
        ("channel_id", Type::Integer),
        ("name", Type::Text),
        ("status", Type::Text),
        ("modified_at", Type::Timestamp),
    ],
    log: Log::None,
};

const NAMES: [&str; 5] = ["Web", "Mobile app", "Marketplace", "Telephone", "Store"];

/// The channel with employees.
pub const STORE: i64 = 5;

/// Purchases in 16 by channel: most on the web, hardly any by telephone.
const SHARES: [i64; 16] = [1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 4, 5, 5, 5];

/// The channel for some random bits.
#[inline]
pub fn pick(bits: u32) -> i64 {
    SHARES[(bits % 16) as usize]
}

/// Every row; `modified_at` is the instant at which the sandbox starts.
///
/// # Errors
/// `Internal` when the batch can't be assembled.
pub fn rows(modified_at: i64) -> Result<RecordBatch, Error> {
    let (mut names, mut statuses) = (words(NAMES.len(), 12), words(NAMES.len(), 6));
    for name in NAMES {
        names.append_value(name);
        statuses.append_value("active");
    }
    CHANNELS.batch(vec![
        integers((1..).take(NAMES.len()).collect()),
        text(&mut names),
        text(&mut statuses),
        timestamps(vec![modified_at; NAMES.len()]),
    ])
}
