//! What both proxies have in common: faults, stale lists, and the endpoint that controls them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, header};
use serde_json::json;

use crate::faults::{Fate, Fault, Faults, Plan};
use crate::serve::{Answer, Handler};

/// An emulator with its rules.
#[async_trait]
pub(crate) trait Service: Send + Sync + 'static {
    async fn respond(&self, request: Request<Body>) -> Response<Body>;
    /// Whether the request lists something, and so can get a stale answer.
    fn is_list(&self, request: &Request<Body>) -> bool;
}

/// A service with faults in front of it.
pub(crate) struct Proxy<S> {
    service: S,
    faults: Faults,
    /// The last answer to each list request, for the stale ones.
    lists: Mutex<HashMap<String, (HeaderMap, Bytes)>>,
}

impl<S: Service> Proxy<S> {
    pub(crate) fn new(service: S, faults: Faults) -> Arc<Self> {
        Arc::new(Self { service, faults, lists: Mutex::default() })
    }

    async fn control(&self, request: Request<Body>) -> Response<Body> {
        match *request.method() {
            Method::PUT => match axum::body::to_bytes(request.into_body(), 1 << 20).await {
                Ok(body) => match serde_json::from_slice::<Plan>(&body) {
                    Ok(plan) => self.faults.inject(plan),
                    Err(error) => return problem(StatusCode::BAD_REQUEST, "invalid", &error.to_string()),
                },
                Err(error) => return problem(StatusCode::BAD_REQUEST, "invalid", &error.to_string()),
            },
            Method::DELETE => self.faults.stop(),
            _ => {}
        }
        json_response(StatusCode::OK, &json!(self.faults.report()))
    }

    /// The answer to a list request: an old one where there is one, or a fresh one, which is kept.
    async fn list(&self, request: Request<Body>, stale: bool) -> Response<Body> {
        let key = request.uri().to_string();
        let known = || self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        if stale && let Some((headers, body)) = known().get(&key).cloned() {
            let mut response = Response::new(Body::from(body));
            *response.headers_mut() = headers;
            return response;
        }
        let (parts, body) = self.service.respond(request).await.into_parts();
        match axum::body::to_bytes(body, usize::MAX).await {
            Ok(body) => {
                if parts.status.is_success() {
                    known().insert(key, (parts.headers.clone(), body.clone()));
                }
                Response::from_parts(parts, Body::from(body))
            }
            Err(error) => problem(StatusCode::BAD_GATEWAY, "backendError", &error.to_string()),
        }
    }
}

#[async_trait]
impl<S: Service> Handler for Proxy<S> {
    async fn answer(&self, request: Request<Body>) -> Answer {
        if request.uri().path() == "/_faults" {
            return Answer::Response(self.control(request).await);
        }
        let is_list = self.service.is_list(&request);
        let fault = match self.faults.next(is_list) {
            Some(Fate::Held { after }) => {
                if after {
                    let response = self.service.respond(request).await;
                    let _ = axum::body::to_bytes(response.into_body(), usize::MAX).await;
                }
                self.faults.held();
                return std::future::pending().await;
            }
            Some(Fate::Fault(fault, late)) => Some((fault, late)),
            None => None,
        };
        if let Some((fault, _)) = fault {
            tracing::info!(?fault, method = %request.method(), path = request.uri().path(), "fault");
        }
        match fault {
            Some((Fault::ResetBefore, _)) => return Answer::Dropped,
            Some((Fault::TooManyRequests, _)) => return refused(StatusCode::TOO_MANY_REQUESTS, "rateLimitExceeded"),
            Some((Fault::InternalError, _)) => return refused(StatusCode::INTERNAL_SERVER_ERROR, "internalError"),
            Some((Fault::ServiceUnavailable, _)) => return refused(StatusCode::SERVICE_UNAVAILABLE, "backendError"),
            Some((Fault::Slow, late)) => tokio::time::sleep(late).await,
            Some((Fault::ResetAfter | Fault::StaleList, _)) | None => {}
        }
        let kind = fault.map(|(kind, _)| kind);
        let response = if is_list {
            self.list(request, kind == Some(Fault::StaleList)).await
        } else {
            self.service.respond(request).await
        };
        if kind == Some(Fault::ResetAfter) {
            // The effect of a request may come with the end of its answer.
            let _ = axum::body::to_bytes(response.into_body(), usize::MAX).await;
            return Answer::Dropped;
        }
        Answer::Response(response)
    }
}

fn refused(status: StatusCode, reason: &str) -> Answer {
    Answer::Response(problem(status, reason, "a fault injected on purpose"))
}

/// An error in the form that Google's JSON APIs have in common.
pub(crate) fn problem(status: StatusCode, reason: &str, message: &str) -> Response<Body> {
    let body = json!({"error": {
        "code": status.as_u16(),
        "message": message,
        "errors": [{"domain": "global", "reason": reason, "message": message}],
    }});
    json_response(status, &body)
}

/// A response without a body.
pub(crate) fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

pub(crate) fn json_response(status: StatusCode, body: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}
