//! Money: discounts by a second reading of the rules, payments, returns, references of transactions, closed days.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::support::{START, World, settings};
use generate::{Corruption, Error, Sandbox};
use jiff::civil::date;
use proptest::prelude::*;

/// One row a telling of a purchase: when, and what names it in the logs.
const PURCHASES: &str = "CREATE TEMP TABLE purchases AS
    SELECT change_sequence // 128 AS telling, transaction_id, transaction_at AS bought_at, gross_subtotal_cents AS subtotal
    FROM transaction_headers_log WHERE type = 'Purchase' AND operation <> 'delete'";

/// Groups and their members over time, as of validity: joined interval by interval.
const MEMBERS: &str = "CREATE TEMP TABLE members AS
    WITH tree AS (
        SELECT category_id, parent_category_id, is_deleted, valid_from,
            coalesce(lead(valid_from) OVER (PARTITION BY category_id ORDER BY valid_from), 'infinity') AS valid_to
        FROM categories_log
    ), leaf_links AS (
        SELECT category_id, product_id, is_deleted, valid_from,
            coalesce(lead(valid_from) OVER (PARTITION BY category_id, product_id ORDER BY valid_from), 'infinity') AS valid_to
        FROM categories_products_log
    ), paths AS (
        SELECT leaf.category_id, leaf.valid_from, leaf.valid_to, unnest([leaf.category_id, leaf.parent_category_id, branch.parent_category_id]) AS above
        FROM tree leaf JOIN (SELECT DISTINCT category_id, parent_category_id FROM tree) branch ON branch.category_id = leaf.parent_category_id
        WHERE NOT leaf.is_deleted
    )
    SELECT g.promotion_group_id, l.product_id, greatest(l.valid_from, p.valid_from) AS valid_from, least(l.valid_to, p.valid_to) AS valid_to
    FROM (SELECT DISTINCT promotion_group_id, category_id FROM promotion_groups_log WHERE group_type = 'Category') g
    JOIN paths p ON p.above = g.category_id
    JOIN leaf_links l ON l.category_id = p.category_id AND NOT l.is_deleted AND l.valid_from < p.valid_to AND p.valid_from < l.valid_to
    UNION ALL
    SELECT promotion_group_id, product_id, valid_from, valid_to FROM (
        SELECT *, coalesce(lead(valid_from) OVER (PARTITION BY promotion_group_id, product_id ORDER BY valid_from), 'infinity') AS valid_to
        FROM promotion_groups_products_log) WHERE NOT is_deleted";

/// What may be taken off each line and order, before minimums and pools.
const CANDIDATES: &str = "CREATE TEMP TABLE candidates AS
    WITH offers AS (
        SELECT *, coalesce(lead(valid_from) OVER (PARTITION BY promotion_id ORDER BY valid_from), 'infinity') AS valid_to
        FROM promotions_log
    ), running AS (
        SELECT p.telling, p.bought_at, p.subtotal, o.* FROM purchases p
        JOIN offers o ON o.valid_from <= p.bought_at AND p.bought_at < o.valid_to AND o.starts_at <= p.bought_at AND p.bought_at < o.ends_at
        WHERE o.status = 'active' AND NOT o.is_deleted
    ), lines AS (
        SELECT DISTINCT change_sequence // 128 AS telling, line_number, product_id, quantity, unit_price_cents FROM transaction_lines_log
    )
    SELECT r.telling, l.line_number, l.quantity, l.unit_price_cents, r.* EXCLUDE (telling)
    FROM running r JOIN lines l USING (telling)
    WHERE r.discount_level = 'LINE_ITEM' AND (r.promotion_group_id IS NULL OR EXISTS (
        FROM members m WHERE m.promotion_group_id = r.promotion_group_id AND m.product_id = l.product_id
          AND m.valid_from <= r.bought_at AND r.bought_at < m.valid_to))
    UNION ALL
    SELECT r.telling, NULL, (SELECT sum(quantity)::BIGINT FROM lines l WHERE l.telling = r.telling), NULL, r.* EXCLUDE (telling)
    FROM running r WHERE r.discount_level = 'ORDER' AND r.promotion_group_id IS NULL";

struct Candidate {
    telling: i64,
    line: Option<i64>,
    quantity: i64,
    unit_price: Option<i64>,
    subtotal: i64,
    promotion: i64,
    pool: String,
    is_stackable: bool,
    kind: String,
    value: i64,
    minimum_quantity: i64,
    minimum_subtotal: i64,
}

/// Promotion, line, discounted units, cents.
type Discount = (i64, Option<i64>, Option<i64>, i64);

fn rows<T>(world: &World, sql: &str, read: impl FnMut(&duckdb::Row<'_>) -> duckdb::Result<T>) -> Vec<T> {
    let mut statement = world.connection.prepare(sql).unwrap();
    statement.query_map([], read).unwrap().map(Result::unwrap).collect()
}

fn prepare(world: &World) {
    for sql in [PURCHASES, MEMBERS, CANDIDATES] {
        world.connection.execute_batch(sql).unwrap();
    }
}

/// Reads the rules as a cashier with a sheet of paper would: for each item the list of what was given so far.
fn expected(world: &World) -> BTreeMap<i64, Vec<Discount>> {
    let candidates = rows(
        world,
        "SELECT telling, line_number, quantity, unit_price_cents, subtotal, promotion_id, discount_pool, is_stackable,
             discount_type, discount_value, minimum_quantity, minimum_subtotal_cents
         FROM candidates ORDER BY telling, line_number NULLS LAST, priority, promotion_id",
        |row| {
            Ok(Candidate {
                telling: row.get(0)?,
                line: row.get(1)?,
                quantity: row.get(2)?,
                unit_price: row.get(3)?,
                subtotal: row.get(4)?,
                promotion: row.get(5)?,
                pool: row.get(6)?,
                is_stackable: row.get(7)?,
                kind: row.get(8)?,
                value: row.get(9)?,
                minimum_quantity: row.get(10)?,
                minimum_subtotal: row.get(11)?,
            })
        },
    );
    let mut given: BTreeMap<i64, Vec<Discount>> = BTreeMap::new();
    let mut stackable: HashMap<i64, Vec<(Option<i64>, String, bool)>> = HashMap::new();
    for offer in candidates {
        let list = given.entry(offer.telling).or_default();
        let told = stackable.entry(offer.telling).or_default();
        let of_pool: Vec<bool> = told
            .iter()
            .filter(|(line, pool, _)| *line == offer.line && *pool == offer.pool)
            .map(|(.., may)| *may)
            .collect();
        let alone = !offer.is_stackable && !of_pool.is_empty();
        if alone
            || of_pool.contains(&false)
            || offer.quantity < offer.minimum_quantity
            || offer.subtotal < offer.minimum_subtotal
        {
            continue;
        }
        let whole = offer.unit_price.map_or(offer.subtotal, |price| price * offer.quantity);
        let taken: i64 = list
            .iter()
            .filter(|(_, line, ..)| offer.line.is_none() || *line == offer.line)
            .map(|(.., cents)| cents)
            .sum();
        let left = whole - taken;
        let mut units = offer.line.map(|_| offer.quantity);
        let amount = match offer.kind.as_str() {
            "PERCENT" => {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_precision_loss,
                    reason = "amounts of some thousands"
                )]
                let rounded = (left as f64 * offer.value as f64 / 10_000.0 + 1e-9).round() as i64;
                rounded
            }
            "FLAT" => offer.value,
            "FIXED_PRICE" => left - offer.value * offer.quantity,
            "BUY_X_GET_Y" => {
                let mut free = 0;
                let mut rest = offer.quantity;
                while rest >= offer.minimum_quantity + offer.value {
                    rest -= offer.minimum_quantity + offer.value;
                    free += offer.value;
                }
                units = Some(free);
                free * offer.unit_price.unwrap()
            }
            other => panic!("{other}"),
        }
        .min(left);
        if amount > 0 {
            list.push((offer.promotion, offer.line, units, amount));
            told.push((offer.line, offer.pool, offer.is_stackable));
        }
    }
    given.retain(|_, list| !list.is_empty());
    given
}

fn told(world: &World) -> BTreeMap<i64, Vec<Discount>> {
    let mut told: BTreeMap<i64, Vec<Discount>> = BTreeMap::new();
    let all = rows(
        world,
        "SELECT p.telling, d.promotion_id, d.line_number, d.discounted_units, d.amount_cents, d.discount_number
         FROM transaction_discounts_log d JOIN purchases p ON p.telling = d.change_sequence // 128
         WHERE d.operation <> 'delete' ORDER BY p.telling, d.discount_number",
        |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?), row.get::<_, i64>(5)?)),
    );
    for (telling, discount, number) in all {
        let list = told.entry(telling).or_default();
        list.push(discount);
        assert_eq!(number, i64::try_from(list.len()).unwrap(), "numbers of telling {telling}");
    }
    told
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn discounts_are_those_of_the_rules_and_money_adds_up(seed: u64, scale in 0.02..0.3, day in 0..700_i64) {
        let start = START.checked_add(jiff::Span::new().days(day)).unwrap();
        let world = World::of_days(Sandbox { seed, start, ..settings(scale) }, 14);
        prepare(&world);
        // Corrections of promotions and catalogue that are told after the last day can't be known yet.
        let known = world.window(world.day(10)).1.as_microsecond();
        let late: HashSet<i64> = rows(
            &world,
            &format!("SELECT telling FROM purchases WHERE bought_at >= make_timestamp({known})"),
            |row| row.get(0),
        ).into_iter().collect();
        let (mut expected, mut told) = (expected(&world), told(&world));
        expected.retain(|telling, _| !late.contains(telling));
        told.retain(|telling, _| !late.contains(telling));
        prop_assert!(told.len() > 10);
        prop_assert_eq!(expected, told);
        adds_up(&world);
    }
}

/// Header, lines, discounts and payments of every telling agree, and so do those of the current tables.
fn adds_up(world: &World) {
    let sums = |suffix: &str, by: &str| {
        format!(
            "transaction_headers{suffix} h
             LEFT JOIN (SELECT {by} AS unit, sum(amount_cents) AS cents FROM transaction_discounts{suffix} GROUP BY 1) d ON d.unit = h.{by}
             LEFT JOIN (SELECT {by} AS unit, sum(amount_cents) AS cents, count(*) AS payments, min(payment_number) AS first,
                   max(payment_number) AS last FROM transaction_payments{suffix} GROUP BY 1) p ON p.unit = h.{by}
             WHERE h.total_discount_cents <> coalesce(d.cents, 0) OR h.total_cents IS DISTINCT FROM p.cents
                OR p.payments NOT BETWEEN 1 AND 4 OR p.first <> 1 OR p.last <> p.payments
                OR h.total_cents <> h.gross_subtotal_cents - h.total_discount_cents + h.total_tax_cents
                OR sign(h.total_cents) * sign(h.gross_subtotal_cents) < 0"
        )
    };
    assert_eq!(world.count(&sums("", "transaction_id")), 0);
    // A telling that has fewer discounts than the one before deletes some; they are not part of it.
    world.connection.execute_batch(
        "CREATE OR REPLACE TEMP VIEW transaction_headers_told AS SELECT *, change_sequence // 128 AS telling FROM transaction_headers_log;
         CREATE OR REPLACE TEMP VIEW transaction_payments_told AS SELECT *, change_sequence // 128 AS telling FROM transaction_payments_log;
         CREATE OR REPLACE TEMP VIEW transaction_discounts_told AS SELECT d.*, d.change_sequence // 128 AS telling
           FROM transaction_discounts_log d JOIN transaction_headers_log h ON h.change_sequence // 128 = d.change_sequence // 128
             AND (h.operation = 'delete' OR d.operation <> 'delete')",
    ).unwrap();
    assert_eq!(world.count(&sums("_told", "telling")), 0);
    for table in ["transaction_lines", "transaction_discounts", "transaction_payments"] {
        let orphans = format!("{table} ANTI JOIN transaction_headers USING (transaction_id)");
        assert_eq!(world.count(&orphans), 0, "{table}");
    }
}

#[test]
fn every_kind_of_promotion_is_applied_and_pools_exclude() {
    let world = World::of_days(settings(0.5), 20);
    prepare(&world);
    let used = |filter: &str| {
        world.count(&format!("transaction_discounts_log d JOIN promotions_log p USING (promotion_id) WHERE {filter}"))
    };
    for kind in ["PERCENT", "FLAT", "FIXED_PRICE", "BUY_X_GET_Y"] {
        assert!(used(&format!("discount_type = '{kind}'")) > 0, "{kind}");
    }
    assert!(used("discount_level = 'ORDER'") > 100);
    // Several of one line; of one pool only when all can be stacked.
    let pairs = |filter: &str| {
        world.count(&format!(
            "(SELECT DISTINCT change_sequence // 128 AS telling, line_number, d.promotion_id, p.discount_pool, p.is_stackable
              FROM transaction_discounts_log d JOIN (SELECT DISTINCT promotion_id, discount_pool, is_stackable FROM promotions_log) p USING (promotion_id)) a
             JOIN (SELECT DISTINCT change_sequence // 128 AS telling, line_number, d.promotion_id, p.discount_pool, p.is_stackable
              FROM transaction_discounts_log d JOIN (SELECT DISTINCT promotion_id, discount_pool, is_stackable FROM promotions_log) p USING (promotion_id)) b
             ON a.telling = b.telling AND a.line_number IS NOT DISTINCT FROM b.line_number AND a.promotion_id < b.promotion_id WHERE {filter}"
        ))
    };
    assert!(pairs("a.discount_pool <> b.discount_pool") > 10);
    let units = |filter: &str| -> f64 {
        world.ask(&format!(
            "WITH promoted AS (SELECT DISTINCT telling, line_number FROM candidates WHERE promotion_group_id IS NOT NULL)
             SELECT avg(quantity) FROM (SELECT DISTINCT change_sequence // 128 AS telling, line_number, quantity FROM transaction_lines_log)
             JOIN purchases USING (telling) {filter} JOIN promoted USING (telling, line_number)"
        ))
    };
    // People take more of what is promoted.
    assert!(units("SEMI") > units("ANTI") + 0.5, "{} {}", units("SEMI"), units("ANTI"));
}

#[test]
fn returns_give_back_what_was_paid_and_never_more() {
    let world = World::of_days(settings(0.3), 34);
    adds_up(&world);
    let pairs = "transaction_headers r JOIN transaction_headers p ON p.transaction_id = r.original_transaction_id
        JOIN (SELECT transaction_id, sum(quantity) AS units FROM transaction_lines GROUP BY 1) ru ON ru.transaction_id = r.transaction_id
        JOIN (SELECT transaction_id, sum(quantity) AS units FROM transaction_lines GROUP BY 1) pu ON pu.transaction_id = p.transaction_id";
    assert!(world.count(&format!("{pairs} WHERE ru.units = -pu.units AND p.total_discount_cents > 0")) > 50);
    assert!(world.count(&format!("{pairs} WHERE ru.units > -pu.units AND p.total_discount_cents > 0")) > 50);
    let whole =
        "ru.units = -pu.units AND (r.total_cents <> -p.total_cents OR r.gross_subtotal_cents <> -p.gross_subtotal_cents
        OR r.total_discount_cents <> -p.total_discount_cents OR r.total_tax_cents <> -p.total_tax_cents)";
    assert_eq!(world.count(&format!("{pairs} WHERE {whole}")), 0);
    let more = "-r.total_cents > p.total_cents OR -r.total_tax_cents > p.total_tax_cents OR -r.total_discount_cents > p.total_discount_cents
        OR r.total_cents > 0 OR r.total_tax_cents > 0 OR r.total_discount_cents > 0 OR p.type <> 'Purchase'
        OR r.transaction_at - p.transaction_at > INTERVAL 31 DAY OR r.customer_id <> p.customer_id OR r.channel_id <> p.channel_id";
    assert_eq!(world.count(&format!("{pairs} WHERE {more}")), 0);
    // Line by line, too: what was paid for the units that come back, before the discounts of the order.
    let lines = "transaction_headers r
        JOIN transaction_lines rl ON rl.transaction_id = r.transaction_id
        JOIN transaction_lines pl ON pl.transaction_id = r.original_transaction_id AND pl.line_number = rl.line_number
        LEFT JOIN (SELECT transaction_id, line_number, sum(amount_cents) AS off FROM transaction_discounts GROUP BY ALL) rd
          ON rd.transaction_id = rl.transaction_id AND rd.line_number = rl.line_number
        LEFT JOIN (SELECT transaction_id, line_number, sum(amount_cents) AS off FROM transaction_discounts GROUP BY ALL) pd
          ON pd.transaction_id = pl.transaction_id AND pd.line_number = pl.line_number
        WHERE r.type = 'Return'
          AND -(rl.gross_line_total_cents - coalesce(rd.off, 0)) * pl.quantity > (pl.gross_line_total_cents - coalesce(pd.off, 0)) * -rl.quantity";
    assert_eq!(world.count(lines), 0);
    let payments = "transaction_headers r JOIN transaction_payments rp ON rp.transaction_id = r.transaction_id
        LEFT JOIN transaction_payments pp ON pp.transaction_id = r.original_transaction_id AND pp.payment_number = rp.payment_number
        WHERE r.type = 'Return' AND (pp.payment_type_id IS DISTINCT FROM rp.payment_type_id OR -rp.amount_cents > pp.amount_cents)";
    assert_eq!(world.count(payments), 0);
}

#[test]
fn what_transactions_refer_to_is_there() {
    for seed in [42, 11] {
        let world = World::of_days(Sandbox { seed, ..settings(0.2) }, 34);
        // By the log, when the transaction is told.
        let references = [
            ("transaction_discounts", "promotion_id", "promotions"),
            ("transaction_payments", "payment_type_id", "payment_types"),
            ("transaction_lines", "product_id", "products"),
            ("transaction_headers", "employee_id", "employees"),
            ("transaction_headers", "customer_id", "customers"),
        ];
        for (from, key, to) in references {
            let unknown = format!(
                "{from}_log f LEFT JOIN (SELECT {key}, min(changed_at) AS told FROM {to}_log GROUP BY 1) t USING ({key})
                 WHERE f.{key} IS NOT NULL AND NOT coalesce(t.told <= f.changed_at, false)"
            );
            assert_eq!(world.count(&unknown), 0, "{from}.{key} of {seed}");
        }
        // As of the event: in a state in which it can be referred to.
        let at = "h.transaction_at < TIMESTAMP '2025-08-30' AND";
        let none = |what: &str, sql: &str| assert_eq!(world.count(sql), 0, "{what} of {seed}");
        none("employees", &format!(
            "transaction_headers_log h ASOF LEFT JOIN employees_log e ON e.employee_id = h.employee_id AND e.valid_from <= h.transaction_at
             WHERE {at} h.employee_id IS NOT NULL AND NOT coalesce(e.status = 'active' AND NOT e.is_deleted, false)"
        ));
        none("stores", "transaction_headers_log WHERE (employee_id IS NOT NULL) <> (channel_id = 5)");
        none("payment types", &format!(
            "transaction_headers_log h JOIN transaction_payments_log p ON p.change_sequence // 128 = h.change_sequence // 128
             ASOF LEFT JOIN payment_types_log t ON t.payment_type_id = p.payment_type_id AND t.valid_from <= h.transaction_at
             WHERE {at} NOT coalesce(t.status = 'active' AND NOT t.is_deleted, false)"
        ));
        none("customers", &format!(
            "transaction_headers_log h ASOF LEFT JOIN customers_log c ON c.customer_id = h.customer_id AND c.valid_from <= h.transaction_at
             WHERE {at} NOT coalesce(c.status = 'active' AND NOT c.is_deleted, false)"
        ));
        none("lanes", "(SELECT change_sequence FROM transaction_discounts_log GROUP BY 1 HAVING count(*) > 1)");
        none("lanes", "(SELECT change_sequence FROM transaction_payments_log GROUP BY 1 HAVING count(*) > 1)");
    }
}

#[test]
fn christmas_day_has_no_transaction_in_any_table_and_no_news_of_one() {
    // Every fate that could fall on it: late, moved, cancelled, repeated, returned.
    let mut world = World::of_days(Sandbox { start: date(2025, 11, 24), ..settings(0.1) }, 40).with_days(40);
    let day = date(2025, 12, 25);
    let summary = world.run(day, None).unwrap();
    for (table, rows) in summary.rows {
        let must_be_empty = table.starts_with("transaction_");
        assert!(
            if must_be_empty { rows == 0 } else { rows > 0 || table != "customers_log" },
            "{table} has {rows} rows"
        );
    }
    let (from, to) = world.window(day);
    let on_it = |column: &str| {
        world.count(&format!(
            "transaction_headers_log WHERE {column} >= make_timestamp({}) AND {column} < make_timestamp({})",
            from.as_microsecond(),
            to.as_microsecond()
        ))
    };
    assert_eq!((on_it("changed_at"), on_it("transaction_at")), (0, 0));
    // What would have been told then is told, and late rows stay within three days.
    let late = "transaction_headers_log h JOIN days d ON d.begins <= h.transaction_at AND h.transaction_at < d.ends
                JOIN days t ON t.begins <= h.changed_at AND h.changed_at < t.ends
                WHERE h.operation = 'insert' AND h.type = 'Purchase'";
    assert_eq!(world.count(&format!("{late} AND t.day - d.day > 4")), 0);
    assert!(
        world.count(
            "transaction_headers_log h JOIN days d ON d.begins <= h.changed_at AND h.changed_at < d.ends
        WHERE d.day = '2025-12-26' AND h.type = 'Return'"
        ) > 0
    );
    let refused = world.run(day, Some(Corruption::NullKey)).unwrap_err();
    assert!(matches!(&refused, Error::Rejected(message) if message.contains("corrupt another day")), "{refused}");
}

#[test]
fn a_leap_day_is_a_day() {
    let world = World::of_days(Sandbox { start: date(2028, 2, 28), ..settings(0.1) }, 3).with_days(3);
    let leap = "transaction_headers_log h JOIN days d ON d.begins <= h.transaction_at AND h.transaction_at < d.ends WHERE d.day = '2028-02-29'";
    assert!(world.count(leap) > 100);
    let dimension: String = world.ask(
        "SELECT concat_ws('|', day_of_month, days_in_month, is_month_end, fiscal_year, fiscal_quarter, fiscal_month, iso_week_start)
         FROM date_dimension WHERE date_day = '2028-02-29'",
    );
    assert_eq!(dimension, "29|29|true|2028|1|1|2028-02-28");
    let fiscal =
        "date_dimension WHERE fiscal_month <> (month + 10) % 12 + 1 OR fiscal_quarter <> (fiscal_month + 2) // 3
        OR fiscal_year <> year - (month = 1)::INT OR iso_week_start <> date_trunc('week', date_day)
        OR days_in_month <> day(last_day(date_day)) OR is_month_end <> (last_day(date_day) = date_day)";
    assert_eq!(world.count(fiscal), 0);
}

#[test]
fn customers_leave_and_products_are_bought_together() {
    let world = World::of_days(settings(0.5), 40);
    // Of those who registered in the first week, fewer buy in their fifth week than in their second.
    let buyers = |week: i64| {
        world.count(&format!(
            "(SELECT DISTINCT h.customer_id FROM transaction_headers h JOIN customers c ON c.customer_id = h.customer_id
              WHERE h.type = 'Purchase' AND c.registered_at < TIMESTAMP '2025-08-08'
                AND date_diff('hour', c.registered_at, h.transaction_at) // 168 = {week})"
        ))
    };
    assert!(buyers(4) * 4 < buyers(1) * 3, "{} after {}", buyers(4), buyers(1));
    let together: i64 = world.ask(
        "SELECT max(pairs) FROM (SELECT count(*) AS pairs FROM transaction_lines a JOIN transaction_lines b
           ON a.transaction_id = b.transaction_id AND a.line_number < b.line_number AND a.product_id <> b.product_id
         WHERE a.line_number = 1 GROUP BY a.product_id, b.product_id)",
    );
    let first: i64 = world.ask("SELECT count(*) FROM transaction_lines WHERE line_number = 1");
    // By chance the most popular pair of 5,000 products would come up a few times.
    assert!(together > first / 300, "{together} of {first}");
}
