use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tracing::{Instrument, info_span};
use wap::Digest;

use crate::command::{
    BigqueryPlace, JobCost, NodeResult, NodeStatus, Place, RunReport, RunRequest, TestReport, TestRequest, TestResult,
    TestStatus,
};
use crate::parsed::Parsed;
use crate::worker::Worker;
use crate::{Error, Kind, Node, Project, Settings, Severity, Target, files, packages};

/// The file of a parse in the cache, which [`Settings::parsed`] can name, and the one that lets dbt skip parsing.
const PROJECT_FILE: &str = "project.json";
const DBT_FILE: &str = "partial_parse.msgpack";

/// How many parses the cache keeps. Each edit of the project leaves one of a few megabytes.
const KEPT_PARSES: usize = 16;

/// What the pipeline needs of dbt.
#[async_trait]
pub trait Engine: Debug + Send + Sync {
    /// The project as its files are now.
    async fn project(&self) -> Result<Arc<Project>, Error>;

    /// Builds nodes in a place, in one dbt call. Nobody may have the place's file open.
    async fn run(&self, request: RunRequest) -> Result<RunReport, Error>;

    /// Runs tests in a place, in one dbt call.
    async fn test(&self, request: TestRequest) -> Result<TestReport, Error>;
}

/// dbt over one project. Commands run one at a time; dropping a call's future kills the worker and with it the command.
#[derive(Debug)]
pub struct Dbt {
    settings: Settings,
    /// Of dbt and its adapters, looked up once: the worker keeps what it has loaded.
    versions: Arc<OnceLock<BTreeMap<String, String>>>,
    project: Mutex<Option<(Digest, Arc<Project>)>>,
    worker: Mutex<Option<Worker>>,
}

#[derive(Deserialize)]
struct ParseAnswer {
    versions: BTreeMap<String, String>,
    vars: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct CommandAnswer {
    results: Vec<RawResult>,
    #[serde(default)]
    cost: JobCost,
}

#[derive(Deserialize)]
struct RawResult {
    id: String,
    status: String,
    seconds: f64,
    rows_affected: Option<u64>,
    failures: Option<u64>,
    message: String,
    compiled: Option<String>,
}

impl Dbt {
    /// Nothing is read or started yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings, versions: Arc::default(), project: Mutex::new(None), worker: Mutex::new(None) }
    }

    /// Starts the worker and has it read the project, so that the first command need not wait for that.
    pub async fn warm(&self) -> Result<(), Error> {
        let key = self.key().await?;
        let mut slot = self.worker.lock().await;
        let worker = self.ready(slot.take(), key).await?;
        *slot = Some(worker);
        Ok(())
    }

    /// The project, parsed, as the file that [`Settings::parsed`] can name. It belongs to this version of the program, and
    /// what dbt needs to read the project quickly is beside it.
    pub async fn parsed_file(&self) -> Result<PathBuf, Error> {
        self.project().await?;
        Ok(self.file(&self.key().await?))
    }

    /// Sends a command to a worker that knows the project. The worker is out of its place meanwhile: whoever drops this
    /// future, drops the worker.
    async fn command(&self, command: &Value) -> Result<CommandAnswer, Error> {
        let name = format!("dbt {}", command["do"].as_str().unwrap_or_default());
        self.ask(command).instrument(info_span!(target: "trace", "dbt", otel.name = name, otel.kind = "client")).await
    }

    async fn ask(&self, command: &Value) -> Result<CommandAnswer, Error> {
        let key = self.key().await?;
        let mut slot = self.worker.lock().await;
        let mut worker = self.ready(slot.take(), key).await?;
        let answer = worker.ask::<CommandAnswer>(command).await;
        // A refusal leaves a sound worker behind; after anything else a new one is started.
        if matches!(answer, Ok(_) | Err(Error::Rejected(_))) {
            *slot = Some(worker);
        }
        answer
    }

    async fn ready(&self, worker: Option<Worker>, key: Digest) -> Result<Worker, Error> {
        match worker {
            Some(worker) if worker.loaded.as_ref() == Some(&key) => Ok(worker),
            other => Ok(self.parse(other, key).await?.0),
        }
    }

    /// Has a worker parse the project and keeps the result. An edit meanwhile makes it parse again, so that a key never
    /// stands for other files.
    async fn parse(&self, worker: Option<Worker>, mut key: Digest) -> Result<(Worker, Digest, Parsed), Error> {
        let cache = &self.settings.cache_dir;
        fs::create_dir_all(cache).map_err(Error::file("make", cache))?;
        if let Some(git) = &self.settings.git {
            git.check_out(cache)?;
        }
        let mut worker = match worker {
            Some(worker) => worker,
            None => Worker::start(&self.settings).await?,
        };
        loop {
            let packages = packages::installed(&self.settings)?;
            let folder = worker.folder().join("parse");
            fs::create_dir_all(&folder).map_err(Error::file("make", &folder))?;
            // dbt takes its own file only when that fits; with it a parse takes a tenth of the time.
            let kept = self.file(&key).with_file_name(DBT_FILE);
            // Without it, or when another process has just dropped it, dbt reads everything.
            drop(fs::copy(&kept, folder.join(DBT_FILE)));
            let answer: ParseAnswer =
                worker.ask(&json!({ "do": "parse", "folder": folder, "packages": packages })).await?;
            let parsed = Parsed::collect(&folder, answer.versions, answer.vars)?;
            let now = self.key().await?;
            if now == key {
                self.keep(&parsed, &key, &folder)?;
                worker.loaded = Some(key.clone());
                return Ok((worker, key, parsed));
            }
            key = now;
        }
    }

    /// Puts a parse into the cache, whole or not at all.
    fn keep(&self, parsed: &Parsed, key: &Digest, folder: &Path) -> Result<(), Error> {
        let file = self.file(key);
        if file.is_file() {
            return Ok(());
        }
        let cache = &self.settings.cache_dir;
        let new =
            tempfile::Builder::new().prefix("parse-").tempdir_in(cache).map_err(Error::file("write in", cache))?;
        parsed.write(&new.path().join(PROJECT_FILE))?;
        let dbt_file = folder.join(DBT_FILE);
        if dbt_file.is_file() {
            fs::copy(&dbt_file, new.path().join(DBT_FILE)).map_err(Error::file("read", &dbt_file))?;
        }
        let new = new.keep();
        let target = cache.join(key.as_str());
        if let Err(error) = fs::rename(&new, &target) {
            fs::remove_dir_all(&new).map_err(Error::file("remove", &new))?;
            // Another process may have kept the same parse.
            if !file.is_file() {
                return Err(Error::file("write", target)(error));
            }
        }
        self.forget_oldest()
    }

    fn forget_oldest(&self) -> Result<(), Error> {
        let cache = &self.settings.cache_dir;
        let mut kept = Vec::new();
        for entry in fs::read_dir(cache).map_err(Error::file("read", cache))?.flatten() {
            // Another process may be forgetting the same one.
            if let Ok(metadata) = entry.path().join(PROJECT_FILE).metadata()
                && let Ok(modified) = metadata.modified()
            {
                kept.push((modified, entry.path()));
            }
        }
        kept.sort();
        for (_, path) in kept.iter().rev().skip(KEPT_PARSES) {
            drop(fs::remove_dir_all(path));
        }
        Ok(())
    }

    async fn key(&self) -> Result<Digest, Error> {
        if let Some(path) = &self.settings.parsed {
            return Ok(Digest::of(path.as_os_str().as_encoded_bytes()));
        }
        let (settings, versions) = (self.settings.clone(), Arc::clone(&self.versions));
        let read = move || {
            if let Some(git) = &settings.git {
                git.check_out(&settings.cache_dir)?;
            }
            let known = if let Some(known) = versions.get() {
                known
            } else {
                let found = files::versions(&settings.python)?;
                versions.get_or_init(|| found)
            };
            files::parse_key(&settings, known)
        };
        tokio::task::spawn_blocking(read)
            .await
            .map_err(|error| Error::internal("failed to read the project's files", error))?
    }

    fn file(&self, key: &Digest) -> PathBuf {
        let kept = || self.settings.cache_dir.join(key.as_str()).join(PROJECT_FILE);
        self.settings.parsed.clone().unwrap_or_else(kept)
    }

    fn check_place(&self, project: &Project, place: &Place) -> Result<(), Error> {
        match (place, self.settings.target) {
            (Place::Duckdb { file, .. }, Target::Duckdb) if !file.is_absolute() => {
                Err(Error::Rejected(format!("{} is no absolute path", file.display())))
            }
            (Place::Duckdb { schemas, .. }, Target::Duckdb)
            | (Place::Bigquery(BigqueryPlace { schemas, .. }), Target::Bigquery) => project.check_schemas(schemas),
            (Place::Duckdb { .. }, Target::Bigquery) => {
                Err(Error::Rejected("the place is a DuckDB file, and the project is parsed for BigQuery".to_owned()))
            }
            (Place::Bigquery(_), Target::Duckdb) => {
                Err(Error::Rejected("the place is on BigQuery, and the project is parsed for DuckDB".to_owned()))
            }
        }
    }
}

#[async_trait]
impl Engine for Dbt {
    /// The project, parsed once: later calls and later processes read the cached parse as long as nothing that decides
    /// it has changed.
    async fn project(&self) -> Result<Arc<Project>, Error> {
        let key = self.key().await?;
        let mut known = self.project.lock().await;
        if let Some((_, project)) = known.as_ref().filter(|(known, _)| *known == key) {
            return Ok(Arc::clone(project));
        }
        let (key, parsed) = match Parsed::read(&self.file(&key))? {
            Some(parsed) => (key, parsed),
            None if self.settings.parsed.is_some() => {
                let path = self.file(&key);
                return Err(Error::NotFound(format!("{} is no parsed project of this version", path.display())));
            }
            None => {
                let mut slot = self.worker.lock().await;
                let (worker, key, parsed) = self.parse(slot.take(), key).await?;
                *slot = Some(worker);
                (key, parsed)
            }
        };
        let project = Arc::new(Project::read(&parsed, &self.settings)?);
        *known = Some((key, Arc::clone(&project)));
        Ok(project)
    }

    async fn run(&self, request: RunRequest) -> Result<RunReport, Error> {
        let project = self.project().await?;
        self.check_place(&project, &request.place)?;
        for id in &request.nodes {
            let node = node(&project, id)?;
            if !node.makes_relation() {
                return Err(Error::Rejected(format!("{id} makes no relation; leave it out of the run")));
            }
        }
        if request.nodes.is_empty() {
            return Ok(RunReport { nodes: Vec::new(), cost: JobCost::default() });
        }
        let command = json!({
            "do": "run",
            "place": place(&request.place),
            "nodes": request.nodes,
            "full": request.full,
            "vars": request.vars,
        });
        let CommandAnswer { results: found, cost } = self.command(&command).await?;
        let ran: BTreeSet<String> = found.iter().map(|result| result.id.clone()).collect();
        let left_out = request.nodes.iter().filter(|id| !ran.contains(*id)).map(|id| not_run(id));
        // dbt reports hooks too.
        let results = found.into_iter().filter(|result| request.nodes.contains(&result.id));
        Ok(RunReport { nodes: results.map(node_result).chain(left_out).collect(), cost })
    }

    async fn test(&self, request: TestRequest) -> Result<TestReport, Error> {
        let project = self.project().await?;
        self.check_place(&project, &request.place)?;
        for id in &request.tests {
            if !node(&project, id)?.is_test() {
                return Err(Error::Rejected(format!("{id} is no test; leave it out")));
            }
        }
        if request.tests.is_empty() {
            return Ok(TestReport { tests: Vec::new(), cost: JobCost::default() });
        }
        let command =
            json!({ "do": "test", "place": place(&request.place), "tests": request.tests, "vars": request.vars });
        let CommandAnswer { results: found, cost } = self.command(&command).await?;
        let mut results: BTreeMap<String, RawResult> =
            found.into_iter().map(|result| (result.id.clone(), result)).collect();
        let tests = request.tests.iter().collect::<BTreeSet<_>>();
        let tests = tests.into_iter().map(|id| Ok(test_result(node(&project, id)?, results.remove(id))));
        Ok(TestReport { tests: tests.collect::<Result<_, Error>>()?, cost })
    }
}

fn node<'a>(project: &'a Project, id: &str) -> Result<&'a Node, Error> {
    project.nodes.get(id).ok_or_else(|| Error::NotFound(format!("the dbt project has no {id}")))
}

fn place(place: &Place) -> Value {
    match place {
        Place::Duckdb { file, schemas } => {
            json!({ "file": file, "schemas": schemas, "sources": "raw", "changes": "changes" })
        }
        Place::Bigquery(place) => {
            let dataset = |schema: &str| format!("{}{schema}", place.dataset_prefix);
            let schemas: BTreeMap<&String, String> =
                place.schemas.iter().map(|(id, schema)| (id, dataset(schema.as_str()))).collect();
            json!({
                "bigquery": place, "schemas": schemas, "sources": dataset("raw"), "changes": dataset("changes"),
            })
        }
    }
}

fn node_result(result: RawResult) -> NodeResult {
    NodeResult {
        id: result.id,
        status: match result.status.as_str() {
            "success" | "no-op" => NodeStatus::Success,
            "skipped" => NodeStatus::Skipped,
            _ => NodeStatus::Error,
        },
        seconds: result.seconds,
        rows_affected: result.rows_affected,
        message: result.message,
        compiled: result.compiled,
    }
}

fn not_run(id: &str) -> NodeResult {
    NodeResult {
        id: id.to_owned(),
        status: NodeStatus::Skipped,
        seconds: 0.0,
        rows_affected: None,
        message: "dbt did not run it: its file has no query".to_owned(),
        compiled: None,
    }
}

fn test_result(node: &Node, result: Option<RawResult>) -> TestResult {
    let status = match result.as_ref().map(|result| result.status.as_str()) {
        Some("pass" | "success") => TestStatus::Pass,
        Some("warn") => TestStatus::Warn,
        Some("fail") => TestStatus::Fail,
        _ => TestStatus::Error,
    };
    let first = node.tested.iter().cloned();
    let others = node.parents.iter().filter(|parent| Some(*parent) != node.tested.as_ref()).cloned();
    TestResult {
        id: node.id.clone(),
        name: node.name.clone(),
        status,
        failures: result.as_ref().and_then(|result| result.failures).unwrap_or_default(),
        severity: node.severity.unwrap_or(Severity::Error),
        message: result.as_ref().map_or_else(|| "dbt did not run it".to_owned(), |result| result.message.clone()),
        // A unit test's query is about the rows that it brings along, so it finds nothing in the place.
        compiled_sql: result.and_then(|result| result.compiled).filter(|_| node.kind == Kind::Test),
        tested_nodes: first.chain(others).collect(),
        column: node.column.clone(),
    }
}
