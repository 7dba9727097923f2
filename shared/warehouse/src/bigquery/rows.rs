//! Rows of an answer as Arrow arrays, for the digest that every back end gives to equal rows.
//!
//! | BigQuery | Arrow | DuckDB has |
//! |---|---|---|
//! | INT64 | Int64 | Int64, Decimal128(38, 0) |
//! | FLOAT64 | Float64 | Float64 |
//! | NUMERIC | Decimal128(38, 9) | Decimal128(p, s) |
//! | BIGNUMERIC | Decimal256(76, 38) | Decimal128(p, s) |
//! | BOOL | Boolean | Boolean |
//! | STRING, JSON, GEOGRAPHY, others | Utf8 | Utf8 |
//! | BYTES | Binary | Binary |
//! | DATE | Date32 | Date32 |
//! | TIME | Time64(µs) | Time64(µs) |
//! | DATETIME | Timestamp(µs) | Timestamp(µs) |
//! | TIMESTAMP | Timestamp(µs, UTC) | Timestamp(µs, UTC) |
//! | STRUCT, ARRAY | Struct, List | Struct, List |
//!
//! The digest takes a number for what it is worth, whatever its width and scale, and a timestamp without a zone as UTC.
//! Texts are compared byte by byte: JSON and GEOGRAPHY, which BigQuery rewrites, differ from what was loaded.

use std::sync::Arc;

use ::rows::RowDigest;
use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array, Float64Array, Int64Array,
    ListArray, RecordBatch, StringArray, StructArray, Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Fields, Schema, SchemaRef, TimeUnit, i256};
use arrow::error::ArrowError;
use jiff::civil::{Date, DateTime, date};
use serde_json::Value;
use wap::Digest;

use super::schema::Field;
use super::values;
use crate::Error;

const NUMERIC: (u8, i8) = (38, 9);
const BIGNUMERIC: (u8, i8) = (76, 38);

/// A digest in the making.
#[derive(Debug)]
pub(super) struct Digester {
    schema: SchemaRef,
    digest: RowDigest,
}

impl Digester {
    pub(super) fn new(fields: &[Field]) -> Result<Self, Error> {
        let schema = Arc::new(Schema::new(fields.iter().map(arrow_field).collect::<Vec<_>>()));
        let digest = RowDigest::new(&schema, &[]).map_err(digesting)?;
        Ok(Self { schema, digest })
    }

    /// Adds the cells of some rows.
    pub(super) fn add(&mut self, fields: &[Field], rows: Vec<Vec<Value>>) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        let number = rows.len();
        let mut columns: Vec<Vec<Value>> = fields.iter().map(|_| Vec::with_capacity(number)).collect();
        for row in rows {
            for (column, value) in columns.iter_mut().zip(row) {
                column.push(value);
            }
        }
        let arrays = fields.iter().zip(columns).map(|(field, cells)| array(field, cells));
        let batch = RecordBatch::try_new(self.schema.clone(), arrays.collect::<Result<_, _>>()?).map_err(building)?;
        self.digest.update(&batch).map_err(digesting)
    }

    pub(super) fn finish(&self) -> Digest {
        self.digest.finish()
    }
}

fn digesting(source: ::rows::Error) -> Error {
    Error::Internal { what: "digesting rows".to_owned(), source: Some(Box::new(source)) }
}

fn building(source: ArrowError) -> Error {
    Error::Internal { what: "reading rows of an answer".to_owned(), source: Some(Box::new(source)) }
}

fn arrow_field(field: &Field) -> arrow::datatypes::Field {
    let element = element_type(field);
    let data_type = if field.is_repeated() { DataType::List(list_field(element)) } else { element };
    arrow::datatypes::Field::new(&field.name, data_type, true)
}

fn list_field(element: DataType) -> Arc<arrow::datatypes::Field> {
    Arc::new(arrow::datatypes::Field::new("element", element, true))
}

fn struct_fields(field: &Field) -> Fields {
    field.fields.iter().map(arrow_field).collect()
}

fn element_type(field: &Field) -> DataType {
    match field.kind() {
        "INT64" => DataType::Int64,
        "FLOAT64" => DataType::Float64,
        "NUMERIC" => DataType::Decimal128(NUMERIC.0, NUMERIC.1),
        "BIGNUMERIC" => DataType::Decimal256(BIGNUMERIC.0, BIGNUMERIC.1),
        "BOOL" => DataType::Boolean,
        "BYTES" => DataType::Binary,
        "DATE" => DataType::Date32,
        "TIME" => DataType::Time64(TimeUnit::Microsecond),
        "DATETIME" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "TIMESTAMP" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        "STRUCT" => DataType::Struct(struct_fields(field)),
        _ => DataType::Utf8,
    }
}

fn array(field: &Field, cells: Vec<Value>) -> Result<ArrayRef, Error> {
    if !field.is_repeated() {
        return single(field, cells);
    }
    let mut lengths = Vec::with_capacity(cells.len());
    let mut all = Vec::new();
    for cell in cells {
        let elements = values::elements(field, cell)?;
        lengths.push(elements.len());
        all.extend(elements);
    }
    let offsets = OffsetBuffer::from_lengths(lengths);
    let list = ListArray::try_new(list_field(element_type(field)), offsets, single(field, all)?, None);
    Ok(Arc::new(list.map_err(building)?))
}

fn single(field: &Field, cells: Vec<Value>) -> Result<ArrayRef, Error> {
    if field.kind() == "STRUCT" {
        return record(field, cells);
    }
    let mut shown = Vec::with_capacity(cells.len());
    for cell in &cells {
        shown.push(if cell.is_null() { None } else { Some(values::as_text(field, cell)?) });
    }
    let unreadable = || values::unreadable(field);
    Ok(match field.kind() {
        "INT64" => Arc::new(each::<_, Int64Array>(&shown, |text| values::integer(field, text))?),
        "FLOAT64" => Arc::new(each::<_, Float64Array>(&shown, |text| values::float(field, text))?),
        "BOOL" => Arc::new(each::<_, BooleanArray>(&shown, |text| values::boolean(field, text))?),
        "BYTES" => Arc::new(each::<_, BinaryArray>(&shown, |text| values::bytes(field, text))?),
        "NUMERIC" => {
            let digits = each::<_, Decimal128Array>(&shown, |text| {
                decimal(text, NUMERIC.1).and_then(i256::to_i128).ok_or_else(unreadable)
            })?;
            Arc::new(digits.with_precision_and_scale(NUMERIC.0, NUMERIC.1).map_err(building)?)
        }
        "BIGNUMERIC" => {
            let digits = each::<_, Decimal256Array>(&shown, |text| decimal(text, BIGNUMERIC.1).ok_or_else(unreadable))?;
            Arc::new(digits.with_precision_and_scale(BIGNUMERIC.0, BIGNUMERIC.1).map_err(building)?)
        }
        "DATE" => Arc::new(each::<_, Date32Array>(&shown, |text| days(text).ok_or_else(unreadable))?),
        "TIME" => {
            let midnight = DateTime::from(date(1970, 1, 1));
            Arc::new(each::<_, Time64MicrosecondArray>(&shown, |text| {
                let time = values::time(field, text)?;
                microseconds(midnight.date().to_datetime(time)).ok_or_else(unreadable)
            })?)
        }
        "DATETIME" => Arc::new(each::<_, TimestampMicrosecondArray>(&shown, |text| {
            microseconds(values::datetime(field, text)?).ok_or_else(unreadable)
        })?),
        "TIMESTAMP" => {
            let instants = each::<_, TimestampMicrosecondArray>(&shown, |text| values::integer(field, text))?;
            Arc::new(instants.with_timezone("UTC"))
        }
        _ => Arc::new(shown.into_iter().collect::<StringArray>()),
    })
}

/// An array of values, and of NULL where there is none.
fn each<T, A: FromIterator<Option<T>>>(
    shown: &[Option<&str>],
    read: impl Fn(&str) -> Result<T, Error>,
) -> Result<A, Error> {
    shown.iter().map(|text| text.map(&read).transpose()).collect()
}

fn record(field: &Field, cells: Vec<Value>) -> Result<ArrayRef, Error> {
    let valid: NullBuffer = cells.iter().map(|cell| !cell.is_null()).collect::<Vec<bool>>().into();
    let mut columns: Vec<Vec<Value>> = field.fields.iter().map(|_| Vec::with_capacity(cells.len())).collect();
    for cell in cells {
        let members = if cell.is_null() { vec![Value::Null; columns.len()] } else { values::members(field, cell)? };
        for (column, value) in columns.iter_mut().zip(members) {
            column.push(value);
        }
    }
    let arrays = field.fields.iter().zip(columns).map(|(field, cells)| array(field, cells));
    let record = StructArray::try_new(struct_fields(field), arrays.collect::<Result<_, _>>()?, Some(valid));
    Ok(Arc::new(record.map_err(building)?))
}

/// A decimal number, also in scientific notation, as digits with so many decimals. Nothing if it has more.
fn decimal(shown: &str, scale: i8) -> Option<i256> {
    let (mantissa, exponent) = match shown.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (shown, 0),
    };
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = format!("{whole}{fraction}");
    if digits.is_empty() {
        return None;
    }
    let zeros = i32::from(scale) + exponent - i32::try_from(fraction.len()).ok()?;
    if let Ok(zeros) = usize::try_from(zeros) {
        digits.extend(std::iter::repeat_n('0', zeros));
    } else {
        let cut = digits.len().checked_sub(usize::try_from(-zeros).ok()?)?;
        if digits[cut..].bytes().any(|digit| digit != b'0') {
            return None;
        }
        digits.truncate(cut);
    }
    let digits = digits.trim_start_matches('0');
    let value = if digits.is_empty() { i256::ZERO } else { i256::from_string(digits)? };
    Some(if negative { value.wrapping_neg() } else { value })
}

fn days(shown: &str) -> Option<i32> {
    let day: Date = shown.parse().ok()?;
    date(1970, 1, 1).until((jiff::Unit::Day, day)).ok().map(|span| span.get_days())
}

fn microseconds(moment: DateTime) -> Option<i64> {
    let since = DateTime::from(date(1970, 1, 1)).until((jiff::Unit::Microsecond, moment)).ok()?;
    Some(since.get_microseconds())
}

#[cfg(test)]
mod tests {
    use arrow::array::types::Decimal128Type;
    use arrow::array::{Array, AsArray};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn digest(fields: &[Field], rows: Vec<Vec<Value>>) -> Digest {
        let mut digester = Digester::new(fields).unwrap();
        digester.add(fields, rows).unwrap();
        digester.finish()
    }

    fn digest_of(fields: Vec<(&str, ArrayRef)>) -> Digest {
        let batch = RecordBatch::try_from_iter(fields).unwrap();
        let mut digest = RowDigest::new(&batch.schema(), &[]).unwrap();
        digest.update(&batch).unwrap();
        digest.finish()
    }

    #[test]
    fn rows_are_digested_as_duckdb_rows_are() {
        let fields = [
            Field::new("i", "INTEGER"),
            Field::new("n", "NUMERIC"),
            Field::new("d", "DATE"),
            Field::new("t", "TIMESTAMP"),
            Field::new("w", "DATETIME"),
            Field::new("c", "TIME"),
            Field::new("y", "BYTES"),
        ];
        let row = [
            json!("7"),
            json!("12.5"),
            json!("2025-08-01"),
            json!("1754010123500000"),
            json!("9999-12-31T23:59:59.999999"),
            json!("10:11:12.500000"),
            json!("YWI="),
        ];
        let nulls = vec![Value::Null; fields.len()];
        let decimals = Decimal128Array::from(vec![Some(1250), None]).with_precision_and_scale(12, 2).unwrap();
        let expected = digest_of(vec![
            ("i", Arc::new(Int64Array::from(vec![Some(7), None]))),
            ("n", Arc::new(decimals)),
            ("d", Arc::new(Date32Array::from(vec![Some(20_301), None]))),
            ("t", Arc::new(TimestampMicrosecondArray::from(vec![Some(1_754_010_123_500_000), None]))),
            ("w", Arc::new(TimestampMicrosecondArray::from(vec![Some(253_402_300_799_999_999), None]))),
            ("c", Arc::new(Time64MicrosecondArray::from(vec![Some(36_672_500_000), None]))),
            ("y", Arc::new(BinaryArray::from(vec![Some(b"ab".as_slice()), None]))),
        ]);
        assert_eq!(digest(&fields, vec![row.to_vec(), nulls]), expected);
    }

    #[test]
    fn lists_and_records_are_digested_by_their_parts() {
        let list = Field { mode: Some("REPEATED".to_owned()), ..Field::new("l", "STRING") };
        let record = Field { fields: vec![Field::new("a", "INTEGER"), list], ..Field::new("r", "RECORD") };
        let some = json!({"f": [{"v": "1"}, {"v": [{"v": "x"}, {"v": "y"}]}]});
        let other = json!({"f": [{"v": "1"}, {"v": [{"v": "y"}, {"v": "x"}]}]});
        let fields = [record];
        let found = |cell: &Value| digest(&fields, vec![vec![cell.clone()], vec![Value::Null]]);
        assert_eq!(found(&some), found(&some));
        assert_ne!(found(&some), found(&other), "a list has an order");
    }

    #[test]
    fn decimals_are_read_exactly() {
        for (shown, scale, expected) in [
            ("0", 9, Some(0)),
            ("-1.5", 9, Some(-1_500_000_000)),
            ("1E2", 2, Some(10_000)),
            ("1.25e-1", 3, Some(125)),
            ("1.2500", 2, Some(125)),
            ("1.255", 2, None),
            ("-0.0", 2, Some(0)),
            ("x", 2, None),
            ("", 2, None),
        ] {
            let expected = expected.map(i256::from_i128);
            assert_eq!(decimal(shown, scale), expected, "{shown}");
        }
        let widest = "99999999999999999999999999999.999999999";
        let array = single(&Field::new("n", "NUMERIC"), vec![json!(widest)]).unwrap();
        assert_eq!(array.as_primitive::<Decimal128Type>().value(0).to_string(), widest.replace('.', ""));
        assert_eq!(array.null_count(), 0);
    }

    proptest! {
        #[test]
        fn decimals_come_back(digits in any::<i64>(), scale in 0_i8..9) {
            let mut shown = format!("{:0>20}", digits.unsigned_abs());
            shown.insert(shown.len() - usize::try_from(scale).unwrap(), '.');
            let shown = format!("{}{shown}", if digits < 0 { "-" } else { "" });
            prop_assert_eq!(decimal(&shown, scale), Some(i256::from_i128(digits.into())));
        }

        #[test]
        fn datetimes_come_back(expected in -62_135_596_800_000_000_i64..253_402_300_800_000_000) {
            let shown = crate::text::instant(expected).unwrap();
            let moment: DateTime = shown.trim_end_matches('Z').parse().unwrap();
            prop_assert_eq!(microseconds(moment), Some(expected));
        }
    }
}
