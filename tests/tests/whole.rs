//! The product as it is shipped: every table, every model, every rule.

use end_to_end::{Random, Sandbox, is_full, replaced};

#[test]
fn any_order_of_days_gives_the_same_tables_and_none_is_empty() {
    let days: usize = if is_full() { 10 } else { 3 };
    let day = |number: usize| format!("2025-08-{number:02}");
    // Large enough that some products are bought together more than once.
    let whole = || Sandbox::whole_with(|text| replaced(&text, "scale: 0.01", "scale: 0.05"));
    let at_once = whole();
    at_once.run(&["backfill", "--from", "2025-08-01", "--to", &day(days), "--cycle-per", "all"]).ok();
    // In the first days nobody has brought anything back yet.
    let early = ["fct_returns"];
    for view in at_once.digest().keys().filter(|view| is_full() || !early.contains(&view.as_str())) {
        let rows = at_once.run(&["sql", &format!("select count(*) as n from live.{view}"), "--json"]).ok().json();
        assert_ne!(rows[0]["n"], 0, "{view} is empty");
    }

    let mut random = Random::new();
    let shuffled = whole();
    let mut left: Vec<usize> = (1..=days).collect();
    while !left.is_empty() {
        let next = left.remove(random.below(left.len()));
        shuffled.day(&day(next));
    }
    assert_eq!(shuffled.digest(), at_once.digest());
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
