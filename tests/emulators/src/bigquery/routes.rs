//! The REST interface: which request means what.

use std::collections::HashMap;

use async_trait::async_trait;
use axum::body::Body;
use axum::extract::Query;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use super::BigQuery;
use super::cloud::Cloud;
use super::jobs::is_done;
use super::name::Table;
use super::rows;
use super::run::wants_integers;
use crate::proxy::{Service, json_response, status};
use crate::refusal::Refusal;

/// Pages of lists are so long unless asked for shorter ones.
const PAGE: usize = 1_000;

type Parameters = HashMap<String, String>;

#[async_trait]
impl Service for BigQuery {
    async fn respond(&self, request: Request<Body>) -> Response<Body> {
        self.route(request).await.unwrap_or_else(|refusal| refusal.response())
    }

    fn is_list(&self, request: &Request<Body>) -> bool {
        let path = request.uri().path();
        request.method() == Method::GET && (path.ends_with("/tables") || path.ends_with("/datasets"))
    }
}

impl BigQuery {
    async fn route(&self, request: Request<Body>) -> Result<Response<Body>, Refusal> {
        let path: Vec<String> = request.uri().path().split('/').filter(|part| !part.is_empty()).map(decoded).collect();
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        if let ["upload", "bigquery", "v2", "projects", project, "jobs"] = path.as_slice() {
            return self.cloud.lock().await.upload(&self.jobs, project, request).await;
        }
        let ["bigquery", "v2", "projects", project, rest @ ..] = path.as_slice() else {
            return self.pass(request).await;
        };
        let parameters = Query::<Parameters>::try_from_uri(request.uri()).map(|query| query.0).unwrap_or_default();
        let method = request.method().clone();
        match rest {
            ["datasets"] | ["datasets", _] | ["datasets", _, "tables"] | ["datasets", _, "tables", _] => {
                let headers = request.headers().clone();
                let body = body(request).await?;
                let mut cloud = self.cloud.lock().await;
                let answer = resources(&mut cloud, &method, project, rest, &parameters, &headers, &body).await;
                cloud.save()?;
                answer
            }
            ["jobs" | "queries", ..] => {
                let body = body(request).await?;
                self.jobs(&method, project, rest, &parameters, &body)
                    .await
                    .map(|value| json_response(StatusCode::OK, &value))
            }
            ["datasets", dataset, "tables", table, "data"] if method == Method::GET => {
                let integers = wants_integers(&json!(parameters));
                self.data(&Table::new(project, dataset, table), integers, request).await
            }
            ["datasets", _, "tables", _, "insertAll"] => Err(Refusal::not_emulated("streaming of rows")),
            _ => self.pass(request).await,
        }
    }

    /// `tabledata.list`.
    async fn data(&self, table: &Table, integers: bool, request: Request<Body>) -> Result<Response<Body>, Refusal> {
        let cloud = self.cloud.lock().await;
        let resource = cloud.bare_table(table).await?;
        let resource = resource.ok_or_else(|| Refusal::not_found(format_args!("Table {table}")))?;
        let path = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
        let mut list = cloud.call(Method::GET, &path, None).await?;
        if let Some(rows) = list.get_mut("rows") {
            rows::rewrite(rows, &resource["schema"], integers);
        }
        Ok(json_response(StatusCode::OK, &list))
    }

    async fn jobs(
        &self,
        method: &Method,
        project: &str,
        rest: &[&str],
        parameters: &Parameters,
        body: &Value,
    ) -> Result<Value, Refusal> {
        let location = parameters.get("location").map(String::as_str);
        match (method.as_str(), rest) {
            ("POST", ["jobs"]) => self.insert_job(project, body).await,
            ("POST", ["queries"]) => self.query(project, body).await,
            ("GET", ["queries", id]) => self.results(self.jobs.get(project, id, location)?, &json!(parameters)).await,
            ("GET", ["jobs"]) => Ok(self.list_jobs(project, parameters)),
            ("GET", ["jobs", id]) => Ok(self.jobs.get(project, id, location)?.resource()),
            // It only asks, and what runs in the emulator can't be stopped.
            ("POST", ["jobs", id, "cancel"]) => {
                let job = self.jobs.get(project, id, location)?.resource();
                Ok(json!({"kind": "bigquery#jobCancelResponse", "job": job}))
            }
            _ => Err(Refusal::not_emulated(format_args!("{method} of {}", rest.join("/")))),
        }
    }

    fn list_jobs(&self, project: &str, parameters: &Parameters) -> Value {
        let state = parameters.get("stateFilter").map(String::as_str);
        let is_wanted = |job: &Value| match state {
            Some("done") => is_done(job),
            Some("running") => !is_done(job),
            Some("pending") => false,
            _ => true,
        };
        // Statements of a script are no jobs of their own here.
        let is_child = parameters.contains_key("parentJobId");
        let jobs = self.jobs.list(project).into_iter().filter(|job| !is_child && is_wanted(job)).collect();
        page("bigquery#jobList", "jobs", jobs, parameters)
    }

    /// What no rule is about goes to the emulator as it is.
    async fn pass(&self, request: Request<Body>) -> Result<Response<Body>, Refusal> {
        let cloud = self.cloud.lock().await;
        let (parts, body) = cloud.upstream.send(request).await?.into_parts();
        // Read to the end while nobody else talks to the emulator.
        let body = axum::body::to_bytes(body, usize::MAX)
            .await
            .map_err(|error| Refusal::new("backendError", error.to_string()))?;
        Ok(Response::from_parts(parts, Body::from(body)))
    }
}

/// Datasets and tables.
async fn resources(
    cloud: &mut Cloud,
    method: &Method,
    project: &str,
    rest: &[&str],
    parameters: &Parameters,
    headers: &HeaderMap,
    body: &Value,
) -> Result<Response<Body>, Refusal> {
    let is_whole = *method == Method::PUT;
    let value = match (method.as_str(), rest) {
        ("GET", ["datasets"]) => {
            page("bigquery#datasetList", "datasets", cloud.list_datasets(project).await?, parameters)
        }
        ("POST", ["datasets"]) => cloud.insert_dataset(project, body).await?,
        ("GET", ["datasets", dataset]) => cloud.existing_dataset(project, dataset).await?,
        ("PATCH" | "PUT", ["datasets", dataset]) => {
            cloud.change_dataset((project, dataset), body, is_whole, headers).await?
        }
        ("DELETE", ["datasets", dataset]) => {
            let contents = parameters.get("deleteContents").is_some_and(|value| value == "true");
            cloud.delete_dataset(project, dataset, contents).await?;
            return Ok(status(StatusCode::NO_CONTENT));
        }
        ("GET", ["datasets", dataset, "tables"]) => {
            page("bigquery#tableList", "tables", cloud.list_tables(project, dataset).await?, parameters)
        }
        ("POST", ["datasets", dataset, "tables"]) => {
            let table = body["tableReference"]["tableId"].as_str().unwrap_or_default();
            cloud.insert_table(&Table::new(project, dataset, table), body).await?
        }
        ("GET", ["datasets", dataset, "tables", table]) => cloud.existing(&Table::new(project, dataset, table)).await?,
        ("PATCH" | "PUT", ["datasets", dataset, "tables", table]) => {
            cloud.change_table(&Table::new(project, dataset, table), body, is_whole, headers).await?
        }
        ("DELETE", ["datasets", dataset, "tables", table]) => {
            cloud.delete_table(&Table::new(project, dataset, table)).await?;
            return Ok(status(StatusCode::NO_CONTENT));
        }
        _ => return Err(Refusal::not_emulated(format_args!("{method} of {}", rest.join("/")))),
    };
    Ok(json_response(StatusCode::OK, &value))
}

/// One page of a list. The token is the number of what was shown already.
fn page(kind: &str, name: &str, all: Vec<Value>, parameters: &Parameters) -> Value {
    let number = |key: &str| parameters.get(key).and_then(|text| text.parse::<usize>().ok());
    let start = number("pageToken").unwrap_or(0);
    let length = number("maxResults").unwrap_or(PAGE);
    let total = all.len();
    let items: Vec<Value> = all.into_iter().skip(start).take(length).collect();
    let next = start + items.len();
    let mut list = json!({"kind": kind, name: items, "totalItems": total});
    if next < total {
        list["nextPageToken"] = json!(next.to_string());
    }
    list
}

async fn body(request: Request<Body>) -> Result<Value, Refusal> {
    let is_gzip = request.headers().get("content-encoding").is_some_and(|encoding| encoding == "gzip");
    if is_gzip {
        return Err(Refusal::not_emulated("compressed requests"));
    }
    let bytes = axum::body::to_bytes(request.into_body(), usize::MAX).await;
    let bytes = bytes.map_err(|error| Refusal::invalid(error.to_string()))?;
    if bytes.is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_slice(&bytes).map_err(|error| Refusal::new("parseError", error.to_string()))
}

/// Undoes percent-encoding, with which clients write the `$` of a decorator.
fn decoded(part: &str) -> String {
    percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_in_pages() {
        let all: Vec<Value> = (0..5).map(Value::from).collect();
        let parameters = |pairs: &[(&str, &str)]| -> Parameters {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let first = page("k", "x", all.clone(), &parameters(&[("maxResults", "3")]));
        assert_eq!((&first["x"], &first["nextPageToken"]), (&json!([0, 1, 2]), &json!("3")));
        let last = page("k", "x", all, &parameters(&[("maxResults", "3"), ("pageToken", "3")]));
        assert_eq!((&last["x"], last.get("nextPageToken")), (&json!([3, 4]), None));
    }
}
