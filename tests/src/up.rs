//! Every function on one port, and requests to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use crate::{Sandbox, program};

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
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
