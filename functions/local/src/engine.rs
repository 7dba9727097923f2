//! Every function in this process, on a loopback port, and the workflows over HTTP against them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use jiff::Timestamp;
use serde_json::Value;
use service::{Access, Config, Guard, Platform, Server};
use utoipa_axum::router::OpenApiRouter;
use workflows::{Observer, Raised, Unobserved};

use crate::failure::Failure;
use crate::flows::{Flows, Nested, Run, new_execution_id};
use crate::usage::{self, Counting, Usage};

/// A pipeline that is served by this process.
#[derive(Debug)]
pub(crate) struct Engine {
    pub platform: Platform,
    server: Server,
    flows: Arc<Flows>,
    access: Access,
}

/// One execution of a workflow.
#[derive(Debug)]
pub(crate) struct Execution {
    pub run: String,
    pub outcome: Result<Value, Raised>,
    /// How many steps Google would count.
    pub steps: u64,
}

impl Engine {
    /// Opens the platform and serves every function on a free loopback port.
    pub(crate) async fn start(config: &Config) -> Result<Self, Failure> {
        let platform = Platform::open(config).await?;
        let router = router(&platform, config, OpenApiRouter::new())?;
        let server = Server::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), router).await?;
        let flows = Flows::new(&config.access)?;
        flows.serve_from(format!("http://{}", server.address));
        Ok(Self { platform, server, flows, access: config.access.clone() })
    }

    /// Runs the daily workflow to its end.
    pub(crate) async fn daily(&self, argument: Value, observer: Arc<dyn Observer>) -> Result<Execution, Failure> {
        self.execute("daily", argument, observer).await
    }

    /// Runs a workflow to its end.
    pub(crate) async fn execute(
        &self,
        workflow: &str,
        argument: Value,
        observer: Arc<dyn Observer>,
    ) -> Result<Execution, Failure> {
        let run = new_execution_id();
        let nested = Arc::new(Nested(self.flows.clone()));
        let counting = Arc::new(Counting::new(observer));
        let before = self.platform.store.operations();
        let finished = self.flows.run(Run::new(workflow, &run), argument, counting.clone(), nested).await;
        let finished = finished.ok_or_else(|| Failure::new(format!("there is no workflow {workflow}")))?;
        if let Ok(result) = &finished.outcome
            && is_whole(workflow, result)
        {
            let noted = Usage {
                run: run.clone(),
                ended_at: Timestamp::now(),
                steps: finished.steps,
                functions: counting.functions(),
                store: self.platform.store.operations().since(before),
            };
            // It is for the curious: a home that can't be written has told so already, by more than this.
            if let Err(failure) = usage::note(&self.platform.home, workflow, noted) {
                tracing::warn!("{failure}");
            }
        }
        Ok(Execution { run, outcome: finished.outcome, steps: finished.steps })
    }

    /// Runs the rollback workflow to its end.
    pub(crate) async fn rollback(&self, argument: Value) -> Result<Execution, Failure> {
        self.execute("rollback", argument, Arc::new(Unobserved)).await
    }

    /// Runs the cleanup workflow to its end.
    pub(crate) async fn cleanup(&self, argument: Value) -> Result<Value, Failure> {
        let execution = self.execute("cleanup", argument, Arc::new(Unobserved)).await?;
        execution.outcome.map_err(|raised| {
            let reason =
                raised.value["body"]["detail"].as_str().or(raised.value["message"].as_str()).map(str::to_owned);
            Failure::new(reason.unwrap_or_else(|| raised.to_string()))
        })
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

/// Whether an execution did all that one of its workflow usually does.
fn is_whole(workflow: &str, result: &Value) -> bool {
    workflow != "daily" || result["outcome"] == "published"
}

async fn answer(response: reqwest::Response) -> Result<Value, Failure> {
    let status = response.status();
    let body: Value = response.json().await?;
    if status.is_success() {
        return Ok(body);
    }
    Err(Failure::new(body["detail"].as_str().unwrap_or("the function gave no reason").to_owned()))
}

/// The routes of all functions, and others beside them.
pub(crate) fn router(platform: &Platform, config: &Config, others: OpenApiRouter) -> Result<Router, Failure> {
    let routes = others
        .merge(generate::routes(platform.clone()))
        .merge(extract::routes(platform.clone()))
        .merge(load::routes(platform.clone()))
        .merge(transform::routes(platform.clone()))
        .merge(audit::routes(platform.clone()))
        .merge(publish::routes(platform.clone()));
    Ok(service::with_service_routes("BlueGreenPrint", routes, Guard::new(&config.access)?))
}
