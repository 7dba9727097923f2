//! What objects of the lake hold, against what the contract says: the same answer for every back end.

use pipeline::{Column, Mode, Table};
use wap::{Manifest, ManifestColumn};

use crate::Error;

/// For each column of the contract whether the objects of a manifest have it. A column that they lack reads as NULL; one
/// that is required, or that they hold with another type, is refused.
pub(crate) fn stored_columns<'table>(
    table: &'table Table,
    found: &[ManifestColumn],
) -> Result<Vec<(&'table Column, bool)>, Error> {
    let mut columns = Vec::new();
    for column in &table.columns {
        let Some(stored) = found.iter().find(|stored| stored.name == column.name) else {
            if column.mode == Mode::Required {
                return Err(Error::rejected(format!(
                    "column {} of table {} is required, and partitions extracted before lack it; extract them again, or \
                     make it nullable",
                    column.name, table.name
                )));
            }
            columns.push((column, false));
            continue;
        };
        // Types in manifests are written as DuckDB calls them, whatever the warehouse.
        let contract = column.duckdb_type();
        if stored.data_type != contract {
            return Err(Error::rejected(format!(
                "column {} of table {} is {contract} now, and partitions extracted before hold {}; extract them again",
                column.name, table.name, stored.data_type
            )));
        }
        columns.push((column, true));
    }
    Ok(columns)
}

/// The refusal of an object that is not what its manifest says.
pub(crate) fn damaged(manifest: &Manifest, key: &str, how: &str) -> Error {
    Error::rejected(format!(
        "object {key} of table {}, partition {} {how}; delete its manifest and extract the partition again",
        manifest.table, manifest.partition
    ))
}
