//! Copy jobs, and clones made by them.
//!
//! <https://docs.cloud.google.com/bigquery/docs/reference/rest/v2/Job#JobConfigurationTableCopy>

use axum::http::Method;
use serde_json::{Value, json};

use super::cloud::{Cloud, is_partitioned};
use super::jobs::{Outcome, failure};
use super::load::Disposition;
use super::name::Table;
use crate::refusal::Refusal;

impl Cloud {
    /// Runs a copy job. What it copies is no clone any more.
    pub(crate) async fn copy(&mut self, project: &str, id: &str, configuration: &Value) -> Result<Outcome, Refusal> {
        let settings = &configuration["copy"];
        let sources = settings["sourceTables"].as_array().cloned().unwrap_or_default();
        let source = match (settings.get("sourceTable"), sources.as_slice()) {
            (Some(source), _) | (None, [source]) => Table::of(source, project),
            _ => return Err(Refusal::not_emulated("copies of several tables into one")),
        };
        let table = Table::of(&settings["destinationTable"], project);
        let is_clone = match settings["operationType"].as_str() {
            None | Some("COPY") => false,
            Some("CLONE") => true,
            Some(other) => return Err(Refusal::not_emulated(format_args!("copy jobs of the type {other}"))),
        };
        let origin = self.existing(&source).await?;
        let kind = origin["type"].as_str().unwrap_or_default();
        if kind != "TABLE" {
            return Err(Refusal::invalid(format!(
                "{source} is not allowed for this operation because it is currently a {kind}."
            )));
        }
        if self.dataset(&table.project, &table.dataset).await?.is_none() {
            return Err(Refusal::not_found(format_args!("Dataset {}:{}", table.project, table.dataset)));
        }
        let disposition = Disposition::of(settings, Disposition::Empty)?;
        let current = self.table(&table).await?;
        self.admit_write(&table, current.as_ref().is_some_and(is_partitioned))?;
        let facts = if is_clone {
            self.cloned_facts(&source, self.ledger.clone_depth(&source))?
        } else {
            self.copied_facts(&source)
        };
        match (&current, disposition) {
            (None, _) => {}
            (Some(current), Disposition::Empty) if is_clone || current["numRows"] != "0" => {
                return Err(Refusal::new("duplicate", format!("Already Exists: Table {table}")));
            }
            (Some(_), Disposition::Append) => {
                let insert = format!("INSERT INTO {} SELECT * FROM {}", table.sql(), source.sql());
                self.run(project, &insert).await?;
                self.touch(&table);
                self.save()?;
                return Ok(outcome(&origin));
            }
            // The copy takes the place of what was there.
            (Some(_), _) => self.call(Method::DELETE, &table.path(), None).await.map(|_| ())?,
        }
        let request = json!({"jobReference": {"projectId": project, "jobId": id}, "configuration": configuration});
        let job = self.call(Method::POST, &format!("/bigquery/v2/projects/{project}/jobs"), Some(&request)).await?;
        if let Some(refusal) = failure(&job) {
            return Err(refusal);
        }
        self.forget(&table);
        *self.ledger.facts_mut(&table) = facts;
        self.touch(&table);
        self.save()?;
        Ok(outcome(&origin))
    }

    /// Runs an extract job, which the emulator does well enough.
    pub(crate) async fn extract(&mut self, project: &str, id: &str, configuration: &Value) -> Result<Outcome, Refusal> {
        let request = json!({"jobReference": {"projectId": project, "jobId": id}, "configuration": configuration});
        let job = self.call(Method::POST, &format!("/bigquery/v2/projects/{project}/jobs"), Some(&request)).await?;
        failure(&job).map_or_else(|| Ok(Outcome::default()), Err)
    }
}

fn outcome(origin: &Value) -> Outcome {
    Outcome::of(json!({"copy": {"copiedRows": origin["numRows"], "copiedLogicalBytes": origin["numBytes"]}}))
}
