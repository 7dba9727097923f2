//! Extract against a bare `COPY ... TO` of the same query: time, size and memory.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use duckdb::{AccessMode, Config, Connection};
use jiff::Timestamp;
use pipeline::Pipeline;
use state::State;
use store::Folder;
use tokio::runtime::Runtime;
use wap::{Manifest, PartitionKey};

use super::Measurement;

type Failure = Box<dyn Error + Send + Sync>;

/// Interleaved runs of each; medians of fewer jump.
const RUNS: usize = 5;

/// A log of transaction lines, all in one partition.
const PIPELINE: &str = "\
version: 1
name: bench
time_zone: UTC
start: 2025-01-01
sources: {bench: {kind: duckdb, path: bench.duckdb}}
lake: {prefix: lake, compression: zstd, object_rows: 100000000, object_bytes: 10GiB}
raw: {dataset: raw}
tables:
  lines:
    source: bench
    key: [transaction_id, line_number]
    log: {changed_at: changed_at, sequence: change_sequence, operation: operation}
    partition: {granularity: month}
    columns:
      - {name: transaction_id, type: string}
      - {name: line_number, type: integer}
      - {name: product_id, type: integer}
      - {name: quantity, type: integer}
      - {name: unit_price_cents, type: integer}
      - {name: gross_line_total_cents, type: integer}
      - {name: is_deleted, type: boolean}
      - {name: changed_at, type: timestamp, mode: required}
      - {name: change_sequence, type: integer, mode: required}
      - {name: operation, type: string, mode: required}
    reconcile:
      model: facts
      key: {transaction_id: transaction_id, line_number: line_number}
      measures: {gross_line_total_cents: gross_line_total_cents}
dbt: {project: dbt, publish: [facts]}
live: {dataset: live}
";

/// Compares them on a table of that many rows, in `folder`.
pub(crate) fn run(rows: u64, folder: &Path) -> Result<Vec<Measurement>, Failure> {
    let pipeline = Pipeline::parse("bench.yaml", PIPELINE)?;
    make_source(&folder.join("bench.duckdb"), rows)?;
    let runtime = Runtime::new()?;
    let mut extracts = Vec::new();
    let mut copies = Vec::new();
    let mut ticks = (0, 0);
    let mut bytes = (0, 0);
    reset_peak();
    let mut peak = None;
    for run in 0..=RUNS {
        // A fresh lake each time: what is there already would not be written again.
        let lake = folder.join(format!("lake-{run}"));
        let (started, began) = (Instant::now(), processor_ticks());
        let manifest = runtime.block_on(extract(&pipeline, folder, &lake))?;
        let (whole, between) = (started.elapsed(), processor_ticks());
        // Before the first copy, whose memory would count as well.
        peak = peak.or_else(peak_bytes);
        let bare = copy(folder)?;
        if manifest.rows != rows {
            return Err(format!("{} of {rows} rows were extracted", manifest.rows).into());
        }
        bytes = (manifest.bytes, fs::metadata(folder.join("copy.parquet"))?.len());
        fs::remove_dir_all(&lake)?;
        // The first run of each warms the caches.
        if run > 0 {
            extracts.push(whole);
            copies.push(bare);
            ticks = (ticks.0 + between - began, ticks.1 + processor_ticks() - between);
        }
    }
    let (extracts, copies) = (median(extracts), median(copies));
    let mut measurements = vec![
        Measurement {
            name: "extract, time to COPY".to_owned(),
            value: extracts / copies,
            unit: "ratio",
            aim: Some(1.10),
        },
        Measurement {
            name: "extract, size to COPY".to_owned(),
            value: ratio(bytes.0, bytes.1),
            unit: "ratio",
            aim: Some(1.0),
        },
        Measurement { name: "extract".to_owned(), value: extracts, unit: "s", aim: None },
        Measurement { name: "COPY".to_owned(), value: copies, unit: "s", aim: None },
    ];
    if ticks.1 > 0 {
        // Says the same on a machine that is busy with other things.
        let value = ratio(ticks.0, ticks.1);
        measurements.push(Measurement {
            name: "extract, processor time to COPY".to_owned(),
            value,
            unit: "ratio",
            aim: Some(1.10),
        });
    }
    if let Some(peak) = peak {
        let value = ratio(peak, 1 << 20);
        measurements.push(Measurement {
            name: "extract, peak memory".to_owned(),
            value,
            unit: "MiB",
            aim: Some(256.0),
        });
    }
    Ok(measurements)
}

async fn extract(pipeline: &Pipeline, home: &Path, lake: &Path) -> Result<Manifest, Failure> {
    let state = State::new(Arc::new(Folder::open(lake)?), Duration::from_secs(60));
    let (table, partition) = (pipeline.table("lines")?, PartitionKey::new("2025-08")?);
    let manifests = ::extract::extract(pipeline, home, &state, table, &partition, Timestamp::now()).await?;
    manifests.into_iter().next().ok_or_else(|| "nothing was extracted".into())
}

/// The bare copy of the same rows, with the settings that make it fastest.
fn copy(folder: &Path) -> Result<Duration, Failure> {
    let target = folder.join("copy.parquet");
    let started = Instant::now();
    let config = Config::default().access_mode(AccessMode::ReadOnly)?;
    let connection = Connection::open_with_flags(folder.join("bench.duckdb"), config)?;
    connection.execute_batch(&format!(
        "SET preserve_insertion_order = false;
         COPY (FROM lines WHERE changed_at >= TIMESTAMP '2025-08-01' AND changed_at < TIMESTAMP '2025-09-01')
         TO '{}' (FORMAT parquet, COMPRESSION zstd)",
        target.display()
    ))?;
    Ok(started.elapsed())
}

/// Lines as the sandbox has them, in the order in which they became visible.
fn make_source(path: &Path, rows: u64) -> Result<(), Failure> {
    let config = Config::default().max_memory("128MB")?;
    let connection = Connection::open_with_flags(path, config)?;
    connection.execute_batch(&format!(
        "CREATE TABLE lines AS
         SELECT
             'T' || lpad(CAST(row // 3 AS VARCHAR), 10, '0') AS transaction_id,
             row % 3 + 1 AS line_number,
             product AS product_id,
             quantity,
             price AS unit_price_cents,
             quantity * price AS gross_line_total_cents,
             hash(row, 4) % 100 = 0 AS is_deleted,
             TIMESTAMP '2025-08-01' + to_microseconds(CAST(row * (2000000000000 // {rows}) + hash(row, 5) % 50000 AS BIGINT))
                 AS changed_at,
             row AS change_sequence,
             CASE hash(row, 6) % 10 WHEN 0 THEN 'delete' WHEN 1 THEN 'update' ELSE 'insert' END AS operation
         FROM (
             SELECT
                 range AS row,
                 CAST(sqrt(hash(range, 1) % 25000000) AS BIGINT) AS product,
                 CAST(1 + hash(range, 2) % 5 AS BIGINT) AS quantity,
                 CAST(99 + hash(CAST(sqrt(hash(range, 1) % 25000000) AS BIGINT), 3) % 20000 AS BIGINT) AS price
             FROM range({rows})
         )"
    ))?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(())
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn ratio(value: u64, of: u64) -> f64 {
    value as f64 / of as f64
}

/// Lets the kernel's count of the most memory that this process ever had begin again, where it can.
fn reset_peak() {
    // Without it the figure is the whole run's, which is larger and so still honest.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// Processor time that this process has used; Linux only, otherwise always 0.
fn processor_ticks() -> u64 {
    let status = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in parentheses may hold spaces; user and system time are the twelfth and thirteenth after it.
    let fields = status.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

/// The most resident memory of this process since the reset; Linux only.
fn peak_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}
