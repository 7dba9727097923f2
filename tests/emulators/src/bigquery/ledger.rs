//! What the emulator does not remember of datasets and tables, kept in a file beside its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::name::Table;
use crate::error::{Error, Result};

/// Facts about one table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// What callers said of it, as a REST resource.
    #[serde(default)]
    pub(crate) declared: Map<String, Value>,
    /// How many clones lie between it and a table that is none, and of what and when it was cloned.
    #[serde(default)]
    pub(crate) clone: Option<Cloned>,
    /// When its rows changed last, in milliseconds since 1970.
    #[serde(default)]
    pub(crate) modified: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cloned {
    pub(crate) depth: u32,
    pub(crate) base: Value,
    pub(crate) at: String,
}

/// Modifications of a table on one day. It outlives the table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Modifications {
    pub(crate) day: String,
    pub(crate) count: u32,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    /// By `PROJECT:DATASET`.
    datasets: BTreeMap<String, Map<String, Value>>,
    /// By `PROJECT:DATASET.TABLE`.
    tables: BTreeMap<String, Facts>,
    modifications: BTreeMap<String, Modifications>,
}

#[derive(Debug)]
pub(crate) struct Ledger {
    path: PathBuf,
    content: Content,
}

impl Ledger {
    pub(crate) fn open(path: PathBuf) -> Result<Self> {
        let content = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| corrupt(&path, error))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Content::default(),
            Err(error) => return Err(Error::internal(format!("read {}", path.display()))(error)),
        };
        Ok(Self { path, content })
    }

    /// Writes it, whole or not at all.
    pub(crate) fn save(&self) -> Result<()> {
        let next = self.path.with_extension("next");
        let written = serde_json::to_vec(&self.content)
            .map_err(std::io::Error::other)
            .and_then(|bytes| std::fs::write(&next, bytes))
            .and_then(|()| std::fs::rename(&next, &self.path));
        written.map_err(Error::internal(format!("write {}", self.path.display())))
    }

    pub(crate) fn dataset(&self, project: &str, dataset: &str) -> Option<&Map<String, Value>> {
        self.content.datasets.get(&format!("{project}:{dataset}"))
    }

    pub(crate) fn set_dataset(&mut self, project: &str, dataset: &str, declared: Map<String, Value>) {
        self.content.datasets.insert(format!("{project}:{dataset}"), declared);
    }

    /// Forgets a dataset and what is in it.
    pub(crate) fn remove_dataset(&mut self, project: &str, dataset: &str) {
        self.content.datasets.remove(&format!("{project}:{dataset}"));
        let prefix = format!("{project}:{dataset}.");
        self.content.tables.retain(|table, _| !table.starts_with(&prefix));
    }

    pub(crate) fn facts(&self, table: &Table) -> Option<&Facts> {
        self.content.tables.get(&table.to_string())
    }

    pub(crate) fn facts_mut(&mut self, table: &Table) -> &mut Facts {
        self.content.tables.entry(table.to_string()).or_default()
    }

    pub(crate) fn remove(&mut self, table: &Table) {
        self.content.tables.remove(&table.to_string());
    }

    /// How many clones lie between a table and one that is none.
    pub(crate) fn clone_depth(&self, table: &Table) -> u32 {
        self.facts(table).and_then(|facts| facts.clone.as_ref()).map_or(0, |cloned| cloned.depth)
    }

    pub(crate) fn modifications_mut(&mut self, table: &Table) -> &mut Modifications {
        self.content.modifications.entry(table.to_string()).or_default()
    }
}

fn corrupt(path: &Path, error: serde_json::Error) -> Error {
    Error::internal(format!("read {}; delete the folder it is in", path.display()))(std::io::Error::other(error))
}
