//! Cloud Storage: generations, conditional writes, ages by its own clock.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use store::{Error, Generation, Object, ObjectMeta, ObjectStore, Precondition, Upload};
use tokio::time::Instant;
use wap::{Attempt, Deployment, RECORD_KEY};

use super::{Inner, Stored, World};

#[derive(Debug)]
pub(super) struct SimulatedStore {
    pub(super) world: Arc<World>,
}

fn not_found(key: &str) -> Error {
    Error::NotFound { key: key.to_owned() }
}

fn meta(key: &str, stored: &Stored) -> ObjectMeta {
    ObjectMeta {
        key: key.to_owned(),
        generation: stored.generation,
        bytes: stored.content.len() as u64,
        age: stored.written.elapsed(),
    }
}

fn check(inner: &Inner, key: &str, precondition: Precondition) -> Result<(), Error> {
    let found = inner.objects.get(key).map(|stored| stored.generation);
    let holds = match precondition {
        Precondition::None => true,
        Precondition::Absent => found.is_none(),
        Precondition::Generation(wanted) => found == Some(wanted),
    };
    if holds { Ok(()) } else { Err(Error::Conflict { key: key.to_owned() }) }
}

impl World {
    fn put_object(&self, key: &str, content: Bytes, precondition: Precondition) -> Result<Generation, Error> {
        self.change(|inner| {
            check(inner, key, precondition)?;
            if key == RECORD_KEY {
                judge(inner, &content);
            }
            let generation = inner.tick();
            inner.objects.insert(key.to_owned(), Stored { generation, content, written: Instant::now() });
            Ok(generation)
        })
    }
}

/// Looks at a change of the record. Whoever writes it may do so by its own transitions only.
fn judge(inner: &mut Inner, content: &[u8]) {
    let before = inner.record().unwrap_or_default();
    let Ok(after) = serde_json::from_slice::<Deployment>(content) else {
        inner.violated("the record is no record any more");
        return;
    };
    let slot = |record: &Deployment| record.live.as_ref().map(|live| live.slot.clone());
    if let (Some(live), true) = (slot(&after), slot(&after) != slot(&before)) {
        let name = live.name();
        let is_rollback = before.kept.as_ref().is_some_and(|kept| kept.live.slot == live);
        let may_commit = before.building.as_ref().is_some_and(|building| building.slot == live);
        if after.cycle != before.cycle + 1 {
            inner.violated(format!("cycle {} is followed by cycle {}", before.cycle, after.cycle));
        }
        if is_rollback {
            *inner.seen.entry("rollback").or_default() += 1;
        } else {
            if !may_commit {
                inner.violated(format!("slot {name} was committed by an attempt that the record does not name"));
            }
            if inner.committed.contains(&name) {
                inner.violated(format!("slot {name} was committed twice"));
            }
            let attempt = inner.objects.get(&Attempt::key(&live.attempt));
            let verdict = attempt
                .and_then(|stored| serde_json::from_slice::<Attempt>(&stored.content).ok())
                .and_then(|attempt| attempt.verdict);
            if verdict.is_none_or(|verdict| verdict.failed().next().is_some()) {
                inner.violated(format!("slot {name} was committed without having passed its audit"));
            }
            *inner.seen.entry("commit").or_default() += 1;
        }
        if before.live.as_ref().map(|live| &live.slot) != after.kept.as_ref().map(|kept| &kept.live.slot) {
            inner.violated(format!("what was live before {name} is not kept"));
        }
        inner.committed.push(name);
    }
    if after.refused.is_some() && after.refused != before.refused {
        *inner.seen.entry("refusal").or_default() += 1;
    }
}

#[async_trait]
impl ObjectStore for SimulatedStore {
    async fn get(&self, key: &str) -> Result<Object, Error> {
        let inner = self.world.lock();
        let stored = inner.objects.get(key).ok_or_else(|| not_found(key))?;
        Ok(Object { generation: stored.generation, content: stored.content.clone() })
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta, Error> {
        let inner = self.world.lock();
        inner.objects.get(key).map(|stored| meta(key, stored)).ok_or_else(|| not_found(key))
    }

    async fn put(&self, key: &str, content: Bytes, precondition: Precondition) -> Result<Generation, Error> {
        self.world.put_object(key, content, precondition)
    }

    async fn upload(&self, key: &str) -> Result<Box<dyn Upload>, Error> {
        Ok(Box::new(SimulatedUpload { world: self.world.clone(), key: key.to_owned(), content: Vec::new() }))
    }

    async fn delete(&self, key: &str, precondition: Precondition) -> Result<(), Error> {
        self.world.change(|inner| {
            if !inner.objects.contains_key(key) {
                return Err(not_found(key));
            }
            check(inner, key, precondition)?;
            inner.objects.remove(key);
            Ok(())
        })
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, Error> {
        let inner = self.world.lock();
        let found = inner.objects.iter().filter(|(key, _)| key.starts_with(prefix));
        Ok(found.map(|(key, stored)| meta(key, stored)).collect())
    }

    fn local_path(&self, _: &str) -> Option<PathBuf> {
        None
    }
}

struct SimulatedUpload {
    world: Arc<World>,
    key: String,
    content: Vec<u8>,
}

#[async_trait]
impl Upload for SimulatedUpload {
    async fn write(&mut self, content: Bytes) -> Result<(), Error> {
        self.content.extend_from_slice(&content);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<ObjectMeta, Error> {
        let bytes = self.content.len() as u64;
        let generation = self.world.put_object(&self.key, self.content.into(), Precondition::Absent)?;
        Ok(ObjectMeta { key: self.key, generation, bytes, age: std::time::Duration::ZERO })
    }
}
