//! An object of unknown length: the start of it is kept, and once there is more than a chunk, it is a resumable upload.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use google::{Budget, Failure};
use google_cloud_gax::backoff_policy::BackoffPolicy;
use google_cloud_gax::error::Error as CallError;
use google_cloud_gax::retry_policy::RetryPolicy;
use google_cloud_gax::retry_result::RetryResult;
use google_cloud_gax::retry_state::RetryState;
use google_cloud_storage::model;
use google_cloud_storage::streaming_source::StreamingSource;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::failed::{Action, Failed};
use super::json::if_generation_match;
use super::{CloudStorage, metadata, new_mark};
use crate::{Error, ObjectMeta, Precondition, Upload};

/// The client keeps one chunk, so that it can send it again. A multiple of 256 KiB, as the protocol wants it.
const CHUNK_BYTES: usize = 8 << 20;

/// An upload that takes nothing for this long hangs. It is longer than the client's retries of one chunk may take.
const STALLED: Duration = Duration::from_secs(300);

/// An object being written. At any time it holds at most one chunk and what one `write` was given.
pub(super) struct CloudUpload {
    store: CloudStorage,
    key: String,
    precondition: Precondition,
    state: State,
}

enum State {
    /// All that was written so far. An object that fits in here is written in one call.
    Small {
        pieces: Vec<Bytes>,
        bytes: usize,
    },
    Large(Running),
    /// An earlier `write` failed.
    Failed,
}

/// A resumable upload in a task of its own, because Google's client asks for the content and ours is brought to it.
struct Running {
    content: mpsc::Sender<Piece>,
    task: JoinHandle<Result<model::Object, CallError>>,
    mark: String,
    bytes: u64,
    checksum: u32,
}

enum Piece {
    Content(Bytes),
    /// Only this ends the object. A sender that is dropped without it abandons the upload, and nothing becomes visible.
    End,
}

impl CloudUpload {
    pub(super) fn new(store: CloudStorage, key: &str, precondition: Precondition) -> Self {
        let state = State::Small { pieces: Vec::new(), bytes: 0 };
        Self { store, key: key.to_owned(), precondition, state }
    }

    fn start(&self) -> Running {
        let (sender, receiver) = mpsc::channel(1);
        let mark = new_mark();
        let progress = Arc::new(Progress::new(self.store.budget));
        let mut request = self
            .store
            .client
            .write_object(self.store.bucket.as_ref(), &self.key, Brought { receiver, progress: progress.clone() })
            .set_metadata(metadata(&mark, self.precondition))
            .with_resumable_upload_buffer_size(CHUNK_BYTES)
            .with_retry_policy(Patience(progress.clone()))
            .with_backoff_policy(Patience(progress));
        if let Some(generation) = if_generation_match(self.precondition) {
            request = request.set_if_generation_match(generation.cast_signed());
        }
        Running { content: sender, task: tokio::spawn(request.send_buffered()), mark, bytes: 0, checksum: 0 }
    }

    fn error(&self, failed: Failed) -> Error {
        failed.into_error(Action::Writing, &self.key)
    }

    fn gone_on_after_failure(&self) -> Error {
        self.error(Failed::unanswered(Failure::Final, "an earlier part of it could not be written; start it again"))
    }
}

#[async_trait]
impl Upload for CloudUpload {
    async fn write(&mut self, content: Bytes) -> Result<(), Error> {
        match std::mem::replace(&mut self.state, State::Failed) {
            State::Failed => Err(self.gone_on_after_failure()),
            State::Small { mut pieces, bytes } => {
                let bytes = bytes + content.len();
                pieces.push(content);
                if bytes <= CHUNK_BYTES {
                    self.state = State::Small { pieces, bytes };
                    return Ok(());
                }
                let mut running = self.start();
                for piece in pieces {
                    running.send(piece).await.map_err(|failed| self.error(failed))?;
                }
                self.state = State::Large(running);
                Ok(())
            }
            State::Large(mut running) => {
                running.send(content).await.map_err(|failed| self.error(failed))?;
                self.state = State::Large(running);
                Ok(())
            }
        }
    }

    async fn finish(mut self: Box<Self>) -> Result<ObjectMeta, Error> {
        match std::mem::replace(&mut self.state, State::Failed) {
            State::Failed => Err(self.gone_on_after_failure()),
            State::Small { pieces, bytes } => {
                let mut content = Vec::with_capacity(bytes);
                for piece in &pieces {
                    content.extend_from_slice(piece);
                }
                self.store.write(&self.key, &content.into(), self.precondition).await
            }
            State::Large(running) => {
                running.finish(&self.store, &self.key, self.precondition).await.map_err(|failed| self.error(failed))
            }
        }
    }
}

impl Running {
    async fn send(&mut self, content: Bytes) -> Result<(), Failed> {
        self.bytes += content.len() as u64;
        self.checksum = crc32c::crc32c_append(self.checksum, &content);
        match tokio::time::timeout(STALLED, self.content.send(Piece::Content(content))).await {
            Ok(Ok(())) => Ok(()),
            // The task has ended, which before the end of the content it does only with an error.
            Ok(Err(_)) => Err(match (&mut self.task).await {
                Ok(Err(error)) => Failed::from(error),
                Ok(Ok(_)) | Err(_) => Failed::unanswered(Failure::Final, "the upload ended before its content"),
            }),
            Err(_) => Err(stalled()),
        }
    }

    async fn finish(
        mut self,
        store: &CloudStorage,
        key: &str,
        precondition: Precondition,
    ) -> Result<ObjectMeta, Failed> {
        let ended = tokio::time::timeout(STALLED, async {
            // If the task is gone, it says why.
            let _ = self.content.send(Piece::End).await;
            (&mut self.task).await
        })
        .await;
        let failed = match ended {
            Ok(Ok(Ok(object))) => {
                let checksum = object.checksums.as_ref().and_then(|checksums| checksums.crc32c);
                return self.accept(store, store.describe(&object), checksum).await;
            }
            Ok(Ok(Err(error))) => Failed::from(error),
            Ok(Err(_)) => Failed::unanswered(Failure::NO_ANSWER, "the upload was broken off"),
            Err(_) => stalled(),
        };
        let find = || store.find(key, precondition, &self.mark);
        match google::retry(&store.budget, "inspecting", find).await? {
            Some(found) => self.accept(store, store.json.describe(&found)?, found.checksum()).await,
            None => Err(failed),
        }
    }

    /// Compares what arrived with what was sent. The client does that too, but not after it had to ask what became of the
    /// upload, and it leaves the object.
    async fn accept(
        &self,
        store: &CloudStorage,
        written: ObjectMeta,
        checksum: Option<u32>,
    ) -> Result<ObjectMeta, Failed> {
        if written.bytes == self.bytes && checksum == Some(self.checksum) {
            return Ok(written);
        }
        store.json.delete(&written.key, Precondition::Generation(written.generation)).await?;
        Err(Failed::unanswered(Failure::NO_ANSWER, "what arrived is not what was sent, and was deleted"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn stalled() -> Failed {
    Failed::unanswered(Failure::NO_ANSWER, format!("the upload took nothing for {} s", STALLED.as_secs()))
}

/// The content, as the client asks for it.
struct Brought {
    receiver: mpsc::Receiver<Piece>,
    progress: Arc<Progress>,
}

impl StreamingSource for Brought {
    type Error = io::Error;

    async fn next(&mut self) -> Option<Result<Bytes, Self::Error>> {
        self.progress.taken.fetch_add(1, Ordering::Relaxed);
        match self.receiver.recv().await {
            Some(Piece::Content(content)) => Some(Ok(content)),
            Some(Piece::End) => None,
            None => Some(Err(io::Error::other("the upload was abandoned"))),
        }
    }
}

/// The budget of an upload. It is one call to the client, of which a large object may take hundreds of chunks and many
/// minutes; so what counts against the budget is only the tries since the last progress.
#[derive(Debug)]
struct Progress {
    budget: Budget,
    /// How often the client asked for more content. It does so when a chunk has arrived.
    taken: AtomicU64,
    stuck: Mutex<Stuck>,
}

#[derive(Debug)]
struct Stuck {
    at: u64,
    since: Instant,
    attempts: u32,
}

impl Progress {
    fn new(budget: Budget) -> Self {
        let stuck = Mutex::new(Stuck { at: 0, since: Instant::now(), attempts: 0 });
        Self { budget, taken: AtomicU64::new(0), stuck }
    }
}

/// [`Progress`] as the client takes it.
#[derive(Debug, Clone)]
struct Patience(Arc<Progress>);

impl RetryPolicy for Patience {
    fn on_error(&self, state: &RetryState, error: CallError) -> RetryResult {
        let taken = self.0.taken.load(Ordering::Relaxed);
        let mut stuck = self.0.stuck.lock().unwrap_or_else(PoisonError::into_inner);
        if taken > stuck.at {
            *stuck = Stuck { at: taken, since: Instant::now(), attempts: 0 };
        }
        stuck.attempts += 1;
        let state = state.clone().set_start(stuck.since).set_attempt_count(stuck.attempts);
        self.0.budget.on_error(&state, error)
    }
}

impl BackoffPolicy for Patience {
    fn on_failure(&self, state: &RetryState) -> Duration {
        let attempts = self.0.stuck.lock().unwrap_or_else(PoisonError::into_inner).attempts;
        self.0.budget.on_failure(&state.clone().set_attempt_count(attempts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_that_moves_does_not_use_up_its_budget() {
        let patience = Patience(Arc::new(Progress::new(Budget::STANDARD)));
        let failed = || CallError::io("connection reset");
        let state = RetryState::new(true);
        for _ in 0..100 {
            patience.0.taken.fetch_add(1, Ordering::Relaxed);
            assert!(patience.on_error(&state, failed()).is_continue());
        }
        for _ in 1..Budget::STANDARD.attempts - 1 {
            assert!(patience.on_error(&state, failed()).is_continue());
        }
        assert!(patience.on_error(&state, failed()).is_exhausted());
    }
}
