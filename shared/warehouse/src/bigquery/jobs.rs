//! Jobs: their ids, their labels, waiting for them, and what they cost.
//!
//! The id of a job follows from what the job is for. BigQuery takes an id once: whoever sends the same job again, because
//! no answer came or because the step was repeated, is told so (409) and waits for the one that is there. So no job has
//! its effect twice.

use std::time::Duration;

use google::{Classify, Failure};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::sleep;
use tracing::field::Empty;
use tracing::{Instrument, Span, info_span};
use wap::{Digest, Slot};

use super::BigQuery;
use super::names::label;
use super::rest::CallError;
use super::schema::{Field, Schema};
use crate::{Error, Statistics};

/// How long to wait before a job is looked at again: at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A job that failed for a reason that passes is sent again under the next id, at most so often.
const ROUNDS: u32 = 6;

/// What an attempt's jobs are found by.
pub(super) const ATTEMPT_LABEL: &str = "attempt";

/// What is read of a job. Each part may be missing.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Job {
    #[serde(rename = "jobReference")]
    pub(super) reference: JobReference,
    configuration: JobConfiguration,
    status: JobStatus,
    statistics: JobStatistics,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct JobReference {
    pub(super) job_id: String,
    location: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JobConfiguration {
    labels: Map<String, Value>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JobStatus {
    state: String,
    error_result: Option<JobError>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct JobError {
    reason: Option<String>,
    message: Option<String>,
}

/// Numbers are text in the API.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JobStatistics {
    total_bytes_processed: Option<String>,
    total_slot_ms: Option<String>,
    query: QueryStatistics,
    load: LoadStatistics,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct QueryStatistics {
    total_bytes_processed: Option<String>,
    total_bytes_billed: Option<String>,
    statement_type: Option<String>,
    schema: Schema,
    referenced_tables: Vec<Value>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LoadStatistics {
    input_file_bytes: Option<String>,
    output_rows: Option<String>,
}

/// What is billed at least for each table that a query names, and in what steps:
/// <https://cloud.google.com/bigquery/pricing#on_demand_pricing>
const LEAST_BILLED: u64 = 10 << 20;
const BILLED_STEP: u64 = 1 << 20;

/// What a statement would do, found out without doing it.
#[derive(Debug, Clone)]
pub(super) struct Estimate {
    /// What it would be billed for at most.
    pub(super) bytes: u64,
    pub(super) statement_type: String,
    /// The columns of a SELECT's answer.
    pub(super) fields: Vec<Field>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JobList {
    jobs: Vec<Job>,
    next_page_token: Option<String>,
}

/// What a job is for: the words that its id follows from.
#[derive(Debug, Clone)]
pub(super) struct Purpose {
    /// One word for people, the first part of the id.
    kind: &'static str,
    digest: Digest,
}

impl Purpose {
    /// `inputs` are everything that makes this job another than the next one.
    pub(super) fn new(kind: &'static str, inputs: &[&str]) -> Self {
        // With their lengths, so that no two lists are one text.
        let text: String =
            [&kind].into_iter().chain(inputs).map(|input| format!("{}:{input}\n", input.len())).collect();
        Self { kind, digest: Digest::of(text) }
    }

    /// A job that nobody will ever want to find again, such as a query: only its own repeats are to.
    pub(super) fn once(kind: &'static str) -> Self {
        Self::new(kind, &[&super::unique()])
    }

    /// A purpose within this one.
    pub(super) fn part(&self, kind: &'static str, inputs: &[&str]) -> Self {
        let mut all = vec![self.digest.as_str()];
        all.extend(inputs);
        Self::new(kind, &all)
    }

    /// Its digest, for names of what serves the purpose.
    pub(super) fn digest(&self) -> &Digest {
        &self.digest
    }

    fn job_id(&self, round: u32) -> String {
        format!("bgp_{}_{}_{round}", self.kind, self.digest)
    }
}

impl Job {
    /// Rows that a load job wrote.
    pub(super) fn loaded_rows(&self) -> Option<u64> {
        self.statistics.load.output_rows.as_deref()?.parse().ok()
    }

    /// What a dry run says.
    pub(super) fn into_estimate(self) -> Result<Estimate, CallError> {
        if let Some(error) = self.status.error_result {
            return Err(error.as_call_error());
        }
        let query = self.statistics.query;
        let bytes = self.statistics.total_bytes_processed.or(query.total_bytes_processed);
        let bytes: u64 = bytes.and_then(|bytes| bytes.parse().ok()).unwrap_or(0);
        let least = LEAST_BILLED.saturating_mul(query.referenced_tables.len() as u64);
        Ok(Estimate {
            bytes: bytes.div_ceil(BILLED_STEP).saturating_mul(BILLED_STEP).max(least),
            statement_type: query.statement_type.unwrap_or_default(),
            fields: query.schema.fields,
        })
    }

    fn statistics(&self) -> Statistics {
        let number = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0);
        let found = &self.statistics;
        Statistics {
            jobs: 1,
            bytes_processed: number(&found.query.total_bytes_processed),
            bytes_billed: number(&found.query.total_bytes_billed),
            slot_milliseconds: number(&found.total_slot_ms),
            bytes_loaded: number(&found.load.input_file_bytes),
            ..Statistics::default()
        }
    }
}

impl JobError {
    fn as_call_error(&self) -> CallError {
        CallError::Answer {
            // Jobs fail inside; the answer that says so is a success.
            status: if self.reason.as_deref() == Some("notFound") { 404 } else { 400 },
            reason: self.reason.clone(),
            message: self.message.clone().unwrap_or_else(|| "no reason given".to_owned()),
            retry_after: None,
        }
    }

    /// Whether the same job may succeed under another id.
    fn passes(&self) -> bool {
        // Two transactions that changed one table at one time: the later one is to try again.
        let is_overtaken = self.message.as_deref().is_some_and(|text| text.contains("concurrent update"));
        is_overtaken || self.as_call_error().failure() != Failure::Final
    }
}

impl BigQuery {
    /// Runs a job to its end, or finds it if it was sent before. `what` is for errors.
    pub(super) async fn run(
        &self,
        purpose: &Purpose,
        slot: Option<&Slot>,
        configuration: Value,
        what: &str,
    ) -> Result<Job, Error> {
        let name = format!("bigquery job {}", purpose.kind);
        let span = info_span!(target: "trace", "job", otel.name = name, otel.kind = "client", bigquery.job = Empty);
        self.run_in(&span, purpose, slot, configuration, what).instrument(span.clone()).await
    }

    /// Runs a job, and tells the span its id.
    async fn run_in(
        &self,
        span: &Span,
        purpose: &Purpose,
        slot: Option<&Slot>,
        configuration: Value,
        what: &str,
    ) -> Result<Job, Error> {
        let mut configuration = configuration;
        configuration["labels"] = self.job_labels(slot);
        let mut round = 0;
        loop {
            let id = purpose.job_id(round);
            span.record("bigquery.job", id.as_str());
            let (job, is_found) = self.send_job(&id, &configuration).await.map_err(|error| error.context(what))?;
            let job = self.finished(job).await.map_err(|error| error.context(what))?;
            let Some(error) = &job.status.error_result else {
                self.count(job.statistics());
                return Ok(job);
            };
            round += 1;
            // One that failed before this call is no answer to it, whatever it failed of.
            if round < ROUNDS && (is_found || error.passes()) {
                let reason = error.reason.as_deref();
                tracing::warn!(job = id, reason, is_found, "a job failed and is sent again under another id");
                if !is_found {
                    // Limits of rates are counted over ten seconds; all rounds together take longer.
                    sleep(self.rest.budget().first_pause * 2_u32.pow(round - 1)).await;
                }
                continue;
            }
            return Err(error.as_call_error().context(what));
        }
    }

    /// Inserts a job. Returns whether it was there already.
    async fn send_job(&self, id: &str, configuration: &Value) -> Result<(Job, bool), CallError> {
        let body = json!({
            "jobReference": {"projectId": self.names.project, "jobId": id, "location": &*self.location},
            "configuration": configuration,
        });
        match self.rest.insert("/jobs", &body, || self.job(id)).await {
            Ok(job) => Ok((job, false)),
            Err(error) if error.status() == Some(409) => match self.job(id).await? {
                Some(job) => Ok((job, true)),
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    async fn job(&self, id: &str) -> Result<Option<Job>, CallError> {
        self.rest.get(&format!("/jobs/{id}"), &[("location", &self.location)]).await
    }

    /// Waits for the end of a job.
    async fn finished(&self, job: Job) -> Result<Job, CallError> {
        let mut job = job;
        let mut pause = FIRST_PAUSE;
        while job.status.state != "DONE" {
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            let id = job.reference.job_id.clone();
            job = self.job(&id).await?.ok_or_else(|| CallError::Answer {
                status: 404,
                reason: Some("notFound".to_owned()),
                message: format!("job {id} is gone while it is waited for"),
                retry_after: None,
            })?;
        }
        Ok(job)
    }

    /// Asks for the attempt's running jobs to be cancelled. Returns how many there were.
    pub(super) async fn cancel_jobs(&self, slot: &Slot) -> Result<usize, Error> {
        let what = format!("cancelling the jobs of attempt {}", slot.attempt);
        let jobs = match self.running_jobs(true).await {
            // Jobs of others need a right of their own to be seen; one's own do not.
            Err(error) if error.status() == Some(403) => self.running_jobs(false).await,
            found => found,
        };
        let mut cancelled = 0;
        for job in jobs.map_err(|error| error.context(&what))? {
            let label = job.configuration.labels.get(ATTEMPT_LABEL).and_then(Value::as_str);
            if label == Some(slot.attempt.as_str()) {
                let location = job.reference.location.as_deref().unwrap_or(&self.location);
                let asked = self.rest.cancel_job(&job.reference.job_id, location).await;
                asked.map_err(|error| error.context(&what))?;
                cancelled += 1;
            }
        }
        Ok(cancelled)
    }

    /// Ends what an earlier try of this step left running for the slot: it must not write into tables that are made anew
    /// under their old names.
    pub(super) async fn settle(&self, slot: &Slot) -> Result<(), Error> {
        while self.cancel_jobs(slot).await? > 0 {
            sleep(LONGEST_PAUSE).await;
        }
        Ok(())
    }

    async fn running_jobs(&self, of_all: bool) -> Result<Vec<Job>, CallError> {
        let mut jobs = Vec::new();
        let mut page: Option<String> = None;
        loop {
            let mut query = vec![
                ("projection", "full"),
                ("stateFilter", "running"),
                ("stateFilter", "pending"),
                ("maxResults", "500"),
                ("allUsers", if of_all { "true" } else { "false" }),
            ];
            if let Some(token) = &page {
                query.push(("pageToken", token));
            }
            let list: JobList = self.rest.get("/jobs", &query).await?.unwrap_or_default();
            jobs.extend(list.jobs);
            page = list.next_page_token;
            if page.is_none() {
                // An emulator may ignore the filter.
                jobs.retain(|job| job.status.state != "DONE");
                return Ok(jobs);
            }
        }
    }

    /// Labels by which a bill can be read, and an attempt's jobs found.
    fn job_labels(&self, slot: Option<&Slot>) -> Value {
        let mut labels = Map::new();
        labels.insert("pipeline".to_owned(), label(self.pipeline.as_str()).into());
        if !self.step.name.is_empty() {
            labels.insert("step".to_owned(), label(&self.step.name).into());
        }
        if let Some(slot) = slot.or(self.step.slot.as_ref()) {
            labels.insert("cycle".to_owned(), slot.cycle.to_string().into());
            labels.insert(ATTEMPT_LABEL.to_owned(), slot.attempt.as_str().into());
        }
        labels.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_id_follows_from_its_inputs() {
        let purpose = |inputs: &[&str]| Purpose::new("load", inputs).job_id(0);
        assert_eq!(purpose(&["orders", "2025-08-01", "d1"]), purpose(&["orders", "2025-08-01", "d1"]));
        assert_ne!(purpose(&["orders", "2025-08-01", "d1"]), purpose(&["orders", "2025-08-01", "d2"]));
        assert_ne!(purpose(&["ab", "c"]), purpose(&["a", "bc"]), "inputs do not run into each other");
        assert_ne!(Purpose::new("load", &["a"]).job_id(0), Purpose::new("load", &["a"]).job_id(1));
        let id = purpose(&["é;drop", "`"]);
        assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{id}");
        assert_ne!(Purpose::once("query").job_id(0), Purpose::once("query").job_id(0));
        let whole = Purpose::new("pin", &["orders"]);
        let part = |first: &'static str| whole.part(first, &[]).part("append", &["d1"]).job_id(0);
        assert_eq!(part("mend"), part("mend"));
        assert_ne!(part("mend"), part("changes"), "parts of different kinds have different parts");
    }

    #[test]
    fn what_a_job_cost_is_read_off_it() {
        let job: Job = serde_json::from_value(json!({
            "jobReference": {"jobId": "a"}, "status": {"state": "DONE"},
            "statistics": {"totalSlotMs": "40", "query": {"totalBytesProcessed": "10", "totalBytesBilled": "20"}},
        }))
        .unwrap();
        let expected = Statistics {
            jobs: 1,
            bytes_processed: 10,
            bytes_billed: 20,
            slot_milliseconds: 40,
            ..Statistics::default()
        };
        assert_eq!(job.statistics(), expected);
    }

    #[test]
    fn only_what_passes_is_sent_again() {
        let error = |reason: &str, message: &str| JobError {
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
        };
        assert!(error("jobBackendError", "").passes());
        assert!(error("invalidQuery", "Transaction is aborted due to concurrent update against table a.b").passes());
        assert!(!error("invalidQuery", "no such column").passes());
        assert!(!error("stopped", "cancelled").passes());
    }
}
