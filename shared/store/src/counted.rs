//! A store that counts what it is asked for, as Cloud Storage bills it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Error, Generation, Object, ObjectMeta, ObjectStore, Precondition, Upload};

/// Operations as [Cloud Storage prices them](https://cloud.google.com/storage/pricing#operations-by-class). Deleting is free.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operations {
    /// Writes and lists.
    pub class_a: u64,
    /// Reads of objects and of what is known of them.
    pub class_b: u64,
    /// Bytes of what was written.
    pub bytes_written: u64,
}

impl Operations {
    /// What was done since an earlier count.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            class_a: self.class_a - earlier.class_a,
            class_b: self.class_b - earlier.class_b,
            bytes_written: self.bytes_written - earlier.bytes_written,
        }
    }
}

#[derive(Debug, Default)]
struct Counters {
    class_a: AtomicU64,
    class_b: AtomicU64,
    bytes_written: AtomicU64,
}

impl Counters {
    fn wrote(&self, bytes: usize) {
        self.class_a.fetch_add(1, Ordering::Relaxed);
        self.bytes_written.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn read(&self) {
        self.class_b.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts on the way to another store.
#[derive(Debug)]
pub struct Counted {
    store: Arc<dyn ObjectStore>,
    counters: Arc<Counters>,
}

impl Counted {
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store, counters: Arc::default() }
    }
}

#[async_trait]
impl ObjectStore for Counted {
    async fn get(&self, key: &str) -> Result<Object, Error> {
        self.counters.read();
        self.store.get(key).await
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta, Error> {
        self.counters.read();
        self.store.head(key).await
    }

    async fn put(&self, key: &str, content: Bytes, precondition: Precondition) -> Result<Generation, Error> {
        self.counters.wrote(content.len());
        self.store.put(key, content, precondition).await
    }

    async fn put_volatile(&self, key: &str, content: Bytes, precondition: Precondition) -> Result<Generation, Error> {
        self.counters.wrote(content.len());
        self.store.put_volatile(key, content, precondition).await
    }

    async fn upload(&self, key: &str) -> Result<Box<dyn Upload>, Error> {
        self.counters.wrote(0);
        Ok(Box::new(CountedUpload { upload: self.store.upload(key).await?, counters: self.counters.clone() }))
    }

    async fn delete(&self, key: &str, precondition: Precondition) -> Result<(), Error> {
        self.store.delete(key, precondition).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, Error> {
        self.counters.wrote(0);
        self.store.list(prefix).await
    }

    fn local_path(&self, key: &str) -> Option<PathBuf> {
        self.store.local_path(key)
    }

    fn operations(&self) -> Operations {
        Operations {
            class_a: self.counters.class_a.load(Ordering::Relaxed),
            class_b: self.counters.class_b.load(Ordering::Relaxed),
            bytes_written: self.counters.bytes_written.load(Ordering::Relaxed),
        }
    }
}

struct CountedUpload {
    upload: Box<dyn Upload>,
    counters: Arc<Counters>,
}

#[async_trait]
impl Upload for CountedUpload {
    async fn write(&mut self, content: Bytes) -> Result<(), Error> {
        self.counters.bytes_written.fetch_add(content.len() as u64, Ordering::Relaxed);
        self.upload.write(content).await
    }

    async fn finish(self: Box<Self>) -> Result<ObjectMeta, Error> {
        self.upload.finish().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Folder;

    #[tokio::test]
    async fn every_operation_is_counted_in_its_class() {
        let folder = tempfile::tempdir().unwrap();
        let store = Counted::new(Arc::new(Folder::open(folder.path()).unwrap()));
        store.put("a", Bytes::from_static(b"12345"), Precondition::Absent).await.unwrap();
        let before = store.operations();
        let mut upload = store.upload("b").await.unwrap();
        upload.write(Bytes::from_static(b"123")).await.unwrap();
        upload.finish().await.unwrap();
        store.list("").await.unwrap();
        store.get("a").await.unwrap();
        store.head("b").await.unwrap();
        assert!(store.get("c").await.is_err());
        store.delete("a", Precondition::None).await.unwrap();
        assert_eq!(before, Operations { class_a: 1, class_b: 0, bytes_written: 5 });
        assert_eq!(store.operations().since(before), Operations { class_a: 2, class_b: 3, bytes_written: 3 });
    }
}
