//! Faults on purpose, and processes that end, each in a cloud of its own.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use emulators::{Emulators, Endpoints, Environment, Fault, Options, Plan};
use serde_json::json;

use crate::support::Client;

#[tokio::test]
async fn faults_come_as_planned() {
    let Some(environment) = Environment::for_tests() else { return };
    let folder = tempfile::tempdir().unwrap();
    let cloud = Emulators::start(Options::new(folder.path(), environment)).await.unwrap();
    let client = Client::new(&cloud.endpoints().bigquery);
    let faults = cloud.faults();
    client.dataset("d").await;
    client.query("create table d.t (a int64)").await.ok();
    let insert = |id: &str| {
        json!({
            "jobReference": {"jobId": id, "location": "US"},
            "configuration": {"query": {"query": "insert into d.t values (1)", "useLegacySql": false}},
        })
    };
    let always = |fault| faults.inject(Plan::new(1, 1.0).only(&[fault]));

    for (fault, status) in
        [(Fault::TooManyRequests, 429), (Fault::InternalError, 500), (Fault::ServiceUnavailable, 503)]
    {
        always(fault);
        assert_eq!(client.post("/jobs", insert("a")).await.status, status);
    }
    always(Fault::ResetBefore);
    assert!(client.try_post("/jobs", insert("a")).await.is_err());
    faults.stop();
    assert_eq!(client.rows("select count(*) from d.t").await, [["0"]], "none of these had an effect");

    always(Fault::ResetAfter);
    assert!(client.try_post("/jobs", insert("a")).await.is_err());
    faults.stop();
    client.post("/jobs", insert("a")).await.refused(409, "duplicate");
    assert_eq!(client.rows("select count(*) from d.t").await, [["1"]], "this one had");

    faults.inject(Plan { slow_milliseconds: 120, ..Plan::new(1, 1.0).only(&[Fault::Slow]) });
    let started = Instant::now();
    client.get("/datasets/d").await.ok();
    assert!(started.elapsed() >= Duration::from_millis(120));

    faults.stop();
    let names = async || -> Vec<String> {
        let list = client.get("/datasets/d/tables").await.ok();
        let tables = list["tables"].as_array().unwrap().iter();
        tables.map(|table| table["tableReference"]["tableId"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names().await, ["t"]);
    client.query("create table d.u (a int64)").await.ok();
    always(Fault::StaleList);
    assert_eq!(names().await, ["t"], "as it was");
    faults.stop();
    assert_eq!(names().await, ["t", "u"]);

    // The same over HTTP, for programs.
    let plan = json!({"seed": 3, "rate": 1.0, "kinds": ["service_unavailable"]});
    client.send("PUT", "/_faults", Some(&plan), &[]).await.ok();
    assert_eq!(client.get("/datasets/d").await.status, 503);
    let report = client.send("DELETE", "/_faults", None, &[]).await.ok();
    assert_eq!(report["faults"], json!({"service_unavailable": 1}));
    let storage = Client::new(&cloud.endpoints().storage);
    faults.inject(Plan::new(1, 1.0).only(&[Fault::ServiceUnavailable]));
    assert_eq!(storage.send("GET", "/storage/v1/b?project=p", None, &[]).await.status, 503);
    cloud.stop().await;
}

fn program(folder: &std::path::Path, environment: &std::path::Path) -> (std::process::Child, Endpoints) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_bgp-emulators"))
        .arg("--folder")
        .arg(folder)
        .arg("--environment")
        .arg(environment)
        .arg("--pubsub")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, serde_json::from_str(&line).unwrap())
}

/// Waits until nothing answers at an address any more.
async fn gone(url: &str) {
    let client = Client::new(url);
    let started = Instant::now();
    while client.try_send("GET", "/", None, &[]).await.is_ok() {
        assert!(started.elapsed() < Duration::from_secs(20), "{url} still answers");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_there_is_there_after_a_restart_and_nothing_outlives_the_program() {
    let Some(environment) = Environment::for_tests() else { return };
    let environment = environment.folder().to_owned();
    let folder = tempfile::tempdir().unwrap();

    let (mut child, endpoints) = program(folder.path(), &environment);
    let client = Client::new(&endpoints.bigquery);
    client.dataset("d").await;
    client.query("create table d.t0 as select 1 as a").await.ok();
    for depth in 1..=3 {
        client.query(&format!("create table d.t{depth} clone d.t{}", depth - 1)).await.ok();
    }
    client
        .named_job(Some("once"), json!({"query": {"query": "insert into d.t3 values (2)", "useLegacySql": false}}))
        .await
        .ok();
    let storage = Client::new(&endpoints.storage);
    storage.send("POST", "/storage/v1/b?project=p", Some(&json!({"name": "kept"})), &[]).await.ok();
    let object =
        storage.send_bytes("POST", "/upload/storage/v1/b/kept/o?uploadType=media&name=o", b"kept", &[]).await.ok();
    if let Some(pubsub) = &endpoints.pubsub {
        assert_eq!(Client::new(&format!("http://{pubsub}")).send("GET", "/", None, &[]).await.status, 200);
    }
    // Killed, so that it can't say goodbye.
    child.kill().unwrap();
    child.wait().unwrap();
    gone(&endpoints.bare_bigquery).await;
    gone(&endpoints.bare_storage).await;
    if let Some(pubsub) = &endpoints.pubsub {
        gone(&format!("http://{pubsub}")).await;
    }

    let (mut child, endpoints) = program(folder.path(), &environment);
    let client = Client::new(&endpoints.bigquery);
    assert_eq!(client.rows("select a from d.t3 order by a").await, [["1"], ["2"]]);
    client.query("create table d.t4 clone d.t3").await.failed("invalid", "depth 3");
    let again = json!({
        "jobReference": {"jobId": "once", "location": "US"},
        "configuration": {"query": {"query": "select 1", "useLegacySql": false}},
    });
    client.post("/jobs", again).await.refused(409, "duplicate");
    let storage = Client::new(&endpoints.storage);
    let kept = storage.send("GET", "/storage/v1/b/kept/o/o", None, &[]).await.ok();
    assert_eq!(kept["generation"], object["generation"]);
    // The end of its input ends it, well.
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    gone(&endpoints.bare_bigquery).await;
    gone(&endpoints.bare_storage).await;
}
