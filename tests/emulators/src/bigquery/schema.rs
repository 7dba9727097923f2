//! Schemas of tables: what BigQuery refuses in them, and what the emulator forgets of them.

use serde_json::Value;

use crate::refusal::Refusal;

/// Prefixes that no column may have, in any case.
/// <https://docs.cloud.google.com/bigquery/docs/schemas#column_names>
const RESERVED_PREFIXES: [&str; 6] =
    ["_TABLE_", "_FILE_", "_PARTITION", "_ROW_TIMESTAMP", "__ROOT__", "_COLIDENTIFIER"];

/// Attributes of a column that the emulator does not keep.
const FORGOTTEN: [&str; 7] =
    ["precision", "scale", "maxLength", "roundingMode", "defaultValueExpression", "collation", "policyTags"];

/// The name that the REST interface has for a type.
pub(crate) fn rest_type(kind: &str) -> &str {
    match kind {
        "INT64" => "INTEGER",
        "FLOAT64" => "FLOAT",
        "BOOL" => "BOOLEAN",
        "STRUCT" => "RECORD",
        "DECIMAL" => "NUMERIC",
        "BIGDECIMAL" => "BIGNUMERIC",
        other => other,
    }
}

pub(crate) fn fields(schema: &Value) -> &[Value] {
    schema["fields"].as_array().map(Vec::as_slice).unwrap_or_default()
}

pub(crate) fn name(field: &Value) -> &str {
    field["name"].as_str().unwrap_or_default()
}

/// Refuses reserved, malformed and repeated names of columns, and a type that the emulator lacks.
pub(crate) fn check(schema: &Value) -> Result<(), Refusal> {
    let mut seen: Vec<String> = Vec::new();
    for field in fields(schema) {
        let name = name(field);
        let upper = name.to_ascii_uppercase();
        let legal = !name.is_empty() && name.chars().count() <= 300;
        if !legal || RESERVED_PREFIXES.iter().any(|prefix| upper.starts_with(prefix)) {
            return Err(Refusal::invalid(format!(
                "Invalid field name \"{name}\". Field names are not allowed to start with the \
                 (case-insensitive) prefixes {}",
                RESERVED_PREFIXES.join(", ")
            )));
        }
        if seen.contains(&upper) {
            return Err(Refusal::invalid(format!("Duplicate field name: {name}")));
        }
        seen.push(upper);
        if rest_type(field["type"].as_str().unwrap_or_default()) == "BIGNUMERIC" {
            return Err(Refusal::not_emulated(format_args!("columns of type BIGNUMERIC, such as {name}")));
        }
        check(field)?;
    }
    Ok(())
}

/// Adds to `schema`, which the emulator gave, what it forgot of `declared`.
pub(crate) fn remember(schema: &mut Value, declared: &Value) {
    let Some(fields) = schema.get_mut("fields").and_then(Value::as_array_mut) else { return };
    for field in fields {
        let Some(known) = self::fields(declared).iter().find(|known| name(known).eq_ignore_ascii_case(name(field)))
        else {
            continue;
        };
        for key in FORGOTTEN {
            if let Some(value) = known.get(key) {
                field[key] = value.clone();
            }
        }
        remember(field, known);
    }
}

/// Whether rows of a Parquet column of the first type may be loaded into a column of the second.
/// <https://docs.cloud.google.com/bigquery/docs/loading-data-cloud-storage-parquet#parquet_conversions>
pub(crate) fn is_loadable(from: &Value, to: &Value) -> bool {
    let kind = |field: &Value| rest_type(field["type"].as_str().unwrap_or_default()).to_owned();
    let is_repeated = |field: &Value| field["mode"] == "REPEATED";
    if is_repeated(from) != is_repeated(to) {
        return false;
    }
    match (kind(from).as_str(), kind(to).as_str()) {
        ("RECORD", "RECORD") => fields(from).iter().all(|inner| {
            fields(to).iter().any(|known| name(known).eq_ignore_ascii_case(name(inner)) && is_loadable(inner, known))
        }),
        // Both are decimals in Parquet, and both are text there.
        ("NUMERIC", "BIGNUMERIC") | ("STRING", "JSON" | "GEOGRAPHY") => true,
        (from, to) => from == to,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reserved_prefixes_are_refused_in_any_case_and_depth() {
        for name in ["_TABLE_x", "_file_", "_PartitionTime", "_ROW_TIMESTAMP", "__root__a", "_colIdentifier"] {
            let nested =
                json!({"fields": [{"name": "a", "type": "RECORD", "fields": [{"name": name, "type": "STRING"}]}]});
            assert!(check(&nested).is_err(), "{name}");
        }
        assert_eq!(check(&json!({"fields": [{"name": "_partial", "type": "STRING"}]})), Ok(()));
    }

    #[test]
    fn what_the_emulator_lacks_is_said_aloud() {
        let nested = json!({"fields": [{"name": "r", "fields": [{"name": "big", "type": "BIGDECIMAL"}]}]});
        assert_eq!(check(&nested), Err(Refusal::not_emulated("columns of type BIGNUMERIC, such as big")));
    }

    #[test]
    fn repeated_names_are_refused() {
        assert!(check(&json!({"fields": [{"name": "a"}, {"name": "A"}]})).is_err());
    }

    #[test]
    fn forgotten_attributes_come_back_where_they_were() {
        let declared = json!({"fields": [{"name": "r", "fields": [{"name": "n", "precision": "10", "scale": "2"}]}]});
        let mut schema = json!({"fields": [{"name": "r", "fields": [{"name": "n", "type": "NUMERIC"}]}]});
        remember(&mut schema, &declared);
        assert_eq!(
            schema["fields"][0]["fields"][0],
            json!({"name": "n", "type": "NUMERIC", "precision": "10", "scale": "2"})
        );
    }

    #[test]
    fn types_must_fit() {
        let field = |kind: &str| json!({"name": "a", "type": kind});
        assert!(is_loadable(&field("INTEGER"), &field("INT64")));
        assert!(is_loadable(&field("STRING"), &field("JSON")));
        assert!(!is_loadable(&field("STRING"), &field("INT64")));
        assert!(!is_loadable(&field("DATETIME"), &field("TIMESTAMP")));
        assert!(!is_loadable(&json!({"name": "a", "type": "STRING", "mode": "REPEATED"}), &field("STRING")));
    }
}
