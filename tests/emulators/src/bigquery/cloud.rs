//! The emulator with what it forgets. Whoever holds the [`Cloud`] is alone with it: the emulator has one database
//! connection, and a rule that looks first and acts then must not be overtaken.

use std::collections::HashMap;
use std::path::PathBuf;

use axum::body::Body;
use axum::http::Method;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::bytes::{self, Size};
use super::ledger::Ledger;
use super::limits::{self, Rates};
use super::name::{Table, dataset_path};
use super::schema;
use crate::refusal::Refusal;
use crate::upstream::Upstream;

/// The dataset that files are read into before a load is decided. Nobody sees it.
pub(crate) const STAGING: &str = "_emulators_staging";

/// Where the emulator says that results of queries are.
const RESULTS: &str = "_bqemu_anonymous";

/// Values of one row, as text; nested ones as JSON.
pub(crate) type Row = Vec<Option<String>>;

#[derive(Debug)]
pub(crate) struct Cloud {
    pub(crate) upstream: Upstream,
    pub(crate) ledger: Ledger,
    pub(crate) rates: Rates,
    /// The folder with the buckets.
    pub(crate) storage: PathBuf,
    /// Sizes of tables that did not change since they were measured.
    sizes: HashMap<Table, Size>,
}

impl Cloud {
    pub(crate) fn new(upstream: Upstream, ledger: Ledger, rates: Rates, storage: PathBuf) -> Self {
        Self { upstream, ledger, rates, storage, sizes: HashMap::new() }
    }

    /// A request to the emulator, with its answer whatever it is.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(u16, Value), Refusal> {
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let (status, bytes) = self.upstream.ask(method, path, body).await?;
        let value = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap_or(Value::Null) };
        Ok((status, value))
    }

    /// A request to the emulator that must succeed.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Refusal> {
        match self.ask(method, path, body).await? {
            (200..=299, value) => Ok(value),
            (_, error) => Err(Refusal::of(&error)),
        }
    }

    /// Runs a script in the emulator.
    pub(crate) async fn run(&self, project: &str, sql: &str) -> Result<Vec<Row>, Refusal> {
        let body = json!({"query": sql, "useLegacySql": false, "maxResults": 1_000_000});
        let answer = self.call(Method::POST, &format!("/bigquery/v2/projects/{project}/queries"), Some(&body)).await?;
        if let Some(error) = answer["errors"].get(0) {
            return Err(Refusal::of(error));
        }
        let cell = |cell: &Value| match &cell["v"] {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            nested => Some(nested.to_string()),
        };
        let row = |row: &Value| row["f"].as_array().map(|cells| cells.iter().map(cell).collect()).unwrap_or_default();
        Ok(answer["rows"].as_array().map(|rows| rows.iter().map(row).collect()).unwrap_or_default())
    }

    /// The one number that a query gives.
    pub(crate) async fn number(&self, project: &str, sql: &str) -> Result<u64, Refusal> {
        let rows = self.run(project, sql).await?;
        let cell = rows.first().and_then(|row| row.first()).and_then(Option::as_deref);
        cell.and_then(|text| text.parse().ok())
            .ok_or_else(|| Refusal::new("internalError", format!("no number came from: {sql}")))
    }

    /// The resource of a table as BigQuery gives it, or nothing if there is none.
    pub(crate) async fn table(&mut self, table: &Table) -> Result<Option<Value>, Refusal> {
        let Some(mut resource) = self.bare_table(table).await? else { return Ok(None) };
        if table.dataset == RESULTS {
            return Ok(Some(resource));
        }
        if let Some(facts) = self.ledger.facts(table) {
            overlay(&mut resource, &facts.declared);
            if let Some(cloned) = &facts.clone {
                resource["cloneDefinition"] = json!({"baseTableReference": cloned.base, "cloneTime": cloned.at});
            }
            let known = resource["lastModifiedTime"].as_str().and_then(|text| text.parse().ok()).unwrap_or(0);
            resource["lastModifiedTime"] = json!(facts.modified.unwrap_or(0).max(known).to_string());
        }
        if resource["type"] == "CLONE" {
            resource["type"] = json!("TABLE");
        }
        if let Some(dataset) = self.dataset(&table.project, &table.dataset).await? {
            resource["location"] = dataset["location"].clone();
        }
        if resource["type"] == "TABLE" {
            let size = self.size(table, &resource).await?;
            resource["numRows"] = json!(size.rows.to_string());
            for key in ["numBytes", "numActiveLogicalBytes", "numTotalLogicalBytes"] {
                resource[key] = json!(size.bytes.to_string());
            }
        }
        Ok(Some(resource))
    }

    /// The resource of a table as the emulator gives it.
    pub(crate) async fn bare_table(&self, table: &Table) -> Result<Option<Value>, Refusal> {
        match self.ask(Method::GET, &table.path(), None).await? {
            (200, resource) => Ok(Some(resource)),
            (404, _) => Ok(None),
            (_, error) => Err(Refusal::of(&error)),
        }
    }

    /// The resource of a table that must be there.
    pub(crate) async fn existing(&mut self, table: &Table) -> Result<Value, Refusal> {
        self.table(table).await?.ok_or_else(|| Refusal::not_found(format_args!("Table {table}")))
    }

    /// The resource of a dataset as BigQuery gives it, or nothing if there is none.
    pub(crate) async fn dataset(&self, project: &str, dataset: &str) -> Result<Option<Value>, Refusal> {
        let mut resource = match self.ask(Method::GET, &dataset_path(project, dataset), None).await? {
            (200, resource) => resource,
            (404, _) => return Ok(None),
            (_, error) => return Err(Refusal::of(&error)),
        };
        if let Some(declared) = self.ledger.dataset(project, dataset) {
            overlay(&mut resource, declared);
        }
        Ok(Some(resource))
    }

    /// The columns of a query's result.
    pub(crate) async fn columns(&self, project: &str, query: &str) -> Result<Value, Refusal> {
        // The emulator finds them out by running the query.
        let query = format!("SELECT * FROM (\n{}\n) LIMIT 0", query.trim().trim_end_matches(';'));
        let body = json!({"configuration": {"dryRun": true, "query": {"query": query, "useLegacySql": false}}});
        let job = self.call(Method::POST, &format!("/bigquery/v2/projects/{project}/jobs"), Some(&body)).await?;
        let schema = job.pointer("/statistics/query/schema").or_else(|| job.get("schema"));
        Ok(schema.cloned().unwrap_or_else(|| json!({"fields": []})))
    }

    /// Rows and bytes of a table.
    pub(crate) async fn size(&mut self, table: &Table, resource: &Value) -> Result<Size, Refusal> {
        if let Some(size) = self.sizes.get(table) {
            return Ok(*size);
        }
        let rows = self.run(&table.project, &bytes::measure(table, &resource["schema"])).await?;
        let number = |at: usize| {
            let cell = rows.first().and_then(|row| row.get(at)).and_then(Option::as_deref);
            cell.and_then(|text| text.parse().ok()).unwrap_or(0)
        };
        let size = Size { rows: number(0), bytes: number(1) };
        self.sizes.insert(table.clone(), size);
        Ok(size)
    }

    /// The rows of a table may have changed.
    pub(crate) fn touch(&mut self, table: &Table) {
        self.sizes.remove(table);
        self.ledger.facts_mut(table).modified = Some(Timestamp::now().as_millisecond());
    }

    /// A table is gone, or is another one now.
    pub(crate) fn forget(&mut self, table: &Table) {
        self.sizes.remove(table);
        self.ledger.remove(table);
    }

    /// A dataset is gone with all that was in it.
    pub(crate) fn forget_dataset(&mut self, project: &str, dataset: &str) {
        self.sizes.retain(|table, _| table.project != project || table.dataset != dataset);
        self.ledger.remove_dataset(project, dataset);
    }

    /// Counts a job that writes into a table, and refuses one too many.
    pub(crate) fn admit_write(&mut self, table: &Table, is_partitioned: bool) -> Result<(), Refusal> {
        self.rates.table(table, is_partitioned)?;
        limits::modify(self.ledger.modifications_mut(table), Timestamp::now())
    }

    pub(crate) fn save(&self) -> Result<(), Refusal> {
        Ok(self.ledger.save()?)
    }

    /// A name in the staging dataset, which is made if need be.
    pub(crate) async fn staging(&self, project: &str) -> Result<Table, Refusal> {
        let body = json!({"datasetReference": {"projectId": project, "datasetId": STAGING}});
        match self.ask(Method::POST, &format!("/bigquery/v2/projects/{project}/datasets"), Some(&body)).await? {
            (200 | 409, _) => Ok(Table::new(project, STAGING, &format!("load_{}", uuid::Uuid::now_v7().simple()))),
            (_, error) => Err(Refusal::of(&error)),
        }
    }
}

pub(crate) fn is_partitioned(resource: &Value) -> bool {
    resource.get("timePartitioning").is_some() || resource.get("rangePartitioning").is_some()
}

/// Puts what was declared over what the emulator remembers.
fn overlay(resource: &mut Value, declared: &Map<String, Value>) {
    for (key, value) in declared {
        if key == "schema" {
            if let Some(known) = resource.get_mut("schema") {
                schema::remember(known, value);
            }
        } else {
            resource[key] = value.clone();
        }
    }
}

/// Applies a patch as BigQuery does: objects are merged, null removes, all else replaces.
/// <https://docs.cloud.google.com/bigquery/docs/reference/rest/v2/tables/patch>
pub(crate) fn merge(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, value) in patch {
        match (value, target.get_mut(key)) {
            (Value::Null, _) => {
                target.remove(key);
            }
            (Value::Object(patch), Some(Value::Object(inner))) => merge(inner, patch),
            (Value::Object(patch), _) => {
                let mut inner = Map::new();
                merge(&mut inner, patch);
                target.insert(key.clone(), Value::Object(inner));
            }
            _ => {
                target.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_merges_and_null_removes() {
        let mut target = json!({"labels": {"a": "1", "b": "2"}, "access": [1]}).as_object().unwrap().clone();
        let patch = json!({"labels": {"a": null, "c": "3"}, "access": [2], "new": {"x": null, "y": 1}});
        merge(&mut target, patch.as_object().unwrap());
        assert_eq!(Value::from(target), json!({"labels": {"b": "2", "c": "3"}, "access": [2], "new": {"y": 1}}));
    }
}
