//! Models that were built in another slot, taken over.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use ::duckdb::{Connection, OptionalExt};

use super::connection::{identifier, literal, open_writable, sql_error};
use crate::{BuiltModel, Error};

/// How long to wait for whoever has the other slot open: dbt's worker ends soon after the process that it worked for.
const PATIENCE: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(50);

/// Puts the models into `file` as they are in `from`, all in one transaction. `false` if `from` is not there, or open
/// elsewhere.
pub(super) fn adopt(file: &Path, from: &Path, models: &[BuiltModel]) -> Result<bool, Error> {
    // What is attached is made where it is not.
    if !from.exists() {
        return Ok(false);
    }
    let connection = open_writable(file)?;
    let attach = format!("ATTACH {} AS adopted (READ_ONLY)", literal(&from.display().to_string()));
    let patience = Instant::now() + PATIENCE;
    while let Err(error) = connection.execute_batch(&attach) {
        if Instant::now() >= patience {
            tracing::info!(from = %from.display(), %error, "an expired attempt's slot can't be read; its layers are built anew");
            return Ok(false);
        }
        thread::sleep(POLL);
    }
    connection.execute_batch("BEGIN").map_err(sql_error("taking over what was built"))?;
    for (schema, name, is_required) in models.iter().flat_map(BuiltModel::relations) {
        let found = take(&connection, &schema, &name).map_err(sql_error(format!("taking over {schema}.{name}")))?;
        if is_required && !found {
            return Err(Error::NotFound {
                what: format!("{schema}.{name} of {}", from.display()),
                next: "begin a new attempt".to_owned(),
            });
        }
    }
    connection.execute_batch("COMMIT; DETACH adopted").map_err(sql_error("taking over what was built"))?;
    connection.close().map_err(|(_, source)| sql_error("closing the slot")(source))?;
    Ok(true)
}

/// Returns whether there was one.
fn take(connection: &Connection, schema: &str, name: &str) -> Result<bool, ::duckdb::Error> {
    let view = "SELECT sql FROM duckdb_views() WHERE database_name = 'adopted' AND schema_name = ? AND view_name = ?";
    let view: Option<String> = connection.query_row(view, [schema, name], |row| row.get(0)).optional()?;
    let table = "SELECT count(*) > 0 FROM duckdb_tables() WHERE database_name = 'adopted' AND schema_name = ? AND table_name = ?";
    let is_table: bool = connection.query_row(table, [schema, name], |row| row.get(0))?;
    if view.is_none() && !is_table {
        return Ok(false);
    }
    let before = "SELECT table_type FROM information_schema.tables \
                  WHERE table_catalog = current_database() AND table_schema = ? AND table_name = ?";
    let before: Option<String> = connection.query_row(before, [schema, name], |row| row.get(0)).optional()?;
    let full_name = format!("{}.{}", identifier(schema), identifier(name));
    if let Some(before) = before {
        let kind = if before == "VIEW" { "VIEW" } else { "TABLE" };
        connection.execute_batch(&format!("DROP {kind} {full_name}"))?;
    }
    connection.execute_batch(&format!("CREATE SCHEMA IF NOT EXISTS {}", identifier(schema)))?;
    // A view's text names relations without their database, so that it holds in a copy of the file.
    let make = view.unwrap_or_else(|| format!("CREATE TABLE {full_name} AS FROM adopted.{full_name}"));
    connection.execute_batch(&make)?;
    Ok(true)
}
