//! Every function on one port, and requests to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;

use serde_json::Value;

use crate::{Sandbox, program};

/// How many requests a crowd is.
pub const CROWD: usize = 32;

/// `bgp up` on a port of its own.
#[derive(Debug)]
pub struct Up {
    child: Child,
    address: String,
}

impl Up {
    /// Serves the sandbox until it is dropped.
    pub fn start(sandbox: &Sandbox) -> Self {
        let mut child = Command::new(program())
            .arg("--config")
            .arg(sandbox.config())
            .arg("--home")
            .arg(sandbox.home())
            .args(["up", "--port", "0"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).and_then(|rest| rest.split(';').next()).expect(&line).to_owned();
        Self { child, address }
    }

    /// Sends a request and returns status, content type and body.
    pub fn send(&self, method: &str, path: &str, content_type: &str, body: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        // An answer that takes longer than any step of a test is none.
        stream.set_read_timeout(Some(std::time::Duration::from_mins(1))).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        // A server that refuses a huge body may close before it has read all of it.
        let _ = stream.write_all(body.as_bytes());
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        let content_type =
            head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap_or_default().to_owned();
        (status, content_type, body.to_owned())
    }

    /// Posts JSON and returns status and answer.
    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let (status, _, answer) = self.send("POST", path, "application/json", &body.to_string());
        (status, serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{path}: {error} in {answer:?}")))
    }

    /// Posts every request at the same time, and returns their answers in the same order.
    pub fn at_once(&self, requests: &[(&str, Value)]) -> Vec<(u16, Value)> {
        let barrier = Barrier::new(requests.len());
        let post = |path: &str, body: &Value| {
            barrier.wait();
            self.post(path, body)
        };
        std::thread::scope(|scope| {
            let sent: Vec<_> = requests.iter().map(|(path, body)| scope.spawn(|| post(path, body))).collect();
            sent.into_iter().map(|sent| sent.join().unwrap()).collect()
        })
    }

    /// Posts one request 32 times at once. Each must succeed with the same answer, which is returned.
    #[track_caller]
    pub fn crowd(&self, path: &str, body: &Value) -> Value {
        let answers = self.at_once(&vec![(path, body.clone()); CROWD]);
        assert!(answers.iter().all(|answer| answer.0 == 200 && answer.1 == answers[0].1), "{path}: {answers:#?}");
        answers[0].1.clone()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
