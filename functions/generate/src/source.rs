//! Writes the sandbox into `DuckDB`: schema and static tables once, then a partition at a time.

use std::{collections::BTreeMap, sync::mpsc, thread};

use arrow::array::RecordBatch;
use duckdb::{Connection, OptionalExt, Transaction};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::Serialize;

use crate::{
    Corruption, Error,
    retail::{
        LOGS, Retail, STATIC,
        calendar::{self, Day, Days},
        channels, dates, holidays,
        table::Table,
    },
};

/// What a sandbox is made of. Two calls with equal settings, but for `threads`, make equal rows.
#[derive(Clone, Debug)]
pub struct Sandbox {
    /// Names one of 2^64 different retailers.
    pub seed: u64,
    /// Volume: 1 is 2,000 new customers and 4,000 transactions on an average day at the start.
    pub scale: f64,
    /// The first day.
    pub start: Date,
    /// Where the retailer's days begin and end; the pipeline's time zone.
    pub time_zone: TimeZone,
    /// Threads that generate, at least one.
    pub threads: usize,
}

/// Rows written, by table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Rows by name of the table.
    pub rows: BTreeMap<&'static str, u64>,
}

/// Creates the schema, the static tables and the date dimension. A second call with the same settings changes nothing.
///
/// # Errors
/// `Rejected` for settings that can't work, `Conflict` when the source was made with others.
pub fn initialize(connection: &mut Connection, settings: &Sandbox) -> Result<Summary, Error> {
    settings.check()?;
    let days = Days::new(settings.start, &settings.time_zone, settings.scale, 0)?;
    let transaction = begin(connection)?;
    transaction.execute_batch(&schema()).map_err(Error::writing("create the tables of the source"))?;
    if let Some(recorded) = recorded(&transaction)? {
        settings.must_equal(&recorded)?;
    } else {
        transaction
            .execute("INSERT INTO sandbox VALUES (?, 0)", [settings.fingerprint()])
            .map_err(Error::internal("record the settings of the source"))?;
        append(&transaction, &channels::CHANNELS, channels::rows(days.get(0).begin)?)?;
        append(&transaction, &dates::DATE_DIMENSION, dates::rows()?)?;
        append(&transaction, &holidays::HOLIDAYS, holidays::rows()?)?;
    }
    let mut summary = Summary::default();
    for table in STATIC {
        let rows = transaction
            .query_row(&format!("SELECT count(*) FROM {}", table.name), [], |row| row.get(0))
            .map_err(Error::internal(format!("count the rows of {}", table.name)))?;
        summary.rows.insert(table.name, rows);
    }
    commit(transaction)?;
    Ok(summary)
}

/// Replaces one partition, the log rows of a day, in one transaction.
///
/// `window` is the partition's half-open window of log time; it must be the day in the settings' time zone, since the
/// rows of a day are a function of that day alone.
///
/// # Errors
/// `Rejected` for a day before the start or a window that is not the day, `NotFound` before [`initialize`], `Conflict`
/// when the source was made with other settings.
pub fn generate(
    connection: &mut Connection,
    settings: &Sandbox,
    partition: Date,
    window: (Timestamp, Timestamp),
    corrupt: Option<Corruption>,
) -> Result<Summary, Error> {
    settings.check()?;
    let ordinal = settings.ordinal(partition)?;
    let retail = Retail::new(settings.seed, settings.start, &settings.time_zone, settings.scale, ordinal)?;
    check_window(retail.day(), window)?;
    if corrupt.is_some() && retail.day().purchases == 0 {
        return Err(Error::Rejected(format!(
            "nothing is sold on {partition}, so there is no transaction to spoil: corrupt another day"
        )));
    }

    let transaction = begin(connection)?;
    settings.must_equal(&recorded_or_missing(&transaction)?)?;
    only_writer(&transaction)?;
    let (from, to) = retail.day().window();
    for table in LOGS {
        let delete = format!(
            "DELETE FROM {} WHERE changed_at >= make_timestamp(?) AND changed_at < make_timestamp(?)",
            table.name
        );
        transaction
            .execute(&delete, [from, to])
            .map_err(Error::internal(format!("delete partition {partition} of {}", table.name)))?;
    }
    let summary = write(&transaction, &retail, settings.threads, corrupt)?;
    commit(transaction)?;
    Ok(summary)
}

impl Sandbox {
    fn check(&self) -> Result<(), Error> {
        if !(self.scale.is_finite() && self.scale > 0.0) {
            return Err(Error::Rejected(format!(
                "scale {} is not above 0: use 1 for full volume, 0.01 for a hundredth",
                self.scale
            )));
        }
        if self.threads == 0 {
            return Err(Error::Rejected("threads is 0: use at least 1".to_owned()));
        }
        Ok(())
    }

    fn ordinal(&self, partition: Date) -> Result<u32, Error> {
        if partition > dates::LAST_DAY {
            return Err(Error::Rejected(format!(
                "partition {partition} is after the date dimension, which ends on {}: ask for that day or an earlier one",
                dates::LAST_DAY
            )));
        }
        u32::try_from((partition - self.start).get_days()).map_err(|_| {
            Error::Rejected(format!(
                "partition {partition} is before the sandbox, which starts on {}: ask for that day or a later one",
                self.start
            ))
        })
    }

    /// Everything that decides the rows, for people and for comparison.
    fn fingerprint(&self) -> String {
        let zone = self.time_zone.iana_name().map_or_else(|| format!("{:?}", self.time_zone), str::to_owned);
        format!("seed {}, scale {}, start {}, time zone {zone}", self.seed, self.scale, self.start)
    }

    fn must_equal(&self, recorded: &str) -> Result<(), Error> {
        let asked = self.fingerprint();
        if asked == recorded {
            return Ok(());
        }
        Err(Error::Conflict(format!(
            "the source was made with {recorded}, the request has {asked}: use the same settings, or another source file"
        )))
    }
}

fn check_window(day: &Day, (from, to): (Timestamp, Timestamp)) -> Result<(), Error> {
    let (begin, end) = day.window();
    if (from.as_microsecond(), to.as_microsecond()) == (begin, end) {
        return Ok(());
    }
    Err(Error::Rejected(format!(
        "window {from} to {to} is not the day {}, which is {} to {}: partition the source's tables by day, in its time zone",
        day.date,
        calendar::instant(begin),
        calendar::instant(end)
    )))
}

/// The statements that create every table and view that is missing.
fn schema() -> String {
    // One row: the settings that decide every other row, and a count of writes for `only_writer`.
    let mut statements = vec!["CREATE TABLE IF NOT EXISTS sandbox (settings VARCHAR, writes BIGINT)".to_owned()];
    for table in STATIC.into_iter().chain(LOGS) {
        let columns: Vec<String> = table.all_columns().map(|(name, kind)| format!("{name} {}", kind.sql())).collect();
        statements.push(format!("CREATE TABLE IF NOT EXISTS {} ({})", table.name, columns.join(", ")));
        if let Some(current) = table.current() {
            statements.push(current_view(table, current));
        }
    }
    statements.join(";\n")
}

/// The current table is a view over its log, so the two can't differ.
fn current_view(table: &Table, current: &str) -> String {
    let columns: Vec<&str> = table.current_columns().collect();
    format!(
        "CREATE VIEW IF NOT EXISTS {current} AS SELECT {} FROM (SELECT *, row_number() OVER (PARTITION BY {} ORDER BY \
         change_sequence DESC) AS newest FROM {}) WHERE newest = 1 AND NOT is_deleted",
        columns.join(", "),
        table.key.join(", "),
        table.name
    )
}

/// Generates by threads and appends in order: piece n comes from thread n modulo the number of threads, through a
/// channel that holds one piece, so memory stays flat and the order does not depend on the threads.
fn write(
    transaction: &Transaction<'_>,
    retail: &Retail,
    threads: usize,
    corrupt: Option<Corruption>,
) -> Result<Summary, Error> {
    let mut appenders = Vec::with_capacity(LOGS.len());
    for table in LOGS {
        let appender =
            transaction.appender(table.name).map_err(Error::internal(format!("open {} for writing", table.name)))?;
        appenders.push((table, appender, 0_u64));
    }
    thread::scope(|scope| {
        let threads = threads.min(retail.pieces() as usize);
        let receivers: Vec<_> = (0..threads)
            .map(|first| {
                let (sender, receiver) = mpsc::sync_channel(1);
                scope.spawn(move || {
                    for number in (0..retail.pieces()).skip(first).step_by(threads) {
                        if sender.send(retail.piece(number, corrupt)).is_err() {
                            // The writer gave up and says why.
                            break;
                        }
                    }
                });
                receiver
            })
            .collect();
        for receiver in receivers.iter().cycle().take(retail.pieces() as usize) {
            let batches = receiver.recv().map_err(Error::internal("receive rows from a generating thread"))??;
            for ((table, appender, rows), batch) in appenders.iter_mut().zip(batches) {
                if batch.num_rows() == 0 {
                    continue;
                }
                *rows += batch.num_rows() as u64;
                appender.append_record_batch(batch).map_err(Error::internal(format!("append to {}", table.name)))?;
            }
        }
        Ok(())
    })?;
    let mut summary = Summary::default();
    for (table, mut appender, rows) in appenders {
        // Dropping an appender swallows its errors.
        appender.flush().map_err(Error::internal(format!("append to {}", table.name)))?;
        summary.rows.insert(table.name, rows);
    }
    Ok(summary)
}

/// Makes this transaction conflict with every other one that writes. Two runs of one new partition would otherwise both
/// find nothing to delete, and both insert. The value must change: `DuckDB` skips an update that changes nothing.
fn only_writer(transaction: &Transaction<'_>) -> Result<(), Error> {
    transaction
        .execute("UPDATE sandbox SET writes = writes + 1", [])
        .map(drop)
        .map_err(Error::writing("become the writer of the source"))
}

fn append(transaction: &Transaction<'_>, table: &Table, batch: RecordBatch) -> Result<(), Error> {
    let action = || Error::internal(format!("append to {}", table.name));
    let mut appender = transaction.appender(table.name).map_err(action())?;
    appender.append_record_batch(batch).map_err(action())?;
    appender.flush().map_err(action())
}

fn begin(connection: &mut Connection) -> Result<Transaction<'_>, Error> {
    connection.transaction().map_err(Error::internal("begin a transaction in the source"))
}

fn commit(transaction: Transaction<'_>) -> Result<(), Error> {
    transaction.commit().map_err(Error::writing("commit to the source"))
}

/// The settings that the source was made with, if it was.
fn recorded(transaction: &Transaction<'_>) -> Result<Option<String>, Error> {
    transaction
        .query_row("SELECT settings FROM sandbox", [], |row| row.get(0))
        .optional()
        .map_err(Error::internal("read the settings of the source"))
}

fn recorded_or_missing(transaction: &Transaction<'_>) -> Result<String, Error> {
    let tables: u64 = transaction
        .query_row("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'sandbox'", [], |row| row.get(0))
        .map_err(Error::internal("look for the tables of the source"))?;
    let settings = if tables == 0 { None } else { recorded(transaction)? };
    settings.ok_or_else(|| Error::NotFound("the source has no tables yet: run initialize first".to_owned()))
}
