//! Columns and their types.

use wap::{Identifier, OWN_PREFIX};

use super::refuse_repeated;
use crate::column::{Column, ColumnType, Mode};
use crate::names::{accepted, quoted};
use crate::place::{Fields, Place};

/// BigQuery nests records at most this deep.
const DEEPEST_RECORD: usize = 15;

/// How BigQuery lets no column begin, in any letter case.
const RESERVED_PREFIXES: [&str; 6] =
    ["_TABLE_", "_FILE_", "_PARTITION", "_ROW_TIMESTAMP", "__ROOT__", "_COLIDENTIFIER"];

const TYPES: [&str; 14] = [
    "string",
    "integer",
    "boolean",
    "date",
    "time",
    "datetime",
    "timestamp",
    "numeric",
    "bignumeric",
    "float",
    "bytes",
    "json",
    "geography",
    "record",
];

/// The columns of a table: those that could be read, and the names of all. What refers to a column that was refused
/// is not refused as well.
#[derive(Debug, Default)]
pub(super) struct Columns {
    pub(super) names: Vec<Identifier>,
    pub(super) read: Vec<Column>,
}

pub(super) fn columns(place: &Place<'_>) -> Columns {
    nested(place, 0)
}

fn nested(place: &Place<'_>, depth: usize) -> Columns {
    let mut columns = Columns::default();
    let items = place.items();
    if items.as_ref().is_some_and(Vec::is_empty) {
        place.refuse("the list is empty; at least one column is needed");
    }
    for fields in items.unwrap_or_default().iter().filter_map(Place::fields) {
        column(fields, depth, &mut columns);
    }
    columns
}

fn column(mut fields: Fields<'_>, depth: usize, columns: &mut Columns) -> Option<()> {
    let name = fields.required("name", |place| {
        let name = place.identifier()?;
        refuse_repeated(place, "column", &name, &columns.names);
        refuse_reserved(place, &name);
        columns.names.push(name.clone());
        Some(name)
    });
    let column_type = fields.required("type", scalar_type);
    let mode = fields.optional("mode", Place::word).unwrap_or(Mode::Nullable);
    let description = fields.optional("description", Place::owned_text);
    let personal = fields.optional("personal", Place::boolean).unwrap_or(false);
    let rounding = fields.optional("rounding", |place| {
        if matches!(column_type, Some(ColumnType::Numeric { .. } | ColumnType::Bignumeric { .. })) {
            return place.word();
        }
        place.refuse("only a numeric or bignumeric column is rounded; leave the key out");
        None
    });
    let nested_fields = fields.get("fields");
    let column_type = match (column_type, nested_fields) {
        (Some(ColumnType::Record(_)), Some(place)) if depth < DEEPEST_RECORD => {
            Some(ColumnType::Record(nested(&place, depth + 1).read))
        }
        (Some(ColumnType::Record(_)), Some(place)) => {
            place.refuse(format!("records nest at most {DEEPEST_RECORD} deep"));
            None
        }
        (Some(ColumnType::Record(_)), None) => {
            fields.place().refuse("the key `fields` is missing; a record needs a list of columns");
            None
        }
        (Some(_), Some(place)) => {
            place.refuse("only a column of type record has fields");
            None
        }
        (column_type, None) => column_type,
        (None, Some(_)) => None,
    };
    fields.finish();
    columns.read.push(Column { name: name?, column_type: column_type?, mode, description, personal, rounding });
    Some(())
}

/// Why the lake or BigQuery has another use for a name.
pub(crate) fn reserved(name: &Identifier) -> Option<String> {
    let begins =
        |prefix: &&str| name.as_str().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    if begins(&OWN_PREFIX) {
        return Some(format!("{OWN_PREFIX} begins the names of columns that extract adds"));
    }
    let prefix = RESERVED_PREFIXES.iter().find(|prefix| begins(prefix))?;
    Some(format!("BigQuery reserves names that begin with {prefix}"))
}

fn refuse_reserved(place: &Place<'_>, name: &Identifier) {
    let Some(reason) = reserved(name) else { return };
    place.refuse(format!("{} can't be the name of a column: {reason}; give it another name", quoted(name.as_str())));
}

/// A type by its name; a record comes back without its fields.
fn scalar_type(place: &Place<'_>) -> Option<ColumnType> {
    let text = place.text()?;
    let (name, arguments) = match text.split_once('(') {
        Some((name, rest)) => (name.trim_end(), Some(rest)),
        None => (text, None),
    };
    let column_type = match (name, arguments) {
        ("numeric", None) => return Some(ColumnType::Numeric { precision: 38, scale: 9 }),
        ("numeric", Some(_)) => {
            let (precision, scale) = digits(place, text, 29, 9)?;
            return Some(ColumnType::Numeric { precision, scale });
        }
        ("bignumeric", Some(_)) => {
            let (precision, scale) = digits(place, text, 38, 38)?;
            return Some(ColumnType::Bignumeric { precision, scale });
        }
        ("bignumeric", None) => {
            place.refuse(
                "\"bignumeric\" needs its digits, such as bignumeric(38,18): DuckDB has 38 of BigQuery's 76 digits",
            );
            return None;
        }
        ("string", None) => ColumnType::String,
        ("integer", None) => ColumnType::Integer,
        ("boolean", None) => ColumnType::Boolean,
        ("date", None) => ColumnType::Date,
        ("time", None) => ColumnType::Time,
        ("datetime", None) => ColumnType::Datetime,
        ("timestamp", None) => ColumnType::Timestamp,
        ("float", None) => ColumnType::Float,
        ("bytes", None) => ColumnType::Bytes,
        ("json", None) => ColumnType::Json,
        ("geography", None) => ColumnType::Geography,
        ("record", None) => ColumnType::Record(Vec::new()),
        _ => {
            let meant = synonym(name).map(|word| format!("; did you mean `{word}`?"));
            let hint = meant.unwrap_or_else(|| accepted(name, TYPES));
            place.refuse(format!("{} is not a type of column{hint}", quoted(text)));
            return None;
        }
    };
    Some(column_type)
}

/// `precision, scale)` or `precision)`, by the limits that BigQuery and DuckDB share.
fn digits(place: &Place<'_>, text: &str, most_before_point: u8, most_scale: u8) -> Option<(u8, u8)> {
    let (name, rest) = text.split_once('(')?;
    let (precision, scale) = rest
        .trim_end()
        .strip_suffix(')')
        .map(|inside| inside.split_once(',').unwrap_or((inside, "0")))
        .and_then(|(precision, scale)| Some((precision.trim().parse::<u8>().ok()?, scale.trim().parse::<u8>().ok()?)))
        .unzip();
    if let Some((precision, scale)) = precision.zip(scale)
        && scale <= most_scale
        && (scale.max(1)..=(scale + most_before_point).min(38)).contains(&precision)
    {
        return Some((precision, scale));
    }
    // In a flow mapping the comma ends the value, so that only `numeric(10` arrives here.
    let quotes = if text.contains(')') { "" } else { "; between braces write it in quotes: \"numeric(10,2)\"" };
    place.refuse(format!(
        "{} is not a type of column; accepted: {name}(precision,scale) with a scale up to {most_scale} and at most 38 digits, \
         {most_before_point} of them before the point{quotes}",
        quoted(text)
    ));
    None
}

/// What other systems call a type.
fn synonym(name: &str) -> Option<&'static str> {
    let word = match name.to_ascii_lowercase().as_str() {
        "varchar" | "text" | "char" => "string",
        "int" | "int64" | "bigint" | "int32" | "smallint" | "long" => "integer",
        "bool" => "boolean",
        "timestamptz" => "timestamp",
        "decimal" => "numeric",
        "bigdecimal" => "bignumeric",
        "double" | "float64" | "real" => "float",
        "blob" | "binary" | "bytea" => "bytes",
        "struct" => "record",
        "geometry" => "geography",
        other => return TYPES.into_iter().find(|word| *word == other && *word != name),
    };
    Some(word)
}
