//! Each function as a service of its own, as Cloud Run starts it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use end_to_end::{Sandbox, built, repository};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

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
