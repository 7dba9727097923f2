//! Statements: what they would read, whether the step can afford it, and running them.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use wap::Slot;

use super::BigQuery;
use super::jobs::{Estimate, Job, Purpose};
use super::rest::CallError;
use crate::Error;

impl BigQuery {
    /// What a statement would read. Nothing is run, and nothing is billed.
    pub(super) async fn estimate(&self, sql: &str) -> Result<Estimate, CallError> {
        let body = json!({
            "jobReference": {"projectId": self.names.project, "location": &*self.location},
            "configuration": {"dryRun": true, "query": {"query": sql, "useLegacySql": false}},
        });
        let job: Job = self.rest.post("/jobs", &body).await?;
        job.into_estimate()
    }

    /// Refuses what would bring the step above its budget; otherwise sets aside what it may be billed for, because many of
    /// the step's jobs run at once.
    fn afford(&self, bytes: u64, what: &str) -> Result<Option<Reserved>, Error> {
        let Some(limit) = self.step.max_bytes_billed else { return Ok(None) };
        let mut reserved = self.reserved.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = self.spent().bytes_billed.saturating_add(*reserved);
        if gone.saturating_add(bytes) > limit {
            return Err(Error::rejected(format!(
                "{what} would be billed for {}, after {} of step {}, whose limit is {}. Narrow what it reads, or raise \
                 limits.max_bytes_billed_per_step in pipeline.yaml",
                shown(bytes),
                shown(gone),
                self.step.name,
                shown(limit)
            )));
        }
        *reserved += bytes;
        Ok(Some(Reserved { bytes, limit: limit - gone, all: Arc::clone(&self.reserved) }))
    }

    /// Runs statements within the step's budget, several of them in one transaction.
    pub(super) async fn execute(
        &self,
        purpose: &Purpose,
        slot: Option<&Slot>,
        statements: &[String],
        what: &str,
    ) -> Result<Job, Error> {
        let mut bytes = 0_u64;
        if self.step.max_bytes_billed.is_some() {
            for statement in statements {
                bytes += self.estimate(statement).await.map_err(|error| error.context(what))?.bytes;
            }
        }
        let sql = match statements {
            [one] => one.clone(),
            several => format!("BEGIN TRANSACTION;\n{};\nCOMMIT TRANSACTION;", several.join(";\n")),
        };
        self.execute_estimated(purpose, slot, &sql, bytes, what).await
    }

    /// Runs what is known to read so many bytes, within the step's budget.
    pub(super) async fn execute_estimated(
        &self,
        purpose: &Purpose,
        slot: Option<&Slot>,
        sql: &str,
        bytes: u64,
        what: &str,
    ) -> Result<Job, Error> {
        let reserved = self.afford(bytes, what)?;
        let limit = reserved.as_ref().map(|reserved| reserved.limit);
        let ran = self.run(purpose, slot, query(sql, limit), what).await;
        ran.map_err(|error| self.over_budget(error, what))
    }

    /// BigQuery has the last word on what a query would be billed for.
    fn over_budget(&self, error: Error, what: &str) -> Error {
        let Error::Rejected { source: Some(source), .. } = &error else { return error };
        let Some(said) = source.downcast_ref::<CallError>().filter(|said| said.is_over_budget()) else { return error };
        Error::rejected(format!(
            "{what} would bring step {} above its limit of {}, after {} that it was billed for: {said}. Narrow what it \
             reads, or raise limits.max_bytes_billed_per_step in pipeline.yaml",
            self.step.name,
            shown(self.step.max_bytes_billed.unwrap_or_default()),
            shown(self.spent().bytes_billed),
        ))
    }

    /// Runs a statement that defines something. It reads no rows.
    pub(super) async fn define(
        &self,
        purpose: &Purpose,
        slot: Option<&Slot>,
        sql: &str,
        what: &str,
    ) -> Result<Job, Error> {
        self.run(purpose, slot, query(sql, None), what).await
    }
}

/// What a job may be billed for, set aside until it has ended and is counted.
struct Reserved {
    bytes: u64,
    /// What is left of the budget for this job.
    limit: u64,
    all: Arc<Mutex<u64>>,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        *self.all.lock().unwrap_or_else(PoisonError::into_inner) -= self.bytes;
    }
}

/// The configuration of a query job.
fn query(sql: &str, max_bytes_billed: Option<u64>) -> Value {
    let mut query = json!({"query": sql, "useLegacySql": false});
    if let Some(limit) = max_bytes_billed {
        query["maximumBytesBilled"] = limit.to_string().into();
    }
    json!({"query": query})
}

/// Bytes for people: `12.3 GiB`.
fn shown(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_in_units() {
        assert_eq!(shown(0), "0 B");
        assert_eq!(shown(1023), "1023 B");
        assert_eq!(shown(50 << 30), "50.0 GiB");
        assert_eq!(shown(u64::MAX), "16777216.0 TiB");
    }
}
