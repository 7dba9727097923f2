//! Names of tables.

use std::fmt;

use serde_json::{Value, json};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Table {
    pub(crate) project: String,
    pub(crate) dataset: String,
    pub(crate) name: String,
}

impl Table {
    pub(crate) fn new(project: &str, dataset: &str, name: &str) -> Self {
        Self { project: project.to_owned(), dataset: dataset.to_owned(), name: name.to_owned() }
    }

    /// Reads a `TableReference`. The project may be left out.
    pub(crate) fn of(reference: &Value, project: &str) -> Self {
        let text = |key| reference[key].as_str().unwrap_or_default();
        Self::new(reference["projectId"].as_str().unwrap_or(project), text("datasetId"), text("tableId"))
    }

    pub(crate) fn reference(&self) -> Value {
        json!({"projectId": self.project, "datasetId": self.dataset, "tableId": self.name})
    }

    /// The path of the resource.
    pub(crate) fn path(&self) -> String {
        format!("{}/tables/{}", dataset_path(&self.project, &self.dataset), self.name)
    }

    /// As GoogleSQL quotes it.
    pub(crate) fn sql(&self) -> String {
        format!("`{}.{}.{}`", self.project, self.dataset, self.name)
    }
}

/// As BigQuery's messages name it.
impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}.{}", self.project, self.dataset, self.name)
    }
}

pub(crate) fn dataset_path(project: &str, dataset: &str) -> String {
    format!("/bigquery/v2/projects/{project}/datasets/{dataset}")
}
