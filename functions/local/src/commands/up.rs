//! `bgp up`: every function on one port, and beside them the workflows as Google's API has them.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use service::{Config, Platform, Server};
use utoipa_axum::router::OpenApiRouter;
use workflows::SystemClock;

use crate::arguments::UpOptions;
use crate::engine::router;
use crate::failure::Failure;
use crate::flows::executor::Executor;
use crate::flows::{Flows, api, schedule};

/// Serves until SIGTERM or Ctrl-C.
pub(crate) async fn up(config: &Config, options: &UpOptions) -> Result<(), Failure> {
    let stopped = service::stop_signal()?;
    let platform = Platform::open(config).await?;
    let address = SocketAddr::new(config.listen.ip(), options.port.unwrap_or(config.listen.port()));
    let flows = Flows::new(&config.access)?;
    let executor = Executor::open(flows.clone(), &config.home)?;
    let others = executor.clone().map_or_else(OpenApiRouter::new, api::routes);
    let server = Server::start(address, router(&platform, config, others)?).await.map_err(|error| {
        Failure::new(format!("can't listen on {address}: {error}; choose another: bgp up --port P"))
    })?;
    flows.serve_from(format!("http://{}", server.address));
    say(&format!("every function is at http://{}; /openapi.json describes them", server.address));
    match &executor {
        Some(executor) => {
            let resumed = executor.resume()?;
            if resumed > 0 {
                say(&format!("{resumed} executions were under way when the last process ended, and go on"));
            }
            say(&exports(server.address));
        }
        None => say("another process serves the workflows of this home; gcloud works with that one"),
    }
    let scheduled = scheduled(&platform, options, executor)?;
    tokio::select! {
        () = stopped => {}
        failed = scheduled => failed?,
    }
    server.stop().await;
    Ok(())
}

/// Starts what is due, for as long as it is polled.
fn scheduled(
    platform: &Platform,
    options: &UpOptions,
    executor: Option<Executor>,
) -> Result<impl Future<Output = Result<(), Failure>>, Failure> {
    let pipeline = &platform.pipeline;
    let jobs = if options.schedule { schedule::jobs(&pipeline.schedule) } else { Vec::new() };
    if options.schedule && executor.is_none() {
        return Err(Failure::new("another process serves the workflows of this home, and one schedule is enough"));
    }
    for job in &jobs {
        say(&format!("{} runs at {} ({})", job.workflow, job.cron, pipeline.time_zone.iana_name().unwrap_or("UTC")));
    }
    let time_zone = pipeline.time_zone.clone();
    Ok(async move {
        let Some(executor) = executor else { return std::future::pending().await };
        schedule::run(&jobs, &time_zone, Arc::new(SystemClock), |job| {
            say(&format!("{} is due", job.workflow));
            executor.start(job.order()).map(drop)
        })
        .await
    })
}

/// What to type in another shell, so that gcloud asks this server.
fn exports(address: SocketAddr) -> String {
    format!(
        "for gcloud, in another shell:\n  export CLOUDSDK_API_ENDPOINT_OVERRIDES_WORKFLOWS=http://{address}/\n  \
         export CLOUDSDK_API_ENDPOINT_OVERRIDES_WORKFLOWEXECUTIONS=http://{address}/\n  \
         export CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true CLOUDSDK_CORE_PROJECT=local CLOUDSDK_WORKFLOWS_LOCATION=local\n  \
         gcloud workflows run daily --data='{{\"partition\":\"2025-08-01\"}}'"
    )
}

/// Whoever started the server may have stopped reading what it says.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
