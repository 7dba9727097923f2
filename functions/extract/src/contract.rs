//! From what a source has to what the contract says: one SQL expression a column, and the Arrow type it gives.
//!
//! A conversion is made only where no value can change by it unseen. What may not fit (a larger integer, a wider
//! decimal) is converted by a cast that fails on the first value that does not.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use duckdb::core::{LogicalTypeHandle, LogicalTypeId as Id};
use pipeline::{Column, ColumnType, Mode, Rounding};

/// A column as a source has it.
#[derive(Debug)]
pub(crate) struct SourceColumn {
    /// As the source spells it.
    pub(crate) name: String,
    /// For people, in the source's words.
    pub(crate) type_name: String,
    pub(crate) logical_type: LogicalTypeHandle,
}

/// The schema of a table's objects. Every column may be NULL there: a NULL in a required column is for the audit to
/// find, so it has to get that far.
pub(crate) fn schema(columns: &[Column]) -> Schema {
    Schema::new(fields(columns))
}

/// The expression that gives the contract's column, from that of the source. Says what is wrong where there is none.
pub(crate) fn expression(input: &str, column: &Column, source: &SourceColumn) -> Result<String, String> {
    converted(input, column, &source.logical_type).map_err(|misfit| {
        let Misfit { path, reason } = misfit;
        let place = if path.is_empty() { String::new() } else { format!(", at {}", path.join(".")) };
        format!("column {} is {}, not {}{place}: {reason}", column.name, source.type_name, column.duckdb_type())
    })
}

/// Why there is no conversion, and at which field of a record.
struct Misfit {
    path: Vec<String>,
    reason: String,
}

impl Misfit {
    fn new(reason: impl Into<String>) -> Self {
        Self { path: Vec::new(), reason: reason.into() }
    }

    fn inside(mut self, field: &Column) -> Self {
        self.path.insert(0, field.name.to_string());
        self
    }
}

fn converted(input: &str, column: &Column, found: &LogicalTypeHandle) -> Result<String, Misfit> {
    if column.mode != Mode::Repeated {
        return value(input, column, found);
    }
    let list = match found.id() {
        Id::List | Id::Array => {
            let element = value("element", column, &found.child(0))?;
            if element == "element" && found.id() == Id::List {
                input.to_owned()
            } else {
                format!("list_transform({input}, lambda element: {element})")
            }
        }
        _ => return Err(Misfit::new("it holds no lists")),
    };
    // BigQuery knows no NULL lists, an empty one stands for both, and no NULL in a list.
    let refusal =
        refusal(column, "has a list with a NULL in it, which BigQuery has not: leave them out with list_filter");
    Ok(format!("CASE WHEN len({list}) > list_count({list}) THEN {refusal} ELSE coalesce({list}, []) END"))
}

fn value(input: &str, column: &Column, found: &LogicalTypeHandle) -> Result<String, Misfit> {
    let cast = |to: &str| Ok(format!("CAST({input} AS {to})"));
    let as_it_is = || Ok(input.to_owned());
    let id = found.id();
    let is_json = id == Id::Varchar && found.get_alias().is_some();
    match &column.column_type {
        ColumnType::String if id == Id::Varchar && !is_json => as_it_is(),
        ColumnType::Json if id == Id::Varchar && !is_json => {
            let refusal = refusal(column, "has a text that is no JSON: write it as JSON with to_json");
            Ok(format!("CASE WHEN json_valid({input}) OR {input} IS NULL THEN {input} ELSE {refusal} END"))
        }
        ColumnType::Geography if id == Id::Varchar && !is_json => {
            let refusal =
                refusal(column, "has a text that is no shape: write it as well-known text, such as POINT (1 2)");
            let is_shape = format!("TRY(CAST({input} AS GEOMETRY)) IS NOT NULL");
            Ok(format!("CASE WHEN {is_shape} OR {input} IS NULL THEN {input} ELSE {refusal} END"))
        }
        ColumnType::String | ColumnType::Json if is_json => cast("VARCHAR"),
        ColumnType::String if is_exact_as_text(id) => cast("VARCHAR"),
        ColumnType::Json if matches!(id, Id::Struct | Id::List | Id::Array | Id::Map) => {
            Ok(format!("CAST(to_json({input}) AS VARCHAR)"))
        }
        ColumnType::Geography if id == Id::Geometry => cast("VARCHAR"),
        ColumnType::Integer if id == Id::Bigint => as_it_is(),
        ColumnType::Integer if is_integer(id) || id == Id::Decimal && found.decimal_scale() == 0 => cast("BIGINT"),
        ColumnType::Boolean if id == Id::Boolean => as_it_is(),
        ColumnType::Date if id == Id::Date => as_it_is(),
        ColumnType::Time if id == Id::Time => as_it_is(),
        ColumnType::Datetime if id == Id::Timestamp => as_it_is(),
        ColumnType::Datetime if is_naive(id) || id == Id::Date => cast("TIMESTAMP"),
        // Microseconds either way; a time without a zone counts as UTC, and the Arrow type says so.
        ColumnType::Timestamp if matches!(id, Id::Timestamp | Id::TimestampTZ) => as_it_is(),
        ColumnType::Timestamp if is_naive(id) => cast("TIMESTAMP"),
        ColumnType::Numeric { precision, scale } | ColumnType::Bignumeric { precision, scale } => {
            decimal(input, (*precision, *scale), column.rounding, found)
        }
        ColumnType::Float if id == Id::Double => as_it_is(),
        ColumnType::Float if is_exact_as_double(id) => cast("DOUBLE"),
        ColumnType::Bytes if id == Id::Blob => as_it_is(),
        ColumnType::Record(fields) if id == Id::Struct => record(input, fields, found),
        _ => Err(Misfit::new("not every value could be kept")),
    }
}

fn decimal(
    input: &str,
    (precision, scale): (u8, u8),
    rounding: Option<Rounding>,
    found: &LogicalTypeHandle,
) -> Result<String, Misfit> {
    let wanted = format!("DECIMAL({precision}, {scale})");
    let cast = format!("CAST({input} AS {wanted})");
    match (found.id(), rounding) {
        (Id::Decimal, _) if (found.decimal_width(), found.decimal_scale()) == (precision, scale) => {
            Ok(input.to_owned())
        }
        (Id::Decimal, _) if found.decimal_scale() <= scale => Ok(cast),
        // The cast rounds halves away from zero.
        (Id::Decimal | Id::Float | Id::Double, Some(Rounding::HalfAwayFromZero)) => Ok(cast),
        (Id::Decimal, Some(Rounding::HalfEven)) => {
            // Halves between an even digit and the odd one above it lie half a unit above a multiple of two units.
            let zeros = "0".repeat(usize::from(scale));
            let two_units = if scale == 0 { "2.0".to_owned() } else { format!("0.{}2", &zeros[1..]) };
            let half = format!("0.{zeros}5");
            let rest = format!("({input} % {two_units})");
            Ok(format!("CASE WHEN abs({rest}) = {half} THEN CAST({input} - {rest} AS {wanted}) ELSE {cast} END"))
        }
        (Id::Decimal, None) => {
            Err(Misfit::new(format!("it has more than {scale} decimals; say how they are rounded with `rounding`")))
        }
        (Id::Float | Id::Double, _) => {
            Err(Misfit::new("floating-point numbers are only rounded with `rounding: half_away_from_zero`"))
        }
        (id, _) if is_integer(id) => Ok(cast),
        _ => Err(Misfit::new("not every value could be kept")),
    }
}

fn record(input: &str, wanted: &[Column], found: &LogicalTypeHandle) -> Result<String, Misfit> {
    let names: Vec<String> = (0..found.num_children()).map(|index| found.child_name(index)).collect();
    let mut fields = Vec::new();
    let mut is_the_same = names.len() == wanted.len();
    for (place, field) in wanted.iter().enumerate() {
        let Some(index) = names.iter().position(|name| name.eq_ignore_ascii_case(field.name.as_str())) else {
            return Err(Misfit::new("the source has no such field").inside(field));
        };
        let input = format!("struct_extract({input}, {})", literal(&names[index]));
        let expression = converted(&input, field, &found.child(index)).map_err(|misfit| misfit.inside(field))?;
        is_the_same &= index == place && expression == input;
        fields.push(format!("\"{}\" := {expression}", field.name));
    }
    if is_the_same {
        return Ok(input.to_owned());
    }
    Ok(format!("CASE WHEN {input} IS NULL THEN NULL ELSE struct_pack({}) END", fields.join(", ")))
}

/// The expression that ends the extraction because of a value that raw could not take. The database that a bad value is found
/// in is then this one, with its column, and not a load job that names a file.
fn refusal(column: &Column, what: &str) -> String {
    format!("error({})", literal(&format!("column {} {what}, in the table's query", column.name)))
}

fn is_integer(id: Id) -> bool {
    matches!(
        id,
        Id::Tinyint
            | Id::Smallint
            | Id::Integer
            | Id::Bigint
            | Id::Hugeint
            | Id::UTinyint
            | Id::USmallint
            | Id::UInteger
            | Id::UBigint
            | Id::UHugeint
    )
}

/// Times without a zone. Beyond microseconds BigQuery has no digits; they are cut.
fn is_naive(id: Id) -> bool {
    matches!(id, Id::Timestamp | Id::TimestampS | Id::TimestampMs | Id::TimestampNs)
}

fn is_exact_as_text(id: Id) -> bool {
    is_integer(id) || matches!(id, Id::Enum | Id::Uuid | Id::Boolean | Id::Decimal | Id::Date | Id::Time)
}

fn is_exact_as_double(id: Id) -> bool {
    matches!(id, Id::Float | Id::Tinyint | Id::Smallint | Id::Integer | Id::UTinyint | Id::USmallint | Id::UInteger)
}

/// A text as a literal of SQL.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn fields(columns: &[Column]) -> Fields {
    columns.iter().map(|column| Field::new(column.name.as_str(), data_type(column), true)).collect()
}

fn data_type(column: &Column) -> DataType {
    let element = match &column.column_type {
        ColumnType::String | ColumnType::Json | ColumnType::Geography => DataType::Utf8,
        ColumnType::Integer => DataType::Int64,
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Date => DataType::Date32,
        ColumnType::Time => DataType::Time64(TimeUnit::Microsecond),
        ColumnType::Datetime => DataType::Timestamp(TimeUnit::Microsecond, None),
        ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        ColumnType::Numeric { precision, scale } | ColumnType::Bignumeric { precision, scale } => {
            DataType::Decimal128(*precision, scale.cast_signed())
        }
        ColumnType::Float => DataType::Float64,
        ColumnType::Bytes => DataType::Binary,
        ColumnType::Record(columns) => DataType::Struct(fields(columns)),
    };
    match column.mode {
        // The name that readers of Parquet expect.
        Mode::Repeated => DataType::List(Arc::new(Field::new("element", element, true))),
        Mode::Required | Mode::Nullable => element,
    }
}
