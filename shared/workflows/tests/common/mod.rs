//! A host whose network, clock and observers are under the test's control.
#![allow(dead_code, clippy::allow_attributes, reason = "every test file compiles this module and uses a part of it")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use serde_json::Value;
use workflows::{
    Clock, Exchange, Host, Http, HttpFailure, NoExecutions, Observer, Place, Raised, Request, Response, Workflow,
};

type Handler = Box<dyn Fn(&Request, usize) -> Result<Response, HttpFailure> + Send + Sync>;

/// Answers by a function of the request and the number of requests before it.
pub(crate) struct Network {
    handler: Handler,
    pub(crate) requests: Mutex<Vec<Request>>,
    /// Requests under way, and the most that ever were.
    pub(crate) running: AtomicUsize,
    pub(crate) most: AtomicUsize,
}

#[async_trait]
impl Http for Network {
    async fn send(&self, request: Request) -> Result<Response, HttpFailure> {
        let before = {
            let mut requests = self.requests.lock().unwrap();
            requests.push(request.clone());
            requests.len() - 1
        };
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        // Lets the other branches get as far as they can.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        self.running.fetch_sub(1, Ordering::SeqCst);
        (self.handler)(&request, before)
    }
}

/// Stands at a fixed time and notes what it was asked to wait for.
#[derive(Default)]
pub(crate) struct Watch {
    pub(crate) slept: Mutex<Vec<Duration>>,
}

#[async_trait]
impl Clock for Watch {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(1_720_788_633_250)
    }

    async fn sleep(&self, duration: Duration) {
        self.slept.lock().unwrap().push(duration);
        tokio::task::yield_now().await;
    }
}

/// Notes everything that it is told.
#[derive(Default)]
pub(crate) struct Record {
    pub(crate) lines: Mutex<Vec<String>>,
}

impl Record {
    fn note(&self, line: String) {
        self.lines.lock().unwrap().push(line);
    }
}

fn at(place: Place<'_>) -> String {
    let branch = place.branch.map(|branch| format!("[{branch}]")).unwrap_or_default();
    format!("{}/{}{branch}", place.routine, place.step)
}

impl Observer for Record {
    fn step_started(&self, place: Place<'_>) {
        self.note(format!("start {}", at(place)));
    }
    fn step_finished(&self, place: Place<'_>, _duration: Duration, failed: bool) {
        self.note(format!("{} {}", if failed { "fail" } else { "end" }, at(place)));
    }
    fn call_started(&self, place: Place<'_>, method: &str, url: &str) {
        self.note(format!("send {} {method} {url}", at(place)));
    }
    fn call_finished(&self, place: Place<'_>, exchange: Exchange<'_>) {
        self.note(format!("sent {} {} {:?}", at(place), exchange.url, exchange.code));
    }
    fn retrying(&self, place: Place<'_>, attempt: u64, delay: Duration) {
        self.note(format!("retry {} {attempt} {delay:?}", at(place)));
    }
    fn log(&self, place: Place<'_>, severity: &str, message: &Value) {
        self.note(format!("log {} {severity} {message}", at(place)));
    }
}

pub(crate) struct World {
    pub(crate) host: Host,
    pub(crate) network: Arc<Network>,
    pub(crate) watch: Arc<Watch>,
    pub(crate) record: Arc<Record>,
}

impl World {
    /// A network that answers by `handler`.
    pub(crate) fn new(
        handler: impl Fn(&Request, usize) -> Result<Response, HttpFailure> + Send + Sync + 'static,
    ) -> Self {
        let network = Arc::new(Network {
            handler: Box::new(handler),
            requests: Mutex::default(),
            running: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        });
        let (watch, record) = (Arc::new(Watch::default()), Arc::new(Record::default()));
        let host = Host {
            http: network.clone(),
            environment: BTreeMap::from([("REGION".to_owned(), "here".to_owned())]),
            observer: record.clone(),
            clock: watch.clone(),
            executions: Arc::new(NoExecutions),
        };
        Self { host, network, watch, record }
    }

    /// A network that answers each request with the next of these codes, and with 200 behind the last.
    pub(crate) fn codes(codes: &'static [u16]) -> Self {
        Self::new(|_, before| Ok(json_response(codes.get(before).copied().unwrap_or(200), "{\"ok\": true}")))
    }

    pub(crate) fn run(&self, source: &str, argument: Value) -> Result<Value, Raised> {
        let workflow = match Workflow::parse("test.yaml", source) {
            Ok(workflow) => workflow,
            Err(error) => panic!("{error}\n{source}"),
        };
        runtime().block_on(workflow.run(argument, &self.host))
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.record.lines.lock().unwrap().clone()
    }

    pub(crate) fn slept(&self) -> Vec<f64> {
        self.watch.slept.lock().unwrap().iter().map(Duration::as_secs_f64).collect()
    }

    pub(crate) fn sent(&self) -> usize {
        self.network.requests.lock().unwrap().len()
    }
}

pub(crate) fn json_response(code: u16, body: &str) -> Response {
    Response {
        code,
        headers: vec![("content-type".to_owned(), "application/json; charset=utf-8".to_owned())],
        body: body.as_bytes().to_vec(),
    }
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Runs a whole file without network.
pub(crate) fn run(source: &str, argument: Value) -> Result<Value, Raised> {
    World::codes(&[]).run(source, argument)
}

/// The tags of a raised map.
pub(crate) fn tags(raised: &Raised) -> Vec<String> {
    raised.value["tags"].as_array().into_iter().flatten().filter_map(|tag| tag.as_str().map(str::to_owned)).collect()
}
