//! Columns under construction. Vectors of plain values become Arrow arrays without a copy.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BooleanArray, Date32Array, FixedSizeBinaryArray, Int64Array, NullBufferBuilder, StringArray,
        StringBuilder, TimestampMicrosecondArray,
    },
    buffer::{Buffer, OffsetBuffer},
};
use jiff::civil::{Date, date};

use super::change::{Change, Operation};

/// Identifiers, some of which may be missing.
#[derive(Debug)]
pub(super) struct Identifiers {
    bytes: Vec<u8>,
    present: NullBufferBuilder,
}

impl Identifiers {
    /// Room for this many.
    pub(super) fn new(capacity: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity * 16), present: NullBufferBuilder::new(capacity) }
    }

    /// Appends one.
    #[inline]
    pub(super) fn push(&mut self, identifier: u128) {
        self.bytes.extend_from_slice(&identifier.to_be_bytes());
        self.present.append_non_null();
    }

    /// Appends one, or a null.
    #[inline]
    pub(super) fn push_option(&mut self, identifier: Option<u128>) {
        self.bytes.extend_from_slice(&identifier.unwrap_or_default().to_be_bytes());
        self.present.append(identifier.is_some());
    }

    /// The finished column.
    pub(super) fn finish(mut self) -> ArrayRef {
        let bytes = Buffer::from_vec(self.bytes);
        Arc::new(FixedSizeBinaryArray::new(16, bytes, self.present.finish()))
    }
}

/// Texts, none of which is missing. A text may be written part by part.
#[derive(Debug)]
pub(super) struct Texts {
    ends: Vec<i32>,
    bytes: Vec<u8>,
}

impl Texts {
    /// Room for this many of an average length.
    pub(super) fn new(capacity: usize, length: usize) -> Self {
        let mut ends = Vec::with_capacity(capacity + 1);
        ends.push(0);
        Self { ends, bytes: Vec::with_capacity(capacity * length) }
    }

    /// Appends a part of a text.
    #[inline]
    pub(super) fn part(&mut self, part: &str) {
        self.bytes.extend_from_slice(part.as_bytes());
    }

    /// Appends a number as a part of a text.
    #[inline]
    pub(super) fn digits(&mut self, mut number: u32) {
        let mut digits = [b'0'; 10];
        let mut first = digits.len();
        while first == digits.len() || number > 0 {
            first -= 1;
            digits[first] = b"0123456789"[(number % 10) as usize];
            number /= 10;
        }
        self.bytes.extend_from_slice(&digits[first..]);
    }

    /// Ends a text. A piece is far below the 2 GiB that offsets of 32 bits reach.
    #[inline]
    pub(super) fn end(&mut self) {
        self.ends.push(i32::try_from(self.bytes.len()).unwrap_or(i32::MAX));
    }

    /// Appends a whole text.
    #[inline]
    pub(super) fn push(&mut self, text: &str) {
        self.part(text);
        self.end();
    }

    /// The finished column.
    pub(super) fn finish(self) -> ArrayRef {
        Arc::new(StringArray::new(OffsetBuffer::new(self.ends.into()), Buffer::from_vec(self.bytes), None))
    }
}

/// Numbers, some of which may be missing.
#[derive(Debug)]
pub(super) struct Numbers {
    values: Vec<i64>,
    present: NullBufferBuilder,
}

impl Numbers {
    /// Room for this many.
    pub(super) fn new(capacity: usize) -> Self {
        Self { values: Vec::with_capacity(capacity), present: NullBufferBuilder::new(capacity) }
    }

    /// Appends one, or a null.
    #[inline]
    pub(super) fn push(&mut self, value: Option<i64>) {
        self.values.push(value.unwrap_or_default());
        self.present.append(value.is_some());
    }

    /// Appends the id of a row counted from 0, or a null.
    #[inline]
    pub(super) fn push_id(&mut self, row: Option<u32>) {
        self.push(row.map(|row| i64::from(row) + 1));
    }

    /// The finished column.
    pub(super) fn finish(mut self) -> ArrayRef {
        Arc::new(Int64Array::new(self.values.into(), self.present.finish()))
    }
}

/// The columns with which every row of a change log ends.
#[derive(Debug)]
pub(super) struct LogColumns {
    is_deleted: Vec<bool>,
    valid_from: Option<Vec<i64>>,
    changed_at: Vec<i64>,
    change_sequence: Vec<i64>,
    operation: Texts,
}

impl LogColumns {
    /// Room for this many rows.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            is_deleted: Vec::with_capacity(capacity),
            valid_from: None,
            changed_at: Vec::with_capacity(capacity),
            change_sequence: Vec::with_capacity(capacity),
            operation: Texts::new(capacity, 6),
        }
    }

    /// Room for this many rows that also say from when on a state holds.
    pub(super) fn with_valid_from(capacity: usize) -> Self {
        Self { valid_from: Some(Vec::with_capacity(capacity)), ..Self::new(capacity) }
    }

    /// Appends a change.
    #[inline]
    pub(super) fn push(&mut self, change: Change) {
        self.is_deleted.push(change.operation == Operation::Delete);
        self.changed_at.push(change.changed_at);
        self.change_sequence.push(change.sequence);
        self.operation.push(change.operation.name());
    }

    /// Appends a change whose state holds from an instant on.
    pub(super) fn push_valid_from(&mut self, change: Change, valid_from: i64) {
        self.valid_from.get_or_insert_default().push(valid_from);
        self.push(change);
    }

    /// The finished columns: `is_deleted`, `valid_from` if the table has it, `changed_at`, `change_sequence`,
    /// `operation`.
    pub(super) fn finish(self) -> impl Iterator<Item = ArrayRef> {
        std::iter::once(booleans(self.is_deleted)).chain(self.valid_from.map(timestamps)).chain([
            timestamps(self.changed_at),
            integers(self.change_sequence),
            self.operation.finish(),
        ])
    }
}

/// A builder of text with room for rows of an average length.
pub(super) fn words(capacity: usize, length: usize) -> StringBuilder {
    StringBuilder::with_capacity(capacity, capacity * length)
}

/// A column of text.
pub(super) fn text(words: &mut StringBuilder) -> ArrayRef {
    Arc::new(words.finish())
}

/// A column of integers.
pub(super) fn integers(values: Vec<i64>) -> ArrayRef {
    Arc::new(Int64Array::from(values))
}

/// A column of instants.
pub(super) fn timestamps(values: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(values))
}

/// A column of dates, as days since 1970.
pub(super) fn dates(values: Vec<i32>) -> ArrayRef {
    Arc::new(Date32Array::from(values))
}

/// A column of truth values.
pub(super) fn booleans(values: Vec<bool>) -> ArrayRef {
    Arc::new(BooleanArray::from(values))
}

/// Days since 1970.
pub(super) fn epoch_day(day: Date) -> i32 {
    (day - date(1970, 1, 1)).get_days()
}
