//! The workflows behind Google's API, by the requests that gcloud sends, and what is left of executions when the program dies.

use std::time::{Duration, Instant};

use end_to_end::{Sandbox, Up};
use serde_json::{Value, json};

const PLACE: &str = "/v1/projects/p-1/locations/us-central1";
/// Far more than a day of the small project takes.
const PATIENCE: Duration = Duration::from_mins(15);

fn get(up: &Up, path: &str) -> (u16, Value) {
    let (code, kind, body) = up.send("GET", path, "", "");
    assert!(kind.starts_with("application/json"), "{path}: {kind}");
    (code, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error} in {body:?}")))
}

/// Starts an execution and returns its path.
fn execute(up: &Up, workflow: &str, argument: &Value) -> String {
    let order = json!({"argument": argument.to_string(), "labels": {"day": "monday"}, "callLogLevel": "LOG_ALL_CALLS"});
    let (code, execution) = up.post(&format!("{PLACE}/workflows/{workflow}/executions"), &order);
    assert_eq!((code, &execution["state"]), (200, &json!("ACTIVE")), "{execution}");
    format!("/v1/{}", execution["name"].as_str().unwrap())
}

/// Asks for an execution until something is true of it.
#[track_caller]
fn wait(up: &Up, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let start = Instant::now();
    loop {
        let (code, execution) = get(up, path);
        assert_eq!(code, 200, "{execution}");
        if is_so(&execution) {
            return execution;
        }
        assert!(start.elapsed() < PATIENCE, "{execution}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn has_ended(execution: &Value) -> bool {
    execution["state"] != "ACTIVE"
}

#[track_caller]
fn result(execution: &Value) -> Value {
    assert_eq!(execution["state"], "SUCCEEDED", "{execution:#}");
    serde_json::from_str(execution["result"].as_str().unwrap()).unwrap()
}

#[test]
fn gcloud_finds_the_workflows_and_runs_them() {
    let sandbox = Sandbox::retail();
    let up = Up::start(&sandbox);
    let (_, workflows) = get(&up, &format!("{PLACE}/workflows?alt=json"));
    let names: Vec<_> =
        workflows["workflows"].as_array().unwrap().iter().map(|workflow| workflow["name"].clone()).collect();
    assert_eq!(names.len(), 5);
    assert!(names.contains(&json!("projects/p-1/locations/us-central1/workflows/daily")), "{names:?}");
    let (_, daily) = get(&up, &format!("{PLACE}/workflows/daily"));
    assert_eq!(daily["state"], "ACTIVE");
    assert!(daily["sourceContents"].as_str().unwrap().contains("extract_and_load"), "{daily}");
    assert_eq!(get(&up, &format!("{PLACE}/workflows?pageSize=2")).1["nextPageToken"], "2");

    let ready = result(&wait(&up, &execute(&up, "initialize", &json!(null)), has_ended));
    assert_eq!((&ready["outcome"], &ready["cycle"], &ready["sandbox"]), (&json!("ready"), &json!(0), &json!(true)));

    let path = execute(&up, "daily", &json!({"partition": "2025-08-01"}));
    let ended = wait(&up, &path, has_ended);
    assert_eq!(result(&ended)["outcome"], "published");
    assert_eq!((&ended["labels"], &ended["callLogLevel"]), (&json!({"day": "monday"}), &json!("LOG_ALL_CALLS")));
    assert_eq!(sandbox.cycle(), 1);
    // What is listed has no results; what failed says why.
    let broken = execute(&up, "daily", &json!({"until": "nowhere"}));
    let failed = wait(&up, &broken, has_ended);
    assert_eq!(failed["state"], "FAILED");
    assert!(failed["error"]["payload"].as_str().unwrap().contains("it takes"), "{failed}");
    assert_eq!(failed["error"]["stackTrace"]["elements"][0]["step"], "check_until");
    let executions = format!("{PLACE}/workflows/daily/executions");
    let (_, listed) = get(&up, &executions);
    let states: Vec<_> = listed["executions"].as_array().unwrap().iter().map(|one| one["state"].clone()).collect();
    assert_eq!(states, ["FAILED", "SUCCEEDED"]);
    assert!(listed["executions"][0]["error"].is_null() && listed["executions"][1]["result"].is_null(), "{listed}");
    let (_, full) = get(&up, &format!("{executions}?view=FULL&orderBy=startTime&pageSize=1"));
    assert!(full["executions"][0]["result"].is_string() && full["nextPageToken"] == "1", "{full}");
    let (_, one) = get(&up, &format!("{executions}?filter=state%3D%22FAILED%22%20AND%20labels.day%3D%22monday%22"));
    assert_eq!(one["executions"].as_array().unwrap().len(), 1, "{one}");
}

#[test]
fn what_cannot_be_done_is_refused_as_google_refuses_it() {
    let sandbox = Sandbox::retail();
    let up = Up::start(&sandbox);
    let executions = format!("{PLACE}/workflows/daily/executions");
    let refused = |(code, body): (u16, Value), status: &str, words: &str| {
        let error = &body["error"];
        assert!(code >= 400 && error["code"] == code && error["status"] == status, "{body}");
        assert!(error["message"].as_str().unwrap().contains(words), "{body}");
    };
    refused(get(&up, &format!("{PLACE}/workflows/dayly")), "NOT_FOUND", "there are backfill, cleanup, daily");
    refused(get(&up, &format!("{executions}/none")), "NOT_FOUND", "execution none");
    refused(get(&up, "/v1/nothing"), "NOT_FOUND", "there is no method");
    refused(get(&up, &format!("{executions}?pageToken=x")), "INVALID_ARGUMENT", "never gave");
    refused(get(&up, &format!("{executions}?view=ALL")), "INVALID_ARGUMENT", "BASIC and FULL");
    refused(get(&up, &format!("{executions}?filter=duration%3E1")), "INVALID_ARGUMENT", "is not understood");
    refused(up.post(&executions, &json!({"argument": "{"})), "INVALID_ARGUMENT", "not JSON");
    refused(up.post(&executions, &json!({"argument": " ".repeat(33_000)})), "INVALID_ARGUMENT", "may have 32768");
    refused(up.post(&executions, &json!({"partition": "2025-08-01"})), "INVALID_ARGUMENT", "unknown field");
    refused(up.post(&executions, &json!({"labels": {"Day": "x"}})), "INVALID_ARGUMENT", "lower-case");
    refused(up.post(&executions, &json!({"callLogLevel": "ALL"})), "INVALID_ARGUMENT", "LOG_ALL_CALLS");
    refused(
        up.post(&format!("{PLACE}/workflows?workflowId=x"), &json!({})),
        "FAILED_PRECONDITION",
        "part of this program",
    );
    // A form of some page in a browser is no order.
    let (code, _, _) = up.send("POST", &executions, "text/plain", "{}");
    assert_eq!(code, 400);
    assert_eq!(get(&up, &executions).1, json!({"executions": []}));
}

#[test]
fn a_backfill_is_cancelled_and_taken_up_again() {
    let sandbox = Sandbox::retail();
    let up = Up::start(&sandbox);
    let range = json!({"from": "2025-08-01", "to": "2025-08-03"});
    let path = execute(&up, "backfill", &range);
    // Its first day is being run by an execution of its own.
    let days = format!("{PLACE}/workflows/daily/executions?view=FULL");
    wait(&up, &days, |listed| !listed["executions"].as_array().unwrap().is_empty());
    let (code, cancelled) = up.post(&format!("{path}:cancel"), &json!({}));
    assert_eq!((code, &cancelled["state"]), (200, &json!("CANCELLED")), "{cancelled}");
    let (code, again) = up.post(&format!("{path}:cancel"), &json!({}));
    assert_eq!((code, &again["error"]["status"]), (400, &json!("FAILED_PRECONDITION")), "{again}");
    let day = get(&up, &days).1["executions"][0]["name"].as_str().unwrap().to_owned();
    wait(&up, &format!("/v1/{day}"), has_ended);
    assert_eq!(get(&up, &days).1["executions"].as_array().unwrap().len(), 1);

    let done = result(&wait(&up, &execute(&up, "backfill", &range), has_ended));
    assert_eq!(
        (&done["outcome"], &done["partitions"], &done["cycle"]),
        (&json!("done"), &json!(3), &json!(3)),
        "{done}"
    );
    assert_eq!(sandbox.cycle(), 3);
    let rolled = result(&wait(&up, &execute(&up, "rollback", &json!({"reason": "a test"})), has_ended));
    assert_eq!(rolled["cycle"], 4, "{rolled}");
    let failed = wait(&up, &execute(&up, "backfill", &json!({"cycle_per": "day"})), has_ended);
    assert!(failed["error"]["payload"].as_str().unwrap().contains("it takes"), "{failed}");
}

#[test]
fn all_days_in_one_cycle_are_those_of_the_command() {
    let commanded = Sandbox::retail();
    commanded.run(&["backfill", "--from", "2025-08-01", "--to", "2025-08-02", "--cycle-per", "all"]).ok();
    let sandbox = Sandbox::retail();
    let up = Up::start(&sandbox);
    let range = json!({"from": "2025-08-01", "to": "2025-08-02", "cycle_per": "all"});
    let done = result(&wait(&up, &execute(&up, "backfill", &range), has_ended));
    assert_eq!((&done["published"], &done["cycle"]), (&json!(1), &json!(1)), "{done}");
    assert_eq!(sandbox.digest(), commanded.digest());
}

#[test]
fn an_execution_outlives_the_program() {
    let sandbox = Sandbox::retail();
    let up = Up::start(&sandbox);
    let path = execute(&up, "daily", &json!({"partition": "2025-08-01"}));
    // Somewhere in the middle; a second process leaves the executions to the first.
    sandbox.wait_for("attempts", |home| home.join("bucket/attempts").exists());
    let other = Up::start(&sandbox);
    assert_eq!(other.send("GET", &path, "", "").0, 404);
    drop(other);
    drop(up);
    let up = Up::start(&sandbox);
    let ended = wait(&up, &path, has_ended);
    assert_eq!(result(&ended)["outcome"], "published", "{ended}");
    assert_eq!(sandbox.cycle(), 1);
    let id = path.rsplit('/').next().unwrap();
    let file = sandbox.home().join(format!("executions/daily/{id}.json"));
    let record: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(record["attempt"], 2, "{record}");
    assert!(record["steps"].as_u64().unwrap() > 20, "{record}");
    drop(up);
    let up = Up::start(&sandbox);
    assert_eq!(get(&up, &path).1["endTime"], ended["endTime"]);
}

#[test]
fn files_are_checked_before_they_are_deployed() {
    let sandbox = Sandbox::retail();
    let files: Vec<String> = ["backfill", "cleanup", "daily", "initialize", "rollback"]
        .map(|name| end_to_end::repository().join(format!("workflows/{name}.yaml")).display().to_string())
        .into();
    let mut command = vec!["workflows", "check"];
    command.extend(files.iter().map(String::as_str));
    sandbox.run(&command).ok();
    let wrong = sandbox.folder().join("wrong.yaml");
    std::fs::write(
        &wrong,
        "main:\n  steps:\n    - ask:\n        call: http.gett\n        args: {url: x}\n    - b: {}\n",
    )
    .unwrap();
    let wrong = wrong.display().to_string();
    let said = sandbox.run(&["workflows", "check", &files[2], &wrong]).refused("2 problems");
    assert!(said.stdout.contains("wrong.yaml:4: step ask: http.gett is neither"), "{}", said.stdout);
    assert!(said.stdout.contains("wrong.yaml:6: step b: step \"b\" does nothing"), "{}", said.stdout);
    let json = sandbox.run(&["workflows", "check", &wrong, "--json"]).refused("2 problems").json();
    assert_eq!((&json["problems"][0]["line"], &json["problems"][0]["step"]), (&json!(4), &json!("ask")), "{json}");
    sandbox.run(&["workflows", "check", "nowhere.yaml"]).refused("name a workflow file");
}
