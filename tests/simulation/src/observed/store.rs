use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use store::{Error, Generation, Object, ObjectMeta, ObjectStore, Operations, Precondition, Upload};

use super::no_answer;
use crate::{Call, Process};

#[derive(Debug)]
pub(super) struct ObservedStore {
    inner: Arc<dyn ObjectStore>,
    process: Arc<Process>,
}

impl ObservedStore {
    pub(super) fn new(inner: Arc<dyn ObjectStore>, process: Arc<Process>) -> Self {
        Self { inner, process }
    }
}

fn lost(action: &'static str, key: &str) -> impl FnOnce() -> Error {
    let key = key.to_owned();
    move || Error::Unavailable { action, key, source: no_answer() }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for ObservedStore {
    async fn get(&self, key: &str) -> Result<Object, Error> {
        self.process.call_here(Call::StoreGet, key, lost("reading", key), self.inner.get(key)).await
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta, Error> {
        self.process.call_here(Call::StoreHead, key, lost("reading", key), self.inner.head(key)).await
    }

    async fn put(&self, key: &str, content: Bytes, precondition: Precondition) -> Result<Generation, Error> {
        let (inner, owned) = (self.inner.clone(), key.to_owned());
        let work = async move { inner.put(&owned, content, precondition).await };
        self.process.call(Call::StorePut, key, lost("writing", key), work).await
    }

    async fn put_volatile(&self, key: &str, content: Bytes, precondition: Precondition) -> Result<Generation, Error> {
        let (inner, owned) = (self.inner.clone(), key.to_owned());
        let work = async move { inner.put_volatile(&owned, content, precondition).await };
        self.process.call(Call::StorePutVolatile, key, lost("writing", key), work).await
    }

    async fn upload(&self, key: &str) -> Result<Box<dyn Upload>, Error> {
        let upload =
            self.process.call_here(Call::StoreUpload, key, lost("writing", key), self.inner.upload(key)).await?;
        Ok(Box::new(ObservedUpload { inner: upload, key: key.to_owned(), process: self.process.clone() }))
    }

    async fn delete(&self, key: &str, precondition: Precondition) -> Result<(), Error> {
        let (inner, owned) = (self.inner.clone(), key.to_owned());
        let work = async move { inner.delete(&owned, precondition).await };
        self.process.call(Call::StoreDelete, key, lost("deleting", key), work).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, Error> {
        self.process.call_here(Call::StoreList, prefix, lost("listing", prefix), self.inner.list(prefix)).await
    }

    fn local_path(&self, key: &str) -> Option<PathBuf> {
        self.inner.local_path(key)
    }

    fn operations(&self) -> Operations {
        self.inner.operations()
    }
}

struct ObservedUpload {
    inner: Box<dyn Upload>,
    key: String,
    process: Arc<Process>,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Upload for ObservedUpload {
    async fn write(&mut self, content: Bytes) -> Result<(), Error> {
        let lost = lost("writing", &self.key);
        self.process.call_here(Call::StoreWrite, &self.key, lost, self.inner.write(content)).await
    }

    async fn finish(self: Box<Self>) -> Result<ObjectMeta, Error> {
        let Self { inner, key, process } = *self;
        process.call(Call::StoreFinish, &key, lost("writing", &key), inner.finish()).await
    }
}
