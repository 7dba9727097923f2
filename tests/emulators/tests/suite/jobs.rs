//! Jobs and their ids.

use serde_json::json;

use crate::support::{PROJECT, cloud};

#[tokio::test]
async fn a_repeated_job_id_is_a_conflict_and_the_first_job_stays() {
    let client = cloud!().bigquery();
    client.dataset("job_ids").await;
    client.query("create table job_ids.t (a int64)").await.ok();
    let insert = |value: i64| {
        let sql = format!("insert into job_ids.t values ({value})");
        json!({
            "jobReference": {"projectId": PROJECT, "jobId": "derived-1", "location": "US"},
            "configuration": {"query": {"query": sql, "useLegacySql": false}},
        })
    };
    client.post("/jobs", insert(1)).await.ok();
    client.post("/jobs", insert(2)).await.refused(409, "duplicate");
    assert_eq!(client.rows("select a from job_ids.t").await, [["1"]]);
    let job = client.get("/jobs/derived-1?location=US").await.ok();
    assert_eq!(job["configuration"]["query"]["query"], "insert into job_ids.t values (1)");
    assert_eq!(job["status"], json!({"state": "DONE"}));
}

#[tokio::test]
async fn an_id_is_free_in_another_location() {
    let client = cloud!().bigquery();
    let select = |location: &str| {
        json!({
            "jobReference": {"projectId": PROJECT, "jobId": "placed-1", "location": location},
            "configuration": {"query": {"query": "select 1", "useLegacySql": false}},
        })
    };
    client.post("/jobs", select("EU")).await.ok();
    client.post("/jobs", select("europe-west1")).await.ok();
    client.post("/jobs", select("EU")).await.refused(409, "duplicate");
    assert_eq!(client.get("/jobs/placed-1?location=US").await.status, 404);
}

#[tokio::test]
async fn of_many_inserts_of_one_id_one_runs() {
    let client = cloud!().bigquery();
    client.dataset("job_race").await;
    client.query("create table job_race.t (a int64)").await.ok();
    let inserts = (0..8).map(|value| {
        let client = client.clone();
        tokio::spawn(async move {
            let sql = format!("insert into job_race.t values ({value})");
            let reference = json!({"projectId": PROJECT, "jobId": "race-1", "location": "US"});
            let configuration = json!({"query": {"query": sql, "useLegacySql": false}});
            client.post("/jobs", json!({"jobReference": reference, "configuration": configuration})).await.status
        })
    });
    let mut statuses = Vec::new();
    for insert in inserts.collect::<Vec<_>>() {
        statuses.push(insert.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409, 409, 409, 409, 409]);
    assert_eq!(client.rows("select count(*) from job_race.t").await, [["1"]]);
}

#[tokio::test]
async fn a_failed_query_is_an_error_of_query_and_of_its_results() {
    let client = cloud!().bigquery();
    let body = json!({"query": "select nothing from nowhere.t", "useLegacySql": false});
    assert!([400, 404].contains(&client.post("/queries", body.clone()).await.status));
    let job = client.named_job(Some("failing-1"), json!({"query": body})).await;
    assert!(job.0["status"].get("errorResult").is_some());
    assert!([400, 404].contains(&client.get("/queries/failing-1?location=US").await.status));
}

#[tokio::test]
async fn a_query_asked_twice_under_one_request_id_runs_once() {
    let client = cloud!().bigquery();
    client.dataset("request_ids").await;
    client.query("create table request_ids.t (a int64)").await.ok();
    let body = json!({
        "query": "insert into request_ids.t values (1)", "useLegacySql": false, "requestId": "once", "location": "US",
    });
    client.post("/queries", body.clone()).await.ok();
    client.post("/queries", body).await.ok();
    assert_eq!(client.rows("select count(*) from request_ids.t").await, [["1"]]);
}

#[tokio::test]
async fn legacy_sql_is_the_default_and_refused() {
    let client = cloud!().bigquery();
    client.post("/queries", json!({"query": "select 1"})).await.refused(501, "notImplemented");
    client
        .post("/jobs", json!({"configuration": {"query": {"query": "select 1"}}}))
        .await
        .refused(501, "notImplemented");
}

#[tokio::test]
async fn no_definitions_in_a_transaction() {
    let client = cloud!().bigquery();
    client.dataset("transactions").await;
    client.query("create table transactions.t as select 1 as a").await.ok();
    let job = client.query("begin transaction; create table transactions.u as select 1 as a; commit transaction").await;
    job.failed("invalidQuery", "DDL statements are not supported in a transaction");
    assert_eq!(client.get("/datasets/transactions/tables/u").await.status, 404);
    let change = "delete from transactions.t where true; insert into transactions.t select 2;";
    client.query(&format!("begin transaction; {change} commit transaction")).await.ok();
    assert_eq!(client.rows("select a from transactions.t").await, [["2"]]);
}

#[tokio::test]
async fn timestamps_are_seconds_unless_asked_for_otherwise() {
    let client = cloud!().bigquery();
    let query = json!({"query": "select timestamp '2025-08-01 00:00:00.25'", "useLegacySql": false});
    let value = |answer: &serde_json::Value| answer["rows"][0]["f"][0]["v"].clone();
    let seconds = client.post("/queries", query.clone()).await.ok();
    assert_eq!(value(&seconds), "1.75400640025E9");
    let mut asked = query;
    asked["formatOptions"] = json!({"useInt64Timestamp": true});
    let integers = client.post("/queries", asked).await.ok();
    assert_eq!(value(&integers), "1754006400250000");
    let id = integers["jobReference"]["jobId"].as_str().unwrap();
    let page = client.get(&format!("/queries/{id}?location=US&formatOptions.useInt64Timestamp=true")).await.ok();
    assert_eq!(value(&page), "1754006400250000");
}
