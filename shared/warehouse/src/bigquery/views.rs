//! What readers see: one view a published table, in one dataset, moved from slot to slot.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::time::sleep;
use wap::{Digest, Identifier, Slot};

use super::BigQuery;
use super::names::{LIVE, label};
use super::rest::CallError;
use super::schema::Field;
use super::tables::{Table, TableName};
use crate::converge::{CONCURRENT_CALLS, all, names};
use crate::{DEPLOYMENT, Desired, Difference, Error, Publication, PublishedColumn, PublishedView, Views};

/// The slot that a view shows, and the digest of its definition there: written with the definition, in one patch.
const SLOT_LABEL: &str = "slot";
const DEFINITION_LABEL: &str = "definition";

/// How long to wait for the authorisation of a slot's datasets to be known everywhere.
const PROBE_PATIENCE: Duration = Duration::from_mins(3);
const PROBE_PAUSE: Duration = Duration::from_secs(2);

/// A view as it shall be.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    name: TableName,
    query: String,
    description: String,
    columns: Vec<PublishedColumn>,
    labels: BTreeMap<&'static str, String>,
}

impl Wanted {
    /// Whether the view is so already.
    fn is(&self, found: &Table) -> bool {
        let labelled = self.labels.iter().all(|(key, value)| found.labels.get(*key) == Some(value));
        // Labels could have been copied by hand; the text, where it is told, could not.
        labelled && found.view.as_ref().is_none_or(|view| view.query == self.query)
    }

    /// The columns of the view with their descriptions.
    fn described(&self, fields: &[Field]) -> Vec<Field> {
        let description = |field: &Field| {
            let column = self.columns.iter().find(|column| column.name.as_str() == field.name)?;
            (!column.description.is_empty()).then(|| column.description.clone())
        };
        fields.iter().map(|field| Field { description: description(field), ..field.clone() }).collect()
    }
}

impl BigQuery {
    /// The views that a slot's publication asks for.
    fn wanted_views(&self, slot: &Slot, publication: &Publication) -> Vec<Wanted> {
        let deployment = ["cycle", "attempt", "newest_partition", "held"].map(|column| format!("`{column}`"));
        let own = TableName::new(self.names.dataset(slot, LIVE), DEPLOYMENT);
        let own = self.want(
            slot,
            DEPLOYMENT,
            format!("SELECT {} FROM {}", deployment.join(", "), self.sql(&own)),
            "The cycle that is published.",
            &[],
            None,
        );
        let views = publication.views.iter().map(|view| {
            self.want(
                slot,
                view.name.as_str(),
                self.select(slot, view),
                &view.description,
                &view.columns,
                view.area.as_deref(),
            )
        });
        views.chain([own]).collect()
    }

    fn want(
        &self,
        slot: &Slot,
        name: &str,
        query: String,
        description: &str,
        columns: &[PublishedColumn],
        area: Option<&str>,
    ) -> Wanted {
        let columns = columns.to_vec();
        let mut definition = format!("{query}\n{description}\n");
        for column in &columns {
            definition.push_str(&format!("{}:{}\n", column.name, column.description));
        }
        let mut labels = BTreeMap::from([
            (SLOT_LABEL, slot.name()),
            ("cycle", slot.cycle.to_string()),
            (DEFINITION_LABEL, Digest::of(&definition).to_string()),
        ]);
        if let Some(area) = area {
            labels.insert("area", label(area));
        }
        let name = TableName::new(self.names.live.as_str(), name);
        Wanted { name, query, description: description.to_owned(), columns, labels }
    }

    /// The query of a published view.
    fn select(&self, slot: &Slot, view: &PublishedView) -> String {
        let columns: Vec<String> = view.columns.iter().map(|column| format!("`{}`", column.name)).collect();
        let columns = if columns.is_empty() { "*".to_owned() } else { columns.join(", ") };
        let target = TableName::new(self.names.dataset(slot, view.schema.as_str()), view.relation.as_str());
        format!("SELECT {columns} FROM {}", self.sql(&target))
    }

    /// Moves a view, or makes it. `false` if somebody else changed it meanwhile.
    async fn move_view(&self, view: &Wanted, found: Option<&Table>) -> Result<bool, Error> {
        let what = || format!("moving view {}", view.name);
        let etag = if let Some(table) = found {
            table.etag.clone()
        } else {
            // A view is made without a schema, and without the labels that say it is complete.
            let resource = json!({"view": {"query": view.query, "useLegacySql": false}, "labels": {}});
            match self.make_table(&view.name, resource).await {
                Ok(made) => made.etag,
                Err(Error::Conflict { .. }) => return Ok(false),
                Err(error) => return Err(error),
            }
        };
        let estimate = self.estimate(&view.query).await.map_err(|error| error.context(what()))?;
        let change = json!({
            "view": {"query": view.query, "useLegacySql": false},
            "schema": {"fields": view.described(&estimate.fields)},
            "description": view.description,
            "labels": view.labels,
        });
        match self.patch_table(&view.name, &etag, &change).await {
            Ok(_) => Ok(true),
            // 404: dropped meanwhile. The next round makes it.
            Err(error) if matches!(error.status(), Some(404 | 412)) => Ok(false),
            Err(error) => Err(error.context(what())),
        }
    }

    /// How the readers' dataset differs from what converging would make of it, and who may still write the slot.
    pub(super) async fn published_differences(
        &self,
        slot: &Slot,
        publication: &Publication,
    ) -> Result<Vec<Difference>, Error> {
        let wanted = self.wanted_views(slot, publication);
        let live = self.names.live.as_str();
        let mut differences = self.access_differences(slot).await?;
        let reads = wanted.iter().map(|view| self.table(&view.name));
        for (view, found) in wanted.iter().zip(all(CONCURRENT_CALLS, reads).await?) {
            let found = match found {
                Some(table) if view.is(&table) => continue,
                Some(table) => match table.labels.get(SLOT_LABEL) {
                    Some(shown) if *shown == slot.name() => "its definition or labels are other ones".to_owned(),
                    Some(shown) => format!("it shows slot {shown}"),
                    None => "it has no label of a slot".to_owned(),
                },
                None => "there is no such view".to_owned(),
            };
            let expected = format!("it shows slot {slot}, as it was audited");
            differences.push(Difference { subject: view.name.to_string(), found, expected, converges: true });
        }
        let listed = self.rest.tables(live).await.map_err(|error| error.context(format!("listing dataset {live}")))?;
        let reads = listed.unwrap_or_default().into_iter().map(|(table, _)| async move {
            let name = TableName::new(live, table);
            Ok::<_, Error>((self.table(&name).await?, name))
        });
        for (found, name) in all(CONCURRENT_CALLS, reads).await? {
            let is_ours = found.is_some_and(|table| table.labels.contains_key(SLOT_LABEL));
            if is_ours && !wanted.iter().any(|view| view.name == name) {
                differences.push(Difference {
                    subject: name.to_string(),
                    found: "a view that is no part of what was published".to_owned(),
                    expected: "no such view; drop it if nobody reads it".to_owned(),
                    converges: false,
                });
            }
        }
        Ok(differences)
    }

    /// Checks that every view could be made over the slot, and that readers would be let through.
    pub(super) async fn check_views(&self, slot: &Slot, publication: &Publication) -> Result<(), Error> {
        let checks = publication.views.iter().map(|view| async move {
            let query = self.select(slot, view);
            self.estimate(&query)
                .await
                .map(drop)
                .map_err(|error| error.context(format!("checking the view {}", view.name)))
        });
        all(CONCURRENT_CALLS, checks).await?;
        self.probe(slot, publication).await
    }

    /// Reads the slot's datasets through a view of the readers' dataset, as published views will.
    async fn probe(&self, slot: &Slot, publication: &Publication) -> Result<(), Error> {
        let one_a_dataset: BTreeMap<&str, &PublishedView> =
            publication.views.iter().map(|view| (view.schema.as_str(), view)).collect();
        let selects: Vec<String> = one_a_dataset
            .values()
            .map(|view| {
                let target = TableName::new(self.names.dataset(slot, view.schema.as_str()), view.relation.as_str());
                format!("SELECT 1 AS seen FROM {}", self.sql(&target))
            })
            .collect();
        if selects.is_empty() {
            return Ok(());
        }
        let name = TableName::new(self.names.live.as_str(), format!("bgp_probe_{}", slot.attempt));
        self.drop_table(&name).await?;
        let query = selects.join(" UNION ALL ");
        self.make_table(&name, json!({"view": {"query": query, "useLegacySql": false}, "labels": {}})).await?;
        let probed = self.read_probe(&name).await;
        self.drop_table(&name).await?;
        probed
    }

    /// Waits until the probe can be read: BigQuery takes a moment to know of an authorisation everywhere.
    async fn read_probe(&self, name: &TableName) -> Result<(), Error> {
        let sql = format!("SELECT seen FROM {} LIMIT 0", self.sql(name));
        let start = Instant::now();
        loop {
            let rest = self.reader.as_ref().unwrap_or(&self.rest);
            match self.run_probe(rest, &sql).await {
                Ok(()) => return Ok(()),
                Err(error) if error.status() == Some(403) && start.elapsed() < PROBE_PATIENCE => {
                    sleep(PROBE_PAUSE).await;
                }
                Err(error) => return Err(error.context("reading the slot as a reader of published views")),
            }
        }
    }

    async fn run_probe(&self, rest: &super::Rest, sql: &str) -> Result<(), CallError> {
        let body = json!({
            "query": sql, "useLegacySql": false, "location": &*self.location, "timeoutMs": 30_000, "useQueryCache": false,
            "labels": {"pipeline": label(self.pipeline.as_str()), "step": "probe"},
        });
        let answer: Value = rest.post("/queries", &body).await?;
        if answer["jobComplete"] == true {
            return Ok(());
        }
        Err(CallError::Answer {
            status: 504,
            reason: None,
            message: "the probe took longer than a query without rows may".to_owned(),
            retry_after: None,
        })
    }

    /// The slots that views show.
    pub(super) async fn published_slots(&self) -> Result<Vec<String>, Error> {
        let live = self.names.live.as_str();
        let listed = self.rest.tables(live).await.map_err(|error| error.context(format!("listing dataset {live}")))?;
        let reads = listed
            .unwrap_or_default()
            .into_iter()
            .map(|(table, _)| async move { self.table(&TableName::new(live, table)).await });
        let slots: BTreeSet<String> = all(CONCURRENT_CALLS, reads)
            .await?
            .into_iter()
            .flatten()
            .filter_map(|view| view.labels.get(SLOT_LABEL).cloned())
            .collect();
        Ok(slots.into_iter().collect())
    }
}

/// The dataset that people read.
pub(super) struct LiveViews<'a>(pub(super) &'a BigQuery);

#[async_trait]
impl Views for LiveViews<'_> {
    type Wanted = Wanted;
    type Found = Table;

    fn wanted(&self, slot: &Slot, publication: &Publication) -> Vec<Wanted> {
        self.0.wanted_views(slot, publication)
    }

    async fn find(&self, wanted: &Wanted) -> Result<Option<Table>, Error> {
        self.0.table(&wanted.name).await
    }

    fn is_so(&self, wanted: &Wanted, found: &Table) -> bool {
        wanted.is(found)
    }

    async fn change(&self, wanted: &Wanted, found: Option<&Table>) -> Result<bool, Error> {
        self.0.move_view(wanted, found).await
    }

    async fn is_ours(&self, name: &Identifier) -> Result<bool, Error> {
        let found = self.0.table(&TableName::new(self.0.names.live.as_str(), name.as_str())).await?;
        Ok(found.is_some_and(|table| table.view.is_some() && table.labels.contains_key(SLOT_LABEL)))
    }

    async fn drop(&self, name: &Identifier) -> Result<(), Error> {
        self.0.drop_table(&TableName::new(self.0.names.live.as_str(), name.as_str())).await
    }

    async fn label(&self, slot: &Slot, desired: &dyn Desired) -> Result<(), Error> {
        let labels = BTreeMap::from([("cycle", slot.cycle.to_string()), (SLOT_LABEL, slot.name())]);
        self.0.label_live(&labels, || names(desired, slot)).await
    }
}
