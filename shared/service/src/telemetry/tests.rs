use std::sync::{Arc, Mutex};

use axum::Json;
use serde_json::{Value, json};
use tracing::subscriber::DefaultGuard;
use tracing::{Instrument, Span, info_span};
use utoipa_axum::router::OpenApiRouter;

use super::*;
use crate::{Body, Guard, Kind, Server, detached, each, traceparent, with_service_routes};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// What was logged while this is held, on this thread: that of the tests' runtime.
struct Logged {
    lines: Arc<Mutex<String>>,
    _guard: DefaultGuard,
}

impl Logged {
    fn new(provider: &SdkTracerProvider, filter: &str, project: Option<&str>) -> Self {
        let lines = Arc::<Mutex<String>>::default();
        let written = lines.clone();
        let write = move |line: &str| written.lock().unwrap().push_str(line);
        let lines_of = Lines::new("test", project.map(str::to_owned), write);
        let guard = tracing::subscriber::set_default(subscriber(provider, lines_of, filter));
        Self { lines, _guard: guard }
    }

    fn lines(&self) -> Vec<Value> {
        let text = std::mem::take(&mut *self.lines.lock().unwrap());
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn line(&self, message: &str) -> Value {
        let lines = self.lines();
        lines.iter().find(|line| line["message"] == message).unwrap_or_else(|| panic!("{lines:?}")).clone()
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Work {
    #[serde(rename = "run")]
    _run: String,
    #[serde(rename = "cycle")]
    _cycle: Option<u64>,
    #[serde(default)]
    tables: Vec<String>,
}

/// Works as functions do: detached, several things at once, in spans of their own.
async fn work(Body(request): Body<Work>) -> Result<Json<Value>, Problem> {
    tracing::info!("before");
    detached(async move {
        let each_of = request.tables.into_iter().map(|table| {
            let span = info_span!(target: "trace", "item", table, partition = "2025-08-01", secret = "hidden");
            async move {
                tokio::task::yield_now().await;
                if table == "broken" {
                    tracing::warn!(table = "own", rows = 3, "worked");
                    return Err(Problem::new(Kind::Internal, "broken", "row 4711 is broken"));
                }
                tracing::info!(rows = 3, "worked");
                Ok(json!(traceparent(&Span::current())))
            }
            .instrument(span)
        });
        each(each_of).await.map(|done| Json(json!(done)))
    })
    .await
}

async fn serve() -> Server {
    let routes = OpenApiRouter::new().route("/work", axum::routing::post(work));
    let router = with_service_routes("test", routes, Guard::default());
    Server::start("127.0.0.1:0".parse().unwrap(), router).await.unwrap()
}

async fn ask(server: &Server, header: Option<&str>, body: &Value) -> (u16, Value) {
    let mut request = reqwest::Client::new().post(format!("http://{}/work", server.address)).json(body);
    if let Some(header) = header {
        request = request.header("traceparent", header);
    }
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

fn unexported() -> SdkTracerProvider {
    provider(Sampler::AlwaysOff).build()
}

#[tokio::test]
async fn lines_are_in_the_trace_of_their_request_and_say_what_it_is_about() {
    let logged = Logged::new(&unexported(), "info", Some("shop-1"));
    let server = serve().await;
    let header = format!("00-{TRACE}-{SPAN}-01");
    let body = json!({"run": "r-1", "cycle": 7, "tables": ["orders"]});
    let (status, answer) = ask(&server, Some(&header), &body).await;
    assert_eq!(status, 200);

    let lines = logged.lines();
    let line = |message: &str| lines.iter().find(|line| line["message"] == message).unwrap().clone();
    let (before, worked) = (line("before"), line("worked"));
    for line in [&before, &worked] {
        assert_eq!(line["logging.googleapis.com/trace"], format!("projects/shop-1/traces/{TRACE}"));
        assert_eq!(line["logging.googleapis.com/trace_sampled"], true);
        assert_eq!((&line["run"], &line["cycle"], &line["service"]), (&json!("r-1"), &json!(7), &json!("test")));
    }
    assert_eq!(before.get("table"), None);
    assert_eq!(
        (&worked["table"], &worked["partition"], &worked["rows"]),
        (&json!("orders"), &json!("2025-08-01"), &json!(3))
    );
    // What else a span knows is for traces.
    assert_eq!((worked.get("secret"), worked.get("http.route")), (None, None));
    let span = |line: &Value| line["logging.googleapis.com/spanId"].as_str().unwrap().to_owned();
    assert!(span(&before) != SPAN && span(&worked) != SPAN && span(&before) != span(&worked), "{lines:?}");
    // The work itself knows the same ids, for the calls that it makes.
    assert_eq!(answer[0], format!("00-{TRACE}-{}-01", span(&worked)));
}

#[tokio::test]
async fn an_events_own_fields_win_and_a_warning_is_in_its_trace_where_only_warnings_are_logged() {
    let logged = Logged::new(&unexported(), "warn", None);
    let server = serve().await;
    let header = format!("00-{TRACE}-{SPAN}-00");
    let (status, _) = ask(&server, Some(&header), &json!({"run": "r-1", "tables": ["broken"]})).await;
    assert_eq!(status, 500);
    let line = logged.line("worked");
    assert_eq!(
        (&line["table"], &line["partition"], &line["run"]),
        (&json!("own"), &json!("2025-08-01"), &json!("r-1"))
    );
    assert_eq!(line["logging.googleapis.com/trace"], TRACE);
    assert_eq!(line["logging.googleapis.com/trace_sampled"], false);
}

#[tokio::test]
async fn requests_without_a_trace_each_have_one_of_their_own() {
    let logged = Logged::new(&unexported(), "info", None);
    let server = serve().await;
    let mut seen = std::collections::BTreeSet::new();
    for header in [None, None, Some("00-none"), Some("00-00000000000000000000000000000000-0000000000000000-01")] {
        ask(&server, header, &json!({"run": "r", "tables": ["a", "b"]})).await;
        let lines = logged.lines();
        let traces: Vec<&str> =
            lines.iter().map(|line| line["logging.googleapis.com/trace"].as_str().unwrap()).collect();
        assert!(traces.len() == 3 && traces.iter().all(|trace| trace.len() == 32 && *trace == traces[0]), "{lines:?}");
        assert!(seen.insert(traces[0].to_owned()), "{header:?}");
    }
}

#[tokio::test]
async fn a_request_that_is_refused_and_one_for_health_leave_nothing_in_lines() {
    let logged = Logged::new(&unexported(), "trace,hyper=off,hyper_util=off,reqwest=off", None);
    let server = serve().await;
    // Words of a body that was not accepted, or too long a word, are believed by nobody.
    ask(&server, None, &json!({"run": "r-2", "other": 1})).await;
    ask(&server, None, &json!({"run": "x".repeat(MOST + 1)})).await;
    let lines = logged.lines();
    assert!(!lines.is_empty() && lines.iter().all(|line| line.get("run").is_none()), "{lines:?}");
    let health = format!("http://{}/health", server.address);
    assert!(reqwest::get(health).await.unwrap().status().is_success());
    assert!(logged.lines().iter().all(|line| line.get("logging.googleapis.com/trace").is_none()));
}

/// The longest word of a request that a line repeats.
const MOST: usize = 200;

#[test]
fn a_line_outside_of_any_span_is_in_no_trace() {
    let logged = Logged::new(&unexported(), "info", Some("shop-1"));
    tracing::info!(severity = "own", "listening");
    let line = logged.line("listening");
    assert_eq!(line.get("logging.googleapis.com/trace"), None);
    assert_eq!(line["severity"], "own");
}

#[cfg(not(feature = "google"))]
#[tokio::test]
async fn an_address_is_refused_where_nothing_can_be_exported() {
    let problem = Telemetry::start("test", &config("http://127.0.0.1:4318")).unwrap_err();
    assert!(problem.detail.contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{}", problem.detail);
}

fn config(endpoint: &str) -> Config {
    let variables = [("HOME", "/somebody"), ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint), ("BGP_PROJECT", "shop-1")];
    Config::from_variables(&variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()).unwrap()
}

#[cfg(feature = "google")]
mod exported {
    use std::time::Instant;

    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::post;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::any_value::Value as Attribute;
    use opentelemetry_proto::tonic::trace::v1::Span;
    use prost::Message;

    use super::*;

    type Received = Arc<Mutex<Vec<(HeaderMap, ExportTraceServiceRequest)>>>;

    /// A collector that keeps what it is sent.
    async fn collector(status: StatusCode) -> (Server, Received) {
        let received = Received::default();
        let kept = received.clone();
        let take = async move |headers: HeaderMap, body: axum::body::Bytes| {
            kept.lock().unwrap().push((headers, ExportTraceServiceRequest::decode(body).unwrap()));
            status
        };
        let router = axum::Router::new().route("/v1/traces", post(take));
        (Server::start("127.0.0.1:0".parse().unwrap(), router).await.unwrap(), received)
    }

    fn spans(received: &Received) -> Vec<Span> {
        let received = received.lock().unwrap();
        let resources = received.iter().flat_map(|(_, request)| &request.resource_spans);
        resources.flat_map(|resource| &resource.scope_spans).flat_map(|scope| scope.spans.clone()).collect()
    }

    fn exporting(address: &str) -> (Telemetry, SdkTracerProvider) {
        let provider = export::exporting_to(address, "test", &config(address)).unwrap();
        (Telemetry { exporting: Some(provider.clone()) }, provider)
    }

    fn attribute(span: &Span, name: &str) -> Option<Attribute> {
        span.attributes.iter().find(|attribute| attribute.key == name)?.value.clone()?.value
    }

    #[tokio::test]
    async fn the_spans_of_a_request_are_one_trace_below_the_callers_span() {
        let (collector, received) = collector(StatusCode::OK).await;
        let (telemetry, provider) = exporting(&format!("http://{}/", collector.address));
        let _logged = Logged::new(&provider, "off", None);
        let server = serve().await;
        let body = json!({"run": "r-1", "tables": ["orders", "broken"]});
        assert_eq!(ask(&server, Some(&format!("00-{TRACE}-{SPAN}-01")), &body).await.0, 500);
        // Not sampled by its caller.
        ask(&server, Some(&format!("00-{}-{SPAN}-00", "1".repeat(32))), &body).await;
        server.stop().await;
        telemetry.end().await;

        let spans = spans(&received);
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(spans.len(), 3, "{spans:?}");
        assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE), "{spans:?}");
        let request = spans.iter().find(|span| span.name == "POST /work").unwrap();
        assert_eq!((hex(&request.parent_span_id), request.kind), (SPAN.to_owned(), 2));
        assert_eq!(attribute(request, "http.response.status_code"), Some(Attribute::IntValue(500)));
        assert_eq!(attribute(request, "run"), Some(Attribute::StringValue("r-1".to_owned())));
        assert_eq!(request.status.as_ref().map(|status| status.code), Some(2));
        let items: Vec<_> = spans.iter().filter(|span| span.name == "item").collect();
        assert_eq!(items.len(), 2);
        assert!(items.iter().all(|item| item.parent_span_id == request.span_id), "{spans:?}");
        // What was logged may hold more than traces may: no line is in a span.
        assert!(spans.iter().all(|span| span.events.is_empty()) && !format!("{spans:?}").contains("4711"), "{spans:?}");

        let received = received.lock().unwrap();
        let resource = format!("{:?}", received[0].1.resource_spans[0].resource);
        assert!(resource.contains("service.name") && resource.contains("\"test\""), "{resource}");
        assert!(resource.contains("gcp.project_id") && resource.contains("shop-1"), "{resource}");
        let (headers, _) = &received[0];
        assert_eq!(headers["content-type"], "application/x-protobuf");
        // This is nobody who may have a token.
        assert!(!headers.contains_key("authorization") && !headers.contains_key("x-goog-user-project"), "{headers:?}");
    }

    #[tokio::test]
    async fn an_exporter_that_fails_holds_nothing_up() {
        let (refusing, received) = collector(StatusCode::BAD_REQUEST).await;
        let (silent, _kept) = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            (format!("http://{}", listener.local_addr().unwrap()), listener)
        };
        for address in [format!("http://{}", refusing.address), "http://127.0.0.1:9".to_owned(), silent.clone()] {
            let (telemetry, provider) = exporting(&address);
            let logged = Logged::new(&provider, "warn", None);
            let server = serve().await;
            assert_eq!(ask(&server, None, &json!({"run": "r", "tables": ["orders"]})).await.0, 200);
            server.stop().await;
            let begun = Instant::now();
            telemetry.end().await;
            assert!(begun.elapsed() < FLUSH * 2, "{address}: {:?}", begun.elapsed());
            // Whoever answers, or can't be reached, is told of as it happens.
            let unsent =
                logged.lines().iter().filter(|line| line["message"] == "the last spans were not exported").count();
            assert_eq!(unsent, usize::from(address == silent), "{address}");
        }
        assert_eq!(spans(&received).len(), 2);
    }

    #[tokio::test]
    async fn an_exporter_that_fails_is_told_of_once_and_without_what_was_sent() {
        let (refusing, received) = collector(StatusCode::FORBIDDEN).await;
        let logged = Logged::new(&unexported(), "info", None);
        for (address, reason) in
            [(format!("http://{}", refusing.address), "403"), ("http://127.0.0.1:9".to_owned(), "refused")]
        {
            let address = format!("{address}/v1/traces");
            let sender = export::Sender::new(&address, &config(&address), &Problem::rejected).unwrap();
            for _ in 0..3 {
                let request = http::Request::post(&address).body(bytes::Bytes::new()).unwrap();
                let outcome = opentelemetry_http::HttpClient::send_bytes(&sender, request).await;
                assert!(outcome.is_ok_and(|response| response.status() == 403) == (reason == "403"));
            }
            let lines = logged.lines();
            assert_eq!(lines.len(), 1, "{lines:?}");
            assert_eq!(lines[0]["message"], "spans could not be exported");
            let said = lines[0]["reason"].as_str().unwrap();
            assert!(said.contains(reason) && !said.contains("v1/traces"), "{said}");
        }
        assert_eq!(received.lock().unwrap().len(), 3);
    }

    #[test]
    fn a_token_goes_to_google_over_tls_and_nowhere_else() {
        let is_google = |address: &str| export::is_google(&reqwest::Url::parse(address).unwrap());
        assert!(is_google("https://telemetry.googleapis.com/v1/traces"));
        for other in [
            "http://telemetry.googleapis.com/v1/traces",
            "https://telemetry.googleapis.com:8443/v1/traces",
            "https://telemetry.googleapis.com.example/v1/traces",
            "https://telemetry.googleapis.com./v1/traces",
            "https://example/telemetry.googleapis.com",
            "https://telemetry.googleapis.com@example/v1/traces",
            "https://xtelemetry.googleapis.com/v1/traces",
        ] {
            assert!(!is_google(other), "{other}");
        }
    }
}
