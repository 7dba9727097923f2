//! Events about manifests, over HTTP, with DuckDB as the warehouse.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::prelude::{BASE64_STANDARD, Engine};
use duckdb::Connection;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use service::{Config, Platform};
use store::{ObjectStoreExt, Precondition};
use tempfile::TempDir;
use wap::{Digest, Identifier, LAKE_VERSION, Manifest, ManifestColumn, ManifestObject, PartitionKey};

const PIPELINE: &str = "
version: 1
name: test
time_zone: UTC
start: 2025-01-01
sources: {s: {kind: duckdb, path: source.duckdb}}
raw: {}
lake: {prefix: lake}
tables:
  t:
    source: s
    key: [id]
    partition: {granularity: all}
    columns:
      - {name: id, type: integer, mode: required}
dbt: {project: dbt, publish: [m]}
live: {dataset: live}
";

/// The function, and a lake that somebody else writes to.
struct Fixture {
    home: TempDir,
    platform: Platform,
    address: String,
}

impl Fixture {
    async fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("pipeline.yaml");
        std::fs::write(&file, PIPELINE).unwrap();
        let variable = |name: &str, path: PathBuf| (name.to_owned(), path.to_str().unwrap().to_owned());
        let config = Config::from_variables(&BTreeMap::from([
            variable("BGP_CONFIG", file),
            variable("BGP_HOME", home.path().join("home")),
            variable("BGP_CACHE", home.path().join("cache")),
        ]));
        let platform = Platform::open(&config.unwrap()).await.unwrap();
        let (router, _) = load::routes(platform.clone()).split_for_parts();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/events", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { home, platform, address }
    }

    /// Puts an object with these ids in the lake, and gives its manifest.
    async fn manifest(&self, name: &str, ids: &str) -> Manifest {
        let file = self.home.path().join("part.parquet");
        let copy = format!(
            "COPY (SELECT unnest({ids})::BIGINT AS id, 'all' AS bgp_partition) TO '{}' (FORMAT parquet)",
            file.display()
        );
        Connection::open_in_memory().unwrap().execute_batch(&copy).unwrap();
        let content = std::fs::read(&file).unwrap();
        let key = format!("lake/t/all/{name}/part-0.parquet");
        let (bytes, checksum) = (content.len() as u64, Digest::of(&content));
        let generation = self.platform.store.put(&key, content.into(), Precondition::Absent).await.unwrap();
        let rows = ids.split(',').count() as u64;
        Manifest {
            version: LAKE_VERSION,
            table: Identifier::new("t").unwrap(),
            partition: PartitionKey::all(),
            window: None,
            digest: Digest::of(ids),
            contract: Digest::of("whatever"),
            load: None,
            rows,
            bytes,
            columns: vec![ManifestColumn {
                name: Identifier::new("id").unwrap(),
                data_type: "BIGINT".to_owned(),
                nullable: false,
            }],
            objects: vec![ManifestObject { key, generation, rows, bytes, checksum }],
            sums: BTreeMap::new(),
        }
    }

    /// Puts a manifest in the bucket, and gives its key.
    async fn put(&self, manifest: &impl serde::Serialize, digest: &Digest) -> String {
        let key = format!("manifests/t/all/{digest}.json");
        let document = serde_json::to_value(manifest).unwrap();
        self.platform.store.put_json(&key, &document, Precondition::None).await.unwrap();
        key
    }

    /// What is answered to Eventarc when it says that an object is there.
    async fn finalized(&self, id: &str, key: &str) -> (u16, Value) {
        let request = reqwest::Client::new()
            .post(&self.address)
            .header("ce-specversion", "1.0")
            .header("ce-id", id)
            .header("ce-source", "//storage.googleapis.com/projects/_/buckets/lake")
            .header("ce-type", "google.cloud.storage.object.v1.finalized")
            .json(&json!({"bucket": "lake", "name": key}));
        answer(request).await
    }

    /// The ids in `raw`.
    fn raw(&self) -> Vec<i64> {
        let connection = Connection::open(self.home.path().join("home/warehouse/loaded.duckdb")).unwrap();
        let mut statement = connection.prepare("SELECT id FROM raw.t ORDER BY id").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }
}

async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap_or_default())
}

#[tokio::test]
async fn a_manifest_of_somebody_else_is_loaded_once() {
    let fixture = Fixture::new().await;
    let manifest = fixture.manifest("a", "[1, 2, 3]").await;
    let key = fixture.put(&manifest, &manifest.digest).await;
    let (status, body) = fixture.finalized("1", &key).await;
    assert_eq!((status, &body["outcome"], &body["loaded"]["changed"]), (200, &json!("loaded"), &json!(true)), "{body}");
    assert_eq!(fixture.raw(), [1, 2, 3]);
    let entry = fixture.platform.state.ledger_entry(&manifest.table, &manifest.partition).await.unwrap();
    assert_eq!(entry.extracted.unwrap().digest, manifest.digest);
    assert_eq!(entry.loaded.unwrap().digest, manifest.digest);

    // Delivered again: the first outcome. As another event: loaded already.
    assert_eq!(fixture.finalized("1", &key).await, (200, body));
    let (_, body) = fixture.finalized("2", &key).await;
    assert_eq!((&body["outcome"], &body["loaded"]["changed"]), (&json!("loaded"), &json!(false)), "{body}");
}

#[tokio::test]
async fn a_late_event_does_not_bring_back_what_was_replaced() {
    let fixture = Fixture::new().await;
    let older = fixture.manifest("a", "[1]").await;
    let older_key = fixture.put(&older, &older.digest).await;
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    let newer = fixture.manifest("b", "[2]").await;
    let newer_key = fixture.put(&newer, &newer.digest).await;
    assert_eq!(fixture.finalized("2", &newer_key).await.1["outcome"], "loaded");
    let (status, body) = fixture.finalized("1", &older_key).await;
    assert_eq!((status, &body["outcome"]), (200, &json!("superseded")), "{body}");
    assert_eq!(fixture.raw(), [2]);
    // Put there again, it is the newest.
    fixture.put(&older, &older.digest).await;
    assert_eq!(fixture.finalized("3", &older_key).await.1["outcome"], "loaded");
    assert_eq!(fixture.raw(), [1]);
}

#[tokio::test]
async fn a_push_of_pubsub_loads_what_another_pipeline_extracted() {
    let fixture = Fixture::new().await;
    let manifest = fixture.manifest("a", "[7]").await;
    fixture.put(&manifest, &manifest.digest).await;
    let data = json!({"table": "t", "partition": "all", "digest": manifest.digest, "rows": 1, "bytes": manifest.bytes,
        "at": "2025-08-01T00:00:00Z"});
    let event = json!({"specversion": "1.0", "id": "1", "source": "//bluegreenprint.dev/pipelines/test",
        "type": "dev.bluegreenprint.partition.extracted.v1", "datacontenttype": "application/json", "data": data});
    let push = json!({"subscription": "projects/p/subscriptions/load", "message": {"messageId": "1",
        "attributes": {"content-type": "application/cloudevents+json"}, "data": BASE64_STANDARD.encode(event.to_string())}});
    let (status, body) = answer(reqwest::Client::new().post(&fixture.address).json(&push)).await;
    assert_eq!((status, &body["outcome"]), (200, &json!("loaded")), "{body}");
    assert_eq!(fixture.raw(), [7]);
}

#[tokio::test]
async fn all_that_is_wrong_with_a_manifest_is_listed_and_it_is_dead() {
    let fixture = Fixture::new().await;
    let manifest = fixture.manifest("a", "[1]").await;
    let mut wrong = serde_json::to_value(&manifest).unwrap();
    wrong["version"] = json!(9);
    wrong["digest"] = json!("0123456789abcdef0123456789abcdef");
    wrong["rows"] = json!(2);
    wrong["window"] = json!(["2025-08-01T00:00:00Z", "2025-08-02T00:00:00Z"]);
    wrong["columns"] = json!([{"name": "other", "type": "VARCHAR", "nullable": true}]);
    wrong["sums"] = json!({"amount": "7"});
    let object = wrong["objects"][0].clone();
    wrong["objects"] = json!([object, object, object]);
    wrong["objects"][0]["bytes"] = json!(1);
    wrong["objects"][1]["generation"] = json!(1);
    wrong["objects"][2]["key"] = json!("lake/t/all/gone/part-0.parquet");
    let key = fixture.put(&wrong, &manifest.digest).await;
    let (status, body) = fixture.finalized("1", &key).await;
    assert_eq!((status, &body["outcome"]), (200, &json!("dead")));
    let detail = body["detail"].as_str().unwrap();
    for problem in [
        "its version is 9 and should be 1",
        "its digest is 0123456789abcdef0123456789abcdef",
        "its number of rows is 2 and should be 3",
        "its number of bytes",
        "named twice",
        "it should have no window",
        "id (BIGINT) is missing",
        "other is in the lake and not in the contract",
        "it sums amount",
        "part-0.parquet has",
        "part-0.parquet has generation",
        "gone/part-0.parquet is not there",
    ] {
        assert!(detail.contains(problem), "{problem}\n{detail}");
    }
    // It stays dead, however often it is delivered.
    assert_eq!(fixture.finalized("1", &key).await, (200, body));
    let entry = fixture.platform.state.ledger_entry(&manifest.table, &manifest.partition).await.unwrap();
    assert_eq!((entry.extracted, entry.loaded), (None, None));
}

#[tokio::test]
async fn what_can_never_be_loaded_is_not_delivered_again() {
    let fixture = Fixture::new().await;
    let digest = Digest::of("x");
    let unread = fixture.put(&json!({"not": "a manifest"}), &digest).await;
    let mut damaged = fixture.manifest("a", "[1]").await;
    damaged.objects[0].checksum = Digest::of("something else");
    let damaged = fixture.put(&damaged, &damaged.digest).await;
    let gone = format!("manifests/t/all/{}.json", Digest::of("gone"));
    let nameless = "manifests/readme.txt".to_owned();
    let unknown = format!("manifests/unknown/all/{digest}.json");
    let mut manifest = fixture.manifest("b", "[1]").await;
    manifest.table = Identifier::new("unknown").unwrap();
    manifest.digest = digest;
    fixture.platform.store.put_json(&unknown, &manifest, Precondition::None).await.unwrap();
    for (id, key) in [unread, damaged, gone, nameless, unknown].into_iter().enumerate() {
        let (status, body) = fixture.finalized(&id.to_string(), &key).await;
        assert_eq!((status, &body["outcome"]), (200, &json!("dead")), "{key} {body}");
    }
    let (status, body) = answer(reqwest::Client::new().post(&fixture.address).body("hello")).await;
    assert_eq!((status, &body["outcome"]), (200, &json!("dead")), "{body}");
}

#[tokio::test]
async fn other_events_are_ignored() {
    let fixture = Fixture::new().await;
    let (status, body) = fixture.finalized("1", "lake/t/all/a/part-0.parquet").await;
    assert_eq!((status, &body["outcome"]), (200, &json!("ignored")), "{body}");
}

#[tokio::test]
async fn what_may_work_later_is_delivered_again() {
    let fixture = Fixture::new().await;
    let manifest = fixture.manifest("a", "[1]").await;
    let key = fixture.put(&manifest, &manifest.digest).await;
    // The warehouse's folder is not writable for now.
    let warehouse = fixture.home.path().join("home/warehouse");
    let aside = fixture.home.path().join("aside");
    std::fs::rename(&warehouse, &aside).unwrap();
    std::fs::write(&warehouse, "in the way").unwrap();
    let (status, body) = fixture.finalized("1", &key).await;
    assert_eq!(status, 503, "{body}");
    std::fs::remove_file(&warehouse).unwrap();
    std::fs::rename(&aside, &warehouse).unwrap();
    assert_eq!(fixture.finalized("1", &key).await.1["outcome"], "loaded");
    assert_eq!(fixture.raw(), [1]);
}
