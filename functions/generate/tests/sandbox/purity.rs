//! The source as a whole: purity, replacement, refusals.

use crate::support::{START, World, settings};
use duckdb::Connection;
use generate::{Corruption, Error, Sandbox, Summary, generate, initialize};
use jiff::{ToSpan, civil::date, tz::TimeZone};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn any_order_with_repeats_gives_the_same_rows(
        seed: u64,
        order in Just(vec![0, 1, 2, 3, 4, 5, 5, 3, 0]).prop_shuffle(),
        threads in 1..4_usize,
    ) {
        let ordered = World::of_days(Sandbox { seed, ..settings(0.05) }, 6);
        let mut shuffled = World::new(Sandbox { seed, threads, ..settings(0.05) });
        for ordinal in order {
            shuffled.run(shuffled.day(ordinal), None).unwrap();
        }
        prop_assert_eq!(ordered.digest(), shuffled.digest());
    }
}

#[test]
fn threads_change_neither_rows_nor_their_order() {
    // At this scale a partition has three pieces.
    let rows_of = |threads| {
        let mut world = World::new(Sandbox { threads, ..settings(3.0) });
        world.run(START + 1.day(), None).unwrap();
        let in_order =
            "SELECT md5(string_agg(change_sequence::VARCHAR, ',' ORDER BY rowid)) FROM transaction_lines_log";
        (world.digest(), world.ask::<String>(in_order))
    };
    let one = rows_of(1);
    assert_eq!(rows_of(2), one);
    assert_eq!(rows_of(7), one);
}

#[test]
fn seed_scale_and_start_each_matter() {
    let base = World::of_days(settings(0.05), 2).digest();
    let others = [
        Sandbox { seed: 43, ..settings(0.05) },
        Sandbox { start: date(2025, 7, 31), ..settings(0.05) },
        settings(0.06),
    ];
    for other in others {
        let digest = World::of_days(other, 2).digest();
        for table in ["customers_log", "transaction_headers_log", "transaction_payments_log"] {
            assert_ne!(digest[table], base[table]);
        }
    }
}

#[test]
fn a_summary_counts_what_is_there() {
    let mut world = World::new(settings(0.5));
    let summary = world.run(START, None).unwrap();
    assert_eq!(summary.rows.len(), 19);
    for (table, rows) in summary.rows {
        assert_eq!(world.ask::<u64>(&format!("SELECT count(*) FROM {table}")), rows, "{table}");
    }
}

#[test]
fn the_smallest_sandbox_still_has_rows_every_day() {
    let mut world = World::new(settings(1e-6));
    for ordinal in 0..5 {
        let summary = world.run(world.day(ordinal), None).unwrap();
        let large = ["customers_log", "transaction_headers_log", "transaction_lines_log"];
        assert!(large.iter().all(|table| summary.rows[table] > 0), "{summary:?}");
    }
}

#[test]
fn initialize_again_changes_nothing() {
    let mut world = World::of_days(settings(0.05), 1);
    let before = world.digest();
    let summary = initialize(&mut world.connection, &world.settings).unwrap();
    assert_eq!(summary, Summary { rows: [("channels", 5), ("date_dimension", 5_844), ("holidays", 3_608)].into() });
    assert_eq!(world.digest(), before);
}

#[test]
fn every_corruption_is_noticed_by_its_own_audit_and_undone_by_a_run_without_it() {
    let audits = [
        (Corruption::NegativePrice, "transaction_lines_log WHERE unit_price_cents < 0"),
        (
            Corruption::OrphanLine,
            "transaction_lines_log ANTI JOIN (FROM transaction_headers_log WHERE transaction_id IS NOT NULL) USING (transaction_id)",
        ),
        (Corruption::NullKey, "transaction_headers_log WHERE transaction_id IS NULL"),
        (
            Corruption::DuplicateKey,
            "(SELECT transaction_id FROM (SELECT DISTINCT * FROM transaction_headers_log) WHERE transaction_id IS NOT NULL
              GROUP BY transaction_id, change_sequence HAVING count(*) > 1)",
        ),
        (
            Corruption::WrongTotal,
            "transaction_headers_log h JOIN (SELECT transaction_id, change_sequence // 128 AS unit, sum(total) AS total
               FROM (SELECT DISTINCT transaction_id, change_sequence, gross_line_total_cents AS total
                     FROM transaction_lines_log) GROUP BY ALL) l
             ON l.transaction_id = h.transaction_id AND l.unit = h.change_sequence // 128
             WHERE h.gross_subtotal_cents <> l.total",
        ),
    ];
    let mut world = World::of_days(settings(0.1), 3);
    let day = world.day(1);
    let clean = world.digest();
    for corruption in Corruption::ALL {
        world.run(day, Some(corruption)).unwrap();
        assert_ne!(world.digest(), clean);
        for (kind, audit) in audits {
            assert_eq!(world.count(audit) > 0, kind == corruption, "{corruption} under the audit for {kind}");
        }
        world.run(day, None).unwrap();
        assert_eq!(world.digest(), clean, "{corruption} left something behind");
    }
}

#[test]
fn a_run_that_fails_leaves_the_old_partition() {
    let mut world = World::of_days(settings(0.05), 2);
    world.connection.execute_batch("ALTER TABLE transaction_lines_log ADD COLUMN surprise BIGINT").unwrap();
    let before = world.digest();
    let failed = world.run(world.day(1), Some(Corruption::NullKey));
    assert!(matches!(failed, Err(Error::Internal { .. })), "{failed:?}");
    assert_eq!(world.digest(), before);
}

#[test]
fn one_run_writes_at_a_time() {
    let mut world = World::of_days(settings(0.05), 1);
    let other = world.connection.try_clone().unwrap();
    other.execute_batch("BEGIN; UPDATE sandbox SET writes = writes + 1").unwrap();
    let busy = world.run(START, None).unwrap_err();
    assert!(matches!(&busy, Error::Unavailable(_)), "{busy:?}");
    says(&busy, "another run is writing to the source: try again when it has finished");
    other.execute_batch("ROLLBACK").unwrap();
    world.run(START, None).unwrap();
}

#[test]
fn runs_at_once_write_a_partition_once() {
    let expected = World::of_days(settings(0.5), 1).digest();
    let empty = World::new(settings(0.5));
    let results: Vec<Result<Summary, Error>> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4)
            .map(|_| {
                let connection = empty.connection.try_clone().unwrap();
                let mut world = World { connection, settings: settings(0.5) };
                scope.spawn(move || world.run(START, None))
            })
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert!(results.iter().any(Result::is_ok), "{results:?}");
    assert!(results.iter().all(|result| matches!(result, Ok(_) | Err(Error::Unavailable(_)))), "{results:?}");
    assert_eq!(empty.digest(), expected);
}

#[test]
fn refusals_say_what_to_do_and_change_nothing() {
    let mut world = World::of_days(settings(0.05), 1);
    let before = world.digest();
    let (from, to) = world.window(START);

    let early = world.run(date(2025, 7, 31), None).unwrap_err();
    assert!(matches!(&early, Error::Rejected(_)));
    says(
        &early,
        "partition 2025-07-31 is before the sandbox, which starts on 2025-08-01: ask for that day or a later one",
    );

    let beyond = world.run(date(2036, 1, 1), None).unwrap_err();
    says(
        &beyond,
        "partition 2036-01-01 is after the date dimension, which ends on 2035-12-31: ask for that day or an earlier one",
    );

    let week = generate(&mut world.connection, &world.settings, START, (from, to + 144.hours()), None).unwrap_err();
    assert!(matches!(&week, Error::Rejected(_)));
    says(
        &week,
        "window 2025-08-01T04:00:00Z to 2025-08-08T04:00:00Z is not the day 2025-08-01, which is 2025-08-01T04:00:00Z to \
         2025-08-02T04:00:00Z: partition the source's tables by day, in its time zone",
    );

    let other = Sandbox { seed: 7, time_zone: TimeZone::UTC, ..world.settings.clone() };
    let mixed = initialize(&mut world.connection, &other).unwrap_err();
    assert!(matches!(&mixed, Error::Conflict(_)));
    says(
        &mixed,
        "the source was made with seed 42, scale 0.05, start 2025-08-01, time zone America/Toronto, the request has seed \
         7, scale 0.05, start 2025-08-01, time zone UTC: use the same settings, or another source file",
    );
    let same_zone = Sandbox { seed: 7, ..world.settings.clone() };
    let mixed = generate(&mut world.connection, &same_zone, START, (from, to), None).unwrap_err();
    assert!(matches!(&mixed, Error::Conflict(_)));

    for scale in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e12] {
        let refused = initialize(&mut world.connection, &Sandbox { scale, ..world.settings.clone() });
        assert!(matches!(&refused, Err(Error::Rejected(message)) if message.contains("scale")), "{refused:?}");
    }
    let idle = initialize(&mut world.connection, &Sandbox { threads: 0, ..world.settings.clone() });
    assert!(matches!(idle, Err(Error::Rejected(_))));

    assert_eq!(world.digest(), before);
}

#[test]
fn generate_before_initialize_says_so() {
    let world = World::new(settings(0.05));
    let mut empty = Connection::open_in_memory().unwrap();
    let missing = generate(&mut empty, &world.settings, START, world.window(START), None).unwrap_err();
    assert!(matches!(&missing, Error::NotFound(_)));
    says(&missing, "the source has no tables yet: run initialize first");
}

fn says(error: &Error, message: &str) {
    assert_eq!(error.to_string(), message);
}
