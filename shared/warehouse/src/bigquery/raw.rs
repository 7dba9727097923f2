//! The tables of raw: as the contract says, and a partition at a time.
//!
//! Where the objects are loaded as they are ([`load`](super::load)), and a partition of the pipeline is one of BigQuery's,
//! one load job replaces it. Otherwise its rows are replaced by a delete and an insert in one transaction.
//!
//! What raw holds is remembered beside the lake, in `raw/TABLE/PARTITION.json`: `loading` before anything is changed,
//! `loaded` when it is done. A load that finds its own upload loaded does nothing; one that finds it loading continues
//! with the same job ids, so that it finds the jobs of whoever was interrupted.

use pipeline::Table;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Generation, ObjectStoreExt, Precondition};
use wap::{Manifest, PartitionKey, Slot};

use super::BigQuery;
use super::jobs::Purpose;
use super::layout::{Layout, Part};
use super::load::{is_direct, load_id, of_store, start_of};
use super::names::{label, literal};
use super::schema::{Difference, Field, difference, raw_fields};
use super::tables::{self, TableName};
use crate::{Error, Loaded, lake};

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
        let Some(generation) = self.claim(&key, &marker).await? else { return Ok(()) };
        let inputs = [
            table.name.as_str(),
            manifest.partition.as_str(),
            manifest.digest.as_str(),
            load_id(manifest),
            &generation.to_string(),
        ];
        self.replace(&name, table, manifest, &Purpose::new("load", &inputs)).await?;
        self.settle_claim(&key, &marker, generation).await
    }

    /// Says that the upload is being loaded, and returns the generation that says so: the one of whoever said it of the
    /// same upload before. Nothing if it is loaded already.
    async fn claim(&self, key: &str, marker: &impl Fn(MarkerState) -> Marker) -> Result<Option<Generation>, Error> {
        loop {
            let precondition = match self.store.get_json::<Marker>(key).await.map_err(of_store)? {
                Some((found, _)) if found == marker(MarkerState::Loaded) => return Ok(None),
                Some((found, generation)) if found == marker(MarkerState::Loading) => return Ok(Some(generation)),
                Some((_, generation)) => Precondition::Generation(generation),
                None => Precondition::Absent,
            };
            match self.store.put_json(key, &marker(MarkerState::Loading), precondition).await {
                Ok(generation) => return Ok(Some(generation)),
                Err(store::Error::Conflict { .. }) => {}
                Err(error) => return Err(of_store(error)),
            }
        }
    }

    /// Says that the upload is loaded.
    async fn settle_claim(
        &self,
        key: &str,
        marker: &impl Fn(MarkerState) -> Marker,
        generation: Generation,
    ) -> Result<(), Error> {
        let loaded = marker(MarkerState::Loaded);
        match self.store.put_json(key, &loaded, Precondition::Generation(generation)).await {
            Ok(_) => Ok(()),
            Err(store::Error::Conflict { .. }) => {
                let found = self.store.get_json::<Marker>(key).await.map_err(of_store)?;
                if found.is_some_and(|(found, _)| found == loaded) {
                    // The same upload was loaded by two at once; it was one job.
                    return Ok(());
                }
                // Raw now holds one of two uploads, and nobody knows which. Pins find out, and the next load mends it.
                Err(Error::Conflict {
                    what: format!("what {key} stands for"),
                    next: "another upload was loaded at the same time; load the partition again".to_owned(),
                })
            }
            Err(error) => Err(of_store(error)),
        }
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

    /// What the table holds by what is remembered of it. That costs no query; and where somebody changed rows by hand, the
    /// next pin finds it by content.
    pub(super) async fn loaded_partitions(&self, table: &Table) -> Result<Vec<Loaded>, Error> {
        let name = TableName::new(self.names.raw.as_str(), table.name.as_str());
        let Some(found) = self.table(&name).await? else { return Ok(Vec::new()) };
        let mut loaded = Vec::new();
        let prefix = format!("raw/{}/", table.name);
        for object in self.store.list(&prefix).await.map_err(of_store)? {
            let partition = object.key.strip_prefix(&prefix).and_then(|name| name.strip_suffix(".json"));
            let Some(partition) = partition.and_then(|name| PartitionKey::new(name).ok()) else { continue };
            let marker = match self.store.get_json::<Marker>(&object.key).await {
                Err(store::Error::Corrupt { .. }) => None,
                marker => marker.map_err(of_store)?,
            };
            if let Some((marker, _)) = marker
                && marker.state == MarkerState::Loaded
                && marker.table_made_at == found.creation_time
            {
                loaded.push(Loaded { partition, load: marker.load });
            }
        }
        Ok(loaded)
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
            self.execute(purpose, None, &[delete], &what).await?;
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
                self.execute(&purpose.part("replace", &[]), None, &[delete, insert], &what).await?;
                self.drop_table(&staging).await
            }
        }
    }
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
