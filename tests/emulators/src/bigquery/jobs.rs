//! Jobs: one for each id, project and location, for ever.
//!
//! A finished job is one line of JSON in `jobs.jsonl`, so that an id is known after a restart too. Rows of results are not
//! kept over a restart; the emulator has them in memory.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::error::{Error, Result};
use crate::refusal::Refusal;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct JobKey {
    pub(crate) project: String,
    pub(crate) location: String,
    pub(crate) id: String,
}

impl JobKey {
    pub(crate) fn reference(&self) -> Value {
        json!({"projectId": self.project, "jobId": self.id, "location": self.location})
    }

    /// Reads the key of a job resource.
    fn of(job: &Value) -> Self {
        let text = |key: &str| job["jobReference"][key].as_str().unwrap_or_default().to_owned();
        Self { project: text("projectId"), location: text("location"), id: text("jobId") }
    }
}

/// A job that was inserted: its resource now and later.
#[derive(Debug, Clone)]
pub(crate) struct Job(watch::Receiver<Value>);

impl Job {
    pub(crate) fn resource(&self) -> Value {
        self.0.borrow().clone()
    }

    /// The resource as it is when the job is done, or when `patience` is over.
    pub(crate) async fn within(mut self, patience: Duration) -> Value {
        // When the sender is gone, the last value is final.
        let _ = tokio::time::timeout(patience, self.0.wait_for(is_done)).await;
        self.resource()
    }
}

pub(crate) fn is_done(job: &Value) -> bool {
    job["status"]["state"] == "DONE"
}

/// Why a finished job failed, if it did.
pub(crate) fn failure(job: &Value) -> Option<Refusal> {
    job["status"].get("errorResult").map(Refusal::of)
}

#[derive(Debug)]
pub(crate) struct Jobs {
    path: PathBuf,
    known: Mutex<BTreeMap<JobKey, watch::Sender<Value>>>,
}

impl Jobs {
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("jobs.jsonl");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Error::internal(format!("read {}", path.display()))(error)),
        };
        // A process that was killed may have left half a line.
        let jobs = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let known = jobs.map(|job| (JobKey::of(&job), watch::Sender::new(job))).collect();
        Ok(Self { path, known: Mutex::new(known) })
    }

    /// Registers a job as running. A known id is refused.
    /// <https://docs.cloud.google.com/bigquery/docs/reference/rest/v2/JobReference>
    pub(crate) fn begin(&self, key: &JobKey, configuration: &Value) -> std::result::Result<Job, Refusal> {
        let mut known = self.known();
        if known.contains_key(key) {
            let JobKey { project, location, id } = key;
            return Err(Refusal::new("duplicate", format!("Already Exists: Job {project}:{location}.{id}")));
        }
        let sender = watch::Sender::new(running(key, configuration));
        let job = Job(sender.subscribe());
        known.insert(key.clone(), sender);
        Ok(job)
    }

    /// The job has this outcome.
    pub(crate) fn finish(&self, key: &JobKey, resource: Value) {
        if let Err(error) = self.append(&resource) {
            tracing::warn!(%error, job = key.id, "a job will be forgotten at the next start");
        }
        if let Some(sender) = self.known().get(key) {
            sender.send_replace(resource);
        }
    }

    /// The job was never inserted: its request was refused. Who waits for it is told.
    pub(crate) fn withdraw(&self, key: &JobKey, resource: Value) {
        if let Some(sender) = self.known().remove(key) {
            sender.send_replace(resource);
        }
    }

    /// A job by its id. Outside of the US and the EU its location must be named.
    /// <https://docs.cloud.google.com/bigquery/docs/reference/rest/v2/jobs/get>
    pub(crate) fn get(&self, project: &str, id: &str, location: Option<&str>) -> std::result::Result<Job, Refusal> {
        let known = self.known();
        let found = known.iter().find(|(key, _)| {
            let is_there = match location {
                Some(location) => key.location.eq_ignore_ascii_case(location),
                None => ["US", "EU"].contains(&key.location.as_str()),
            };
            key.project == project && key.id == id && is_there
        });
        let sender = found.map(|(_, sender)| sender);
        sender
            .map(|sender| Job(sender.subscribe()))
            .ok_or_else(|| Refusal::not_found(format_args!("Job {project}:{id}")))
    }

    /// The jobs of a project, newest first.
    pub(crate) fn list(&self, project: &str) -> Vec<Value> {
        let known = self.known();
        let mine = known.iter().filter(|(key, _)| key.project == project);
        let mut jobs: Vec<Value> = mine.map(|(_, sender)| sender.borrow().clone()).collect();
        jobs.sort_by_key(|job| {
            let created = job["statistics"]["creationTime"].as_str().and_then(|text| text.parse::<i64>().ok());
            std::cmp::Reverse(created)
        });
        jobs
    }

    fn append(&self, resource: &Value) -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&self.path)?;
        file.write_all(format!("{resource}\n").as_bytes())
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<JobKey, watch::Sender<Value>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn running(key: &JobKey, configuration: &Value) -> Value {
    let now = Timestamp::now().as_millisecond().to_string();
    json!({
        "kind": "bigquery#job",
        "id": format!("{}:{}.{}", key.project, key.location, key.id),
        "jobReference": key.reference(),
        "configuration": configuration,
        "status": {"state": "RUNNING"},
        "statistics": {"creationTime": now, "startTime": now},
    })
}

/// What a job that went well adds to its resource.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) statistics: Value,
    /// Where the rows of a query are, as its configuration says afterwards.
    pub(crate) destination: Option<Value>,
}

impl Outcome {
    pub(crate) fn of(statistics: Value) -> Self {
        Self { statistics, destination: None }
    }
}

/// The resource of a job that is done, well or badly.
pub(crate) fn done(running: &Value, outcome: std::result::Result<Outcome, Refusal>) -> Value {
    let mut job = running.clone();
    job["status"] = json!({"state": "DONE"});
    let now = Timestamp::now().as_millisecond();
    let started = job["statistics"]["startTime"].as_str().and_then(|text| text.parse().ok()).unwrap_or(now);
    match outcome {
        Ok(Outcome { statistics, destination }) => {
            if let Some(destination) = destination {
                job["configuration"]["query"]["destinationTable"] = destination;
            }
            for (key, value) in statistics.as_object().into_iter().flatten() {
                job["statistics"][key] = value.clone();
            }
        }
        Err(refusal) => {
            job["status"]["errorResult"] = refusal.proto();
            job["status"]["errors"] = json!([refusal.proto()]);
        }
    }
    job["statistics"]["endTime"] = json!(now.to_string());
    // One slot was busy for as long as the job took.
    job["statistics"]["totalSlotMs"] = json!((now - started).max(1).to_string());
    job
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str) -> JobKey {
        JobKey { project: "p".to_owned(), location: "EU".to_owned(), id: id.to_owned() }
    }

    #[test]
    fn an_id_is_taken_once() {
        let folder = tempfile::tempdir().unwrap();
        let jobs = Jobs::open(folder.path()).unwrap();
        jobs.begin(&key("a"), &json!({})).unwrap();
        assert_eq!(jobs.begin(&key("a"), &json!({})).unwrap_err().reason, "duplicate");
        let elsewhere = JobKey { location: "US".to_owned(), ..key("a") };
        assert!(jobs.begin(&elsewhere, &json!({})).is_ok());
    }

    #[test]
    fn finished_jobs_are_known_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let jobs = Jobs::open(folder.path()).unwrap();
        let job = jobs.begin(&key("a"), &json!({"labels": {"x": "y"}})).unwrap();
        jobs.finish(&key("a"), done(&job.resource(), Ok(Outcome::of(json!({"load": {"outputRows": "3"}})))));
        jobs.begin(&key("b"), &json!({})).unwrap();

        let jobs = Jobs::open(folder.path()).unwrap();
        let job = jobs.get("p", "a", None).unwrap().resource();
        assert_eq!(job["statistics"]["load"]["outputRows"], "3");
        assert!(jobs.begin(&key("a"), &json!({})).is_err());
        assert!(jobs.get("p", "b", None).is_err(), "a job that was running is gone with the process");
    }

    #[tokio::test]
    async fn whoever_waits_sees_the_outcome() {
        let folder = tempfile::tempdir().unwrap();
        let jobs = Jobs::open(folder.path()).unwrap();
        let job = jobs.begin(&key("a"), &json!({})).unwrap();
        assert!(!is_done(&job.clone().within(Duration::from_millis(1)).await));
        let waiting = tokio::spawn(job.clone().within(Duration::from_mins(1)));
        jobs.finish(&key("a"), done(&job.resource(), Err(Refusal::invalid("no"))));
        assert_eq!(failure(&waiting.await.unwrap()), Some(Refusal::invalid("no")));
    }

    #[test]
    fn a_location_must_be_named_outside_of_us_and_eu() {
        let folder = tempfile::tempdir().unwrap();
        let jobs = Jobs::open(folder.path()).unwrap();
        let key = JobKey { location: "europe-west1".to_owned(), ..key("a") };
        jobs.begin(&key, &json!({})).unwrap();
        assert!(jobs.get("p", "a", None).is_err());
        assert!(jobs.get("p", "a", Some("US")).is_err());
        assert!(jobs.get("p", "a", Some("europe-west1")).is_ok());
    }
}
