use super::*;
use crate::sample::{catalog, catalog_of, nodes};

fn upstream(catalog: &Catalog, key: &str) -> Vec<String> {
    catalog.get(key).unwrap_or_else(|| panic!("no {key}")).upstream.clone()
}

#[test]
fn a_table_is_followed_from_its_source_to_readers_and_checks() {
    let catalog = catalog();
    for (key, read) in [
        ("till/orders", &[][..]),
        ("lake/orders", &["till/orders"]),
        ("raw/orders", &["lake/orders"]),
        ("staging/stg_orders", &["raw/orders"]),
        ("mart/fct_orders", &["staging/stg_orders", "seeds/rates"]),
        ("mart/fct_days", &["mart/fct_orders"]),
        ("live/fct_orders", &["mart/fct_orders"]),
        ("test/unique_fct_orders_order_id", &["mart/fct_orders"]),
        ("rule/orders_keep_coming", &["mart/fct_orders"]),
        ("reconciliation/orders_lake_equals_raw", &["lake/orders", "raw/orders"]),
        ("reconciliation/orders_raw_equals_fct_orders", &["raw/orders", "mart/fct_orders"]),
        ("raw/bgp_partitions", &[]),
        ("live/deployment", &[]),
    ] {
        assert_eq!(upstream(&catalog, key), read, "{key}");
    }
}

#[test]
fn upstream_and_downstream_say_the_same() {
    let catalog = catalog();
    let pairs = |of: fn(&Asset) -> &Vec<String>, is_turned: bool| -> BTreeSet<(String, String)> {
        let all = catalog.assets.iter().flat_map(|asset| of(asset).iter().map(|key| (asset.key.clone(), key.clone())));
        all.map(|(one, other)| if is_turned { (other, one) } else { (one, other) }).collect()
    };
    let up = pairs(|asset| &asset.upstream, true);
    assert_eq!(up, pairs(|asset| &asset.downstream, false));
    let keys: BTreeSet<&str> = catalog.assets.iter().map(|asset| asset.key.as_str()).collect();
    assert!(up.iter().all(|(from, to)| keys.contains(from.as_str()) && keys.contains(to.as_str())));
    assert_eq!(keys.len(), catalog.assets.len(), "keys are unique");
}

#[test]
fn models_are_listed_by_the_folder_below_their_layer_or_by_the_group_of_the_project() {
    let group = |catalog: &Catalog, key: &str| catalog.get(key).unwrap().group.clone();
    assert_eq!(group(&catalog(), "mart/fct_orders"), "finance");
    assert_eq!(group(&catalog(), "live/fct_orders"), "finance");
    assert_eq!(group(&catalog(), "test/unique_fct_orders_order_id"), "finance");
    assert_eq!(group(&catalog(), "staging/stg_orders"), "staging");
    assert_eq!(group(&catalog(), "lake/orders"), "lake");
    let mut nodes = nodes();
    nodes.get_mut("model.shop.fct_orders").unwrap().group = Some("controlling".to_owned());
    assert_eq!(group(&catalog_of(&nodes), "live/fct_orders"), "controlling");
}

#[test]
fn two_models_of_one_name_have_keys_of_their_own() {
    let mut nodes = nodes();
    let twin = crate::sample::node(Kind::Model, "stg_orders", Some("staging"), "", &["model.shop.stg_orders"]);
    let twin = Node { id: "model.other.stg_orders".to_owned(), ..twin };
    nodes.insert(twin.id.clone(), twin);
    let catalog = catalog_of(&nodes);
    assert_eq!(upstream(&catalog, "model.shop.stg_orders"), ["raw/orders"]);
    assert_eq!(upstream(&catalog, "staging/stg_orders"), ["model.shop.stg_orders"]);
    assert!(upstream(&catalog, "mart/fct_orders").contains(&"model.shop.stg_orders".to_owned()));
}

#[test]
fn what_checks_an_asset_is_listed_with_it() {
    let catalog = catalog();
    let checks: Vec<&str> =
        catalog.get("mart/fct_orders").unwrap().checks.iter().map(|check| check.key.as_str()).collect();
    let expected =
        ["test/unique_fct_orders_order_id", "rule/orders_keep_coming", "reconciliation/orders_raw_equals_fct_orders"];
    assert_eq!(checks, expected);
}
