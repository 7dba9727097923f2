//! The emulator behind a proxy.

use axum::body::{Body, Bytes};
use axum::http::uri::{PathAndQuery, Scheme};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::error::{Error, Result};

/// Headers that concern one connection and are not passed on.
const HOP_BY_HOP: [header::HeaderName; 5] =
    [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE, header::TE, header::TRAILER];

#[derive(Debug, Clone)]
pub(crate) struct Upstream {
    emulator: &'static str,
    port: u16,
    /// What the emulator is told it is called, so that the links it makes lead to the proxy.
    host: HeaderValue,
    client: Client<HttpConnector, Body>,
}

impl Upstream {
    /// The emulator on `port`, known to its callers by the loopback port `proxy`.
    pub(crate) fn new(emulator: &'static str, port: u16, proxy: u16) -> Self {
        let host = HeaderValue::try_from(format!("127.0.0.1:{proxy}"))
            .unwrap_or_else(|_| HeaderValue::from_static("127.0.0.1"));
        // A connection for each request: the emulator closes idle ones just when they may be used again.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
        Self { emulator, port, host, client }
    }

    /// Passes a request on. Bodies stream both ways.
    pub(crate) async fn send(&self, mut request: Request<Body>) -> Result<Response<Body>> {
        let name = format!("{} {}", request.method(), request.uri().path());
        let mut parts = request.uri().clone().into_parts();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = format!("127.0.0.1:{}", self.port).parse().ok();
        parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
        *request.uri_mut() = Uri::from_parts(parts).map_err(|source| self.unanswered(&name, source))?;
        remove_hop_by_hop(request.headers_mut());
        request.headers_mut().insert(header::HOST, self.host.clone());
        let response = self.client.request(request).await.map_err(|source| self.unanswered(&name, source))?;
        let mut response = response.map(Body::new);
        remove_hop_by_hop(response.headers_mut());
        Ok(response)
    }

    /// A request of the proxy's own, with its whole answer.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: impl Into<Body>) -> Result<(u16, Bytes)> {
        let name = format!("{method} {path}");
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.into())
            .map_err(|source| self.unanswered(&name, source))?;
        let response = self.send(request).await?;
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX)
            .await
            .map_err(|source| self.unanswered(&name, source))?;
        Ok((status, body))
    }

    fn unanswered(&self, request: &str, source: impl std::error::Error + Send + Sync + 'static) -> Error {
        Error::Unanswered { emulator: self.emulator, request: request.to_owned(), source: Box::new(source) }
    }
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}
