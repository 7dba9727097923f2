//! `http.*`: from arguments to a request, and from a response to a value or an error.

use std::time::Duration;

use reqwest::Url;

use crate::exception::Exception;
use crate::expression::operators::printed;
use crate::http::{Auth, HttpFailure, Request, Response};
use crate::library::{Arguments, Blocking, Body, Function};
use crate::value::Value;

const PARAMETERS: &[&str] = &["url", "timeout", "body", "headers", "query", "auth"];

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "http.delete",
        parameters: PARAMETERS,
        required: 1,
        body: Body::Blocking(Blocking::Http(Some("DELETE"))),
    },
    Function {
        name: "http.get",
        parameters: PARAMETERS,
        required: 1,
        body: Body::Blocking(Blocking::Http(Some("GET"))),
    },
    Function {
        name: "http.patch",
        parameters: PARAMETERS,
        required: 1,
        body: Body::Blocking(Blocking::Http(Some("PATCH"))),
    },
    Function {
        name: "http.post",
        parameters: PARAMETERS,
        required: 1,
        body: Body::Blocking(Blocking::Http(Some("POST"))),
    },
    Function {
        name: "http.put",
        parameters: PARAMETERS,
        required: 1,
        body: Body::Blocking(Blocking::Http(Some("PUT"))),
    },
    Function {
        name: "http.request",
        parameters: &["method", "url", "timeout", "body", "headers", "query", "auth"],
        required: 2,
        body: Body::Blocking(Blocking::Http(None)),
    },
];

/// Google's, in seconds.
const DEFAULT_TIMEOUT: f64 = 300.0;
const MAX_TIMEOUT: f64 = 1800.0;
/// Google's, in bytes.
const MAX_RESPONSE: usize = 2 * 1024 * 1024;

/// The request that a call asks for.
pub(crate) fn request(method: Option<&str>, arguments: &Arguments) -> Result<Request, Exception> {
    let wrong = |name: &str, expected: &str| {
        Exception::type_error(format!("http: {name} must be {expected}, not {}", arguments.named(name).kind()))
    };
    let method = match (method, arguments.named("method")) {
        (Some(method), _) => method.to_owned(),
        (None, Value::Text(method)) => method.to_uppercase(),
        (None, _) => return Err(wrong("method", "a string")),
    };
    let Value::Text(url) = arguments.named("url") else { return Err(wrong("url", "a string")) };
    let mut url = Url::parse(url).map_err(|error| Exception::value_error(format!("http: url {url:?}: {error}")))?;
    match arguments.named("query") {
        Value::Null => {}
        Value::Map(query) => {
            for (name, value) in query.iter() {
                let values =
                    if let Value::List(values) = value { values.as_slice() } else { std::slice::from_ref(value) };
                for value in values {
                    let value =
                        printed(value).ok_or_else(|| wrong("query", "a map of strings, numbers and booleans"))?;
                    url.query_pairs_mut().append_pair(name, &value);
                }
            }
        }
        _ => return Err(wrong("query", "a map")),
    }
    let mut headers = Vec::new();
    match arguments.named("headers") {
        Value::Null => {}
        Value::Map(given) => {
            for (name, value) in given.iter() {
                headers.push((name.to_string(), printed(value).ok_or_else(|| wrong("headers", "a map of strings"))?));
            }
        }
        _ => return Err(wrong("headers", "a map")),
    }
    let body = match arguments.named("body") {
        Value::Null => None,
        body => Some(encode(body, &mut headers)?),
    };
    let timeout = match arguments.named("timeout") {
        Value::Null => DEFAULT_TIMEOUT,
        #[expect(clippy::cast_precision_loss, reason = "a value that large is refused")]
        Value::Int(seconds) => *seconds as f64,
        Value::Double(seconds) => *seconds,
        _ => return Err(wrong("timeout", "a number")),
    };
    if !(timeout > 0.0 && timeout <= MAX_TIMEOUT) {
        return Err(Exception::value_error(format!(
            "http: timeout must be above 0 and at most {MAX_TIMEOUT} seconds, not {timeout}"
        )));
    }
    let auth = match arguments.named("auth") {
        Value::Null => None,
        Value::Map(auth) => Some(match (auth.get("type"), auth.get("audience")) {
            (Some(Value::Text(kind)), audience) if matches!(&**kind, "OIDC" | "OAuth2") => {
                Auth { kind: kind.to_string(), audience: audience.and_then(printed) }
            }
            _ => return Err(Exception::value_error("http: auth.type must be \"OIDC\" or \"OAuth2\"")),
        }),
        _ => return Err(wrong("auth", "a map")),
    };
    Ok(Request { method, url: url.into(), headers, body, timeout: Duration::from_secs_f64(timeout), auth })
}

/// The bytes of a body, by its content type; without one, bytes go as they are and everything else as JSON.
fn encode(body: &Value, headers: &mut Vec<(String, String)>) -> Result<Vec<u8>, Exception> {
    let content_type = header(headers, "content-type").map(str::to_ascii_lowercase);
    match (body, content_type.as_deref()) {
        (Value::Bytes(bytes), given) => {
            if given.is_none() {
                headers.push(("Content-Type".to_owned(), "application/octet-stream".to_owned()));
            }
            Ok(bytes.to_vec())
        }
        (Value::Text(text), Some(given)) if !is_json(given) => Ok(text.as_bytes().to_vec()),
        (Value::Map(fields), Some(given)) if given.starts_with("application/x-www-form-urlencoded") => {
            let mut form = Url::parse("form:").map_err(|error| Exception::value_error(error.to_string()))?;
            for (name, value) in fields.iter() {
                let value = printed(value).ok_or_else(|| {
                    Exception::type_error("http: the fields of a form must be strings, numbers or booleans")
                })?;
                form.query_pairs_mut().append_pair(name, &value);
            }
            Ok(form.query().unwrap_or_default().as_bytes().to_vec())
        }
        (_, Some(given)) if !is_json(given) => {
            Err(Exception::type_error(format!("http: {} cannot be sent as {given}", body.kind())))
        }
        (_, given) => {
            if given.is_none() {
                headers.push(("Content-Type".to_owned(), "application/json; charset=utf-8".to_owned()));
            }
            Ok(body.to_json()?.to_string().into_bytes())
        }
    }
}

/// What the call returns, or raises when the status is not one of success.
pub(crate) fn outcome(sent: Result<Response, HttpFailure>) -> Result<Value, Exception> {
    let response = sent.map_err(|failure| match failure {
        HttpFailure::NotConnected(_) => Exception::connection_failed(failure),
        HttpFailure::Interrupted(_) => Exception::connection(failure),
        HttpFailure::TimedOut => Exception::timeout(failure),
        HttpFailure::Invalid(_) => Exception::value_error(failure),
    })?;
    if response.body.len() > MAX_RESPONSE {
        return Err(Exception::resource_limit(format!(
            "a response of {} bytes is over the limit of {MAX_RESPONSE}",
            response.body.len()
        )));
    }
    let success = (200..300).contains(&response.code);
    let body = match decode(&response) {
        Ok(body) => body,
        // An error page that claims to be JSON must not hide the status.
        Err(_) if !success => Value::text(String::from_utf8_lossy(&response.body)),
        Err(error) => return Err(error),
    };
    let mut headers = indexmap::IndexMap::<String, String>::new();
    for (name, value) in &response.headers {
        let known = headers.entry(canonical(name)).or_default();
        if !known.is_empty() {
            known.push_str(", ");
        }
        known.push_str(value);
    }
    let headers = Value::map(headers.into_iter().map(|(name, value)| (name, Value::text(value))));
    let code = Value::Int(response.code.into());
    if success {
        return Ok(Value::map([("body", body), ("code", code), ("headers", headers)]));
    }
    Err(Exception::new(Value::map([
        ("body", body),
        ("code", code),
        ("headers", headers),
        ("message", Value::text(format!("HTTP server responded with error code {}", response.code))),
        ("tags", Value::list(vec![Value::text("HttpError")])),
    ])))
}

fn decode(response: &Response) -> Result<Value, Exception> {
    let content_type = header(&response.headers, "content-type").map(str::to_ascii_lowercase);
    match content_type.as_deref() {
        _ if response.body.is_empty() => Ok(Value::Null),
        Some(given) if is_json(given) => {
            serde_json::from_slice::<serde_json::Value>(&response.body).map(Value::from).map_err(|error| {
                Exception::value_error(format!("http: the response is no JSON although it says so: {error}"))
            })
        }
        Some(given) if given.starts_with("text/") || given.starts_with("application/x-www-form-urlencoded") => {
            Ok(Value::text(String::from_utf8_lossy(&response.body)))
        }
        _ => Ok(Value::Bytes(response.body.as_slice().into())),
    }
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// `application/json` and its kin such as `application/problem+json`, whatever parameters follow.
fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// `content-type` -> `Content-Type`, as workflows see headers.
fn canonical(name: &str) -> String {
    let mut start = true;
    name.chars()
        .map(|character| {
            let upper = std::mem::replace(&mut start, character == '-');
            if upper { character.to_ascii_uppercase() } else { character.to_ascii_lowercase() }
        })
        .collect()
}
