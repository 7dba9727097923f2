//! Rows of results, in the form that callers ask for.

use serde_json::{Value, json};

use super::schema;

/// Turns timestamps, which the emulator gives as whole microseconds, into seconds with a fraction, which is what BigQuery
/// gives unless asked for `formatOptions.useInt64Timestamp`.
/// <https://docs.cloud.google.com/bigquery/docs/reference/rest/v2/DataFormatOptions>
pub(crate) fn with_seconds(rows: &mut Value, table_schema: &Value) {
    for row in rows.as_array_mut().into_iter().flatten() {
        convert_record(row, table_schema);
    }
}

fn convert_record(record: &mut Value, of: &Value) {
    let cells = record.get_mut("f").and_then(Value::as_array_mut);
    for (cell, field) in cells.into_iter().flatten().zip(schema::fields(of)) {
        let Some(value) = cell.get_mut("v") else { continue };
        if field["mode"] == "REPEATED" {
            for element in value.as_array_mut().into_iter().flatten() {
                if let Some(value) = element.get_mut("v") {
                    convert(value, field);
                }
            }
        } else {
            convert(value, field);
        }
    }
}

fn convert(value: &mut Value, field: &Value) {
    match schema::rest_type(field["type"].as_str().unwrap_or_default()) {
        "RECORD" => convert_record(value, field),
        "TIMESTAMP" => {
            if let Some(microseconds) = value.as_str().and_then(|text| text.parse::<f64>().ok()) {
                *value = json!(format!("{:E}", microseconds / 1e6));
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_become_seconds_wherever_they_are() {
        let schema = json!({"fields": [
            {"name": "t", "type": "TIMESTAMP"}, {"name": "n", "type": "INTEGER"},
            {"name": "r", "type": "RECORD", "fields": [{"name": "ts", "type": "TIMESTAMP", "mode": "REPEATED"}]},
        ]});
        let mut rows = json!([{"f": [
            {"v": "1754024400000000"}, {"v": "1754024400000000"}, {"v": {"f": [{"v": [{"v": "1500000"}, {"v": null}]}]}},
        ]}]);
        with_seconds(&mut rows, &schema);
        let expected = json!([{"f": [
            {"v": "1.7540244E9"}, {"v": "1754024400000000"}, {"v": {"f": [{"v": [{"v": "1.5E0"}, {"v": null}]}]}},
        ]}]);
        assert_eq!(rows, expected);
    }
}
