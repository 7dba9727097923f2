//! Slots: made from the one before, closed, and fingerprinted.

use std::collections::BTreeSet;

use serde::Serialize;
use wap::{Digest, Slot};

use super::BigQuery;
use super::datasets::gone;
use super::jobs::Purpose;
use super::names::{CHANGES, LIVE, RAW, carried, literal};
use super::tables::TableName;
use crate::converge::{CONCURRENT_CALLS, all};
use crate::{BuiltModel, DEPLOYMENT, Error, Publication};

/// A table or view of a slot.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    pub(super) schema: String,
    pub(super) name: TableName,
    /// As `INFORMATION_SCHEMA` calls it.
    kind: String,
}

impl Relation {
    fn is_view(&self) -> bool {
        self.kind == "VIEW"
    }

    fn holds_rows(&self) -> bool {
        matches!(self.kind.as_str(), "BASE TABLE" | "CLONE")
    }
}

/// A view that is to be made in a slot.
#[derive(Debug, Clone)]
struct WaitingView {
    name: TableName,
    query: String,
}

/// What a fingerprint is made of. Any write changes the time, any other definition one of the digests.
#[derive(Debug, Serialize)]
struct Trace {
    name: String,
    kind: String,
    rows: Option<String>,
    bytes: Option<String>,
    modified: String,
    query: Option<Digest>,
    schema: Digest,
}

impl BigQuery {
    /// Makes a slot's datasets, and fills them with what the slot before it has in its layers.
    pub(super) async fn create_slot(
        &self,
        slot: &Slot,
        from: Option<&Slot>,
        without: &[BuiltModel],
    ) -> Result<(), Error> {
        self.make_slot_datasets(slot, from).await?;
        let Some(from) = from else { return Ok(()) };
        let purpose = Purpose::once("create");
        let relations = self.carried_relations(from).await?;
        // Views read the pin, directly or not, and wait for it.
        let is_left_out = |relation: &Relation| {
            without
                .iter()
                .any(|model| model.schema.as_str() == relation.schema && model.relation == relation.name.table)
        };
        let copied = relations.iter().filter(|relation| !relation.is_view() && !is_left_out(relation));
        let tables = copied.map(|relation| {
            let target = TableName::new(self.names.dataset(slot, &relation.schema), &relation.name.table);
            let purpose = &purpose;
            async move { self.copy_table(&relation.name, &target, purpose, slot).await }
        });
        all(CONCURRENT_CALLS, tables).await.map(drop)
    }

    /// Makes each view of the slot that this one was made from over the slot's own relations.
    ///
    /// In rounds: what reads a view that is not there yet is refused and waits for the next one. What is left when a
    /// round makes nothing reads what a model made that the project has no more; dbt builds such a model anew or drops it.
    pub(super) async fn carry_views(&self, slot: &Slot) -> Result<(), Error> {
        let Some(from) = self.made_from(slot).await? else { return Ok(()) };
        let Some(from) = Slot::named(&from) else {
            return Err(Error::internal(format!("{from} is no name of a slot; correct the label of slot {slot}")));
        };
        let mut waiting = self.waiting_views(slot, &from).await?;
        let purpose = Purpose::once("views");
        for round in 0.. {
            let made = waiting.iter().enumerate().map(|(place, view)| {
                let purpose = purpose.part("view", &[&round.to_string(), &place.to_string()]);
                async move {
                    let sql = format!("CREATE OR REPLACE VIEW {} AS\n{}", self.sql(&view.name), view.query);
                    let what = format!("making view {}", view.name);
                    match self.define(&purpose, Some(slot), &sql, &what).await {
                        Ok(_) => Ok(None),
                        Err(Error::Rejected { .. } | Error::NotFound { .. }) => Ok(Some(view.clone())),
                        Err(error) => Err(error),
                    }
                }
            });
            let left: Vec<WaitingView> = all(CONCURRENT_CALLS, made).await?.into_iter().flatten().collect();
            if left.is_empty() || left.len() == waiting.len() {
                for view in left {
                    tracing::warn!(view = %view.name, "a view reads what the slot does not have, and is left out");
                }
                break;
            }
            waiting = left;
        }
        Ok(())
    }

    /// Clones the tables of models that were built in another slot, and then makes their views, in order.
    pub(super) async fn adopt_models(&self, slot: &Slot, from: &Slot, models: &[BuiltModel]) -> Result<bool, Error> {
        let relations = self.slot_relations(from).await?;
        let mut found = Vec::new();
        for (schema, name, is_required) in models.iter().flat_map(BuiltModel::relations) {
            let relation = relations.iter().find(|relation| relation.schema == schema && relation.name.table == name);
            match relation {
                Some(relation) => found.push(relation),
                None if is_required => {
                    return Err(Error::NotFound {
                        what: format!("{schema}.{name} of slot {from}"),
                        next: "begin a new attempt".to_owned(),
                    });
                }
                None => {}
            }
        }
        let purpose = Purpose::once("adopt");
        let target =
            |relation: &Relation| TableName::new(self.names.dataset(slot, &relation.schema), &relation.name.table);
        let tables = found.iter().filter(|relation| !relation.is_view()).map(|relation| {
            let (purpose, target) = (&purpose, target(relation));
            async move { self.copy_table(&relation.name, &target, purpose, slot).await }
        });
        all(CONCURRENT_CALLS, tables).await?;
        for (place, relation) in found.iter().filter(|relation| relation.is_view()).enumerate() {
            let Some(view) = self.table(&relation.name).await?.and_then(|table| table.view) else {
                return Err(Error::NotFound {
                    what: format!("view {}", relation.name),
                    next: "begin a new attempt".to_owned(),
                });
            };
            let name = target(relation);
            let query = carried(&view.query, &self.names, from, slot);
            let sql = format!("CREATE OR REPLACE VIEW {} AS\n{query}", self.sql(&name));
            let purpose = purpose.part("view", &[&place.to_string()]);
            self.define(&purpose, Some(slot), &sql, &format!("making view {name}")).await?;
        }
        Ok(true)
    }

    async fn waiting_views(&self, slot: &Slot, from: &Slot) -> Result<Vec<WaitingView>, Error> {
        let there: BTreeSet<TableName> =
            self.slot_relations(slot).await?.into_iter().map(|relation| relation.name).collect();
        let relations = self.carried_relations(from).await?;
        let reads = relations.iter().filter(|relation| relation.is_view()).map(|relation| async move {
            let name = TableName::new(self.names.dataset(slot, &relation.schema), &relation.name.table);
            let found = self.table(&relation.name).await?;
            let view = found.and_then(|table| table.view).ok_or_else(|| {
                Error::internal(format!("view {} has no query; roll back, or restore it", relation.name))
            })?;
            Ok(WaitingView { name, query: carried(&view.query, &self.names, from, slot) })
        });
        let mut waiting = all(CONCURRENT_CALLS, reads).await?;
        waiting.retain(|view| !there.contains(&view.name));
        Ok(waiting)
    }

    /// The relations that go from one slot into the next: those that dbt made.
    async fn carried_relations(&self, from: &Slot) -> Result<Vec<Relation>, Error> {
        let mut relations = self.slot_relations(from).await?;
        relations.retain(|relation| ![RAW, CHANGES, LIVE].contains(&relation.schema.as_str()));
        let other = relations.iter().find(|relation| !relation.is_view() && !relation.holds_rows());
        match other {
            None => Ok(relations),
            Some(other) => Err(Error::rejected(format!(
                "{} is a {}, which can't be carried into the next slot; materialize it as a table or a view",
                other.name,
                other.kind.to_lowercase()
            ))),
        }
    }

    /// All tables and views of a slot, in order.
    ///
    /// By a query: a list of the REST interface may be an old one, and a table that is left out of it would be left out of
    /// the next slot, or of a fingerprint.
    pub(super) async fn slot_relations(&self, slot: &Slot) -> Result<Vec<Relation>, Error> {
        if self.dataset_is_missing(&self.names.dataset(slot, LIVE)).await? {
            return Err(gone(slot));
        }
        let of_each: Vec<String> = self
            .slot_schemas()
            .iter()
            .map(|schema| {
                let dataset = self.names.dataset(slot, schema);
                let tables = format!("`{}.{dataset}`.INFORMATION_SCHEMA.TABLES", self.names.project);
                format!("SELECT '{schema}' AS slot_schema, table_name, table_type FROM {tables}")
            })
            .collect();
        let sql = format!("SELECT * FROM ({})", of_each.join(" UNION ALL "));
        let found = self.read_own(slot, &sql).await?;
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let relations = found.iter().map(|row| Relation {
            schema: text(&row[0]),
            name: TableName::new(self.names.dataset(slot, &text(&row[0])), text(&row[1])),
            kind: text(&row[2]),
        });
        let mut relations: Vec<Relation> = relations.collect();
        relations.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(relations)
    }

    /// Bytes of all tables of a slot, those too that it shares with the slot that it was cloned from.
    pub(super) async fn slot_size(&self, slot_name: &str) -> Result<u64, Error> {
        let Some(slot) = Slot::named(slot_name) else { return Ok(0) };
        let relations = match self.slot_relations(&slot).await {
            Err(Error::NotFound { .. }) => return Ok(0),
            found => found?,
        };
        let tables =
            relations.iter().filter(|relation| relation.holds_rows()).map(|relation| self.table(&relation.name));
        let sizes = all(CONCURRENT_CALLS, tables).await?.into_iter().flatten();
        Ok(sizes.filter_map(|table| table.num_bytes?.parse::<u64>().ok()).sum())
    }

    /// Ends all writing to a slot, and adds its view `deployment`.
    pub(super) async fn seal_slot(&self, slot: &Slot, publication: &Publication) -> Result<Digest, Error> {
        self.close_slot(slot).await?;
        let name = TableName::new(self.names.dataset(slot, LIVE), DEPLOYMENT);
        if self.table(&name).await?.is_none() {
            let row = &publication.deployment;
            let newest = row.newest_partition.as_ref().map_or_else(|| "NULL".to_owned(), |key| literal(key.as_str()));
            let held: Vec<&str> = row.held.iter().map(wap::PartitionKey::as_str).collect();
            let sql = format!(
                "CREATE OR REPLACE VIEW {} AS SELECT {} AS cycle, {} AS attempt, CAST({newest} AS STRING) AS \
                 newest_partition, {} AS held",
                self.sql(&name),
                row.cycle,
                literal(row.attempt.as_str()),
                literal(&held.join(",")),
            );
            self.define(&Purpose::once("seal"), Some(slot), &sql, &format!("making view {name}")).await?;
        }
        self.slot_fingerprint(slot).await
    }

    /// The digest of what BigQuery says of all relations of a slot. Reading changes nothing of it.
    pub(super) async fn slot_fingerprint(&self, slot: &Slot) -> Result<Digest, Error> {
        let internal = |source: serde_json::Error| Error::Internal {
            what: format!("taking the fingerprint of slot {slot}"),
            source: Some(Box::new(source)),
        };
        let relations = self.slot_relations(slot).await?;
        let traces = relations.iter().map(|relation| async move {
            let Some(table) = self.table(&relation.name).await? else {
                return Err(Error::Conflict {
                    what: format!("slot {slot}"),
                    next: format!("{} was dropped while its fingerprint was taken; begin a new attempt", relation.name),
                });
            };
            Ok(Trace {
                name: relation.name.to_string(),
                kind: table.kind,
                rows: table.num_rows,
                bytes: table.num_bytes,
                modified: table.last_modified_time,
                query: table.view.map(|view| Digest::of(view.query)),
                schema: Digest::of_json(&table.schema).map_err(internal)?,
            })
        });
        Digest::of_json(&all(CONCURRENT_CALLS, traces).await?).map_err(internal)
    }
}
