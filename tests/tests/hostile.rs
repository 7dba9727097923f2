//! Every field of every endpoint, and every argument of every command, given what nobody should send.

use std::collections::BTreeMap;
use std::process::Command;

use end_to_end::{Sandbox, Up, program, snapshot};
use hostile::{Payload, payloads};
use serde_json::{Value, json};

/// The longest answer to what is refused, in bytes.
const MAX_ANSWER: usize = 9_000;

/// What the other fields of a request say: well-formed, and about nothing that there is. So no request may succeed.
fn harmless(field: &str) -> Value {
    match field {
        "partition" => json!("2024-08-01"),
        "table" => json!("customers"),
        "tables" => json!(["nothing"]),
        "digest" => json!("0".repeat(64)),
        "run" => json!("hostile"),
        "attempt" => json!("aaaaaaaaaa"),
        "cycle" => json!(99),
        "view" | "views" | "layer" => json!("nothing"),
        "against" => json!("99"),
        "at" => json!("2025-08-01T12:00:00Z"),
        "into" => json!("elsewhere"),
        "from" | "to" => json!("2025-08-01"),
        "corrupt" => json!("negative_price"),
        // Of a run that nobody knows; only how it ended is kept.
        "outcome" => json!("stopped"),
        "reason" => json!("a test"),
        "dry_run" => json!(true),
        "deep" => json!(false),
        other => panic!("say here what a harmless {other} is"),
    }
}

/// A field of a request.
#[derive(Debug)]
struct Field {
    method: String,
    path: String,
    name: String,
    /// Behind the `?`, and not in the body.
    in_query: bool,
    /// The list of objects in the body whose members have the field, and not the body itself.
    within: Option<String>,
    /// All required fields of the same request.
    required: Vec<String>,
    is_required: bool,
}

fn fields(description: &Value) -> Vec<Field> {
    let mut fields = Vec::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let method = method.to_uppercase();
            let mut field = |name: &str, in_query, within: Option<&str>, required: &[String]| {
                fields.push(Field {
                    method: method.clone(),
                    path: path.clone(),
                    name: name.to_owned(),
                    in_query,
                    within: within.map(str::to_owned),
                    required: required.to_vec(),
                    is_required: required.iter().any(|required| required == name),
                });
            };
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert_eq!(parameter["in"], "query", "{path}: this test does not know such parameters");
                field(parameter["name"].as_str().unwrap(), true, None, &[]);
            }
            let body = &operation["requestBody"]["content"]["application/json"]["schema"];
            let Some(body) = resolve(description, body) else { continue };
            for (name, schema) in body["properties"].as_object().unwrap() {
                field(name, false, None, &required(body));
                if let Some(member) = resolve(description, &schema["items"]) {
                    for inner in member["properties"].as_object().unwrap().keys() {
                        field(inner, false, Some(name), &required(member));
                    }
                }
            }
        }
    }
    fields
}

/// The object that a schema refers to.
fn resolve<'a>(description: &'a Value, schema: &Value) -> Option<&'a Value> {
    let name = schema["$ref"].as_str()?.rsplit('/').next()?;
    Some(&description["components"]["schemas"][name])
}

fn required(schema: &Value) -> Vec<String> {
    schema["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap().to_owned()).collect()
}

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The request with a payload in the place of a field.
fn request(field: &Field, payload: &Payload) -> (String, String) {
    if field.in_query {
        return (format!("{}?{}={}", field.path, field.name, percent_encoded(payload.text())), String::new());
    }
    // The field comes first, so that what is said is about it.
    let mut members = vec![format!("\"{}\":{}", field.name, payload.json)];
    members.extend(
        field.required.iter().filter(|name| **name != field.name).map(|name| format!("\"{name}\":{}", harmless(name))),
    );
    let object = format!("{{{}}}", members.join(","));
    let body = match &field.within {
        Some(list) => format!("{{\"{list}\":[{object}]}}"),
        None => object,
    };
    (field.path.clone(), body)
}

/// Fields for which some of the payloads are what they ask for, or leave it out: then the request is about nothing, and does
/// nothing.
fn may_be_accepted(field: &Field, payload: &Payload) -> bool {
    let is_null = payload.json == "null" && !field.is_required;
    let is_boolean = matches!(payload.text(), "true" | "false");
    match (field.path.as_str(), field.name.as_str()) {
        // Any name of a run may ask what there is to do.
        ("/begin" | "/finish", "run") => payload.is_text() && payload.text().len() <= 128,
        ("/finish", "reason" | "partition" | "attempt") => payload.is_text() || is_null,
        ("/plan", "tables") => is_null || payload.json == "[]",
        ("/cleanup", "dry_run") | ("/doctor", "deep") => is_null || is_boolean,
        _ => is_null && matches!(field.path.as_str(), "/plan" | "/partitions"),
    }
}

#[test]
fn every_field_of_every_endpoint_takes_every_payload_without_harm() {
    let sandbox = Sandbox::retail();
    sandbox.day("2025-08-01");
    let up = Up::start(&sandbox);
    let description: Value = serde_json::from_str(&up.send("GET", "/openapi.json", "", "").2).unwrap();
    let fields = fields(&description);
    let payloads = payloads();
    let before = snapshot(&sandbox.home());
    let mut pairs = 0;
    let mut accepted = BTreeMap::<String, usize>::new();
    let mut wrong = Vec::new();
    for field in &fields {
        for payload in &payloads {
            // A head of a request is bounded by hyper.
            if field.in_query && payload.text().len() > 10_000 {
                continue;
            }
            let (path, body) = request(field, payload);
            let (status, content_type, answer) = up.send(&field.method, &path, "application/json", &body);
            pairs += 1;
            let place = format!("{} {} {}", field.method, field.path, field.name);
            let shown = payload.shown();
            if status == 200 && may_be_accepted(field, payload) {
                *accepted.entry(place).or_default() += 1;
                continue;
            }
            let problem: Value = serde_json::from_str(&answer).unwrap_or_default();
            let detail = problem["detail"].as_str().unwrap_or_default();
            let honest =
                (400..=422).contains(&status) && content_type == "application/problem+json" && detail.len() > 10;
            // What is wrong in itself is said with the name of the field. What breaks the document is said with a line.
            let is_json = serde_json::from_str::<Value>(&payload.json).is_ok() || field.in_query;
            let is_about_the_body = problem["code"] == "body" && is_json && body.len() < 64 * 1024;
            let named = !is_about_the_body || detail.contains(&field.name) || detail.contains("recursion limit");
            if !honest || !named || answer.len() > MAX_ANSWER {
                let answer: String = answer.chars().take(300).collect();
                wrong.push(format!("{place}, {shown}: {status} {content_type} {answer}"));
            }
        }
    }
    println!("{} fields, {} payloads, {pairs} pairs; accepted: {accepted:?}", fields.len(), payloads.len());
    assert!(wrong.is_empty(), "{} of {pairs}:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(up.send("GET", "/health", "", "").0, 200);
    assert_eq!(snapshot(&sandbox.home()), before, "something was changed");
}

#[test]
fn every_body_and_address_that_is_none_is_refused() {
    let sandbox = Sandbox::retail();
    let up = Up::start(&sandbox);
    let description: Value = serde_json::from_str(&up.send("GET", "/openapi.json", "", "").2).unwrap();
    let before = snapshot(&sandbox.home());
    let mut pairs = 0;
    let mut wrong = Vec::new();
    let mut check = |place: &str, payload: &Payload, (status, content_type, answer): (u16, String, String)| {
        pairs += 1;
        if !(400..=422).contains(&status) || content_type != "application/problem+json" || answer.len() > MAX_ANSWER {
            let answer: String = answer.chars().take(300).collect();
            wrong.push(format!("{place}, {}: {status} {content_type} {answer}", payload.shown()));
        }
    };
    for payload in payloads() {
        for (path, methods) in description["paths"].as_object().unwrap() {
            let body = &methods["post"]["requestBody"];
            if body.is_object() && path != "/events" {
                // An empty object is a whole request where nothing is required.
                if payload.json != "{}" {
                    check(path, &payload, up.send("POST", path, "application/json", &payload.json));
                }
                let unknown = format!("{{\"unknown\":{}}}", payload.json);
                check(path, &payload, up.send("POST", path, "application/json", &unknown));
            }
        }
        if payload.text().len() < 10_000 {
            let address = format!("/{}", percent_encoded(payload.text()));
            check("an address", &payload, up.send("GET", &address, "", ""));
        }
        if payload.text().bytes().all(|byte| byte.is_ascii_graphic()) && payload.text().len() < 10_000 {
            check("a content type", &payload, up.send("POST", "/hold", payload.text(), "{}"));
        }
    }
    println!("{pairs} pairs");
    assert!(wrong.is_empty(), "{} of {pairs}:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(snapshot(&sandbox.home()), before, "something was changed");
}

/// Whatever is in an event, its sender learns that it is settled, and nothing is loaded.
#[test]
fn every_part_of_an_event_takes_every_payload_without_harm() {
    let sandbox = Sandbox::retail();
    let up = Up::start(&sandbox);
    let before = snapshot(&sandbox.home());
    let object = "{\"bucket\":\"b\",\"name\":\"manifests/nothing\"}";
    let kind = "google.cloud.storage.object.v1.finalized";
    let mut pairs = 0;
    let mut wrong = Vec::new();
    for (number, payload) in payloads().iter().enumerate() {
        let json = &payload.json;
        let event = |id: &str, source: &str, kind: &str, data: &str| {
            format!("{{\"specversion\":\"1.0\",\"id\":{id},\"source\":{source},\"type\":{kind},\"data\":{data}}}")
        };
        let quoted = |text: &str| Value::from(text).to_string();
        let id = quoted(&number.to_string());
        let push = |message: &str| format!("{{\"message\":{message},\"subscription\":\"s\"}}");
        let bodies = [
            ("application/cloudevents+json", json.clone()),
            ("application/cloudevents+json", event(json, "\"//a\"", &quoted(kind), object)),
            ("application/cloudevents+json", event(&id, json, &quoted(kind), object)),
            ("application/cloudevents+json", event(&id, "\"//a\"", json, object)),
            ("application/cloudevents+json", event(&id, "\"//b\"", &quoted(kind), json)),
            (
                "application/cloudevents+json",
                event(&id, "\"//c\"", &quoted(kind), &format!("{{\"bucket\":\"b\",\"name\":{json}}}")),
            ),
            (
                "application/cloudevents+json",
                event(&id, "\"//d\"", &quoted(kind), &format!("{{\"bucket\":{json},\"name\":\"manifests/n\"}}")),
            ),
            ("application/json", json.clone()),
            ("application/json", push(json)),
            ("application/json", push(&format!("{{\"messageId\":{json},\"data\":\"\"}}"))),
            ("application/json", push(&format!("{{\"messageId\":\"1\",\"data\":{json}}}"))),
            ("application/json", push(&format!("{{\"messageId\":\"1\",\"attributes\":{json}}}"))),
            (
                "application/json",
                push(&format!(
                    "{{\"messageId\":\"1\",\"attributes\":{{\"ce-id\":{json},\"ce-specversion\":\"1.0\"}}}}"
                )),
            ),
        ];
        for (position, (content_type, body)) in bodies.iter().enumerate() {
            let (status, answered, answer) = up.send("POST", "/events", content_type, body);
            pairs += 1;
            let received: Value = serde_json::from_str(&answer).unwrap_or_default();
            let settled = status == 200 && matches!(received["outcome"].as_str(), Some("dead" | "ignored"));
            let refused = (400..=422).contains(&status) && answered == "application/problem+json";
            if !(settled || refused) || answer.len() > MAX_ANSWER {
                let answer: String = answer.chars().take(300).collect();
                wrong.push(format!("place {position}, {}: {status} {answered} {answer}", payload.shown()));
            }
        }
    }
    println!("{pairs} pairs");
    assert!(wrong.is_empty(), "{} of {pairs}:\n{}", wrong.len(), wrong.join("\n"));
    let mut after = snapshot(&sandbox.home());
    after.retain(|path, _| !path.contains("/bucket/deliveries/"));
    assert_eq!(after, before, "something was changed");
}

const SECRET: &str = "a-secret-that-is-in-no-log-0123456789";

/// Runs a command with variables, and gives its exit code and all that it wrote.
fn with_variables(sandbox: &Sandbox, variables: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(program());
    command.arg("--config").arg(sandbox.config()).arg("--home").arg(sandbox.home());
    let output = command.args(arguments).envs(variables.iter().copied()).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn nothing_listens_beyond_loopback_without_a_secret() {
    let sandbox = Sandbox::retail();
    let (code, said) = with_variables(&sandbox, &[("BGP_LISTEN", "0.0.0.0")], &["up", "--port", "0"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("BGP_TOKEN") && said.contains("127.0.0.1"), "{said}");
}

#[test]
fn workflows_bring_the_secret_and_nobody_repeats_it() {
    let sandbox = Sandbox::retail();
    let variables = [("BGP_TOKEN", SECRET), ("BGP_LOG", "trace")];
    let daily = ["run", "daily", "--partition", "2025-08-01", "--until", "load"];
    let (code, said) = with_variables(&sandbox, &variables, &daily);
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains(SECRET), "a log has the secret");
    let (code, said) = with_variables(&sandbox, &variables, &["cleanup", "--dry-run"]);
    assert_eq!(code, Some(0), "{said}");
    for file in snapshot(&sandbox.home()).keys() {
        let content = std::fs::read(file).unwrap_or_default();
        assert!(!content.windows(SECRET.len()).any(|bytes| bytes == SECRET.as_bytes()), "{file} has the secret");
    }
}
