//! Clones and copies.

use serde_json::{Value, json};

use crate::support::cloud;

fn copy(dataset: &str, from: &str, to: &str) -> Value {
    json!({"copy": {
        "sourceTable": {"datasetId": dataset, "tableId": from},
        "destinationTable": {"datasetId": dataset, "tableId": to},
    }})
}

#[tokio::test]
async fn the_fourth_clone_in_a_row_is_refused_until_a_copy() {
    let client = cloud!().bigquery();
    client.dataset("deep").await;
    client.query("create table deep.t0 (a int64) partition by range_bucket(a, generate_array(0, 10, 1))").await.ok();
    for depth in 1..=3 {
        client.query(&format!("create table deep.t{depth} clone deep.t{}", depth - 1)).await.ok();
    }
    client.query("create table deep.t4 clone deep.t3").await.failed("invalid", "depth 3");
    assert_eq!(client.get("/datasets/deep/tables/t4").await.status, 404);
    client.job(copy("deep", "t3", "fresh")).await.ok();
    client.query("create table deep.t5 clone deep.fresh").await.ok();
    let cloned = client.get("/datasets/deep/tables/t5").await.ok();
    assert_eq!(cloned["type"], "TABLE");
    assert_eq!(cloned["cloneDefinition"]["baseTableReference"]["tableId"], "fresh");
    assert_eq!(cloned["rangePartitioning"]["field"], "a", "a clone has the layout of its source");
}

#[tokio::test]
async fn a_script_can_not_clone_deeper_either() {
    let client = cloud!().bigquery();
    client.dataset("script").await;
    let script = |depth: u32| -> String {
        let clones = (1..=depth).map(|to| format!("create table script.t{to} clone script.t{};", to - 1));
        std::iter::once("create table script.t0 as select 1 as a;".to_owned()).chain(clones).collect()
    };
    client.query(&script(4)).await.failed("invalid", "depth 3");
    client.query(&script(3)).await.ok();
    client.query("create table script.t4 clone script.t3").await.failed("invalid", "depth 3");
}

#[tokio::test]
async fn a_clone_stays_a_clone_when_its_source_is_gone() {
    let client = cloud!().bigquery();
    client.dataset("orphans").await;
    client.query("create table orphans.a as select 1 as x").await.ok();
    client.query("create table orphans.b clone orphans.a").await.ok();
    client.query("create table orphans.c clone orphans.b").await.ok();
    client.query("create table orphans.d clone orphans.c").await.ok();
    client.query("drop table orphans.a").await.ok();
    client.query("create table orphans.e clone orphans.d").await.failed("invalid", "depth 3");
}

#[tokio::test]
async fn a_clone_needs_a_free_name_and_a_table() {
    let client = cloud!().bigquery();
    client.dataset("clones").await;
    client.query("create table clones.t as select 1 as a").await.ok();
    client.query("create view clones.v as select a from clones.t").await.ok();
    client.query("create table clones.c clone clones.t").await.ok();
    client.query("create table clones.c clone clones.t").await.failed("duplicate", "Already Exists");
    client.query("create or replace table clones.c clone clones.t").await.failed("duplicate", "Already Exists");
    client.query("create table clones.w clone clones.v").await.failed("invalid", "currently a VIEW");
    client.query("create table clones.x clone clones.none").await.failed("notFound", "clones.none");
    let mut clone = copy("clones", "t", "c");
    clone["copy"]["operationType"] = json!("CLONE");
    client.job(clone).await.failed("duplicate", "Already Exists");
}

#[tokio::test]
async fn a_clone_and_its_source_change_apart() {
    let client = cloud!().bigquery();
    client.dataset("apart").await;
    client.query("create table apart.t as select 1 as a").await.ok();
    client.query("create table apart.c clone apart.t").await.ok();
    client.query("insert into apart.c values (2)").await.ok();
    assert_eq!(client.rows("select count(*) from apart.t").await, [["1"]]);
    assert_eq!(client.get("/datasets/apart/tables/c").await.ok()["numRows"], "2");
}

#[tokio::test]
async fn a_copy_keeps_what_was_there_unless_told_otherwise() {
    let client = cloud!().bigquery();
    client.dataset("copies").await;
    client.query("create table copies.a as select 1 as x").await.ok();
    client.query("create table copies.b as select 2 as x").await.ok();
    client.job(copy("copies", "a", "b")).await.failed("duplicate", "Already Exists");
    let mut replace = copy("copies", "a", "b");
    replace["copy"]["writeDisposition"] = json!("WRITE_TRUNCATE");
    client.job(replace).await.ok();
    assert_eq!(client.rows("select x from copies.b").await, [["1"]]);
    let mut append = copy("copies", "a", "b");
    append["copy"]["writeDisposition"] = json!("WRITE_APPEND");
    client.job(append).await.ok();
    assert_eq!(client.rows("select x from copies.b").await, [["1"], ["1"]]);
}
