//! Executions as documents in the home folder, so that they outlive the program: `executions/WORKFLOW/ID.json`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{FileLock, LockMode};
use workflows::{Position, Raised};

use crate::failure::Failure;

/// For how long Google keeps executions.
const KEPT: SignedDuration = SignedDuration::from_hours(90 * 24);

/// One execution of a workflow.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    pub id: String,
    pub workflow: String,
    pub revision: String,
    pub project: String,
    pub location: String,
    pub state: State,
    /// JSON, as it was given.
    pub argument: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_log_level: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_history_level: Option<String>,
    pub created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Trouble>,
    /// How many steps were executed, by the count of the last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// How often it was begun: once, and again whenever the program had ended meanwhile.
    pub attempt: u32,
    /// The execution that started this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum State {
    Active,
    Succeeded,
    Failed,
    Cancelled,
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

/// Why an execution failed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trouble {
    /// What was raised, as JSON.
    pub payload: String,
    /// For people.
    pub context: String,
    /// The steps that were under way, the innermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trail: Vec<Place>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    pub routine: String,
    pub step: String,
    pub line: usize,
}

impl From<&Raised> for Trouble {
    fn from(raised: &Raised) -> Self {
        let place = |Position { routine, step, line }: &Position| Place {
            routine: routine.clone(),
            step: step.clone(),
            line: *line,
        };
        Self {
            payload: raised.value.to_string(),
            context: raised.to_string(),
            trail: raised.trail.iter().map(place).collect(),
        }
    }
}

impl Record {
    /// The argument, which was looked at when it was given.
    pub(crate) fn argument(&self) -> Value {
        serde_json::from_str(&self.argument).unwrap_or_default()
    }
}

/// The folder of all executions. Only one process works on it.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    _lock: FileLock,
}

impl Folder {
    /// Nothing if another process has it.
    pub(crate) fn open(home: &Path) -> Result<Option<Self>, Failure> {
        let path = home.join("executions");
        match FileLock::acquire(&path.join(".lock"), LockMode::Exclusive, Duration::ZERO) {
            Ok(lock) => Ok(Some(Self { path, _lock: lock })),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(None),
            Err(error) => Err(Failure::new(format!("can't lock {}: {error}", path.display()))),
        }
    }

    /// Every record by its id, and the files that hold none. What is older than Google would keep is deleted.
    pub(crate) fn read(&self, now: Timestamp) -> Result<(BTreeMap<String, Record>, Vec<PathBuf>), Failure> {
        let mut records = BTreeMap::new();
        let mut unreadable = Vec::new();
        for workflow in std::fs::read_dir(&self.path)?.filter_map(Result::ok).filter(|entry| entry.path().is_dir()) {
            for file in std::fs::read_dir(workflow.path())?.filter_map(Result::ok).map(|entry| entry.path()) {
                if file.extension().is_none_or(|extension| extension != "json") {
                    continue;
                }
                let record = std::fs::read(&file).ok().and_then(|text| serde_json::from_slice::<Record>(&text).ok());
                match record {
                    Some(record) if record.ended_at.is_some_and(|ended| now.duration_since(ended) > KEPT) => {
                        std::fs::remove_file(&file)?;
                    }
                    Some(record) if file == self.file(&record) => drop(records.insert(record.id.clone(), record)),
                    _ => unreadable.push(file),
                }
            }
        }
        Ok((records, unreadable))
    }

    /// Written whole or not at all.
    pub(crate) fn write(&self, record: &Record) -> io::Result<()> {
        let file = self.file(record);
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let fresh = file.with_extension("new");
        std::fs::write(&fresh, serde_json::to_vec_pretty(record)?)?;
        std::fs::File::open(&fresh)?.sync_all()?;
        std::fs::rename(fresh, file)
    }

    fn file(&self, record: &Record) -> PathBuf {
        self.path.join(&record.workflow).join(format!("{}.json", record.id))
    }
}
