//! Load jobs from Parquet in Cloud Storage.
//!
//! The emulator loads by position, into whole tables, and is left half done by a bad file. Here the files are read into a
//! staging table first, compared with the destination by name and type, and then moved in one transaction: all or nothing.
//!
//! Dispositions: <https://docs.cloud.google.com/bigquery/docs/reference/rest/v2/Job#JobConfigurationLoad>

use std::path::{Path, PathBuf};

use axum::http::Method;
use serde_json::{Map, Value, json};

use super::cloud::{Cloud, is_partitioned};
use super::jobs::Outcome;
use super::limits::{PARTITIONS_A_JOB, SOURCES_A_JOB};
use super::name::Table;
use super::partition::Partitioning;
use super::{schema, tables};
use crate::refusal::Refusal;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disposition {
    Append,
    Truncate,
    Empty,
}

impl Disposition {
    pub(crate) fn of(settings: &Value, default: Self) -> Result<Self, Refusal> {
        match settings["writeDisposition"].as_str() {
            None => Ok(default),
            Some("WRITE_APPEND") => Ok(Self::Append),
            Some("WRITE_TRUNCATE") => Ok(Self::Truncate),
            Some("WRITE_EMPTY") => Ok(Self::Empty),
            Some(other) => Err(Refusal::not_emulated(format_args!("writeDisposition {other}"))),
        }
    }
}

impl Cloud {
    /// Runs a load job.
    pub(crate) async fn load(&mut self, project: &str, configuration: &Value) -> Result<Outcome, Refusal> {
        let settings = &configuration["load"];
        let mut table = Table::of(&settings["destinationTable"], project);
        let decorator = table.name.split_once('$').map(|(name, decorator)| (name.to_owned(), decorator.to_owned()));
        let decorator = decorator.map(|(name, decorator)| {
            table.name = name;
            decorator
        });
        if settings["sourceFormat"] != "PARQUET" {
            return Err(Refusal::not_emulated("loading from Cloud Storage in a format other than PARQUET"));
        }
        if self.dataset(&table.project, &table.dataset).await?.is_none() {
            return Err(Refusal::not_found(format_args!("Dataset {}:{}", table.project, table.dataset)));
        }
        if let Some(given) = settings.get("schema") {
            schema::check(given)?;
        }
        let files = self.files(settings)?;
        let known = self.bare_table(&table).await?.is_some();
        if !known && settings["createDisposition"] == "CREATE_NEVER" {
            return Err(Refusal::not_found(format_args!("Table {table}")));
        }

        let staging = self.staging(&table.project).await?;
        let loaded = self.stage_and_move(&table, decorator.as_deref(), settings, &files, &staging).await;
        // Dropped whatever happened; a leftover would only take room.
        let dropped = self.run(&table.project, &format!("DROP TABLE IF EXISTS {}", staging.sql())).await;
        if loaded.is_err() && !known && self.bare_table(&table).await?.is_some() {
            // A job that fails makes no table.
            self.delete_table(&table).await?;
        }
        let rows = loaded?;
        dropped?;
        self.touch(&table);
        self.save()?;
        let bytes: u64 = files.iter().filter_map(|file| Some(std::fs::metadata(file).ok()?.len())).sum();
        Ok(Outcome::of(json!({"load": {
            "inputFiles": files.len().to_string(),
            "inputFileBytes": bytes.to_string(),
            "outputRows": rows.to_string(),
            "outputBytes": bytes.to_string(),
            "badRecords": "0",
        }})))
    }

    async fn stage_and_move(
        &mut self,
        table: &Table,
        decorator: Option<&str>,
        settings: &Value,
        files: &[PathBuf],
        staging: &Table,
    ) -> Result<u64, Refusal> {
        let list: Vec<String> = files.iter().map(|file| format!("'{}'", file.display())).collect();
        let read = format!(
            "CREATE TABLE {} AS SELECT * FROM read_parquet([{}], hive_partitioning = false, union_by_name = true)",
            staging.sql(),
            list.join(", ")
        );
        self.run(&table.project, &read).await.map_err(|refusal| {
            Refusal::invalid(format!("Error while reading data, error message: {}", refusal.message))
        })?;
        let staged = self.bare_table(staging).await?.unwrap_or_default();
        let disposition = Disposition::of(settings, Disposition::Append)?;
        let resource = self.destination(table, settings, &staged, disposition, decorator.is_some()).await?;
        self.admit_write(table, is_partitioned(&resource))?;

        let columns = columns(table, &staged["schema"], &resource["schema"])?;
        self.check_required(staging, &resource["schema"], &columns).await?;
        let partitioning = Partitioning::of(&resource)?;
        let rows_replaced = match (decorator, &partitioning) {
            (None, _) => "TRUE".to_owned(),
            (Some(_), None) => {
                return Err(Refusal::invalid(format!(
                    "Cannot load into a partition of {table}, which is not partitioned"
                )));
            }
            (Some(decorator), Some(partitioning)) => {
                let condition = partitioning.condition(decorator)?;
                let outside = format!("SELECT COUNT(*) FROM {} WHERE NOT ({condition})", staging.sql());
                if self.number(&table.project, &outside).await? > 0 {
                    return Err(Refusal::invalid(format!(
                        "Some rows belong to different partitions rather than destination partition {table}${decorator}"
                    )));
                }
                condition
            }
        };
        if let Some(partitioning) = &partitioning {
            let count = format!("SELECT COUNT(DISTINCT {}) FROM {}", partitioning.key(), staging.sql());
            let partitions = self.number(&table.project, &count).await?;
            if partitions > PARTITIONS_A_JOB {
                return Err(Refusal::new(
                    "quotaExceeded",
                    format!(
                        "Too many partitions produced by query, allowed {PARTITIONS_A_JOB}, query produces at least \
                         {partitions} partitions"
                    ),
                ));
            }
        }
        if disposition == Disposition::Empty {
            let count = format!("SELECT COUNT(*) FROM {} WHERE {rows_replaced}", table.sql());
            if self.number(&table.project, &count).await? > 0 {
                return Err(Refusal::new("duplicate", format!("Already Exists: Table {table}")));
            }
        }
        let names: Vec<String> = columns.iter().map(|name| format!("`{name}`")).collect();
        let names = names.join(", ");
        let insert = format!("INSERT INTO {} ({names}) SELECT {names} FROM {};", table.sql(), staging.sql());
        let delete = match disposition {
            Disposition::Truncate => format!("DELETE FROM {} WHERE {rows_replaced};", table.sql()),
            Disposition::Append | Disposition::Empty => String::new(),
        };
        self.run(&table.project, &format!("BEGIN TRANSACTION; {delete} {insert} COMMIT TRANSACTION;")).await?;
        self.number(&table.project, &format!("SELECT COUNT(*) FROM {}", staging.sql())).await
    }

    /// The table to load into, made or made anew if need be.
    async fn destination(
        &mut self,
        table: &Table,
        settings: &Value,
        staged: &Value,
        disposition: Disposition,
        is_partition: bool,
    ) -> Result<Value, Refusal> {
        let given = settings.get("schema");
        let Some(current) = self.table(table).await? else {
            let mut definition = layout(settings);
            definition.insert("tableReference".to_owned(), table.reference());
            // Parquet says its own columns.
            definition.insert("schema".to_owned(), given.unwrap_or(&staged["schema"]).clone());
            return self.insert_table(table, &Value::Object(definition)).await;
        };
        if current["type"] != "TABLE" {
            let kind = current["type"].as_str().unwrap_or_default();
            return Err(Refusal::invalid(format!(
                "{table} is not allowed for this operation because it is currently a {kind}."
            )));
        }
        let asked = layout(settings);
        for key in ["timePartitioning", "rangePartitioning"] {
            if let Some(partitioning) = asked.get(key)
                && !is_same_layout(partitioning, current.get(key))
            {
                return Err(Refusal::invalid(format!(
                    "Incompatible table partitioning specification. Expects {}, but input is {partitioning}",
                    current.get(key).unwrap_or(&Value::Null)
                )));
            }
        }
        let Some(given) = given else { return Ok(current) };
        let added = schema::fields(given).iter().find(|field| {
            !schema::fields(&current["schema"])
                .iter()
                .any(|known| schema::name(known).eq_ignore_ascii_case(schema::name(field)))
        });
        if disposition == Disposition::Truncate && !is_partition {
            if added.is_some() || schema::fields(given).len() != schema::fields(&current["schema"]).len() {
                return self.replace_table(table, &current, given).await;
            }
            return Ok(current);
        }
        match added {
            None => Ok(current),
            Some(field) if !allows_addition(settings) => Err(Refusal::invalid(format!(
                "Provided Schema does not match Table {table}. Cannot add fields (field: {})",
                schema::name(field)
            ))),
            Some(_) => {
                let mut fields = schema::fields(&current["schema"]).to_vec();
                let is_new = |field: &&Value| {
                    !fields.iter().any(|known| schema::name(known).eq_ignore_ascii_case(schema::name(field)))
                };
                let new: Vec<Value> = schema::fields(given).iter().filter(is_new).cloned().collect();
                fields.extend(new);
                let patch = json!({"schema": {"fields": fields}});
                self.change_table(table, &patch, false, &axum::http::HeaderMap::new()).await
            }
        }
    }

    /// Loading with truncation takes the schema of the load.
    async fn replace_table(&mut self, table: &Table, current: &Value, given: &Value) -> Result<Value, Refusal> {
        let mut definition = tables::remembered(current);
        definition.insert("tableReference".to_owned(), table.reference());
        definition.insert("schema".to_owned(), given.clone());
        self.call(Method::DELETE, &table.path(), None).await?;
        self.insert_table(table, &Value::Object(definition)).await
    }

    async fn check_required(&self, staging: &Table, wanted: &Value, columns: &[String]) -> Result<(), Refusal> {
        for field in schema::fields(wanted).iter().filter(|field| field["mode"] == "REQUIRED") {
            let name = schema::name(field);
            let missing = if columns.iter().any(|column| column.eq_ignore_ascii_case(name)) {
                self.number(&staging.project, &format!("SELECT COUNTIF(`{name}` IS NULL) FROM {}", staging.sql()))
                    .await?
            } else {
                1
            };
            if missing > 0 {
                return Err(Refusal::invalid(format!("Required field {name} cannot be null")));
            }
        }
        Ok(())
    }

    /// The files that a job reads, which must be there.
    fn files(&self, settings: &Value) -> Result<Vec<PathBuf>, Refusal> {
        let uris = settings["sourceUris"].as_array().map(Vec::as_slice).unwrap_or_default();
        if uris.is_empty() {
            return Err(Refusal::invalid("Required parameter is missing: sourceUris"));
        }
        if uris.len() > SOURCES_A_JOB {
            return Err(Refusal::invalid(format!("Too many source URIs: {}, at most {SOURCES_A_JOB}", uris.len())));
        }
        let mut files = Vec::new();
        for uri in uris.iter().filter_map(Value::as_str) {
            let object = uri.strip_prefix("gs://").filter(|object| is_plain(object));
            let object = object.ok_or_else(|| {
                Refusal::invalid(format!("Source URI must be a Google Cloud Storage location: {uri}"))
            })?;
            let found = match object.split_once('*') {
                None => vec![self.storage.join(object)],
                Some((before, after)) => matching(&self.storage, before, after),
            };
            if found.is_empty() || !found.iter().all(|file| file.is_file()) {
                return Err(Refusal::not_found(format_args!("URI {uri}")));
            }
            files.extend(found);
        }
        Ok(files)
    }
}

/// Names that need no quoting in SQL and stay inside of the folder.
fn is_plain(object: &str) -> bool {
    !object.contains(['\'', '"', '\\', ';', '\n']) && !object.split('/').any(|part| part == ".." || part.is_empty())
}

/// The files below a folder whose names begin and end so.
fn matching(folder: &Path, before: &str, after: &str) -> Vec<PathBuf> {
    let start = before.rsplit_once('/').map_or("", |(start, _)| start);
    let mut found = Vec::new();
    let mut open = vec![folder.join(start)];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
            if path.is_dir() {
                open.push(path);
            } else if name.starts_with(before) && name.ends_with(after) && name.len() >= before.len() + after.len() {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The columns to load, all of which the table must have, of the same type.
fn columns(table: &Table, staged: &Value, wanted: &Value) -> Result<Vec<String>, Refusal> {
    let mut names = Vec::new();
    for field in schema::fields(staged) {
        let name = schema::name(field);
        let found = schema::fields(wanted).iter().find(|known| schema::name(known).eq_ignore_ascii_case(name));
        let found = found.ok_or_else(|| {
            Refusal::invalid(format!("Provided Schema does not match Table {table}. Cannot add fields (field: {name})"))
        })?;
        if !schema::is_loadable(field, found) {
            let kind = |field: &Value| field["type"].as_str().unwrap_or_default().to_owned();
            return Err(Refusal::invalid(format!(
                "Error while reading data, error message: Parquet column '{name}' has type {}, which does not \
                 match the target type {}",
                kind(field),
                kind(found)
            )));
        }
        names.push(schema::name(found).to_owned());
    }
    Ok(names)
}

/// Partitioning, clustering and the like that a load job may say for a table it makes.
fn layout(settings: &Value) -> Map<String, Value> {
    let properties = settings["destinationTableProperties"].as_object().cloned().unwrap_or_default();
    let keys = ["timePartitioning", "rangePartitioning", "clustering"];
    let given = keys.iter().filter_map(|key| Some(((*key).to_owned(), settings.get(*key)?.clone())));
    properties.into_iter().chain(given).collect()
}

fn is_same_layout(asked: &Value, current: Option<&Value>) -> bool {
    let Some(current) = current else { return false };
    ["type", "field", "range"].iter().all(|key| asked.get(*key) == current.get(*key))
}

fn allows_addition(settings: &Value) -> bool {
    let options = settings["schemaUpdateOptions"].as_array();
    options.is_some_and(|options| options.iter().any(|option| option == "ALLOW_FIELD_ADDITION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_folder_or_need_quoting_are_refused() {
        for name in ["b/../c", "b//c", "b/it's", "b/\"", "../b"] {
            assert!(!is_plain(name), "{name}");
        }
        assert!(is_plain("bucket/day=2025-08-01/part-0.parquet"));
    }

    #[test]
    fn a_star_stands_for_anything() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b/x/part-0.parquet", "b/x/y/part-1.parquet", "b/x/other.json", "b/z.parquet"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let found = matching(folder.path(), "b/x/", ".parquet");
        let expected: Vec<_> =
            ["b/x/part-0.parquet", "b/x/y/part-1.parquet"].iter().map(|name| folder.path().join(name)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn columns_must_be_there_and_fit() {
        let table = Table::new("p", "d", "t");
        let wanted = json!({"fields": [{"name": "A", "type": "INT64"}, {"name": "b", "type": "STRING"}]});
        let staged = |name: &str, kind: &str| json!({"fields": [{"name": name, "type": kind}]});
        assert_eq!(columns(&table, &staged("a", "INTEGER"), &wanted).unwrap(), ["A"]);
        assert!(columns(&table, &staged("a", "STRING"), &wanted).is_err());
        assert!(columns(&table, &staged("c", "STRING"), &wanted).is_err());
    }
}
