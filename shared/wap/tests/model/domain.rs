//! Values of the real domain, as parts of the model.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::fmt::{self, Write as _};
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::{Arc, LazyLock};

use wap::{AttemptId, Digest, Identifier, InputMap, Inputs, Model, Parent, PartitionKey, RunId};

use crate::world::{PARTITIONS, VIEWS, Versions};

/// A value of the real domain as a part of the model's state: shared, and compared by its digest.
#[derive(Clone)]
pub(crate) struct Shared<T> {
    value: Arc<T>,
    digest: u64,
}

impl<T: fmt::Debug> From<T> for Shared<T> {
    fn from(value: T) -> Self {
        struct Sink(DefaultHasher);
        impl fmt::Write for Sink {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.0.write(text.as_bytes());
                Ok(())
            }
        }
        let mut sink = Sink(DefaultHasher::new());
        write!(sink, "{value:?}").unwrap();
        Self { value: Arc::new(value), digest: sink.0.finish() }
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Hash for Shared<T> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.digest);
    }
}

impl<T> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl<T> Eq for Shared<T> {}

impl<T> PartialOrd for Shared<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Shared<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.digest.cmp(&other.digest)
    }
}

impl<T> fmt::Debug for Shared<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "#{:04x}", self.digest & 0xffff)
    }
}

pub(crate) struct Domain {
    pub table: Identifier,
    pub partitions: [PartitionKey; PARTITIONS],
    pub views: [Identifier; VIEWS],
    pub code: Digest,
    pub models: BTreeMap<String, Model>,
}

pub(crate) static DOMAIN: LazyLock<Domain> = LazyLock::new(|| {
    let table = Identifier::new("lines").unwrap();
    let code = Digest::of("code");
    let model = Model {
        digest: code.clone(),
        parents: [Parent::Table(table.clone())].into(),
        whole: [].into(),
        makes_relation: true,
    };
    Domain {
        table,
        partitions: ["2025-08-01", "2025-08-02"].map(|day| PartitionKey::new(day).unwrap()),
        views: ["sales", "stock"].map(|name| Identifier::new(name).unwrap()),
        code,
        models: [("mart".to_owned(), model)].into(),
    }
});

pub(crate) fn id(attempt: u8) -> AttemptId {
    AttemptId::new(format!("attempt{attempt:03}")).unwrap()
}

pub(crate) fn number(attempt: &AttemptId) -> u8 {
    attempt.as_str()["attempt".len()..].parse().unwrap()
}

pub(crate) fn run_id(process: u8) -> RunId {
    RunId::new(format!("run-{process}")).unwrap()
}

pub(crate) fn version_digest(partition: usize, version: u8) -> Digest {
    Digest::of([u8::try_from(partition).unwrap(), version])
}

pub(crate) fn input_map(versions: Versions) -> InputMap {
    let present = (0..PARTITIONS).filter(|partition| versions[*partition] > 0);
    let partitions = present
        .map(|partition| (DOMAIN.partitions[partition].clone(), version_digest(partition, versions[partition])))
        .collect();
    [(DOMAIN.table.clone(), partitions)].into()
}

pub(crate) fn inputs_of(partitions: InputMap) -> Inputs {
    Inputs { version: 1, partitions, models: [("mart".to_owned(), DOMAIN.code.clone())].into() }
}
