//! A resumable upload: <https://cloud.google.com/storage/docs/performing-resumable-uploads>.
//!
//! Google's client has these too. Its version 1.21 goes on with the next chunk when the connection breaks under one, so
//! that the object lacks it; and it has one budget of retries for a whole object, however many chunks that has. Here each
//! chunk has the budget, and after a broken connection the store is asked what it has.

use bytes::Bytes;
use google::{Budget, Classify, Failure, retry_checked};
use reqwest::{Response, StatusCode};

use super::failed::Failed;
use super::json::{self, JsonApi, Resource};

/// An upload that goes on.
pub(super) struct Session {
    json: JsonApi,
    budget: Budget,
    address: String,
    /// How many bytes the store has.
    persisted: u64,
}

/// How far an upload is.
enum Progress {
    Persisted(u64),
    Complete(Box<Resource>),
}

/// What is known at the end.
#[derive(Clone, Copy)]
struct End {
    total: u64,
    checksum: u32,
}

impl Session {
    /// `address` is where the store wants the content.
    pub(super) fn new(json: JsonApi, budget: Budget, address: String) -> Self {
        Self { json, budget, address, persisted: 0 }
    }

    /// Sends a chunk that others follow. Its length is a multiple of 256 KiB, as the protocol wants it.
    pub(super) async fn send(&mut self, chunk: &Bytes) -> Result<(), Failed> {
        let start = self.persisted;
        let end = start + chunk.len() as u64;
        while self.persisted < end {
            match self.step(start, chunk, None).await? {
                Progress::Persisted(bytes) => self.persisted = bytes,
                Progress::Complete(_) => return Err(broken("the store ended the upload before its content did")),
            }
        }
        Ok(())
    }

    /// Sends what is left, and so makes the object visible if its CRC32C is `checksum`.
    pub(super) async fn finish(mut self, chunk: &Bytes, checksum: u32) -> Result<Resource, Failed> {
        let start = self.persisted;
        let total = start + chunk.len() as u64;
        loop {
            match self.step(start, chunk, Some(End { total, checksum })).await? {
                Progress::Persisted(bytes) => self.persisted = bytes,
                Progress::Complete(object) => return Ok(*object),
            }
        }
    }

    /// Sends of the chunk, which begins at `start`, what the store does not have yet. It may take less than all of it.
    async fn step(&self, start: u64, chunk: &Bytes, end: Option<End>) -> Result<Progress, Failed> {
        let from = self.persisted;
        let missing = usize::try_from(from - start).ok().and_then(|taken| chunk.get(taken..));
        let missing = chunk.slice_ref(missing.unwrap_or_default());
        let sent = from + missing.len() as u64;
        let total = end.map_or_else(|| "*".to_owned(), |end| end.total.to_string());
        let range = if missing.is_empty() { "*".to_owned() } else { format!("{from}-{}", sent - 1) };
        let checksum = end.map(|end| end.checksum);
        let send = || self.put(format!("bytes {range}/{total}"), missing.clone(), checksum);
        let look = || async {
            match self.put("bytes */*".to_owned(), Bytes::new(), None).await {
                Ok(Progress::Persisted(bytes)) if bytes == from => Ok(None),
                Ok(progress) => Ok(Some(progress)),
                // A refusal is for the chunk to hear. A session is complete once at most, so sending it again is harmless.
                Err(failed) if failed.failure() == Failure::Final => Ok(None),
                Err(failed) => Err(failed),
            }
        };
        match retry_checked(&self.budget, "storage upload", send, look).await? {
            Progress::Persisted(bytes) if bytes < from || bytes > sent => {
                Err(broken("the store has another part of the upload than it was sent"))
            }
            Progress::Persisted(bytes) if bytes == from => Err(broken("the store took nothing of the upload")),
            progress => Ok(progress),
        }
    }

    async fn put(&self, content_range: String, content: Bytes, checksum: Option<u32>) -> Result<Progress, Failed> {
        let response = self.json.put(&self.address, content_range, content, checksum).await.map_err(|failed| {
            match failed.status {
                // Not the object or the bucket, but the session.
                Some(404 | 410) => broken("the store knows no more of the upload"),
                _ => failed,
            }
        })?;
        if response.status() == StatusCode::PERMANENT_REDIRECT {
            return persisted(&response).map(Progress::Persisted);
        }
        json::read(response).await.map(Progress::Complete)
    }
}

/// `Range: bytes=0-LAST`; without it, nothing.
fn persisted(response: &Response) -> Result<u64, Failed> {
    let Some(range) = response.headers().get("range") else { return Ok(0) };
    let last = range.to_str().ok().and_then(|range| range.strip_prefix("bytes=0-")?.parse::<u64>().ok());
    last.map(|last| last + 1).ok_or_else(|| broken("the store did not say what it has of the upload"))
}

fn broken(message: &str) -> Failed {
    Failed::unanswered(Failure::Final, format!("{message}; start it again"))
}
