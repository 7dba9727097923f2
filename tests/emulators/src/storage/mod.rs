//! Cloud Storage (JSON over HTTP/1.1) with the rules that its emulator lacks.
//!
//! | rule | what it answers | documented at |
//! |---|---|---|
//! | `ifGenerationMatch` and `ifGenerationNotMatch`, on uploads of every kind, deletions, copies and reads | 412 `conditionNotMet`; reads that match what they must not: 304 | [request preconditions](https://docs.cloud.google.com/storage/docs/request-preconditions) |
//! | of several writers with one precondition one succeeds | 412 | the same |
//! | a deletion of a generation deletes that generation | 404 `notFound` | [objects.delete](https://docs.cloud.google.com/storage/docs/json_api/v1/objects/delete) |
//! | `crc32c` in the metadata or in `x-goog-hash` is checked | 400 `invalid` | [validation](https://docs.cloud.google.com/storage/docs/data-validation) |
//! | a resumable upload says what it has, and takes no byte twice | 308 with `Range`; done: the object again | [resumable uploads](https://docs.cloud.google.com/storage/docs/performing-resumable-uploads) |
//! | the `Location` of a resumable upload has the port | - | the same |
//!
//! Not enforced: permissions, one write a second an object, retention, metagenerations.

mod checksum;
mod conditions;
mod resumable;
mod upload;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use axum::body::{Body, Bytes};
use axum::extract::Query;
use axum::http::{Method, Request, Response};
use serde_json::Value;
use tokio::sync::{Mutex, RwLock};

use self::conditions::Conditions;
use self::resumable::Session;
use crate::proxy::Service;
use crate::refusal::Refusal;
use crate::upstream::Upstream;

pub(crate) type Parameters = HashMap<String, String>;
type Answer = Result<Response<Body>, Refusal>;

#[derive(Debug)]
pub(crate) struct Storage {
    upstream: Upstream,
    /// The port that callers see, for the links that are given to them.
    port: u16,
    /// Held for writing from looking at a precondition until the change is done.
    objects: RwLock<()>,
    sessions: Mutex<HashMap<String, Arc<Mutex<Session>>>>,
}

/// An object by its name.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    bucket: String,
    name: String,
}

impl Object {
    fn path(&self) -> String {
        let name = percent_encoding::utf8_percent_encode(&self.name, percent_encoding::NON_ALPHANUMERIC);
        format!("/storage/v1/b/{}/o/{name}", self.bucket)
    }
}

impl Storage {
    pub(crate) fn new(upstream: Upstream, port: u16) -> Self {
        Self { upstream, port, objects: RwLock::default(), sessions: Mutex::default() }
    }

    async fn route(&self, request: Request<Body>) -> Answer {
        let parameters = Query::<Parameters>::try_from_uri(request.uri()).map(|query| query.0).unwrap_or_default();
        let path: Vec<String> = request.uri().path().split('/').filter(|part| !part.is_empty()).map(decoded).collect();
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match (request.method().as_str(), path.as_slice()) {
            ("POST" | "PUT" | "DELETE", ["upload", "storage", "v1", "b", bucket, "o"]) => {
                self.upload(bucket, &parameters, request).await
            }
            (
                "GET" | "HEAD",
                ["storage", "v1", "b", bucket, "o", name] | ["download", "storage", "v1", "b", bucket, "o", name],
            ) => {
                let object = Object { bucket: (*bucket).to_owned(), name: (*name).to_owned() };
                self.read(&object, &Conditions::of(&parameters)?, request).await
            }
            ("DELETE" | "PATCH" | "PUT", ["storage", "v1", "b", bucket, "o", name]) => {
                let object = Object { bucket: (*bucket).to_owned(), name: (*name).to_owned() };
                let generation = parameters.get("generation").filter(|_| request.method() == Method::DELETE);
                self.change(&object, &Conditions::of(&parameters)?, generation.cloned(), request).await
            }
            (
                "POST",
                ["storage", "v1", "b", bucket, "o", name, "compose"]
                | ["storage", "v1", "b", _, "o", _, "rewriteTo" | "copyTo", "b", bucket, "o", name],
            ) => {
                let object = Object { bucket: (*bucket).to_owned(), name: (*name).to_owned() };
                self.change(&object, &Conditions::of(&parameters)?, None, request).await
            }
            ("GET" | "HEAD", _) => {
                let _reading = self.objects.read().await;
                self.forward(request).await
            }
            _ => {
                let _changing = self.objects.write().await;
                self.forward(request).await
            }
        }
    }

    async fn read(&self, object: &Object, conditions: &Conditions, request: Request<Body>) -> Answer {
        let _reading = self.objects.read().await;
        if !conditions.is_empty() {
            let current = self.generation(object).await?;
            if current == 0 {
                return Err(missing(object));
            }
            conditions.check_read(current)?;
        }
        self.forward(request).await
    }

    /// A change of an object that is there, or of the destination of a copy.
    async fn change(
        &self,
        object: &Object,
        conditions: &Conditions,
        generation: Option<String>,
        request: Request<Body>,
    ) -> Answer {
        let _changing = self.objects.write().await;
        if generation.is_some() || !conditions.is_empty() {
            let current = self.generation(object).await?;
            if generation.is_some_and(|wanted| wanted != current.to_string()) {
                return Err(missing(object));
            }
            conditions.check(current)?;
        }
        self.forward(request).await
    }

    /// The generation of an object, 0 if there is none.
    async fn generation(&self, object: &Object) -> Result<u64, Refusal> {
        let (status, body) = self.ask(Method::GET, &object.path(), Bytes::new()).await?;
        if status == 404 {
            return Ok(0);
        }
        let resource: Value = serde_json::from_slice(&body).unwrap_or_default();
        let generation = resource["generation"].as_str().and_then(|text| text.parse().ok());
        generation.ok_or_else(|| Refusal::new("backendError", "the emulator gave no generation"))
    }

    async fn ask(&self, method: Method, path: &str, body: Bytes) -> Result<(u16, Bytes), Refusal> {
        Ok(self.upstream.ask(method, path, body).await?)
    }

    async fn forward(&self, request: Request<Body>) -> Answer {
        Ok(self.upstream.send(request).await?)
    }
}

#[async_trait]
impl Service for Storage {
    async fn respond(&self, request: Request<Body>) -> Response<Body> {
        self.route(request).await.unwrap_or_else(|refusal| refusal.response())
    }

    fn is_list(&self, request: &Request<Body>) -> bool {
        request.method() == Method::GET && request.uri().path().ends_with("/o")
    }
}

pub(crate) fn malformed(error: impl std::fmt::Display) -> Refusal {
    Refusal::invalid(error.to_string())
}

fn missing(object: &Object) -> Refusal {
    Refusal::new("notFound", format!("No such object: {}/{}", object.bucket, object.name))
}

fn decoded(part: &str) -> String {
    percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned()
}
