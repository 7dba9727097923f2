//! A small pipeline for tests: orders through two layers to readers.

use std::collections::BTreeMap;

use dbt::{Kind, Node, Severity, Source};
use pipeline::Pipeline;

use crate::Catalog;

const FILE: &str = "\
version: 1
name: shop
time_zone: UTC
start: 2025-01-01
sources: {till: {kind: duckdb, path: till.duckdb}}
tables:
  orders:
    source: till
    description: What was ordered.
    key: [order_id]
    cursor: {column: ordered_at}
    columns:
      - {name: order_id, type: integer, mode: required}
      - {name: amount, type: \"numeric(12,2)\", description: In euros.}
      - {name: ordered_at, type: timestamp}
    reconcile: {model: fct_orders, key: {order_id: order_id}, measures: {amount: amount}}
  customers:
    source: till
    partition: {granularity: all}
    columns: [{name: customer_id, type: integer}]
dbt: {project: dbt, layers: [staging, mart], publish: [models/mart]}
audit:
  rules: [{name: orders_keep_coming, model: fct_orders, kind: volume, max_change_ratio: 0.5}]
";

pub(crate) fn pipeline() -> Pipeline {
    Pipeline::parse("pipeline.yaml", FILE).unwrap()
}

pub(crate) fn node(kind: Kind, name: &str, layer: Option<&str>, folder: &str, parents: &[&str]) -> Node {
    let word = match kind {
        Kind::Model => "model",
        Kind::Seed => "seed",
        Kind::Snapshot => "snapshot",
        Kind::Test => "test",
        Kind::UnitTest => "unit_test",
    };
    Node {
        id: format!("{word}.shop.{name}"),
        name: name.to_owned(),
        alias: name.to_owned(),
        kind,
        materialized: "table".to_owned(),
        path: layer.map_or_else(|| format!("seeds/{name}.csv"), |layer| format!("models/{layer}/{folder}/{name}.sql")),
        layer: layer.map(str::to_owned),
        folder: folder.to_owned(),
        group: None,
        parents: parents.iter().map(|parent| (*parent).to_owned()).collect(),
        description: String::new(),
        columns: Vec::new(),
        severity: (kind == Kind::Test).then_some(Severity::Error),
        tested: (kind == Kind::Test).then(|| parents[0].to_owned()),
        column: None,
        unique: Vec::new(),
        touched: None,
    }
}

pub(crate) fn nodes() -> BTreeMap<String, Node> {
    let source = "source.shop.raw.orders";
    let all = [
        // Comes before what it reads, by its name.
        node(Kind::Model, "fct_days", Some("mart"), "finance", &["model.shop.fct_orders"]),
        node(Kind::Model, "fct_orders", Some("mart"), "finance", &["model.shop.stg_orders", "seed.shop.rates"]),
        node(Kind::Model, "stg_orders", Some("staging"), "", &[source]),
        node(Kind::Seed, "rates", None, "", &[]),
        node(Kind::Test, "unique_fct_orders_order_id", Some("mart"), "finance", &["model.shop.fct_orders"]),
    ];
    all.into_iter().map(|node| (node.id.clone(), node)).collect()
}

pub(crate) fn catalog_of(nodes: &BTreeMap<String, Node>) -> Catalog {
    let sources = ["orders", "customers", "bgp_partitions"].map(|table| Source {
        id: format!("source.shop.raw.{table}"),
        source: "raw".to_owned(),
        table: table.to_owned(),
        schema: "raw".to_owned(),
        description: String::new(),
        columns: Vec::new(),
    });
    let sources = sources.into_iter().map(|source| (source.id.clone(), source)).collect();
    Catalog::new(&pipeline(), nodes, &sources, |node| node.layer.as_deref() == Some("mart") && !node.is_test())
}

pub(crate) fn catalog() -> Catalog {
    catalog_of(&nodes())
}
