//! `datasets.*`.

use axum::http::{HeaderMap, Method};
use serde_json::{Map, Value, json};

use super::cloud::{Cloud, STAGING, merge};
use super::etag;
use super::name::dataset_path;
use crate::refusal::Refusal;

/// What the emulator keeps of a dataset exactly as it was said; the rest is remembered here.
const KEPT: [&str; 6] =
    ["datasetReference", "labels", "location", "description", "friendlyName", "defaultTableExpirationMs"];

/// Who may use a dataset that was made without an access list.
/// <https://docs.cloud.google.com/bigquery/docs/reference/rest/v2/datasets#Dataset.FIELDS.access>
fn default_access() -> Value {
    json!([
        {"role": "WRITER", "specialGroup": "projectWriters"},
        {"role": "OWNER", "specialGroup": "projectOwners"},
        {"role": "READER", "specialGroup": "projectReaders"},
    ])
}

impl Cloud {
    pub(crate) async fn insert_dataset(&mut self, project: &str, body: &Value) -> Result<Value, Refusal> {
        let dataset = body["datasetReference"]["datasetId"].as_str().unwrap_or_default().to_owned();
        self.call(Method::POST, &format!("/bigquery/v2/projects/{project}/datasets"), Some(body)).await?;
        let mut declared = remembered(body);
        declared.entry("access").or_insert_with(default_access);
        self.ledger.set_dataset(project, &dataset, declared);
        self.existing_dataset(project, &dataset).await
    }

    pub(crate) async fn existing_dataset(&self, project: &str, dataset: &str) -> Result<Value, Refusal> {
        let found = self.dataset(project, dataset).await?;
        found.ok_or_else(|| Refusal::not_found(format_args!("Dataset {project}:{dataset}")))
    }

    /// `datasets.patch`, or `datasets.update` if `is_whole`.
    pub(crate) async fn change_dataset(
        &mut self,
        (project, dataset): (&str, &str),
        body: &Value,
        is_whole: bool,
        headers: &HeaderMap,
    ) -> Result<Value, Refusal> {
        let current = self.existing_dataset(project, dataset).await?;
        etag::check(headers, &current)?;
        self.rates.dataset(project, dataset)?;
        let patch = body.as_object().cloned().unwrap_or_default();
        let mut declared = self.ledger.dataset(project, dataset).cloned().unwrap_or_default();
        let mut kept = Map::new();
        if let Some(labels) = current.get("labels").filter(|_| !is_whole) {
            kept.insert("labels".to_owned(), labels.clone());
        }
        merge(&mut kept, &patch);
        if is_whole {
            kept.entry("labels").or_insert_with(|| json!({}));
            declared.retain(|key, _| key == "access");
        }
        merge(&mut declared, &remembered(body));
        self.call(Method::PATCH, &dataset_path(project, dataset), Some(&Value::Object(kept))).await?;
        self.ledger.set_dataset(project, dataset, declared);
        self.existing_dataset(project, dataset).await
    }

    pub(crate) async fn delete_dataset(&mut self, project: &str, dataset: &str, contents: bool) -> Result<(), Refusal> {
        self.existing_dataset(project, dataset).await?;
        let path = dataset_path(project, dataset);
        let tables = self.call(Method::GET, &format!("{path}/tables?maxResults=1"), None).await?;
        if !contents && tables["tables"].as_array().is_some_and(|tables| !tables.is_empty()) {
            return Err(Refusal::new("resourceInUse", format!("Dataset {project}:{dataset} is still in use")));
        }
        self.call(Method::DELETE, &format!("{path}?deleteContents=true"), None).await?;
        self.forget_dataset(project, dataset);
        Ok(())
    }

    pub(crate) async fn list_datasets(&self, project: &str) -> Result<Vec<Value>, Refusal> {
        let path = format!("/bigquery/v2/projects/{project}/datasets?maxResults=1000000");
        let list = self.call(Method::GET, &path, None).await?;
        let all = list["datasets"].as_array().cloned().unwrap_or_default();
        Ok(all.into_iter().filter(|dataset| dataset["datasetReference"]["datasetId"] != STAGING).collect())
    }
}

/// What of a dataset is remembered here.
fn remembered(body: &Value) -> Map<String, Value> {
    let all = body.as_object().cloned().unwrap_or_default();
    all.into_iter().filter(|(key, _)| !KEPT.contains(&key.as_str())).collect()
}
