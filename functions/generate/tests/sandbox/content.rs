//! What the rows say: each test states a property of the sandbox and looks for the rows that break it.

use crate::support::{START, World, settings};
use generate::{Sandbox, generate};
use jiff::{ToSpan, civil::date, tz::TimeZone};

const DAYS: i64 = 10;

/// Lines of one telling of a transaction share the sequence of its header, but for the line's number.
const TELLINGS: &str = "(SELECT transaction_id, change_sequence // 128 AS telling, changed_at, is_deleted, operation,
    count(*) AS lines, min(line_number) AS first_line, max(line_number) AS last_line, sum(gross_line_total_cents) AS total,
    bool_and(gross_line_total_cents = quantity * unit_price_cents AND abs(quantity) BETWEEN 1 AND 9 AND unit_price_cents > 0) AS adds_up
    FROM (SELECT DISTINCT * FROM transaction_lines_log) GROUP BY ALL)";

fn ten_days() -> World {
    World::of_days(settings(1.0), DAYS).with_days(DAYS)
}

#[test]
fn money_adds_up_in_every_telling_of_every_transaction() {
    let world = ten_days();
    let broken = format!(
        "transaction_headers_log h FULL JOIN {TELLINGS} l
           ON l.transaction_id = h.transaction_id AND l.telling = h.change_sequence // 128
         WHERE h.transaction_id IS NULL OR l.transaction_id IS NULL
            OR l.changed_at <> h.changed_at OR l.is_deleted <> h.is_deleted OR l.operation <> h.operation
            OR l.first_line <> 1 OR l.last_line <> l.lines OR NOT l.adds_up
            OR h.gross_subtotal_cents <> l.total
            OR h.total_cents <> h.gross_subtotal_cents - h.total_discount_cents + h.total_tax_cents"
    );
    assert_eq!(world.count(&broken), 0);
    // And the tax is that of the province in which the customer lived, rounded half up. (Moves that became visible later
    // than the last partition are not in the log yet.)
    let untaxed = "transaction_headers_log h
         ASOF JOIN customers_log c ON c.customer_id = h.customer_id AND c.valid_from <= h.transaction_at
         WHERE h.type = 'Purchase' AND h.transaction_at < TIMESTAMP '2025-08-08' AND h.total_tax_cents <> ((h.gross_subtotal_cents - h.total_discount_cents) * CASE
             WHEN c.province = 'QC' THEN 14975 WHEN c.province = 'ON' THEN 13000 WHEN c.province = 'NS' THEN 14000
             WHEN c.province = 'SK' THEN 11000 WHEN c.province IN ('BC', 'MB') THEN 12000
             WHEN c.province IN ('AB', 'NT', 'NU', 'YT') THEN 5000 ELSE 15000 END + 50000) // 100000";
    assert_eq!(world.count(untaxed), 0);
}

#[test]
fn a_purchase_bears_the_price_that_was_valid_and_names_a_product_on_sale() {
    let world = ten_days();
    // Prices that became visible later than the last partition are not in the log yet.
    let wrong = "transaction_lines_log l
         JOIN transaction_headers_log h ON h.transaction_id = l.transaction_id AND h.change_sequence // 128 = l.change_sequence // 128
         ASOF LEFT JOIN products_log p ON p.product_id = l.product_id AND p.valid_from <= h.transaction_at
         WHERE h.type = 'Purchase' AND h.transaction_at < TIMESTAMP '2025-08-08'
           AND (p.product_id IS NULL OR p.is_deleted OR p.status <> 'active' OR p.unit_price_cents <> l.unit_price_cents)";
    assert_eq!(world.count(wrong), 0);
}

#[test]
fn customers_exist_and_are_active_when_they_buy() {
    let world = ten_days();
    let strangers = "transaction_headers_log h
         ASOF LEFT JOIN customers_log c ON c.customer_id = h.customer_id AND c.valid_from <= h.transaction_at
         WHERE h.transaction_at < TIMESTAMP '2025-08-08'
           AND (c.customer_id IS NULL OR c.is_deleted OR c.status <> 'active' OR c.registered_at >= h.transaction_at)";
    assert_eq!(world.count(strangers), 0);
    let unregistered =
        "customers_log WHERE operation = 'insert' AND (registered_at <> changed_at OR valid_from <> changed_at)";
    assert_eq!(world.count(unregistered), 0);
}

#[test]
fn partitions_tile_the_log_and_sequences_follow_time() {
    let world = ten_days();
    let tables = [
        "customers_log",
        "products_log",
        "transaction_headers_log",
        "transaction_lines_log",
        "transaction_discounts_log",
        "transaction_payments_log",
    ];
    for table in tables {
        let empty_days = format!(
            "days d WHERE d.day >= '{START}' AND NOT EXISTS
               (FROM {table} t WHERE t.changed_at >= d.begins AND t.changed_at < d.ends)"
        );
        assert_eq!(world.count(&empty_days), 0, "{table}");
        let first = world.window(START).0.as_microsecond();
        let outside = format!("{table} WHERE changed_at < make_timestamp({first})");
        assert_eq!(world.count(&outside), 0, "{table}");

        let ambiguous =
            format!("(SELECT change_sequence FROM (SELECT DISTINCT * FROM {table}) GROUP BY 1 HAVING count(*) > 1)");
        assert_eq!(world.count(&ambiguous), 0, "{table}");
        let out_of_order = format!(
            "(SELECT changed_at, lag(changed_at) OVER (ORDER BY change_sequence) AS before FROM {table}) WHERE changed_at < before"
        );
        assert_eq!(world.count(&out_of_order), 0, "{table}");
    }
}

#[test]
fn each_run_writes_only_inside_its_window() {
    let mut world = World::new(settings(0.2));
    for ordinal in [3, 0, 2] {
        let day = world.day(ordinal);
        let (from, to) = world.window(day);
        let summary = world.run(day, None).unwrap();
        for (table, rows) in summary.rows {
            let inside = format!(
                "{table} WHERE changed_at >= make_timestamp({}) AND changed_at < make_timestamp({})",
                from.as_microsecond(),
                to.as_microsecond()
            );
            assert_eq!(world.ask::<u64>(&format!("SELECT count(*) FROM {inside}")), rows, "{table} of {day}");
        }
    }
}

#[test]
fn current_tables_are_the_newest_rows_of_their_logs() {
    let world = ten_days();
    let keys = [
        ("customers", "customer_id"),
        ("products", "product_id"),
        ("transaction_headers", "transaction_id"),
        ("transaction_lines", "(transaction_id, line_number)"),
        ("transaction_discounts", "(transaction_id, discount_number)"),
        ("transaction_payments", "(transaction_id, payment_number)"),
    ];
    for (current, key) in keys {
        let columns: String = world.ask(&format!(
            "SELECT string_agg(column_name, ', ' ORDER BY column_index) FROM duckdb_columns() WHERE table_name = '{current}'"
        ));
        let newest = format!(
            "SELECT {columns} FROM (SELECT unnest(arg_max(l, change_sequence)) FROM {current}_log l GROUP BY {key}) WHERE NOT is_deleted"
        );
        let differing =
            format!("((FROM {current} EXCEPT ALL ({newest})) UNION ALL (({newest}) EXCEPT ALL FROM {current}))");
        assert_eq!(world.count(&differing), 0, "{current}");
        assert_eq!(
            world.count(current),
            world.ask::<i64>(&format!("SELECT count(DISTINCT {key}) FROM {current}")),
            "{current}"
        );
        let gone = format!("(SELECT {key} FROM {current}_log WHERE is_deleted)");
        assert!(world.count(&gone) > 0, "nothing was ever deleted from {current}");
    }
}

#[test]
fn some_transactions_are_late_and_none_is_told_before_it_happens() {
    let world = ten_days();
    let late = "transaction_headers_log h JOIN days d ON d.begins <= h.transaction_at AND h.transaction_at < d.ends
                WHERE h.operation = 'insert' AND h.changed_at >= d.ends";
    let share = |count: i64| count * 1_000 / world.count("transaction_headers_log");
    // 1 % late; and of the 0.5 % told twice, half on the next day.
    assert!((8..18).contains(&share(world.count(late))), "{}", world.count(late));
    let too_late = format!("{late} AND h.changed_at >= d.ends + INTERVAL 4 DAY");
    assert_eq!(world.count(&too_late), 0);
    assert_eq!(world.count("transaction_headers_log WHERE changed_at < transaction_at"), 0);
    // Nothing that happened before the sandbox began is news.
    let first = world.window(START).0.as_microsecond();
    assert_eq!(world.count(&format!("transaction_headers_log WHERE transaction_at < make_timestamp({first})")), 0);
}

#[test]
fn some_transactions_are_told_twice_with_the_same_content() {
    let world = ten_days();
    let tellings = "(SELECT transaction_id, count(*) AS tellings, count(DISTINCT (* EXCLUDE (changed_at, change_sequence))) AS contents,
                     max(changed_at) - min(changed_at) AS apart
                     FROM (SELECT transaction_id, struct_pack(customer_id, channel_id, employee_id, type, original_transaction_id,
                             transaction_at, gross_subtotal_cents, total_discount_cents, total_tax_cents, total_cents) AS content, changed_at
                           FROM transaction_headers_log WHERE operation = 'insert') GROUP BY 1 HAVING count(*) > 1)"
        .replace("(* EXCLUDE (changed_at, change_sequence))", "content");
    let share = world.count(&tellings) * 10_000 / world.count("transaction_headers");
    assert!((30..70).contains(&share), "{share} in 10,000");
    assert_eq!(
        world.count(&format!("{tellings} WHERE tellings <> 2 OR contents <> 1 OR apart <= INTERVAL 0 SECOND")),
        0
    );
    assert!(world.count(&format!("{tellings} WHERE apart < INTERVAL 1 MINUTE")) > 0, "none in the same partition");
    assert!(world.count(&format!("{tellings} WHERE apart > INTERVAL 1 MINUTE")) > 0, "none in the next partition");
}

#[test]
fn some_line_rows_are_in_the_log_twice_to_the_byte() {
    let world = ten_days();
    let twice = "(SELECT count(*) AS copies FROM transaction_lines_log l GROUP BY l HAVING count(*) > 1)";
    let share = world.count(twice) * 10_000 / world.count("transaction_lines_log");
    assert!((10..30).contains(&share), "{share} in 10,000");
    assert_eq!(world.count(&format!("{twice} WHERE copies <> 2")), 0);
    // The other logs have no such rows.
    for table in world.tables().iter().filter(|table| table.ends_with("_log") && *table != "transaction_lines_log") {
        assert_eq!(world.count(&format!("(SELECT 1 FROM {table} t GROUP BY t HAVING count(*) > 1)")), 0, "{table}");
    }
}

#[test]
fn corrections_come_in_a_later_partition_and_move_or_cancel() {
    let world = ten_days();
    let corrected =
        "(SELECT c.operation, c.changed_at, o.changed_at AS first_told, was.day AS was, d.day AS day, told.day AS told
         FROM transaction_headers_log c
         JOIN transaction_headers_log o ON o.transaction_id = c.transaction_id AND o.operation = 'insert'
         JOIN days was ON was.begins <= o.transaction_at AND o.transaction_at < was.ends
         JOIN days d ON d.begins <= c.transaction_at AND c.transaction_at < d.ends
         JOIN days told ON told.begins <= o.changed_at AND o.changed_at < told.ends
         WHERE c.operation <> 'insert' AND c.changed_at >= told.ends)";
    let corrections = "transaction_headers_log WHERE operation <> 'insert'";
    assert_eq!(world.count(corrected), world.count(corrections));
    assert!(world.count(&format!("{corrections} AND operation = 'delete'")) > 20);
    assert!(world.count(&format!("{corrected} WHERE operation = 'update' AND day < was")) > 10);
    assert!(world.count(&format!("{corrected} WHERE operation = 'update' AND day > was")) > 10);
    let wrong =
        "(operation = 'update' AND abs(day - was) NOT BETWEEN 1 AND 2) OR (operation = 'delete' AND day <> was)";
    assert_eq!(world.count(&format!("{corrected} WHERE {wrong}")), 0);
}

#[test]
fn returns_follow_their_purchase_and_never_exceed_it() {
    let world = World::of_days(settings(0.3), 35);
    let returns = "transaction_headers_log r WHERE r.type = 'Return'";
    assert!(world.count(returns) > 500);
    let unfounded = "(SELECT r.transaction_id FROM transaction_headers_log r
          LEFT JOIN transaction_headers p ON p.transaction_id = r.original_transaction_id AND p.type = 'Purchase'
            AND p.customer_id = r.customer_id
          WHERE r.type = 'Return' AND (p.transaction_id IS NULL OR p.changed_at >= r.changed_at
            OR p.gross_subtotal_cents < -r.gross_subtotal_cents OR r.gross_subtotal_cents >= 0
            OR r.transaction_at - p.transaction_at NOT BETWEEN INTERVAL 3 DAY AND INTERVAL 31 DAY))";
    assert_eq!(world.count(unfounded), 0);
    let repriced = "transaction_lines r JOIN transaction_headers h USING (transaction_id)
         LEFT JOIN transaction_lines p ON p.transaction_id = h.original_transaction_id AND p.line_number = r.line_number
         WHERE h.type = 'Return' AND (p.product_id IS DISTINCT FROM r.product_id OR p.quantity < -r.quantity OR r.quantity >= 0
           OR p.unit_price_cents <> r.unit_price_cents)";
    assert_eq!(world.count(repriced), 0);
    assert_eq!(
        world.count("transaction_headers_log WHERE type = 'Purchase' AND original_transaction_id IS NOT NULL"),
        0
    );
}

#[test]
fn histories_are_well_formed_and_some_versions_are_late() {
    let world = World::of_days(settings(1.0), 60);
    for (table, key) in [("customers_log", "customer_id"), ("products_log", "product_id")] {
        let history = format!(
            "(SELECT *, lag(valid_from) OVER w AS valid_before, lag(is_deleted) OVER w AS was_deleted,
                row_number() OVER w AS version FROM {table} WINDOW w AS (PARTITION BY {key} ORDER BY change_sequence))"
        );
        let malformed = format!(
            "{history} WHERE (version = 1) <> (operation = 'insert') OR valid_from <= valid_before OR was_deleted
               OR is_deleted <> (operation = 'delete') OR valid_from > changed_at OR valid_from < changed_at - INTERVAL 3 DAY"
        );
        assert_eq!(world.count(&malformed), 0, "{table}");
        for operation in ["update", "delete"] {
            assert!(world.count(&format!("{table} WHERE operation = '{operation}'")) > 0, "{table} {operation}");
        }
        assert!(world.count(&format!("{table} WHERE valid_from < changed_at - INTERVAL 1 DAY")) > 0, "{table}");
    }
    let events =
        "(SELECT * FROM (SELECT *, lag(product) OVER (PARTITION BY product_id ORDER BY change_sequence) AS before
                   FROM (SELECT *, struct_pack(name, unit_price_cents, cost_price_cents, status, is_deleted) AS product
                         FROM products_log)) WHERE operation = 'update')";
    assert!(world.count(&format!("{events} WHERE before.unit_price_cents <> product.unit_price_cents")) > 50);
    assert!(world.count(&format!("{events} WHERE before.status <> product.status")) > 5);
    let launched = format!("products_log WHERE operation = 'insert' AND changed_at > TIMESTAMP '{}'", START + 1.day());
    assert!(world.count(&launched) > 0);
    let founding: i64 = world.ask(&format!(
        "SELECT count(*) FROM products_log WHERE valid_from = make_timestamp({})",
        world.window(START).0.as_microsecond()
    ));
    assert_eq!(founding, 5_000);
}

#[test]
fn a_day_of_25_hours_is_filled_to_its_last_hour() {
    let mut world = World::new(Sandbox { start: date(2025, 11, 1), ..settings(1.0) });
    let day = date(2025, 11, 2);
    let (from, to) = world.window(day);
    assert_eq!((to - from).total(jiff::Unit::Hour).unwrap().to_string(), "25");
    world.run(day, None).unwrap();
    let hours = format!(
        "(SELECT DISTINCT epoch_us(changed_at - make_timestamp({})) // 3600000000 AS hour FROM transaction_headers_log)",
        from.as_microsecond()
    );
    assert_eq!(world.count(&hours), 25);
    assert_eq!(world.ask::<i64>(&format!("SELECT max(hour) FROM {hours}")), 24);
    // The days before and after touch it without a gap or an overlap.
    world.run(date(2025, 11, 1), None).unwrap();
    world.run(date(2025, 11, 3), None).unwrap();
    let business_days = world.with_days(5);
    let told_on_time = "transaction_headers_log h JOIN days d ON d.begins <= h.changed_at AND h.changed_at < d.ends
                        WHERE h.transaction_at = h.changed_at";
    assert_eq!(business_days.ask::<i64>(&format!("SELECT count(DISTINCT d.day) FROM {told_on_time}")), 3);
}

#[test]
fn another_time_zone_moves_the_days() {
    let zone = TimeZone::get("Asia/Kathmandu").unwrap();
    let mut world = World::new(Sandbox { time_zone: zone, ..settings(0.1) });
    world.run(START, None).unwrap();
    let first: String = world.ask("SELECT min(changed_at)::VARCHAR FROM products_log");
    assert_eq!(first, "2025-07-31 18:15:00");
    let utc_day = (
        START.to_zoned(TimeZone::UTC).unwrap().timestamp(),
        START.tomorrow().unwrap().to_zoned(TimeZone::UTC).unwrap().timestamp(),
    );
    assert!(generate(&mut world.connection, &world.settings, START, utc_day, None).is_err());
}

#[test]
fn volume_grows_and_follows_the_week() {
    let world = World::of_days(settings(0.5), 14).with_days(14);
    let purchases = |day: &str| -> i64 {
        world.ask(&format!(
            "SELECT count(DISTINCT transaction_id) FROM transaction_headers h JOIN days d
               ON d.begins <= h.transaction_at AND h.transaction_at < d.ends AND d.day = '{day}' WHERE type = 'Purchase'"
        ))
    };
    // 2,000 on the base day; Saturday 1.65 and Monday 0.75, week 31 0.95 and week 32 1.00; a few are late or moved.
    let near = |count: i64, expected: i64| count.abs_diff(expected) < 60;
    assert!(near(purchases("2025-08-02"), 3_141), "{}", purchases("2025-08-02"));
    assert!(near(purchases("2025-08-04"), 1_509), "{}", purchases("2025-08-04"));
}

#[test]
fn the_date_dimension_has_iso_weeks_and_holidays() {
    let world = World::new(settings(0.01));
    let row = |day: &str| -> String {
        world.ask(&format!(
            "SELECT concat_ws('|', year, quarter, month, month_name, week_of_year, iso_year, day_of_month, day_of_week,
               day_name, is_weekend, is_holiday, coalesce(holiday_name, '-')) FROM date_dimension WHERE date_day = '{day}'"
        ))
    };
    assert_eq!(row("2021-01-03"), "2021|1|1|January|53|2020|3|7|Sunday|true|false|-");
    assert_eq!(row("2026-04-03"), "2026|2|4|April|14|2026|3|5|Friday|false|true|Good Friday");
    assert_eq!(
        row("2026-02-16"),
        "2026|1|2|February|8|2026|16|1|Monday|false|true|Family Day (AB BC NB ON SK), Heritage Day (NS), \
         Islander Day (PE), Louis Riel Day (MB)"
    );
    let against_duckdb =
        "date_dimension WHERE year <> year(date_day) OR quarter <> quarter(date_day) OR month <> month(date_day)
         OR month_name <> monthname(date_day) OR week_of_year <> week(date_day) OR iso_year <> isoyear(date_day)
         OR day_of_month <> day(date_day) OR day_of_week <> isodow(date_day) OR day_name <> dayname(date_day)
         OR is_weekend <> (isodow(date_day) >= 6) OR is_holiday <> (holiday_name IS NOT NULL)";
    assert_eq!(world.count(against_duckdb), 0);
    assert_eq!(
        world.count("date_dimension"),
        world.ask::<i64>("SELECT max(date_day) - min(date_day) + 1 FROM date_dimension")
    );
}
