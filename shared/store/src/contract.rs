//! What every store must do, as functions over any of them. [`store_contract!`](crate::store_contract) makes a named
//! test of each case for a back end.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "these functions are tests")]

use std::sync::Arc;

use bytes::Bytes;

use crate::{Error, ObjectStore, ObjectStoreExt, Precondition};

/// Tests of every case of the contract for one back end: `$make` is an expression that gives a fresh, empty store as
/// `Arc<dyn ObjectStore>` and something to keep alive.
#[macro_export]
macro_rules! store_contract {
    ($back_end:ident, $make:expr) => {
        mod $back_end {
            $crate::store_contract!(@cases $make;
                reads_what_was_written,
                what_is_not_there_is_not_found,
                a_write_under_a_wrong_generation_changes_nothing,
                absent_means_absent,
                generations_change_with_every_write,
                one_of_many_writers_wins,
                every_increment_counts,
                uploads_are_invisible_until_finished,
                an_upload_never_replaces,
                deletes_are_conditional,
                lists_by_prefix_in_order,
                refuses_keys_that_leave_the_bucket,
                refuses_documents_that_are_not_json,
                tells_the_age_of_an_object,
            );
        }
    };
    (@cases $make:expr; $($case:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $case() {
                let (store, _alive) = $make;
                $crate::contract::$case(store).await;
            }
        )*
    };
}

type Store = Arc<dyn ObjectStore>;

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

pub async fn reads_what_was_written(store: Store) {
    let generation = store.put("a/b.json", bytes("one"), Precondition::None).await.unwrap();
    let object = store.get("a/b.json").await.unwrap();
    assert_eq!((object.content, object.generation), (bytes("one"), generation));
    let head = store.head("a/b.json").await.unwrap();
    assert_eq!((head.bytes, head.generation), (3, generation));
    store.put("empty", Bytes::new(), Precondition::Absent).await.unwrap();
    assert!(store.get("empty").await.unwrap().content.is_empty());
}

pub async fn what_is_not_there_is_not_found(store: Store) {
    store.put("a/b", bytes("one"), Precondition::None).await.unwrap();
    for key in ["nothing", "a", "a/b/c", "a/c"] {
        assert!(matches!(store.get(key).await, Err(Error::NotFound { .. })), "{key}");
        assert!(matches!(store.head(key).await, Err(Error::NotFound { .. })), "{key}");
        assert!(matches!(store.delete(key, Precondition::None).await, Err(Error::NotFound { .. })), "{key}");
    }
}

pub async fn a_write_under_a_wrong_generation_changes_nothing(store: Store) {
    let first = store.put("key", bytes("one"), Precondition::Absent).await.unwrap();
    let second = store.put("key", bytes("two"), Precondition::Generation(first)).await.unwrap();
    let stale = store.put("key", bytes("three"), Precondition::Generation(first)).await;
    assert!(matches!(stale, Err(Error::Conflict { .. })));
    let object = store.get("key").await.unwrap();
    assert_eq!((object.content, object.generation), (bytes("two"), second));
    let missing = store.put("other", bytes("three"), Precondition::Generation(first)).await;
    assert!(matches!(missing, Err(Error::Conflict { .. })));
    assert!(store.get("other").await.is_err());
}

pub async fn absent_means_absent(store: Store) {
    store.put("key", bytes("one"), Precondition::Absent).await.unwrap();
    let again = store.put("key", bytes("two"), Precondition::Absent).await;
    assert!(matches!(again, Err(Error::Conflict { .. })));
    assert_eq!(store.get("key").await.unwrap().content, bytes("one"));
}

pub async fn generations_change_with_every_write(store: Store) {
    let mut seen = Vec::new();
    for _ in 0..50 {
        let generation = store.put("key", bytes("same"), Precondition::None).await.unwrap();
        assert!(!seen.contains(&generation));
        seen.push(generation);
    }
}

pub async fn one_of_many_writers_wins(store: Store) {
    let generation = store.put("key", bytes("start"), Precondition::Absent).await.unwrap();
    let writers: Vec<_> = (0..16)
        .map(|writer| {
            let store = store.clone();
            let content = Bytes::from(format!("writer {writer}"));
            tokio::spawn(async move { store.put("key", content, Precondition::Generation(generation)).await })
        })
        .collect();
    let mut won = 0;
    for writer in writers {
        match writer.await.unwrap() {
            Ok(_) => won += 1,
            Err(error) => assert!(matches!(error, Error::Conflict { .. }), "{error}"),
        }
    }
    assert_eq!(won, 1);
}

pub async fn every_increment_counts(store: Store) {
    store.put_json("count", &0_u64, Precondition::Absent).await.unwrap();
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut done = 0;
                while done < 10 {
                    let (count, generation) = store.get_json::<u64>("count").await.unwrap().unwrap();
                    match store.put_json("count", &(count + 1), Precondition::Generation(generation)).await {
                        Ok(_) => done += 1,
                        Err(error) => assert!(matches!(error, Error::Conflict { .. }), "{error}"),
                    }
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    assert_eq!(store.get_json::<u64>("count").await.unwrap().unwrap().0, 40);
}

pub async fn uploads_are_invisible_until_finished(store: Store) {
    let mut upload = store.upload("lake/part").await.unwrap();
    upload.write(bytes("one ")).await.unwrap();
    assert!(store.head("lake/part").await.is_err());
    assert!(store.list("").await.unwrap().is_empty());
    upload.write(bytes("two")).await.unwrap();
    let meta = upload.finish().await.unwrap();
    assert_eq!(meta.bytes, 7);
    let object = store.get("lake/part").await.unwrap();
    assert_eq!((object.content, object.generation), (bytes("one two"), meta.generation));
    let mut dropped = store.upload("lake/never").await.unwrap();
    dropped.write(bytes("lost")).await.unwrap();
    drop(dropped);
    assert_eq!(store.list("").await.unwrap().len(), 1);
}

pub async fn an_upload_never_replaces(store: Store) {
    store.put("lake/part", bytes("first"), Precondition::Absent).await.unwrap();
    let mut upload = store.upload("lake/part").await.unwrap();
    upload.write(bytes("second")).await.unwrap();
    assert!(matches!(upload.finish().await, Err(Error::Conflict { .. })));
    assert_eq!(store.get("lake/part").await.unwrap().content, bytes("first"));
}

pub async fn deletes_are_conditional(store: Store) {
    let first = store.put("key", bytes("one"), Precondition::None).await.unwrap();
    let second = store.put("key", bytes("two"), Precondition::None).await.unwrap();
    assert!(matches!(store.delete("key", Precondition::Generation(first)).await, Err(Error::Conflict { .. })));
    store.delete("key", Precondition::Generation(second)).await.unwrap();
    assert!(matches!(store.get("key").await, Err(Error::NotFound { .. })));
    store.put("key", bytes("three"), Precondition::Absent).await.unwrap();
}

pub async fn lists_by_prefix_in_order(store: Store) {
    for key in ["b/2", "a/1", "b/10", "b/1/x", "ba", "c"] {
        store.put(key, bytes(key), Precondition::Absent).await.unwrap();
    }
    let keys = |objects: Vec<crate::ObjectMeta>| objects.into_iter().map(|object| object.key).collect::<Vec<_>>();
    assert_eq!(keys(store.list("").await.unwrap()), ["a/1", "b/1/x", "b/10", "b/2", "ba", "c"]);
    assert_eq!(keys(store.list("b/").await.unwrap()), ["b/1/x", "b/10", "b/2"]);
    assert_eq!(keys(store.list("b/1").await.unwrap()), ["b/1/x", "b/10"]);
    assert_eq!(keys(store.list("b").await.unwrap()), ["b/1/x", "b/10", "b/2", "ba"]);
    assert!(store.list("nothing/").await.unwrap().is_empty());
}

pub async fn refuses_keys_that_leave_the_bucket(store: Store) {
    for key in ["", "/a", "a/", "a//b", "../a", "a/../b", ".hidden", "a/.store", "a\0b", "a b", "ä"] {
        assert!(matches!(store.get(key).await, Err(Error::Rejected { .. })), "{key:?}");
        let put = store.put(key, bytes("x"), Precondition::None).await;
        assert!(matches!(put, Err(Error::Rejected { .. })), "{key:?}");
        assert!(matches!(store.upload(key).await.err(), Some(Error::Rejected { .. })), "{key:?}");
    }
}

pub async fn refuses_documents_that_are_not_json(store: Store) {
    store.put("state/x.json", bytes("{\"half"), Precondition::None).await.unwrap();
    let error = store.get_json::<u64>("state/x.json").await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }));
    assert!(error.to_string().contains("state/x.json"));
    assert!(store.get_json::<u64>("state/y.json").await.unwrap().is_none());
}

pub async fn tells_the_age_of_an_object(store: Store) {
    store.put("key", bytes("x"), Precondition::None).await.unwrap();
    let young = store.head("key").await.unwrap().age;
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let old = store.head("key").await.unwrap().age;
    assert!(old > young && old.as_secs() < 60, "{young:?} {old:?}");
}
