//! What the tests share: one emulated cloud a program, and a client that sends what it is told.

use std::path::PathBuf;
use std::sync::LazyLock;

use emulators::{Emulators, Endpoints, Environment, Options};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

pub(crate) const PROJECT: &str = "emulated";

struct Started {
    cloud: Emulators,
    // The runtime that serves the cloud, and the folder it lives in, are kept for as long as the program runs.
    _runtime: Runtime,
    folder: tempfile::TempDir,
    environment: PathBuf,
}

static STARTED: LazyLock<Option<Started>> = LazyLock::new(|| {
    let environment = Environment::for_tests()?;
    let runtime = Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let place = environment.folder().to_owned();
    let cloud = runtime.block_on(Emulators::start(Options::new(folder.path(), environment))).unwrap();
    Some(Started { cloud, _runtime: runtime, folder, environment: place })
});

/// The cloud that all tests of this program share, if the emulators are installed.
pub(crate) fn shared() -> Option<Cloud> {
    // Asked for on a thread of its own: a runtime can't be started within another.
    std::thread::spawn(|| LazyLock::force(&STARTED)).join().unwrap();
    let started = STARTED.as_ref()?;
    Some(Cloud {
        endpoints: started.cloud.endpoints().clone(),
        folder: started.folder.path().to_owned(),
        environment: started.environment.clone(),
    })
}

/// The shared cloud, or the end of a test that can't run here.
macro_rules! cloud {
    () => {
        match crate::support::shared() {
            Some(cloud) => cloud,
            None => return,
        }
    };
}

pub(crate) use cloud;

pub(crate) struct Cloud {
    pub(crate) endpoints: Endpoints,
    pub(crate) folder: PathBuf,
    pub(crate) environment: PathBuf,
}

impl Cloud {
    pub(crate) fn bigquery(&self) -> Client {
        Client::new(&self.endpoints.bigquery)
    }

    pub(crate) fn storage(&self) -> Client {
        Client::new(&self.endpoints.storage)
    }
}

/// Sends requests and returns status and JSON.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) base: String,
    http: reqwest::Client,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "{self:?}");
        self.body
    }

    /// An error with this status and reason.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, reason: &str) -> &Self {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.body["error"]["errors"][0]["reason"], reason, "{self:?}");
        self
    }
}

impl Client {
    pub(crate) fn new(base: &str) -> Self {
        Self { base: base.to_owned(), http: reqwest::Client::new() }
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        self.try_send(method, path, body, headers).await.unwrap()
    }

    pub(crate) async fn try_send(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> reqwest::Result<Answer> {
        let url = format!("{}{path}", self.base);
        let mut request = self.http.request(method.parse().unwrap(), url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        answer(request).await
    }

    pub(crate) async fn send_bytes(&self, method: &str, path: &str, body: &[u8], headers: &[(&str, &str)]) -> Answer {
        let mut request =
            self.http.request(method.parse().unwrap(), format!("{}{path}", self.base)).body(body.to_vec());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request).await.unwrap()
    }

    /// Where an answer leads.
    pub(crate) async fn location(&self, method: &str, path: &str) -> String {
        let request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.base));
        let response = request.send().await.unwrap();
        response.headers()["location"].to_str().unwrap().to_owned()
    }

    pub(crate) async fn try_post(&self, path: &str, body: Value) -> reqwest::Result<Answer> {
        self.try_send("POST", &api(path), Some(&body), &[]).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", &api(path), None, &[]).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", &api(path), Some(&body), &[]).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send("PATCH", &api(path), Some(&body), &[]).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", &api(path), None, &[]).await
    }

    /// Makes a dataset whose name no other test has.
    pub(crate) async fn dataset(&self, name: &str) {
        self.post("/datasets", json!({"datasetReference": {"datasetId": name}})).await.ok();
    }

    pub(crate) async fn table(&self, dataset: &str, definition: Value) -> Value {
        self.post(&format!("/datasets/{dataset}/tables"), definition).await.ok()
    }

    /// Runs a job to its end.
    pub(crate) async fn job(&self, configuration: Value) -> Job {
        self.named_job(None, configuration).await
    }

    pub(crate) async fn named_job(&self, id: Option<&str>, configuration: Value) -> Job {
        let mut body = json!({"configuration": configuration});
        if let Some(id) = id {
            body["jobReference"] = json!({"jobId": id, "projectId": PROJECT, "location": "US"});
        }
        let mut job = self.post("/jobs", body).await.ok();
        while job["status"]["state"] != "DONE" {
            let id = job["jobReference"]["jobId"].as_str().unwrap().to_owned();
            // It answers when the job is done, so this does not spin.
            self.get(&format!("/queries/{id}?location=US&maxResults=0")).await;
            job = self.get(&format!("/jobs/{id}?location=US")).await.ok();
        }
        Job(job)
    }

    pub(crate) async fn query(&self, sql: &str) -> Job {
        self.job(json!({"query": {"query": sql, "useLegacySql": false}})).await
    }

    /// The rows of a query, as text.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        let answer = self.post("/queries", json!({"query": sql, "useLegacySql": false})).await.ok();
        let cell = |cell: &Value| cell["v"].as_str().map_or_else(|| cell["v"].to_string(), str::to_owned);
        let row = |row: &Value| row["f"].as_array().unwrap().iter().map(cell).collect();
        answer["rows"].as_array().map(|rows| rows.iter().map(row).collect()).unwrap_or_default()
    }
}

/// A finished job.
#[derive(Debug, Clone)]
pub(crate) struct Job(pub(crate) Value);

impl Job {
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert!(self.0["status"].get("errorResult").is_none(), "{}", self.0["status"]);
        self.0
    }

    #[track_caller]
    pub(crate) fn failed(&self, reason: &str, words: &str) {
        let error = &self.0["status"]["errorResult"];
        assert_eq!(error["reason"], reason, "{}", self.0["status"]);
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(words), "{words:?} is not in {message:?}");
    }
}

fn api(path: &str) -> String {
    format!("/bigquery/v2/projects/{PROJECT}{path}")
}

async fn answer(request: reqwest::RequestBuilder) -> reqwest::Result<Answer> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    let text = response.text().await?;
    Ok(Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) })
}
