//! Extract against a bare `COPY ... TO` of the same query: time, size and memory.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use duckdb::{AccessMode, Config, Connection};
use jiff::Timestamp;
use pipeline::Pipeline;
use service::SourceAccess;
use state::State;
use store::Folder;
use tokio::runtime::Runtime;
use wap::{Manifest, PartitionKey};

use super::{Measurement, median};

type Failure = Box<dyn Error + Send + Sync>;

/// Runs of each, by turns. The figures are medians over them, and ratios are taken run by run: a machine that is busy for
/// a while slows both of a pair.
const RUNS: usize = 7;

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
    let mut runs = Vec::new();
    let mut bytes = (0, 0);
    reset_peak();
    let mut peak = None;
    for run in 0..=RUNS {
        // A fresh lake each time: what is there already would not be written again.
        let lake = folder.join(format!("lake-{run}"));
        let (started, began) = (Instant::now(), processor_ticks());
        let manifest = runtime.block_on(extract(&pipeline, folder, &lake))?;
        let (seconds, between) = (started.elapsed().as_secs_f64(), processor_ticks());
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
            let ticks = (between - began, processor_ticks() - between);
            runs.push(Run { seconds, copy_seconds: bare.as_secs_f64(), ticks });
        }
    }
    let over = |value: fn(&Run) -> f64| median(runs.iter().map(value).collect());
    let measure = |name: &str, value, unit, aim| Measurement { name: name.to_owned(), value, unit, aim };
    let mut measurements = vec![
        measure("extract, time to COPY", over(|run| run.seconds / run.copy_seconds), "ratio", Some(1.10)),
        measure("extract, size to COPY", ratio(bytes.0, bytes.1), "ratio", Some(1.0)),
        measure("extract", over(|run| run.seconds), "s", None),
        measure("COPY", over(|run| run.copy_seconds), "s", None),
    ];
    if runs.iter().all(|run| run.ticks.1 > 0) {
        // Says the same on a machine that is busy with other things.
        let value = over(|run| ratio(run.ticks.0, run.ticks.1));
        measurements.push(measure("extract, processor time to COPY", value, "ratio", Some(1.10)));
    }
    if let Some(peak) = peak {
        measurements.push(measure("extract, peak memory", ratio(peak, 1 << 20), "MiB", Some(256.0)));
    }
    Ok(measurements)
}

/// An extraction and, right after it, a copy.
struct Run {
    seconds: f64,
    copy_seconds: f64,
    /// Processor time of the two.
    ticks: (u64, u64),
}

async fn extract(pipeline: &Pipeline, home: &Path, lake: &Path) -> Result<Manifest, Failure> {
    let state = State::new(Arc::new(Folder::open(lake)?), Duration::from_mins(1));
    let (table, partition) = (pipeline.table("lines")?, PartitionKey::new("2025-08")?);
    let access = SourceAccess::without_password(pipeline.sources[0].clone(), home);
    let manifests = ::extract::extract(&access, &state, table, &partition, Timestamp::now()).await?;
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
