//! Child processes that live no longer than this one.
//!
//! Each child is a Python program that ends when its standard input does. The write end is held here, so the children
//! end when they are dropped, and also when this process is killed.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::error::{Error, Result};

/// How long an emulator may take to answer. The slowest needs nine seconds on two busy cores.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long an emulator may take to end before it is killed.
const FAREWELL: Duration = Duration::from_secs(10);
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(crate) struct Process {
    emulator: &'static str,
    child: Child,
    lifeline: Option<ChildStdin>,
    log: PathBuf,
}

impl Process {
    /// Starts a Python program with its log in `log`.
    pub(crate) fn start(
        emulator: &'static str,
        python: &Path,
        program: &str,
        arguments: impl IntoIterator<Item = OsString>,
        environment: &[(&str, OsString)],
        log: PathBuf,
    ) -> Result<Self> {
        let open = || {
            std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(&log)
                .map_err(Error::internal(format!("open {}", log.display())))
        };
        // Without the settings of this machine's Python, one of which keeps it from keeping what it compiled: half of a start.
        let mut child = Command::new(python)
            .args(["-I", "-X", "utf8", "-c"])
            .arg(program)
            .args(arguments)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(open()?)
            .spawn()
            .map_err(Error::internal(format!("start {}", python.display())))?;
        let lifeline = child.stdin.take();
        Ok(Self { emulator, child, lifeline, log })
    }

    /// What the program printed first.
    pub(crate) async fn first_line(&mut self) -> Result<String> {
        let Some(stdout) = self.child.stdout.take() else {
            return Err(self.failed("was asked twice for its first line"));
        };
        let mut line = String::new();
        let mut reader: BufReader<ChildStdout> = BufReader::new(stdout);
        match tokio::time::timeout(PATIENCE, reader.read_line(&mut line)).await {
            Ok(Ok(read)) if read > 0 => Ok(line),
            Ok(_) => {
                let status = self.child.wait().await.ok();
                Err(self.failed(ended(status)))
            }
            Err(_) => Err(self.failed(format!("did not start within {} s", PATIENCE.as_secs()))),
        }
    }

    /// Asks `is_ready` until it says yes.
    pub(crate) async fn ready(&mut self, is_ready: impl AsyncFn() -> bool) -> Result<()> {
        let started = Instant::now();
        while !is_ready().await {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.failed(ended(Some(status))));
            }
            if started.elapsed() > PATIENCE {
                return Err(self.failed(format!("did not answer within {} s", PATIENCE.as_secs())));
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        Ok(())
    }

    /// Lets the program end by itself, so that it can close its files.
    pub(crate) async fn stop(mut self) {
        drop(self.lifeline.take());
        if tokio::time::timeout(FAREWELL, self.child.wait()).await.is_err() {
            tracing::warn!(emulator = self.emulator, "killed: it did not end by itself");
            if let Err(error) = self.child.kill().await {
                tracing::warn!(emulator = self.emulator, %error, "could not be killed");
            }
        }
    }

    pub(crate) fn failed(&self, what: impl Into<String>) -> Error {
        Error::Unavailable { emulator: self.emulator, what: what.into(), log: self.log.clone() }
    }
}

fn ended(status: Option<ExitStatus>) -> String {
    status.map_or_else(|| "ended".to_owned(), |status| format!("ended ({status})"))
}

/// A loopback port that nobody listened on a moment ago.
pub(crate) async fn free_port() -> Result<u16> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let found = async { TcpListener::bind(address).await?.local_addr() };
    Ok(found.await.map_err(Error::internal("find a free port"))?.port())
}
