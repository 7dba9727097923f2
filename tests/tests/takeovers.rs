//! What a crash costs whoever comes after it: the rest of a lease, and the step that was cut off.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use end_to_end::shop::{ORDERS, change_orders, write_shop};
use end_to_end::{Sandbox, Up, building};
use serde_json::{Value, json};

const DAY: &str = "2025-01-01";

/// The lease of the shop, and how much longer whoever waits may take to notice.
const LEASE: Duration = Duration::from_secs(1);
const NOTICE: Duration = Duration::from_secs(1);

/// A shop with one day in `raw`.
fn loaded(folder: &Path) -> (Sandbox, Up) {
    let sandbox = Sandbox::of(&write_shop(folder));
    change_orders(&sandbox, ORDERS);
    let up = Up::start(&sandbox);
    let orders = json!({"items": [{"table": "orders", "partition": DAY}]});
    for path in ["/extract", "/load"] {
        let (status, answer) = up.post(path, &orders);
        assert_eq!(status, 200, "{answer}");
    }
    (sandbox, up)
}

/// A request that has to succeed.
#[track_caller]
fn ask(up: &Up, path: &str, body: &Value) -> Value {
    let (status, answer) = up.post(path, body);
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// When the store wrote an object, by its own clock.
fn written(path: &Path) -> SystemTime {
    fs::metadata(path).unwrap().modified().unwrap()
}

#[test]
fn who_died_elsewhere_is_replaced_when_the_lease_has_run_out_and_not_much_later() {
    let folder = tempfile::tempdir().unwrap();
    let (sandbox, up) = loaded(folder.path());
    let attempts = sandbox.home().join("bucket/attempts");
    let mut waited = Vec::new();
    let mut attempt = ask(&up, "/begin", &json!({"run": "run-0"}))["attempt"].as_str().unwrap().to_owned();
    for round in 1..=5 {
        // A process of another machine claims a step, beats, and is never heard of again.
        let elsewhere = "elsewhere-1/1/1";
        let document = attempts.join(format!("{attempt}.json"));
        let mut claimed = read(&document);
        claimed["steps"]["prepare"] = json!({
            "holder": elsewhere, "claimed_at": claimed["begun_at"], "outcome": null, "finished_at": null,
        });
        fs::write(&document, claimed.to_string()).unwrap();
        let lease = attempts.join(&attempt).join("lease");
        fs::write(&lease, json!({"holder": elsewhere}).to_string()).unwrap();
        let last_heard_of = written(&lease);

        let begun = ask(&up, "/begin", &json!({"run": format!("run-{round}")}));
        assert_eq!(begun["outcome"], "begun");
        let ended = &read(&document)["ended"];
        assert_eq!(ended["reason"], "expired");
        assert!(ended["detail"].as_str().unwrap().contains(elsewhere), "{ended}");
        begun["attempt"].as_str().unwrap().clone_into(&mut attempt);
        let next = attempts.join(format!("{attempt}.json"));
        waited.push(written(&next).duration_since(last_heard_of).unwrap());
    }
    println!("taken over after {waited:?}");
    assert!(waited.iter().all(|waited| *waited >= LEASE), "before the lease had run out: {waited:?}");
    // A busy machine may delay any of them, but not all.
    assert!(waited.iter().any(|waited| *waited <= LEASE + NOTICE), "{waited:?}");
}

#[test]
fn a_run_that_goes_on_where_a_killed_one_was_repeats_no_step_that_was_done() {
    let folder = tempfile::tempdir().unwrap();
    let (sandbox, up) = loaded(folder.path());
    let begun = ask(&up, "/begin", &json!({"run": "killed"}));
    let attempt = json!({"attempt": begun["attempt"]});
    ask(&up, "/prepare", &attempt);
    ask(&up, "/transform", &json!({"attempt": begun["attempt"], "layer": "mart"}));
    let done = building(&sandbox.home()).unwrap()["steps"].clone();
    assert_eq!(done.as_object().unwrap().len(), 2);
    // It ends by SIGKILL.
    drop(up);

    let published = sandbox.day(DAY);
    assert_eq!((&published["outcome"], &published["attempt"]), (&json!("published"), &begun["attempt"]));
    let id = begun["attempt"].as_str().unwrap();
    let steps = read(&sandbox.home().join(format!("bucket/attempts/{id}.json")))["steps"].clone();
    assert_eq!(
        steps.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["audit", "prepare", "publish", "transform.mart"]
    );
    for name in ["prepare", "transform.mart"] {
        assert_eq!(steps[name], done[name], "{name} was done again");
    }
    assert_eq!(fs::read_dir(sandbox.home().join("bucket/inputs")).unwrap().count(), 1, "no second attempt");
}
