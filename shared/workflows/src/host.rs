//! What a running workflow needs from outside, and what it tells those who watch.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use serde_json::Value as Json;

use crate::http::Http;

/// Everything outside the language that an execution uses.
#[derive(Clone)]
pub struct Host {
    /// Sends the requests of `http.*`.
    pub http: Arc<dyn Http>,
    /// What `sys.get_env` reads.
    pub environment: BTreeMap<String, String>,
    /// Is told of steps, calls, retries and log lines.
    pub observer: Arc<dyn Observer>,
    /// `sys.now`, `sys.sleep` and the waits between retries.
    pub clock: Arc<dyn Clock>,
    /// Runs the workflows that a workflow starts.
    pub executions: Arc<dyn Executions>,
}

impl Host {
    /// The system's clock, an empty environment, no other workflows and nobody watching.
    pub fn new(http: Arc<dyn Http>) -> Self {
        Self {
            http,
            environment: BTreeMap::new(),
            observer: Arc::new(Unobserved),
            clock: Arc::new(SystemClock),
            executions: Arc::new(NoExecutions),
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Host").field("environment", &self.environment).finish_non_exhaustive()
    }
}

/// Time, so that tests of waits need not wait.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The time of day.
    fn now(&self) -> SystemTime;
    /// Returns when `duration` has passed.
    async fn sleep(&self, duration: Duration);
}

/// The time of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// Runs other workflows, for the connector `executions.run`.
#[async_trait]
pub trait Executions: Send + Sync {
    /// Runs a workflow of this name to its end, and returns what it returned. Dropping the future stops waiting for it.
    async fn run(&self, workflow: &str, argument: Json) -> Result<Json, ExecutionFailure>;
}

/// Why another workflow returned nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum ExecutionFailure {
    /// There is no workflow of this name. Raised as an `HttpError` of code 404.
    Unknown(String),
    /// It failed or was cancelled: the execution, as the Executions API shows it. Raised as an `OperationError`.
    Ended(Json),
}

/// Knows no other workflows.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoExecutions;

#[async_trait]
impl Executions for NoExecutions {
    async fn run(&self, workflow: &str, _: Json) -> Result<Json, ExecutionFailure> {
        Err(ExecutionFailure::Unknown(format!("there is no workflow {workflow}")))
    }
}

/// The step that an observer is told about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The name given to `Workflow::parse`.
    pub file: &'a str,
    /// `main` or the name of a sub-workflow.
    pub routine: &'a str,
    /// The step's name.
    pub step: &'a str,
    /// The step's line.
    pub line: usize,
    /// Inside a parallel step: the branch's name or the number of the iteration, from 0.
    pub branch: Option<&'a str>,
}

/// One HTTP call that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange<'a> {
    /// `GET`, `POST`, ...
    pub method: &'a str,
    /// With its query.
    pub url: &'a str,
    /// The status, or nothing when no response came.
    pub code: Option<u16>,
    /// From the call to the whole response.
    pub duration: Duration,
}

/// Watches an execution, for progress and logs. It is called from the execution itself and must return quickly.
pub trait Observer: Send + Sync {
    /// A step starts.
    fn step_started(&self, _place: Place<'_>) {}
    /// A step ended; `failed` when it raised an error, caught further out or not.
    fn step_finished(&self, _place: Place<'_>, _duration: Duration, _failed: bool) {}
    /// An HTTP call is sent.
    fn call_started(&self, _place: Place<'_>, _method: &str, _url: &str) {}
    /// An HTTP call ended.
    fn call_finished(&self, _place: Place<'_>, _exchange: Exchange<'_>) {}
    /// A `try` failed and runs again after `delay`; `attempt` counts the retries from 1.
    fn retrying(&self, _place: Place<'_>, _attempt: u64, _delay: Duration) {}
    /// A line of `sys.log`.
    fn log(&self, _place: Place<'_>, _severity: &str, _message: &Json) {}
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observer for Unobserved {}
