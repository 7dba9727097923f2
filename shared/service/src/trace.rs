//! Traces: each request is in the trace that its caller says, or in one of its own.
//!
//! A span of this program is one of target `trace`, whatever is logged. What a span is about (a run, a table ...) is in every line
//! that is logged below it. Spans are told to nobody unless there is an address to export them to ([`crate::Telemetry`]).

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::Response;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use serde_json::{Map, Value};
use tracing::field::Empty;
use tracing::{Instrument, Metadata, Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::logs::SUBJECTS;

/// The longest word that a span takes from a request, in bytes.
const MAX_WORD: usize = 200;

/// Whether this program made the span: its libraries make others.
pub(crate) fn is_own(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target() == "trace"
}

/// Sends a request on, in a span of its own. Its numbers are signed, for OpenTelemetry makes texts of others.
pub(crate) async fn traced(request: Request, next: Next) -> Response {
    let span = of_request(&request);
    let seen = span.clone();
    async move {
        let response = next.run(request).await;
        seen.record("http.response.status_code", i64::from(response.status().as_u16()));
        if response.status().is_server_error() {
            seen.record("otel.status_code", "ERROR");
        }
        response
    }
    .instrument(span)
    .await
}

fn of_request(request: &Request) -> Span {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    // A method may be any word, and the name of a span is one of a few.
    let is_known =
        [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD, Method::OPTIONS]
            .contains(request.method());
    let method = if is_known { request.method().as_str() } else { "HTTP" };
    let span = info_span!(
        target: "trace",
        "request",
        otel.name = route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}")),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        run = Empty,
        cycle = Empty,
        attempt = Empty,
        partition = Empty,
        table = Empty,
        layer = Empty,
    );
    if let Some(parent) = parent(request.headers()) {
        // Refused where nobody listens to spans, which is as good.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    }
    span
}

/// Notes in the request's span what its body, which was accepted, is about.
pub(crate) fn note(body: &[u8]) {
    let span = Span::current();
    if span.is_disabled() {
        return;
    }
    let members: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
    for name in SUBJECTS {
        match members.get(name) {
            Some(Value::String(text)) if text.len() <= MAX_WORD => _ = span.record(name, text.as_str()),
            Some(Value::Number(number)) => _ = span.record(name, number.as_i64()),
            _ => {}
        }
    }
}

/// What tells the server of a call that it is made in this span: the value of the header `traceparent`. Nothing where spans are
/// made for nobody.
pub fn traceparent(span: &Span) -> Option<String> {
    let context = span.context();
    let span = context.span();
    let found = Some(span.span_context()).filter(|found| found.is_valid())?;
    Some(format!("00-{}-{}-{:02x}", found.trace_id(), found.span_id(), found.trace_flags()))
}

/// The span that a request was sent in: <https://www.w3.org/TR/trace-context/>, and Google's own header before there was that one.
fn parent(headers: &HeaderMap) -> Option<SpanContext> {
    let one = |name: &str| {
        let mut values = headers.get_all(name).iter();
        let value = values.next()?;
        // Of two of them none is known to be right.
        if values.next().is_some() { None } else { value.to_str().ok() }
    };
    one("traceparent")
        .and_then(read_traceparent)
        .or_else(|| one("x-cloud-trace-context").and_then(read_cloud_trace_context))
}

fn read_traceparent(text: &str) -> Option<SpanContext> {
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace, span, flags, later @ ..] = parts.as_slice() else { return None };
    let is_known = *version == "00" && later.is_empty();
    // A later version may have more behind these four, and `ff` is no version.
    if !is_known && (*version == "00" || hexadecimal(version, 2).is_none_or(|version| version == 0xff)) {
        return None;
    }
    let (trace, span) = (hexadecimal(trace, 32)?, hexadecimal(span, 16)?);
    context(trace, u64::try_from(span).ok()?, hexadecimal(flags, 2)? & 1 == 1)
}

/// `TRACE/SPAN;o=OPTIONS`, the span in decimal digits; all behind the trace may be missing.
fn read_cloud_trace_context(text: &str) -> Option<SpanContext> {
    let (ids, options) = text.split_once(';').map_or((text, None), |(ids, options)| (ids, Some(options)));
    let (trace, span) = ids.split_once('/').map_or((ids, None), |(trace, span)| (trace, Some(span)));
    let trace = hexadecimal(&trace.to_ascii_lowercase(), 32)?;
    let is_sampled = match options {
        // Nobody has decided yet.
        None => true,
        Some(options) => decimal(options.strip_prefix("o=")?)? & 1 == 1,
    };
    // In the trace of whoever does not say in which span, it is a span that nobody tells of.
    let span = match span.map(decimal) {
        Some(None) => return None,
        Some(Some(span)) if span != 0 => span,
        _ => u64::from_be_bytes(RandomIdGenerator::default().new_span_id().to_bytes()),
    };
    context(trace, span, is_sampled)
}

fn context(trace: u128, span: u64, is_sampled: bool) -> Option<SpanContext> {
    let flags = if is_sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let (trace, span) = (TraceId::from(trace), SpanId::from(span));
    let context = SpanContext::new(trace, span, flags, true, TraceState::default());
    context.is_valid().then_some(context)
}

/// So many digits, in lower case and without a sign.
fn hexadecimal(text: &str, digits: usize) -> Option<u128> {
    let is_right = text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_right { u128::from_str_radix(text, 16).ok() } else { None }
}

fn decimal(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
#[path = "trace_tests.rs"]
mod tests;
