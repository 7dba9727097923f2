//! What `http.*` sends, returns and raises: against a scripted network, and through the real client.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::{get, post};
use common::{World, json_response, tags};
use serde_json::{Value, json};
use workflows::{Host, HttpClient, Raised, Request, Response, Workflow};

fn call(function: &str, arguments: &str) -> String {
    format!(
        r"
main:
  params: [a]
  steps:
    - c:
        call: {function}
        args: {arguments}
        result: r
    - last:
        return: ${{r}}
"
    )
}

/// The only request that the call sends.
fn sent(function: &str, arguments: &str) -> Request {
    let world = World::codes(&[]);
    world.run(&call(function, arguments), json!({"k": 1})).unwrap();
    world.network.requests.lock().unwrap().first().unwrap().clone()
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

#[test]
fn each_function_has_its_method() {
    for (function, method) in [
        ("http.get", "GET"),
        ("http.post", "POST"),
        ("http.put", "PUT"),
        ("http.patch", "PATCH"),
        ("http.delete", "DELETE"),
    ] {
        assert_eq!(sent(function, "{url: \"http://s/\"}").method, method);
    }
    assert_eq!(sent("http.request", "{method: options, url: \"http://s/\"}").method, "OPTIONS");
}

#[test]
fn a_query_is_encoded_behind_the_url() {
    let request = sent("http.get", "{url: \"http://s/p?x=1\", query: {name: \"a b&c\", n: 2, many: [1, true]}}");
    assert_eq!(request.url, "http://s/p?x=1&name=a+b%26c&n=2&many=1&many=true");
}

#[test]
fn bodies_are_encoded_by_their_content_type() {
    let request = sent("http.post", "{url: \"http://s/\", body: {a: [1, 2.0, null], b: \"${a.k}\"}}");
    assert_eq!(header(&request, "Content-Type"), Some("application/json; charset=utf-8"));
    assert_eq!(request.body.unwrap(), br#"{"a":[1,2.0,null],"b":1}"#);

    let request = sent("http.post", "{url: \"http://s/\", body: \"${text.encode(\\\"raw\\\")}\"}");
    assert_eq!(
        (header(&request, "Content-Type"), request.body.as_deref()),
        (Some("application/octet-stream"), Some(&b"raw"[..]))
    );

    let request = sent("http.post", "{url: \"http://s/\", headers: {content-type: text/plain}, body: plain}");
    assert_eq!(request.body.unwrap(), b"plain");

    let request = sent(
        "http.post",
        "{url: \"http://s/\", headers: {Content-Type: application/x-www-form-urlencoded}, body: {a: \"x y\", b: 1}}",
    );
    assert_eq!(request.body.unwrap(), b"a=x+y&b=1");

    let request = sent("http.post", "{url: \"http://s/\"}");
    assert_eq!((header(&request, "Content-Type"), request.body.as_deref()), (None, None));
}

#[test]
fn timeout_and_auth_reach_the_network() {
    let request = sent("http.get", "{url: \"http://s/\"}");
    assert_eq!((request.timeout, request.auth), (Duration::from_mins(5), None));
    let request = sent("http.get", "{url: \"http://s/\", timeout: 1800, auth: {type: OIDC, audience: \"http://a\"}}");
    assert_eq!(request.timeout, Duration::from_mins(30));
    let auth = request.auth.unwrap();
    assert_eq!((auth.kind.as_str(), auth.audience.as_deref()), ("OIDC", Some("http://a")));
}

#[test]
fn bad_arguments_raise_before_anything_is_sent() {
    let table = [
        ("{url: 5}", "TypeError"),
        ("{url: nowhere}", "ValueError"),
        ("{url: \"http://s/\", timeout: 1801}", "ValueError"),
        ("{url: \"http://s/\", timeout: 0}", "ValueError"),
        ("{url: \"http://s/\", timeout: soon}", "TypeError"),
        ("{url: \"http://s/\", headers: [a]}", "TypeError"),
        ("{url: \"http://s/\", headers: {a: [1]}}", "TypeError"),
        ("{url: \"http://s/\", query: x}", "TypeError"),
        ("{url: \"http://s/\", query: {a: {b: 1}}}", "TypeError"),
        ("{url: \"http://s/\", auth: {type: Basic}}", "ValueError"),
        ("{url: \"http://s/\", headers: {content-type: text/plain}, body: [1]}", "TypeError"),
    ];
    for (arguments, tag) in table {
        let world = World::codes(&[]);
        let raised = world.run(&call("http.get", arguments), json!(null)).unwrap_err();
        assert_eq!(tags(&raised)[0], tag, "{arguments}: {raised}");
        assert_eq!(world.sent(), 0, "{arguments}");
    }
}

fn answer(response: Response) -> Result<Value, Raised> {
    World::new(move |_, _| Ok(response.clone())).run(&call("http.get", "{url: \"http://s/\"}"), json!(null))
}

fn typed(code: u16, content_type: &str, body: &str) -> Response {
    Response { headers: vec![("content-type".to_owned(), content_type.to_owned())], ..json_response(code, body) }
}

#[test]
fn a_response_is_a_map_of_code_headers_and_body() {
    let mut response = json_response(201, r#"{"n": 1, "d": 1.0}"#);
    response.headers.push(("x-many".to_owned(), "1".to_owned()));
    response.headers.push(("X-Many".to_owned(), "2".to_owned()));
    assert_eq!(
        answer(response).unwrap(),
        json!({"body": {"n": 1, "d": 1.0}, "code": 201, "headers": {"Content-Type": "application/json; charset=utf-8", "X-Many": "1, 2"}}),
    );
}

#[test]
fn bodies_are_decoded_by_content_type() {
    assert_eq!(answer(typed(200, "application/problem+json", "[1]")).unwrap()["body"], json!([1]));
    assert_eq!(answer(typed(200, "text/html", "<p>")).unwrap()["body"], json!("<p>"));
    assert_eq!(answer(typed(204, "application/json", "")).unwrap()["body"], json!(null));
    // Other content is bytes, which a workflow cannot return.
    assert_eq!(tags(&answer(typed(200, "image/png", "x")).unwrap_err()), ["ValueError"]);
    assert_eq!(tags(&answer(typed(200, "application/json", "{")).unwrap_err()), ["ValueError"]);
}

#[test]
fn other_codes_raise_an_http_error_with_the_response() {
    for code in [301, 400, 404, 500, 503] {
        let raised = answer(json_response(code, r#"{"detail": "why"}"#)).unwrap_err();
        assert_eq!(
            raised.value,
            json!({
                "body": {"detail": "why"},
                "code": code,
                "headers": {"Content-Type": "application/json; charset=utf-8"},
                "message": format!("HTTP server responded with error code {code}"),
                "tags": ["HttpError"],
            }),
        );
    }
    let raised = answer(typed(502, "application/json", "<html>")).unwrap_err();
    assert_eq!((&raised.value["code"], &raised.value["body"]), (&json!(502), &json!("<html>")));
}

#[test]
fn a_response_over_two_megabytes_is_refused() {
    let raised = answer(typed(200, "text/plain", &"x".repeat(2 * 1024 * 1024 + 1))).unwrap_err();
    assert_eq!(tags(&raised), ["ResourceLimitError"]);
}

/// Serves on loopback until the runtime is dropped.
async fn serve() -> String {
    let echo = |uri: Uri, headers: HeaderMap, body: Bytes| async move {
        let kind = headers.get("content-type").map(|value| value.to_str().unwrap().to_owned());
        axum::Json(json!({"uri": uri.to_string(), "type": kind, "body": String::from_utf8(body.to_vec()).unwrap()}))
    };
    let router = Router::new()
        .route("/echo", post(echo))
        .route("/slow", get(|| async { tokio::time::sleep(Duration::from_secs(30)).await }))
        .route("/moved", get(|| async { (StatusCode::FOUND, [("location", "/echo")]) }))
        .route("/busy", get(|| async { (StatusCode::SERVICE_UNAVAILABLE, "busy") }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

fn over_the_network(source: &str, argument: impl Fn(&str) -> Value) -> Result<Value, Raised> {
    common::runtime().block_on(async {
        let base = serve().await;
        let host = Host::new(Arc::new(HttpClient::new().unwrap()));
        Workflow::parse("f.yaml", source).unwrap().run(argument(&base), &host).await
    })
}

#[test]
fn the_client_sends_and_receives() {
    let source = call("http.post", "{url: \"${a + \\\"/echo\\\"}\", query: {q: \"1 2\"}, body: {k: v}}");
    let result = over_the_network(&source, |base| json!(base)).unwrap();
    assert_eq!(result["code"], json!(200));
    assert_eq!(
        result["body"],
        json!({"uri": "/echo?q=1+2", "type": "application/json; charset=utf-8", "body": "{\"k\":\"v\"}"}),
    );
}

#[test]
fn the_client_tells_failures_apart() {
    let table: [(&str, &str, Option<u16>); 3] =
        [("/busy", "HttpError", Some(503)), ("/moved", "HttpError", Some(302)), ("/slow", "TimeoutError", None)];
    for (path, tag, code) in table {
        let raised =
            over_the_network(&call("http.get", "{url: \"${a}\", timeout: 0.2}"), |base| json!(base.to_owned() + path))
                .unwrap_err();
        assert_eq!(tags(&raised)[0], tag, "{path}: {raised}");
        assert_eq!(raised.value.get("code"), code.map(Value::from).as_ref(), "{path}");
    }
}

#[test]
fn a_closed_port_is_a_connection_that_failed_and_a_dropped_one_is_a_connection_error() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let raised =
        over_the_network(&call("http.get", "{url: \"${a}\"}"), |_| json!(format!("http://{closed}/"))).unwrap_err();
    assert_eq!(tags(&raised), ["ConnectionFailedError"], "{raised}");

    let dropping = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = dropping.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = dropping.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").unwrap();
    });
    let raised =
        over_the_network(&call("http.get", "{url: \"${a}\"}"), |_| json!(format!("http://{address}/"))).unwrap_err();
    server.join().unwrap();
    assert_eq!(tags(&raised), ["ConnectionError"], "{raised}");
}
