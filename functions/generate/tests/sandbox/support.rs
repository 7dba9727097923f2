//! A sandbox in memory and questions to it.
use std::collections::BTreeMap;

use duckdb::{Connection, types::FromSql};
use generate::{Corruption, Error, Sandbox, Summary, generate, initialize};
use jiff::{
    Timestamp, ToSpan,
    civil::{Date, date},
    tz::TimeZone,
};

pub(crate) const START: Date = date(2025, 8, 1);

pub(crate) fn settings(scale: f64) -> Sandbox {
    Sandbox { seed: 42, scale, start: START, time_zone: TimeZone::get("America/Toronto").unwrap(), threads: 2 }
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) connection: Connection,
    pub(crate) settings: Sandbox,
}

impl World {
    /// An initialized source without a partition.
    pub(crate) fn new(settings: Sandbox) -> Self {
        let mut connection = Connection::open_in_memory().unwrap();
        initialize(&mut connection, &settings).unwrap();
        Self { connection, settings }
    }

    /// The first days of a source, in order.
    pub(crate) fn of_days(settings: Sandbox, days: i64) -> Self {
        let mut world = Self::new(settings);
        for day in 0..days {
            world.run(world.day(day), None).unwrap();
        }
        world
    }

    pub(crate) fn day(&self, ordinal: i64) -> Date {
        self.settings.start + ordinal.days()
    }

    pub(crate) fn window(&self, day: Date) -> (Timestamp, Timestamp) {
        let midnight = |day: Date| day.to_zoned(self.settings.time_zone.clone()).unwrap().timestamp();
        (midnight(day), midnight(day.tomorrow().unwrap()))
    }

    pub(crate) fn run(&mut self, day: Date, corrupt: Option<Corruption>) -> Result<Summary, Error> {
        let window = self.window(day);
        generate(&mut self.connection, &self.settings, day, window, corrupt)
    }

    pub(crate) fn ask<T: FromSql>(&self, sql: &str) -> T {
        self.connection.query_row(sql, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    pub(crate) fn count(&self, from: &str) -> i64 {
        self.ask(&format!("SELECT count(*) FROM {from}"))
    }

    /// The names of all tables of the source.
    pub(crate) fn tables(&self) -> Vec<String> {
        let names = "SELECT table_name FROM duckdb_tables() WHERE table_name NOT IN ('sandbox', 'days') ORDER BY 1";
        let mut statement = self.connection.prepare(names).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// Of every table. Independent of the order of rows, but not of how often one is there.
    pub(crate) fn digest(&self) -> BTreeMap<String, String> {
        let digest = |table: &str| self.ask(&format!("SELECT concat(count(*), ' ', sum(hash({table}))) FROM {table}"));
        self.tables().into_iter().map(|table| (table.clone(), digest(&table))).collect()
    }

    /// A table `days` of the sandbox's days and their windows, to name business dates in SQL without a time zone.
    pub(crate) fn with_days(self, days: i64) -> Self {
        self.connection.execute_batch("CREATE TABLE days (day DATE, begins TIMESTAMP, ends TIMESTAMP)").unwrap();
        for day in -3..days {
            let day = self.day(day);
            let (begins, ends) = self.window(day);
            self.connection
                .execute(
                    "INSERT INTO days VALUES (?::DATE, make_timestamp(?), make_timestamp(?))",
                    duckdb::params![day.to_string(), begins.as_microsecond(), ends.as_microsecond()],
                )
                .unwrap();
        }
        self
    }
}
