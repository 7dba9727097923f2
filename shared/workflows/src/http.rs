//! How requests leave the interpreter.

use std::time::Duration;

use async_trait::async_trait;

use crate::error::Error;

/// One request of an `http.*` call, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// In upper case.
    pub method: String,
    /// With its query.
    pub url: String,
    /// In the order given; the content type is among them when there is a body.
    pub headers: Vec<(String, String)>,
    /// The encoded body.
    pub body: Option<Vec<u8>>,
    /// For the whole exchange.
    pub timeout: Duration,
    /// The identity that the call asks to be made with.
    pub auth: Option<Auth>,
}

/// `auth` of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// `OIDC` or `OAuth2`.
    pub kind: String,
    /// For OIDC; the URL when the call names none.
    pub audience: Option<String>,
}

/// One response, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Response {
    /// The status.
    pub code: u16,
    /// As received.
    pub headers: Vec<(String, String)>,
    /// As received.
    pub body: Vec<u8>,
}

/// Why no response came.
#[derive(Debug, thiserror::Error)]
pub enum HttpFailure {
    /// The server was not reached: it got nothing, and a retry is safe. Raised as `ConnectionFailedError`.
    #[error("failed to connect: {0}")]
    NotConnected(String),
    /// The connection ended before the whole response was there. Raised as `ConnectionError`.
    #[error("connection lost: {0}")]
    Interrupted(String),
    /// The timeout passed. Raised as `TimeoutError`.
    #[error("request timed out")]
    TimedOut,
    /// The request cannot be sent by anybody (its URL, a header). Raised as `ValueError`.
    #[error("invalid request: {0}")]
    Invalid(String),
}

/// Sends requests.
#[async_trait]
pub trait Http: Send + Sync {
    /// Sends one request and reads the whole response. A response of any status is a success here. Dropping the future
    /// abandons the request.
    async fn send(&self, request: Request) -> Result<Response, HttpFailure>;
}

/// Sends requests over the network, with one pool of kept connections for all clones.
///
/// It has no identity. Where a call asks for one (`auth: {type: OIDC}`) it sends the token that it was given, if any.
#[derive(Clone)]
pub struct HttpClient {
    client: reqwest::Client,
    token: Option<String>,
}

impl std::fmt::Debug for HttpClient {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("HttpClient").field("has_token", &self.token.is_some()).finish_non_exhaustive()
    }
}

impl HttpClient {
    /// Redirects are not followed, and no proxy is used.
    ///
    /// # Errors
    /// [`Error::Internal`] when the library cannot be set up.
    pub fn new() -> Result<Self, Error> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .tcp_nodelay(true)
            .build()
            .map_err(|source| Error::Internal { source })?;
        Ok(Self { client, token: None })
    }

    /// The same client, which sends `token` as `Authorization: Bearer` where a call says `auth: {type: OIDC}`.
    #[must_use]
    pub fn with_token(self, token: Option<String>) -> Self {
        Self { token, ..self }
    }
}

#[async_trait]
impl Http for HttpClient {
    async fn send(&self, request: Request) -> Result<Response, HttpFailure> {
        let method = reqwest::Method::from_bytes(request.method.as_bytes())
            .map_err(|_| HttpFailure::Invalid(format!("method {:?}", request.method)))?;
        let mut builder = self.client.request(method, &request.url).timeout(request.timeout);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        let asks_for_identity = request.auth.is_some_and(|auth| auth.kind == "OIDC");
        if let Some(token) = self.token.as_ref().filter(|_| asks_for_identity) {
            builder = builder.bearer_auth(token);
        }
        if let Some(body) = request.body {
            builder = builder.body(body);
        }
        let response = builder.send().await.map_err(|error| failure(&error))?;
        let code = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let body = response.bytes().await.map_err(|error| failure(&error))?.to_vec();
        Ok(Response { code, headers, body })
    }
}

fn failure(error: &reqwest::Error) -> HttpFailure {
    let said = chain(error);
    if error.is_timeout() {
        HttpFailure::TimedOut
    } else if error.is_connect() {
        HttpFailure::NotConnected(said)
    } else if error.is_builder() {
        HttpFailure::Invalid(said)
    } else {
        HttpFailure::Interrupted(said)
    }
}

/// The library's message and its sources: "connection refused" stands in the last of them.
fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        said.push_str(": ");
        said.push_str(&inner.to_string());
        source = inner.source();
    }
    said
}
