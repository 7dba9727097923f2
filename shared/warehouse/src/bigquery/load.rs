//! From objects of the lake into tables.
//!
//! Where the objects hold the columns as raw has them, a load job does it. Otherwise the rows go through a staging table,
//! whose columns are what a load job gives, and an insert converts them.

use pipeline::{Column, Table};
use serde_json::{Value, json};
use wap::{LOAD_COLUMN, Manifest, PARTITION_COLUMN, PARTITION_START_COLUMN, PartitionKey, Slot};

use super::BigQuery;
use super::jobs::Purpose;
use super::layout::Layout;
use super::names::{label, literal};
use super::rest::table_reference;
use super::schema::{Field, converted, is_loaded_as_it_is, own_fields, raw_fields, staged_field};
use super::tables::TableName;
use crate::converge::{CONCURRENT_CALLS, all};
use crate::{Error, lake};

/// A load job takes at most so many objects, and writes at most so many partitions:
/// <https://cloud.google.com/bigquery/quotas#load_jobs>.
const OBJECTS_OF_A_JOB: usize = 10_000;
pub(super) const PARTITIONS_OF_A_JOB: usize = 4_000;

/// A staging table that nobody dropped is dropped by BigQuery after this long.
const STAGING_SECONDS: i64 = 24 * 60 * 60;

/// The upload that rows of a manifest are from, as `bgp_load` says it. Objects of before there was that column are given
/// the digest of their rows.
pub(super) fn load_id(manifest: &Manifest) -> &str {
    manifest.load.as_deref().unwrap_or(manifest.digest.as_str())
}

/// Whether one load job gives the rows of a manifest as raw has them.
pub(super) fn is_direct(table: &Table, manifest: &Manifest) -> bool {
    let has = |column: &Column| manifest.columns.iter().any(|found| found.name == column.name);
    manifest.load.is_some()
        && manifest.columns.len() == table.columns.len()
        && table.columns.iter().all(|column| has(column) && is_loaded_as_it_is(column))
}

/// When the partition begins by the pipeline's clocks, as a DATETIME literal's text; nothing for `all`.
pub(super) fn start_of(table: &Table, partition: &PartitionKey) -> Result<Option<String>, Error> {
    let start = table.calendar.local_start(partition).map_err(|source| Error::Rejected {
        what: format!("partition {partition} of table {} is none of its partitions", table.name),
        source: Some(Box::new(source)),
    })?;
    Ok(start.map(|start| start.to_string()))
}

impl BigQuery {
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
            self.execute(&purpose.part("insert", &[]), Some(slot), &[insert], &what).await?;
            self.drop_table(&staging).await?;
        }
        Ok(())
    }

    /// Loads a manifest's objects into a staging table. Returns it, and the statement that inserts its rows into the
    /// table of the contract's columns.
    pub(super) async fn staged(
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
    pub(super) fn load_job(
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
    pub(super) async fn load_rows(
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
    pub(super) async fn verify(&self, manifest: &Manifest) -> Result<(), Error> {
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

pub(super) fn of_store(error: store::Error) -> Error {
    match error {
        store::Error::Unavailable { .. } => {
            Error::Unavailable { what: "a call of the store".to_owned(), source: Box::new(error) }
        }
        other => Error::Internal { what: "the store is not as it should be".to_owned(), source: Some(Box::new(other)) },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wap::{Digest, Identifier, LAKE_VERSION, ManifestObject};

    use super::*;

    fn manifest(objects: usize) -> Manifest {
        let object = ManifestObject {
            key: "lake/t/part-0.parquet".to_owned(),
            generation: 1,
            rows: 1,
            bytes: 1,
            checksum: Digest::of("object"),
        };
        Manifest {
            version: LAKE_VERSION,
            table: Identifier::new("t").unwrap(),
            partition: PartitionKey::all(),
            window: None,
            digest: Digest::of("rows"),
            contract: Digest::of("contract"),
            load: None,
            rows: 1,
            bytes: 1,
            columns: Vec::new(),
            objects: vec![object; objects],
            sums: std::collections::BTreeMap::new(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_job_gets_what_it_can_take(sizes in prop::collection::vec(0_usize..6_000, 0..12), many in any::<bool>()) {
            let mut manifests: Vec<Manifest> = sizes.into_iter().map(manifest).collect();
            if many {
                manifests.extend(std::iter::repeat_n(manifest(1), 9_000));
            }
            let manifests: Vec<&Manifest> = manifests.iter().collect();
            let groups = groups(&manifests);
            prop_assert_eq!(groups.iter().map(|group| group.len()).sum::<usize>(), manifests.len());
            for group in groups {
                let objects: usize = group.iter().map(|manifest| manifest.objects.len()).sum();
                prop_assert!(!group.is_empty() && group.len() <= PARTITIONS_OF_A_JOB);
                prop_assert!(objects <= OBJECTS_OF_A_JOB);
            }
        }
    }
}
