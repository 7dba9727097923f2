//! PostgreSQL's binary values as Arrow arrays. What a type here can't hold is an error and never another value.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder, ListArray,
    StringBuilder, StructArray, Time64MicrosecondBuilder, TimestampMicrosecondBuilder,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use pipeline::{Column, ColumnType, Mode};

use super::contract::Check;
use crate::Error;

/// A batch is passed on at so many rows or bytes.
const ROWS: usize = 8192;
const BYTES: usize = 4 << 20;

/// PostgreSQL counts from 2000-01-01, Arrow from 1970-01-01.
const EPOCH_DAYS: i32 = 10_957;
const DAY: i64 = 86_400_000_000;
/// The days that BigQuery has, from 0001-01-01 to 9999-12-31, in Arrow's count.
const FIRST_DAY: i32 = -719_162;
const LAST_DAY: i32 = 2_932_896;

/// Makes batches of rows.
pub(super) struct Decoder {
    names: Vec<String>,
    builders: Vec<Builder>,
    rows: usize,
    bytes: usize,
}

enum Builder {
    Text(StringBuilder, Check),
    Integer(Int64Builder),
    Boolean(BooleanBuilder),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Instant(TimestampMicrosecondBuilder),
    Decimal(Decimal128Builder, u8, u8),
    Float(Float64Builder),
    Bytes(BinaryBuilder),
    /// The elements of all lists, and where each list ends.
    List(Box<Builder>, Vec<i32>),
}

impl Decoder {
    pub(super) fn new(columns: &[Column], checks: &[Check]) -> Self {
        let builders = columns.iter().zip(checks).map(|(column, check)| Builder::new(column, *check)).collect();
        let names = columns.iter().map(|column| column.name.to_string()).collect();
        Self { names, builders, rows: 0, bytes: 0 }
    }

    /// Rows since the last batch.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Takes the value of a column. Says why it can't be kept.
    pub(super) fn append(&mut self, place: usize, value: Option<&[u8]>) -> Result<(), String> {
        self.bytes += value.map_or(0, <[u8]>::len);
        match value {
            None => self.builders[place].append_null(),
            Some(value) => self.builders[place].append(value)?,
        }
        Ok(())
    }

    /// Ends a row, and tells whether there are enough for a batch.
    pub(super) fn end_row(&mut self) -> bool {
        self.rows += 1;
        self.rows >= ROWS || self.bytes >= BYTES
    }

    /// The rows so far, under the names of the contract.
    pub(super) fn take(&mut self) -> Result<StructArray, Error> {
        (self.rows, self.bytes) = (0, 0);
        let unmade = "rows could not be made a batch";
        let mut arrays = Vec::with_capacity(self.builders.len());
        for (name, builder) in self.names.iter().zip(&mut self.builders) {
            arrays.push((name.as_str(), builder.finish().map_err(Error::internal(unmade))?));
        }
        StructArray::try_from(arrays).map_err(Error::internal(unmade))
    }
}

impl Builder {
    fn new(column: &Column, check: Check) -> Self {
        let element = match &column.column_type {
            ColumnType::Integer => Self::Integer(Int64Builder::new()),
            ColumnType::Boolean => Self::Boolean(BooleanBuilder::new()),
            ColumnType::Date => Self::Date(Date32Builder::new()),
            ColumnType::Time => Self::Time(Time64MicrosecondBuilder::new()),
            ColumnType::Datetime | ColumnType::Timestamp => Self::Instant(TimestampMicrosecondBuilder::new()),
            ColumnType::Numeric { precision, scale } | ColumnType::Bignumeric { precision, scale } => {
                let data_type = DataType::Decimal128(*precision, scale.cast_signed());
                Self::Decimal(Decimal128Builder::new().with_data_type(data_type), *precision, *scale)
            }
            ColumnType::Float => Self::Float(Float64Builder::new()),
            ColumnType::Bytes => Self::Bytes(BinaryBuilder::new()),
            // Records are refused before.
            ColumnType::String | ColumnType::Json | ColumnType::Geography | ColumnType::Record(_) => {
                Self::Text(StringBuilder::new(), check)
            }
        };
        if column.mode == Mode::Repeated { Self::List(Box::new(element), vec![0]) } else { element }
    }

    fn append(&mut self, value: &[u8]) -> Result<(), String> {
        match self {
            Self::Text(builder, check) => {
                let text = std::str::from_utf8(value).map_err(|_| "it is no UTF-8".to_owned())?;
                check.look(text)?;
                builder.append_value(text);
            }
            Self::Integer(builder) => builder.append_value(i64::from_be_bytes(sized(value)?)),
            Self::Boolean(builder) => builder.append_value(sized::<1>(value)? != [0]),
            Self::Date(builder) => builder.append_value(date(i32::from_be_bytes(sized(value)?))?),
            Self::Time(builder) => match i64::from_be_bytes(sized(value)?) {
                time @ 0..DAY => builder.append_value(time),
                _ => return Err("it is 24:00, which is no time of a day".to_owned()),
            },
            Self::Instant(builder) => builder.append_value(instant(i64::from_be_bytes(sized(value)?))?),
            Self::Decimal(builder, precision, scale) => builder.append_value(decimal(value, *precision, *scale)?),
            Self::Float(builder) => builder.append_value(f64::from_be_bytes(sized(value)?)),
            Self::Bytes(builder) => builder.append_value(value),
            Self::List(element, ends) => {
                let count = list(value, |value| element.append(value))?;
                let end = i32::try_from(count).ok().and_then(|count| ends.last()?.checked_add(count));
                ends.push(end.ok_or("a list of so many elements has no place in a batch")?);
            }
        }
        Ok(())
    }

    fn append_null(&mut self) {
        match self {
            Self::Text(builder, _) => builder.append_null(),
            Self::Integer(builder) => builder.append_null(),
            Self::Boolean(builder) => builder.append_null(),
            Self::Date(builder) => builder.append_null(),
            Self::Time(builder) => builder.append_null(),
            Self::Instant(builder) => builder.append_null(),
            Self::Decimal(builder, ..) => builder.append_null(),
            Self::Float(builder) => builder.append_null(),
            Self::Bytes(builder) => builder.append_null(),
            // BigQuery knows no NULL lists, an empty one stands for both.
            Self::List(_, ends) => ends.extend(ends.last().copied()),
        }
    }

    fn finish(&mut self) -> Result<ArrayRef, arrow::error::ArrowError> {
        Ok(match self {
            Self::Text(builder, _) => Arc::new(builder.finish()),
            Self::Integer(builder) => Arc::new(builder.finish()),
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Time(builder) => Arc::new(builder.finish()),
            Self::Instant(builder) => Arc::new(builder.finish()),
            Self::Decimal(builder, ..) => Arc::new(builder.finish()),
            Self::Float(builder) => Arc::new(builder.finish()),
            Self::Bytes(builder) => Arc::new(builder.finish()),
            Self::List(element, ends) => {
                let ends = std::mem::replace(ends, vec![0]);
                let values = element.finish()?;
                let field = Arc::new(Field::new("element", values.data_type().clone(), true));
                Arc::new(ListArray::try_new(field, OffsetBuffer::new(ends.into()), values, None)?)
            }
        })
    }
}

impl Check {
    fn look(self, text: &str) -> Result<(), String> {
        match self {
            Self::None => Ok(()),
            Self::Json => match serde_json::from_str::<serde::de::IgnoredAny>(text) {
                Ok(_) => Ok(()),
                Err(_) => Err("it is a text that is no JSON; write it as JSON with to_json".to_owned()),
            },
            Self::Shape if is_shape(text) => Ok(()),
            Self::Shape => {
                Err("it is a text that is no shape; write it as well-known text, such as POINT (1 2)".to_owned())
            }
        }
    }
}

/// Whether a text begins as well-known text does, and closes what it opens. A server with PostGIS knows more.
fn is_shape(text: &str) -> bool {
    const KINDS: [&str; 7] =
        ["POINT", "LINESTRING", "POLYGON", "MULTIPOINT", "MULTILINESTRING", "MULTIPOLYGON", "GEOMETRYCOLLECTION"];
    let text = text.trim();
    let word: String = text.chars().take_while(char::is_ascii_alphabetic).collect();
    let rest = text[word.len()..].trim_start();
    let mut depth = 0_usize;
    let mut is_balanced = true;
    for character in rest.chars() {
        match character {
            '(' => depth += 1,
            ')' if depth > 0 => depth -= 1,
            ')' => is_balanced = false,
            _ => {}
        }
    }
    KINDS.contains(&word.to_ascii_uppercase().as_str())
        && is_balanced
        && depth == 0
        && (rest.eq_ignore_ascii_case("empty") || rest.starts_with('(') && rest.ends_with(')'))
}

fn sized<const LENGTH: usize>(value: &[u8]) -> Result<[u8; LENGTH], String> {
    value.try_into().map_err(|_| format!("it has {} bytes where {LENGTH} were expected", value.len()))
}

fn date(days: i32) -> Result<i32, String> {
    match days.checked_add(EPOCH_DAYS) {
        _ if matches!(days, i32::MIN | i32::MAX) => Err("it is infinite".to_owned()),
        Some(day @ FIRST_DAY..=LAST_DAY) => Ok(day),
        _ => Err("it is not of the years 1 to 9999".to_owned()),
    }
}

fn instant(microseconds: i64) -> Result<i64, String> {
    const FIRST: i64 = FIRST_DAY as i64 * DAY;
    const LAST: i64 = (LAST_DAY as i64 + 1) * DAY - 1;
    match microseconds.checked_add(i64::from(EPOCH_DAYS) * DAY) {
        _ if matches!(microseconds, i64::MIN | i64::MAX) => Err("it is infinite".to_owned()),
        Some(instant @ FIRST..=LAST) => Ok(instant),
        _ => Err("it is not of the years 1 to 9999".to_owned()),
    }
}

/// A list: three numbers of 32 bits (dimensions, whether there are NULLs, the type of the elements), for each dimension its length
/// and first index, and the elements, each behind its length in bytes. Hands each to `take`, and says how many there are.
fn list(value: &[u8], mut take: impl FnMut(&[u8]) -> Result<(), String>) -> Result<usize, String> {
    let broken = || "it is no list".to_owned();
    let mut rest = value;
    let number = |rest: &mut &[u8]| -> Result<i32, String> {
        let (bytes, after) = rest.split_first_chunk().ok_or_else(broken)?;
        *rest = after;
        Ok(i32::from_be_bytes(*bytes))
    };
    let dimensions = number(&mut rest)?;
    let _ = (number(&mut rest)?, number(&mut rest)?);
    let count = match dimensions {
        0 => 0,
        1 => {
            let count = number(&mut rest)?;
            number(&mut rest)?;
            usize::try_from(count).map_err(|_| broken())?
        }
        _ => return Err("it is a list of lists; take it as json".to_owned()),
    };
    for _ in 0..count {
        let length = number(&mut rest)?;
        if length == -1 {
            return Err(
                "it has a list with a NULL in it, which BigQuery has not; leave them out with array_remove".to_owned()
            );
        }
        let length = usize::try_from(length).map_err(|_| broken())?;
        let (element, after) = rest.split_at_checked(length).ok_or_else(broken)?;
        take(element)?;
        rest = after;
    }
    if rest.is_empty() { Ok(count) } else { Err(broken()) }
}

/// A numeric: four numbers of 16 bits (how many digits, the weight of the first, the sign, digits after the point that are
/// shown), and the digits, each from 0 to 9999.
fn decimal(value: &[u8], precision: u8, scale: u8) -> Result<i128, String> {
    let word = |at: usize| Some(i16::from_be_bytes(*value.get(2 * at..)?.first_chunk()?));
    let (Some(count), Some(weight), Some(sign), Some(_)) = (word(0), word(1), word(2), word(3)) else {
        return Err("it is no numeric".to_owned());
    };
    let is_negative = match sign.cast_unsigned() {
        0x0000 => false,
        0x4000 => true,
        0xC000 => return Err("it is NaN".to_owned()),
        _ => return Err("it is infinite".to_owned()),
    };
    let too_large = || format!("it has more than {} digits before the point", precision.saturating_sub(scale));
    let mut total: i128 = 0;
    for place in 0..count {
        let digit =
            usize::try_from(place).ok().and_then(|place| word(4 + place)).filter(|digit| (0..=9999).contains(digit));
        let digit = i128::from(digit.ok_or("it is no numeric")?);
        if digit == 0 {
            continue;
        }
        // The power of ten, in units of the last digit that is kept.
        let power = 4 * (i32::from(weight) - i32::from(place)) + i32::from(scale);
        let factor = 10_i128.checked_pow(power.unsigned_abs());
        let added = if power >= 0 {
            factor.and_then(|factor| digit.checked_mul(factor))
        } else {
            let divisor = factor.filter(|divisor| digit % divisor == 0);
            let more = || format!("it has more than {scale} decimals; say how they are rounded with `rounding`");
            Some(digit / divisor.ok_or_else(more)?)
        };
        total = added.and_then(|added| total.checked_add(added)).ok_or_else(too_large)?;
    }
    let limit = 10_i128.checked_pow(precision.into()).ok_or_else(too_large)?;
    if total >= limit {
        return Err(too_large());
    }
    Ok(if is_negative { -total } else { total })
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
