//! `tables.*`.

use axum::http::{HeaderMap, Method};
use serde_json::{Map, Value, json};

use super::cloud::{Cloud, is_partitioned, merge};
use super::name::{Table, dataset_path};
use super::partition::Partitioning;
use super::{etag, schema};
use crate::refusal::Refusal;

const CLUSTERING_COLUMNS: usize = 4;
/// What only BigQuery says of a table.
const OUTPUT_ONLY: [&str; 12] = [
    "kind",
    "id",
    "etag",
    "selfLink",
    "tableReference",
    "creationTime",
    "lastModifiedTime",
    "numRows",
    "numBytes",
    "type",
    "location",
    "cloneDefinition",
];

impl Cloud {
    pub(crate) async fn insert_table(&mut self, table: &Table, body: &Value) -> Result<Value, Refusal> {
        if self.dataset(&table.project, &table.dataset).await?.is_none() {
            return Err(Refusal::not_found(format_args!("Dataset {}:{}", table.project, table.dataset)));
        }
        check_definition(body)?;
        let mut body = body.clone();
        if let Some(query) = body.pointer("/view/query").and_then(Value::as_str) {
            if self.bare_table(table).await?.is_some() {
                return Err(Refusal::new("duplicate", format!("Already Exists: Table {table}")));
            }
            let create = format!("CREATE VIEW {} AS {query}", table.sql());
            body["schema"] = self.view_schema(&table.project, query, body.get("schema")).await?;
            // Over REST the emulator would make a table of the name, which SQL could not replace.
            self.run(&table.project, &create).await?;
            self.call(Method::PATCH, &table.path(), Some(&body)).await?;
        } else {
            let path = format!("{}/tables", dataset_path(&table.project, &table.dataset));
            self.call(Method::POST, &path, Some(&body)).await?;
        }
        self.forget(table);
        self.ledger.facts_mut(table).declared = remembered(&body);
        self.existing(table).await
    }

    /// `tables.patch`, or `tables.update` if `is_whole`.
    pub(crate) async fn change_table(
        &mut self,
        table: &Table,
        body: &Value,
        is_whole: bool,
        headers: &HeaderMap,
    ) -> Result<Value, Refusal> {
        let current = self.existing(table).await?;
        etag::check(headers, &current)?;
        self.rates.table(table, is_partitioned(&current))?;
        let patch = body.as_object().cloned().unwrap_or_default();
        let mut next = if is_whole { Map::new() } else { remembered(&current) };
        merge(&mut next, &patch);
        let mut next = Value::Object(next);
        let query = next.pointer("/view/query").and_then(Value::as_str).map(str::to_owned);
        if let Some(query) = query {
            next["schema"] = self.view_schema(&table.project, &query, patch.get("schema")).await?;
        } else if let Some(changed) = patch.get("schema") {
            self.change_columns(table, &current["schema"], changed).await?;
        }
        check_definition(&next)?;
        if is_whole && next.get("labels").is_none() {
            next["labels"] = json!({});
        }
        self.call(Method::PATCH, &table.path(), Some(&next)).await?;
        self.ledger.facts_mut(table).declared = remembered(&next);
        self.existing(table).await
    }

    /// Columns may be added, and nothing else about them may change but what is said of them.
    /// <https://docs.cloud.google.com/bigquery/docs/managing-table-schemas>
    async fn change_columns(&mut self, table: &Table, current: &Value, next: &Value) -> Result<(), Refusal> {
        for field in schema::fields(current) {
            let name = schema::name(field);
            let kept = schema::fields(next).iter().find(|next| schema::name(next).eq_ignore_ascii_case(name));
            if !kept.is_some_and(|kept| schema::is_loadable(field, kept) && schema::is_loadable(kept, field)) {
                return Err(Refusal::invalid(format!(
                    "Provided Schema does not match Table {table}. Field {name} is missing or has changed in new schema"
                )));
            }
        }
        for field in schema::fields(next) {
            let name = schema::name(field);
            if schema::fields(current).iter().any(|known| schema::name(known).eq_ignore_ascii_case(name)) {
                continue;
            }
            let kind = field["type"].as_str().unwrap_or_default();
            if field["mode"] == "REQUIRED" {
                return Err(Refusal::invalid(format!(
                    "Provided Schema does not match Table {table}. Cannot add required fields to an \
                     existing schema. (field: {name})"
                )));
            }
            if field["mode"] == "REPEATED" || schema::rest_type(kind) == "RECORD" {
                return Err(Refusal::not_emulated("adding nested or repeated columns to a table"));
            }
            self.run(&table.project, &format!("ALTER TABLE {} ADD COLUMN `{name}` {}", table.sql(), sql_type(kind)))
                .await?;
            self.touch(table);
        }
        Ok(())
    }

    /// The columns of a view, with the descriptions that were given for them. A query that does not compile is refused.
    async fn view_schema(&self, project: &str, query: &str, given: Option<&Value>) -> Result<Value, Refusal> {
        let mut columns = self.columns(project, query).await?;
        let given = given.map(schema::fields).unwrap_or_default();
        for column in columns["fields"].as_array_mut().into_iter().flatten() {
            let described = given.iter().find(|field| schema::name(field).eq_ignore_ascii_case(schema::name(column)));
            if let Some(description) = described.and_then(|field| field.get("description")) {
                column["description"] = description.clone();
            }
        }
        Ok(columns)
    }

    pub(crate) async fn delete_table(&mut self, table: &Table) -> Result<(), Refusal> {
        let Some(resource) = self.bare_table(table).await? else {
            return Err(Refusal::not_found(format_args!("Table {table}")));
        };
        if resource["type"] == "VIEW" {
            // The emulator can't delete a view over REST that was made by SQL.
            self.run(&table.project, &format!("DROP VIEW {}", table.sql())).await?;
        } else {
            self.call(Method::DELETE, &table.path(), None).await?;
        }
        self.forget(table);
        Ok(())
    }

    pub(crate) async fn list_tables(&mut self, project: &str, dataset: &str) -> Result<Vec<Value>, Refusal> {
        self.existing_dataset(project, dataset).await?;
        let path = format!("{}/tables?maxResults=1000000", dataset_path(project, dataset));
        let list = self.call(Method::GET, &path, None).await?;
        let mut tables = list["tables"].as_array().cloned().unwrap_or_default();
        for item in &mut tables {
            let table = Table::of(&item["tableReference"], project);
            if item["type"] == "CLONE" {
                item["type"] = json!("TABLE");
            }
            let Some(facts) = self.ledger.facts(&table) else { continue };
            for key in ["labels", "timePartitioning", "rangePartitioning", "clustering", "expirationTime", "view"] {
                if let Some(value) = facts.declared.get(key) {
                    item[key] = value.clone();
                }
            }
        }
        Ok(tables)
    }

    /// After DDL that the emulator's catalogue does not follow: reads the columns anew.
    pub(crate) async fn refresh_columns(&mut self, table: &Table) -> Result<(), Refusal> {
        let Some(current) = self.bare_table(table).await? else { return Ok(()) };
        let mut columns = self.columns(&table.project, &format!("SELECT * FROM {}", table.sql())).await?;
        for column in columns["fields"].as_array_mut().into_iter().flatten() {
            let known =
                schema::fields(&current["schema"]).iter().find(|field| schema::name(field) == schema::name(column));
            if let Some(known) = known {
                *column = known.clone();
            }
        }
        self.call(Method::PATCH, &table.path(), Some(&json!({"schema": columns}))).await?;
        Ok(())
    }
}

/// Refuses definitions that BigQuery refuses.
fn check_definition(body: &Value) -> Result<(), Refusal> {
    let table_schema = body.get("schema").cloned().unwrap_or_else(|| json!({}));
    schema::check(&table_schema)?;
    if body.get("view").is_some() {
        return Ok(());
    }
    Partitioning::of(body)?;
    let columns = body["clustering"]["fields"].as_array().map(Vec::as_slice).unwrap_or_default();
    if columns.len() > CLUSTERING_COLUMNS {
        return Err(Refusal::invalid(format!(
            "Too many fields specified for clustering: {}, at most {CLUSTERING_COLUMNS}",
            columns.len()
        )));
    }
    for column in columns.iter().filter_map(Value::as_str) {
        if !schema::fields(&table_schema).iter().any(|field| schema::name(field).eq_ignore_ascii_case(column)) {
            return Err(Refusal::invalid(format!(
                "The field specified for clustering cannot be found in the schema: {column}"
            )));
        }
    }
    Ok(())
}

/// What of a table is remembered here.
pub(crate) fn remembered(body: &Value) -> Map<String, Value> {
    let all = body.as_object().cloned().unwrap_or_default();
    let is_ours = |key: &str| !OUTPUT_ONLY.contains(&key) && !key.starts_with("num");
    all.into_iter().filter(|(key, _)| is_ours(key)).collect()
}

fn sql_type(kind: &str) -> &str {
    match schema::rest_type(kind) {
        "INTEGER" => "INT64",
        "FLOAT" => "FLOAT64",
        "BOOLEAN" => "BOOL",
        other => other,
    }
}
