use std::fs;

use async_trait::async_trait;
use store::Folder;
use wap::{ManifestObject, PartitionKey};

use super::*;
use crate::contract::{Fixture, Row, manifest, partition, table};

struct Embedded {
    warehouse: DuckDb,
    store: Arc<dyn ObjectStore>,
    _folder: tempfile::TempDir,
}

fn fresh() -> Embedded {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn ObjectStore> = Arc::new(Folder::open(folder.path().join("bucket")).unwrap());
    let warehouse = DuckDb::open(&folder.path().join("warehouse"), store.clone(), "live").unwrap();
    Embedded { warehouse, store, _folder: folder }
}

impl Embedded {
    fn execute(&self, slot: &Slot, sql: &str) {
        let connection = Connection::open(self.warehouse.slot_file(slot)).unwrap();
        connection.execute_batch(sql).unwrap();
        connection.close().unwrap();
    }
}

/// A query that gives the rows.
fn select(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "SELECT 0 AS id, '' AS name WHERE false".to_owned();
    }
    let rows: Vec<String> = rows.iter().map(|(id, name)| format!("({id}::BIGINT, '{name}')")).collect();
    format!("SELECT * FROM (VALUES {}) AS t(id, name)", rows.join(", "))
}

crate::warehouse_contract!(contract, super::fresh());

#[async_trait]
impl Fixture for Embedded {
    fn warehouse(&self) -> &dyn Warehouse {
        &self.warehouse
    }

    async fn write(&self, slot: &Slot, schema: &str, relation: &str, rows: &[Row]) {
        let name = format!("\"{schema}\".\"{relation}\"");
        let sql =
            format!("CREATE SCHEMA IF NOT EXISTS \"{schema}\"; CREATE OR REPLACE TABLE {name} AS {}", select(rows));
        self.execute(slot, &sql);
    }

    async fn view(&self, slot: &Slot, schema: &str, relation: &str, over: &str) {
        self.execute(
            slot,
            &format!(
                "CREATE SCHEMA IF NOT EXISTS \"{schema}\"; CREATE VIEW \"{schema}\".\"{relation}\" AS SELECT * FROM {over}"
            ),
        );
    }

    async fn extract(&self, table: &Table, partition: &PartitionKey, rows: &[Row]) -> Manifest {
        let query = select(rows);
        let key = format!("lake/{}/{partition}/{}.parquet", table.name, Digest::of(&query));
        let path = self.store.local_path(&key).unwrap();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(&format!(
                "COPY (SELECT id, name, make_timestamp(0) AS at, '{partition}' AS bgp_partition FROM ({query})) TO '{}' (FORMAT parquet)",
                path.display()
            ))
            .unwrap();
        let content = fs::read(&path).unwrap();
        let (bytes, checksum) = (content.len() as u64, Digest::of(&content));
        let object = ManifestObject { key, generation: 1, rows: rows.len() as u64, bytes, checksum };
        manifest(table, partition, rows, object)
    }

    fn file(&self, object: &ManifestObject) -> PathBuf {
        self.store.local_path(&object.key).unwrap()
    }
}

#[tokio::test]
async fn a_write_ahead_log_beside_a_sealed_file_changes_its_fingerprint() {
    let embedded = fresh();
    let slot = Slot { color: wap::Color::Blue, cycle: 1, attempt: wap::AttemptId::new("attempta").unwrap() };
    embedded.warehouse.create(&slot, None, &[]).await.unwrap();
    embedded.execute(&slot, "CREATE TABLE t AS SELECT 1 AS one");
    files::seal(&embedded.warehouse.slot_file(&slot)).unwrap();
    let before = embedded.warehouse.fingerprint(&slot).await.unwrap();
    let mut log = embedded.warehouse.slot_file(&slot).into_os_string();
    log.push(".wal");
    fs::write(log, "replayed by readers").unwrap();
    assert_ne!(embedded.warehouse.fingerprint(&slot).await.unwrap(), before);
}

#[tokio::test]
async fn the_link_is_relative_so_that_a_home_can_be_moved() {
    let embedded = fresh();
    let file = embedded.warehouse.file_of("blue_1_attempta");
    fs::write(&file, "").unwrap();
    assert!(files::point(&embedded.warehouse.published_file(), &file).unwrap());
    assert_eq!(fs::read_link(embedded.warehouse.published_file()).unwrap(), Path::new("slot_blue_1_attempta.duckdb"));
    assert!(!files::point(&embedded.warehouse.published_file(), &file).unwrap());
}

#[tokio::test]
async fn objects_without_a_column_of_their_manifest_keep_nobody_else_out() {
    let embedded = fresh();
    let table = table("");
    let mut foreign = embedded.extract(&table, &partition(1), &[(1, "a".to_owned())]).await;
    let path = embedded.store.local_path(&foreign.objects[0].key).unwrap();
    Connection::open_in_memory()
        .unwrap()
        .execute_batch(&format!("COPY (SELECT 1::BIGINT AS id) TO '{}' (FORMAT parquet)", path.display()))
        .unwrap();
    let content = fs::read(&path).unwrap();
    foreign.objects[0].bytes = content.len() as u64;
    foreign.objects[0].checksum = Digest::of(&content);
    let error = embedded.warehouse.load(&table, &foreign).await.unwrap_err();
    assert!(matches!(error, Error::Rejected { .. }), "{error}");
    let sound = embedded.extract(&table, &partition(2), &[(2, "b".to_owned())]).await;
    embedded.warehouse.load(&table, &sound).await.unwrap();
}

#[tokio::test]
async fn views_of_raw_that_a_crash_left_behind_or_damaged_are_made_anew_by_a_load_of_any_table() {
    let embedded = fresh();
    let views = embedded.warehouse.folder.join("loaded.duckdb");
    let (first, mut second) = (table(""), table(""));
    second.name = wap::Identifier::new("others").unwrap();
    for (table, day) in [(&first, 1), (&second, 1)] {
        let manifest = embedded.extract(table, &partition(day), &[(1, "a".to_owned())]).await;
        embedded.warehouse.load(table, &manifest).await.unwrap();
    }
    let before = fs::read(&views).unwrap();
    let count = |table: &str| -> i64 {
        let connection = Connection::open(&views).unwrap();
        connection.query_row(&format!("SELECT count(*) FROM raw.{table}"), [], |row| row.get(0)).unwrap()
    };
    let breakages: [fn(&Path, &[u8]); 3] = [
        // It died when the partition was replaced and the view was not.
        |views, before| {
            fs::write(views, before).unwrap();
            fs::write(views.with_file_name(".raw.unfinished"), "").unwrap();
        },
        |views, _| fs::write(views, "not a database").unwrap(),
        |views, _| fs::remove_file(views).unwrap(),
    ];
    for (day, breakage) in (2..).zip(breakages) {
        let manifest = embedded.extract(&first, &partition(day), &[(1, "a".to_owned())]).await;
        embedded.warehouse.load(&first, &manifest).await.unwrap();
        breakage(&views, &before);
        let manifest = embedded.extract(&second, &partition(day), &[(1, "b".to_owned())]).await;
        embedded.warehouse.load(&second, &manifest).await.unwrap();
        assert_eq!((count("things"), count("others")), (i64::from(day), i64::from(day)));
    }
}
