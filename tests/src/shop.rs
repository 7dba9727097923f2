//! A small pipeline whose source the tests write themselves: orders of three days, in a DuckDB file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use duckdb::Connection;

use crate::Sandbox;

const PIPELINE: &str = "\
version: 1
name: shop
time_zone: UTC
start: 2025-01-01
sources:
  shop: {kind: duckdb, path: source/shop.duckdb}
tables:
  orders:
    source: shop
    key: [order_id]
    cursor: {column: ordered_at}
    partition: {granularity: day}
    columns:
      - {name: order_id, type: integer}
      - {name: customer, type: string, personal: true}
      - {name: amount, type: \"numeric(12,2)\"}
      - {name: ordered_at, type: datetime}
dbt: {project: dbt, layers: [mart], publish: [models/mart]}
live: {dataset: live}
lease: {seconds: 1}
retention: {kept_slot_hours: 1, ended_attempts_hours: 1, lake_days: 1}
";

const PROJECT: &str = "name: shop\nmodels: {shop: {+materialized: table}}\n";

const PROPERTIES: &str = "\
sources:
  - name: raw
    tables: [{name: orders}]
models:
  - name: sales
    columns: [{name: order_id, data_tests: [not_null, unique]}, {name: amount, data_tests: [not_null]}]
  - name: sales_per_day
    columns: [{name: day, data_tests: [not_null, unique]}]
";

const SALES: &str = "select order_id, customer, amount, ordered_at from {{ source('raw', 'orders') }}\n";

const SALES_PER_DAY: &str = "\
select cast(ordered_at as date) as day, count(*) as orders, sum(amount) as amount
from {{ ref('sales') }}
group by 1
";

/// Writes the pipeline file and the dbt project into a folder, and returns the file.
pub fn write_shop(folder: &Path) -> PathBuf {
    let mart = folder.join("dbt/models/mart");
    fs::create_dir_all(&mart).unwrap();
    fs::write(folder.join("dbt/dbt_project.yml"), PROJECT).unwrap();
    fs::write(mart.join("shop.yml"), PROPERTIES).unwrap();
    fs::write(mart.join("sales.sql"), SALES).unwrap();
    fs::write(mart.join("sales_per_day.sql"), SALES_PER_DAY).unwrap();
    let config = folder.join("pipeline.yaml");
    fs::write(&config, PIPELINE).unwrap();
    config
}

/// Runs statements in the source; the table is made first where it is not there.
pub fn change_orders(sandbox: &Sandbox, sql: &str) {
    let source = sandbox.home().join("source");
    fs::create_dir_all(&source).unwrap();
    let connection = Connection::open(source.join("shop.duckdb")).unwrap();
    let make = "create table if not exists orders \
                (order_id bigint, customer varchar, amount decimal(12, 2), ordered_at timestamp);";
    connection.execute_batch(&format!("{make}{sql}")).unwrap();
}

/// Three orders on each of the first three days of 2025.
pub const ORDERS: &str = "insert into orders select day * 10 + number, 'somebody' || number, day + number + 0.25, \
    timestamp '2025-01-01' + interval (day) day + interval (number) hour from range(3) d(day), range(3) n(number);";

/// Copies a home with its links, times and permissions.
pub fn copy_home(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}
