//! The contract's columns as BigQuery has them, and how they come out of Parquet.
//!
//! | contract | Parquet holds | a load job gives | raw |
//! |---|---|---|---|
//! | string, integer, boolean, date, time, datetime, timestamp, float, bytes | the same | the same | the same |
//! | numeric | DECIMAL | NUMERIC | NUMERIC(p, s) |
//! | bignumeric that fits no NUMERIC | DECIMAL | BIGNUMERIC | BIGNUMERIC(p, s) |
//! | bignumeric that does | DECIMAL | NUMERIC | BIGNUMERIC(p, s), by a cast |
//! | json | text | STRING | JSON, by `PARSE_JSON`: load jobs refuse JSON columns in Parquet |
//! | geography | well-known text | STRING | GEOGRAPHY, by `ST_GEOGFROMTEXT` |
//! | record, repeated | structs, lists | RECORD, REPEATED | the same, field by field |
//!
//! Where every column is loaded as it is in raw, one load job replaces a partition. Otherwise rows go through a staging
//! table.

use pipeline::{Column, ColumnType, Mode, Rounding};
use serde::{Deserialize, Deserializer, Serialize};
use wap::{LOAD_COLUMN, PARTITION_COLUMN, PARTITION_START_COLUMN};

/// A NUMERIC has at most this many digits before and after the point.
const NUMERIC_WHOLE_DIGITS: u8 = 29;
const NUMERIC_DECIMALS: u8 = 9;

/// The schema of a table or of a query's answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Schema {
    #[serde(default)]
    pub(super) fields: Vec<Field>,
}

/// A column, by the names of the REST API: <https://cloud.google.com/bigquery/docs/reference/rest/v2/tables#TableFieldSchema>.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Field {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) data_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mode: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) precision: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) scale: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rounding_mode: Option<String>,
    #[serde(default, deserialize_with = "or_none", skip_serializing_if = "Vec::is_empty")]
    pub(super) fields: Vec<Field>,
}

/// Emulators write `null` for no fields.
fn or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Field>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Field {
    pub(super) fn new(name: &str, data_type: &str) -> Self {
        Self { name: name.to_owned(), data_type: data_type.to_owned(), ..Self::default() }
    }

    pub(super) fn is_repeated(&self) -> bool {
        self.mode.as_deref() == Some("REPEATED")
    }

    fn is_required(&self) -> bool {
        self.mode.as_deref() == Some("REQUIRED")
    }

    /// The type as SQL names it. The API answers with the older names.
    pub(super) fn kind(&self) -> &str {
        match self.data_type.as_str() {
            "INTEGER" => "INT64",
            "FLOAT" => "FLOAT64",
            "BOOLEAN" => "BOOL",
            "RECORD" => "STRUCT",
            other => other,
        }
    }

    /// The type in SQL, with fields and lists.
    pub(super) fn sql_type(&self) -> String {
        let element = if self.kind() == "STRUCT" {
            let fields: Vec<String> =
                self.fields.iter().map(|field| format!("`{}` {}", field.name, field.sql_type())).collect();
            format!("STRUCT<{}>", fields.join(", "))
        } else {
            self.kind().to_owned()
        };
        if self.is_repeated() { format!("ARRAY<{element}>") } else { element }
    }
}

/// The columns of a table in raw: the contract's, and the pipeline's own.
pub(super) fn raw_fields(columns: &[Column]) -> Vec<Field> {
    let mut fields: Vec<Field> = columns.iter().map(field).collect();
    fields.extend(own_fields());
    fields
}

/// The columns that the pipeline adds to each row.
pub(super) fn own_fields() -> [Field; 3] {
    let described = |name: &str, data_type: &str, description: &str| Field {
        description: Some(description.to_owned()),
        ..Field::new(name, data_type)
    };
    [
        described(PARTITION_COLUMN, "STRING", "The partition that the row was extracted in."),
        described(PARTITION_START_COLUMN, "DATETIME", "When that partition began, by the pipeline's clocks."),
        described(LOAD_COLUMN, "STRING", "The extraction that wrote the row."),
    ]
}

fn field(column: &Column) -> Field {
    let (data_type, precision, fields) = match &column.column_type {
        ColumnType::String => ("STRING", None, Vec::new()),
        ColumnType::Integer => ("INTEGER", None, Vec::new()),
        ColumnType::Boolean => ("BOOLEAN", None, Vec::new()),
        ColumnType::Date => ("DATE", None, Vec::new()),
        ColumnType::Time => ("TIME", None, Vec::new()),
        ColumnType::Datetime => ("DATETIME", None, Vec::new()),
        ColumnType::Timestamp => ("TIMESTAMP", None, Vec::new()),
        ColumnType::Numeric { precision, scale } => ("NUMERIC", Some((precision, scale)), Vec::new()),
        ColumnType::Bignumeric { precision, scale } => ("BIGNUMERIC", Some((precision, scale)), Vec::new()),
        ColumnType::Float => ("FLOAT", None, Vec::new()),
        ColumnType::Bytes => ("BYTES", None, Vec::new()),
        ColumnType::Json => ("JSON", None, Vec::new()),
        ColumnType::Geography => ("GEOGRAPHY", None, Vec::new()),
        ColumnType::Record(columns) => ("RECORD", None, columns.iter().map(field).collect()),
    };
    let mode = match column.mode {
        Mode::Required => "REQUIRED",
        Mode::Nullable => "NULLABLE",
        Mode::Repeated => "REPEATED",
    };
    let rounding = |rounding: Rounding| match rounding {
        Rounding::HalfAwayFromZero => "ROUND_HALF_AWAY_FROM_ZERO",
        Rounding::HalfEven => "ROUND_HALF_EVEN",
    };
    Field {
        name: column.name.as_str().to_owned(),
        data_type: data_type.to_owned(),
        mode: Some(mode.to_owned()),
        description: column.description.clone(),
        precision: precision.map(|(precision, _)| precision.to_string()),
        scale: precision.map(|(_, scale)| scale.to_string()),
        rounding_mode: column.rounding.map(|kind| rounding(kind).to_owned()),
        fields,
    }
}

/// Whether a load job gives the column as it is in raw.
pub(super) fn is_loaded_as_it_is(column: &Column) -> bool {
    match &column.column_type {
        ColumnType::Json | ColumnType::Geography => false,
        ColumnType::Bignumeric { precision, scale } => !fits_numeric(*precision, *scale),
        ColumnType::Record(fields) => fields.iter().all(is_loaded_as_it_is),
        _ => true,
    }
}

fn fits_numeric(precision: u8, scale: u8) -> bool {
    scale <= NUMERIC_DECIMALS && precision.saturating_sub(scale) <= NUMERIC_WHOLE_DIGITS
}

/// The column of a staging table: the type that a load job gives, and no demands.
pub(super) fn staged_field(column: &Column) -> Field {
    let mut staged = field(column);
    staged.description = None;
    staged.rounding_mode = None;
    if column.mode == Mode::Required {
        staged.mode = Some("NULLABLE".to_owned());
    }
    match &column.column_type {
        ColumnType::Json | ColumnType::Geography => "STRING".clone_into(&mut staged.data_type),
        ColumnType::Bignumeric { precision, scale } if fits_numeric(*precision, *scale) => {
            "NUMERIC".clone_into(&mut staged.data_type);
        }
        ColumnType::Record(fields) => staged.fields = fields.iter().map(staged_field).collect(),
        _ => {}
    }
    staged
}

/// The expression that gives the column of raw from that of the staging table.
pub(super) fn converted(column: &Column) -> String {
    expression(&format!("`{}`", column.name), column, 0)
}

fn expression(input: &str, column: &Column, depth: usize) -> String {
    if is_loaded_as_it_is(column) {
        return input.to_owned();
    }
    if column.mode == Mode::Repeated {
        let element = format!("element_{depth}");
        let value = value(&element, &column.column_type, depth + 1);
        // A list keeps its order.
        return format!(
            "ARRAY(SELECT {value} FROM UNNEST({input}) AS {element} WITH OFFSET AS place_{depth} ORDER BY place_{depth})"
        );
    }
    match &column.column_type {
        ColumnType::Record(_) => format!("IF({input} IS NULL, NULL, {})", value(input, &column.column_type, depth)),
        scalar => value(input, scalar, depth),
    }
}

fn value(input: &str, column_type: &ColumnType, depth: usize) -> String {
    match column_type {
        ColumnType::Json => format!("PARSE_JSON({input})"),
        ColumnType::Geography => format!("ST_GEOGFROMTEXT({input})"),
        ColumnType::Bignumeric { .. } => format!("CAST({input} AS BIGNUMERIC)"),
        ColumnType::Record(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|field| {
                    let value = expression(&format!("{input}.`{}`", field.name), field, depth);
                    format!("{value} AS `{}`", field.name)
                })
                .collect();
            format!("STRUCT({})", fields.join(", "))
        }
        _ => input.to_owned(),
    }
}

/// How a table differs from the contract.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Difference {
    None,
    /// It lacks these columns, which may be NULL.
    Lacks(Vec<Field>),
    /// It can't be made to fit; in words.
    Other(String),
}

/// Compares a table's columns with those that it should have.
pub(super) fn difference(found: &[Field], wanted: &[Field]) -> Difference {
    let mut lacking = Vec::new();
    for field in wanted {
        let Some(there) = found.iter().find(|there| there.name.eq_ignore_ascii_case(&field.name)) else {
            if field.is_required() {
                return Difference::Other(format!("column {} is required, and is not there", field.name));
            }
            lacking.push(field.clone());
            continue;
        };
        if let Some(how) = mismatch(there, field) {
            return Difference::Other(how);
        }
    }
    let stray = found.iter().find(|there| !wanted.iter().any(|field| field.name.eq_ignore_ascii_case(&there.name)));
    match stray {
        Some(stray) => Difference::Other(format!("column {} is not in the contract", stray.name)),
        None if lacking.is_empty() => Difference::None,
        None => Difference::Lacks(lacking),
    }
}

fn mismatch(found: &Field, wanted: &Field) -> Option<String> {
    let parameters = |field: &Field| field.precision.clone().zip(field.scale.clone());
    let same_parameters = parameters(found).is_none() || parameters(found) == parameters(wanted);
    let same_mode = found.is_repeated() == wanted.is_repeated() && found.is_required() == wanted.is_required();
    if found.kind() != wanted.kind() || !same_mode || !same_parameters {
        let shown = |field: &Field| {
            let parameters = parameters(field).map(|(precision, scale)| format!("({precision}, {scale})"));
            let mode = if field.is_required() { " REQUIRED" } else { "" };
            format!("{}{}{mode}", field.sql_type(), parameters.unwrap_or_default())
        };
        return Some(format!("column {} is {}, and {} in the contract", found.name, shown(found), shown(wanted)));
    }
    match difference(&found.fields, &wanted.fields) {
        Difference::None => None,
        Difference::Lacks(fields) => Some(format!("column {} lacks the field {}", found.name, fields[0].name)),
        Difference::Other(how) => Some(format!("in column {}: {how}", found.name)),
    }
}

#[cfg(test)]
mod tests {
    use pipeline::Pipeline;
    use serde_json::json;

    use super::*;

    /// The columns of a table that pipeline.yaml describes.
    fn columns(yaml: &str) -> Vec<Column> {
        let source = format!(
            "version: 1\nname: t\ntime_zone: UTC\nstart: 2025-08-01\nsources: {{s: {{kind: duckdb, path: s}}}}\nraw: {{dataset: raw}}\n\
             tables: {{t: {{source: s, partition: {{granularity: all}}, columns: [{yaml}]}}}}\ndbt: {{project: dbt, publish: [m]}}\n"
        );
        Pipeline::parse("t.yaml", &source).unwrap().table("t").unwrap().columns.clone()
    }

    fn column(yaml: &str) -> Column {
        columns(yaml).remove(0)
    }

    #[test]
    fn a_contract_is_a_schema() {
        let found = field(&column(
            "{name: lines, type: record, mode: repeated, description: What was bought., fields: [\
             {name: price, type: 'numeric(12,2)', rounding: half_even, mode: required}, {name: tags, type: string, mode: repeated}]}",
        ));
        let expected = json!({
            "name": "lines", "type": "RECORD", "mode": "REPEATED", "description": "What was bought.", "fields": [
                {"name": "price", "type": "NUMERIC", "mode": "REQUIRED", "precision": "12", "scale": "2",
                 "roundingMode": "ROUND_HALF_EVEN"},
                {"name": "tags", "type": "STRING", "mode": "REPEATED"},
            ],
        });
        assert_eq!(json!(found), expected);
        assert_eq!(found.sql_type(), "ARRAY<STRUCT<`price` NUMERIC, `tags` ARRAY<STRING>>>");
    }

    #[test]
    fn every_type_has_a_name() {
        for (yaml, api, sql) in [
            ("string", "STRING", "STRING"),
            ("integer", "INTEGER", "INT64"),
            ("boolean", "BOOLEAN", "BOOL"),
            ("date", "DATE", "DATE"),
            ("time", "TIME", "TIME"),
            ("datetime", "DATETIME", "DATETIME"),
            ("timestamp", "TIMESTAMP", "TIMESTAMP"),
            ("'numeric(12,2)'", "NUMERIC", "NUMERIC"),
            ("'bignumeric(38,18)'", "BIGNUMERIC", "BIGNUMERIC"),
            ("float", "FLOAT", "FLOAT64"),
            ("bytes", "BYTES", "BYTES"),
            ("json", "JSON", "JSON"),
            ("geography", "GEOGRAPHY", "GEOGRAPHY"),
        ] {
            let found = field(&column(&format!("{{name: c, type: {yaml}}}")));
            assert_eq!((found.data_type.as_str(), found.sql_type().as_str()), (api, sql));
        }
    }

    #[test]
    fn what_parquet_can_not_carry_is_converted() {
        for (yaml, staged, conversion) in [
            ("type: string", "STRING", "`c`"),
            ("type: 'bignumeric(38,18)'", "BIGNUMERIC", "`c`"),
            ("type: 'bignumeric(20,2)'", "NUMERIC", "CAST(`c` AS BIGNUMERIC)"),
            ("type: json", "STRING", "PARSE_JSON(`c`)"),
            ("type: geography", "STRING", "ST_GEOGFROMTEXT(`c`)"),
            (
                "type: json, mode: repeated",
                "ARRAY<STRING>",
                "ARRAY(SELECT PARSE_JSON(element_0) FROM UNNEST(`c`) AS element_0 WITH OFFSET AS place_0 ORDER BY place_0)",
            ),
            (
                "type: record, fields: [{name: a, type: integer}, {name: j, type: json}]",
                "STRUCT<`a` INT64, `j` STRING>",
                "IF(`c` IS NULL, NULL, STRUCT(`c`.`a` AS `a`, PARSE_JSON(`c`.`j`) AS `j`))",
            ),
            (
                "type: record, mode: repeated, fields: [{name: j, type: json, mode: repeated}]",
                "ARRAY<STRUCT<`j` ARRAY<STRING>>>",
                "ARRAY(SELECT STRUCT(ARRAY(SELECT PARSE_JSON(element_1) FROM UNNEST(element_0.`j`) AS element_1 WITH OFFSET AS \
                 place_1 ORDER BY place_1) AS `j`) FROM UNNEST(`c`) AS element_0 WITH OFFSET AS place_0 ORDER BY place_0)",
            ),
        ] {
            let column = column(&format!("{{name: c, {yaml}}}"));
            assert_eq!(staged_field(&column).sql_type(), staged, "{yaml}");
            assert_eq!(converted(&column), conversion, "{yaml}");
            assert_eq!(is_loaded_as_it_is(&column), conversion == "`c`", "{yaml}");
        }
    }

    #[test]
    fn a_staging_table_demands_nothing() {
        let staged = staged_field(&column("{name: c, type: integer, mode: required, description: d}"));
        assert_eq!(json!(staged), json!({"name": "c", "type": "INTEGER", "mode": "NULLABLE"}));
    }

    #[test]
    fn tables_are_compared_with_the_contract() {
        let wanted = raw_fields(&columns("{name: a, type: integer}, {name: b, type: 'numeric(12,2)'}"));
        let with = |change: &dyn Fn(&mut Vec<Field>)| {
            let mut found = wanted.clone();
            change(&mut found);
            difference(&found, &wanted)
        };
        assert_eq!(with(&|_| {}), Difference::None);
        // As the API answers: newer names for types, other letters for names, no modes, descriptions of its own.
        assert_eq!(with(&|found| found[0] = Field::new("A", "INT64")), Difference::None);
        assert_eq!(with(&|found| found[1].precision = None), Difference::None, "an emulator tells no precision");
        assert_eq!(with(&|found| drop(found.remove(1))), Difference::Lacks(vec![wanted[1].clone()]));
        let other = |change: &dyn Fn(&mut Vec<Field>), text: &str| match with(change) {
            Difference::Other(how) => assert_eq!(how, text),
            difference => panic!("{difference:?}"),
        };
        other(&|found| found[0] = Field::new("a", "STRING"), "column a is STRING, and INT64 in the contract");
        other(
            &|found| found[1].precision = Some("10".to_owned()),
            "column b is NUMERIC(10, 2), and NUMERIC(12, 2) in the contract",
        );
        other(&|found| found.push(Field::new("c", "STRING")), "column c is not in the contract");
        other(
            &|found| found[0].mode = Some("REQUIRED".to_owned()),
            "column a is INT64 REQUIRED, and INT64 in the contract",
        );
        let required = raw_fields(&columns("{name: a, type: integer, mode: required}"));
        assert_eq!(difference(&[], &required), Difference::Other("column a is required, and is not there".to_owned()));
    }
}
