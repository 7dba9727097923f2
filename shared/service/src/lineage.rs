//! Telling a server of [OpenLineage](https://openlineage.io) what cycles read and made, where one is named.

use std::collections::BTreeMap;
use std::time::Duration;

use lineage::openlineage::{Cycle, End, Names};
use lineage::{Catalog, History};
use serde_json::Value;
use wap::{Attempt, RunId};

use crate::config::{OpenLineageConfig, Secret};
use crate::{Platform, Problem};

/// How many cycles back is looked for the one that changed an asset, and how many receipts are read at once.
const MOST_CYCLES: usize = 400;
const RECEIPTS_AT_ONCE: u64 = 16;

/// For all events of one run: whoever waits for a cycle does not wait for a server that is slow.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where run events go, and what the pipeline is called there.
#[derive(Debug, Clone)]
pub struct OpenLineage {
    pub names: Names,
    server: Option<Server>,
}

#[derive(Debug, Clone)]
struct Server {
    client: reqwest::Client,
    address: String,
    key: Option<Secret>,
}

impl OpenLineage {
    /// Nobody is told. `project` is that of BigQuery, where raw and live are there.
    pub fn silent(project: Option<String>) -> Self {
        Self { names: Names { namespace: "bluegreenprint".to_owned(), project }, server: None }
    }

    /// Whether a server is told.
    pub fn is_silent(&self) -> bool {
        self.server.is_none()
    }

    pub(crate) fn new(config: &OpenLineageConfig, project: Option<String>) -> Self {
        let mut made = Self::silent(project);
        if let Some(namespace) = &config.namespace {
            made.names.namespace.clone_from(namespace);
        }
        made.server = config.address.as_ref().map(|address| Server {
            client: reqwest::Client::new(),
            address: address.clone(),
            key: config.key.clone(),
        });
        made
    }
}

impl Server {
    /// Sends events one after the other: a server may take the end of a run only after its start.
    async fn send(&self, events: &[Value]) -> Result<(), String> {
        for event in events {
            let mut request = self.client.post(&self.address).json(event);
            if let Some(key) = &self.key {
                request = request.bearer_auth(key.revealed());
            }
            // What the client says may hold the address, which may hold a secret of its own.
            let response = request.send().await.map_err(|error| with_causes(&error.without_url()))?;
            if !response.status().is_success() {
                return Err(format!("it answered {}", response.status()));
            }
        }
        Ok(())
    }
}

pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

impl Platform {
    /// Every asset of the pipeline as its files are now, with nothing known of them yet.
    pub async fn catalog(&self) -> Result<Catalog, Problem> {
        let project = self.project_plan().await?.project;
        Ok(Catalog::new(&self.pipeline, &project.nodes, &project.sources, |node| self.is_published(node)))
    }

    /// Every asset with what the ledger and the receipts of the last 400 cycles say of it.
    pub async fn catalog_with_history(&self) -> Result<Catalog, Problem> {
        let catalog = self.catalog().await?;
        let mut history = History::new(&self.state.record().await?);
        let mut receipts = BTreeMap::new();
        for _ in 0..MOST_CYCLES {
            let Some(cycle) = history.next().filter(|_| !catalog.is_known(&history)) else { break };
            if !receipts.contains_key(&cycle) {
                let wanted = cycle.saturating_sub(RECEIPTS_AT_ONCE - 1).max(1)..=cycle;
                let found =
                    futures::future::try_join_all(wanted.clone().map(|cycle| self.state.receipt(cycle))).await?;
                receipts.extend(wanted.zip(found));
            }
            history.read(cycle, receipts.get(&cycle).and_then(Option::as_ref));
        }
        Ok(catalog.with(&history, &self.state.ledger().await?))
    }

    /// What a run read, made and checked, as events of `OpenLineage`.
    pub async fn run_events(
        &self,
        run: &RunId,
        attempt: Option<&Attempt>,
        end: End<'_>,
    ) -> Result<Vec<Value>, Problem> {
        let project = self.project_plan().await?.project;
        let catalog = self.catalog().await?;
        let names = &self.openlineage.names;
        let cycle = Cycle { pipeline: &self.pipeline, nodes: &project.nodes, catalog: &catalog, names, run, attempt };
        Ok(cycle.events(end))
    }

    /// Tells the server of `OpenLineage`, if one is named. What comes of it is no reason to fail: everything that was told
    /// follows from what is stored, and can be told again.
    pub async fn tell_lineage(&self, run: &RunId, attempt: Option<&Attempt>, end: End<'_>) {
        let Some(server) = &self.openlineage.server else { return };
        let told = async {
            let events = self.run_events(run, attempt, end).await.map_err(|problem| problem.to_string())?;
            server.send(&events).await
        };
        let outcome = match tokio::time::timeout(PATIENCE, told).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("it took more than {} s", PATIENCE.as_secs())),
        };
        if let Err(reason) = outcome {
            tracing::warn!(%run, reason, "the server of OpenLineage was not told all of the run");
        }
    }
}

#[cfg(test)]
#[path = "lineage_tests.rs"]
mod tests;
