//! The server of a function: health, description, limits, and an end that drops nothing.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::DefaultBodyLimit;
use axum::http::{Request, header};
use axum::routing::get;
use axum::{Json, Router, middleware};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tower::ServiceExt;
use tracing::Instrument;
use utoipa_axum::router::OpenApiRouter;

use crate::telemetry::FLUSH;
use crate::trace::traced;
use crate::{Config, Guard, Kind, Platform, Problem, Telemetry, start_logs};

/// Requests are names and dates; whatever is larger is none.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// An answer is what a step has done: names and numbers.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// Cloud Run kills ten seconds after SIGTERM. One is to spare, and one for the last spans.
const DRAIN: Duration = Duration::from_secs(9 - FLUSH.as_secs());

/// Adds `/health` and `/openapi.json` to the routes of a function, and the bounds of every request. All but `/health` is
/// behind `guard`, and in a trace.
pub fn with_service_routes(title: &str, routes: OpenApiRouter, guard: Guard) -> Router {
    let (router, mut description) = routes.split_for_parts();
    title.clone_into(&mut description.info.title);
    env!("CARGO_PKG_VERSION").clone_into(&mut description.info.version);
    // What the router library says of itself is not about this service.
    description.info.description = None;
    description.info.contact = None;
    description.info.license = None;
    router
        .route("/openapi.json", get(async move || Json(description)))
        .fallback(async |uri: axum::http::Uri| {
            Problem::new(
                Kind::NotFound,
                "no_endpoint",
                format!("there is no endpoint {}; /openapi.json lists those there are", uri.path()),
            )
        })
        .method_not_allowed_fallback(async |method: axum::http::Method, uri: axum::http::Uri| {
            Problem::new(
                Kind::Rejected,
                "method",
                format!("{} does not take {method}; /openapi.json says what it takes", uri.path()),
            )
        })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(guard, Guard::check))
        .layer(middleware::from_fn(traced))
        .route("/health", get(async || Json(serde_json::json!({"status": "ok"}))))
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// Where it listens: with the port that the system chose if none was asked for.
    pub address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<io::Result<()>>,
}

impl Server {
    /// Starts to serve.
    pub async fn start(address: SocketAddr, router: Router) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (stop, mut stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let signal = async move {
                // An error means that the sender is gone, which is a reason to stop too.
                let _ = stopped.wait_for(|stop| *stop).await;
            };
            axum::serve(listener, router).with_graceful_shutdown(signal).await
        });
        Ok(Self { address, stop, task })
    }

    /// Takes no more requests and waits for those that are running, within what Cloud Run allows.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        if tokio::time::timeout(DRAIN, self.task).await.is_err() {
            tracing::warn!("requests were still running; their steps will be taken up by the next run");
        }
    }
}

/// The `main` of a function: reads the environment, opens the platform, serves until SIGTERM or SIGINT. With two arguments, a
/// path and a body, it answers that one request and ends, as a job of Cloud Run does: whoever starts a container may.
pub fn main(name: &'static str, routes: impl FnOnce(Platform) -> OpenApiRouter) -> ExitCode {
    let run = || -> Result<(), Problem> {
        let config = Config::from_env().map_err(|error| Problem::rejected(error.to_string()))?;
        let runtime = tokio::runtime::Runtime::new().map_err(|error| Problem::internal(error.to_string()))?;
        runtime.block_on(async {
            let telemetry = Telemetry::start(name, &config)?;
            let stopped = stop_signal().map_err(|error| Problem::internal(error.to_string()))?;
            let request = only_request()?;
            let routes = routes(Platform::open(&config).await?);
            let outcome = if let Some((path, body)) = request {
                let router = with_service_routes(name, routes, Guard::default());
                tokio::select! {
                    answered = answer(router, &path, body) => answered,
                    () = stopped => Err(Problem::new(Kind::Unavailable, "stopped", "stopped before there was an answer")),
                }
            } else {
                let router = with_service_routes(name, routes, Guard::new(&config.access)?);
                serve(&config, router, stopped).await
            };
            telemetry.end().await;
            outcome
        })
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            // Not started yet if it is the environment that is wrong.
            start_logs(name, "info");
            tracing::error!(code = problem.code, "{}", problem.detail);
            ExitCode::FAILURE
        }
    }
}

/// Serves until it is told to stop.
async fn serve(config: &Config, router: Router, stopped: impl Future<Output = ()>) -> Result<(), Problem> {
    let server = Server::start(config.listen, router)
        .await
        .map_err(|error| Problem::rejected(format!("can't listen on {}: {error}", config.listen)))?;
    tracing::info!(address = %server.address, "listening");
    stopped.await;
    tracing::info!("stopping");
    server.stop().await;
    Ok(())
}

/// The request that the arguments are, if there are any.
fn only_request() -> Result<Option<(String, String)>, Problem> {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next(), arguments.next(), arguments.next()) {
        (None, ..) => Ok(None),
        (Some(path), Some(body), None) if path.starts_with('/') => Ok(Some((path, body))),
        _ => Err(Problem::rejected(
            "the arguments are no request; give none to serve, or a path and a JSON body to answer one request, such as \
             /transform '{...}'",
        )),
    }
}

/// Prints the answer to one request; a problem if it is none of success.
async fn answer(router: Router, path: &str, body: String) -> Result<(), Problem> {
    let request = Request::post(path)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body))
        .map_err(|error| Problem::rejected(format!("{path} is no path: {error}")))?;
    let Ok(response) = router.oneshot(request).await;
    let status = response.status();
    let answer = to_bytes(response.into_body(), MAX_ANSWER_BYTES)
        .await
        .map_err(|error| Problem::internal(format!("the answer could not be read: {error}")))?;
    println!("{}", String::from_utf8_lossy(&answer));
    if status.is_success() {
        return Ok(());
    }
    Err(Problem::new(Kind::Rejected, "not_done", format!("{path} answered {status}")))
}

/// A future that ends at SIGTERM or SIGINT. From this call on neither kills the process: so call it before anybody is told that
/// the process is there.
pub fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Runs a step to its end even if the caller goes away: a lost connection is no reason to leave work half done, and the
/// caller who asks again finds the outcome.
pub async fn detached<T: Send + 'static>(
    work: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::spawn(work.in_current_span()).await {
        Ok(outcome) => outcome,
        Err(failure) => Err(Problem::internal(format!("the step broke off: {failure}"))),
    }
}
