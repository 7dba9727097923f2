//! Where logs and spans go.

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{EnvFilter, FilterExt, FilterFn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use crate::logs::{Lines, to_stderr};
use crate::trace::is_own;
use crate::{Config, Problem};

#[cfg(feature = "google")]
mod export;

/// For what is left to export when the process ends.
pub(crate) const FLUSH: Duration = Duration::from_secs(1);

/// What was started. Spans are exported as long as the process lives; what is left when it ends, by [`Telemetry::end`].
#[derive(Debug)]
#[must_use = "the last spans are exported by its end"]
pub struct Telemetry {
    exporting: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Starts logging to standard error, and exporting spans if the configuration says where to. Called once, inside of a tokio
    /// runtime; a second call changes nothing.
    pub fn start(service: &'static str, config: &Config) -> Result<Self, Problem> {
        let exporting = match &config.otlp_endpoint {
            Some(endpoint) => Some(exporting_to(endpoint, service, config)?),
            None => None,
        };
        // Without anybody to export to, no trace is sampled here.
        let provider = exporting.clone().unwrap_or_else(|| provider(Sampler::AlwaysOff).build());
        let lines = Lines::new(service, config.cloud.project.clone(), to_stderr);
        install(subscriber(&provider, lines, &config.log_filter));
        Ok(Self { exporting })
    }

    /// Exports what is left, within a second.
    pub async fn end(self) {
        if let Some(provider) = self.exporting {
            let ending = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH));
            if !matches!(tokio::time::timeout(FLUSH, ending).await, Ok(Ok(Ok(())))) {
                tracing::warn!("the last spans were not exported");
            }
        }
    }
}

/// Starts logging to standard error without a configuration: before there is one, or where it is wrong. A second call changes
/// nothing.
pub fn start_logs(service: &'static str, filter: &str) {
    install(subscriber(&provider(Sampler::AlwaysOff).build(), Lines::new(service, None, to_stderr), filter));
}

fn install(subscriber: impl SubscriberInitExt) {
    if subscriber.try_init().is_err() {
        tracing::debug!("logging was started before");
    }
}

/// Traces are sampled as whoever began them has decided; `fresh` decides on those that begin here.
fn provider(fresh: Sampler) -> opentelemetry_sdk::trace::TracerProviderBuilder {
    SdkTracerProvider::builder().with_sampler(Sampler::ParentBased(Box::new(fresh)))
}

fn subscriber<W>(provider: &SdkTracerProvider, lines: Lines<W>, filter: &str) -> impl Subscriber + use<W>
where
    W: Fn(&str) + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    Registry::default().with(spans(provider).with_filter(own())).with(lines.with_filter(filter.or(own())))
}

/// Own spans, whatever is logged: a warning is in its trace too.
fn own() -> FilterFn {
    FilterFn::new(is_own as fn(&Metadata<'_>) -> bool).with_max_level_hint(LevelFilter::INFO)
}

/// Spans with their fields only: what is logged may hold more than those who see traces may know.
fn spans<S: Subscriber + for<'a> LookupSpan<'a>>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S> {
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("bluegreenprint"))
        .with_context_activation(false)
        .with_tracked_inactivity(false)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_level(false)
}

#[cfg(feature = "google")]
use export::exporting_to;

#[cfg(not(feature = "google"))]
fn exporting_to(_: &str, _: &'static str, _: &Config) -> Result<SdkTracerProvider, Problem> {
    Err(Problem::rejected(format!(
        "{} is set, and this program was built without an exporter of spans; build it with the feature google, or unset it",
        crate::config::OTEL_EXPORTER_OTLP_ENDPOINT
    )))
}

#[cfg(test)]
mod tests;
