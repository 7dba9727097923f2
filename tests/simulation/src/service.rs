//! Functions as Cloud Run serves them, and runs of the workflow against them.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ::service::{Guard, Parts, Platform, with_service_routes};
use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::time::sleep;
use tower::ServiceExt as _;
use utoipa_axum::router::OpenApiRouter;
use workflows::{Host, Http, HttpFailure, Raised, Request, Response, Workflow};

use crate::job::{self, Asked, JOB};
use crate::{Call, Fates, Process, observed};

/// The workflow that is deployed.
const DAILY: &str = include_str!("../../../workflows/daily.yaml");

/// The functions that it calls, each by the variable in which it looks for the address.
const FUNCTIONS: [&str; 6] = ["GENERATE_URL", "EXTRACT_URL", "LOAD_URL", "TRANSFORM_URL", "AUDIT_URL", "PUBLISH_URL"];

/// Where functions run: what they reach, and how the source gets into the lake.
pub trait Place: Debug + Send + Sync {
    /// What a process needs to reach it. Its calls meet no fate yet.
    fn parts(&self, process: &Arc<Process>) -> Parts;

    /// `generate` and `extract`.
    fn sources(&self, platform: Platform) -> OpenApiRouter;
}

/// A service of all functions. An instance that died is replaced at the next request.
#[derive(Debug)]
pub struct Service {
    place: Arc<dyn Place>,
    name: String,
    fates: Arc<dyn Fates>,
    instance: Mutex<(usize, Option<Instance>)>,
    /// Whoever runs the workflows.
    caller: Arc<Process>,
    daily: Workflow,
    /// Whether layers are built by a job of Cloud Run.
    has_job: AtomicBool,
    executions: job::Executions,
}

#[derive(Debug, Clone)]
struct Instance {
    process: Arc<Process>,
    router: Router,
}

impl Service {
    /// No instance is running yet.
    pub fn new(place: Arc<dyn Place>, name: &str, fates: Arc<dyn Fates>) -> Arc<Self> {
        Arc::new(Self {
            place,
            name: name.to_owned(),
            caller: Process::new(format!("{name}-caller"), fates.clone()),
            fates,
            instance: Mutex::default(),
            daily: Workflow::parse("daily.yaml", DAILY).unwrap(),
            has_job: AtomicBool::new(false),
            executions: job::Executions::default(),
        })
    }

    /// From now on layers are built by a job of Cloud Run.
    pub fn transform_by_job(&self) {
        self.has_job.store(true, Ordering::Relaxed);
    }

    /// The process that runs workflows.
    pub fn caller(&self) -> &Arc<Process> {
        &self.caller
    }

    /// The instance that takes requests now, started if there is none.
    fn instance(&self) -> Instance {
        let mut current = self.instance.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(instance) = current.1.as_ref().filter(|instance| !instance.process.is_dead()) {
            return instance.clone();
        }
        current.0 += 1;
        let instance = self.start(&format!("{}-{}", self.name, current.0));
        current.1 = Some(instance.clone());
        instance
    }

    /// A new instance.
    fn start(&self, name: &str) -> Instance {
        let process = Process::new(name, self.fates.clone());
        let platform = Platform::from(observed(self.place.parts(&process), &process));
        let routes = self
            .place
            .sources(platform.clone())
            .merge(load::routes(platform.clone()))
            .merge(transform::routes(platform.clone()))
            .merge(audit::routes(platform.clone()))
            .merge(publish::routes(platform));
        Instance { process, router: with_service_routes("simulated", routes, Guard::default()) }
    }

    /// What the job is asked for. An execution is an instance of its own, that answers one request and ends.
    fn ask_job(&self, asked: Asked) -> Response {
        match asked {
            Asked::Look { execution } => self.executions.look(execution),
            Asked::Run { path, body } => {
                let (name, answer, ended) = self.executions.start();
                let instance = self.start(&format!("{}-{name}", self.name));
                tokio::spawn(async move {
                    // Nobody reads what it answers.
                    let _ = exchange(instance, path, body.into_bytes()).await;
                    ended.store(true, Ordering::Relaxed);
                });
                answer
            }
        }
    }

    /// The process of the instance that takes requests now.
    pub fn process(&self) -> Arc<Process> {
        self.instance().process
    }

    /// Returns when whoever runs workflows, or the instance, has fallen asleep.
    pub async fn fell_asleep(&self) {
        let process = self.process();
        tokio::select! {
            biased;
            () = self.caller.fell_asleep() => {}
            () = process.fell_asleep() => {}
        }
    }

    /// Kills the instance: the next request finds another.
    pub fn kill(&self) {
        if let Some(instance) = &self.instance.lock().unwrap_or_else(PoisonError::into_inner).1 {
            instance.process.kill();
        }
    }

    /// Leaves the instance to itself: requests that it has are answered by it, the next one finds another.
    pub fn replace(&self) {
        self.instance.lock().unwrap_or_else(PoisonError::into_inner).1 = None;
    }

    /// One execution of the daily workflow. Never returns if whoever runs it dies.
    pub async fn daily(self: &Arc<Self>, run: &str, argument: Value) -> Result<Value, Raised> {
        let mut host = Host::new(Arc::new(Line { service: self.clone() }));
        let mut environment: BTreeMap<String, String> =
            FUNCTIONS.iter().map(|name| ((*name).to_owned(), "http://function".to_owned())).collect();
        environment.insert("GOOGLE_CLOUD_WORKFLOW_EXECUTION_ID".to_owned(), run.to_owned());
        if self.has_job.load(Ordering::Relaxed) {
            environment.insert("TRANSFORM_JOB".to_owned(), JOB.to_owned());
        }
        host.environment = environment;
        self.daily.run(argument, &host).await
    }

    /// One request, as the commands send them. Returns the status and the body.
    pub async fn post(self: &Arc<Self>, path: &str, body: &Value) -> (u16, Value) {
        let answer = exchange(self.instance(), path.to_owned(), body.to_string().into_bytes()).await;
        answer
            .map_or((0, Value::Null), |answer| (answer.code, serde_json::from_slice(&answer.body).unwrap_or_default()))
    }
}

/// One request and its answer, unless the instance dies over it.
async fn exchange(instance: Instance, path: String, body: Vec<u8>) -> Result<Response, HttpFailure> {
    let request = axum::http::Request::post(path)
        .header("content-type", "application/json")
        .body(Body::from(body))
        .map_err(|error| HttpFailure::Invalid(error.to_string()))?;
    let answer = async {
        let Ok(response) = instance.router.oneshot(request).await;
        let code = response.status().as_u16();
        let body = response.into_body().collect().await.map_err(|error| HttpFailure::Interrupted(error.to_string()))?;
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Ok(Response { code, headers, body: body.to_bytes().to_vec() })
    };
    tokio::select! {
        biased;
        () = instance.process.died() => Err(HttpFailure::Interrupted("the instance died".to_owned())),
        answer = answer => answer,
    }
}

/// How requests of workflows reach the service.
struct Line {
    service: Arc<Service>,
}

#[async_trait]
impl Http for Line {
    async fn send(&self, request: Request) -> Result<Response, HttpFailure> {
        let asked_of_job = job::asked(&request.url, request.body.as_deref()).transpose()?;
        let path = request.url.trim_start_matches("http://function").to_owned();
        let (service, timeout, subject) = (self.service.clone(), request.timeout, path.clone());
        let work = async move {
            if let Some(asked) = asked_of_job {
                return Ok(service.ask_job(asked));
            }
            let answer = exchange(service.instance(), path, request.body.unwrap_or_default());
            tokio::select! {
                biased;
                answer = answer => answer,
                () = sleep(timeout) => Err(HttpFailure::TimedOut),
            }
        };
        let lost = || HttpFailure::Interrupted("the connection broke".to_owned());
        self.service.caller.call(Call::FunctionCall, &subject, lost, work).await
    }
}
