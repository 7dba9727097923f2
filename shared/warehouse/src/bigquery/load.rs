//! From the lake into tables: raw, and those of a pin.
//!
//! Where the objects hold the columns as raw has them, and a partition of the pipeline is one of BigQuery's, one load job
//! replaces it. Otherwise the rows go through a staging table, and are replaced by a delete and an insert in one
//! transaction.
//!
//! What raw holds is remembered beside the lake, in `raw/TABLE/PARTITION.json`: `loading` before anything is changed,
//! `loaded` when it is done. A load that finds its own upload loaded does nothing; one that finds it loading continues
//! with the same job ids, so that it finds the jobs of whoever was interrupted.

use pipeline::{Column, Table};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{ObjectStoreExt, Precondition};
use wap::{LOAD_COLUMN, Manifest, PARTITION_COLUMN, PARTITION_START_COLUMN, PartitionKey, Slot};

use super::jobs::Purpose;
use super::layout::{Layout, Part};
use super::names::{label, literal};
use super::rest::table_reference;
use super::schema::{
    Difference, Field, converted, difference, is_loaded_as_it_is, own_fields, raw_fields, staged_field,
};
use super::tables::{self, TableName};
use super::{BigQuery, CONCURRENT_CALLS, all};
use crate::{Error, lake};

/// A load job takes at most so many objects, and writes at most so many partitions:
/// <https://cloud.google.com/bigquery/quotas#load_jobs>.
const OBJECTS_OF_A_JOB: usize = 10_000;
const PARTITIONS_OF_A_JOB: usize = 4_000;

/// A staging table that nobody dropped is dropped by BigQuery after this long.
const STAGING_SECONDS: i64 = 24 * 60 * 60;

const MARKER_VERSION: u32 = 1;

/// What raw holds of a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Marker {
    version: u32,
    state: MarkerState,
    /// The upload.
    load: String,
    /// When the table in raw was made: a table that was made anew holds nothing of what was loaded before.
    table_made_at: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum MarkerState {
    Loading,
    Loaded,
}

/// The upload that rows of a manifest are from, as `bgp_load` says it. Objects of before there was that column are given
/// the digest of their rows.
pub(super) fn load_id(manifest: &Manifest) -> &str {
    manifest.load.as_deref().unwrap_or(manifest.digest.as_str())
}

/// Whether one load job gives the rows of a manifest as raw has them.
fn is_direct(table: &Table, manifest: &Manifest) -> bool {
    let has = |column: &Column| manifest.columns.iter().any(|found| found.name == column.name);
    manifest.load.is_some()
        && manifest.columns.len() == table.columns.len()
        && table.columns.iter().all(|column| has(column) && is_loaded_as_it_is(column))
}

/// When the partition begins by the pipeline's clocks, as a DATETIME literal's text; nothing for `all`.
fn start_of(table: &Table, partition: &PartitionKey) -> Result<Option<String>, Error> {
    if partition == &PartitionKey::all() {
        return Ok(None);
    }
    let window = table.calendar.window(partition).map_err(|source| Error::Rejected {
        what: format!("partition {partition} of table {} is none of its partitions", table.name),
        source: Some(Box::new(source)),
    })?;
    Ok(Some(table.calendar.time_zone.to_datetime(window.start).to_string()))
}

impl BigQuery {
    /// Replaces a partition of a table in raw.
    pub(super) async fn load_partition(&self, table: &Table, manifest: &Manifest) -> Result<(), Error> {
        lake::stored_columns(table, &manifest.columns)?;
        self.verify(manifest).await?;
        let name = TableName::new(self.names.raw.as_str(), table.name.as_str());
        let made_at = self.raw_table(&name, table).await?;
        let key = format!("raw/{}/{}.json", table.name, manifest.partition);
        let marker = |state| Marker {
            version: MARKER_VERSION,
            state,
            load: load_id(manifest).to_owned(),
            table_made_at: made_at.clone(),
        };
        let stored = self.store.get_json::<Marker>(&key).await.map_err(of_store)?;
        let generation = match stored {
            Some((found, _)) if found == marker(MarkerState::Loaded) => return Ok(()),
            Some((found, generation)) if found == marker(MarkerState::Loading) => generation,
            other => {
                let precondition =
                    other.map_or(Precondition::Absent, |(_, generation)| Precondition::Generation(generation));
                self.store.put_json(&key, &marker(MarkerState::Loading), precondition).await.map_err(of_store)?
            }
        };
        let inputs = [
            table.name.as_str(),
            manifest.partition.as_str(),
            manifest.digest.as_str(),
            load_id(manifest),
            &generation.to_string(),
        ];
        self.replace(&name, table, manifest, &Purpose::new("load", &inputs)).await?;
        // Whoever loads another upload meanwhile has changed the marker; raw then holds one of the two, and nobody knows
        // which. Pins find out, and the next load of the partition mends it.
        let precondition = Precondition::Generation(generation);
        self.store.put_json(&key, &marker(MarkerState::Loaded), precondition).await.map_err(of_store)?;
        Ok(())
    }

    /// The table in raw, made or widened where that is needed. Returns when it was made.
    async fn raw_table(&self, name: &TableName, table: &Table) -> Result<String, Error> {
        let wanted = raw_fields(&table.columns);
        if let Some(found) = self.table(name).await? {
            let layout = Layout::of(table);
            let how = match difference(&found.schema.fields, &wanted) {
                _ if !found.layout.is_like(&layout) => "it is partitioned or clustered otherwise".to_owned(),
                Difference::Other(how) => how,
                Difference::None => {
                    self.describe(name, table, &found, &wanted).await?;
                    return Ok(found.creation_time);
                }
                Difference::Lacks(fields) => {
                    self.widen(name, &fields, None).await?;
                    return Ok(found.creation_time);
                }
            };
            if found.labels.get("pipeline") != Some(&label(self.pipeline.as_str())) {
                return Err(Error::rejected(format!(
                    "table {name} is not as pipeline.yaml says ({how}), and this pipeline did not make it; move it away"
                )));
            }
            // Raw is a projection of the lake. What does not fit any more is loaded again; pins do not depend on it.
            tracing::warn!(table = %name, how, "a table of raw does not fit its contract and is made anew");
            self.drop_table(name).await?;
        }
        let made = self.make_raw_table(name, table, &wanted).await;
        match made {
            Err(Error::Conflict { .. }) => {
                // Another load made it first.
                let found = self.table(name).await?;
                found.map(|table| table.creation_time).ok_or_else(|| {
                    Error::internal(format!("table {name} is there and is not; load the partition again"))
                })
            }
            other => other.map(|table| table.creation_time),
        }
    }

    /// Brings what is said of a table and its columns up to date.
    async fn describe(
        &self,
        name: &TableName,
        table: &Table,
        found: &tables::Table,
        wanted: &[Field],
    ) -> Result<(), Error> {
        if found.description == table.description && same_descriptions(&found.schema.fields, wanted) {
            return Ok(());
        }
        let change = json!({"description": table.description, "schema": {"fields": wanted}});
        self.change_table(name, &change).await
    }

    async fn make_raw_table(&self, name: &TableName, table: &Table, fields: &[Field]) -> Result<tables::Table, Error> {
        let mut resource = json!(Layout::of(table));
        resource["schema"] = json!({"fields": fields});
        resource["labels"] = json!({"pipeline": label(self.pipeline.as_str())});
        if let Some(description) = &table.description {
            resource["description"] = description.as_str().into();
        }
        // "Must filter" is meant for people who query raw.
        if table.raw.require_partition_filter
            && (resource.get("timePartitioning").is_some() || resource.get("rangePartitioning").is_some())
        {
            resource["requirePartitionFilter"] = true.into();
        }
        self.make_table(name, resource).await
    }

    /// Adds columns that may be NULL.
    pub(super) async fn widen(&self, name: &TableName, fields: &[Field], slot: Option<&Slot>) -> Result<(), Error> {
        let added: Vec<String> = fields
            .iter()
            .map(|field| {
                let described =
                    field.description.as_deref().map(|text| format!(" OPTIONS(description={})", literal(text)));
                format!(
                    "ADD COLUMN IF NOT EXISTS `{}` {}{}",
                    field.name,
                    field.sql_type(),
                    described.unwrap_or_default()
                )
            })
            .collect();
        let sql = format!("ALTER TABLE {} {}", self.sql(name), added.join(", "));
        let what = format!("adding columns to table {name}");
        self.define(&Purpose::once("widen"), slot, &sql, &what).await.map(drop)
    }

    /// Replaces the partition's rows in a table of the contract's columns.
    async fn replace(
        &self,
        name: &TableName,
        table: &Table,
        manifest: &Manifest,
        purpose: &Purpose,
    ) -> Result<(), Error> {
        let part = Part::of(table, &manifest.partition);
        let what = format!("loading partition {} of table {}", manifest.partition, table.name);
        let start = start_of(table, &manifest.partition)?;
        let delete = format!(
            "DELETE FROM {} WHERE {}",
            self.sql(name),
            part.condition(table, &manifest.partition, start.as_deref())
        );
        if manifest.objects.is_empty() {
            self.change(purpose, None, &[delete], &what).await?;
            return Ok(());
        }
        let target = match &part {
            Part::Whole => Some(name.table.clone()),
            Part::Partition(decorator) => Some(format!("{}${decorator}", name.table)),
            Part::Rows => None,
        };
        match target {
            Some(target) if is_direct(table, manifest) => {
                let target = TableName::new(&name.dataset, target);
                let whole = (part == Part::Whole).then_some(table);
                let load = self.load_job(&target, raw_fields(&table.columns), &[manifest], "WRITE_TRUNCATE", whole);
                self.load_rows(purpose, None, load, &[manifest], &what).await
            }
            _ => {
                let (staging, insert) = self.staged(name, table, manifest, purpose, None, &what).await?;
                self.change(&purpose.part("replace", &[]), None, &[delete, insert], &what).await?;
                self.drop_table(&staging).await
            }
        }
    }

    /// Adds the rows of manifests to a table of the contract's columns that only this attempt writes.
    pub(super) async fn append(
        &self,
        name: &TableName,
        table: &Table,
        manifests: &[&Manifest],
        purpose: &Purpose,
        slot: &Slot,
    ) -> Result<(), Error> {
        for manifest in manifests {
            lake::stored_columns(table, &manifest.columns)?;
        }
        let what = format!("loading table {} from the lake", table.name);
        let full = manifests.iter().copied().filter(|manifest| !manifest.objects.is_empty());
        let (direct, other): (Vec<&Manifest>, Vec<&Manifest>) = full.partition(|manifest| is_direct(table, manifest));
        for group in groups(&direct) {
            let load = self.load_job(name, raw_fields(&table.columns), group, "WRITE_APPEND", None);
            let ids: Vec<&str> =
                group.iter().flat_map(|manifest| [manifest.digest.as_str(), load_id(manifest)]).collect();
            self.load_rows(&purpose.part("append", &ids), Some(slot), load, group, &what).await?;
        }
        for manifest in other {
            let purpose = purpose.part("append", &[manifest.digest.as_str(), load_id(manifest)]);
            let (staging, insert) = self.staged(name, table, manifest, &purpose, Some(slot), &what).await?;
            self.change(&purpose.part("insert", &[]), Some(slot), &[insert], &what).await?;
            self.drop_table(&staging).await?;
        }
        Ok(())
    }

    /// Loads a manifest's objects into a staging table. Returns it, and the statement that inserts its rows into the
    /// table of the contract's columns.
    async fn staged(
        &self,
        name: &TableName,
        table: &Table,
        manifest: &Manifest,
        purpose: &Purpose,
        slot: Option<&Slot>,
        what: &str,
    ) -> Result<(TableName, String), Error> {
        let columns: Vec<&Column> = lake::stored_columns(table, &manifest.columns)?
            .into_iter()
            .filter_map(|(column, is_there)| is_there.then_some(column))
            .collect();
        let staging =
            TableName::new(self.names.operations.as_str(), format!("load_{}_{}", table.name, purpose.digest()));
        let mut fields: Vec<Field> = columns.iter().map(|column| staged_field(column)).collect();
        if manifest.load.is_some() {
            // The objects have them, and the insert below writes the same values.
            fields.extend(own_fields());
        }
        let expires = jiff::Timestamp::now().as_millisecond() + STAGING_SECONDS * 1000;
        let resource = json!({
            "schema": {"fields": fields},
            "expirationTime": expires.to_string(),
            "labels": {"pipeline": label(self.pipeline.as_str())},
        });
        match self.make_table(&staging, resource.clone()).await {
            Err(Error::Conflict { .. }) => {
                // Left by whoever was interrupted.
                self.drop_table(&staging).await?;
                self.make_table(&staging, resource).await?;
            }
            made => drop(made?),
        }
        let load = self.load_job(&staging, fields, &[manifest], "WRITE_TRUNCATE", None);
        // The table may be another one of the same name by now, and the job that filled the first one must not be found.
        let filled = Purpose::once("stage");
        self.load_rows(&filled, slot, load, &[manifest], what).await?;

        let names: Vec<String> = columns.iter().map(|column| format!("`{}`", column.name)).collect();
        let values: Vec<String> = columns.iter().map(|column| converted(column)).collect();
        let start = start_of(table, &manifest.partition)?;
        let start = start.map_or_else(|| "CAST(NULL AS DATETIME)".to_owned(), |start| format!("DATETIME '{start}'"));
        let insert = format!(
            "INSERT INTO {} ({}, `{PARTITION_COLUMN}`, `{PARTITION_START_COLUMN}`, `{LOAD_COLUMN}`)\n\
             SELECT {}, {}, {start}, {} FROM {}",
            self.sql(name),
            names.join(", "),
            values.join(", "),
            literal(manifest.partition.as_str()),
            literal(load_id(manifest)),
            self.sql(&staging),
        );
        Ok((staging, insert))
    }

    /// The configuration of a load job of objects of the lake. With `whole`, a table that is truncated as a whole: its layout
    /// and descriptions have to be said again. Otherwise they are not the load's business.
    fn load_job(
        &self,
        target: &TableName,
        fields: Vec<Field>,
        manifests: &[&Manifest],
        disposition: &str,
        whole: Option<&Table>,
    ) -> Value {
        let objects = manifests.iter().flat_map(|manifest| &manifest.objects);
        let uris: Vec<String> = objects.map(|object| format!("gs://{}/{}", self.bucket, object.key)).collect();
        let fields = if whole.is_some() { fields } else { fields.into_iter().map(undescribed).collect() };
        let mut load = whole.map_or_else(|| json!({}), |table| json!(Layout::of(table)));
        load["sourceUris"] = uris.into();
        load["sourceFormat"] = "PARQUET".into();
        load["destinationTable"] = table_reference(&self.names.project, &target.dataset, &target.table);
        load["schema"] = json!({"fields": fields});
        // Types come from the contract and are never guessed.
        load["autodetect"] = false.into();
        load["createDisposition"] = "CREATE_NEVER".into();
        load["writeDisposition"] = disposition.into();
        load["decimalTargetTypes"] = json!(["NUMERIC", "BIGNUMERIC"]);
        load["parquetOptions"] = json!({"enableListInference": true});
        // Columns that the contract no longer has.
        load["ignoreUnknownValues"] = true.into();
        json!({"load": load})
    }

    /// Runs a load job, and counts the rows: an object that was cut short after its check is noticed here.
    async fn load_rows(
        &self,
        purpose: &Purpose,
        slot: Option<&Slot>,
        load: Value,
        manifests: &[&Manifest],
        what: &str,
    ) -> Result<(), Error> {
        let job = self.run(purpose, slot, load, what).await?;
        let wanted: u64 = manifests.iter().map(|manifest| manifest.rows).sum();
        match job.loaded_rows() {
            Some(rows) if rows != wanted => Err(Error::rejected(format!(
                "{what} gave {rows} rows, and the manifests say {wanted}; delete the manifests and extract the partitions again"
            ))),
            _ => Ok(()),
        }
    }

    /// Compares the objects with what the manifest says of them. Cloud Storage never changes an object: any other content
    /// is another generation; so nothing has to be read.
    async fn verify(&self, manifest: &Manifest) -> Result<(), Error> {
        let checks = manifest.objects.iter().map(|object| async move {
            let damaged = |how: &str| lake::damaged(manifest, &object.key, how);
            match self.store.head(&object.key).await {
                Err(store::Error::NotFound { .. }) => Err(damaged("is gone")),
                Err(error) => Err(of_store(error)),
                Ok(found) if found.bytes != object.bytes => {
                    Err(damaged(&format!("has {} bytes, its manifest says {}", found.bytes, object.bytes)))
                }
                Ok(found) if found.generation != object.generation => {
                    Err(damaged("was replaced after it was extracted (its generation differs)"))
                }
                Ok(_) => Ok(()),
            }
        });
        all(CONCURRENT_CALLS, checks).await.map(drop)
    }
}

fn undescribed(field: Field) -> Field {
    let fields = field.fields.into_iter().map(undescribed).collect();
    Field { description: None, fields, ..field }
}

/// Whether the columns, in whatever order, are described alike.
fn same_descriptions(found: &[Field], wanted: &[Field]) -> bool {
    wanted.iter().all(|field| {
        let there = found.iter().find(|there| there.name.eq_ignore_ascii_case(&field.name));
        there.is_some_and(|there| {
            there.description == field.description && same_descriptions(&there.fields, &field.fields)
        })
    })
}

/// What one load job can take each.
fn groups<'list, 'manifest>(manifests: &'list [&'manifest Manifest]) -> Vec<&'list [&'manifest Manifest]> {
    let mut groups = Vec::new();
    let (mut first, mut objects) = (0, 0);
    for (place, manifest) in manifests.iter().enumerate() {
        let is_full = objects + manifest.objects.len() > OBJECTS_OF_A_JOB || place - first == PARTITIONS_OF_A_JOB;
        if is_full && place > first {
            groups.push(&manifests[first..place]);
            (first, objects) = (place, 0);
        }
        objects += manifest.objects.len();
    }
    if first < manifests.len() {
        groups.push(&manifests[first..]);
    }
    groups
}

fn of_store(error: store::Error) -> Error {
    match error {
        store::Error::Conflict { key } => Error::Conflict {
            what: format!("what {key} stands for"),
            next: "another load was faster; load the partition again".to_owned(),
        },
        store::Error::Unavailable { .. } => {
            Error::Unavailable { what: "a call of the store".to_owned(), source: Box::new(error) }
        }
        other => Error::Internal { what: "the store is not as it should be".to_owned(), source: Some(Box::new(other)) },
    }
}
