//! Pins: what an attempt reads, as views over exactly the Parquet files that were admitted.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use pipeline::{Column, ColumnType, Mode, Table};
use store::ObjectStore;
use wap::{Manifest, ManifestColumn};

use super::connection::{identifier, literal, open_writable, sql_error};
use crate::lake::stored_columns;
use crate::{Error, Pin, PinnedPartition};

/// Writes the schemas `raw` and `changes` of a slot in one transaction.
pub(super) fn pin(file: &Path, store: &Arc<dyn ObjectStore>, pins: &[Pin]) -> Result<(), Error> {
    let mut sql = "BEGIN; DROP SCHEMA IF EXISTS raw CASCADE; DROP SCHEMA IF EXISTS changes CASCADE; \
                   CREATE SCHEMA raw; CREATE SCHEMA changes;\n\
                   CREATE TABLE raw.bgp_partitions (table_name VARCHAR, \"partition\" VARCHAR, starts_at TIMESTAMP, \
                   ends_at TIMESTAMP, row_count BIGINT, is_contiguous BOOLEAN);\n"
        .to_owned();
    let mut partitions = Vec::new();
    for pin in pins {
        let name = pin.table.name.as_str();
        let admitted: Vec<&Manifest> = pin.partitions.iter().map(|partition| &partition.manifest).collect();
        let changed: Vec<&Manifest> = pin.changed.iter().collect();
        let rows = select(store, &pin.table, &admitted)?;
        let changes = select(store, &pin.table, &changed)?;
        let _ = writeln!(sql, "CREATE VIEW raw.{} AS {rows};", identifier(name));
        let _ = writeln!(sql, "CREATE VIEW changes.{} AS {changes};", identifier(&format!("raw__{name}")));
        partitions.extend(pin.partitions.iter().map(|partition| row_of(name, partition)));
    }
    // One statement: years have many partitions.
    if !partitions.is_empty() {
        let _ = writeln!(sql, "INSERT INTO raw.bgp_partitions VALUES {};", partitions.join(", "));
    }
    sql.push_str("COMMIT;");
    let connection = open_writable(file)?;
    connection.execute_batch(&sql).map_err(sql_error("pinning the inputs of the attempt"))?;
    connection.close().map_err(|(_, source)| sql_error("closing the slot")(source))
}

/// Drops relations, whichever kind they are.
pub(super) fn drop_relations(file: &Path, relations: &[String]) -> Result<(), Error> {
    if relations.is_empty() {
        return Ok(());
    }
    let connection = open_writable(file)?;
    for relation in relations {
        let name: Vec<String> = relation.split('.').map(identifier).collect();
        let name = name.join(".");
        let (schema, table) = relation.split_once('.').unwrap_or(("main", relation));
        let kind: Option<String> = connection
            .query_row(
                "SELECT table_type FROM information_schema.tables WHERE table_schema = ? AND table_name = ?",
                [schema, table],
                |row| row.get(0),
            )
            .map(Some)
            .or_else(|error| if matches!(error, ::duckdb::Error::QueryReturnedNoRows) { Ok(None) } else { Err(error) })
            .map_err(sql_error("looking for a removed model"))?;
        let Some(kind) = kind else { continue };
        let kind = if kind == "VIEW" { "VIEW" } else { "TABLE" };
        connection
            .execute_batch(&format!("DROP {kind} IF EXISTS {name} CASCADE"))
            .map_err(sql_error(format!("dropping {relation}")))?;
    }
    connection.close().map_err(|(_, source)| sql_error("closing the slot")(source))
}

/// A row of `bgp_partitions`.
fn row_of(table: &str, partition: &PinnedPartition) -> String {
    let manifest = &partition.manifest;
    let (start, end) = manifest
        .window
        .map_or_else(|| ("NULL".to_owned(), "NULL".to_owned()), |(start, end)| (timestamp(start), timestamp(end)));
    format!(
        "({}, {}, {start}, {end}, {}, {})",
        literal(table),
        literal(manifest.partition.as_str()),
        manifest.rows,
        partition.is_contiguous,
    )
}

fn timestamp(instant: jiff::Timestamp) -> String {
    format!("make_timestamp({})", instant.as_microsecond())
}

/// A query of all rows of some manifests, by the contract's columns and `bgp_partition`. Objects that were written under
/// different contracts are read apart, so that a column that an older one lacks is NULL there.
pub(super) fn select(store: &Arc<dyn ObjectStore>, table: &Table, manifests: &[&Manifest]) -> Result<String, Error> {
    let mut groups: BTreeMap<String, (&[ManifestColumn], Vec<String>)> = BTreeMap::new();
    for manifest in manifests {
        let signature: Vec<String> =
            manifest.columns.iter().map(|column| format!("{}:{}", column.name, column.data_type)).collect();
        let (_, files) = groups.entry(signature.join(",")).or_insert((&manifest.columns, Vec::new()));
        for object in &manifest.objects {
            let path = store.local_path(&object.key).ok_or_else(|| {
                Error::rejected(format!(
                    "object {} can't be read as a file; DuckDB needs a folder as store",
                    object.key
                ))
            })?;
            files.push(literal(&path.display().to_string()));
        }
    }
    let mut parts = Vec::new();
    for (columns, files) in groups.into_values().filter(|(_, files)| !files.is_empty()) {
        let expressions = expressions(table, columns)?;
        parts.push(format!("SELECT {expressions}, \"bgp_partition\" FROM read_parquet([{}])", files.join(", ")));
    }
    if parts.is_empty() {
        let columns: Vec<String> = table
            .columns
            .iter()
            .map(|column| format!("CAST(NULL AS {}) AS {}", stored_type(column), identifier(column.name.as_str())))
            .collect();
        parts.push(format!("SELECT {}, CAST(NULL AS VARCHAR) AS \"bgp_partition\" WHERE false", columns.join(", ")));
    }
    Ok(parts.join(" UNION ALL "))
}

fn expressions(table: &Table, found: &[ManifestColumn]) -> Result<String, Error> {
    let expressions = stored_columns(table, found)?.into_iter().map(|(column, is_there)| {
        let name = identifier(column.name.as_str());
        if !is_there {
            format!("CAST(NULL AS {}) AS {name}", stored_type(column))
        } else if is_instant(column) {
            // Instants become plain UTC timestamps: a value with a time zone would show differently in every session.
            format!("make_timestamp(epoch_us({name})) AS {name}")
        } else if holds_json(column) {
            // Parquet has it as text.
            format!("CAST({name} AS {}) AS {name}", stored_type(column))
        } else {
            name
        }
    });
    Ok(expressions.collect::<Vec<_>>().join(", "))
}

fn is_instant(column: &Column) -> bool {
    column.column_type == ColumnType::Timestamp && column.mode != Mode::Repeated
}

fn holds_json(column: &Column) -> bool {
    match &column.column_type {
        ColumnType::Json => true,
        ColumnType::Record(fields) => fields.iter().any(holds_json),
        _ => false,
    }
}

fn stored_type(column: &Column) -> String {
    if is_instant(column) { "TIMESTAMP".to_owned() } else { column.duckdb_type() }
}
