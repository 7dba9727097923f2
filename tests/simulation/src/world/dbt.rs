//! dbt: builds models one by one in a slot, and tests them.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use dbt::{
    Engine, Error, JobCost, Node, NodeResult, NodeStatus, Place, Project, RunReport, RunRequest, TestReport,
    TestRequest, TestResult, TestStatus,
};
use wap::PartitionKey;

use super::warehouse::{RAW, writable};
use super::{Content, Inner, Relation, World, combined};
use crate::{Call, Process};

#[derive(Debug)]
pub(super) struct SimulatedEngine {
    pub(super) world: Arc<World>,
    pub(super) process: Arc<Process>,
}

/// The slot that a place is.
fn slot_of(place: &Place) -> String {
    match place {
        Place::Duckdb { file, .. } => file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        _ => String::new(),
    }
}

impl World {
    fn content(&self, inner: &Inner, slot: &str, id: &str) -> Result<Content, String> {
        let name = match self.project.sources.get(id) {
            Some(source) => (RAW.to_owned(), source.table.clone()),
            None => self.relation(id)?,
        };
        let relation = inner.slots.get(slot).and_then(|state| state.relations.get(&name));
        relation.map(|relation| relation.content.clone()).ok_or_else(|| format!("{name:?} is not in slot {slot}"))
    }

    fn relation(&self, id: &str) -> Result<(String, String), String> {
        let node = self.project.nodes.get(id).ok_or_else(|| format!("there is no {id}"))?;
        Ok((node.layer.clone().unwrap_or_default(), node.alias.clone()))
    }

    /// Partitions that differ from the slot before, of the tables that a node is made of.
    fn changed(&self, inner: &Inner, slot: &str, node: &Node) -> BTreeSet<PartitionKey> {
        let mut found = BTreeSet::new();
        for parent in &node.parents {
            match (self.project.sources.get(parent), self.project.nodes.get(parent)) {
                (Some(source), _) => {
                    let state = inner.slots.get(slot);
                    found.extend(
                        state.and_then(|state| state.changed.get(&source.table)).into_iter().flatten().cloned(),
                    );
                }
                (None, Some(node)) => found.extend(self.changed(inner, slot, node)),
                (None, None) => {}
            }
        }
        found
    }

    /// Builds one model, as its materialization says.
    fn build(&self, slot: &str, node: &Node, is_full: bool) -> Result<(), String> {
        self.change(|inner| {
            let parents =
                node.parents.iter().map(|parent| self.content(inner, slot, parent)).collect::<Result<Vec<_>, _>>()?;
            let fresh = combined(&node.name, &parents);
            let content = if node.keeps_state() && !is_full {
                let changed = self.changed(inner, slot, node);
                let mut content = self.content(inner, slot, &node.id)?;
                content.retain(|partition, _| !changed.contains(partition));
                content.extend(fresh.into_iter().filter(|(partition, _)| changed.contains(partition)));
                content
            } else {
                fresh
            };
            let version = inner.tick();
            let name = self.relation(&node.id)?;
            *inner.builds.entry(name.clone()).or_default() += 1;
            let state = writable(inner, slot).map_err(|error| error.to_string())?;
            state.relations.insert(name, Relation { content, version, depth: 0 });
            Ok(())
        })
    }

    /// How many bad rows a test finds.
    fn failures(&self, inner: &Inner, slot: &str, test: &Node) -> Result<u64, String> {
        let mut failures = 0;
        for parent in test.parents.iter().filter(|parent| self.project.nodes.contains_key(*parent)) {
            let (_, name) = self.relation(parent)?;
            let content = self.content(inner, slot, parent)?;
            failures += content.iter().filter(|(key, rows)| self.is_bad(inner, &name, key, rows)).count() as u64;
        }
        Ok(failures)
    }
}

#[async_trait]
impl Engine for SimulatedEngine {
    async fn project(&self) -> Result<Arc<Project>, Error> {
        self.world.dbt.project().await
    }

    async fn run(&self, request: RunRequest) -> Result<RunReport, Error> {
        let slot = slot_of(&request.place);
        let mut nodes = Vec::new();
        for id in self.world.project.order().into_iter().filter(|id| request.nodes.contains(id)) {
            let (world, slot, is_full) = (self.world.clone(), slot.clone(), request.full.contains(&id));
            let node = id.clone();
            let work = async move {
                let Some(node) = world.project.nodes.get(&node) else { return Err(Error::NotFound(node)) };
                Ok(world.build(&slot, node, is_full))
            };
            let lost = || Error::Unavailable("the job's outcome is not known".to_owned());
            let built = self.process.call(Call::DbtModel, &id, lost, work).await?;
            nodes.push(NodeResult {
                status: if built.is_ok() { NodeStatus::Success } else { NodeStatus::Error },
                message: built.err().unwrap_or_default(),
                id,
                seconds: 0.0,
                rows_affected: None,
                compiled: None,
            });
        }
        Ok(RunReport { nodes, cost: JobCost::default() })
    }

    async fn test(&self, request: TestRequest) -> Result<TestReport, Error> {
        let slot = slot_of(&request.place);
        let inner = self.world.lock();
        let mut tests = Vec::new();
        for id in &request.tests {
            let Some(node) = self.world.project.nodes.get(id) else { return Err(Error::NotFound(id.clone())) };
            let found = self.world.failures(&inner, &slot, node);
            tests.push(TestResult {
                id: id.clone(),
                name: node.name.clone(),
                status: match found {
                    Ok(0) => TestStatus::Pass,
                    Ok(_) => TestStatus::Fail,
                    Err(_) => TestStatus::Error,
                },
                failures: found.as_ref().copied().unwrap_or_default(),
                severity: dbt::Severity::Error,
                message: found.err().unwrap_or_default(),
                compiled_sql: None,
                tested_nodes: node.tested.iter().cloned().collect(),
                column: None,
            });
        }
        Ok(TestReport { tests, cost: JobCost::default() })
    }
}
