//! Statements: what they would read, whether the step can afford it, and running them.

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

    /// Refuses what would bring the step above its budget; otherwise returns what may still be billed.
    fn afford(&self, bytes: u64, what: &str) -> Result<Option<u64>, Error> {
        let Some(limit) = self.step.max_bytes_billed else { return Ok(None) };
        let spent = self.spent().bytes_billed;
        if spent.saturating_add(bytes) > limit {
            return Err(Error::rejected(format!(
                "{what} would read {}, after {} that step {} was billed for; its limit is {}. Narrow what it reads, or raise \
                 limits.max_bytes_billed_per_step in pipeline.yaml",
                shown(bytes),
                shown(spent),
                self.step.name,
                shown(limit)
            )));
        }
        Ok(Some(limit - spent))
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
        let limit = self.afford(bytes, what)?;
        self.run(purpose, slot, query(sql, limit), what).await
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
