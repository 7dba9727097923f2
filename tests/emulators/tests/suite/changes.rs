//! Datasets, tables and views, and changes of them.

use serde_json::json;

use crate::support::{PROJECT, cloud};

fn path(path: &str) -> String {
    format!("/bigquery/v2/projects/{PROJECT}{path}")
}

#[tokio::test]
async fn a_change_of_a_dataset_needs_its_etag() {
    let client = cloud!().bigquery();
    client.dataset("etag_dataset").await;
    let seen = client.get("/datasets/etag_dataset").await.ok();
    let etag = seen["etag"].as_str().unwrap();
    let change = |value: &str| json!({"labels": {"cycle": value}});
    let path = path("/datasets/etag_dataset");
    let first = client.send("PATCH", &path, Some(&change("1")), &[("If-Match", etag)]).await.ok();
    assert_ne!(first["etag"], seen["etag"]);
    client.send("PATCH", &path, Some(&change("2")), &[("If-Match", etag)]).await.refused(412, "conditionNotMet");
    let now = client.get("/datasets/etag_dataset").await.ok();
    assert_eq!((&now["labels"], &now["etag"]), (&json!({"cycle": "1"}), &first["etag"]));
}

#[tokio::test]
async fn a_change_of_a_view_needs_its_etag() {
    let client = cloud!().bigquery();
    client.dataset("etag_view").await;
    let view = |value: i64| json!({"view": {"query": format!("select {value} as a"), "useLegacySql": false}});
    let mut definition = view(1);
    definition["tableReference"] = json!({"tableId": "v"});
    let made = client.table("etag_view", definition).await;
    let etag = made["etag"].as_str().unwrap();
    let path = path("/datasets/etag_view/tables/v");
    client.send("PATCH", &path, Some(&view(2)), &[("If-Match", etag)]).await.ok();
    client.send("PUT", &path, Some(&view(3)), &[("If-Match", etag)]).await.refused(412, "conditionNotMet");
    client.send("PATCH", &path, Some(&view(4)), &[("If-Match", "\"made up\"")]).await.refused(412, "conditionNotMet");
    assert_eq!(client.rows("select a from etag_view.v").await, [["2"]]);
    assert_eq!(client.get("/datasets/etag_view/tables/v").await.ok()["view"]["query"], "select 2 as a");
}

#[tokio::test]
async fn of_two_changes_with_one_etag_one_succeeds() {
    let client = cloud!().bigquery();
    client.dataset("etag_race").await;
    let etag = client.get("/datasets/etag_race").await.ok()["etag"].as_str().unwrap().to_owned();
    let changes: Vec<_> = (0..4)
        .map(|value| {
            let (client, etag) = (client.clone(), etag.clone());
            tokio::spawn(async move {
                let body = json!({"labels": {"by": value.to_string()}});
                client.send("PATCH", &path("/datasets/etag_race"), Some(&body), &[("If-Match", &etag)]).await.status
            })
        })
        .collect();
    let mut statuses = Vec::new();
    for change in changes {
        statuses.push(change.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412, 412]);
}

#[tokio::test]
async fn access_lists_are_kept_with_authorised_datasets() {
    let client = cloud!().bigquery();
    let access = json!([
        {"role": "OWNER", "userByEmail": "publish@example.com"},
        {"role": "WRITER", "userByEmail": "transform@example.com"},
        {"dataset": {"dataset": {"projectId": PROJECT, "datasetId": "live"}, "targetTypes": ["VIEWS"]}},
    ]);
    let body = json!({
        "datasetReference": {"datasetId": "access_kept"}, "location": "EU", "access": access,
        "maxTimeTravelHours": "48",
        "labels": {"cycle": "7"},
    });
    client.post("/datasets", body.clone()).await.ok();
    let made = client.get("/datasets/access_kept").await.ok();
    assert_eq!(made["access"], access);
    assert_eq!((&made["location"], &made["maxTimeTravelHours"]), (&json!("EU"), &json!("48")));
    let fewer = json!([access[0], access[2]]);
    client.patch("/datasets/access_kept", json!({"access": fewer})).await.ok();
    let changed = client.get("/datasets/access_kept").await.ok();
    assert_eq!((&changed["access"], &changed["labels"]), (&fewer, &json!({"cycle": "7"})));
    client.post("/datasets", body).await.refused(409, "duplicate");
}

#[tokio::test]
async fn a_patch_merges_labels() {
    let client = cloud!().bigquery();
    client.dataset("labels").await;
    client.patch("/datasets/labels", json!({"labels": {"a": "1", "b": "2"}})).await.ok();
    client.patch("/datasets/labels", json!({"labels": {"a": null, "c": "3"}})).await.ok();
    assert_eq!(client.get("/datasets/labels").await.ok()["labels"], json!({"b": "2", "c": "3"}));
    client.table("labels", json!({"tableReference": {"tableId": "t"}, "labels": {"x": "1"}})).await;
    client.patch("/datasets/labels/tables/t", json!({"labels": {"y": "2"}, "description": "d"})).await.ok();
    let table = client.get("/datasets/labels/tables/t").await.ok();
    assert_eq!((&table["labels"], &table["description"]), (&json!({"x": "1", "y": "2"}), &json!("d")));
}

#[tokio::test]
async fn a_dataset_with_tables_is_not_deleted_by_accident() {
    let client = cloud!().bigquery();
    client.dataset("in_use").await;
    client.query("create table in_use.t as select 1 as a").await.ok();
    client.delete("/datasets/in_use").await.refused(400, "resourceInUse");
    assert_eq!(client.delete("/datasets/in_use?deleteContents=true").await.status, 204);
    assert_eq!(client.get("/datasets/in_use").await.status, 404);
    client.delete("/datasets/in_use").await.refused(404, "notFound");
}

#[tokio::test]
async fn reserved_column_names_are_refused() {
    let client = cloud!().bigquery();
    client.dataset("reserved").await;
    for name in ["_PARTITIONTIME", "_table_suffix", "_FILE_NAME", "__root__", "_ROW_TIMESTAMP", "_colidentifier1"] {
        let fields = json!([{"name": "a", "type": "RECORD", "fields": [{"name": name, "type": "STRING"}]}]);
        let body = json!({"tableReference": {"tableId": "t"}, "schema": {"fields": fields}});
        client.post("/datasets/reserved/tables", body).await.refused(400, "invalid");
    }
}

#[tokio::test]
async fn a_view_is_made_only_of_what_compiles() {
    let client = cloud!().bigquery();
    client.dataset("views").await;
    client.query("create table views.t as select 1 as a, 'x' as b").await.ok();
    let body = |name: &str, query: &str| json!({"tableReference": {"tableId": name}, "view": {"query": query, "useLegacySql": false}});
    client.post("/datasets/views/tables", body("bad", "select nope from views.t")).await.refused(400, "invalidQuery");
    let made = client.table("views", body("v", "select b, a from views.t")).await;
    let names: Vec<_> =
        made["schema"]["fields"].as_array().unwrap().iter().map(|field| field["name"].clone()).collect();
    assert_eq!((names, &made["type"]), (vec![json!("b"), json!("a")], &json!("VIEW")));
    let patch = json!({
        "view": {"query": "select a from views.t", "useLegacySql": false}, "labels": {"cycle": "2"},
        "schema": {"fields": [{"name": "a", "type": "INTEGER", "description": "the number"}]},
    });
    let patched = client.patch("/datasets/views/tables/v", patch).await.ok();
    assert_eq!(
        patched["schema"]["fields"],
        json!([{"name": "a", "type": "INTEGER", "mode": "NULLABLE", "description": "the number"}])
    );
    let bad = json!({"view": {"query": "select nope from views.t", "useLegacySql": false}});
    client.patch("/datasets/views/tables/v", bad).await.refused(400, "invalidQuery");
    assert_eq!(client.rows("select * from views.v").await, [["1"]]);
}

#[tokio::test]
async fn views_of_sql_and_of_rest_are_deleted_alike() {
    let client = cloud!().bigquery();
    client.dataset("view_ends").await;
    client.query("create view view_ends.a as select 1 as x").await.ok();
    let view = json!({"tableReference": {"tableId": "b"}, "view": {"query": "select 1 as x", "useLegacySql": false}});
    client.table("view_ends", view).await;
    assert_eq!(client.get("/datasets/view_ends/tables/a").await.ok()["view"]["query"], "select 1 as x");
    for name in ["a", "b"] {
        assert_eq!(client.delete(&format!("/datasets/view_ends/tables/{name}")).await.status, 204);
        assert_eq!(client.get(&format!("/datasets/view_ends/tables/{name}")).await.status, 404);
    }
}

#[tokio::test]
async fn updates_are_limited_in_rate() {
    let client = cloud!().bigquery();
    client.dataset("fast").await;
    let label = |value: i32| json!({"labels": {"n": value.to_string()}});
    for value in 0..5 {
        client.patch("/datasets/fast", label(value)).await.ok();
    }
    client.patch("/datasets/fast", label(5)).await.refused(403, "rateLimitExceeded");
    client.table("fast", json!({"tableReference": {"tableId": "t"}})).await;
    for value in 0..5 {
        client.patch("/datasets/fast/tables/t", label(value)).await.ok();
    }
    client.patch("/datasets/fast/tables/t", label(5)).await.refused(403, "rateLimitExceeded");
}

#[tokio::test]
async fn a_table_says_when_and_how_its_rows_changed() {
    let client = cloud!().bigquery();
    client.dataset("sizes").await;
    client.query("create table sizes.t as select 1 as n, 'abc' as s").await.ok();
    let before = client.get("/datasets/sizes/tables/t").await.ok();
    assert_eq!((&before["numRows"], &before["numBytes"]), (&json!("1"), &json!("13")));
    client.query("insert into sizes.t values (2, null)").await.ok();
    let after = client.get("/datasets/sizes/tables/t").await.ok();
    assert_eq!((&after["numRows"], &after["numBytes"]), (&json!("2"), &json!("21")));
    assert_ne!(before["lastModifiedTime"], after["lastModifiedTime"]);
    let still = client.get("/datasets/sizes/tables/t").await.ok();
    assert_eq!(after["lastModifiedTime"], still["lastModifiedTime"]);
}

#[tokio::test]
async fn layouts_of_sql_tables_are_known() {
    let client = cloud!().bigquery();
    client.dataset("layouts").await;
    let layout = "partition by date_trunc(d, month) cluster by a";
    client.query(&format!("create table layouts.t {layout} as (select date '2025-08-01' as d, 1 as a)")).await.ok();
    let made = client.get("/datasets/layouts/tables/t").await.ok();
    assert_eq!(made["timePartitioning"], json!({"type": "MONTH", "field": "d"}));
    assert_eq!(made["clustering"], json!({"fields": ["a"]}));
    client.query("alter table layouts.t add column z string").await.ok();
    let altered = client.get("/datasets/layouts/tables/t").await.ok();
    assert_eq!(altered["schema"]["fields"][2]["name"], "z");
}

#[tokio::test]
async fn a_budget_below_the_estimate_is_refused() {
    let client = cloud!().bigquery();
    client.dataset("budgets").await;
    client.query("create table budgets.t as select 'abc' as s").await.ok();
    client.query("create view budgets.v as select s from budgets.t").await.ok();
    let dry = json!({"dryRun": true, "query": {"query": "select * from budgets.v", "useLegacySql": false}});
    let dry = client.post("/jobs", json!({"configuration": dry})).await.ok();
    assert_eq!(dry["statistics"]["totalBytesProcessed"], "5");
    let query = |maximum: &str| json!({"query": {"query": "select * from budgets.v", "useLegacySql": false, "maximumBytesBilled": maximum}});
    client.job(query("1000000")).await.failed("bytesBilledLimitExceeded", "10485760 or higher required");
    let job = client.job(query("10485760")).await.ok();
    assert_eq!(job["statistics"]["query"]["totalBytesBilled"], "10485760");
    assert_eq!(job["statistics"]["query"]["totalBytesProcessed"], "5");
}

#[tokio::test]
async fn views_on_views_follow_a_patch() {
    let client = cloud!().bigquery();
    client.dataset("nested").await;
    let view = |name: &str, query: &str| json!({"tableReference": {"tableId": name}, "view": {"query": query, "useLegacySql": false}});
    client.table("nested", view("rest", "select 1 as a")).await;
    client.query("create view nested.sql as select a + 1 as a from nested.rest").await.ok();
    client.table("nested", view("top", "select a + 1 as a from nested.sql")).await;
    assert_eq!(client.rows("select a from nested.top").await, [["3"]]);
    let patch = json!({"view": {"query": "select 10 as a", "useLegacySql": false}});
    client.patch("/datasets/nested/tables/rest", patch).await.ok();
    assert_eq!(client.rows("with x as (select t.a from nested.top as t) select * from x").await, [["12"]]);
    client.query("create table nested.made as select * from nested.sql").await.ok();
    assert_eq!(client.rows("select a from nested.made").await, [["11"]]);
    client.query("create or replace view nested.rest as select 20 as a").await.ok();
    assert_eq!(client.rows("select a from nested.top").await, [["22"]]);
}
