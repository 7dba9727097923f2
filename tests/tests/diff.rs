//! `bgp diff` says exactly what differs between two slots, masks what is personal, and refuses what it can't compare.

use std::fs;

use end_to_end::Sandbox;
use end_to_end::shop::{ORDERS, change_orders, write_shop};
use serde_json::{Value, json};

fn view<'a>(diff: &'a Value, name: &str) -> &'a Value {
    diff["views"].as_array().unwrap().iter().find(|view| view["view"] == name).unwrap()
}

fn changed(view: &Value) -> Vec<(String, u64)> {
    let of = |change: &Value| (change["column"].as_str().unwrap().to_owned(), change["changed"].as_u64().unwrap());
    view["columns"].as_array().unwrap().iter().map(of).collect()
}

#[test]
fn rows_columns_and_sums_that_differ_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::of(&write_shop(folder.path()));
    sandbox.run(&["diff"]).refused("nothing is published");
    change_orders(&sandbox, ORDERS);
    sandbox.day("2025-01-01");
    sandbox.run(&["diff"]).refused("nothing to compare");
    sandbox.run(&["diff", "--against", "kept"]).refused("no slot is kept");
    sandbox.day("2025-01-02");

    // Of the first day: one amount and one name changed, one order is gone, one is new.
    change_orders(
        &sandbox,
        "update orders set amount = amount + 10 where order_id = 0; update orders set customer = 'else' where order_id = 1; \
         delete from orders where order_id = 2; \
         insert into orders values (7, 'new', 1.5, timestamp '2025-01-01 23:00:00');",
    );
    sandbox.run(&["run", "daily", "--partition", "2025-01-01", "--until", "audit"]).ok();
    let diff = sandbox.run(&["diff", "--json"]).ok().json();
    assert_eq!((&diff["before"]["role"], &diff["after"]["role"]), (&json!("live"), &json!("building")));
    assert_eq!(diff["same"], false);
    let sales = view(&diff, "sales");
    assert_eq!((&sales["rows_before"], &sales["rows_after"]), (&json!(6), &json!(6)));
    assert_eq!([&sales["missing"], &sales["new"], &sales["changed"]], [&json!(1), &json!(1), &json!(2)]);
    assert_eq!(sales["key"], json!(["order_id"]));
    assert_eq!(changed(sales), [("customer".to_owned(), 1), ("amount".to_owned(), 1)]);
    // 0.25 + 1.25 + 2.25 + 1.25 + 2.25 + 3.25; then 10 more, 2.25 less, 1.5 more.
    let metrics = sales["metrics"].as_array().unwrap();
    assert_eq!(metrics.len(), 1, "keys are not summed: {metrics:?}");
    assert_eq!((&metrics[0]["sum_before"], &metrics[0]["sum_after"]), (&json!("10.5"), &json!("19.75")));
    assert_eq!(
        sales["sample"],
        json!([
            {"kind": "missing", "key": {"order_id": 2}},
            {"kind": "new", "key": {"order_id": 7}},
            {"kind": "changed", "key": {"order_id": 0}, "before": {"amount": "0.25"}, "after": {"amount": "10.25"}},
            {"kind": "changed", "key": {"order_id": 1}, "before": {"customer": "***"}, "after": {"customer": "***"}},
        ])
    );
    let per_day = view(&diff, "sales_per_day");
    assert_eq!([&per_day["missing"], &per_day["new"], &per_day["changed"]], [&json!(0), &json!(0), &json!(1)]);
    assert_eq!(changed(per_day), [("amount".to_owned(), 1)]);

    let shown = sandbox.run(&["diff", "sales"]).ok().stdout;
    assert!(shown.contains("differs in customer (1), amount (1)"), "{shown}");
    assert!(!shown.contains("sales_per_day") && !shown.contains("somebody") && !shown.contains("else"), "{shown}");

    // The kept slot is the older one, and a cycle names the same.
    let kept = sandbox.run(&["diff", "--against", "kept", "--json"]).ok().json();
    assert_eq!((&kept["before"]["role"], &kept["after"]["role"]), (&json!("kept"), &json!("live")));
    assert_eq!([&view(&kept, "sales")["new"], &view(&kept, "sales")["missing"]], [&json!(3), &json!(0)]);
    assert_eq!(sandbox.run(&["diff", "--against", "1", "--json"]).ok().json(), kept);

    for (arguments, code, expected) in [
        (vec!["diff", "sale"], 1, "accepted: sales, sales_per_day"),
        (vec!["diff", "x;drop"], 2, "identifier"),
        (vec!["diff", "--against", "2"], 1, "is the live one"),
        (vec!["diff", "--against", "99"], 1, "no cycle 99"),
        (vec!["diff", "--against", "KEPT"], 1, "kept, the number of a cycle"),
        (vec!["diff", "--against", "0123456789"], 1, "no attempt 0123456789"),
        (vec!["diff", "--against", "a&views=b"], 2, "expected kept"),
    ] {
        let output = sandbox.run(&arguments);
        assert_eq!(output.code, Some(code), "{arguments:?}: {}{}", output.stdout, output.stderr);
        assert!(output.stderr.contains(expected), "{arguments:?}: {expected:?} is not in: {}", output.stderr);
    }
}

#[test]
fn columns_and_views_that_come_or_go_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::of(&write_shop(folder.path()));
    change_orders(&sandbox, ORDERS);
    sandbox.day("2025-01-01");
    let mart = folder.path().join("dbt/models/mart");
    let sales = "select order_id, customer, cast(amount as double) as amount, order_id as \"order\" \
                 , ordered_at from {{ source('raw', 'orders') }}\n";
    fs::write(mart.join("sales.sql"), sales).unwrap();
    fs::write(mart.join("customers.sql"), "select distinct customer from {{ ref('sales') }}\n").unwrap();
    sandbox.run(&["run", "daily", "--partition", "2025-01-01", "--until", "audit"]).ok();
    let diff = sandbox.run(&["diff", "--json"]).ok().json();
    assert_eq!(
        view(&diff, "sales")["schema"],
        json!([
            {"column": "amount", "before": "DECIMAL(12,2)", "after": "DOUBLE"},
            {"column": "order", "before": null, "after": "BIGINT"},
        ])
    );
    let customers = view(&diff, "customers");
    assert_eq!((&customers["rows_before"], &customers["rows_after"]), (&Value::Null, &json!(3)));

    // A word of SQL as the name of a column, and nothing that differs.
    sandbox.run(&["publish", "2"]).ok();
    fs::write(mart.join("sales.sql"), format!("{sales}-- the same\n")).unwrap();
    sandbox.run(&["run", "daily", "--partition", "2025-01-01", "--until", "audit"]).ok();
    let diff = sandbox.run(&["diff", "--json"]).ok().json();
    assert_eq!(diff["same"], true, "{diff:#}");
    assert_eq!(view(&diff, "customers")["key"], json!([]));
}

#[test]
fn restore_says_what_was_live_and_where_it_is_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::of(&write_shop(folder.path()));
    let restore = |view: &str, at: &str| sandbox.run(&["restore", view, "--at", at, "--into", "mine"]);
    restore("sales", "2025-01-01T00:00:00Z").refused("nothing is published yet");
    change_orders(&sandbox, ORDERS);
    sandbox.day("2025-01-01");
    sandbox.day("2025-01-02");
    let receipt = |cycle: &str| sandbox.run(&["receipt", cycle, "--json"]).ok().json();
    let at = |cycle: &str| receipt(cycle)["published_at"].as_str().unwrap().to_owned();
    // DuckDB remembers nothing, but the slot of that time is there.
    let slot = receipt("1")["slot"]["attempt"].as_str().unwrap().to_owned();
    let refused = restore("sales", &at("1")).refused("DuckDB remembers no earlier state");
    assert!(refused.stderr.contains(&format!("blue_1_{slot}.duckdb")), "{}", refused.stderr);
    restore("sales", &at("2")).refused("green_2_");
    restore("sale", &at("1")).refused("accepted: sales, sales_per_day");
    restore("sales", "2001-01-01T00:00:00Z").refused("the first cycle");
    restore("sales", "2999-01-01T00:00:00Z").refused("lies ahead");
    assert_eq!(restore("sales", "yesterday").code, Some(2));
    assert_eq!(sandbox.run(&["restore", "sales", "--at", &at("1"), "--into", "x;y"]).code, Some(2));
    fs::remove_file(sandbox.home().join(format!("warehouse/slot_blue_1_{slot}.duckdb"))).unwrap();
    restore("sales", &at("1")).refused("was dropped");
}
