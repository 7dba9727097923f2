//! The product as it is shipped: every table, every model, every rule.

use end_to_end::{Random, Sandbox, is_full, replaced};

use crate::refusals::KINDS;

/// Large enough that some products are bought together more than once.
fn whole() -> Sandbox {
    Sandbox::whole_with(|text| replaced(&text, "scale: 0.01", "scale: 0.05"))
}

fn day(number: usize) -> String {
    format!("2025-08-{number:02}")
}

/// The first days in one cycle.
fn at_once(days: usize) -> Sandbox {
    let sandbox = whole();
    sandbox.run(&["backfill", "--from", &day(1), "--to", &day(days), "--cycle-per", "all"]).ok();
    sandbox
}

#[test]
fn any_order_of_days_with_repeats_and_corrections_gives_the_same_tables() {
    let lengths: &[(usize, usize)] = if is_full() { &[(10, 1), (3, 100)] } else { &[(3, 1)] };
    let mut random = Random::new();
    for (days, orders) in lengths {
        let expected = at_once(*days).digest();
        for _ in 0..*orders {
            let order = random.order_with_repeats(*days);
            // One of them is corrupt before it is right.
            let (corrupt, kind) = (random.below(order.len()), KINDS[random.below(KINDS.len())]);
            println!("order {order:?}, number {corrupt} of them with {kind} before");
            let shuffled = whole();
            for (place, number) in order.into_iter().enumerate() {
                if place == corrupt {
                    let data = format!("{{\"corrupt\":\"{kind}\"}}");
                    shuffled
                        .run(&["run", "daily", "--partition", &day(number), "--data", &data])
                        .refused("the audit refused partition");
                }
                shuffled.day(&day(number));
            }
            assert_eq!(shuffled.digest(), expected);
        }
    }
}

#[test]
fn no_table_is_empty() {
    let sandbox = at_once(if is_full() { 10 } else { 3 });
    // In the first days nobody has brought anything back yet.
    let early = ["fct_returns"];
    for view in sandbox.digest().keys().filter(|view| is_full() || !early.contains(&view.as_str())) {
        let rows = sandbox.run(&["sql", &format!("select count(*) as n from live.{view}"), "--json"]).ok().json();
        assert_ne!(rows[0]["n"], 0, "{view} is empty");
    }
}

#[test]
fn every_column_that_readers_see_is_documented() {
    let sandbox = Sandbox::whole();
    sandbox.day("2025-08-01");
    let published = duckdb::Connection::open_with_flags(
        sandbox.published(),
        duckdb::Config::default().access_mode(duckdb::AccessMode::ReadOnly).unwrap(),
    )
    .unwrap();
    let bare: String = published
        .query_row(
            "select coalesce(string_agg(table_name || '.' || column_name, ', '), '') from duckdb_columns() \
             where schema_name = 'live' and table_name <> 'deployment' and coalesce(comment, '') = ''",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(bare, "");
}

#[test]
fn a_month_takes_less_than_four_fifths_of_what_is_free() {
    let sandbox = Sandbox::whole_with(|text| {
        replaced(&replaced(&text, "scale: 0.01", "scale: 1.0"), "lease: {seconds: 2}", "lease: {seconds: 60}")
    });
    sandbox.run(&["cost"]).refused("bgp demo");
    // The first day builds everything; the second is one like all others.
    sandbox.day("2025-08-01");
    sandbox.day("2025-08-02");
    sandbox.run(&["cleanup"]).ok();
    let cost = sandbox.run(&["cost", "--json"]).ok().json();
    let allowances = cost.as_object().unwrap();
    let page = std::fs::read_to_string(end_to_end::repository().join("docs/cost.md")).unwrap();
    for (name, allowance) in allowances {
        let number = |field: &str| allowance[field].as_f64().unwrap();
        assert!(number("used") > 0.0, "{name} is not computed: {allowance}");
        assert!((number("share") - number("used") / number("allowance")).abs() < 1e-9);
        assert!(number("share") < 0.8, "{name}: {allowance}");
        assert!(page.contains(&format!("| `{name}` |")), "docs/cost.md lacks {name}");
    }
    let more = sandbox.run(&["cost", "--json", "--builds", "40"]).ok().json();
    let minutes = |cost: &serde_json::Value| cost["cloud_build_minutes"]["used"].as_f64().unwrap();
    assert!((minutes(&more) / minutes(&cost) - 10.0).abs() < 1e-9);
}
