//! Runs executions in the background, and remembers them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;
use tokio::task::AbortHandle;
use workflows::{ExecutionFailure, Executions, Finished, Observer, Place};

use crate::failure::Failure;
use crate::flows::api::view;
use crate::flows::record::{Folder, Record, State, Trouble};
use crate::flows::{Flows, Run, new_execution_id, revision};

/// Runs executions. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Executor(Arc<Shared>);

struct Shared {
    flows: Arc<Flows>,
    folder: Folder,
    records: Mutex<BTreeMap<String, Entry>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Shared").field("folder", &self.folder).finish_non_exhaustive()
    }
}

struct Entry {
    record: Record,
    work: Option<Work>,
}

/// An execution under way.
struct Work {
    task: AbortHandle,
    step: Arc<CurrentStep>,
}

/// An execution as it is now.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub record: Record,
    /// The routine and step that is executed, or was last.
    pub step: Option<(String, String)>,
}

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Order {
    pub workflow: String,
    pub project: String,
    pub location: String,
    /// JSON.
    pub argument: String,
    pub labels: BTreeMap<String, String>,
    pub call_log_level: Option<String>,
    pub execution_history_level: Option<String>,
    pub parent: Option<String>,
}

/// Why an execution can't be cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotCancelled {
    Unknown,
    Ended(State),
}

impl Executor {
    /// Reads what earlier processes left. Nothing if another process runs the executions of this home.
    pub(crate) fn open(flows: Arc<Flows>, home: &std::path::Path) -> Result<Option<Self>, Failure> {
        let Some(folder) = Folder::open(home)? else { return Ok(None) };
        let (records, unreadable) = folder.read(Timestamp::now())?;
        for file in unreadable {
            tracing::warn!(file = %file.display(), "is no execution, and was left alone");
        }
        let records = records.into_iter().map(|(id, record)| (id, Entry { record, work: None })).collect();
        Ok(Some(Self(Arc::new(Shared { flows, folder, records: Mutex::new(records) }))))
    }

    /// Goes on with what was under way when the last process ended: every step may be repeated, so an execution is begun again
    /// under its id. One that another execution had started is given up, since that starts it anew. Returns the number begun.
    pub(crate) fn resume(&self) -> Result<usize, Failure> {
        let active: Vec<Record> = self
            .lock()
            .values()
            .map(|entry| entry.record.clone())
            .filter(|record| record.state == State::Active)
            .collect();
        let mut begun = 0;
        for mut record in active {
            if record.parent.is_some() {
                record.state = State::Cancelled;
                record.ended_at = Some(Timestamp::now());
                self.keep(&record)?;
                if let Some(entry) = self.lock().get_mut(&record.id) {
                    entry.record = record;
                }
            } else {
                record.attempt += 1;
                self.begin(record)?;
                begun += 1;
            }
        }
        Ok(begun)
    }

    /// Starts an execution in the background; the caller has looked whether there is such a workflow.
    pub(crate) fn start(&self, order: Order) -> Result<Snapshot, Failure> {
        let record = Record {
            id: new_execution_id(),
            revision: revision(&order.workflow),
            workflow: order.workflow,
            project: order.project,
            location: order.location,
            state: State::Active,
            argument: order.argument,
            labels: order.labels,
            call_log_level: order.call_log_level,
            execution_history_level: order.execution_history_level,
            created_at: Timestamp::now(),
            ended_at: None,
            result: None,
            error: None,
            steps: None,
            attempt: 1,
            parent: order.parent,
        };
        self.begin(record.clone())?;
        Ok(Snapshot { record, step: None })
    }

    fn begin(&self, record: Record) -> Result<tokio::task::JoinHandle<()>, Failure> {
        self.keep(&record)?;
        let step = Arc::new(CurrentStep::default());
        let (executor, observer, id) = (self.clone(), step.clone(), record.id.clone());
        // The task needs the lock to end, so it does not end before it is noted.
        let mut records = self.lock();
        let started = record.clone();
        let handle = tokio::spawn(async move { executor.work(started, observer).await });
        records.insert(id, Entry { record, work: Some(Work { task: handle.abort_handle(), step }) });
        Ok(handle)
    }

    async fn work(self, record: Record, observer: Arc<dyn Observer>) {
        let run = Run {
            workflow: &record.workflow,
            id: &record.id,
            attempt: record.attempt,
            project: &record.project,
            location: &record.location,
        };
        let others = Arc::new(Started { executor: Arc::downgrade(&self.0), parent: record.clone() });
        if let Some(finished) = self.0.flows.run(run, record.argument(), observer, others).await {
            self.end(&record.id, &finished);
        }
    }

    fn end(&self, id: &str, finished: &Finished) {
        let mut records = self.lock();
        let Some(entry) = records.get_mut(id).filter(|entry| entry.record.state == State::Active) else { return };
        let record = &mut entry.record;
        record.ended_at = Some(Timestamp::now());
        record.steps = Some(finished.steps);
        match &finished.outcome {
            Ok(value) => (record.state, record.result) = (State::Succeeded, Some(value.to_string())),
            Err(raised) => (record.state, record.error) = (State::Failed, Some(Trouble::from(raised))),
        }
        // Without its document it will be run again by the next process, which finds everything done.
        if let Err(failure) = self.keep(record) {
            tracing::error!(execution = id, "{failure}");
        }
    }

    /// Stops an execution where it is. What a function is doing meanwhile, it does to its end.
    pub(crate) fn cancel(&self, id: &str) -> Result<Result<Snapshot, NotCancelled>, Failure> {
        let mut records = self.lock();
        let Some(entry) = records.get_mut(id) else { return Ok(Err(NotCancelled::Unknown)) };
        if entry.record.state != State::Active {
            return Ok(Err(NotCancelled::Ended(entry.record.state)));
        }
        let mut record = entry.record.clone();
        record.state = State::Cancelled;
        record.ended_at = Some(Timestamp::now());
        self.keep(&record)?;
        entry.record = record;
        if let Some(work) = &entry.work {
            work.task.abort();
        }
        Ok(Ok(entry.snapshot()))
    }

    pub(crate) fn get(&self, id: &str) -> Option<Snapshot> {
        self.lock().get(id).map(Entry::snapshot)
    }

    /// Executions of a workflow, the newest first.
    pub(crate) fn list(&self, workflow: &str) -> Vec<Snapshot> {
        self.lock().values().rev().filter(|entry| entry.record.workflow == workflow).map(Entry::snapshot).collect()
    }

    pub(crate) fn knows(&self, workflow: &str) -> bool {
        self.0.flows.knows(workflow)
    }

    fn keep(&self, record: &Record) -> Result<(), Failure> {
        self.0
            .folder
            .write(record)
            .map_err(|error| Failure::new(format!("can't keep execution {}: {error}", record.id)))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        // Records are replaced whole, so they are right after a panic elsewhere.
        self.0.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn snapshot(&self) -> Snapshot {
        Snapshot { record: self.record.clone(), step: self.work.as_ref().and_then(|work| work.step.get()) }
    }
}

/// The step that was begun last.
#[derive(Debug, Default)]
struct CurrentStep(Mutex<Option<(String, String)>>);

impl CurrentStep {
    fn get(&self) -> Option<(String, String)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Observer for CurrentStep {
    fn step_started(&self, place: Place<'_>) {
        let step = (place.routine.to_owned(), place.step.to_owned());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(step);
    }
}

/// What an execution starts: executions of their own.
struct Started {
    executor: Weak<Shared>,
    parent: Record,
}

#[async_trait]
impl Executions for Started {
    async fn run(&self, workflow: &str, argument: Value) -> Result<Value, ExecutionFailure> {
        let unknown = |what: String| ExecutionFailure::Unknown(what);
        let executor = self.executor.upgrade().map(Executor).ok_or_else(|| unknown("the program ends".to_owned()))?;
        if !executor.knows(workflow) {
            return Err(unknown(format!("there is no workflow {workflow}")));
        }
        let record = Record {
            id: new_execution_id(),
            workflow: workflow.to_owned(),
            revision: revision(workflow),
            argument: argument.to_string(),
            labels: BTreeMap::new(),
            created_at: Timestamp::now(),
            attempt: 1,
            steps: None,
            parent: Some(self.parent.id.clone()),
            ..self.parent.clone()
        };
        let id = record.id.clone();
        let task = executor.begin(record).map_err(|failure| unknown(failure.to_string()))?;
        // A task that was cancelled says so in its record.
        let _ = task.await;
        let ended = executor.get(&id).ok_or_else(|| unknown(format!("execution {id} is gone")))?;
        match (ended.record.state, &ended.record.result) {
            (State::Succeeded, Some(result)) => Ok(serde_json::from_str(result).unwrap_or_default()),
            _ => Err(ExecutionFailure::Ended(view::execution(&ended, view::View::Full))),
        }
    }
}
