//! Large objects as files on a disk of this machine, for engines that need a file: the demo's source is a DuckDB file.
//!
//! A file is named for the object's generation, so it never changes once it has its name, and a newer content gets a new
//! one. Who wants to change the content changes a private [`Draft`] and sends it back under the generation that the draft
//! was made from.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use google::{Classify, Failure, retry};
use google_cloud_storage::read_resume_policy::{ReadResumePolicyExt, Recommended};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Mutex;

use super::failed::{Action, Failed};
use super::json::Resource;
use super::upload::CloudUpload;
use super::{CloudStorage, new_mark};
use crate::{Error, Generation, ObjectMeta, Precondition, Upload, check_key};

/// A download that brings nothing for this long hangs.
const STALLED: Duration = Duration::from_mins(1);

/// A large object may lose its connection often, each time for a reason of its own.
const RESUMPTIONS: u32 = 100;

/// What is read of a file at once.
const PIECE_BYTES: usize = 1 << 20;

/// A reader may have been given the generation before the newest one and not have opened it yet.
const GENERATIONS_KEPT: usize = 2;

/// The folder of the copies. Clones share it, and one of them works at a time.
#[derive(Debug, Clone)]
pub struct LocalCopies {
    store: CloudStorage,
    folder: Arc<Path>,
    limit_bytes: u64,
    turn: Arc<Mutex<()>>,
}

/// One generation of an object as a file, which is read-only and stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalCopy {
    pub path: PathBuf,
    pub generation: Generation,
}

/// A private copy, to be changed and sent back. It goes away with this value.
#[derive(Debug)]
pub struct Draft {
    key: String,
    path: PathBuf,
    precondition: Precondition,
}

impl Draft {
    /// The file. It does not exist yet if there is no such object: whoever fills it makes it.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // It may never have been made, or have become a copy.
        let _ = fs::remove_file(&self.path);
    }
}

impl LocalCopies {
    /// Copies in `folder`, which should be on a disk: on Cloud Run files elsewhere count as memory. No object may have
    /// more than `limit_bytes`; of each, up to three copies may be there at once.
    pub fn new(store: CloudStorage, folder: impl Into<PathBuf>, limit_bytes: u64) -> Self {
        Self { store, folder: folder.into().into(), limit_bytes, turn: Arc::default() }
    }

    /// The newest content of the object. It is fetched if this folder does not have it yet.
    pub async fn bring(&self, key: &str) -> Result<LocalCopy, Error> {
        check_key(key)?;
        let _turn = self.turn.lock().await;
        self.bring_in_turn(key).await
    }

    /// A copy to change of the newest content, or the place for the first one.
    pub async fn draft(&self, key: &str) -> Result<Draft, Error> {
        check_key(key)?;
        let _turn = self.turn.lock().await;
        let path = self.path(key, &format!("draft-{}", new_mark()));
        match self.bring_in_turn(key).await {
            Ok(copy) => {
                let draft =
                    Draft { key: key.to_owned(), path, precondition: Precondition::Generation(copy.generation) };
                let (from, to) = (copy.path, draft.path.clone());
                on_disk("copying", key, move || {
                    // Not `fs::copy`, which would make the draft as read-only as the copy is.
                    io::copy(&mut fs::File::open(from)?, &mut fs::File::create_new(to)?).map(drop)
                })
                .await?;
                Ok(draft)
            }
            Err(Error::NotFound { .. }) => {
                self.make_folder(key).await?;
                Ok(Draft { key: key.to_owned(), path, precondition: Precondition::Absent })
            }
            Err(error) => Err(error),
        }
    }

    /// Makes the draft the object, if nobody changed the object since the draft was made. The file must be closed: what a
    /// database keeps beside it is not sent.
    pub async fn send_back(&self, draft: Draft) -> Result<LocalCopy, Error> {
        let key = draft.key.as_str();
        let unavailable = |source| Error::Unavailable { action: "sending", key: key.to_owned(), source };
        let mut file = File::open(&draft.path).await.map_err(unavailable)?;
        self.check_size(key, file.metadata().await.map_err(unavailable)?.len())?;
        let mut upload = Box::new(CloudUpload::new(self.store.clone(), key, draft.precondition));
        loop {
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            if (&mut file).take(PIECE_BYTES as u64).read_to_end(&mut piece).await.map_err(unavailable)? == 0 {
                break;
            }
            upload.write(piece.into()).await?;
        }
        let generation = upload.finish().await?.generation;
        let copy = LocalCopy { path: self.path(key, &generation.to_string()), generation };
        let _turn = self.turn.lock().await;
        self.keep(key, &draft.path, &copy).await?;
        Ok(copy)
    }

    async fn bring_in_turn(&self, key: &str) -> Result<LocalCopy, Error> {
        let action = Action::Reading;
        retry(&self.store.budget, action.call(), || self.bring_once(key)).await.map_err(|trouble| match trouble {
            Trouble::Store(failed) => failed.into_error(action, key),
            Trouble::Here(error) => error,
        })
    }

    async fn bring_once(&self, key: &str) -> Result<LocalCopy, Trouble> {
        let object = self.store.json.head(key).await?;
        let ObjectMeta { generation, bytes, .. } = self.store.json.describe(&object)?;
        self.check_size(key, bytes)?;
        let copy = LocalCopy { path: self.path(key, &generation.to_string()), generation };
        if !fs::metadata(&copy.path).is_ok_and(|file| file.len() == bytes) {
            self.fetch(key, &object, &copy).await?;
        }
        Ok(copy)
    }

    async fn fetch(&self, key: &str, object: &Resource, copy: &LocalCopy) -> Result<(), Trouble> {
        tracing::info!(key, generation = copy.generation, "fetching an object onto the disk");
        self.make_folder(key).await?;
        let part = Part(self.path(key, &format!("part-{}", new_mark())));
        let unwritable =
            |source| Error::Unavailable { action: "writing the local copy of", key: key.to_owned(), source };
        let mut file = File::create_new(&part.0).await.map_err(unwritable)?;
        let request = self
            .store
            .client
            .read_object(self.store.bucket.as_ref(), key)
            .set_generation(copy.generation.cast_signed())
            .with_read_resume_policy(Recommended.with_attempt_limit(RESUMPTIONS));
        // A 404 is not about the object, which was there, but about this generation of it: then there is a newer one.
        let mut response = request.send().await.map_err(|error| Failed::while_reading(&error))?;
        let mut checksum = 0;
        while let Some(piece) = tokio::time::timeout(STALLED, response.next()).await.map_err(|_| stalled())? {
            let piece = piece.map_err(|error| Failed::while_reading(&error))?;
            checksum = crc32c::crc32c_append(checksum, &piece);
            file.write_all(&piece).await.map_err(unwritable)?;
        }
        file.flush().await.map_err(unwritable)?;
        drop(file);
        if object.checksum() != Some(checksum) {
            let message = "what arrived is not what the store says it sent";
            return Err(Failed::unanswered(Failure::NO_ANSWER, message).into());
        }
        Ok(self.keep(key, &part.0, copy).await?)
    }

    /// Makes a complete file the copy, and drops those that nobody needs any more.
    async fn keep(&self, key: &str, file: &Path, copy: &LocalCopy) -> Result<(), Error> {
        let (file, to) = (file.to_owned(), copy.path.clone());
        on_disk("keeping the local copy of", key, move || {
            let mut permissions = fs::metadata(&file)?.permissions();
            permissions.set_readonly(true);
            fs::set_permissions(&file, permissions)?;
            fs::rename(&file, &to)?;
            to.parent().map_or(Ok(()), drop_old_generations)
        })
        .await
    }

    async fn make_folder(&self, key: &str) -> Result<(), Error> {
        let folder = self.folder.join(key);
        on_disk("making the folder for", key, move || fs::create_dir_all(folder)).await
    }

    fn check_size(&self, key: &str, bytes: u64) -> Result<(), Error> {
        if bytes <= self.limit_bytes {
            return Ok(());
        }
        Err(Error::Rejected {
            key: key.to_owned(),
            reason: format!(
                "it has {bytes} bytes and the disk for local copies is meant for objects of up to {}; give it a larger \
                 disk and raise the limit",
                self.limit_bytes
            ),
        })
    }

    /// `FOLDER/source/retail.duckdb/VERSION.duckdb` for the key `source/retail.duckdb`.
    fn path(&self, key: &str, version: &str) -> PathBuf {
        let folder = self.folder.join(key);
        let file = folder.join(version);
        match folder.extension() {
            Some(extension) => file.with_extension(extension),
            None => file,
        }
    }
}

/// What can go wrong with a fetch: at the store, where another try may help, or on this machine.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Store(#[from] Failed),
    #[error(transparent)]
    Here(#[from] Error),
}

impl Classify for Trouble {
    fn failure(&self) -> Failure {
        match self {
            Self::Store(failed) => failed.failure(),
            Self::Here(_) => Failure::Final,
        }
    }
}

fn stalled() -> Failed {
    Failed::unanswered(Failure::NO_ANSWER, format!("nothing came for {} s", STALLED.as_secs()))
}

/// A file being fetched, which goes away unless it was renamed.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Removes all but the newest generations of the object that has its copies in `folder`. Whoever has one open keeps it.
fn drop_old_generations(folder: &Path) -> io::Result<()> {
    let mut generations = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let generation = path.file_stem().and_then(|stem| stem.to_str()?.parse::<Generation>().ok());
        generations.extend(generation.map(|generation| (generation, path)));
    }
    generations.sort_unstable();
    generations.truncate(generations.len().saturating_sub(GENERATIONS_KEPT));
    generations.into_iter().try_for_each(|(_, path)| fs::remove_file(path))
}

/// Runs file work off the async threads.
async fn on_disk(
    action: &'static str,
    key: &str,
    work: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> Result<(), Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|failure| Err(io::Error::other(failure))).map_err(Error::unavailable(action, key))
}
