//! Rows of results, written as BigQuery writes them.
//!
//! | type | the emulator | BigQuery |
//! |---|---|---|
//! | TIMESTAMP | whole microseconds | seconds, or whole microseconds if asked for `formatOptions.useInt64Timestamp` |
//! | NUMERIC, BIGNUMERIC | `1.100000000` | `1.1` |
//! | GEOGRAPHY | `POINT (1 2)` | `POINT(1 2)` |
//!
//! <https://docs.cloud.google.com/bigquery/docs/reference/rest/v2/DataFormatOptions>

use serde_json::{Value, json};

use super::schema;

/// Rewrites the rows of a result with these columns.
pub(crate) fn rewrite(rows: &mut Value, columns: &Value, integer_timestamps: bool) {
    for row in rows.as_array_mut().into_iter().flatten() {
        rewrite_record(row, columns, integer_timestamps);
    }
}

fn rewrite_record(record: &mut Value, columns: &Value, integer_timestamps: bool) {
    let cells = record.get_mut("f").and_then(Value::as_array_mut);
    for (cell, field) in cells.into_iter().flatten().zip(schema::fields(columns)) {
        let Some(value) = cell.get_mut("v") else { continue };
        if field["mode"] != "REPEATED" {
            rewrite_value(value, field, integer_timestamps);
            continue;
        }
        for element in value.as_array_mut().into_iter().flatten() {
            if let Some(value) = element.get_mut("v") {
                rewrite_value(value, field, integer_timestamps);
            }
        }
    }
}

fn rewrite_value(value: &mut Value, field: &Value, integer_timestamps: bool) {
    let kind = schema::rest_type(field["type"].as_str().unwrap_or_default());
    if kind == "RECORD" {
        return rewrite_record(value, field, integer_timestamps);
    }
    let Some(text) = value.as_str() else { return };
    *value = match kind {
        "TIMESTAMP" if !integer_timestamps => match text.parse::<f64>() {
            Ok(microseconds) => json!(format!("{:E}", microseconds / 1e6)),
            Err(_) => return,
        },
        "NUMERIC" | "BIGNUMERIC" if text.contains('.') => json!(text.trim_end_matches('0').trim_end_matches('.')),
        "GEOGRAPHY" => json!(text.replace(" (", "(")),
        _ => return,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_rewritten_wherever_they_are() {
        let columns = json!({"fields": [
            {"name": "t", "type": "TIMESTAMP"},
            {"name": "i", "type": "INTEGER"},
            {"name": "n", "type": "NUMERIC"},
            {"name": "g", "type": "GEOGRAPHY"},
            {"name": "r", "type": "RECORD", "fields": [{"name": "ts", "type": "TIMESTAMP", "mode": "REPEATED"}]},
        ]});
        let rows = |t: &str, n: &str, g: &str, ts: &str| {
            let nested = json!({"f": [{"v": [{"v": ts}, {"v": null}]}]});
            json!([{"f": [{"v": t}, {"v": "100"}, {"v": n}, {"v": g}, {"v": nested}]}])
        };
        let mut found = rows("1754024400000000", "100.500000000", "POINT (1 2)", "1500000");
        rewrite(&mut found, &columns, false);
        assert_eq!(found, rows("1.7540244E9", "100.5", "POINT(1 2)", "1.5E0"));
        let mut found = rows("1754024400000000", "100.000000000", "POINT (1 2)", "1500000");
        rewrite(&mut found, &columns, true);
        assert_eq!(found, rows("1754024400000000", "100", "POINT(1 2)", "1500000"));
    }
}
