//! What is refused, with which words, and that nothing is left behind.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use state::State;
use store::{Error, FileLock, Folder, Generation, LockMode, Object, ObjectMeta, ObjectStore, Precondition, Upload};
use tokio::sync::Notify;
use tokio::task::spawn_blocking;

use crate::fixture::Fixture;

const TABLE: &str = "    cursor: {column: at}
    partition: {granularity: day}
    lake: {object_rows: 1000}
    columns: [{name: id, type: integer}, {name: at, type: timestamp}]";

const ROWS: &str =
    "CREATE TABLE t AS SELECT CAST(range AS HUGEINT) AS id, TIMESTAMP '2025-08-01 12:00:00' AS at FROM range(50000)";

async fn nothing_is_left(fixture: &Fixture) {
    let keys = fixture.keys().await;
    assert!(keys.is_empty(), "{keys:?}");
}

#[tokio::test]
async fn partitions_that_are_not_over_or_not_of_the_table() {
    let mut fixture = Fixture::new(ROWS, TABLE);
    fixture.now = "2025-08-02T11:00:00Z".parse().unwrap();
    for (partition, refusal) in [
        (
            "2099-01-01",
            "Rejected: partition 2099-01-01 of table t has not begun; the newest that can be extracted is 2025-08-01",
        ),
        (
            "2025-08-02",
            "Rejected: partition 2025-08-02 of table t has not ended; the newest that can be extracted is 2025-08-01",
        ),
        ("2024-12-31", "Rejected: partition 2024-12-31 is before 2025-01-01"),
        ("2025-02-30", "Rejected: partition 2025-02-30 does not exist"),
        ("2025-08", "Rejected: partition 2025-08 is not of granularity day"),
    ] {
        let found = fixture.refusal(partition).await;
        assert!(found.starts_with(refusal), "{found}");
    }
    fixture.now = "2025-01-01T11:00:00Z".parse().unwrap();
    let found = fixture.refusal("2025-01-01").await;
    assert!(found.ends_with("has not ended; none can be extracted yet"), "{found}");
    nothing_is_left(&fixture).await;
}

#[tokio::test]
async fn every_column_that_differs_is_listed() {
    let table = "    partition: {granularity: all}
    columns:
      - {name: id, type: integer}
      - {name: lost, type: date}
      - {name: price, type: integer}
      - {name: amount, type: 'numeric(10,2)'}
      - {name: tags, type: string, mode: repeated}
      - {name: address, type: record, fields: [{name: zip, type: integer}]}
      - {name: place, type: record, fields: [{name: zip, type: integer}]}";
    let fixture = Fixture::new(
        "CREATE TABLE t AS SELECT 1 AS id, 1.5::DOUBLE AS price, 1.555 AS amount, 'a' AS tags, {'zip': 'H2X'} AS address,
             {'city': 'x'} AS place",
        table,
    );
    assert_eq!(
        fixture.refusal("all").await,
        "Rejected: source s does not have table t as pipeline.yaml describes it: column lost (DATE) is missing; column \
         price is DOUBLE, not BIGINT: not every value could be kept; column amount is DECIMAL(4,3), not DECIMAL(10, 2): it \
         has more than 2 decimals; say how they are rounded with `rounding`; column tags is VARCHAR, not VARCHAR[]: it \
         holds no lists; column address is STRUCT(zip VARCHAR), not STRUCT(\"zip\" BIGINT), at zip: not every value could \
         be kept; column place is STRUCT(city VARCHAR), not STRUCT(\"zip\" BIGINT), at zip: the source has no such field; \
         correct the columns there, or convert them in the table's query"
    );
    nothing_is_left(&fixture).await;
}

#[tokio::test]
async fn sources_that_are_missing_damaged_or_lack_the_table() {
    let fixture = Fixture::new("CREATE TABLE other (id INTEGER)", TABLE);
    let found = fixture.refusal("2025-08-01").await;
    assert!(
        found.starts_with("Rejected: source s (") && found.contains("could not be asked for table t; correct"),
        "{found}"
    );
    assert!(found.contains("Table with name t does not exist"), "{found}");

    fs::write(fixture.source_path(), "no database at all, but long enough to be looked at").unwrap();
    let found = fixture.refusal("2025-08-01").await;
    assert!(found.starts_with("Rejected: ") && found.contains("could not be opened: the file is damaged"), "{found}");

    fs::remove_file(fixture.source_path()).unwrap();
    let found = fixture.refusal("2025-08-01").await;
    assert!(found.starts_with("NotFound: ") && found.contains("does not exist; make it with generate"), "{found}");
    nothing_is_left(&fixture).await;
}

#[tokio::test]
async fn a_source_that_is_damaged_inside() {
    let fixture = Fixture::new(
        "CREATE TABLE t AS SELECT range AS id, md5(range::VARCHAR) AS text, TIMESTAMP '2025-08-01' AS at FROM range(200000)",
        &TABLE.replace("{name: at,", "{name: text, type: string}, {name: at,"),
    );
    let length = fs::metadata(fixture.source_path()).unwrap().len();
    let mut file = fs::File::options().write(true).open(fixture.source_path()).unwrap();
    // The middle of every block of the second half; headers and catalogue are at the beginning.
    for block in (length / 2 / 262_144)..(length / 262_144) {
        file.seek(SeekFrom::Start(12_288 + block * 262_144 + 100_000)).unwrap();
        file.write_all(&[0xAB; 64]).unwrap();
    }
    drop(file);
    let found = fixture.refusal("2025-08-01").await;
    assert!(found.contains("the file is damaged; restore it"), "{found}");
    nothing_is_left(&fixture).await;
}

#[tokio::test]
async fn a_value_that_does_not_fit_found_after_objects_were_stored() {
    let fixture = Fixture::new(ROWS, TABLE);
    fixture
        .change_source("INSERT INTO t VALUES (CAST(9223372036854775808 AS HUGEINT), TIMESTAMP '2025-08-01 13:00:00')");
    let found = fixture.refusal("2025-08-01").await;
    assert!(found.starts_with("Rejected: source s (") && found.contains("out of range"), "{found}");
    nothing_is_left(&fixture).await;
}

#[tokio::test]
async fn a_store_that_fails_in_the_middle() {
    let mut fixture = Fixture::new(ROWS, TABLE);
    let folder = Folder::open(fixture.home.path().join("bucket")).unwrap();
    fixture.state = State::new(Arc::new(FaultyStore { folder, fault: Fault::Full }), Duration::from_mins(1));
    let found = fixture.refusal("2025-08-01").await;
    let expected =
        "Unavailable: the lake could not be read or written: the store failed while writing lake/t/2025-08-01/";
    assert!(found.starts_with(expected), "{found}");
    nothing_is_left(&fixture).await;
}

#[tokio::test]
async fn a_caller_that_goes_away_in_the_middle_stops_the_reader() {
    // More than fits between the reader and the store.
    let sql = "CREATE TABLE t AS SELECT range AS id, TIMESTAMP '2025-08-01 12:00:00' AS at FROM range(3000000) ORDER BY hash(id)";
    let mut fixture = Fixture::new(sql, TABLE);
    let folder = Folder::open(fixture.home.path().join("bucket")).unwrap();
    let reached = Arc::new(Notify::new());
    let fault = Fault::Hang(reached.clone());
    fixture.state = State::new(Arc::new(FaultyStore { folder, fault }), Duration::from_mins(1));
    tokio::select! {
        outcome = fixture.all("2025-08-01") => panic!("{outcome:?}"),
        () = reached.notified() => {}
    }
    let mut lock = fixture.source_path().into_os_string();
    lock.push(".lock");
    let waited = spawn_blocking(move || FileLock::acquire(lock.as_ref(), LockMode::Exclusive, Duration::from_secs(30)));
    assert!(waited.await.unwrap().is_ok(), "the reader goes on");
    assert!(!fixture.keys().await.iter().any(|key| key.starts_with("manifests/")));
}

/// A folder that fails at the fourth object of an upload.
#[derive(Debug)]
struct FaultyStore {
    folder: Folder,
    fault: Fault,
}

#[derive(Debug)]
enum Fault {
    /// There is no room left.
    Full,
    /// It never answers; whoever waits for that moment is told.
    Hang(Arc<Notify>),
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn get(&self, key: &str) -> Result<Object, Error> {
        self.folder.get(key).await
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta, Error> {
        self.folder.head(key).await
    }

    async fn put(&self, key: &str, content: Bytes, precondition: Precondition) -> Result<Generation, Error> {
        self.folder.put(key, content, precondition).await
    }

    async fn upload(&self, key: &str) -> Result<Box<dyn Upload>, Error> {
        if key.ends_with("00003.parquet") {
            if let Fault::Hang(reached) = &self.fault {
                reached.notify_one();
                std::future::pending::<()>().await;
            }
            let source = std::io::ErrorKind::StorageFull.into();
            return Err(Error::Unavailable { action: "writing", key: key.to_owned(), source });
        }
        self.folder.upload(key).await
    }

    async fn delete(&self, key: &str, precondition: Precondition) -> Result<(), Error> {
        self.folder.delete(key, precondition).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, Error> {
        self.folder.list(prefix).await
    }

    fn local_path(&self, key: &str) -> Option<PathBuf> {
        self.folder.local_path(key)
    }
}
