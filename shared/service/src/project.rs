//! The dbt project as planning sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dbt::{Kind as NodeKind, Node, Project};
use wap::{Attempt, Digest, Model, Parent};

use crate::{Kind, Platform, Problem};

/// The table of admitted partitions that every attempt has in `raw`; it belongs to no source.
const PARTITIONS_TABLE: &str = "bgp_partitions";

/// The layer of projects that are built in one call.
const WHOLE_PROJECT: &str = "all";

/// A parsed project with everything that planning needs.
#[derive(Debug, Clone)]
pub struct ProjectPlan {
    pub project: Arc<Project>,
    pub models: BTreeMap<String, Model>,
    /// In order of building.
    pub layers: Vec<Layer>,
    /// Digest of everything that decides what a cycle is built and judged by.
    pub code: Digest,
}

/// The nodes that one dbt call builds.
#[derive(Debug, Clone)]
pub struct Layer {
    pub name: String,
    pub nodes: BTreeSet<String>,
}

impl Layer {
    /// The step that builds it.
    pub fn step(&self) -> String {
        format!("transform.{}", self.name)
    }
}

impl ProjectPlan {
    /// Refuses to build a layer, or without one to audit, before everything that comes earlier is done.
    pub fn check_order(&self, attempt: &Attempt, layer: Option<&str>) -> Result<(), Problem> {
        let earlier = self.layers.iter().take_while(|earlier| Some(earlier.name.as_str()) != layer);
        let steps = std::iter::once("prepare".to_owned()).chain(earlier.map(Layer::step));
        Ok(attempt.check_done(steps).map_err(state::Error::from)?)
    }
}

impl Platform {
    /// Reads the project as it is now.
    pub async fn project_plan(&self) -> Result<ProjectPlan, Problem> {
        let project = self.dbt.project().await?;
        let mut contracts: BTreeMap<String, Digest> = self
            .pipeline
            .tables
            .values()
            .map(|table| (table.name.as_str().to_owned(), table.contract_digest()))
            .collect();
        contracts.insert(PARTITIONS_TABLE.to_owned(), Digest::of(PARTITIONS_TABLE));
        self.check_publish(&project)?;
        let digests = project.digests(&contracts)?;
        let mut models = BTreeMap::new();
        for (id, node) in &project.nodes {
            if matches!(node.kind, NodeKind::Test | NodeKind::UnitTest) {
                continue;
            }
            let Some(digest) = digests.get(id) else { continue };
            let parents = node.parents.iter().map(|parent| parent_of(&project, parent)).collect::<Result<_, _>>()?;
            let whole = whole_parents(&project, node)?;
            models.insert(
                id.clone(),
                Model { digest: digest.clone(), parents, whole, makes_relation: node.makes_relation() },
            );
        }
        // Tests and rules count too: whoever corrects one that refused too much has corrected what was refused.
        let reconciled: Vec<_> = self.pipeline.tables.values().map(|table| &table.reconcile).collect();
        let code = Digest::of_json(&(&digests, &self.pipeline.audit, reconciled))
            .map_err(|error| Problem::internal(error.to_string()))?;
        let layers = self.layers(&project)?;
        Ok(ProjectPlan { project, models, layers, code })
    }

    /// Whether readers see the node's table: its name or a folder above it is listed. Only tables are: a view would
    /// read the slot's inner relations on behalf of everybody who reads it.
    pub fn is_published(&self, node: &Node) -> bool {
        is_table(node) && self.pipeline.dbt.publish.iter().any(|entry| is_listed(node, entry))
    }

    /// Refuses entries by which readers would see nothing, before anything is built.
    fn check_publish(&self, project: &Project) -> Result<(), Problem> {
        for entry in &self.pipeline.dbt.publish {
            let listed: Vec<&Node> =
                project.nodes.values().filter(|node| !node.is_test() && is_listed(node, entry)).collect();
            if listed.is_empty() {
                return Err(Problem::rejected(format!(
                    "dbt.publish names {entry}, which is neither a folder with models nor a model of the project; \
                     correct it in pipeline.yaml"
                )));
            }
            if !listed.iter().any(|node| is_table(node)) {
                return Err(Problem::rejected(format!(
                    "dbt.publish names {entry}, where there are views only, and readers are given tables; materialize \
                     {} as a table, or leave it out",
                    listed[0].name
                )));
            }
        }
        Ok(())
    }

    /// Refuses to go on with an attempt that was planned from other code.
    pub fn check_code(&self, attempt: &Attempt, plan: &ProjectPlan) -> Result<(), Problem> {
        if attempt.project == plan.code {
            return Ok(());
        }
        Err(Problem::new(
            Kind::Rejected,
            "code_changed",
            format!("the dbt project or pipeline.yaml changed after attempt {} had begun; run again", attempt.id()),
        ))
    }

    fn layers(&self, project: &Project) -> Result<Vec<Layer>, Problem> {
        let relations = || project.nodes.values().filter(|node| node.makes_relation());
        if self.pipeline.dbt.layers.is_empty() {
            let nodes = relations().map(|node| node.id.clone()).collect();
            return Ok(vec![Layer { name: WHOLE_PROJECT.to_owned(), nodes }]);
        }
        let mut layers: Vec<Layer> = self
            .pipeline
            .dbt
            .layers
            .iter()
            .map(|name| Layer { name: name.as_str().to_owned(), nodes: BTreeSet::new() })
            .collect();
        let mut position: BTreeMap<&str, usize> = BTreeMap::new();
        for node in relations() {
            let index = match &node.layer {
                Some(layer) => layers.iter().position(|found| &found.name == layer),
                // Seeds read nothing, so they can always come first.
                None if node.kind == NodeKind::Seed => Some(0),
                None => None,
            };
            let Some(index) = index else {
                return Err(Problem::rejected(format!(
                    "{} is in no layer; move it into the folder of one of {}, or leave dbt.layers out of pipeline.yaml",
                    node.id,
                    layers.iter().map(|layer| layer.name.as_str()).collect::<Vec<_>>().join(", ")
                )));
            };
            layers[index].nodes.insert(node.id.clone());
            position.insert(&node.id, index);
        }
        for node in relations() {
            let late =
                node.parents.iter().find(|parent| position.get(parent.as_str()) > position.get(node.id.as_str()));
            if let Some(late) = late {
                return Err(Problem::rejected(format!(
                    "{} reads {late}, which is in a later layer; move one of them, or change the order of dbt.layers",
                    node.id
                )));
            }
        }
        Ok(layers)
    }
}

fn is_table(node: &Node) -> bool {
    node.makes_relation() && !matches!(node.materialized.as_str(), "view" | "rowwise")
}

fn is_listed(node: &Node, entry: &str) -> bool {
    let is_below = |rest: &str| rest.starts_with('/');
    node.name == entry || node.path.strip_prefix(entry.trim_end_matches('/')).is_some_and(is_below)
}

fn parent_of(project: &Project, id: &str) -> Result<Parent, Problem> {
    match project.sources.get(id) {
        Some(source) => Ok(Parent::Table(wap::Identifier::new(source.table.clone())?)),
        None => Ok(Parent::Model(id.to_owned())),
    }
}

/// Parents that a touched model says can't be followed row by row.
fn whole_parents(project: &Project, node: &Node) -> Result<BTreeSet<Parent>, Problem> {
    let Some(touched) = &node.touched else { return Ok(BTreeSet::new()) };
    touched.whole.iter().map(|id| parent_of(project, id)).collect()
}
