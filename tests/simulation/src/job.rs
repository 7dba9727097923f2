//! A job of Cloud Run, as the workflow sees it: it is started, and looked at until it has ended.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use workflows::{HttpFailure, Response};

/// What `TRANSFORM_JOB` is.
pub(crate) const JOB: &str = "https://run.googleapis.com/v2/projects/simulated/locations/here/jobs/transform";

/// Executions of the job, in the order in which they were started; whether each has ended.
#[derive(Debug, Default)]
pub(crate) struct Executions(Mutex<Vec<Arc<AtomicBool>>>);

/// What is asked of the job.
#[derive(Debug)]
pub(crate) enum Asked {
    /// To answer one request, in a container of its own.
    Run { path: String, body: String },
    /// How an execution is.
    Look { execution: usize },
}

/// What a request asks of the job; nothing if it is for a function.
pub(crate) fn asked(url: &str, body: Option<&[u8]>) -> Option<Result<Asked, HttpFailure>> {
    let rest = url.strip_prefix(JOB)?;
    let asked = match rest.strip_prefix("/executions/") {
        Some(number) => number.parse().ok().map(|execution| Asked::Look { execution }),
        None if rest == ":run" => body.and_then(run_of),
        None => None,
    };
    Some(asked.ok_or_else(|| HttpFailure::Invalid(format!("the job does not take {url}"))))
}

fn run_of(body: &[u8]) -> Option<Asked> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let arguments = &body["overrides"]["containerOverrides"][0]["args"];
    Some(Asked::Run { path: arguments[0].as_str()?.to_owned(), body: arguments[1].as_str()?.to_owned() })
}

impl Executions {
    /// A new one: its name, the answer to whoever has started it, and what is set when it has ended.
    pub(crate) fn start(&self) -> (String, Response, Arc<AtomicBool>) {
        let mut executions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = Arc::<AtomicBool>::default();
        executions.push(ended.clone());
        let (_, job) = JOB.split_once("/v2/").unwrap_or_default();
        let name = format!("{job}/executions/{}", executions.len() - 1);
        let started = answer(200, &json!({"metadata": {"name": name}}));
        (format!("job{}", executions.len()), started, ended)
    }

    /// How one is.
    pub(crate) fn look(&self, execution: usize) -> Response {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).get(execution) {
            None => answer(404, &json!({})),
            Some(ended) if ended.load(Ordering::Relaxed) => {
                answer(200, &json!({"completionTime": "2025-08-04T00:00:00Z"}))
            }
            Some(_) => answer(200, &json!({"runningCount": 1})),
        }
    }
}

fn answer(code: u16, body: &Value) -> Response {
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    Response { code, headers, body: body.to_string().into_bytes() }
}
