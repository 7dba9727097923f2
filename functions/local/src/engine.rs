//! Every function in this process, on a loopback port, and the workflows over HTTP against them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use serde_json::Value;
use service::{Access, Config, Guard, Platform, Server};
use utoipa_axum::router::OpenApiRouter;
use workflows::{Host, HttpClient, Observer, Raised, Unobserved, Workflow};

use crate::failure::Failure;

/// Workflow files are part of the program, so that it runs from any folder and runs what it was built with.
const DAILY: &str = include_str!("../../../workflows/daily.yaml");
const CLEANUP: &str = include_str!("../../../workflows/cleanup.yaml");
const ROLLBACK: &str = include_str!("../../../workflows/rollback.yaml");

/// The functions, each by the variable in which workflows look for its address.
const FUNCTIONS: [&str; 6] = ["GENERATE_URL", "EXTRACT_URL", "LOAD_URL", "TRANSFORM_URL", "AUDIT_URL", "PUBLISH_URL"];

/// A pipeline that is served by this process.
#[derive(Debug)]
pub(crate) struct Engine {
    pub platform: Platform,
    server: Server,
    daily: Workflow,
    rollback: Workflow,
    http: Arc<HttpClient>,
    access: Access,
}

/// One execution of a workflow.
#[derive(Debug)]
pub(crate) struct Execution {
    pub run: String,
    pub outcome: Result<Value, Raised>,
}

impl Engine {
    /// Opens the platform and serves every function on a free loopback port.
    pub(crate) async fn start(config: &Config) -> Result<Self, Failure> {
        let platform = Platform::open(config).await?;
        let server = Server::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), router(&platform, config)?).await?;
        let daily = Workflow::parse("daily.yaml", DAILY)?;
        let rollback = Workflow::parse("rollback.yaml", ROLLBACK)?;
        let http = Arc::new(HttpClient::new()?.with_token(config.access.token().map(str::to_owned)));
        Ok(Self { platform, server, daily, rollback, http, access: config.access.clone() })
    }

    /// Runs the daily workflow to its end.
    pub(crate) async fn daily(&self, argument: Value, observer: Arc<dyn Observer>) -> Execution {
        self.execute(&self.daily, argument, observer).await
    }

    /// Runs the rollback workflow to its end.
    pub(crate) async fn rollback(&self, argument: Value) -> Execution {
        self.execute(&self.rollback, argument, Arc::new(Unobserved)).await
    }

    /// Runs the cleanup workflow to its end.
    pub(crate) async fn cleanup(&self, argument: Value) -> Result<Value, Failure> {
        let workflow = Workflow::parse("cleanup.yaml", CLEANUP)?;
        let execution = self.execute(&workflow, argument, Arc::new(Unobserved)).await;
        execution.outcome.map_err(|raised| {
            let reason =
                raised.value["body"]["detail"].as_str().or(raised.value["message"].as_str()).map(str::to_owned);
            Failure::new(reason.unwrap_or_else(|| raised.to_string()))
        })
    }

    async fn execute(&self, workflow: &Workflow, argument: Value, observer: Arc<dyn Observer>) -> Execution {
        let run = new_run_id();
        let address = format!("http://{}", self.server.address);
        let mut environment: BTreeMap<String, String> =
            FUNCTIONS.iter().map(|name| ((*name).to_owned(), address.clone())).collect();
        environment.insert("GOOGLE_CLOUD_WORKFLOW_EXECUTION_ID".to_owned(), run.clone());
        let mut host = Host::new(self.http.clone());
        host.environment = environment;
        host.observer = observer;
        let outcome = workflow.run(argument, &host).await;
        Execution { run, outcome }
    }

    /// Sends one request to a function, as a workflow would.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        answer(self.request(reqwest::Method::POST, path).json(body).send().await?).await
    }

    /// Asks a function.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, Failure> {
        answer(self.request(reqwest::Method::GET, path).send().await?).await
    }

    fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let request = reqwest::Client::new().request(method, format!("http://{}{path}", self.server.address));
        match self.access.token() {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Lets running requests end.
    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }
}

async fn answer(response: reqwest::Response) -> Result<Value, Failure> {
    let status = response.status();
    let body: Value = response.json().await?;
    if status.is_success() {
        return Ok(body);
    }
    Err(Failure::new(body["detail"].as_str().unwrap_or("the function gave no reason").to_owned()))
}

/// The routes of all functions.
pub(crate) fn router(platform: &Platform, config: &Config) -> Result<Router, Failure> {
    let routes = OpenApiRouter::new()
        .merge(generate::routes(platform.clone()))
        .merge(extract::routes(platform.clone()))
        .merge(load::routes(platform.clone()))
        .merge(transform::routes(platform.clone()))
        .merge(audit::routes(platform.clone()))
        .merge(publish::routes(platform.clone()));
    Ok(service::with_service_routes("BlueGreenPrint", routes, Guard::new(&config.access)?))
}

fn new_run_id() -> String {
    uuid::Uuid::now_v7().to_string()
}
