//! What lies in the lake afterwards.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use store::ObjectStoreExt;
use wap::{Digest, PartitionKey};

use crate::fixture::Fixture;

const TABLE: &str = "    partition: {granularity: all}
    lake: {object_rows: 1000, compression: snappy}
    columns:
      - {name: id, type: integer}
      - {name: name, type: string}
      - {name: price, type: 'numeric(12,2)'}
    reconcile: {model: m, key: {id: id}, measures: {id: id, price: price}}";

const ROWS: &str = "CREATE TABLE t AS SELECT range AS id, 'name ' || range % 100 AS name,
     CASE WHEN range % 10 > 0 THEN CAST(range AS DECIMAL(12, 2)) / 4 END::DECIMAL(12, 2) AS price FROM range(30000)";

#[tokio::test]
async fn a_large_partition_is_several_objects_that_the_manifest_describes() {
    let fixture = Fixture::new(ROWS, TABLE);
    let manifest = fixture.one("all").await;
    assert!(manifest.objects.len() > 2, "{:?}", manifest.objects);
    assert_eq!(manifest.rows, 30_000);
    assert_eq!(manifest.objects.iter().map(|object| object.rows).sum::<u64>(), manifest.rows);
    assert_eq!(manifest.objects.iter().map(|object| object.bytes).sum::<u64>(), manifest.bytes);
    for (place, object) in manifest.objects.iter().enumerate() {
        assert!(object.rows >= 1000 || place + 1 == manifest.objects.len(), "{object:?}");
        let name = format!("/part-{place:05}.parquet");
        assert!(object.key.starts_with("lake/t/all/") && object.key.ends_with(&name), "{}", object.key);
        let content = fs::read(fixture.path(&object.key)).unwrap();
        assert_eq!((content.len() as u64, Digest::of(content)), (object.bytes, object.checksum.clone()));
        assert_eq!(fixture.state.store().head(&object.key).await.unwrap().generation, object.generation);
    }
    let found = fixture.query(&manifest, "SELECT count(*), sum(id), sum(price), count(DISTINCT id) FROM lake");
    assert_eq!(found, [["30000", "449985000", "101250000.00", "30000"]]);
    let sums: Vec<(&str, &str)> = manifest.sums.iter().map(|(name, sum)| (name.as_str(), sum.as_str())).collect();
    assert_eq!(sums, [("id", "449985000"), ("price", "101250000")]);
    let schema = "SELECT DISTINCT compression FROM parquet_metadata(getvariable('file')) \
                  WHERE NOT starts_with(path_in_schema, 'bgp_')";
    let file = fixture.path(&manifest.objects[0].key);
    let schema = schema.replace("getvariable('file')", &format!("'{}'", file.display()));
    assert_eq!(fixture.column(&manifest, &schema), ["SNAPPY"]);

    let entry = fixture.state.ledger_entry(&manifest.table, &PartitionKey::all()).await.unwrap();
    assert_eq!(entry.extracted.unwrap().digest, manifest.digest);
    assert_eq!(manifest.contract, fixture.pipeline.table("t").unwrap().contract_digest());
}

#[tokio::test]
async fn the_same_rows_are_the_same_manifest_in_any_order() {
    let fixture = Fixture::new(ROWS, TABLE);
    let first = fixture.one("all").await;
    let keys = fixture.keys().await;
    // All but when the source was read last.
    let ledger = async || {
        let entries = fixture.state.ledger().await.unwrap().into_iter();
        entries.map(|entry| wap::LedgerEntry { read_at: None, ..entry }).collect::<Vec<_>>()
    };
    let before = ledger().await;
    assert_eq!(fixture.one("all").await, first);

    fixture.change_source("CREATE OR REPLACE TABLE t AS FROM t ORDER BY hash(id)");
    assert_eq!(fixture.one("all").await, first);
    assert_eq!(fixture.keys().await, keys);
    assert_eq!(ledger().await, before);

    // One row twice, one value: other contents. Back again: the first manifest, and the ledger says so.
    fixture.change_source("INSERT INTO t FROM t WHERE id = 7");
    let twice = fixture.one("all").await;
    assert_ne!(twice.digest, first.digest);
    fixture
        .change_source("CREATE OR REPLACE TABLE t AS SELECT DISTINCT * FROM t; UPDATE t SET name = 'x' WHERE id = 7");
    let changed = fixture.one("all").await;
    assert!(changed.digest != first.digest && changed.digest != twice.digest);
    fixture.change_source("UPDATE t SET name = 'name 7' WHERE id = 7");
    assert_eq!(fixture.one("all").await, first);
    let entry = fixture.state.ledger_entry(&first.table, &PartitionKey::all()).await.unwrap();
    assert_eq!(entry.extracted.unwrap().digest, first.digest);
}

#[tokio::test]
async fn objects_carry_their_partition_its_start_and_their_upload() {
    let rows = "CREATE TABLE t AS SELECT range AS id, TIMESTAMP '2025-03-09 12:00:00' AS seen_at FROM range(3000)";
    let table = "    cursor: {column: seen_at}\n    partition: {granularity: GRANULARITY}\n    columns:\n      \
         - {name: id, type: integer}\n      - {name: seen_at, type: datetime}";
    let own = "SELECT DISTINCT bgp_partition, bgp_partition_start, typeof(bgp_partition_start), bgp_load FROM lake";
    for (granularity, key, start) in [
        ("hour", "2025-03-09T12", "2025-03-09 12:00:00"),
        ("day", "2025-03-09", "2025-03-09 00:00:00"),
        ("month", "2025-03", "2025-03-01 00:00:00"),
        ("all", "all", "NULL"),
    ] {
        let table = table.replace("GRANULARITY", granularity);
        let table = if key == "all" { table.replacen("    cursor: {column: seen_at}\n", "", 1) } else { table };
        // Its clocks are twelve or thirteen hours from UTC.
        let fixture = Fixture::in_zone("Pacific/Auckland", rows, &table);
        let manifest = fixture.one(key).await;
        let load = manifest.load.clone().unwrap();
        assert_eq!(fixture.query(&manifest, own), [[key, start, "TIMESTAMP", load.as_str()]]);
        assert!(manifest.objects.iter().all(|object| object.key.contains(&format!("/{load}/"))), "{manifest:?}");
        let names: Vec<&str> = manifest.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["id", "seen_at"]);
    }
}

#[tokio::test]
async fn the_same_rows_under_other_types_are_another_content() {
    let fixture = Fixture::new(ROWS, TABLE);
    let first = fixture.one("all").await;
    let wider = Fixture::with(
        fixture.home,
        crate::fixture::parse(
            "UTC",
            "{kind: duckdb, path: source.duckdb}",
            &TABLE.replace("numeric(12,2)", "numeric(14,2)"),
        ),
    );
    let second = wider.one("all").await;
    assert_ne!(second.digest, first.digest);
    assert_eq!(second.columns[2].data_type, "DECIMAL(14, 2)");
}

#[tokio::test]
async fn an_empty_partition_has_a_manifest_without_objects() {
    let fixture = Fixture::new("CREATE TABLE t (id INTEGER, name VARCHAR, price DECIMAL(12, 2))", TABLE);
    let manifest = fixture.one("all").await;
    assert_eq!((manifest.rows, manifest.bytes, manifest.objects.len()), (0, 0, 0));
    assert_eq!(manifest.sums.values().collect::<Vec<_>>(), ["0", "0"]);
    assert!(fixture.state.has_manifest(&manifest.table, &manifest.partition, &manifest.digest).await.unwrap());
    assert_eq!(fixture.one("all").await, manifest);
}

#[tokio::test]
async fn the_source_waits_for_whoever_writes_it() {
    let fixture = Fixture::new(ROWS, TABLE);
    let mut path = fixture.source_path().into_os_string();
    path.push(".lock");
    let lock = store::FileLock::acquire(path.as_ref(), store::LockMode::Exclusive, std::time::Duration::ZERO).unwrap();
    let (mut extraction, release) = (Box::pin(fixture.one("all")), std::time::Duration::from_millis(200));
    assert!(tokio::time::timeout(release, &mut extraction).await.is_err());
    drop(lock);
    assert_eq!(extraction.await.rows, 30_000);
}

#[tokio::test]
async fn objects_that_are_gone_are_extracted_again() {
    let fixture = Fixture::new(ROWS, TABLE);
    let first = fixture.one("all").await;
    let loaded = |entry: &mut wap::LedgerEntry| entry.loaded = entry.extracted.clone();
    fixture.state.update_ledger(&first.table, &first.partition, loaded).await.unwrap();
    assert_eq!(fixture.one("all").await, first);

    fs::remove_file(fixture.path(&first.objects[1].key)).unwrap();
    let second = fixture.one("all").await;
    assert_eq!((&second.digest, second.rows), (&first.digest, first.rows));
    assert_ne!(second.load, first.load);
    assert_eq!(fixture.column(&second, "SELECT count(DISTINCT id) FROM lake"), ["30000"]);
    let stored = fixture.state.manifest(&first.table, &first.partition, &first.digest).await.unwrap();
    assert_eq!(stored, second);
    // What was loaded was the other objects.
    let entry = fixture.state.ledger_entry(&first.table, &first.partition).await.unwrap();
    assert_eq!((entry.extracted.unwrap().digest, entry.loaded), (first.digest, None));
    assert_eq!(fixture.one("all").await, second);
}

#[tokio::test]
async fn objects_without_an_upload_are_extracted_again() {
    let fixture = Fixture::new(ROWS, TABLE);
    let mut older = fixture.one("all").await;
    older.load = None;
    let key = wap::Manifest::key(&older.table, &older.partition, &older.digest);
    let written = fixture.state.store().put_json(&key, &older, store::Precondition::None).await;
    written.unwrap();
    let content = fixture.state.store().get(&key).await.unwrap().content;
    assert!(!String::from_utf8(content.to_vec()).unwrap().contains("\"load\""));
    assert!(fixture.one("all").await.load.is_some());
}

#[tokio::test]
async fn a_source_in_a_folder_that_can_only_be_read() {
    let fixture = Fixture::new(ROWS, TABLE);
    // The pipeline's own files go elsewhere.
    let folder = fixture.home.path().join("frozen");
    fs::create_dir(&folder).unwrap();
    fs::rename(fixture.source_path(), folder.join("source.duckdb")).unwrap();
    let mode = |mode| fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o555);
    let pipeline = crate::fixture::parse("UTC", "{kind: duckdb, path: frozen/source.duckdb}", TABLE);
    let fixture = Fixture { pipeline, ..fixture };
    assert_eq!(fixture.one("all").await.rows, 30_000);
    mode(0o755);
}
