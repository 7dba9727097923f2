//! An object of unknown length: what fits in one chunk is written in one call, and what does not by a session.

use std::mem;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use google::{Failure, retry};

use super::failed::{Action, Failed};
use super::session::Session;
use super::{CloudStorage, metadata, new_mark};
use crate::{Error, ObjectMeta, Precondition, Upload};

/// A multiple of 256 KiB, as the protocol wants it.
const CHUNK_BYTES: usize = 8 << 20;

/// An object being written. At any time it holds at most a chunk and what one `write` was given.
pub(super) struct CloudUpload {
    store: CloudStorage,
    key: String,
    precondition: Precondition,
    /// What was not sent yet.
    buffer: BytesMut,
    bytes: u64,
    checksum: u32,
    state: State,
}

enum State {
    /// Nothing was sent yet.
    Small,
    Large {
        session: Box<Session>,
        mark: String,
    },
    /// An earlier `write` failed.
    Failed,
}

impl CloudUpload {
    pub(super) fn new(store: CloudStorage, key: &str, precondition: Precondition) -> Self {
        let (key, buffer, state) = (key.to_owned(), BytesMut::new(), State::Small);
        Self { store, key, precondition, buffer, bytes: 0, checksum: 0, state }
    }

    async fn send_chunks(&mut self) -> Result<(), Failed> {
        // The last chunk waits for the end, which may be now: it is told with the content that comes before it.
        while self.buffer.len() > CHUNK_BYTES {
            let (mut session, mark) = match mem::replace(&mut self.state, State::Failed) {
                State::Small => self.start().await?,
                State::Large { session, mark } => (session, mark),
                State::Failed => return Err(failed_before()),
            };
            session.send(&self.buffer.split_to(CHUNK_BYTES).freeze()).await?;
            self.state = State::Large { session, mark };
        }
        Ok(())
    }

    async fn start(&self) -> Result<(Box<Session>, String), Failed> {
        let (store, mark) = (&self.store, new_mark());
        let metadata = metadata(&mark, self.precondition).into_iter().collect();
        // A session that nobody knows of is forgotten by the store, so this may be repeated.
        let start = || store.json.start_upload(&self.key, self.precondition, &metadata);
        let address = retry(&store.budget, "storage upload start", start).await?;
        Ok((Box::new(Session::new(store.json.clone(), store.budget, address)), mark))
    }

    async fn finish_large(&self, session: Session, mark: &str, rest: &Bytes) -> Result<ObjectMeta, Failed> {
        let store = &self.store;
        let object = match session.finish(rest, self.checksum).await {
            Ok(object) => object,
            // The session may have forgotten what the bucket knows.
            Err(failed) => {
                let find = || store.find(&self.key, self.precondition, mark);
                retry(&store.budget, Action::Inspecting.call(), find).await?.ok_or(failed)?
            }
        };
        let written = store.json.describe(&object)?;
        if written.bytes == self.bytes && object.checksum() == Some(self.checksum) {
            return Ok(written);
        }
        store.json.delete(&written.key, Precondition::Generation(written.generation)).await?;
        Err(Failed::unanswered(Failure::NO_ANSWER, "what arrived is not what was sent, and was deleted"))
    }

    fn error(&self, failed: Failed) -> Error {
        failed.into_error(Action::Writing, &self.key)
    }
}

#[async_trait]
impl Upload for CloudUpload {
    async fn write(&mut self, content: Bytes) -> Result<(), Error> {
        self.bytes += content.len() as u64;
        self.checksum = crc32c::crc32c_append(self.checksum, &content);
        self.buffer.extend_from_slice(&content);
        drop(content);
        self.send_chunks().await.map_err(|failed| self.error(failed))
    }

    async fn finish(mut self: Box<Self>) -> Result<ObjectMeta, Error> {
        let rest = mem::take(&mut self.buffer).freeze();
        match mem::replace(&mut self.state, State::Failed) {
            State::Small => self.store.write(&self.key, &rest, self.precondition).await,
            State::Large { session, mark } => {
                self.finish_large(*session, &mark, &rest).await.map_err(|failed| self.error(failed))
            }
            State::Failed => Err(self.error(failed_before())),
        }
    }
}

fn failed_before() -> Failed {
    Failed::unanswered(Failure::Final, "an earlier part of it could not be written; start it again")
}
