//! The laptop as a stage of the crash matrix: a folder, DuckDB and the real `extract`, on the real clock. Only dbt's
//! Python is left out: the same models are built by plain SQL.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use ::service::config::{OpenLineageConfig, Variables};
use ::service::{Access, CloudConfig, Config, Parts, Platform, Target};
use async_trait::async_trait;
use dbt::{
    Dbt, Engine, Error, JobCost, NodeResult, NodeStatus, Place as Slot, Project, RunReport, RunRequest, Settings,
    TestReport, TestRequest, TestResult, TestStatus,
};
use duckdb::{AccessMode, Connection};
use serde_json::json;
use state::Holder;
use utoipa_axum::router::OpenApiRouter;

use crate::matrix::Stage;
use crate::service::Place;
use crate::{Call, Calm, Fates, Process, Service};

const FIRST: &str = "2025-08-01";
const SECOND: &str = "2025-08-02";

/// Rows of a partition of each table.
const ROWS: i64 = 10;

/// Short, so that a sleeper is overtaken soon; long enough for a heartbeat to be written on a busy machine.
const LEASE: Duration = Duration::from_secs(1);

/// A home in which the first partition is published, to make stages of.
#[derive(Debug)]
pub struct Base {
    folder: tempfile::TempDir,
}

impl Base {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::write(root.join("pipeline.yaml"), include_str!("pipeline.yaml")).unwrap();
        fs::write(root.join("project.json"), include_str!("project.json")).unwrap();
        let source = root.join("home/source.duckdb");
        fs::create_dir_all(root.join("home")).unwrap();
        let rows = format!(
            "from (values ('{FIRST}', 0), ('{SECOND}', 1000)) as days(day, base), range({ROWS}) as numbers(number)"
        );
        let sql = ["orders", "items"].map(|table| {
            format!(
                "create table {table} as select base + number as id, cast(day as timestamptz) + interval (number) minute as at {rows};"
            )
        });
        Connection::open(source).unwrap().execute_batch(&format!("set timezone = 'UTC'; {}", sql.concat())).unwrap();
        let home = Arc::new(Home::open(root).await);
        let service = Service::new(home, "base", Arc::new(Calm));
        let outcome = service.daily("base", json!({"partition": FIRST})).await;
        assert_eq!(outcome.map_err(|raised| raised.value).unwrap()["outcome"], "published");
        Self { folder }
    }
}

/// A copy of the base, and readers that never stop reading it.
#[derive(Debug)]
pub struct EmbeddedStage {
    home: Arc<Home>,
    published: PathBuf,
    bucket: PathBuf,
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<BTreeSet<String>>>,
    reader: Option<thread::JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl EmbeddedStage {
    pub async fn new(base: &Base) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(base.folder.path(), folder.path());
        let published = folder.path().join("home/warehouse/published.duckdb");
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::default()));
        let reader = {
            let (published, stop, seen) = (published.clone(), stop.clone(), Arc::clone(&seen));
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    if let Some(wrong) = read(&published).err() {
                        let mut seen: std::sync::MutexGuard<'_, BTreeSet<String>> =
                            seen.lock().unwrap_or_else(PoisonError::into_inner);
                        seen.insert(wrong);
                    }
                    thread::sleep(Duration::from_millis(2));
                }
            })
        };
        Self {
            home: Arc::new(Home::open(folder.path()).await),
            published,
            bucket: folder.path().join("home/bucket"),
            stop,
            seen,
            reader: Some(reader),
            _folder: folder,
        }
    }
}

impl EmbeddedStage {
    /// Changes a byte of the objects of a partition, and leaves their size.
    pub fn damage(&self, table: &str, partition: &str) {
        let folder = self.bucket.join("lake").join(table).join(partition);
        for load in fs::read_dir(folder).unwrap() {
            for object in fs::read_dir(load.unwrap().path()).unwrap() {
                let path = object.unwrap().path();
                let mut content = fs::read(&path).unwrap();
                // After the magic number and before the footer: still a Parquet file, of other rows.
                content[5] ^= 1;
                fs::write(path, content).unwrap();
            }
        }
    }
}

impl Drop for EmbeddedStage {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            drop(reader.join());
        }
    }
}

/// What a reader sees: how many rows of each table, and which cycle. Wrong is what no cycle has.
fn read(published: &Path) -> Result<(i64, i64, i64), String> {
    let configuration =
        duckdb::Config::default().access_mode(AccessMode::ReadOnly).map_err(|error| error.to_string())?;
    let connection = Connection::open_with_flags(published, configuration)
        .map_err(|error| format!("a reader could not open what is published: {error}"))?;
    let sql = "select cycle, (select count(*) from live.fct_orders), (select count(*) from live.dim_items) \
               from live.deployment";
    let found: (i64, i64, i64) = connection
        .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .map_err(|error| format!("a reader could not read what is published: {error}"))?;
    let wanted = if found.0 == 1 { ROWS } else { 2 * ROWS };
    if (found.1, found.2) == (wanted, wanted) {
        Ok(found)
    } else {
        Err(format!("a reader saw {} orders and {} items in cycle {}", found.1, found.2, found.0))
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().unwrap();
        if kind.is_symlink() {
            symlink(fs::read_link(source).unwrap(), target).unwrap();
        } else if kind.is_dir() {
            copy(&source, &target);
        } else {
            fs::copy(source, target).unwrap();
        }
    }
}

/// A home folder as processes reach it.
#[derive(Debug)]
struct Home {
    parts: Parts,
    engine: Arc<PlainEngine>,
}

impl Home {
    async fn open(root: &Path) -> Self {
        let config = Config {
            target: Target::Duckdb,
            cloud: CloudConfig::default(),
            pipeline_file: root.join("pipeline.yaml"),
            home: root.join("home"),
            cache: root.join("cache"),
            python: None,
            dbt_parsed: None,
            lease: Some(LEASE),
            listen: std::net::SocketAddr::from(([127, 0, 0, 1], 0)),
            access: Access::Open,
            log_filter: "off".to_owned(),
            openlineage: OpenLineageConfig::default(),
            otlp_endpoint: None,
            variables: Variables::default(),
        };
        let parts = Parts::open(&config).await.map_err(|problem| problem.detail).unwrap();
        let mut settings = Settings::new(root, "python", root, dbt::Target::Duckdb);
        settings.layers = parts.pipeline.dbt.layers.iter().map(|layer| layer.as_str().to_owned()).collect();
        settings.parsed = Some(root.join("project.json"));
        Self { parts, engine: Arc::new(PlainEngine { dbt: Dbt::new(settings), builds: Mutex::default() }) }
    }
}

impl Place for Home {
    fn parts(&self, process: &Arc<Process>) -> Parts {
        // Who dies here leaves its file handles open. The kernel would close them, and give the lock free.
        let (dying, lock) = (process.clone(), self.parts.home.join("warehouse/.publish.lock"));
        tokio::spawn(async move {
            dying.died().await;
            let _ = fs::remove_file(lock);
        });
        let engine = Arc::new(ProcessEngine { engine: self.engine.clone(), process: process.clone() });
        Parts { dbt: engine, holder: Holder::instance_of(process.name()), ..self.parts.clone() }
    }

    fn sources(&self, platform: Platform) -> OpenApiRouter {
        extract::routes(platform)
    }
}

#[async_trait]
impl Stage for EmbeddedStage {
    fn service(&self, name: &str, fates: Arc<dyn Fates>) -> Arc<Service> {
        Service::new(self.home.clone(), name, fates)
    }

    fn partition(&self) -> &'static str {
        SECOND
    }

    fn nap(&self) -> Duration {
        LEASE.mul_f64(1.5)
    }

    async fn judge(&self) -> Vec<String> {
        let mut found: Vec<String> = self.seen.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect();
        match read(&self.published) {
            Ok((_, orders, items)) if (orders, items) == (2 * ROWS, 2 * ROWS) => {}
            Ok(seen) => found.push(format!("in the end readers see {seen:?}")),
            Err(error) => found.push(error),
        }
        found
    }

    fn builds(&self) -> BTreeMap<(String, String), u64> {
        self.home.engine.builds().clone()
    }

    async fn digest(&self) -> String {
        let record = fs::read_to_string(self.bucket.join("state/deployment.json")).unwrap();
        format!("{record}{}", fs::read_link(&self.published).unwrap().display())
    }
}

/// Builds the models by SQL, in the slot's file.
#[derive(Debug)]
struct PlainEngine {
    dbt: Dbt,
    /// How often each model was built, by layer and name.
    builds: Mutex<BTreeMap<(String, String), u64>>,
}

impl PlainEngine {
    fn builds(&self) -> MutexGuard<'_, BTreeMap<(String, String), u64>> {
        self.builds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same as one process asks for it, model by model.
#[derive(Debug)]
struct ProcessEngine {
    engine: Arc<PlainEngine>,
    process: Arc<Process>,
}

fn file_of(place: &Slot) -> Result<PathBuf, Error> {
    match place {
        Slot::Duckdb { file, .. } => Ok(file.clone()),
        _ => Err(Error::Rejected("the place is no DuckDB file".to_owned())),
    }
}

fn build(file: &Path, name: &str, is_full: bool) -> Result<(), duckdb::Error> {
    let sql = match name {
        "stg_orders" => "create or replace table staging.stg_orders as select * from raw.orders;",
        "dim_items" => "create or replace table mart.dim_items as select * from raw.items;",
        "fct_orders" if is_full => "create or replace table mart.fct_orders as select * from staging.stg_orders;",
        _ => {
            "begin; \
             delete from mart.fct_orders where bgp_partition in (select bgp_partition from changes.raw__orders); \
             insert into mart.fct_orders select * from staging.stg_orders \
             where bgp_partition in (select bgp_partition from changes.raw__orders); \
             commit;"
        }
    };
    let connection = Connection::open(file)?;
    connection
        .execute_batch(&format!("create schema if not exists staging; create schema if not exists mart; {sql}"))?;
    connection.close().map_err(|(_, error)| error)
}

#[async_trait]
impl Engine for ProcessEngine {
    async fn project(&self) -> Result<Arc<Project>, Error> {
        self.engine.dbt.project().await
    }

    async fn run(&self, request: RunRequest) -> Result<RunReport, Error> {
        let file = file_of(&request.place)?;
        let project = self.project().await?;
        let mut nodes = Vec::new();
        for id in project.order().into_iter().filter(|id| request.nodes.contains(id)) {
            let Some(node) = project.nodes.get(&id) else { continue };
            let (name, layer) = (node.name.clone(), node.layer.clone().unwrap_or_default());
            let (engine, file, is_full) = (self.engine.clone(), file.clone(), request.full.contains(&id));
            let work = async move {
                *engine.builds().entry((layer, name.clone())).or_default() += 1;
                let built = tokio::task::spawn_blocking(move || build(&file, &name, is_full)).await;
                built.map_err(|error| Error::Unavailable(error.to_string()))
            };
            let lost = || Error::Unavailable("dbt's outcome is not known".to_owned());
            let built = self.process.call(Call::DbtModel, &id, lost, work).await?;
            nodes.push(NodeResult {
                status: if built.is_ok() { NodeStatus::Success } else { NodeStatus::Error },
                message: built.err().map(|error| error.to_string()).unwrap_or_default(),
                id,
                seconds: 0.0,
                rows_affected: None,
                compiled: None,
            });
        }
        Ok(RunReport { nodes, cost: JobCost::default() })
    }

    async fn test(&self, request: TestRequest) -> Result<TestReport, Error> {
        let project = self.project().await?;
        let tests = request.tests.iter().filter_map(|id| project.nodes.get(id)).map(|node| TestResult {
            id: node.id.clone(),
            name: node.name.clone(),
            status: TestStatus::Pass,
            failures: 0,
            severity: dbt::Severity::Error,
            message: String::new(),
            compiled_sql: None,
            tested_nodes: node.tested.iter().cloned().collect(),
            column: None,
        });
        Ok(TestReport { tests: tests.collect(), cost: JobCost::default() })
    }
}
