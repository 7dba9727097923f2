//! Starts the emulators and the proxies in front of them.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::http::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::bigquery::BigQuery;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::faults::Faults;
use crate::process::{Process, free_port};
use crate::proxy::Proxy;
use crate::serve::{Server, listen, serve};
use crate::storage::Storage;
use crate::upstream::Upstream;

const SUPERVISE: &str = include_str!("children/supervise.py");
/// How often a start is repeated when somebody else took the port meanwhile.
const TRIES: usize = 3;

/// What to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// Everything that outlives the processes: datasets and jobs in `bigquery/`, buckets in `storage/`, `logs/`.
    /// What was there before is there again. Topics of Pub/Sub are not kept; its emulator can't.
    pub folder: PathBuf,
    pub environment: Environment,
    pub project: String,
    /// Whether to start the Pub/Sub emulator, which takes a Java machine and two seconds. Without its package, it is
    /// not started, and [`Endpoints::pubsub`] is `None`.
    pub pubsub: bool,
    /// Whether limits of rates are enforced: they refuse what is right but too fast.
    pub rate_limits: bool,
}

impl Options {
    /// BigQuery and Cloud Storage for the project `emulated`, with every rule.
    pub fn new(folder: impl Into<PathBuf>, environment: Environment) -> Self {
        Self { folder: folder.into(), environment, project: "emulated".to_owned(), pubsub: false, rate_limits: true }
    }
}

/// Where the emulated cloud listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    pub project: String,
    /// BigQuery with its rules: `http://127.0.0.1:PORT`; its API is below `/bigquery/v2`.
    pub bigquery: String,
    /// Cloud Storage (JSON over HTTP/1.1) with its rules.
    pub storage: String,
    /// Pub/Sub (gRPC), as `HOST:PORT`, or nothing where it is not installed.
    pub pubsub: Option<String>,
    /// The emulators themselves, without rules and faults. For probes of their gaps.
    pub bare_bigquery: String,
    pub bare_storage: String,
}

/// A running cloud. It ends when this is dropped; [`Emulators::stop`] also waits for it.
#[derive(Debug)]
pub struct Emulators {
    endpoints: Endpoints,
    faults: Faults,
    servers: Vec<Server>,
    processes: Vec<Process>,
    /// Keeps others away from the folder. Released last.
    _lock: File,
}

impl Emulators {
    /// Starts what `options` name, side by side, and returns when all of it answers.
    ///
    /// # Errors
    /// [`Error::InUse`] when others run on the folder; [`Error::Unavailable`] with the log to read when an emulator does not
    /// start.
    pub async fn start(options: Options) -> Result<Self> {
        for name in ["bigquery", "storage", "logs"] {
            let folder = options.folder.join(name);
            std::fs::create_dir_all(&folder).map_err(Error::internal(format!("make {}", folder.display())))?;
        }
        let lock = lock(&options.folder)?;
        let options = &options;
        let (bigquery, storage, pubsub) =
            tokio::try_join!(start_bigquery(options), start_storage(options), start_pubsub(options))?;
        let faults = Faults::default();
        let (bigquery_process, bigquery_port) = bigquery;
        let (storage_process, storage_port) = storage;

        let (listener, bigquery_proxy) = listen().await?;
        let upstream = Upstream::new("BigQuery", bigquery_port, bigquery_proxy);
        let service = BigQuery::open(
            upstream,
            &options.folder.join("bigquery"),
            &absolute(&options.folder.join("storage"))?,
            options.rate_limits,
        )?;
        let bigquery_server = serve(listener, Proxy::new(service, faults.clone()));

        let (listener, storage_proxy) = listen().await?;
        let service = Storage::new(Upstream::new("Cloud Storage", storage_port, storage_proxy), storage_proxy);
        let storage_server = serve(listener, Proxy::new(service, faults.clone()));

        let mut processes = vec![bigquery_process, storage_process];
        let pubsub = pubsub.map(|(process, port)| {
            processes.push(process);
            format!("127.0.0.1:{port}")
        });
        let endpoints = Endpoints {
            project: options.project.clone(),
            bigquery: format!("http://127.0.0.1:{bigquery_proxy}"),
            storage: format!("http://127.0.0.1:{storage_proxy}"),
            pubsub,
            bare_bigquery: format!("http://127.0.0.1:{bigquery_port}"),
            bare_storage: format!("http://127.0.0.1:{storage_port}"),
        };
        Ok(Self { endpoints, faults, servers: vec![bigquery_server, storage_server], processes, _lock: lock })
    }

    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// The handle on faults to inject. There are none at first.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Ends it, waiting until the emulators have closed their files.
    pub async fn stop(self) {
        drop(self.servers);
        for process in self.processes {
            process.stop().await;
        }
    }
}

/// What the BigQuery emulator prints when it answers.
#[derive(Deserialize)]
struct Ready {
    port: u16,
}

async fn start_bigquery(options: &Options) -> Result<(Process, u16)> {
    let environment = &options.environment;
    let settings = json!({
        "home": environment.folder.join("home"),
        "rest_port": 0,
        "grpc_port": 0,
        "default_project_id": options.project,
        "persistence_mode": "persistent",
        "data_dir": absolute(&options.folder.join("bigquery"))?,
        "gcs_local_root": absolute(&options.folder.join("storage"))?,
        "upload_staging_dir": absolute(&options.folder.join("bigquery/uploads"))?,
        // It would keep a copy of a table for each change of it.
        "time_travel_retention_days": 0,
        // The Avro extension would be fetched from the network.
        "enable_format_extensions": false,
        "log_level": "warning",
    });
    let mut process = Process::start(
        "BigQuery",
        &environment.python,
        include_str!("children/bigquery.py"),
        [OsString::from(settings.to_string())],
        &[],
        options.folder.join("logs/bigquery.log"),
    )?;
    let line = process.first_line().await?;
    match serde_json::from_str::<Ready>(&line) {
        Ok(ready) => Ok((process, ready.port)),
        Err(_) => Err(process.failed("did not say its port")),
    }
}

async fn start_storage(options: &Options) -> Result<(Process, u16)> {
    let root = absolute(&options.folder.join("storage"))?;
    let command = |port: u16| {
        let words = ["-scheme", "http", "-host", "127.0.0.1", "-port", &port.to_string(), "-log-level", "warn"];
        let backend = ["-backend", "filesystem", "-filesystem-root"];
        let mut command = vec![options.environment.storage.clone().into_os_string()];
        command.extend(words.into_iter().chain(backend).map(OsString::from));
        command.push(root.clone().into_os_string());
        command
    };
    supervised("Cloud Storage", options, "logs/storage.log", "/_internal/healthcheck", command).await
}

async fn start_pubsub(options: &Options) -> Result<Option<(Process, u16)>> {
    let Some(emulator) = options.environment.pubsub.as_ref().filter(|_| options.pubsub) else {
        return Ok(None);
    };
    let command =
        |port: u16| vec![emulator.clone().into_os_string(), "--host=127.0.0.1".into(), format!("--port={port}").into()];
    supervised("Pub/Sub", options, "logs/pubsub.log", "/", command).await.map(Some)
}

/// A program that must be told its port, watched over by a small one in Python.
async fn supervised(
    emulator: &'static str,
    options: &Options,
    log: &str,
    health: &str,
    command: impl Fn(u16) -> Vec<OsString>,
) -> Result<(Process, u16)> {
    let mut last = None;
    for _ in 0..TRIES {
        let port = free_port().await?;
        let log = options.folder.join(log);
        let mut process = Process::start(emulator, &options.environment.python, SUPERVISE, command(port), &[], log)?;
        let upstream = Upstream::new(emulator, port, port);
        let answers = async || matches!(upstream.ask(Method::GET, health, Body::empty()).await, Ok((200, _)));
        match process.ready(answers).await {
            Ok(()) => return Ok((process, port)),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or(Error::NotFound { path: options.folder.join(log) }))
}

/// Takes the folder for this process: the emulators of two would each keep a part of what was written.
fn lock(folder: &Path) -> Result<File> {
    let path = folder.join(".lock");
    let file = File::create(&path).map_err(Error::internal(format!("make {}", path.display())))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse { folder: folder.to_owned() }),
        Err(TryLockError::Error(error)) => Err(Error::internal(format!("lock {}", path.display()))(error)),
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(Error::internal(format!("find {}", path.display())))
}
