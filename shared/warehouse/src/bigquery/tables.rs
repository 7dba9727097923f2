//! Tables and views as resources: <https://cloud.google.com/bigquery/docs/reference/rest/v2/tables>.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wap::Slot;

use super::BigQuery;
use super::jobs::Purpose;
use super::layout::Layout;
use super::rest::{CallError, table_reference};
use super::schema::Schema;
use crate::{Error, Statistics};

/// BigQuery refuses a clone of a clone of a clone of a clone: <https://cloud.google.com/bigquery/quotas#table_clones>.
const DEEPEST_CLONE: u32 = 3;

/// How many clones lie between a table and the last one that was written in full. BigQuery does not tell. A table that is
/// replaced (`CREATE OR REPLACE`) loses the label, and with it the clones behind it.
const DEPTH_LABEL: &str = "clone_depth";

/// The name of a table or view of this project.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TableName {
    pub(super) dataset: String,
    pub(super) table: String,
}

impl TableName {
    pub(super) fn new(dataset: impl Into<String>, table: impl Into<String>) -> Self {
        Self { dataset: dataset.into(), table: table.into() }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.dataset, self.table)
    }
}

/// What is read of a table or view. Numbers are text in the API.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Table {
    pub(super) etag: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) description: Option<String>,
    pub(super) schema: Schema,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) creation_time: String,
    pub(super) last_modified_time: String,
    pub(super) num_rows: Option<String>,
    pub(super) num_bytes: Option<String>,
    pub(super) require_partition_filter: bool,
    pub(super) view: Option<View>,
    #[serde(flatten)]
    pub(super) layout: Layout,
}

/// The definition of a view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct View {
    pub(super) query: String,
}

impl Table {
    fn clone_depth(&self) -> u32 {
        self.labels.get(DEPTH_LABEL).and_then(|depth| depth.parse().ok()).unwrap_or(0)
    }
}

impl BigQuery {
    /// What is known of a table; nothing if there is none.
    pub(super) async fn table(&self, name: &TableName) -> Result<Option<Table>, Error> {
        self.read_table(name).await.map_err(|error| error.context(format!("reading table {name}")))
    }

    async fn read_table(&self, name: &TableName) -> Result<Option<Table>, CallError> {
        self.rest.get(&path(name), &[]).await
    }

    /// Makes a table or view; one that is there already is a conflict. `resource` has all but its name.
    pub(super) async fn make_table(&self, name: &TableName, resource: Value) -> Result<Table, Error> {
        let mut resource = resource;
        resource["tableReference"] = table_reference(&self.names.project, &name.dataset, &name.table);
        // A label of this call tells what it made from what somebody else did.
        let made = super::unique();
        resource["labels"]["made"] = made.as_str().into();
        let look = || async {
            let found = self.read_table(name).await?;
            Ok(found.filter(|table| table.labels.get("made") == Some(&made)))
        };
        let inserted = self.rest.insert(&format!("/datasets/{}/tables", name.dataset), &resource, look).await;
        inserted.map_err(|error| error.context(format!("making table {name}")))
    }

    /// Changes a table or view that still has this etag.
    pub(super) async fn patch_table(&self, name: &TableName, etag: &str, change: &Value) -> Result<Table, CallError> {
        self.rest.patch(&path(name), etag, change).await
    }

    /// Changes a table that nobody else writes, whatever it is now.
    pub(super) async fn change_table(&self, name: &TableName, change: &Value) -> Result<(), Error> {
        let what = || format!("changing table {name}");
        loop {
            let Some(table) = self.table(name).await? else {
                return Err(Error::internal(format!("table {name} is gone while it is made; run the step again")));
            };
            match self.patch_table(name, &table.etag, change).await {
                Ok(_) => return Ok(()),
                // Either it was done without an answer, or somebody changed another part of it; done again it is done.
                Err(error) if error.status() == Some(412) => {}
                Err(error) => return Err(error.context(what())),
            }
        }
    }

    /// Drops a table or view. That it is not there is no error.
    pub(super) async fn drop_table(&self, name: &TableName) -> Result<(), Error> {
        let dropped = self.rest.delete_table(&name.dataset, &name.table).await;
        dropped.map_err(|error| error.context(format!("dropping {name}")))
    }

    /// Makes `to`, which must not be there, a copy of `from`: a clone, which costs nothing, or a full copy where the chain
    /// of clones behind it is as long as BigQuery allows, or where BigQuery refuses to clone it.
    pub(super) async fn copy_table(
        &self,
        from: &TableName,
        to: &TableName,
        purpose: &Purpose,
        slot: &Slot,
    ) -> Result<(), Error> {
        let Some(source) = self.table(from).await? else {
            return Err(Error::NotFound {
                what: format!("table {from}, which is to be copied,"),
                next: "run the step again; if it stays away, restore the table or roll back".to_owned(),
            });
        };
        let depth = source.clone_depth();
        let purpose = purpose.part("copy", &[&from.to_string(), &to.to_string(), &source.last_modified_time]);
        let cloned = depth < DEEPEST_CLONE && self.clone_table(from, to, &purpose, slot).await?;
        if cloned {
            self.count(Statistics { clones: 1, ..Statistics::default() });
        } else {
            let configuration = json!({"copy": {
                "sourceTable": table_reference(&self.names.project, &from.dataset, &from.table),
                "destinationTable": table_reference(&self.names.project, &to.dataset, &to.table),
                "writeDisposition": "WRITE_EMPTY",
            }});
            let purpose = purpose.part("full", &[]);
            self.run(&purpose, Some(slot), configuration, &format!("copying table {from}")).await?;
            self.count(Statistics { copies: 1, ..Statistics::default() });
        }
        let depth = if cloned { depth + 1 } else { 0 };
        // Whether labels are copied is not documented; so each copy is given its own.
        self.change_table(to, &json!({"labels": {DEPTH_LABEL: depth.to_string()}})).await
    }

    /// Returns whether it was cloned.
    async fn clone_table(
        &self,
        from: &TableName,
        to: &TableName,
        purpose: &Purpose,
        slot: &Slot,
    ) -> Result<bool, Error> {
        let (source, target) = (self.sql(from), self.sql(to));
        let sql = format!("CREATE TABLE {target} CLONE {source}");
        match self.define(purpose, Some(slot), &sql, &format!("cloning table {from}")).await {
            Ok(_) => Ok(true),
            Err(error @ Error::Rejected { .. }) => {
                tracing::warn!(table = %from, %error, "a clone was refused; the table is copied in full");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn sql(&self, name: &TableName) -> String {
        self.names.sql(&name.dataset, &name.table)
    }
}

fn path(name: &TableName) -> String {
    format!("/datasets/{}/tables/{}", name.dataset, name.table)
}
