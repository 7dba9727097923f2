//! Assets as datasets: what they are called, and what is known of them.

use dbt::Node;
use serde_json::{Value, json};
use wap::Receipt;

use super::Cycle;
use super::facets::facet;
use crate::asset::{Asset, Origin};

/// What jobs and datasets are called beyond this pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The namespace of its jobs, and of its datasets that nobody else reads.
    pub namespace: String,
    /// The project on BigQuery, where `raw` and `live` are: those tables are called as everybody calls them. What is in slots
    /// is not, for that has another name in every cycle.
    pub project: Option<String>,
}

/// Datasets of one cycle.
pub(super) struct Datasets<'a> {
    pub(super) cycle: &'a Cycle<'a>,
    /// Where it was published.
    pub(super) receipt: Option<&'a Receipt>,
}

impl Datasets<'_> {
    pub(super) fn input(&self, asset: &Asset) -> Value {
        let Names { namespace, project } = self.cycle.names;
        let pipeline = self.cycle.pipeline;
        let dataset = match &asset.origin {
            // What an attempt adds of its own is in no dataset beside the slots.
            Origin::Raw(name) if pipeline.tables.contains_key(name.as_str()) => Some((&pipeline.raw.dataset, name)),
            Origin::View(name, _) => Some((&pipeline.live.dataset, name)),
            _ => None,
        };
        let (namespace, name) = match project.as_ref().zip(dataset) {
            Some((project, (dataset, table))) => ("bigquery", format!("{project}.{dataset}.{table}")),
            None => (namespace.as_str(), format!("{}/{}", pipeline.name, asset.key)),
        };
        let mut facets = json!({});
        if let Some(description) = &asset.description {
            facets["documentation"] = facet("DocumentationDatasetFacet", json!({"description": description}));
        }
        let fields = self.fields(asset);
        if !fields.is_empty() {
            facets["schema"] = facet("SchemaDatasetFacet", json!({"fields": fields}));
        }
        json!({"namespace": namespace, "name": name, "facets": facets})
    }

    pub(super) fn output(&self, asset: &Asset) -> Value {
        let mut output = self.input(asset);
        if let Some(statistics) = self.statistics(asset) {
            output["outputFacets"] =
                json!({"outputStatistics": facet("OutputStatisticsOutputDatasetFacet", statistics)});
        }
        output
    }

    /// Rows and bytes as the receipt counts them.
    fn statistics(&self, asset: &Asset) -> Option<Value> {
        let receipt = self.receipt?;
        let of_view = |view: &str| {
            let table = receipt.verdict.tables.iter().find(|table| table.view.as_str() == view)?;
            Some(json!({"rowCount": table.rows}))
        };
        match &asset.origin {
            Origin::Raw(name) => {
                let moved = receipt.moved.iter().find(|table| table.table.as_str() == name)?;
                Some(json!({"rowCount": moved.raw_rows, "size": moved.lake_bytes}))
            }
            Origin::View(name, _) => of_view(name),
            Origin::Node(id) => {
                let shows = |view: &&Asset| matches!(&view.origin, Origin::View(_, Some(model)) if model == id);
                of_view(&self.cycle.catalog.assets.iter().find(shows)?.name)
            }
            _ => None,
        }
    }

    /// Columns with what the pipeline file or the project says of them.
    fn fields(&self, asset: &Asset) -> Vec<Value> {
        let node = match &asset.origin {
            Origin::Source(table) | Origin::Raw(table) | Origin::Lake(table) => return self.fields_of_table(table),
            Origin::Node(id) | Origin::View(_, Some(id)) => self.cycle.nodes.get(id),
            Origin::View(_, None) | Origin::Rule(..) => None,
        };
        node.map(fields_of_node).unwrap_or_default()
    }

    fn fields_of_table(&self, table: &str) -> Vec<Value> {
        let table = self.cycle.pipeline.tables.get(table);
        let column = |column: &pipeline::Column| {
            let mut field = json!({"name": column.name.as_str(), "type": column.bigquery_type()});
            if let Some(description) = &column.description {
                field["description"] = json!(description);
            }
            field
        };
        table.into_iter().flat_map(|table| &table.columns).map(column).collect()
    }
}

fn fields_of_node(node: &Node) -> Vec<Value> {
    let column = |column: &dbt::Column| {
        let mut field = json!({"name": column.name});
        if !column.description.is_empty() {
            field["description"] = json!(column.description);
        }
        field
    };
    node.columns.iter().map(column).collect()
}
