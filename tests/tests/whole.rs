//! The product as it is shipped: every table, every model, every rule.

use end_to_end::{Random, Sandbox, is_full};

#[test]
fn any_order_of_days_gives_the_same_tables_and_none_is_empty() {
    let days: usize = if is_full() { 10 } else { 3 };
    let day = |number: usize| format!("2025-08-{number:02}");
    let at_once = Sandbox::whole();
    at_once.run(&["backfill", "--from", "2025-08-01", "--to", &day(days), "--cycle-per", "all"]).ok();
    for view in at_once.digest().keys() {
        let rows = at_once.run(&["sql", &format!("select count(*) as n from live.{view}"), "--json"]).ok().json();
        assert_ne!(rows[0]["n"], 0, "{view} is empty");
    }

    let mut random = Random::new();
    let shuffled = Sandbox::whole();
    let mut left: Vec<usize> = (1..=days).collect();
    while !left.is_empty() {
        let next = left.remove(random.below(left.len()));
        shuffled.run(&["run", "daily", "--partition", &day(next)]).ok();
    }
    assert_eq!(shuffled.digest(), at_once.digest());
}
