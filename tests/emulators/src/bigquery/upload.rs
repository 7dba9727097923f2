//! Load jobs whose data comes with the request: `dbt seed`, and files from a client's disk.
//!
//! The emulator does the work; here their ids are taken once, and what they changed is known.
//! <https://docs.cloud.google.com/bigquery/docs/reference/api-uploads>

use axum::body::Body;
use axum::http::{Method, Request, Response};
use serde_json::{Value, json};

use super::cloud::Cloud;
use super::jobs::{JobKey, Jobs};
use super::name::Table;
use super::{schema, tables};
use crate::refusal::Refusal;

impl Cloud {
    pub(crate) async fn upload(
        &mut self,
        jobs: &Jobs,
        project: &str,
        request: Request<Body>,
    ) -> Result<Response<Body>, Refusal> {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.map_err(|error| Refusal::invalid(error.to_string()))?;
        if parts.method == Method::POST
            && let Some(job) = job_of(&body)
        {
            schema::check(&job["configuration"]["load"]["schema"])?;
            if let Some(id) = job["jobReference"]["jobId"].as_str() {
                let location = job["jobReference"]["location"].as_str().unwrap_or("US");
                if jobs.get(project, id, Some(location)).is_ok() {
                    return Err(Refusal::new("duplicate", format!("Already Exists: Job {project}:{location}.{id}")));
                }
            }
        }
        let response = self.upstream.send(Request::from_parts(parts, Body::from(body))).await?;
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX)
            .await
            .map_err(|error| Refusal::new("backendError", error.to_string()))?;
        let Ok(mut job) = serde_json::from_slice::<Value>(&body) else {
            return Ok(Response::from_parts(parts, Body::from(body)));
        };
        if job["kind"] == "bigquery#job" && job["status"]["state"] == "DONE" {
            self.loaded(jobs, project, &mut job)?;
            return Ok(crate::proxy::json_response(parts.status, &job));
        }
        Ok(Response::from_parts(parts, Body::from(body)))
    }

    fn loaded(&mut self, jobs: &Jobs, project: &str, job: &mut Value) -> Result<(), Refusal> {
        let settings = job["configuration"]["load"].clone();
        let table = Table::of(&settings["destinationTable"], project);
        if job["status"].get("errorResult").is_none() {
            let keys = ["schema", "timePartitioning", "rangePartitioning", "clustering"];
            for (key, value) in
                tables::remembered(&settings).into_iter().filter(|(key, _)| keys.contains(&key.as_str()))
            {
                self.ledger.facts_mut(&table).declared.entry(key).or_insert(value);
            }
        }
        self.touch(&table);
        let id = job["jobReference"]["jobId"].as_str().unwrap_or_default().to_owned();
        let key = JobKey { project: project.to_owned(), location: "US".to_owned(), id };
        job["jobReference"] = key.reference();
        if job["statistics"].get("creationTime").is_none() {
            job["statistics"]["creationTime"] = json!(jiff::Timestamp::now().as_millisecond().to_string());
        }
        jobs.begin(&key, &job["configuration"])?;
        jobs.finish(&key, job.clone());
        self.save()
    }
}

/// The job that a request describes: all of its body, or the first part of it.
fn job_of(body: &[u8]) -> Option<Value> {
    let start = body.iter().position(|byte| *byte == b'{')?;
    serde_json::Deserializer::from_slice(&body[start..]).into_iter::<Value>().next()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_job_is_found_in_both_kinds_of_request() {
        let job = json!({"jobReference": {"jobId": "a"}});
        assert_eq!(job_of(job.to_string().as_bytes()), Some(job.clone()));
        let parts = format!("--b\r\nContent-Type: application/json\r\n\r\n{job}\r\n--b\r\n\r\na,b\r\n{{}}\r\n--b--");
        assert_eq!(job_of(parts.as_bytes()), Some(job));
    }
}
