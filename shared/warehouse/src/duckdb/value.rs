//! Rows of a query as JSON values.

use ::duckdb::Connection;
use ::duckdb::types::{TimeUnit, Value as DuckValue};
use serde_json::Value;

use super::connection::sql_error;
use crate::{Error, Rows, text};

/// Reads at most `limit` rows.
pub(super) fn read(connection: &Connection, sql: &str, limit: usize) -> Result<Rows, Error> {
    let mut statement = connection.prepare(sql).map_err(sql_error("preparing a query"))?;
    let mut cursor = statement.query([]).map_err(sql_error("running a query"))?;
    let columns = cursor.as_ref().map(::duckdb::Statement::column_names).unwrap_or_default();
    let mut rows = Vec::new();
    let mut is_cut = false;
    while let Some(row) = cursor.next().map_err(sql_error("reading rows"))? {
        if rows.len() == limit {
            is_cut = true;
            break;
        }
        let mut values = Vec::with_capacity(columns.len());
        for column in 0..columns.len() {
            let value: DuckValue = row.get(column).map_err(sql_error("reading a value"))?;
            values.push(to_json(value));
        }
        rows.push(values);
    }
    Ok(Rows { columns, rows, is_cut })
}

fn microseconds(unit: TimeUnit, value: i64) -> i64 {
    match unit {
        TimeUnit::Second => value.saturating_mul(1_000_000),
        TimeUnit::Millisecond => value.saturating_mul(1_000),
        TimeUnit::Microsecond => value,
        TimeUnit::Nanosecond => value / 1_000,
    }
}

fn to_json(value: DuckValue) -> Value {
    match value {
        DuckValue::Null => Value::Null,
        DuckValue::Boolean(value) => value.into(),
        DuckValue::TinyInt(value) => value.into(),
        DuckValue::SmallInt(value) => value.into(),
        DuckValue::Int(value) => value.into(),
        DuckValue::BigInt(value) => value.into(),
        DuckValue::UTinyInt(value) => value.into(),
        DuckValue::USmallInt(value) => value.into(),
        DuckValue::UInt(value) => value.into(),
        DuckValue::UBigInt(value) => value.into(),
        // Sums of integers: a number where it fits one exactly, text where it does not.
        DuckValue::HugeInt(value) => i64::try_from(value).map_or_else(|_| value.to_string().into(), Value::from),
        DuckValue::Float(value) => f64::from(value).into(),
        DuckValue::Double(value) => value.into(),
        DuckValue::Decimal(value) => value.to_string().into(),
        DuckValue::Text(value) | DuckValue::Enum(value) => value.into(),
        DuckValue::Blob(value) => value.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into(),
        DuckValue::Date32(days) => jiff::civil::date(1970, 1, 1)
            .checked_add(jiff::Span::new().days(i64::from(days)))
            .map_or(Value::Null, |date| date.to_string().into()),
        DuckValue::Timestamp(unit, value) => text::instant(microseconds(unit, value)).map_or(Value::Null, Value::from),
        DuckValue::Time64(unit, value) => jiff::civil::Time::midnight()
            .checked_add(jiff::Span::new().microseconds(microseconds(unit, value)))
            .map_or(Value::Null, |time| time.to_string().into()),
        DuckValue::List(values) | DuckValue::Array(values) => values.into_iter().map(to_json).collect(),
        DuckValue::Struct(fields) => {
            Value::Object(fields.iter().map(|(name, value)| (name.clone(), to_json(value.clone()))).collect())
        }
        other => format!("{other:?}").into(),
    }
}
