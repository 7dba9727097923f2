//! Values a CPU-second: the generator core alone, and into a DuckDB file.
//!
//! `cargo bench -p generate [-- SCALE]`; the default is a day of 20 times the volume.

use std::error::Error;

use duckdb::Connection;
use generate::{Sandbox, generate, initialize, retail::Retail};
use jiff::{civil::date, tz::TimeZone};
use rustix::time::{ClockId, clock_gettime};

const DAYS: u32 = 60;

fn main() -> Result<(), Box<dyn Error>> {
    let scale = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(20.0);
    let time_zone = TimeZone::get("America/Toronto")?;
    let start = date(2025, 8, 1);

    let mut values = 0;
    let begun = cpu_seconds();
    // Sixty days in, late news, corrections and returns come from every cohort.
    let retail = Retail::new(42, start, &time_zone, scale, DAYS)?;
    for number in 0..retail.pieces() {
        values += retail.piece(number, None)?.iter().map(|batch| batch.num_rows() * batch.num_columns()).sum::<usize>();
    }
    report("core", values, cpu_seconds() - begun);

    let folder = tempfile::tempdir()?;
    let mut connection = Connection::open(folder.path().join("source.duckdb"))?;
    let sandbox = Sandbox { seed: 42, scale, start, time_zone, threads: 1 };
    initialize(&mut connection, &sandbox)?;
    let window = (jiff::Timestamp::from_microsecond(retail.day().begin)?, {
        let (_, end) = retail.day().window();
        jiff::Timestamp::from_microsecond(end)?
    });
    let begun = cpu_seconds();
    generate(&mut connection, &sandbox, retail.day().date, window, None)?;
    report("source", values, cpu_seconds() - begun);
    Ok(())
}

fn report(name: &str, values: usize, seconds: f64) {
    let millions = f64::from(u32::try_from(values).unwrap_or(u32::MAX)) / 1e6;
    println!(
        "{name}: {millions:.1} million values in {seconds:.2} CPU-seconds, {:.1} million a second",
        millions / seconds
    );
}

/// Of all threads, DuckDB's included.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let nanoseconds = i32::try_from(time.tv_nsec).unwrap_or_default();
    f64::from(i32::try_from(time.tv_sec).unwrap_or_default()) + f64::from(nanoseconds) / 1e9
}
