//! `bgp assets` lists everything with what is known of it, and `bgp receipt --openlineage` tells others.

use end_to_end::Sandbox;
use end_to_end::shop::{ORDERS, change_orders, write_shop};
use serde_json::{Value, json};

fn asset<'a>(assets: &'a Value, key: &str) -> &'a Value {
    assets.as_array().unwrap().iter().find(|asset| asset["key"] == key).unwrap_or_else(|| panic!("no {key}"))
}

#[test]
fn a_cycle_is_seen_in_every_asset_and_event() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::of(&write_shop(folder.path()));
    let before = sandbox.run(&["assets", "--json"]).ok().json();
    assert_eq!(asset(&before, "mart/sales")["last_cycle"], Value::Null);
    change_orders(&sandbox, ORDERS);
    sandbox.day("2025-01-01");
    sandbox.day("2025-01-02");

    let assets = sandbox.run(&["assets", "--json"]).ok().json();
    let raw = asset(&assets, "raw/orders");
    let known = |asset: &Value| [&asset["rows"], &asset["partitions"], &asset["last_cycle"]].map(Clone::clone);
    assert_eq!(known(raw), [json!(6), json!(2), json!(2)]);
    assert_eq!(raw["upstream"], json!(["lake/orders"]));
    let sales = asset(&assets, "mart/sales");
    assert_eq!((&sales["rows"], &sales["last_cycle"], &sales["group"]), (&json!(6), &json!(2), &json!("mart")));
    assert!(sales["downstream"].as_array().unwrap().contains(&json!("live/sales")));
    let checks: Vec<&Value> = sales["checks"].as_array().unwrap().iter().map(|check| &check["status"]).collect();
    assert_eq!(checks, ["passed", "passed", "passed"]);
    assert_eq!(asset(&assets, "live/deployment")["last_cycle"], 2);

    let table = sandbox.run(&["assets"]).ok().stdout;
    assert!(table.contains("live/sales_per_day") && !table.contains("test/"), "{table}");
    let one = sandbox.run(&["assets", "mart/sales"]).ok().stdout;
    assert!(one.contains("raw/orders") && one.contains("live/sales") && one.contains("passed"), "{one}");
    let views = sandbox.run(&["assets", "--kind", "view", "--json"]).ok().json();
    assert_eq!(views.as_array().unwrap().len(), 3);
    sandbox.run(&["assets", "--group", "marts"]).refused("accepted: ");
    sandbox.run(&["assets", "nothing_is_called_so"]).refused("lists all");

    assert!(sandbox.run(&["assets", "--graph", "svg"]).ok().stdout.starts_with("<svg "));
    assert!(sandbox.run(&["assets", "--graph", "mermaid"]).ok().stdout.starts_with("flowchart "));
    let graph = sandbox.run(&["assets", "--graph", "json"]).ok().json();
    assert!(graph["edges"].as_array().unwrap().contains(&json!({"from": "raw/orders", "to": "mart/sales"})));

    let events = sandbox.run(&["receipt", "--openlineage"]).ok().json();
    let of = |job: &str| {
        let is_it = |event: &&Value| event["eventType"] == "COMPLETE" && event["job"]["name"] == job;
        events.as_array().unwrap().iter().find(is_it).unwrap_or_else(|| panic!("no end of {job}"))
    };
    assert_eq!(of("shop.load.orders")["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"], 3);
    assert_eq!(of("shop.transform.mart.sales")["inputs"][0]["name"], "shop/raw/orders");
    assert_eq!(of("shop.publish.sales")["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"], 6);
    let asked = of("shop.audit")["inputs"].to_string();
    assert!(asked.contains("unique_sales_order_id") && !asked.contains("somebody"), "{asked}");
    assert_eq!(of("shop.cycle")["eventType"], "COMPLETE");
}
