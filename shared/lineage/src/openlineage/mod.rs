//! What a cycle read, made and checked, as run events of [OpenLineage](https://openlineage.io/docs/spec/object-model) 2-0-2.
//!
//! The run of the pipeline is the parent of a job for each table that it took in, each model that it built, the audit, and each
//! view that readers then saw. Every job has a START and a COMPLETE or FAIL. Ids of runs follow from the pipeline's own, so
//! that events that are told again are the same events. No row and no value of one is in an event.

mod datasets;
mod facets;

use std::collections::{BTreeMap, BTreeSet};

use dbt::{Node, Severity};
use jiff::Timestamp;
use pipeline::Pipeline;
use serde::Deserialize;
use serde_json::{Value, json};
use wap::{Attempt, Digest, Receipt, ReceiptKind, RuleOutcome, RuleStatus, RunId};

use crate::asset::{Asset, AssetKind, Origin};
use crate::catalog::Catalog;
use datasets::Datasets;
use facets::{PRODUCER, facet};

pub use datasets::Names;

/// How an attempt at a cycle ended.
#[derive(Debug, Clone, Copy)]
pub enum End<'a> {
    /// Readers see it, or what a rollback brought back.
    Published(&'a Receipt),
    /// It was refused or failed, for this reason.
    Failed(Timestamp, &'a str),
}

/// A run, and what the pipeline knows of what it worked on.
#[derive(Debug, Clone, Copy)]
pub struct Cycle<'a> {
    pub pipeline: &'a Pipeline,
    /// Those of the dbt project.
    pub nodes: &'a BTreeMap<String, Node>,
    pub catalog: &'a Catalog,
    pub names: &'a Names,
    pub run: &'a RunId,
    /// None where the run failed before it began one.
    pub attempt: Option<&'a Attempt>,
}

/// What events of one job have in common.
struct Job {
    name: String,
    kind: &'static str,
    inputs: Vec<Value>,
    outputs: Vec<Value>,
    started: Timestamp,
    ended: Timestamp,
    /// Why it failed, if it did.
    failure: Option<String>,
}

impl Cycle<'_> {
    /// Every event, in the order in which they happened to each job, the parent's first and last.
    pub fn events(&self, end: End<'_>) -> Vec<Value> {
        let (receipt, ended, failure) = match end {
            End::Published(receipt) => (Some(receipt), receipt.published_at, None),
            End::Failed(at, reason) => (None, at, Some(reason.to_owned())),
        };
        let is_rollback = receipt.is_some_and(|receipt| receipt.kind == ReceiptKind::Rollback);
        let run = self.run;
        // A rollback reads what an attempt left that ended long ago.
        let attempt = self.attempt.filter(|_| !is_rollback);
        let parent = Job {
            name: format!("{}.{}", self.pipeline.name, if is_rollback { "rollback" } else { "cycle" }),
            kind: "JOB",
            inputs: Vec::new(),
            outputs: Vec::new(),
            started: attempt.map_or(ended, |attempt| attempt.begun_at),
            ended,
            failure,
        };
        let parent_id = run_id(run.as_str(), None);
        let reference = facet(
            "ParentRunFacet",
            json!({
                "run": {"runId": parent_id}, "job": {"namespace": self.names.namespace, "name": parent.name},
            }),
        );
        let datasets = Datasets { cycle: self, receipt };
        let mut jobs = Vec::new();
        if let Some(attempt) = attempt {
            jobs.extend(self.loads(attempt, &datasets));
            jobs.extend(self.models(attempt, &datasets));
            jobs.extend(self.audit(attempt, &datasets));
        }
        jobs.extend(receipt.into_iter().flat_map(|receipt| self.views(&datasets, receipt)));
        let mut events = vec![self.start(&parent, &parent_id, None)];
        for job in &jobs {
            let id = run_id(run.as_str(), Some(&job.name));
            events.push(self.start(job, &id, Some(&reference)));
            events.push(self.end(job, &id, Some(&reference)));
        }
        events.push(self.end(&parent, &parent_id, None));
        events
    }

    /// From a source into raw: a job for each table of which a partition changed. The cycle takes in what it finds in raw
    /// when it begins, however long ago that was loaded.
    fn loads(&self, attempt: &Attempt, datasets: &Datasets<'_>) -> Vec<Job> {
        let changed: BTreeSet<&str> = attempt.work.changes.iter().map(|change| change.table.as_str()).collect();
        let raw = |name: &str| {
            let is_it = |asset: &&Asset| asset.origin == Origin::Raw(name.to_owned());
            self.catalog.assets.iter().find(is_it)
        };
        let source = |name: &str| {
            let is_it = |asset: &&Asset| asset.origin == Origin::Source(name.to_owned());
            self.catalog.assets.iter().find(is_it)
        };
        changed
            .into_iter()
            .filter_map(|table| {
                Some(Job {
                    name: format!("{}.load.{table}", self.pipeline.name),
                    kind: "TASK",
                    inputs: source(table).map(|asset| datasets.input(asset)).into_iter().collect(),
                    outputs: vec![datasets.output(raw(table)?)],
                    started: attempt.begun_at,
                    ended: attempt.begun_at,
                    failure: None,
                })
            })
            .collect()
    }

    /// A job for each model, seed and snapshot that a finished step says it built.
    fn models(&self, attempt: &Attempt, datasets: &Datasets<'_>) -> Vec<Job> {
        let mut jobs = Vec::new();
        for (step, at) in attempt.steps.iter().filter(|(name, _)| name.starts_with("transform.")) {
            let Some((ended, outcome)) = at.finished_at.zip(at.outcome.as_ref()) else { continue };
            let built = Built::deserialize(outcome).unwrap_or_default();
            for model in built.models {
                let built = attempt.work.build.iter().find(|id| id.rsplit('.').next() == Some(&model.name));
                let Some(asset) = built.and_then(|id| self.node_asset(id)) else {
                    // Steps of older programs named other things.
                    continue;
                };
                let inputs = asset.upstream.iter().filter_map(|key| self.catalog.get(key));
                jobs.push(Job {
                    name: format!("{}.{}.{}", self.pipeline.name, step, asset.name),
                    kind: "MODEL",
                    inputs: inputs.map(|asset| datasets.input(asset)).collect(),
                    outputs: vec![datasets.output(asset)],
                    started: at.claimed_at,
                    ended,
                    failure: None,
                });
            }
        }
        jobs
    }

    /// The audit, if it came to a verdict: what each dataset was asked, and what it answered.
    fn audit(&self, attempt: &Attempt, datasets: &Datasets<'_>) -> Option<Job> {
        let verdict = attempt.verdict.as_ref()?;
        let mut assertions: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for rule in &verdict.rules {
            if let Some((asset, check)) = self.checked(rule) {
                assertions.entry(&asset.key).or_default().push(self.assertion(rule, check));
            }
        }
        let asked = assertions.into_iter().filter_map(|(key, found)| {
            let mut input = datasets.input(self.catalog.get(key)?);
            let found = facet("DataQualityAssertionsDatasetFacet", json!({"assertions": found}));
            input["inputFacets"] = json!({"dataQualityAssertions": found});
            Some(input)
        });
        let inputs = asked.collect();
        let step = attempt.steps.get("audit");
        let started = step.map_or(attempt.begun_at, |step| step.claimed_at);
        Some(Job {
            name: format!("{}.audit", self.pipeline.name),
            kind: "TEST",
            inputs,
            outputs: Vec::new(),
            started,
            ended: step.and_then(|step| step.finished_at).unwrap_or(started),
            failure: verdict.failed().next().is_some().then(|| verdict.reason()),
        })
    }

    /// The views that readers saw from then on.
    fn views(&self, datasets: &Datasets<'_>, receipt: &Receipt) -> Vec<Job> {
        let views = self.catalog.assets.iter().filter(|asset| match &asset.origin {
            Origin::View(name, Some(_)) => receipt.views.contains_key(name.as_str()),
            _ => false,
        });
        views
            .map(|view| Job {
                name: format!("{}.publish.{}", self.pipeline.name, view.name),
                kind: "TASK",
                inputs: view
                    .upstream
                    .iter()
                    .filter_map(|key| self.catalog.get(key))
                    .map(|asset| datasets.input(asset))
                    .collect(),
                outputs: vec![datasets.output(view)],
                started: receipt.published_at,
                ended: receipt.published_at,
                failure: None,
            })
            .collect()
    }

    fn node_asset(&self, id: &str) -> Option<&Asset> {
        self.catalog.assets.iter().find(|asset| asset.origin == Origin::Node(id.to_owned()))
    }

    /// What a rule is about, and the check that it is the outcome of.
    fn checked(&self, rule: &RuleOutcome) -> Option<(&Asset, &Asset)> {
        let is_it = |check: &&Asset| match &check.origin {
            Origin::Rule(name, subject) => *name == rule.rule && *subject == rule.subject,
            _ => check.kind.is_check() && check.name == rule.rule,
        };
        let check = self.catalog.assets.iter().find(is_it)?;
        let about = || check.upstream.iter().filter_map(|key| self.catalog.get(key));
        let named = about().filter(|asset| asset.kind != AssetKind::LakeTable).find(|asset| asset.name == rule.subject);
        Some((named.or_else(|| about().next())?, check))
    }

    fn assertion(&self, rule: &RuleOutcome, check: &Asset) -> Value {
        let node = match &check.origin {
            Origin::Node(id) => self.nodes.get(id),
            _ => None,
        };
        let of_file = self.pipeline.audit.rules.iter().find(|found| found.name.as_str() == rule.rule);
        let is_warning = node.and_then(|node| node.severity) == Some(Severity::Warn)
            || of_file.is_some_and(|rule| rule.severity == pipeline::Severity::Warn);
        let mut assertion = json!({
            "assertion": rule.rule,
            "name": rule.rule,
            "success": rule.status == RuleStatus::Passed,
            "severity": if is_warning { "warn" } else { "error" },
        });
        if let Some(column) = node.and_then(|node| node.column.as_ref()) {
            assertion["column"] = json!(column);
        }
        if rule.status != RuleStatus::Passed {
            assertion["actual"] = json!(rule.failures.to_string());
        }
        assertion
    }

    fn start(&self, job: &Job, id: &str, parent: Option<&Value>) -> Value {
        self.event("START", job.started, job, id, parent)
    }

    fn end(&self, job: &Job, id: &str, parent: Option<&Value>) -> Value {
        let kind = if job.failure.is_some() { "FAIL" } else { "COMPLETE" };
        let mut event = self.event(kind, job.ended, job, id, parent);
        if let Some(failure) = &job.failure {
            // The facet asks for the language of a stack trace, of which there is none.
            let said = json!({"message": failure, "programmingLanguage": "Rust"});
            event["run"]["facets"]["errorMessage"] = facet("ErrorMessageRunFacet", said);
        }
        event
    }

    fn event(&self, kind: &str, at: Timestamp, job: &Job, id: &str, parent: Option<&Value>) -> Value {
        let mut facets = json!({});
        if let Some(parent) = parent {
            facets["parent"] = parent.clone();
        }
        let job_type = json!({"processingType": "BATCH", "integration": "BLUEGREENPRINT", "jobType": job.kind});
        json!({
            "eventType": kind,
            "eventTime": at.to_string(),
            "producer": PRODUCER,
            "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
            "run": {"runId": id, "facets": facets},
            "job": {
                "namespace": self.names.namespace,
                "name": job.name,
                "facets": {"jobType": facet("JobTypeJobFacet", job_type)},
            },
            "inputs": job.inputs,
            "outputs": job.outputs,
        })
    }
}

/// What the outcome of a transformation says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Built {
    models: Vec<BuiltModel>,
}

#[derive(Debug, Deserialize)]
struct BuiltModel {
    name: String,
}

/// A UUID for the run of a job: the run's own where it is one, or else one that follows from its name.
fn run_id(run: &str, job: Option<&str>) -> String {
    if let (Ok(id), None) = (uuid::Uuid::parse_str(run), job) {
        return id.to_string();
    }
    let digest = Digest::of(format!("{run}\n{}", job.unwrap_or_default()));
    let mut bytes = [0; 16];
    for (place, byte) in bytes.iter_mut().enumerate() {
        let digits = digest.as_str().get(2 * place..2 * place + 2).unwrap_or_default();
        *byte = u8::from_str_radix(digits, 16).unwrap_or_default();
    }
    uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
