//! Values of an answer, as the JSON that every back end gives.
//!
//! BigQuery writes every value as text, a list as `[{"v": ...}]` and a record as `{"f": [{"v": ...}]}`.
//!
//! | type | here |
//! |---|---|
//! | INT64, BOOL | number, boolean |
//! | FLOAT64 | number; NULL for what JSON can't write (NaN, infinity) |
//! | NUMERIC, BIGNUMERIC | text; BigQuery leaves out zeros at the end |
//! | DATE, TIME | text |
//! | TIMESTAMP, DATETIME | RFC 3339 text in UTC, as many decimals as needed |
//! | BYTES | text in hexadecimal |
//! | STRING, JSON, GEOGRAPHY, others | text as it is |
//! | STRUCT, ARRAY | object, list |

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::{DateTime, Time};
use serde_json::Value;

use super::schema::Field;
use crate::{Error, text};

/// The value of one cell.
pub(super) fn to_json(field: &Field, cell: Value) -> Result<Value, Error> {
    if field.is_repeated() {
        return elements(field, cell)?.into_iter().map(|element| single(field, element)).collect();
    }
    single(field, cell)
}

fn single(field: &Field, cell: Value) -> Result<Value, Error> {
    if cell.is_null() {
        return Ok(Value::Null);
    }
    if field.kind() == "STRUCT" {
        let cells = members(field, cell)?;
        let named = field.fields.iter().zip(cells).map(|(field, cell)| Ok((field.name.clone(), to_json(field, cell)?)));
        return Ok(Value::Object(named.collect::<Result<_, Error>>()?));
    }
    let shown = as_text(field, &cell)?;
    Ok(match field.kind() {
        "INT64" => integer(field, shown)?.into(),
        "FLOAT64" => float(field, shown)?.into(),
        "BOOL" => boolean(field, shown)?.into(),
        "TIMESTAMP" => text::instant(integer(field, shown)?).map_or(Value::Null, Value::from),
        "DATETIME" => text::datetime(datetime(field, shown)?).into(),
        "TIME" => time(field, shown)?.to_string().into(),
        "BYTES" => bytes(field, shown)?.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into(),
        _ => shown.into(),
    })
}

/// The cells of a list.
pub(super) fn elements(field: &Field, cell: Value) -> Result<Vec<Value>, Error> {
    match cell {
        // A list is never NULL in BigQuery.
        Value::Null => Ok(Vec::new()),
        Value::Array(cells) => {
            Ok(cells.into_iter().map(|mut cell| cell.get_mut("v").map(Value::take).unwrap_or_default()).collect())
        }
        _ => Err(unreadable(field)),
    }
}

/// The cells of a record, one a field.
pub(super) fn members(field: &Field, cell: Value) -> Result<Vec<Value>, Error> {
    let mut cell = cell;
    let Some(Value::Array(cells)) = cell.get_mut("f").map(Value::take) else { return Err(unreadable(field)) };
    if cells.len() != field.fields.len() {
        return Err(unreadable(field));
    }
    Ok(cells.into_iter().map(|mut cell| cell.get_mut("v").map(Value::take).unwrap_or_default()).collect())
}

pub(super) fn as_text<'cell>(field: &Field, cell: &'cell Value) -> Result<&'cell str, Error> {
    cell.as_str().ok_or_else(|| unreadable(field))
}

pub(super) fn integer(field: &Field, shown: &str) -> Result<i64, Error> {
    shown.parse().map_err(|_| unreadable(field))
}

pub(super) fn float(field: &Field, shown: &str) -> Result<f64, Error> {
    match shown {
        "Infinity" => Ok(f64::INFINITY),
        "-Infinity" => Ok(f64::NEG_INFINITY),
        other => other.parse().map_err(|_| unreadable(field)),
    }
}

pub(super) fn boolean(field: &Field, shown: &str) -> Result<bool, Error> {
    shown.parse().map_err(|_| unreadable(field))
}

pub(super) fn datetime(field: &Field, shown: &str) -> Result<DateTime, Error> {
    shown.parse().map_err(|_| unreadable(field))
}

pub(super) fn time(field: &Field, shown: &str) -> Result<Time, Error> {
    shown.parse().map_err(|_| unreadable(field))
}

pub(super) fn bytes(field: &Field, shown: &str) -> Result<Vec<u8>, Error> {
    STANDARD.decode(shown).map_err(|_| unreadable(field))
}

pub(super) fn unreadable(field: &Field) -> Error {
    Error::internal(format!(
        "column {} of an answer of BigQuery is not what its type, {}, says",
        field.name,
        field.sql_type()
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(kind: &str, cell: Value) -> Value {
        to_json(&Field::new("c", kind), cell).unwrap()
    }

    #[test]
    fn every_type_has_one_form() {
        for (kind, cell, expected) in [
            ("INTEGER", json!("-7"), json!(-7)),
            ("FLOAT", json!("1.5"), json!(1.5)),
            ("FLOAT64", json!("NaN"), json!(null)),
            ("BOOLEAN", json!("true"), json!(true)),
            ("NUMERIC", json!("12.5"), json!("12.5")),
            (
                "BIGNUMERIC",
                json!("0.00000000000000000000000000000000000001"),
                json!("0.00000000000000000000000000000000000001"),
            ),
            ("STRING", json!("12.5"), json!("12.5")),
            ("DATE", json!("2025-08-01"), json!("2025-08-01")),
            ("TIME", json!("10:11:12.500000"), json!("10:11:12.5")),
            ("DATETIME", json!("2025-08-01T01:02:03"), json!("2025-08-01T01:02:03Z")),
            ("DATETIME", json!("2025-08-01T01:02:03.500000"), json!("2025-08-01T01:02:03.5Z")),
            ("TIMESTAMP", json!("1754010123500000"), json!("2025-08-01T01:02:03.5Z")),
            ("BYTES", json!("YWI="), json!("6162")),
            ("JSON", json!("{\"a\":1}"), json!("{\"a\":1}")),
            ("STRING", json!(null), json!(null)),
        ] {
            assert_eq!(shown(kind, cell), expected, "{kind}");
        }
    }

    #[test]
    fn records_and_lists_nest() {
        let repeated = |field: Field| Field { mode: Some("REPEATED".to_owned()), ..field };
        let fields = vec![Field::new("a", "INTEGER"), repeated(Field::new("b", "STRING"))];
        let records = repeated(Field { fields, ..Field::new("r", "RECORD") });
        let cell = json!([{"v": {"f": [{"v": "1"}, {"v": [{"v": "x"}, {"v": "y"}]}]}}]);
        assert_eq!(to_json(&records, cell).unwrap(), json!([{"a": 1, "b": ["x", "y"]}]));
        assert_eq!(to_json(&records, json!([])).unwrap(), json!([]));
    }

    #[test]
    fn an_answer_that_is_not_of_its_type_is_refused() {
        for (kind, cell) in
            [("INTEGER", json!("x")), ("INTEGER", json!({})), ("TIME", json!("25:00")), ("BYTES", json!("%"))]
        {
            assert!(to_json(&Field::new("c", kind), cell).is_err(), "{kind}");
        }
    }
}
