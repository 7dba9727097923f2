//! Each function as a service of its own, as Cloud Run starts it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use end_to_end::{Output, Sandbox, building, built, repository};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn every_function_starts_alone_logs_json_and_ends_at_sigterm() {
    for name in ["generate", "extract", "load", "transform", "audit", "publish"] {
        let sandbox = Sandbox::retail();
        let mut child = Command::new(built(name))
            .current_dir(repository())
            .env("BGP_CONFIG", sandbox.config())
            .env("BGP_HOME", sandbox.home())
            .env("PORT", "0")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let first: Value = serde_json::from_str(&log.next().unwrap().unwrap()).unwrap();
        assert_eq!(first["severity"], "INFO", "{first}");
        assert_eq!(first["service"], name);
        let address = first["address"].as_str().unwrap();
        assert!(address.starts_with("127.0.0.1:"), "{address} is not loopback");
        assert!(get(address, "/health").contains("{\"status\":\"ok\"}"));
        let description = get(address, "/openapi.json");
        let (_, body) = description.split_once("\r\n\r\n").unwrap();
        let description: Value = serde_json::from_str(body).unwrap();
        assert_eq!(description["info"]["title"], name);
        assert!(!description["paths"].as_object().unwrap().is_empty());

        kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), Signal::TERM).unwrap();
        assert!(child.wait().unwrap().success(), "{name} did not end well");
        let last: Value = serde_json::from_str(&log.last().unwrap().unwrap()).unwrap();
        assert_eq!(last["message"], "stopping");
    }
}

#[test]
fn a_malformed_environment_is_refused_by_name() {
    let program = built("load");
    for (name, value) in [("PORT", "many"), ("BGP_TARGET", "oracle"), ("BGP_CONFIG", "/nowhere/pipeline.yaml")] {
        let output = Command::new(&program).current_dir(repository()).env(name, value).output().unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success());
        assert!(log.contains(value), "{log}");
    }
}

#[test]
fn a_job_answers_the_one_request_of_its_arguments_and_the_run_goes_on_from_there() {
    let sandbox = Sandbox::retail();
    sandbox.run(&["run", "daily", "--partition", "2025-08-01", "--until", "prepare"]).ok();
    let attempt = building(&sandbox.home()).unwrap();
    let id = attempt["slot"]["attempt"].as_str().unwrap().to_owned();
    let job = |arguments: &[&str]| -> Output {
        let mut command = Command::new(built("transform"));
        command.current_dir(repository()).env("BGP_CONFIG", sandbox.config()).env("BGP_HOME", sandbox.home());
        command.env("CLOUD_RUN_JOB", "transform").args(arguments).output().unwrap().into()
    };
    let transform = |layer: &str, recorded: bool| {
        job(&["/transform", &json!({"attempt": id, "layer": layer, "recorded": recorded}).to_string()])
    };

    transform("clean", true).refused("/transform answered 422");
    let first = transform("clean", false).ok().json();
    assert_eq!(first["layer"], "clean");
    assert!(!first["models"].as_array().unwrap().is_empty(), "{first}");
    assert_eq!(transform("clean", true).ok().json(), first);
    assert_eq!(transform("clean", false).ok().json(), first);
    let too_early = transform("mart", false);
    assert_eq!(too_early.json()["code"], "too_early");
    too_early.refused("/transform answered 409");

    for arguments in [&["/transform"][..], &["transform", "{}"], &["/transform", "{}", "more"]] {
        job(arguments).refused("the arguments are no request");
    }
    job(&["/nowhere", "{}"]).refused("/nowhere answered 404");
    job(&["/transform", "{"]).refused("/transform answered 4");

    let before = building(&sandbox.home()).unwrap()["steps"]["transform.clean"].clone();
    assert_eq!(sandbox.day("2025-08-01")["outcome"], "published");
    let attempt = sandbox.home().join(format!("bucket/attempts/{id}.json"));
    let attempt: Value = serde_json::from_slice(&std::fs::read(attempt).unwrap()).unwrap();
    assert_eq!(attempt["steps"]["transform.clean"], before, "the layer was built again");
    assert_eq!(attempt["ended"]["reason"], "published");
}
