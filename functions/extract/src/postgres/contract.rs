//! From a column of PostgreSQL to what the contract says: an expression whose binary form [`super::decode`] understands.
//!
//! As with DuckDB, a conversion is made only where no value can change by it unseen. What may not fit (a wider number, a text that
//! is no JSON) is found value by value.

use pipeline::{Column, ColumnType, Mode, Rounding};
use tokio_postgres::types::{Kind, Type};

/// What is looked at in every value, beyond its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    None,
    /// It is JSON.
    Json,
    /// It is a shape in well-known text.
    Shape,
}

const INTEGERS: [Type; 3] = [Type::INT2, Type::INT4, Type::INT8];

/// The expression that gives the contract's column. Says what is wrong where there is none.
pub(super) fn conversion(input: &str, column: &Column, found: &Type) -> Result<(String, Check), String> {
    let misfit = |reason| format!("column {} is {}, not {}: {reason}", column.name, shown(found), column.duckdb_type());
    let found = base(found);
    let is_list = column.mode == Mode::Repeated;
    match (found.kind(), is_list) {
        (Kind::Array(element), true) => converted(input, column, base(element), "[]"),
        (_, true) => Err("it holds no lists".to_owned()),
        // Compact, as DuckDB writes it.
        (Kind::Array(_) | Kind::Composite(_), false) if column.column_type == ColumnType::Json => {
            Ok((format!("to_json({input})::text"), Check::None))
        }
        (Kind::Array(_), false) => Err("it holds lists; say `mode: repeated`, or take it as json".to_owned()),
        (Kind::Composite(_), false) => Err("records are not read from PostgreSQL; take it as json".to_owned()),
        _ => converted(input, column, found, ""),
    }
    .map_err(misfit)
}

/// `list` is `[]` for the elements of a list.
fn converted(input: &str, column: &Column, found: &Type, list: &str) -> Result<(String, Check), String> {
    let plain = |expression: String| Ok((expression, Check::None));
    let as_it_is = || plain(input.to_owned());
    let cast = |to: &str| plain(format!("{input}::{to}{list}"));
    let is = |types: &[Type]| types.contains(found);
    let is_document = is(&[Type::JSON, Type::JSONB]);
    match &column.column_type {
        ColumnType::String if is(&[Type::TEXT, Type::VARCHAR]) => as_it_is(),
        ColumnType::String if is_exact_as_text(found) => cast("text"),
        ColumnType::Json if is_document => cast("text"),
        ColumnType::Json if is(&[Type::TEXT, Type::VARCHAR]) => Ok((input.to_owned(), Check::Json)),
        ColumnType::Geography if is_shape(found) && list.is_empty() => {
            plain(format!("\"{}\".ST_AsText({input})", found.schema().replace('"', "\"\"")))
        }
        ColumnType::Geography if is(&[Type::TEXT, Type::VARCHAR]) => Ok((input.to_owned(), Check::Shape)),
        ColumnType::Integer if is(&[Type::INT8]) => as_it_is(),
        ColumnType::Integer if is(&INTEGERS) => cast("int8"),
        ColumnType::Boolean if is(&[Type::BOOL]) => as_it_is(),
        ColumnType::Date if is(&[Type::DATE]) => as_it_is(),
        ColumnType::Time if is(&[Type::TIME]) => as_it_is(),
        ColumnType::Datetime if is(&[Type::TIMESTAMP]) => as_it_is(),
        ColumnType::Datetime if is(&[Type::DATE]) => cast("timestamp"),
        // Microseconds either way; a time without a zone counts as UTC.
        ColumnType::Timestamp if is(&[Type::TIMESTAMP, Type::TIMESTAMPTZ]) => as_it_is(),
        ColumnType::Numeric { scale, .. } | ColumnType::Bignumeric { scale, .. } => match column.rounding {
            _ if is(&INTEGERS) => cast("numeric"),
            None if is(&[Type::NUMERIC]) => as_it_is(),
            Some(_) if !list.is_empty() => {
                Err("numbers in lists are not rounded; round them in the table's `query`".to_owned())
            }
            Some(rounding) if is(&[Type::NUMERIC]) => plain(rounded(input, *scale, rounding)),
            // By way of the shortest text that is the same number: the direct way keeps 15 digits only.
            Some(Rounding::HalfAwayFromZero) if is(&[Type::FLOAT4, Type::FLOAT8]) => {
                plain(rounded(&format!("{input}::text::numeric"), *scale, Rounding::HalfAwayFromZero))
            }
            _ if is(&[Type::FLOAT4, Type::FLOAT8]) => {
                Err("floating-point numbers are only rounded with `rounding: half_away_from_zero`".to_owned())
            }
            _ => unkept(column, found),
        },
        ColumnType::Float if is(&[Type::FLOAT8]) => as_it_is(),
        ColumnType::Float if is(&[Type::FLOAT4, Type::INT2, Type::INT4]) => cast("float8"),
        ColumnType::Bytes if is(&[Type::BYTEA]) => as_it_is(),
        ColumnType::Record(_) => Err("records are not read from PostgreSQL; take it as json".to_owned()),
        _ => unkept(column, found),
    }
}

fn rounded(input: &str, scale: u8, rounding: Rounding) -> String {
    let away_from_zero = format!("round({input}, {scale})");
    match rounding {
        Rounding::HalfAwayFromZero => away_from_zero,
        Rounding::HalfEven => {
            // Halves between an even digit and the odd one above it lie half a unit above a multiple of two units.
            let zeros = "0".repeat(usize::from(scale));
            let two_units = if scale == 0 { "2.0".to_owned() } else { format!("0.{}2", &zeros[1..]) };
            let rest = format!("({input} % {two_units})");
            format!("CASE WHEN abs({rest}) = 0.{zeros}5 THEN {input} - {rest} ELSE {away_from_zero} END")
        }
    }
}

fn unkept(column: &Column, found: &Type) -> Result<(String, Check), String> {
    let name = &column.name;
    let target = match &column.column_type {
        _ if column.mode == Mode::Repeated => None,
        ColumnType::Integer | ColumnType::Float | ColumnType::Numeric { .. } if *found == Type::INTERVAL => {
            return Err(format!(
                "not every value could be kept; write extract(epoch FROM {name}) in the table's `query`"
            ));
        }
        ColumnType::String => Some("text".to_owned()),
        ColumnType::Integer => Some("bigint".to_owned()),
        ColumnType::Boolean => Some("boolean".to_owned()),
        ColumnType::Date => Some("date".to_owned()),
        ColumnType::Time => Some("time".to_owned()),
        ColumnType::Datetime => Some("timestamp".to_owned()),
        ColumnType::Timestamp => Some("timestamptz".to_owned()),
        ColumnType::Numeric { precision, scale } | ColumnType::Bignumeric { precision, scale } => {
            Some(format!("numeric({precision}, {scale})"))
        }
        ColumnType::Float => Some("double precision".to_owned()),
        ColumnType::Json => Some("jsonb".to_owned()),
        ColumnType::Bytes | ColumnType::Geography | ColumnType::Record(_) => None,
    };
    Err(match target {
        Some(target) => format!("not every value could be kept; write CAST({name} AS {target}) in the table's `query`"),
        None => "not every value could be kept; convert it in the table's `query`".to_owned(),
    })
}

/// Whether the text of a value says all of it. Of a text of fixed length the blanks at its end are no part.
pub(super) fn is_exact_as_text(found: &Type) -> bool {
    let types = [
        Type::BPCHAR,
        Type::NAME,
        Type::UUID,
        Type::BOOL,
        Type::NUMERIC,
        Type::DATE,
        Type::TIME,
        Type::JSON,
        Type::JSONB,
    ];
    INTEGERS.contains(found)
        || types.contains(found)
        || matches!(found.kind(), Kind::Enum(_))
        // Of an extension, so without a number that all servers agree on.
        || found.name() == "citext"
}

/// Whether it is a type of PostGIS.
pub(super) fn is_shape(found: &Type) -> bool {
    matches!(found.name(), "geometry" | "geography")
}

/// A type without the name that a domain gives it.
pub(super) fn base(found: &Type) -> &Type {
    match found.kind() {
        Kind::Domain(inner) => base(inner),
        _ => found,
    }
}

/// A type as people write it.
fn shown(found: &Type) -> String {
    match found.kind() {
        Kind::Array(element) => format!("{}[]", element.name()),
        _ => found.name().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use wap::Identifier;

    use super::*;

    fn column(column_type: ColumnType, mode: Mode, rounding: Option<Rounding>) -> Column {
        let name = Identifier::new("c").unwrap();
        Column { name, column_type, mode, description: None, personal: false, rounding }
    }

    const MONEY: ColumnType = ColumnType::Numeric { precision: 12, scale: 2 };

    #[test]
    fn what_keeps_every_value_is_converted() {
        for (column_type, found, expected) in [
            (ColumnType::String, Type::TEXT, "x"),
            (ColumnType::String, Type::BPCHAR, "x::text"),
            (ColumnType::Integer, Type::INT2, "x::int8"),
            (ColumnType::Integer, Type::INT8, "x"),
            (MONEY, Type::INT4, "x::numeric"),
            (MONEY, Type::NUMERIC, "x"),
            (ColumnType::Float, Type::FLOAT4, "x::float8"),
            (ColumnType::Datetime, Type::DATE, "x::timestamp"),
            (ColumnType::Timestamp, Type::TIMESTAMPTZ, "x"),
            (ColumnType::Json, Type::JSONB, "x::text"),
            (ColumnType::Json, Type::INT4_ARRAY, "to_json(x)::text"),
        ] {
            let (expression, check) = conversion("x", &column(column_type, Mode::Nullable, None), &found).unwrap();
            assert_eq!((expression.as_str(), check), (expected, Check::None), "{found}");
        }
        let list = |column_type, found| conversion("x", &column(column_type, Mode::Repeated, None), &found).unwrap().0;
        assert_eq!(list(ColumnType::Integer, Type::INT4_ARRAY), "x::int8[]");
        assert_eq!(list(ColumnType::String, Type::TEXT_ARRAY), "x");
        let text = conversion("x", &column(ColumnType::Json, Mode::Nullable, None), &Type::TEXT).unwrap();
        assert_eq!(text, ("x".to_owned(), Check::Json));
    }

    #[test]
    fn what_might_not_is_refused_with_what_to_write() {
        for (column_type, mode, rounding, found, expected) in [
            (
                ColumnType::Integer,
                Mode::Nullable,
                None,
                Type::NUMERIC,
                "column c is numeric, not BIGINT: not every value could be kept; write CAST(c AS bigint) in the table's `query`",
            ),
            (ColumnType::Integer, Mode::Nullable, None, Type::INTERVAL, "write extract(epoch FROM c)"),
            (ColumnType::String, Mode::Nullable, None, Type::INET, "write CAST(c AS text)"),
            (ColumnType::String, Mode::Nullable, None, Type::FLOAT8, "write CAST(c AS text)"),
            (ColumnType::Time, Mode::Nullable, None, Type::TIMETZ, "write CAST(c AS time)"),
            (ColumnType::Timestamp, Mode::Nullable, None, Type::DATE, "write CAST(c AS timestamptz)"),
            (MONEY, Mode::Nullable, None, Type::MONEY, "write CAST(c AS numeric(12, 2))"),
            (MONEY, Mode::Nullable, None, Type::FLOAT8, "only rounded with `rounding: half_away_from_zero`"),
            (MONEY, Mode::Nullable, Some(Rounding::HalfEven), Type::FLOAT8, "only rounded with"),
            (MONEY, Mode::Repeated, Some(Rounding::HalfEven), Type::NUMERIC_ARRAY, "numbers in lists are not rounded"),
            (
                ColumnType::String,
                Mode::Nullable,
                None,
                Type::TEXT_ARRAY,
                "column c is text[], not VARCHAR: it holds lists; say `mode: repeated`",
            ),
            (ColumnType::String, Mode::Repeated, None, Type::TEXT, "it holds no lists"),
            (
                ColumnType::Record(Vec::new()),
                Mode::Nullable,
                None,
                Type::RECORD,
                "records are not read from PostgreSQL",
            ),
        ] {
            let problem = conversion("x", &column(column_type, mode, rounding), &found).unwrap_err();
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
