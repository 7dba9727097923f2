//! Listens on a loopback port. Unlike `axum::serve` it can also end a connection without an answer.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::{Request, Response};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

use crate::error::{Error, Result};

/// What an answer is: a response, or a connection that ends.
pub(crate) enum Answer {
    Response(Response<Body>),
    /// The client sees its connection closed before a response.
    Dropped,
}

#[async_trait]
pub(crate) trait Handler: Send + Sync + 'static {
    async fn answer(&self, request: Request<Body>) -> Answer;
}

#[derive(Debug, thiserror::Error)]
#[error("the connection is dropped on purpose")]
struct DroppedOnPurpose;

/// A loopback port, held but not yet served.
pub(crate) async fn listen() -> Result<(TcpListener, u16)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let port = listener.local_addr()?.port();
        Ok((listener, port))
    };
    bound.await.map_err(Error::internal("listen on a loopback port"))
}

/// A server that ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Server(AbortHandle);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(crate) fn serve(listener: TcpListener, handler: Arc<dyn Handler>) -> Server {
    let accept = async move {
        // Connections end with the set, and the set ends with this task.
        let mut connections: JoinSet<()> = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let handler = Arc::clone(&handler);
                        connections.spawn(connection(stream, handler));
                    }
                    Err(error) => tracing::warn!(%error, "a connection could not be accepted"),
                },
                Some(_) = connections.join_next() => {}
            }
        }
    };
    Server(tokio::spawn(accept).abort_handle())
}

async fn connection(stream: tokio::net::TcpStream, handler: Arc<dyn Handler>) {
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        let handler = Arc::clone(&handler);
        async move {
            // Spawned, so that a request once begun is also done when its client goes away, as in the cloud.
            let answer = tokio::spawn(async move { handler.answer(request.map(Body::new)).await }).await;
            match answer {
                Ok(Answer::Response(response)) => Ok(response),
                Ok(Answer::Dropped) | Err(_) => Err(DroppedOnPurpose),
            }
        }
    });
    if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection ended");
    }
}
