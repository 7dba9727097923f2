//! What a server says of a table: its columns, its primary key, and what is never NULL.

use pipeline::draft::DraftColumn;
use pipeline::{ColumnType, Mode, Postgres, RelationName};
use service::SourceAccess;
use tokio_postgres::types::{Kind, Type};

use super::Found;
use super::contract::{base, is_shape};
use super::server::Server;
use crate::Error;

/// Columns of the table, in its order: name, type in words, `typmod`, whether it is never NULL, and its place in the primary key.
const CATALOG: &str = "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), a.atttypmod, a.attnotnull, \
    array_position(i.indkey::int2[], a.attnum)::int4 \
    FROM pg_catalog.pg_attribute a \
    LEFT JOIN pg_catalog.pg_index i ON i.indrelid = a.attrelid AND i.indisprimary \
    WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

/// The columns of a table or view, and its primary key.
pub(crate) fn describe(
    access: &SourceAccess,
    at: &Postgres,
    relation: &RelationName,
) -> Result<(Vec<DraftColumn>, Vec<String>), Error> {
    let server = Server::open(access, at)?;
    let doing = format!("asked for {relation}");
    let failed = |error| server.refused(&doing, error);
    let quoted = relation.quoted();
    let found = server.columns(&format!("{quoted} AS source"), &doing)?;
    let rows = server.wait(server.client.query(CATALOG, &[&quoted])).map_err(failed)?;
    let mut columns = Vec::new();
    let mut key = Vec::new();
    for (Found { name, column_type }, row) in found.into_iter().zip(rows) {
        let source_type: String = row.try_get(1).map_err(failed)?;
        let modifier: i32 = row.try_get(2).map_err(failed)?;
        let is_required: bool = row.try_get(3).map_err(failed)?;
        if let Some(place) = row.try_get::<_, Option<i32>>(4).map_err(failed)? {
            key.push((place, name.clone()));
        }
        let mapped = mapped(&column_type, modifier);
        let mapped = mapped
            .map(|(found, mode)| (found, if is_required && mode == Mode::Nullable { Mode::Required } else { mode }));
        columns.push(DraftColumn { name, source_type, mapped: mapped.map_err(str::to_owned) });
    }
    key.sort();
    Ok((columns, key.into_iter().map(|(_, name)| name).collect()))
}

/// The type here, or what to write in the table's query instead. The modifier is that of PostgreSQL's `atttypmod`.
fn mapped(found: &Type, modifier: i32) -> Result<(ColumnType, Mode), &'static str> {
    match base(found).kind() {
        Kind::Array(element) => Ok((scalar(base(element), modifier)?, Mode::Repeated)),
        Kind::Composite(_) => Ok((ColumnType::Json, Mode::Nullable)),
        _ => Ok((scalar(base(found), modifier)?, Mode::Nullable)),
    }
}

fn scalar(found: &Type, modifier: i32) -> Result<ColumnType, &'static str> {
    let is = |types: &[Type]| types.contains(found);
    Ok(match found {
        _ if is(&[Type::BOOL]) => ColumnType::Boolean,
        _ if is(&[Type::INT2, Type::INT4, Type::INT8]) => ColumnType::Integer,
        _ if is(&[Type::FLOAT4, Type::FLOAT8]) => ColumnType::Float,
        _ if is(&[Type::NUMERIC]) => decimal(modifier).ok_or("too many digits; cast it in the table's `query`")?,
        _ if is(&[Type::JSON, Type::JSONB]) => ColumnType::Json,
        _ if is(&[Type::TEXT, Type::VARCHAR, Type::BPCHAR, Type::NAME, Type::UUID]) => ColumnType::String,
        _ if matches!(found.kind(), Kind::Enum(_)) || found.name() == "citext" => ColumnType::String,
        _ if is(&[Type::BYTEA]) => ColumnType::Bytes,
        _ if is(&[Type::DATE]) => ColumnType::Date,
        _ if is(&[Type::TIME]) => ColumnType::Time,
        _ if is(&[Type::TIMESTAMP]) => ColumnType::Datetime,
        _ if is(&[Type::TIMESTAMPTZ]) => ColumnType::Timestamp,
        _ if is_shape(found) => ColumnType::Geography,
        _ if is(&[Type::INTERVAL]) => {
            return Err("a length of time; write extract(epoch FROM COLUMN), its seconds, in the table's `query`");
        }
        _ if is(&[Type::TIMETZ]) => {
            return Err("a time of day with a zone; write CAST(COLUMN AS time) in the table's `query`");
        }
        _ if is(&[Type::MONEY]) => {
            return Err("an amount; write CAST(COLUMN AS numeric(12, 2)) in the table's `query`");
        }
        _ => return Err("no type here holds it; write CAST(COLUMN AS text) in the table's `query`, as string"),
    })
}

/// The type of a number of so many digits. Where the source names none it is BigQuery's usual one: a value that has more ends the
/// extraction, and is not cut.
fn decimal(modifier: i32) -> Option<ColumnType> {
    if modifier < 4 {
        return ColumnType::decimal(38, 9);
    }
    let digits = modifier - 4;
    let precision = (digits >> 16) & 0xffff;
    // Eleven bits with a sign.
    let scale = ((digits & 0x7ff) ^ 1024) - 1024;
    // With a negative scale the last digits before the point are zeros.
    let precision = u8::try_from(precision - scale.min(0)).ok()?;
    ColumnType::decimal(precision, u8::try_from(scale.max(0)).ok()?)
}

#[cfg(test)]
mod tests {
    use pipeline::Column;
    use wap::Identifier;

    use super::*;
    use crate::postgres::contract::conversion;

    /// As the server packs them.
    fn modifier(precision: i32, scale: i32) -> i32 {
        ((precision << 16) | (scale & 0x7ff)) + 4
    }

    #[test]
    fn digits_are_read_off_the_modifier() {
        let numeric = |precision, scale| Some(ColumnType::Numeric { precision, scale });
        assert_eq!(decimal(modifier(12, 2)), numeric(12, 2));
        assert_eq!(decimal(modifier(10, 0)), numeric(10, 0));
        assert_eq!(decimal(modifier(3, -2)), numeric(5, 0));
        assert_eq!(decimal(-1), numeric(38, 9));
        assert_eq!(decimal(modifier(38, 20)), Some(ColumnType::Bignumeric { precision: 38, scale: 20 }));
        assert_eq!(decimal(modifier(100, 2)), None);
    }

    /// What is proposed is also extracted.
    #[test]
    fn every_type_that_is_mapped_is_converted() {
        let types = [
            Type::BOOL,
            Type::INT2,
            Type::INT4,
            Type::INT8,
            Type::FLOAT4,
            Type::FLOAT8,
            Type::NUMERIC,
            Type::JSON,
            Type::JSONB,
            Type::TEXT,
            Type::VARCHAR,
            Type::BPCHAR,
            Type::NAME,
            Type::UUID,
            Type::BYTEA,
            Type::DATE,
            Type::TIME,
            Type::TIMESTAMP,
            Type::TIMESTAMPTZ,
            Type::INT4_ARRAY,
            Type::TEXT_ARRAY,
            Type::NUMERIC_ARRAY,
            Type::DATE_ARRAY,
            Type::UUID_ARRAY,
            Type::JSONB_ARRAY,
            Type::TIMESTAMPTZ_ARRAY,
        ];
        for found in types {
            let (column_type, mode) = mapped(&found, -1).unwrap();
            let name = Identifier::new("c").unwrap();
            let column = Column { name, column_type, mode, description: None, personal: false, rounding: None };
            assert!(conversion("x", &column, &found).is_ok(), "{found}");
        }
        for found in [Type::INTERVAL, Type::TIMETZ, Type::MONEY, Type::INET, Type::INT4_RANGE, Type::XML] {
            assert!(mapped(&found, -1).unwrap_err().contains("in the table's `query`"), "{found}");
        }
    }
}
