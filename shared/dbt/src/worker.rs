//! The Python process that runs dbt.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use wap::Digest;

use crate::{Error, Settings};

/// The program that the process runs.
pub(crate) const SCRIPT: &str = include_str!("../worker/worker.py");

/// One process. Dropping it kills it; a command that it was working on ends with it.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    folder: TempDir,
    /// The key of the parse that the process has in memory.
    pub(crate) loaded: Option<Digest>,
}

/// The process's answer to one command.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Ok(Value),
    Error { kind: String, message: String },
}

impl Worker {
    /// Starts a process and waits until it takes commands.
    pub(crate) async fn start(settings: &Settings) -> Result<Self, Error> {
        let folder = tempfile::Builder::new()
            .prefix("worker-")
            .tempdir_in(&settings.cache_dir)
            .map_err(Error::file("make a folder in", &settings.cache_dir))?;
        let log = folder.path().join("stderr");
        let log = std::fs::File::create(&log).map_err(Error::file("write", &log))?;
        let mut child = Command::new(&settings.python)
            .args(["-I", "-X", "utf8", "-c", SCRIPT])
            .env_clear()
            .envs(&settings.environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            // Ctrl-C at a terminal is for us to act on; the process ends with us.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Error::Unavailable(format!("{} can't be started: {error}", settings.python.display())))?;
        let (Some(requests), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::Unavailable("the worker has no pipes".to_owned()));
        };
        let mut worker = Self { child, requests, answers: BufReader::new(answers), folder, loaded: None };
        let hello = json!({
            "folder": worker.folder.path(),
            "log_dir": absolute(&settings.cache_dir)?,
            "project_dir": absolute(&settings.project_dir)?,
            "target": settings.target,
            "target_name": settings.target_name,
            "threads": settings.threads,
            "vars": settings.vars,
        });
        worker.ask::<Value>(&hello).await?;
        Ok(worker)
    }

    /// A folder of this process's own, gone with it.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Sends one command and waits for its answer.
    pub(crate) async fn ask<T: DeserializeOwned>(&mut self, request: &impl Serialize) -> Result<T, Error> {
        let mut line =
            serde_json::to_vec(request).map_err(|error| Error::internal("failed to write a command", error))?;
        line.push(b'\n');
        let mut answer = String::new();
        let sent = self.requests.write_all(&line).await;
        let received = self.answers.read_line(&mut answer).await;
        if sent.is_err() || !matches!(received, Ok(length) if length > 0) {
            return Err(Error::Unavailable(self.last_words().await));
        }
        let answer = serde_json::from_str(&answer)
            .map_err(|error| Error::internal("dbt's worker answers in no known form", error))?;
        match answer {
            Answer::Ok(value) => {
                serde_json::from_value(value).map_err(|error| Error::internal("dbt answers in no known form", error))
            }
            Answer::Error { kind, message } => Err(match kind.as_str() {
                "rejected" => Error::Rejected(message),
                "unavailable" => Error::Unavailable(message),
                _ => Error::Internal { message: format!("dbt failed: {message}"), source: None },
            }),
        }
    }

    /// What became of a process that answers no more.
    async fn last_words(&mut self) -> String {
        let ended = match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let log = tokio::fs::read_to_string(self.folder.path().join("stderr")).await.unwrap_or_default();
        let last = log.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        format!("its worker ended ({ended}): {last}")
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(Error::file("find", path))
}
