//! `bgp sql`: a query of what readers see.

use serde_json::Value;
use service::{Config, Platform};
use warehouse::Place;

use crate::arguments::{Format, SqlOptions};
use crate::failure::Failure;
use crate::output::{self, cell};

/// Runs one query, read-only.
pub(crate) async fn sql(config: &Config, options: &SqlOptions) -> Result<(), Failure> {
    let platform = Platform::open(config).await?;
    let found = platform.warehouse.query(&Place::Live, &options.query, options.limit).await?;
    let format = if options.json { Format::Json } else { options.format };
    match format {
        Format::Json => output::json(&Value::Array(found.objects()))?,
        Format::Csv => {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(&found.columns)?;
            for row in &found.rows {
                writer.write_record(row.iter().map(cell))?;
            }
            let bytes = writer.into_inner().map_err(|error| Failure::new(error.to_string()))?;
            output::print(String::from_utf8_lossy(&bytes).trim_end())?;
        }
        Format::Table => {
            let columns: Vec<&str> = found.columns.iter().map(String::as_str).collect();
            let rows: Vec<Vec<String>> = found.rows.iter().map(|row| row.iter().map(cell).collect()).collect();
            output::table(&columns, &rows)?;
        }
    }
    if found.is_cut {
        eprintln!("bgp: only the first {} rows are shown; ask for more with --limit", options.limit);
    }
    Ok(())
}
