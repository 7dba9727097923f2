//! What the newest execution of each workflow took on this machine: `usage.json` in the home folder, for `bgp cost`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::Operations;
use workflows::{Exchange, Observer, Place};

use crate::failure::Failure;

/// What one execution took.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Usage {
    pub run: String,
    pub ended_at: Timestamp,
    /// Steps as Google counts them.
    pub steps: u64,
    /// The calls of each function.
    pub functions: BTreeMap<String, Calls>,
    /// What all of them asked of the store.
    pub store: Operations,
}

/// Calls of one function.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Calls {
    pub requests: u64,
    /// From each request to its answer, added up.
    pub seconds: f64,
}

/// The newest of each workflow.
pub(crate) type Usages = BTreeMap<String, Usage>;

const FILE: &str = "usage.json";

/// Nothing where none was noted, or by another version of this program.
pub(crate) fn read(home: &Path) -> Usages {
    let text = std::fs::read(home.join(FILE)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Replaces what is noted of a workflow.
pub(crate) fn note(home: &Path, workflow: &str, usage: Usage) -> Result<(), Failure> {
    let mut usages = read(home);
    usages.insert(workflow.to_owned(), usage);
    let mut file = tempfile::NamedTempFile::new_in(home)?;
    serde_json::to_writer_pretty(&mut file, &usages)?;
    file.persist(home.join(FILE)).map_err(|error| Failure::new(format!("can't write {FILE}: {error}")))?;
    Ok(())
}

/// Counts the calls of one execution, and tells another observer of everything.
pub(crate) struct Counting {
    others: Arc<dyn Observer>,
    functions: Mutex<BTreeMap<String, Calls>>,
}

impl Counting {
    pub(crate) fn new(others: Arc<dyn Observer>) -> Self {
        Self { others, functions: Mutex::default() }
    }

    pub(crate) fn functions(&self) -> BTreeMap<String, Calls> {
        self.functions.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Observer for Counting {
    fn step_started(&self, place: Place<'_>) {
        self.others.step_started(place);
    }

    fn step_finished(&self, place: Place<'_>, duration: Duration, failed: bool) {
        self.others.step_finished(place, duration, failed);
    }

    fn call_started(&self, place: Place<'_>, method: &str, url: &str) {
        self.others.call_started(place, method, url);
    }

    fn call_finished(&self, place: Place<'_>, exchange: Exchange<'_>) {
        let mut functions = self.functions.lock().unwrap_or_else(PoisonError::into_inner);
        let calls = functions.entry(function_of(exchange.url).to_owned()).or_default();
        calls.requests += 1;
        calls.seconds += exchange.duration.as_secs_f64();
        drop(functions);
        self.others.call_finished(place, exchange);
    }

    fn retrying(&self, place: Place<'_>, attempt: u64, delay: Duration) {
        self.others.retrying(place, attempt, delay);
    }

    fn log(&self, place: Place<'_>, severity: &str, message: &serde_json::Value) {
        self.others.log(place, severity, message);
    }
}

/// The function whose endpoint an address names. On this machine all are behind one port.
fn function_of(url: &str) -> &'static str {
    match url.rsplit('/').next().unwrap_or_default() {
        "generate" | "initialize" => "generate",
        "plan" | "partitions" | "extract" => "extract",
        "load" => "load",
        "transform" => "transform",
        "audit" | "diff" => "audit",
        _ => "publish",
    }
}
