//! Pins: what an attempt reads, in tables that nobody else writes.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Value, json};
use wap::{LOAD_COLUMN, Manifest, PARTITION_COLUMN, Slot};

use super::BigQuery;
use super::jobs::Purpose;
use super::layout::Layout;
use super::load::{PARTITIONS_OF_A_JOB, load_id};
use super::names::{CHANGES, RAW, literal};
use super::schema::{Difference, Field, difference, raw_fields};
use super::tables::TableName;
use crate::converge::all;
use crate::{Error, Pin};

/// The table of admitted partitions, in schema `raw` of the slot.
const PARTITIONS: &str = "bgp_partitions";

/// How many tables are pinned at once.
const CONCURRENT_TABLES: usize = 6;

/// The text of a statement may have a megabyte: <https://cloud.google.com/bigquery/quotas#query_jobs>.
const ROWS_OF_A_STATEMENT: usize = 4_000;

/// What rows of one partition are there: how many, of which upload.
type Found = BTreeMap<Option<String>, BTreeMap<Option<String>, u64>>;

impl BigQuery {
    /// Fills the schemas `raw` and `changes` of a slot, and makes the views of its layers, which read them.
    pub(super) async fn pin_all(&self, slot: &Slot, pins: &[Pin]) -> Result<(), Error> {
        self.settle(slot).await?;
        // Jobs of an earlier try worked on tables that are dropped now; none of them is to be found.
        let purpose = Purpose::once("pin");
        let tables = pins.iter().map(|pin| self.pin_table(slot, pin, &purpose));
        all(CONCURRENT_TABLES, tables).await?;
        self.pin_partitions(slot, pins, &purpose).await?;
        self.carry_views(slot).await
    }

    async fn pin_table(&self, slot: &Slot, pin: &Pin, purpose: &Purpose) -> Result<(), Error> {
        let table = &pin.table;
        let purpose = purpose.part("pin", &[table.name.as_str()]);
        let name = TableName::new(self.names.dataset(slot, RAW), table.name.as_str());
        self.copy_raw(slot, pin, &name, &purpose).await?;
        if self.mend(slot, pin, &name, &purpose).await? {
            // What was mended is read once more: the attempt stands on it.
            let wrong = wrong_partitions(&self.found(slot, &name).await?, pin);
            if !wrong.is_empty() {
                return Err(Error::internal(format!(
                    "table {name} still differs from what was admitted, in {} partitions; run the step again",
                    wrong.len()
                )));
            }
        }
        let changes = TableName::new(self.names.dataset(slot, CHANGES), format!("raw__{}", table.name));
        self.drop_table(&changes).await?;
        self.make_pin_table(&changes, pin, &Layout::default()).await?;
        let changed: Vec<&Manifest> = pin.changed.iter().collect();
        self.append(&changes, table, &changed, &purpose.part("changes", &[]), slot).await
    }

    /// Clones the table of raw into the slot, or makes an empty one where there is none that fits.
    async fn copy_raw(&self, slot: &Slot, pin: &Pin, name: &TableName, purpose: &Purpose) -> Result<(), Error> {
        self.drop_table(name).await?;
        let wanted = raw_fields(&pin.table.columns);
        let raw = TableName::new(self.names.raw.as_str(), pin.table.name.as_str());
        let found = self.table(&raw).await?;
        let lacking = found.as_ref().map(|found| difference(&found.schema.fields, &wanted));
        let (Some(found), Some(lacking @ (Difference::None | Difference::Lacks(_)))) = (found, lacking) else {
            return self.make_pin_table(name, pin, &Layout::of(&pin.table)).await;
        };
        match self.copy_table(&raw, name, purpose, slot).await {
            // A load is making it anew. The lake has all of it.
            Err(Error::NotFound { .. }) => return self.make_pin_table(name, pin, &Layout::of(&pin.table)).await,
            copied => copied?,
        }
        if let Difference::Lacks(fields) = lacking {
            self.widen(name, &fields, Some(slot)).await?;
        }
        // Models read all of a pin, and nothing of it goes before the slot does.
        if found.require_partition_filter {
            self.change_table(name, &json!({"requirePartitionFilter": false})).await?;
        }
        if found.layout.time_partitioning.is_some_and(|partitioning| partitioning.expiration_ms.is_some()) {
            let sql = format!("ALTER TABLE {} SET OPTIONS(partition_expiration_days=NULL)", self.sql(name));
            self.define(&purpose.part("keep", &[]), Some(slot), &sql, &format!("keeping {name}")).await?;
        }
        Ok(())
    }

    async fn make_pin_table(&self, name: &TableName, pin: &Pin, layout: &Layout) -> Result<(), Error> {
        let mut layout = layout.clone();
        if let Some(partitioning) = &mut layout.time_partitioning {
            partitioning.expiration_ms = None;
        }
        let mut resource = json!(layout);
        resource["schema"] = json!({"fields": raw_fields(&pin.table.columns)});
        resource["labels"] = json!({});
        self.make_table(name, resource).await.map(drop)
    }

    /// Replaces what is not exactly what was admitted. Returns whether anything was.
    async fn mend(&self, slot: &Slot, pin: &Pin, name: &TableName, purpose: &Purpose) -> Result<bool, Error> {
        let found = self.found(slot, name).await?;
        let wrong = wrong_partitions(&found, pin);
        if wrong.is_empty() {
            return Ok(false);
        }
        let there: Vec<&Option<String>> = wrong.iter().filter(|partition| found.contains_key(*partition)).collect();
        for (place, group) in there.chunks(PARTITIONS_OF_A_JOB).enumerate() {
            tracing::info!(table = %name, partitions = group.len(), "raw holds other partitions than were admitted");
            let keys: Vec<String> = group.iter().filter_map(|key| key.as_deref()).map(literal).collect();
            let mut conditions = Vec::new();
            if !keys.is_empty() {
                conditions.push(format!("`{PARTITION_COLUMN}` IN ({})", keys.join(", ")));
            }
            if group.iter().any(|key| key.is_none()) {
                conditions.push(format!("`{PARTITION_COLUMN}` IS NULL"));
            }
            let delete = format!("DELETE FROM {} WHERE {}", self.sql(name), conditions.join(" OR "));
            let what = format!("removing from {name} what was not admitted");
            let purpose = purpose.part("remove", &[&place.to_string()]);
            self.execute(&purpose, Some(slot), &[delete], &what).await?;
        }
        let missing: Vec<&Manifest> = pin
            .partitions
            .iter()
            .map(|partition| &partition.manifest)
            .filter(|manifest| wrong.contains(&Some(manifest.partition.as_str().to_owned())))
            .collect();
        self.append(name, &pin.table, &missing, &purpose.part("mend", &[]), slot).await?;
        Ok(true)
    }

    /// Rows of each partition and upload in a table.
    async fn found(&self, slot: &Slot, name: &TableName) -> Result<Found, Error> {
        let sql = format!(
            "SELECT `{PARTITION_COLUMN}`, `{LOAD_COLUMN}`, COUNT(*) AS number_of_rows FROM {} GROUP BY 1, 2",
            self.sql(name)
        );
        let rows = self.read_own(slot, &sql).await?;
        let mut found = Found::new();
        for row in rows {
            let text = |value: &Value| value.as_str().map(str::to_owned);
            let number = row[2].as_u64().unwrap_or_default();
            found.entry(text(&row[0])).or_default().insert(text(&row[1]), number);
        }
        Ok(found)
    }

    /// Writes the table of admitted partitions.
    async fn pin_partitions(&self, slot: &Slot, pins: &[Pin], purpose: &Purpose) -> Result<(), Error> {
        let name = TableName::new(self.names.dataset(slot, RAW), PARTITIONS);
        let fields = [
            Field::new("table_name", "STRING"),
            Field::new("partition", "STRING"),
            Field::new("starts_at", "TIMESTAMP"),
            Field::new("ends_at", "TIMESTAMP"),
            Field::new("row_count", "INTEGER"),
            Field::new("is_contiguous", "BOOLEAN"),
        ];
        self.drop_table(&name).await?;
        self.make_table(&name, json!({"schema": {"fields": fields}, "labels": {}})).await?;
        let mut rows = Vec::new();
        for pin in pins {
            for partition in &pin.partitions {
                let manifest = &partition.manifest;
                let (start, end) = manifest.window.unzip();
                let moment = |moment: Option<Timestamp>| {
                    moment.map_or_else(|| "NULL".to_owned(), |moment| format!("TIMESTAMP '{moment}'"))
                };
                rows.push(format!(
                    "({}, {}, {}, {}, {}, {})",
                    literal(pin.table.name.as_str()),
                    literal(manifest.partition.as_str()),
                    moment(start),
                    moment(end),
                    manifest.rows,
                    partition.is_contiguous
                ));
            }
        }
        let columns: Vec<String> = fields.iter().map(|field| format!("`{}`", field.name)).collect();
        for (place, group) in rows.chunks(ROWS_OF_A_STATEMENT).enumerate() {
            let insert =
                format!("INSERT INTO {} ({}) VALUES {}", self.sql(&name), columns.join(", "), group.join(", "));
            let purpose = purpose.part("partitions", &[&place.to_string()]);
            self.execute(&purpose, Some(slot), &[insert], &format!("filling {name}")).await?;
        }
        Ok(())
    }
}

/// The partitions, admitted or there, whose rows are not exactly those that were admitted.
fn wrong_partitions(found: &Found, pin: &Pin) -> BTreeSet<Option<String>> {
    let mut wanted = Found::new();
    for partition in &pin.partitions {
        let manifest = &partition.manifest;
        if manifest.rows > 0 {
            let loads = wanted.entry(Some(manifest.partition.as_str().to_owned())).or_default();
            loads.insert(Some(load_id(manifest).to_owned()), manifest.rows);
        }
    }
    let all = found.keys().chain(wanted.keys());
    all.filter(|partition| found.get(*partition) != wanted.get(*partition)).cloned().collect()
}
