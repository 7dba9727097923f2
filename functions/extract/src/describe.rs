//! What a source says of one of its tables, for a first version of the table's entry in the pipeline file.

use std::path::Path;

use duckdb::core::{LogicalTypeHandle, LogicalTypeId as Id};
use pipeline::draft::{DraftColumn, TableDraft};
use pipeline::{Column, ColumnType, Mode, RelationName, Source, SourceKind};
use service::SourceAccess;
use wap::Identifier;

use crate::source::Session;
use crate::{Error, postgres};

/// Memory for looking at a catalog, in MiB.
const MEMORY: usize = 128;

/// Describes a table or view of a source: its columns with the types that the pipeline has for them, and its primary key.
/// Blocks. `name` is what the table is to be called.
pub fn describe(access: &SourceAccess, relation: &RelationName, name: &Identifier) -> Result<TableDraft, Error> {
    let SourceAccess { source, home, .. } = access;
    let (columns, key) = match &source.kind {
        SourceKind::Postgres(postgres) => postgres::describe(access, postgres, relation)?,
        SourceKind::Duckdb { .. } | SourceKind::Sql { .. } => described(source, home, relation)?,
    };
    let relation = (relation.to_string() != name.as_str()).then(|| relation.to_string());
    Ok(TableDraft { columns, name: name.clone(), source: source.name.clone(), relation, key })
}

/// Columns and key of what DuckDB reads.
fn described(source: &Source, home: &Path, relation: &RelationName) -> Result<(Vec<DraftColumn>, Vec<String>), Error> {
    let session = Session::open(source, home, MEMORY, 1)?;
    let doing = format!("asked for {relation}");
    let from = format!("{} AS source", relation.quoted());
    let declared = session.declared(relation)?;
    let columns = session.columns_of(&from, &doing)?.into_iter().map(|column| {
        let mapped = mapped(&column.logical_type).map(|(column_type, mode)| {
            let is_required = mode == Mode::Nullable && declared.required.contains(&column.name);
            (column_type, if is_required { Mode::Required } else { mode })
        });
        DraftColumn { name: column.name, source_type: column.type_name, mapped: mapped.map_err(str::to_owned) }
    });
    Ok((columns.collect(), declared.key))
}

/// The first day that rows of a described table are about, by its cursor or log. Blocks. None without rows or such a column, or
/// where the source does not say: it is a guess for people to look at. Only DuckDB is asked.
pub fn first_day(access: &SourceAccess, relation: &RelationName, draft: &TableDraft) -> Option<String> {
    let column = draft.time_column()?;
    let session = Session::open(&access.source, &access.home, MEMORY, 1).ok()?;
    let column = column.replace('"', "\"\"");
    let sql =
        format!("SELECT coalesce(CAST(min(CAST(\"{column}\" AS DATE)) AS VARCHAR), '') FROM {}", relation.quoted());
    session.row(&sql).ok()?.pop().filter(|day| day.len() == "2025-08-01".len())
}

/// What a table declares about its columns.
#[derive(Debug, Default)]
pub(crate) struct Declared {
    pub(crate) key: Vec<String>,
    /// Columns that are never NULL.
    pub(crate) required: Vec<String>,
}

/// The type here, or what to write in the table's query instead.
fn mapped(found: &LogicalTypeHandle) -> Result<(ColumnType, Mode), &'static str> {
    match found.id() {
        Id::List | Id::Array => match mapped(&found.child(0))? {
            (_, Mode::Repeated) => Err("a list of lists; write to_json(COLUMN) in the table's `query`, as json"),
            (element, _) => Ok((element, Mode::Repeated)),
        },
        Id::Struct => {
            let field = |index: usize| -> Result<Column, &'static str> {
                let (column_type, mode) = mapped(&found.child(index))?;
                let name = Identifier::new(found.child_name(index).as_str())
                    .map_err(|_| "a record with a field whose name is no identifier; write to_json(COLUMN) in the table's `query`, as json")?;
                Ok(Column { name, column_type, mode, description: None, personal: false, rounding: None })
            };
            let fields = (0..found.num_children()).map(field).collect::<Result<_, _>>()?;
            Ok((ColumnType::Record(fields), Mode::Nullable))
        }
        _ => Ok((scalar(found)?, Mode::Nullable)),
    }
}

fn scalar(found: &LogicalTypeHandle) -> Result<ColumnType, &'static str> {
    Ok(match found.id() {
        Id::Boolean => ColumnType::Boolean,
        Id::Tinyint
        | Id::Smallint
        | Id::Integer
        | Id::Bigint
        | Id::UTinyint
        | Id::USmallint
        | Id::UInteger
        // Larger values than fit end the extraction; they are not cut.
        | Id::UBigint
        | Id::Hugeint
        | Id::UHugeint => ColumnType::Integer,
        Id::Float | Id::Double => ColumnType::Float,
        Id::Decimal => ColumnType::decimal(found.decimal_width(), found.decimal_scale())
            .ok_or("too many digits; cast it in the table's `query`")?,
        // DuckDB's JSON is a text with another name.
        Id::Varchar if found.get_alias().is_some_and(|alias| alias.eq_ignore_ascii_case("json")) => ColumnType::Json,
        Id::Varchar | Id::Enum | Id::Uuid => ColumnType::String,
        Id::Blob => ColumnType::Bytes,
        Id::Date => ColumnType::Date,
        Id::Time => ColumnType::Time,
        Id::Timestamp | Id::TimestampS | Id::TimestampMs | Id::TimestampNs => ColumnType::Datetime,
        Id::TimestampTZ => ColumnType::Timestamp,
        Id::Geometry => ColumnType::Geography,
        Id::Map => return Err("a map; write to_json(COLUMN) in the table's `query`, as json"),
        Id::Interval => return Err("a length of time; write epoch(COLUMN), its seconds, in the table's `query`"),
        Id::TimeTZ => return Err("a time of day with a zone; write CAST(COLUMN AS TIME) in the table's `query`"),
        Id::Union => return Err("one of several types; write to_json(COLUMN) in the table's `query`, as json"),
        _ => return Err("no type here holds it; write CAST(COLUMN AS VARCHAR) in the table's `query`, as string"),
    })
}
