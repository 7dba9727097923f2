use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wap::Identifier;

use crate::Severity;

/// Where relations of a command are: decided by the pipeline, whatever names the project would give.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Place {
    /// A DuckDB file. It holds all of the attempt: a schema for each relation-making node, sources in `raw`, changes in `changes`.
    Duckdb {
        /// The file, absolute.
        file: PathBuf,
        /// The schema of each relation-making node, by id: [`Project::schemas`].
        schemas: BTreeMap<String, Identifier>,
    },
    /// Datasets of BigQuery.
    Bigquery(BigqueryPlace),
}

/// Where an attempt is on BigQuery, and on what terms its jobs run.
#[derive(Debug, Clone, Serialize)]
pub struct BigqueryPlace {
    /// The project of the datasets and of the jobs.
    pub project: String,
    /// The location of the datasets, such as `northamerica-northeast1` or `US`.
    pub location: String,
    /// The schema of each relation-making node, by id: [`Project::schemas`](crate::Project::schemas).
    #[serde(skip)]
    pub schemas: BTreeMap<String, Identifier>,
    /// What stands before a schema's name in the name of its dataset; `raw` and `changes` have one too.
    #[serde(skip)]
    pub dataset_prefix: String,
    /// Labels of every job, so that a bill can be read by cycle. Each job also says which `model` it is for.
    pub labels: BTreeMap<String, String>,
    /// All jobs of a command together may be billed for so many bytes.
    pub maximum_bytes_billed: Option<u64>,
    /// The service account that queries run as, where that is not the caller's own.
    pub impersonate: Option<String>,
    /// The address of an emulator, which wants no credentials.
    pub emulator: Option<String>,
}

/// Nodes to build.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// Where.
    pub place: Place,
    /// Ids of models, seeds and snapshots. dbt orders them; an empty list does nothing.
    pub nodes: Vec<String>,
    /// Those of them that are rebuilt from nothing.
    pub full: BTreeSet<String>,
    /// Vars of this run, over those of the settings.
    pub vars: BTreeMap<String, Value>,
}

/// How a node ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeStatus {
    /// It was built.
    Success,
    /// It failed; the message says why.
    Error,
    /// Something that it reads failed.
    Skipped,
}

/// What became of one node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeResult {
    /// Its id.
    pub id: String,
    /// How it ended.
    pub status: NodeStatus,
    /// How long it took.
    pub seconds: f64,
    /// Rows written, where the back end says.
    pub rows_affected: Option<u64>,
    /// What dbt said.
    pub message: String,
    /// The query, where it was compiled.
    pub compiled: Option<String>,
}

/// What the jobs of a command have cost on BigQuery. On DuckDB there are none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobCost {
    /// Jobs that dbt ran.
    pub jobs: u64,
    /// Bytes that they read.
    pub bytes_processed: u64,
    /// Bytes that they are billed for.
    pub bytes_billed: u64,
    /// What they took of all slots together, in milliseconds.
    pub slot_milliseconds: u64,
}

/// What became of a run. A failed node is a fact of the report and not an error of the call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// One entry a node of the request, in dbt's order.
    pub nodes: Vec<NodeResult>,
    /// What it cost.
    pub cost: JobCost,
}

impl RunReport {
    /// Whether every node was built.
    pub fn is_success(&self) -> bool {
        self.nodes.iter().all(|node| node.status == NodeStatus::Success)
    }
}

/// Tests to run. They write nothing: a DuckDB file is opened read-only and keeps its bytes.
#[derive(Debug, Clone)]
pub struct TestRequest {
    /// Where.
    pub place: Place,
    /// Ids of data tests and unit tests.
    pub tests: Vec<String>,
    /// Vars of this run, over those of the settings.
    pub vars: BTreeMap<String, Value>,
}

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TestStatus {
    /// Nothing found.
    Pass,
    /// Rows found by a test that only warns.
    Warn,
    /// Rows found.
    Fail,
    /// The test itself could not run.
    Error,
}

/// What became of one test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestResult {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How it ended.
    pub status: TestStatus,
    /// How many rows it found.
    pub failures: u64,
    /// How bad a failure is, as the project says.
    pub severity: Severity,
    /// What dbt said.
    pub message: String,
    /// The query that finds the failing rows; it can be run in the place as it is.
    pub compiled_sql: Option<String>,
    /// Ids of the nodes and sources that it reads, the tested one first.
    pub tested_nodes: Vec<String>,
    /// The tested column, if it is about one.
    pub column: Option<String>,
}

/// What became of a test run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestReport {
    /// One entry a test of the request.
    pub tests: Vec<TestResult>,
    /// What it cost.
    pub cost: JobCost,
}
