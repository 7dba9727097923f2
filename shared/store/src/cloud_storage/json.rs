//! The calls that Google's client does not have over HTTP, or not as they are needed: head, list and delete, and resumable
//! uploads ([`super::session`]).
//!
//! Head, list and delete are in its `StorageControl`, which speaks gRPC only. That is a second protocol to configure, to
//! trace and to let through, for three calls; no emulator of Cloud Storage speaks it; and its answers do not carry the
//! store's time, which leases are measured by. So they go to the same JSON API that the content goes through, with the
//! same credentials and the same retries. Reference: <https://cloud.google.com/storage/docs/json_api/v1/objects>.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::Bytes;
use google::{Api, Connection, Failure, retry_after};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::clock::StoreClock;
use super::failed::Failed;
use crate::{Generation, ObjectMeta, Precondition};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// No call of this module takes longer than a second or two unless something is wrong.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// A chunk of an upload is some megabytes.
const CHUNK_TIMEOUT: Duration = Duration::from_mins(2);

/// Objects a page of a list: the most there can be, and in tests few enough that lists have several pages.
const PAGE: &str = if cfg!(test) { "4" } else { "1000" };

/// What is asked of each object.
const FIELDS: &str = "name,generation,size,updated,crc32c,metadata";

#[derive(Debug, Clone)]
pub(super) struct JsonApi {
    http: reqwest::Client,
    connection: Connection,
    /// The address of the bucket's objects.
    objects: Arc<str>,
    /// Where new ones are brought to.
    uploads: Arc<str>,
    clock: Arc<StoreClock>,
}

/// An object as the API describes it. Numbers come as text, because JSON's would lose digits.
#[derive(Debug, Deserialize)]
pub(super) struct Resource {
    name: String,
    generation: String,
    size: String,
    updated: Timestamp,
    /// Of four bytes, big-endian, in base64.
    crc32c: Option<String>,
    /// What the writer said about the object.
    #[serde(default)]
    pub(super) metadata: HashMap<String, String>,
}

impl Resource {
    /// The CRC32C of its content.
    pub(super) fn checksum(&self) -> Option<u32> {
        let bytes = BASE64_STANDARD.decode(self.crc32c.as_ref()?).ok()?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    #[serde(default)]
    pub(super) items: Vec<Resource>,
    pub(super) next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct Refusal {
    error: RefusalError,
}

#[derive(Deserialize)]
struct RefusalError {
    message: String,
    #[serde(default)]
    errors: Vec<RefusalReason>,
}

#[derive(Deserialize)]
struct RefusalReason {
    reason: String,
}

impl JsonApi {
    pub(super) fn new(connection: Connection, bucket: &str, clock: Arc<StoreClock>) -> Result<Self, Failed> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            // 308 means something else here.
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let address = connection.endpoints.address(Api::Storage);
        let objects = format!("{address}/storage/v1/b/{bucket}/o").into();
        let uploads = format!("{address}/upload/storage/v1/b/{bucket}/o").into();
        Ok(Self { http, connection, objects, uploads, clock })
    }

    /// What is known of one object.
    pub(super) async fn head(&self, key: &str) -> Result<Resource, Failed> {
        let response = self.call(Method::GET, &self.object(key), &[("fields", FIELDS)]).await?;
        read(response).await
    }

    /// Some of the objects whose key starts with `prefix`: the first ones, or those that `token` of the page before names.
    pub(super) async fn page(&self, prefix: &str, token: Option<&str>) -> Result<Page, Failed> {
        let fields = format!("items({FIELDS}),nextPageToken");
        let mut query = vec![("prefix", prefix), ("fields", &fields), ("maxResults", PAGE)];
        query.extend(token.map(|token| ("pageToken", token)));
        read(self.call(Method::GET, &self.objects, &query).await?).await
    }

    pub(super) async fn delete(&self, key: &str, precondition: Precondition) -> Result<(), Failed> {
        let generation = if_generation_match(precondition).map(|generation| generation.to_string());
        let query: Vec<_> = generation.iter().map(|generation| ("ifGenerationMatch", generation.as_str())).collect();
        self.call(Method::DELETE, &self.object(key), &query).await.map(drop)
    }

    fn object(&self, key: &str) -> String {
        // Of the characters that a key may have, only the slash means something in a path.
        format!("{}/{}", self.objects, key.replace('/', "%2F"))
    }

    /// Opens a session for the content of an object, which is as good as a key to write it: the address is kept secret.
    pub(super) async fn start_upload(
        &self,
        key: &str,
        precondition: Precondition,
        metadata: &HashMap<&str, String>,
    ) -> Result<String, Failed> {
        let mut query = vec![("uploadType", "resumable".to_owned()), ("name", key.to_owned())];
        query.extend(if_generation_match(precondition).map(|number| ("ifGenerationMatch", number.to_string())));
        let body = serde_json::json!({"metadata": metadata});
        let request = self.http.post(self.uploads.as_ref()).query(&query).json(&body);
        let response = self.send(request).await?;
        let location = response.headers().get("location").and_then(|location| location.to_str().ok());
        location
            .map(str::to_owned)
            .ok_or_else(|| Failed::unanswered(Failure::NO_ANSWER, "the store opened an upload and did not say where"))
    }

    /// A request to a session. With `checksum`, the CRC32C of the whole, the store refuses what was changed on its way.
    pub(super) async fn put(
        &self,
        address: &str,
        content_range: String,
        content: Bytes,
        checksum: Option<u32>,
    ) -> Result<Response, Failed> {
        let mut request = self.http.put(address).header("content-range", content_range).timeout(CHUNK_TIMEOUT);
        if let Some(checksum) = checksum {
            request =
                request.header("x-goog-hash", format!("crc32c={}", BASE64_STANDARD.encode(checksum.to_be_bytes())));
        }
        self.send(request.body(content)).await
    }

    async fn call(&self, method: Method, address: &str, query: &[(&str, &str)]) -> Result<Response, Failed> {
        self.send(self.http.request(method, address).query(query)).await
    }

    /// Sends a request. What is neither a success nor the 308 of an upload that goes on is an error.
    async fn send(&self, request: RequestBuilder) -> Result<Response, Failed> {
        let headers = self.connection.credentials.headers().await?;
        let response = request.headers(headers).send().await?;
        let header = |name: &str| response.headers().get(name)?.to_str().ok();
        let date = header("date");
        if let Some(date) = date.and_then(|date| rfc2822::parse(date).ok()) {
            self.clock.observe(date.timestamp());
        }
        let status = response.status();
        if status.is_success() || status == StatusCode::PERMANENT_REDIRECT {
            return Ok(response);
        }
        let wait = retry_after(header("retry-after"), date);
        let body = response.bytes().await.unwrap_or_default();
        // Between the service and this program there may be others, which answer in a language of their own.
        let refusal = serde_json::from_slice::<Refusal>(&body).ok().map(|refusal| refusal.error);
        let reason = refusal.as_ref().and_then(|refusal| Some(refusal.errors.first()?.reason.as_str()));
        let failure = Failure::of_answer(status.as_u16(), reason, wait);
        let message = refusal.map_or_else(|| format!("HTTP status {}", status.as_u16()), |refusal| refusal.message);
        Err(Failed::answered(status.as_u16(), failure, message))
    }

    /// As the rest of the project knows an object.
    pub(super) fn describe(&self, resource: &Resource) -> Result<ObjectMeta, Failed> {
        let number = |text: &str| {
            text.parse().map_err(|_| {
                Failed::unanswered(Failure::Final, format!("{text:?} is no number of bytes or generation"))
            })
        };
        Ok(ObjectMeta {
            key: resource.name.clone(),
            generation: number(&resource.generation)?,
            bytes: number(&resource.size)?,
            age: self.clock.since(resource.updated),
        })
    }
}

/// A precondition as the API takes it: 0 stands for an object that is not there.
pub(super) fn if_generation_match(precondition: Precondition) -> Option<Generation> {
    match precondition {
        Precondition::None => None,
        Precondition::Absent => Some(0),
        Precondition::Generation(generation) => Some(generation),
    }
}

pub(super) async fn read<T: DeserializeOwned>(response: Response) -> Result<T, Failed> {
    let body = response.bytes().await?;
    serde_json::from_slice(&body).map_err(|error| {
        Failed::unanswered(Failure::NO_ANSWER, format!("the answer is not what the API documents: {error}"))
    })
}
