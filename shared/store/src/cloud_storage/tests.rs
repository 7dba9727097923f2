//! Cloud Storage against its emulator: the contract, and what only it has.
//!
//! The emulator is fake-gcs-server behind the rules of `tests/emulators`, without which the first four would fail here:
//!
//! | on its own, the emulator | and with the rules |
//! |---|---|
//! | deletes whatever the precondition says | checks it |
//! | looks at the precondition when a resumable upload starts, not when it ends | at the end |
//! | ends a resumable upload when it is asked how far it is, and takes a chunk twice | as documented |
//! | gives a session's address without the port, if the client leaves that out | with the port |
//! | knows no permissions: nothing is ever 401 or 403 | the same |
//! | takes any number of writes a second of one object, where Cloud Storage answers 429 beyond one | the same |
//! | can't hold the keys `a` and `a/b` at once, because objects are files | the same |

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use emulators::{Emulators, Environment, Fault, Faults, Options, Plan};
use google::{Credentials, Endpoints};
use tempfile::TempDir;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::*;
use crate::ObjectStoreExt;

/// One emulated cloud for all tests of this process. Its thread, and so the emulators, end with the process.
struct Cloud {
    storage: String,
    faults: Faults,
    /// Faults hit whoever calls, so a test that injects some is alone.
    users: RwLock<()>,
}

/// Leave to use the cloud, with faults until it is dropped.
struct Faulty<'cloud> {
    faults: &'cloud Faults,
    _alone: RwLockWriteGuard<'cloud, ()>,
}

impl Drop for Faulty<'_> {
    fn drop(&mut self) {
        self.faults.stop();
    }
}

fn cloud() -> Option<&'static Cloud> {
    static CLOUD: OnceLock<Option<Cloud>> = OnceLock::new();
    let start = || {
        let environment = Environment::for_tests()?;
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let folder = TempDir::new().unwrap();
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                let emulators = Emulators::start(Options::new(folder.path(), environment)).await.unwrap();
                let cloud = Cloud {
                    storage: emulators.endpoints().storage.clone(),
                    faults: emulators.faults().clone(),
                    users: RwLock::default(),
                };
                sender.send(cloud).unwrap();
                std::future::pending::<()>().await;
            });
        });
        Some(receiver.recv().unwrap())
    };
    CLOUD.get_or_init(start).as_ref()
}

/// A bucket that nobody else uses.
async fn fresh(cloud: &Cloud) -> CloudStorage {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let bucket = format!("bucket-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let http = reqwest::Client::new();
    let made = http
        .post(format!("{}/storage/v1/b?project=emulated", cloud.storage))
        .json(&serde_json::json!({"name": bucket}))
        .send()
        .await
        .unwrap();
    assert!(made.status().is_success(), "{made:?}");
    CloudStorage::open(connection(&cloud.storage), &bucket).await.unwrap()
}

fn connection(storage: &str) -> Connection {
    Connection {
        endpoints: Endpoints::default().with(Api::Storage, storage),
        credentials: Credentials::anonymous(),
        budget: Budget { first_pause: Duration::from_millis(5), ..Budget::STANDARD },
    }
}

async fn bucket(cloud: &'static Cloud) -> (CloudStorage, RwLockReadGuard<'static, ()>) {
    let user = cloud.users.read().await;
    (fresh(cloud).await, user)
}

async fn faulty_bucket(cloud: &'static Cloud, plan: Plan) -> (CloudStorage, Faulty<'static>) {
    let alone = cloud.users.write().await;
    let store = fresh(cloud).await;
    cloud.faults.inject(plan);
    (store, Faulty { faults: &cloud.faults, _alone: alone })
}

crate::store_contract!(cloud_storage, {
    match super::cloud() {
        Some(cloud) => {
            let (store, user) = super::bucket(cloud).await;
            (std::sync::Arc::new(store) as std::sync::Arc<dyn crate::ObjectStore>, user)
        }
        None => return,
    }
});

async fn upload(store: &CloudStorage, key: &str, pieces: usize, piece: &Bytes) -> Result<ObjectMeta, Error> {
    let mut upload = store.upload(key).await?;
    for _ in 0..pieces {
        upload.write(piece.clone()).await?;
    }
    upload.finish().await
}

fn megabyte() -> Bytes {
    (0..1_u32 << 18).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

#[tokio::test]
async fn a_large_object_arrives_whole() {
    let Some(cloud) = cloud() else { return };
    let (store, _user) = bucket(cloud).await;
    let piece = megabyte();
    let written = upload(&store, "large", 33, &piece).await.unwrap();
    assert_eq!(written.bytes, 33 << 20);
    let object = store.get("large").await.unwrap();
    assert_eq!(object.generation, written.generation);
    assert!(object.content.chunks(piece.len()).all(|part| part == piece));
}

#[tokio::test]
async fn a_large_object_never_replaces() {
    let Some(cloud) = cloud() else { return };
    let (store, _user) = bucket(cloud).await;
    store.put("large", Bytes::from_static(b"first"), Precondition::Absent).await.unwrap();
    assert!(matches!(upload(&store, "large", 9, &megabyte()).await, Err(Error::Conflict { .. })));
    assert_eq!(store.get("large").await.unwrap().content, "first");
}

#[tokio::test]
async fn a_large_upload_that_is_dropped_leaves_nothing() {
    let Some(cloud) = cloud() else { return };
    let (store, _user) = bucket(cloud).await;
    let mut dropped = store.upload("large").await.unwrap();
    for _ in 0..20 {
        dropped.write(megabyte()).await.unwrap();
    }
    drop(dropped);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(store.list("").await.unwrap().is_empty());
}

/// The only one to write loses answers, and still every increment counts once.
#[tokio::test]
async fn lost_answers_are_found_again() {
    let Some(cloud) = cloud() else { return };
    let plan = Plan::new(1, 0.5).only(&[Fault::ResetAfter, Fault::ResetBefore]);
    let (store, _faulty) = faulty_bucket(cloud, plan).await;
    let mut generation = store.put_json("count", &0_u64, Precondition::Absent).await.unwrap();
    for count in 1..=30_u64 {
        generation = store.put_json("count", &count, Precondition::Generation(generation)).await.unwrap();
    }
    assert_eq!(store.get_json::<u64>("count").await.unwrap(), Some((30, generation)));
    store.delete("count", Precondition::Generation(generation)).await.unwrap();
    assert!(matches!(store.get("count").await, Err(Error::NotFound { .. })));
}

/// With others in between an outcome can stay unknown. It is never told as done, or as not done, when it is not.
#[tokio::test]
async fn no_outcome_is_told_wrongly() {
    let Some(cloud) = cloud() else { return };
    for seed in 0..3 {
        let (store, _faulty) = faulty_bucket(cloud, Plan::new(seed, 0.2)).await;
        store.put_json("count", &0_u64, Precondition::Absent).await.unwrap();
        let workers: Vec<_> = (0..4)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    let (mut done, mut unknown) = (0, 0);
                    while done + unknown < 10 {
                        let (count, generation) = store.get_json::<u64>("count").await.unwrap().unwrap();
                        match store.put_json("count", &(count + 1), Precondition::Generation(generation)).await {
                            Ok(_) => done += 1,
                            Err(Error::Conflict { .. }) => {}
                            Err(Error::Unavailable { .. }) => unknown += 1,
                            Err(error) => panic!("{error}"),
                        }
                    }
                    (done, unknown)
                })
            })
            .collect();
        let (mut done, mut unknown) = (0, 0);
        for worker in workers {
            let counted: (u64, u64) = worker.await.unwrap();
            (done, unknown) = (done + counted.0, unknown + counted.1);
        }
        let count = store.get_json::<u64>("count").await.unwrap().unwrap().0;
        assert!((done..=done + unknown).contains(&count), "{count} counted, {done} done, {unknown} unknown");
    }
}

#[tokio::test]
async fn a_large_object_survives_faults() {
    let Some(cloud) = cloud() else { return };
    let (store, _faulty) = faulty_bucket(cloud, Plan::new(5, 0.2)).await;
    let piece = megabyte();
    for round in 0..3 {
        let key = format!("large-{round}");
        upload(&store, &key, 40, &piece).await.unwrap();
        let object = store.get(&key).await.unwrap();
        assert_eq!(object.content.len(), 40 << 20);
        assert!(object.content.chunks(piece.len()).all(|part| part == piece));
    }
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_named() {
    let Some(cloud) = cloud() else { return };
    let store = CloudStorage::open(connection(&cloud.storage), "nobodys").await.unwrap();
    let error = store.put("key", Bytes::new(), Precondition::None).await.unwrap_err();
    assert!(matches!(&error, Error::Rejected { reason, .. } if reason.contains("bucket")), "{error}");
    assert!(matches!(store.list("").await, Err(Error::Rejected { .. })));
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_unavailable() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut connection = connection(&format!("http://{closed}"));
    connection.budget.attempts = 3;
    let store = CloudStorage::open(connection, "bucket").await.unwrap();
    for error in [
        store.get("key").await.unwrap_err(),
        store.head("key").await.unwrap_err(),
        store.put("key", Bytes::new(), Precondition::Absent).await.unwrap_err(),
        upload(&store, "key", 9, &megabyte()).await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    }
}

#[tokio::test]
async fn names_that_would_change_the_address_are_refused() {
    for bucket in ["", "a/b", "a?b", "../b"] {
        let opened = CloudStorage::open(connection("http://127.0.0.1:1"), bucket).await;
        assert!(matches!(opened, Err(Error::Rejected { .. })), "{bucket}");
    }
}

#[tokio::test]
async fn a_local_copy_is_fetched_once_a_generation() {
    let Some(cloud) = cloud() else { return };
    let (store, _user) = bucket(cloud).await;
    let folder = TempDir::new().unwrap();
    let copies = LocalCopies::new(store.clone(), folder.path(), 20 << 20);
    assert!(matches!(copies.bring("source/retail.duckdb").await, Err(Error::NotFound { .. })));
    upload(&store, "source/retail.duckdb", 12, &megabyte()).await.unwrap();
    let first = copies.bring("source/retail.duckdb").await.unwrap();
    assert_eq!(std::fs::metadata(&first.path).unwrap().len(), 12 << 20);
    assert!(std::fs::metadata(&first.path).unwrap().permissions().readonly());
    assert_eq!(first.path.extension().unwrap(), "duckdb");
    let made = std::fs::metadata(&first.path).unwrap().modified().unwrap();
    assert_eq!(copies.bring("source/retail.duckdb").await.unwrap(), first);
    assert_eq!(std::fs::metadata(&first.path).unwrap().modified().unwrap(), made);

    store.put("source/retail.duckdb", Bytes::from_static(b"newer"), Precondition::None).await.unwrap();
    let second = copies.bring("source/retail.duckdb").await.unwrap();
    assert_eq!(std::fs::read(&second.path).unwrap(), b"newer");
    assert!(first.path.exists(), "somebody may be about to open it");
    store.put("source/retail.duckdb", Bytes::from_static(b"newest"), Precondition::None).await.unwrap();
    copies.bring("source/retail.duckdb").await.unwrap();
    assert!(!first.path.exists());
}

#[tokio::test]
async fn a_draft_is_sent_back_under_the_generation_it_was_made_from() {
    let Some(cloud) = cloud() else { return };
    let (store, _user) = bucket(cloud).await;
    let folder = TempDir::new().unwrap();
    let copies = LocalCopies::new(store.clone(), folder.path(), 1 << 20);
    let draft = copies.draft("source").await.unwrap();
    std::fs::write(draft.path(), "one").unwrap();
    let first = copies.send_back(draft).await.unwrap();
    assert_eq!(copies.bring("source").await.unwrap(), first, "what was sent need not be fetched");

    let (left, right) = (copies.draft("source").await.unwrap(), copies.draft("source").await.unwrap());
    assert_eq!(std::fs::read(left.path()).unwrap(), b"one");
    std::fs::write(left.path(), "left").unwrap();
    std::fs::write(right.path(), "right").unwrap();
    let rights = right.path().to_owned();
    copies.send_back(left).await.unwrap();
    assert!(matches!(copies.send_back(right).await, Err(Error::Conflict { .. })));
    assert!(!rights.exists());
    assert_eq!(store.get("source").await.unwrap().content, "left");
}

#[tokio::test]
async fn objects_above_the_limit_stay_where_they_are() {
    let Some(cloud) = cloud() else { return };
    let (store, _user) = bucket(cloud).await;
    let folder = TempDir::new().unwrap();
    let copies = LocalCopies::new(store.clone(), folder.path(), 4);
    store.put("source", Bytes::from_static(b"large"), Precondition::None).await.unwrap();
    let error = copies.bring("source").await.unwrap_err();
    assert!(matches!(&error, Error::Rejected { reason, .. } if reason.contains("5 bytes")), "{error}");
    let draft = copies.draft("another").await.unwrap();
    std::fs::write(draft.path(), "large").unwrap();
    assert!(matches!(copies.send_back(draft).await, Err(Error::Rejected { .. })));
}
