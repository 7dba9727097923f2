//! The emulated cloud, for tests of the program that was built with Google's clients.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::{Output, Sandbox, built, cache, did_not_run};

/// The program, and what it needs beside it.
#[derive(Debug)]
pub struct Cloud {
    program: PathBuf,
    environment: PathBuf,
}

impl Cloud {
    /// The program, where the emulators are there too. Otherwise says that `test` did not run.
    pub fn find(test: &str) -> Option<Self> {
        #[expect(clippy::disallowed_methods, reason = "tests are told by ./bgp which program to test")]
        let program = std::env::var_os("BGP_CLOUD_PROGRAM").map(PathBuf::from);
        let environment = cache().join("emulator-env");
        let reason = match program {
            None => "BGP_CLOUD_PROGRAM names no program; ./bgp test does".to_owned(),
            Some(_) if !environment.join(".requirements").exists() => {
                format!("{} is not there; ./bgp test makes it", environment.display())
            }
            Some(_) if !cache().join("dbt-bigquery-env/.requirements").exists() => {
                "there is no dbt for BigQuery; ./bgp test makes its environment".to_owned()
            }
            Some(program) => return Some(Self { program, environment }),
        };
        did_not_run(test, reason);
        None
    }

    /// The Python of the environment that the emulators run in, which has Google's client for BigQuery.
    pub fn python(&self) -> PathBuf {
        self.environment.join("bin/python")
    }

    /// Runs a command for the sandbox's pipeline, with emulators of its own for as long as it takes.
    pub fn run(&self, sandbox: &Sandbox, arguments: &[&str]) -> Output {
        self.command(sandbox, arguments).output().unwrap().into()
    }

    fn command(&self, sandbox: &Sandbox, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["--target", "emulators", "--config"]).arg(sandbox.config());
        command.arg("--home").arg(sandbox.folder().join("cloud")).args(arguments).stdin(Stdio::null());
        command
    }

    /// Starts emulators that serve several commands.
    pub fn emulators(&self, sandbox: &Sandbox) -> Emulators<'_> {
        // Beside the test, whatever copy of the program is tested.
        let mut process = Command::new(built("bgp-emulators"))
            .arg("--folder")
            .arg(sandbox.folder().join("emulators"))
            .arg("--environment")
            .arg(&self.environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let endpoints: Value = serde_json::from_str(&line).unwrap();
        let endpoint = |name: &str| endpoints[name].as_str().unwrap().to_owned();
        Emulators { cloud: self, process, bigquery: endpoint("bigquery"), storage: endpoint("storage") }
    }
}

/// Running emulators. They end when this is dropped.
#[derive(Debug)]
pub struct Emulators<'cloud> {
    cloud: &'cloud Cloud,
    process: Child,
    bigquery: String,
    storage: String,
}

impl Emulators<'_> {
    /// The address of BigQuery.
    pub fn bigquery(&self) -> &str {
        &self.bigquery
    }

    /// A command for the sandbox's pipeline.
    pub fn command(&self, sandbox: &Sandbox, arguments: &[&str]) -> Command {
        let mut command = self.cloud.command(sandbox, arguments);
        command.env("BGP_BIGQUERY_ENDPOINT", &self.bigquery).env("BGP_STORAGE_ENDPOINT", &self.storage);
        command
    }

    /// Runs a command for the sandbox's pipeline.
    pub fn run(&self, sandbox: &Sandbox, arguments: &[&str]) -> Output {
        self.command(sandbox, arguments).output().unwrap().into()
    }

    /// The digest of every live table.
    #[track_caller]
    pub fn digest(&self, sandbox: &Sandbox) -> BTreeMap<String, String> {
        let digests = self.run(sandbox, &["digest", "--json"]).ok().json();
        digests.as_object().unwrap().iter().map(|(view, digest)| (view.clone(), digest.to_string())).collect()
    }

    /// Lets a share of the requests fail, in ways that follow from the seed.
    pub fn inject(&self, seed: u64, rate: f64) {
        self.ask("PUT", "/_faults", &json!({ "seed": seed, "rate": rate }).to_string());
    }

    /// Never answers one of the next requests, before or after it takes effect.
    pub fn hold(&self, ordinal: u64, after: bool) {
        let plan = json!({ "seed": 0, "rate": 0.0, "hold": {"ordinal": ordinal, "after": after} });
        self.ask("PUT", "/_faults", &plan.to_string());
    }

    /// Whether that request has come.
    pub fn holds(&self) -> bool {
        self.ask("GET", "/_faults", "")["holds"] == true
    }

    /// Lets no more requests fail, and says what was injected.
    pub fn stop_faults(&self) -> Value {
        let injected = self.ask("GET", "/_faults", "");
        self.ask("DELETE", "/_faults", "");
        injected
    }

    /// Every job of the project, as `jobs.list` shows it.
    pub fn jobs(&self) -> Vec<Value> {
        let list = self.ask("GET", "/bigquery/v2/projects/emulated/jobs?projection=full&maxResults=100000", "");
        list["jobs"].as_array().cloned().unwrap_or_default()
    }

    /// A table as `tables.get` shows it.
    pub fn table(&self, dataset: &str, name: &str) -> Value {
        self.ask("GET", &format!("/bigquery/v2/projects/emulated/datasets/{dataset}/tables/{name}"), "")
    }

    /// One request to BigQuery's address.
    fn ask(&self, method: &str, path: &str, body: &str) -> Value {
        let address = self.bigquery.strip_prefix("http://").unwrap();
        let mut connection = TcpStream::connect(address).unwrap();
        write!(
            connection,
            "{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(" 20"), "{method} {path}: {answer}");
        serde_json::from_str(body).unwrap_or_default()
    }
}

impl Drop for Emulators<'_> {
    fn drop(&mut self) {
        // They end with their standard input.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
