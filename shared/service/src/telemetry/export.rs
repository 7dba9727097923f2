//! Spans over OTLP, as protobuf over HTTP: <https://opentelemetry.io/docs/specs/otlp/>.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use google::Credentials;
use http::{HeaderValue, Request, Response};
use opentelemetry::KeyValue;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider};
use reqwest::Url;
use tokio::runtime::Handle;

use crate::config::{BGP_PROJECT, OTEL_EXPORTER_OTLP_ENDPOINT};
use crate::lineage::with_causes;
use crate::{Config, Problem};

/// Where Google takes spans: <https://cloud.google.com/stackdriver/docs/reference/telemetry/overview>
const GOOGLE: &str = "telemetry.googleapis.com";

/// For one batch, with all its tries.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Spans that wait. When there are more, the newest are dropped: no work waits for an exporter.
const QUEUE: usize = 2048;
const BATCH: usize = 512;
const DELAY: Duration = Duration::from_secs(2);

/// The longest answer that is read, in bytes.
const MAX_ANSWER: u64 = 64 * 1024;

/// An exporter that fails, fails often.
const BETWEEN_WARNINGS: Duration = Duration::from_mins(1);

/// A provider that exports spans to an address, in batches.
pub(super) fn exporting_to(
    endpoint: &str,
    service: &'static str,
    config: &Config,
) -> Result<SdkTracerProvider, Problem> {
    let endpoint = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    let refused = |reason: String| Problem::rejected(format!("{OTEL_EXPORTER_OTLP_ENDPOINT} can't be used: {reason}"));
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Sender::new(&endpoint, config, &refused)?)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(endpoint)
        .with_timeout(TIMEOUT)
        .build()
        .map_err(|error| refused(error.to_string()))?;
    let bounds = BatchConfigBuilder::default()
        .with_max_queue_size(QUEUE)
        .with_max_export_batch_size(BATCH)
        .with_scheduled_delay(DELAY)
        .build();
    let project = config.cloud.project.clone().map(|project| KeyValue::new("gcp.project_id", project));
    let resource =
        [KeyValue::new("service.name", service), KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))];
    Ok(super::provider(Sampler::AlwaysOn)
        .with_resource(Resource::builder_empty().with_attributes(resource.into_iter().chain(project)).build())
        .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(bounds).build())
        .build())
}

/// Sends batches. The exporter works on a thread of its own, and what it sends is sent by the runtime. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    client: reqwest::Client,
    runtime: Handle,
    /// For Google's address only: a token goes nowhere else.
    google: Option<Arc<Account>>,
    warned: Arc<Mutex<Option<Instant>>>,
}

/// Who sends, and the project that pays.
#[derive(Debug)]
struct Account {
    credentials: Credentials,
    project: HeaderValue,
}

impl Sender {
    pub(super) fn new(endpoint: &str, config: &Config, refused: &impl Fn(String) -> Problem) -> Result<Self, Problem> {
        let url = Url::parse(endpoint).map_err(|error| refused(error.to_string()))?;
        let google = if is_google(&url) {
            let project = config.cloud.project.as_deref().and_then(|project| HeaderValue::from_str(project).ok());
            let project =
                project.ok_or_else(|| refused(format!("{GOOGLE} takes spans of a project; set {BGP_PROJECT}")))?;
            let credentials = Credentials::application_default(config.cloud.impersonate.as_deref())
                .map_err(|error| refused(with_causes(&error)))?;
            Some(Arc::new(Account { credentials, project }))
        } else {
            None
        };
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            // What is sent may carry a token, so nobody says where else to send it.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| refused(with_causes(&error)))?;
        Ok(Self { client, runtime: Handle::current(), google, warned: Arc::default() })
    }

    async fn send(self, mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        if let Some(account) = &self.google {
            request.headers_mut().extend(account.credentials.headers().await?);
            request.headers_mut().insert("x-goog-user-project", account.project.clone());
        }
        let request = reqwest::Request::try_from(request)?;
        let answer = self.client.execute(request).await.map_err(reqwest::Error::without_url)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = match answer.content_length() {
            Some(length) if length <= MAX_ANSWER => answer.bytes().await.map_err(reqwest::Error::without_url)?,
            // It could only say how many spans were refused.
            _ => Bytes::new(),
        };
        let mut response = Response::new(body);
        (*response.status_mut(), *response.headers_mut()) = (status, headers);
        Ok(response)
    }

    /// Says now and then that nothing is exported. It holds nothing up.
    fn warn(&self, reason: &str) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.is_none_or(|at| at.elapsed() >= BETWEEN_WARNINGS) {
            *warned = Some(Instant::now());
            tracing::warn!(reason, "spans could not be exported");
        }
    }
}

/// Only over TLS, and at its own port.
pub(super) fn is_google(url: &Url) -> bool {
    url.scheme() == "https" && url.host_str() == Some(GOOGLE) && url.port().is_none()
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sender = self.clone();
        // The clock is the runtime's as well.
        let sending = self.runtime.spawn(async { tokio::time::timeout(TIMEOUT, sender.send(request)).await });
        let outcome = match sending.await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => Err(error.into()),
            Err(error) => Err(error.into()),
        };
        match &outcome {
            Ok(response) if response.status().is_success() => {}
            Ok(response) => self.warn(&format!("the answer was {}", response.status())),
            Err(error) => self.warn(&with_causes(&**error)),
        }
        outcome
    }
}
