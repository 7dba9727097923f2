//! Programs of other people, unchanged.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::support::cloud;

fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// Runs a program to its end, which must be a good one.
#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "stdout:\n{}\nstderr:\n{}", text(&output.stdout), text(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_works_unchanged() {
    let cloud = cloud!();
    run(Command::new(cloud.environment.join("bin/python")).arg(here("reader.py")).arg(&cloud.endpoints.bigquery));
}

#[tokio::test(flavor = "multi_thread")]
async fn dbt_runs_tables_views_increments_snapshots_and_clones() {
    let cloud = cloud!();
    let python = cloud.environment.with_file_name("dbt-bigquery-env").join("bin/python");
    if !python.exists() {
        eprintln!("skipped: there is no dbt environment; `./bgp test` makes one");
        return;
    }
    let client = cloud.bigquery();
    for name in ["dbt_first", "dbt_second"] {
        client.post("/datasets", json!({"datasetReference": {"datasetId": name}, "location": "EU"})).await.ok();
    }
    let folder = tempfile::tempdir().unwrap();
    run(Command::new("cp").arg("-R").arg(here("dbt/.")).arg(folder.path()));
    run(Command::new(python).arg("run.py").current_dir(folder.path()).env("ENDPOINT", &cloud.endpoints.bigquery));

    let table = client.get("/datasets/dbt_first/tables/as_table").await.ok();
    assert_eq!(table["timePartitioning"], json!({"type": "MONTH", "field": "day"}));
    assert_eq!(table["clustering"], json!({"fields": ["item"]}));
    assert_eq!(
        client.rows("select item, twice from dbt_first.as_view order by item").await,
        [["apple", "6"], ["pear", "8"]]
    );
    let incremental = client.rows("select item, price from dbt_first.as_incremental order by item").await;
    assert_eq!(incremental, [["apple", "13"], ["pear", "4"]]);
    let history = "select item, price, dbt_valid_to is null from dbt_first.history order by item, price";
    let versions = [["apple", "3", "false"], ["apple", "13", "true"], ["pear", "4", "true"]];
    assert_eq!(client.rows(history).await, versions);
    let cloned = client.get("/datasets/dbt_second/tables/as_incremental").await.ok();
    assert_eq!(cloned["cloneDefinition"]["baseTableReference"]["datasetId"], "dbt_first");
    let jobs = client.get("/jobs?maxResults=1000").await.ok();
    let is_of_dbt = |job: &serde_json::Value| job["configuration"]["labels"].get("dbt_invocation_id").is_some();
    assert!(jobs["jobs"].as_array().unwrap().iter().any(is_of_dbt), "job labels are kept");
}
