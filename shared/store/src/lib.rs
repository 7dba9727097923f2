//! Object stores: the few operations that the pipeline needs, on Cloud Storage and on a folder that gives the same ones.
//!
//! Every object has a *generation*, a number that changes with each write. A write or a delete can be made to depend
//! on it, which is the one means by which concurrent workers agree on anything.

#[cfg(feature = "google")]
mod cloud_storage;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod counted;
mod error;
mod folder;
mod lock;

use std::fmt::Debug;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

#[cfg(feature = "google")]
pub use cloud_storage::{CloudStorage, Draft, LocalCopies, LocalCopy};
pub use counted::{Counted, Operations};
pub use error::Error;
pub use folder::Folder;
pub use lock::{FileLock, LockMode};

/// Changes with every write of an object; unique for the object's name.
pub type Generation = u64;

/// What has to be true of the object for a write or delete to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing: last writer wins. For objects that only one worker writes.
    None,
    /// There is no such object.
    Absent,
    /// The object has this generation.
    Generation(Generation),
}

/// An object without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectMeta {
    pub key: String,
    pub generation: Generation,
    pub bytes: u64,
    /// How long ago it was written, by the store's own clock: never a worker's.
    pub age: Duration,
}

/// A small object, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    pub generation: Generation,
    pub content: Bytes,
}

/// An object store. Keys are `/`-separated paths of `[A-Za-z0-9._=-]` segments, none of which starts with a dot.
///
/// Guarantees that every implementation gives (and the contract suite checks):
/// - an object is there whole or not at all, also after a crash at any instant;
/// - a write whose precondition does not hold changes nothing and fails with [`Error::Conflict`];
/// - of any number of concurrent writes under one precondition exactly one succeeds;
/// - what a write reported as done is durable.
#[async_trait]
pub trait ObjectStore: Debug + Send + Sync {
    /// Reads a small object. At most [`MAX_DOCUMENT_BYTES`]; more is [`Error::Rejected`].
    async fn get(&self, key: &str) -> Result<Object, Error>;

    /// What is known of an object.
    async fn head(&self, key: &str) -> Result<ObjectMeta, Error>;

    /// Writes a small object and returns its new generation.
    async fn put(&self, key: &str, content: Bytes, precondition: Precondition) -> Result<Generation, Error>;

    /// Like [`put`](Self::put), but what it reported as done may be lost in a power failure (never in a crash of the
    /// process). For heartbeats and claims, which nothing depends on after one.
    async fn put_volatile(&self, key: &str, content: Bytes, precondition: Precondition) -> Result<Generation, Error> {
        self.put(key, content, precondition).await
    }

    /// Starts an object of unknown length. It is not visible before [`Upload::finish`], and never if that is not called.
    async fn upload(&self, key: &str) -> Result<Box<dyn Upload>, Error>;

    /// Deletes an object. Deleting what is not there is [`Error::NotFound`].
    async fn delete(&self, key: &str, precondition: Precondition) -> Result<(), Error>;

    /// The objects whose key starts with `prefix`, in order of key.
    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, Error>;

    /// Where an engine on this machine can read the object as a file, if it can.
    fn local_path(&self, key: &str) -> Option<PathBuf>;

    /// What was asked of this store so far, where that is counted.
    fn operations(&self) -> Operations {
        Operations::default()
    }
}

/// The largest object that is read whole into memory.
pub const MAX_DOCUMENT_BYTES: u64 = 64 << 20;

/// An object being written. Dropping it unfinished leaves nothing that a reader could see.
#[async_trait]
pub trait Upload: Send {
    /// Appends `content`.
    async fn write(&mut self, content: Bytes) -> Result<(), Error>;

    /// Makes the object visible under its key, whole and durable; it must not exist yet.
    async fn finish(self: Box<Self>) -> Result<ObjectMeta, Error>;
}

/// Conveniences over any store.
#[async_trait]
pub trait ObjectStoreExt: ObjectStore {
    /// Reads a JSON document; nothing if there is none.
    async fn get_json<T: DeserializeOwned>(&self, key: &str) -> Result<Option<(T, Generation)>, Error> {
        let object = match self.get(key).await {
            Ok(object) => object,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        match serde_json::from_slice(&object.content) {
            Ok(document) => Ok(Some((document, object.generation))),
            Err(source) => Err(Error::Corrupt { key: key.to_owned(), source }),
        }
    }

    /// Writes a JSON document.
    async fn put_json<T: Serialize + Sync>(
        &self,
        key: &str,
        document: &T,
        precondition: Precondition,
    ) -> Result<Generation, Error> {
        self.put(key, document_bytes(key, document)?, precondition).await
    }

    /// Writes a JSON document that need not survive a power failure.
    async fn put_json_volatile<T: Serialize + Sync>(
        &self,
        key: &str,
        document: &T,
        precondition: Precondition,
    ) -> Result<Generation, Error> {
        self.put_volatile(key, document_bytes(key, document)?, precondition).await
    }
}

impl<S: ObjectStore + ?Sized> ObjectStoreExt for S {}

fn document_bytes(key: &str, document: &impl Serialize) -> Result<Bytes, Error> {
    let mut content =
        serde_json::to_vec_pretty(document).map_err(|source| Error::Corrupt { key: key.to_owned(), source })?;
    content.push(b'\n');
    Ok(content.into())
}

/// Refuses keys that would leave the bucket or that a back end would read differently.
pub(crate) fn check_key(key: &str) -> Result<(), Error> {
    let harmless = |segment: &str| {
        !segment.is_empty()
            && !segment.starts_with('.')
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._=-".contains(&byte))
    };
    if key.len() <= 1024 && key.split('/').all(harmless) {
        Ok(())
    } else {
        Err(Error::Rejected {
            key: key.chars().take(80).collect(),
            reason: "keys are /-separated segments of letters, digits and ._=- that do not start with a dot".to_owned(),
        })
    }
}
