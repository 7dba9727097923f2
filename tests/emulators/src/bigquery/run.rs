//! `jobs.*`: takes jobs in, runs them one after the other, and answers for them.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use super::BigQuery;
use super::jobs::{Job, JobKey, done, failure, is_done};
use super::name::Table;
use super::rows;
use super::sql;
use crate::refusal::Refusal;

/// How long `jobs.insert` waits before it answers that the job is running.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long `jobs.query` and `getQueryResults` wait unless told otherwise.
/// <https://docs.cloud.google.com/bigquery/docs/reference/rest/v2/jobs/query#QueryRequest.FIELDS.timeout_ms>
const QUERY_PATIENCE: Duration = Duration::from_secs(10);

/// What of a `QueryRequest` is the configuration of its job.
const QUERY_SETTINGS: [&str; 8] = [
    "query",
    "useLegacySql",
    "defaultDataset",
    "parameterMode",
    "queryParameters",
    "maximumBytesBilled",
    "useQueryCache",
    "connectionProperties",
];

impl BigQuery {
    /// `jobs.insert`.
    pub(crate) async fn insert_job(&self, project: &str, body: &Value) -> Result<Value, Refusal> {
        let configuration = body["configuration"].clone();
        let location = self.location(project, &body["jobReference"]["location"], &configuration).await;
        if configuration["dryRun"] == true {
            return self.dry_run(project, &location, &configuration).await;
        }
        let id = body["jobReference"]["jobId"].as_str().map_or_else(new_id, str::to_owned);
        let key = JobKey { project: project.to_owned(), location, id };
        let resource = self.begin(&key, configuration)?.within(PATIENCE).await;
        match failure(&resource) {
            Some(refusal) if refusal.is_about_the_request() => Err(refusal),
            _ => Ok(resource),
        }
    }

    /// `jobs.query`.
    pub(crate) async fn query(&self, project: &str, body: &Value) -> Result<Value, Refusal> {
        let settings = body.as_object().into_iter().flatten().filter(|(key, _)| QUERY_SETTINGS.contains(&key.as_str()));
        let settings: serde_json::Map<String, Value> =
            settings.map(|(key, value)| (key.clone(), value.clone())).collect();
        let mut configuration = json!({"jobType": "QUERY", "query": settings});
        if let Some(labels) = body.get("labels") {
            configuration["labels"] = labels.clone();
        }
        let location = self.location(project, &body["location"], &configuration).await;
        if body["dryRun"] == true {
            let job = self.dry_run(project, &location, &configuration).await?;
            let statistics = &job["statistics"];
            return Ok(json!({
                "kind": "bigquery#queryResponse",
                "jobReference": {"projectId": project, "location": location},
                "jobComplete": true,
                "schema": statistics["query"]["schema"],
                "totalBytesProcessed": statistics["totalBytesProcessed"],
                "cacheHit": false,
            }));
        }
        // https://docs.cloud.google.com/bigquery/docs/reference/rest/v2/jobs/query#QueryRequest.FIELDS.request_id
        let request = body["requestId"].as_str();
        let id = request.map_or_else(new_id, |request| format!("request_{request}"));
        let key = JobKey { project: project.to_owned(), location, id };
        let job = match self.begin(&key, configuration) {
            Err(refusal) if refusal.reason == "duplicate" && request.is_some() => {
                self.jobs.get(project, &key.id, Some(&key.location))?
            }
            begun => begun?,
        };
        let page = json!({
            "timeoutMs": body["timeoutMs"],
            "maxResults": body["maxResults"],
            "formatOptions": body["formatOptions"],
        });
        let mut response = self.results(job, &page).await?;
        response["kind"] = json!("bigquery#queryResponse");
        Ok(response)
    }

    /// `jobs.getQueryResults`. `page` has its parameters.
    pub(crate) async fn results(&self, job: Job, page: &Value) -> Result<Value, Refusal> {
        let wanted = integer(&page["timeoutMs"]).map_or(QUERY_PATIENCE, Duration::from_millis);
        let resource = job.within(wanted).await;
        let reference = resource["jobReference"].clone();
        if !is_done(&resource) {
            return Ok(
                json!({"kind": "bigquery#getQueryResultsResponse", "jobReference": reference, "jobComplete": false}),
            );
        }
        if let Some(refusal) = failure(&resource) {
            return Err(refusal);
        }
        let text = |key: &str| reference[key].as_str().unwrap_or_default();
        let mut path = format!("/bigquery/v2/projects/{}/queries/{}?", text("projectId"), text("jobId"));
        for key in ["maxResults", "startIndex", "pageToken"] {
            match &page[key] {
                Value::Null => {}
                Value::String(text) => path.push_str(&format!("{key}={text}&")),
                other => path.push_str(&format!("{key}={other}&")),
            }
        }
        let mut response = self.cloud.lock().await.call(Method::GET, path.trim_end_matches(['&', '?']), None).await?;
        let statistics = &resource["statistics"];
        response["jobReference"] = reference;
        let columns = response["schema"].clone();
        if let Some(rows) = response.get_mut("rows") {
            rows::rewrite(rows, &columns, wants_integers(page));
        }
        response["totalBytesProcessed"] = statistics["totalBytesProcessed"].clone();
        response["cacheHit"] = json!(false);
        for key in ["numDmlAffectedRows", "statementType", "ddlOperationPerformed"] {
            if let Some(value) = statistics["query"].get(key) {
                response[key] = value.clone();
            }
        }
        Ok(response)
    }

    async fn dry_run(&self, project: &str, location: &str, configuration: &Value) -> Result<Value, Refusal> {
        if configuration.get("query").is_none() {
            return Err(Refusal::not_emulated("dry runs of jobs that are no queries"));
        }
        let statistics = self.cloud.lock().await.dry_run(project, configuration).await?;
        Ok(json!({
            "kind": "bigquery#job",
            "configuration": configuration,
            "jobReference": {"projectId": project, "location": location},
            "status": {"state": "DONE"},
            "statistics": statistics,
        }))
    }

    /// Starts a job, which then runs whether or not anybody waits for it.
    fn begin(&self, key: &JobKey, configuration: Value) -> Result<Job, Refusal> {
        let configuration = typed(configuration)?;
        let job = self.jobs.begin(key, &configuration)?;
        let running = job.resource();
        let (this, key) = (self.clone(), key.clone());
        tokio::spawn(async move {
            let mut cloud = this.cloud.lock().await;
            let outcome = match configuration["jobType"].as_str() {
                Some("QUERY") => cloud.query(&key.project, &key.id, &configuration).await,
                Some("LOAD") => cloud.load(&key.project, &configuration).await,
                Some("COPY") => cloud.copy(&key.project, &key.id, &configuration).await,
                _ => cloud.extract(&key.project, &key.id, &configuration).await,
            };
            match &outcome {
                // A request that makes no sense makes no job.
                Err(refusal) if refusal.is_about_the_request() => this.jobs.withdraw(&key, done(&running, outcome)),
                _ => this.jobs.finish(&key, done(&running, outcome)),
            }
        });
        Ok(job)
    }

    /// Where a job runs: where it says, or where the first dataset is that it names.
    /// <https://docs.cloud.google.com/bigquery/docs/locations#specify_locations>
    async fn location(&self, project: &str, said: &Value, configuration: &Value) -> String {
        if let Some(location) = said.as_str() {
            return location.to_owned();
        }
        let destination = ["load", "copy"].iter().find_map(|kind| configuration[*kind].get("destinationTable"));
        let query = configuration["query"]["query"].as_str().unwrap_or_default();
        let default = configuration["query"]["defaultDataset"]["datasetId"].as_str();
        let named = sql::statements(query).into_iter().flat_map(|statement| statement.names);
        let named = named.filter_map(|name| sql::resolve(&name, project, default));
        let cloud = self.cloud.lock().await;
        for table in destination.map(|table| Table::of(table, project)).into_iter().chain(named) {
            if let Ok(Some(dataset)) = cloud.dataset(&table.project, &table.dataset).await {
                return dataset["location"].as_str().unwrap_or("US").to_owned();
            }
        }
        "US".to_owned()
    }
}

/// The configuration with its type, of which there must be one.
fn typed(mut configuration: Value) -> Result<Value, Refusal> {
    let kinds = ["query", "load", "copy", "extract"];
    let mut found = kinds.iter().filter(|kind| configuration.get(**kind).is_some());
    let (Some(kind), None) = (found.next(), found.next()) else {
        return Err(Refusal::invalid(
            "Required parameter is missing: a job configuration has one of query, load, copy, extract",
        ));
    };
    configuration["jobType"] = json!(kind.to_ascii_uppercase());
    Ok(configuration)
}

fn new_id() -> String {
    format!("job_{}", uuid::Uuid::now_v7().simple())
}

/// Whether timestamps are wanted as whole microseconds: a parameter of requests, or an object in them.
pub(crate) fn wants_integers(page: &Value) -> bool {
    let asked =
        page.get("formatOptions.useInt64Timestamp").or_else(|| page.pointer("/formatOptions/useInt64Timestamp"));
    asked.is_some_and(|asked| asked == true || asked.as_str().is_some_and(|text| text.eq_ignore_ascii_case("true")))
}

/// A number, which may be text.
fn integer(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}
