//! A folder as an object store: what stands in for Cloud Storage on a laptop.
//!
//! Objects are plain files at `ROOT/KEY`, so that DuckDB reads Parquet in place. A write goes to a temporary file, is
//! synced, and is renamed over the key while an exclusive lock is held; so an object is whole or absent after a crash,
//! and a compare-and-set holds between processes. The generation is the file's modification time in nanoseconds, set by
//! the writer to be larger than the one before. Temporary files and locks live in `ROOT/.store`, out of sight of keys.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;

use crate::lock::{FileLock, LockMode};
use crate::{Error, Generation, MAX_DOCUMENT_BYTES, Object, ObjectMeta, ObjectStore, Precondition, Upload, check_key};

/// Locks are held for one rename; whoever waits this long waits for a stopped process.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);

/// Keys share this many lock files.
const LOCK_STRIPES: u64 = 64;

/// Whether a write is to survive a power failure. It survives the process in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Durability {
    Durable,
    Volatile,
}

static NEXT_TEMPORARY: AtomicU64 = AtomicU64::new(0);

/// An object store in a folder of a local POSIX file system.
#[derive(Debug, Clone)]
pub struct Folder {
    root: Arc<Path>,
}

impl Folder {
    /// Opens (or makes) the folder. Refuses network mounts, on which locks and renames are not what this relies on.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let root: PathBuf = root.into();
        let shown = root.display().to_string();
        fs::create_dir_all(root.join(".store")).map_err(Error::unavailable("making the folder", &shown))?;
        let root = root.canonicalize().map_err(Error::unavailable("resolving the folder", &shown))?;
        if let Some(kind) = network_file_system(&root).map_err(Error::unavailable("inspecting the folder", &shown))? {
            return Err(Error::Rejected {
                key: shown,
                reason: format!("it is on a network file system ({kind}); use a local disk: --home DIR"),
            });
        }
        Ok(Self { root: root.into() })
    }

    fn path(&self, key: &str) -> Result<PathBuf, Error> {
        check_key(key)?;
        Ok(self.root.join(key))
    }

    fn temporary(&self) -> PathBuf {
        let number = NEXT_TEMPORARY.fetch_add(1, Ordering::Relaxed);
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        self.root.join(format!(".store/{}-{nanos}-{number}.tmp", std::process::id()))
    }

    fn lock(&self, key: &str) -> Result<FileLock, Error> {
        let digest = blake3::hash(key.as_bytes());
        let stripe = u64::from(digest.as_bytes()[0]) % LOCK_STRIPES;
        FileLock::acquire(&self.root.join(format!(".store/lock-{stripe}")), LockMode::Exclusive, LOCK_PATIENCE)
            .map_err(Error::unavailable("locking", key))
    }

    /// Makes the finished temporary file the object, if the precondition holds.
    fn publish(
        &self,
        key: &str,
        temporary: &Path,
        precondition: Precondition,
        durability: Durability,
    ) -> Result<ObjectMeta, Error> {
        let path = self.path(key)?;
        let unavailable = |source| Error::Unavailable { action: "writing", key: key.to_owned(), source };
        let folder = path.parent().unwrap_or(&self.root).to_path_buf();
        create_folders(&self.root, &folder).map_err(unavailable)?;
        let file = File::options().write(true).open(temporary).map_err(unavailable)?;
        let mut generation = nanoseconds(SystemTime::now());
        let number = |generation| file.set_modified(UNIX_EPOCH + Duration::from_nanos(generation));
        number(generation).map_err(unavailable)?;
        let sync = || if durability == Durability::Durable { file.sync_all() } else { Ok(()) };
        sync().map_err(unavailable)?;
        let bytes = file.metadata().map_err(unavailable)?.len();
        {
            // Nothing slow happens under the lock: a process that is stopped while it holds it keeps out all others.
            let _lock = self.lock(key)?;
            let before = generation_of(&path).map_err(unavailable)?;
            check(key, before, precondition)?;
            if before >= Some(generation) {
                generation = before.map_or(generation, |before| before + 1);
                number(generation).and_then(|()| sync()).map_err(unavailable)?;
            }
            fs::rename(temporary, &path).map_err(unavailable)?;
            if generation_of(&path).map_err(unavailable)? != Some(generation) {
                return Err(Error::Rejected {
                    key: key.to_owned(),
                    reason:
                        "the file system does not keep modification times to the nanosecond; use another: --home DIR"
                            .to_owned(),
                });
            }
        }
        if durability == Durability::Durable {
            sync_folder(&folder).map_err(unavailable)?;
        }
        Ok(ObjectMeta { key: key.to_owned(), generation, bytes, age: Duration::ZERO })
    }

    fn put_now(
        &self,
        key: &str,
        content: &[u8],
        precondition: Precondition,
        durability: Durability,
    ) -> Result<Generation, Error> {
        check_key(key)?;
        let temporary = Temporary::new(self.temporary());
        fs::write(&temporary.path, content).map_err(Error::unavailable("writing", key))?;
        Ok(self.publish(key, &temporary.path, precondition, durability)?.generation)
    }

    fn get_now(&self, key: &str) -> Result<Object, Error> {
        let path = self.path(key)?;
        // The handle stays on one version of the file, whatever is renamed over the name meanwhile.
        let mut file = File::open(&path).map_err(|source| not_found(key, source, "reading"))?;
        let metadata = file.metadata().map_err(Error::unavailable("reading", key))?;
        if metadata.is_dir() {
            return Err(Error::NotFound { key: key.to_owned() });
        }
        if metadata.len() > MAX_DOCUMENT_BYTES {
            return Err(Error::Rejected {
                key: key.to_owned(),
                reason: format!("it has {} bytes, a document at most {MAX_DOCUMENT_BYTES}", metadata.len()),
            });
        }
        let mut content = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
        io::Read::read_to_end(&mut file, &mut content).map_err(Error::unavailable("reading", key))?;
        let generation = modified(&metadata).map_err(Error::unavailable("reading", key))?;
        Ok(Object { generation, content: content.into() })
    }

    fn head_now(&self, key: &str) -> Result<ObjectMeta, Error> {
        let path = self.path(key)?;
        let metadata = fs::metadata(&path).map_err(|source| not_found(key, source, "inspecting"))?;
        if metadata.is_dir() {
            return Err(Error::NotFound { key: key.to_owned() });
        }
        describe(key.to_owned(), &metadata).map_err(Error::unavailable("inspecting", key))
    }

    fn delete_now(&self, key: &str, precondition: Precondition) -> Result<(), Error> {
        let path = self.path(key)?;
        let _lock = self.lock(key)?;
        let before = generation_of(&path).map_err(Error::unavailable("deleting", key))?;
        if before.is_none() && precondition == Precondition::None {
            return Err(Error::NotFound { key: key.to_owned() });
        }
        check(key, before, precondition)?;
        fs::remove_file(&path).map_err(|source| not_found(key, source, "deleting"))?;
        sync_folder(path.parent().unwrap_or(&self.root)).map_err(Error::unavailable("deleting", key))
    }

    fn list_now(&self, prefix: &str) -> Result<Vec<ObjectMeta>, Error> {
        // Only the part up to the last slash names a folder; the rest filters its entries.
        let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
        if !folder.is_empty() {
            check_key(folder)?;
        }
        let mut objects = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            let unavailable = |source| Error::Unavailable { action: "listing", key: folder.clone(), source };
            let entries = match fs::read_dir(self.root.join(&folder)) {
                Ok(entries) => entries,
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                    continue;
                }
                Err(error) => return Err(unavailable(error)),
            };
            for entry in entries {
                let entry = entry.map_err(unavailable)?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let key = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                if check_key(&key).is_err() {
                    continue;
                }
                let metadata = match entry.metadata() {
                    Ok(metadata) => metadata,
                    // Deleted since the folder was read.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(unavailable(error)),
                };
                if metadata.is_dir() {
                    if key.starts_with(prefix) || prefix.starts_with(&format!("{key}/")) {
                        folders.push(key);
                    }
                } else if key.starts_with(prefix) {
                    objects.push(describe(key, &metadata).map_err(unavailable)?);
                }
            }
        }
        objects.sort_by(|left, right| left.key.cmp(&right.key));
        Ok(objects)
    }

    /// Runs file work off the async threads.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let folder = self.clone();
        match tokio::task::spawn_blocking(move || work(&folder)).await {
            Ok(result) => result,
            Err(failure) => Err(Error::Unavailable {
                action: "working on",
                key: self.root.display().to_string(),
                source: io::Error::other(failure),
            }),
        }
    }
}

#[async_trait]
impl ObjectStore for Folder {
    async fn get(&self, key: &str) -> Result<Object, Error> {
        let key = key.to_owned();
        self.blocking(move |folder| folder.get_now(&key)).await
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta, Error> {
        let key = key.to_owned();
        self.blocking(move |folder| folder.head_now(&key)).await
    }

    async fn put(&self, key: &str, content: Bytes, precondition: Precondition) -> Result<Generation, Error> {
        let key = key.to_owned();
        self.blocking(move |folder| folder.put_now(&key, &content, precondition, Durability::Durable)).await
    }

    async fn put_volatile(&self, key: &str, content: Bytes, precondition: Precondition) -> Result<Generation, Error> {
        let key = key.to_owned();
        self.blocking(move |folder| folder.put_now(&key, &content, precondition, Durability::Volatile)).await
    }

    async fn upload(&self, key: &str) -> Result<Box<dyn Upload>, Error> {
        check_key(key)?;
        let key = key.to_owned();
        self.blocking(move |folder| {
            let temporary = Temporary::new(folder.temporary());
            let file = File::create_new(&temporary.path).map_err(Error::unavailable("creating", &key))?;
            Ok(Box::new(FolderUpload { folder: folder.clone(), key, temporary, file }) as Box<dyn Upload>)
        })
        .await
    }

    async fn delete(&self, key: &str, precondition: Precondition) -> Result<(), Error> {
        let key = key.to_owned();
        self.blocking(move |folder| folder.delete_now(&key, precondition)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, Error> {
        let prefix = prefix.to_owned();
        self.blocking(move |folder| folder.list_now(&prefix)).await
    }

    fn local_path(&self, key: &str) -> Option<PathBuf> {
        self.path(key).ok()
    }
}

struct FolderUpload {
    folder: Folder,
    key: String,
    temporary: Temporary,
    file: File,
}

#[async_trait]
impl Upload for FolderUpload {
    async fn write(&mut self, content: Bytes) -> Result<(), Error> {
        // A write into the page cache is short; handing it to another thread costs more than it takes.
        self.file.write_all(&content).map_err(Error::unavailable("writing", &self.key))
    }

    async fn finish(self: Box<Self>) -> Result<ObjectMeta, Error> {
        let folder = self.folder.clone();
        folder
            .blocking(move |folder| {
                let Self { key, temporary, file, .. } = *self;
                drop(file);
                folder.publish(&key, &temporary.path, Precondition::Absent, Durability::Durable)
            })
            .await
    }
}

/// A file that goes away unless it was renamed.
struct Temporary {
    path: PathBuf,
}

impl Temporary {
    fn new(path: PathBuf) -> Self {
        Self { path }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After the rename there is nothing left to remove, and that is fine.
        let _ = fs::remove_file(&self.path);
    }
}

fn check(key: &str, found: Option<Generation>, wanted: Precondition) -> Result<(), Error> {
    let holds = match wanted {
        Precondition::None => true,
        Precondition::Absent => found.is_none(),
        Precondition::Generation(generation) => found == Some(generation),
    };
    if holds { Ok(()) } else { Err(Error::Conflict { key: key.to_owned() }) }
}

fn not_found(key: &str, source: io::Error, action: &'static str) -> Error {
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Error::NotFound { key: key.to_owned() },
        _ => Error::Unavailable { action, key: key.to_owned(), source },
    }
}

fn nanoseconds(time: SystemTime) -> u64 {
    u64::try_from(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}

fn modified(metadata: &fs::Metadata) -> io::Result<Generation> {
    metadata.modified().map(nanoseconds)
}

fn generation_of(path: &Path) -> io::Result<Option<Generation>> {
    match fs::metadata(path) {
        // A folder is where keys below this one are, and no object.
        Ok(metadata) if metadata.is_dir() => Ok(None),
        Ok(metadata) => modified(&metadata).map(Some),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

fn describe(key: String, metadata: &fs::Metadata) -> io::Result<ObjectMeta> {
    let generation = modified(metadata)?;
    let age = Duration::from_nanos(nanoseconds(SystemTime::now()).saturating_sub(generation));
    Ok(ObjectMeta { key, generation, bytes: metadata.len(), age })
}

/// Makes the folders of a key and syncs each one that is new, so that a durable object has a durable path.
fn create_folders(root: &Path, folder: &Path) -> io::Result<()> {
    let mut missing = Vec::new();
    let mut current = folder;
    while current != root && !current.is_dir() {
        missing.push(current.to_path_buf());
        current = current.parent().unwrap_or(root);
    }
    for new in missing.into_iter().rev() {
        match fs::create_dir(&new) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        sync_folder(new.parent().unwrap_or(root))?;
    }
    Ok(())
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The kind of network file system that `path` is on, if it is on one.
#[cfg(target_os = "linux")]
fn network_file_system(path: &Path) -> io::Result<Option<&'static str>> {
    let kind = rustix::fs::statfs(path)?.f_type;
    Ok(match u32::try_from(kind & 0xffff_ffff).unwrap_or_default() {
        0x6969 => Some("NFS"),
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => Some("SMB"),
        0x0102_1997 => Some("9P"),
        0x0bd0_0bd0 => Some("Lustre"),
        0x00c3_6400 => Some("Ceph"),
        _ => None,
    })
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "the same signature everywhere")]
fn network_file_system(_path: &Path) -> io::Result<Option<&'static str>> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn fresh() -> (Arc<dyn ObjectStore>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        (Arc::new(Folder::open(folder.path().join("bucket")).unwrap()), folder)
    }

    crate::store_contract!(folder, super::fresh());

    #[tokio::test]
    async fn two_handles_on_one_folder_see_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let (left, right) = (Folder::open(folder.path()).unwrap(), Folder::open(folder.path()).unwrap());
        let generation = left.put("key", Bytes::from_static(b"one"), Precondition::Absent).await.unwrap();
        right.put("key", Bytes::from_static(b"two"), Precondition::Generation(generation)).await.unwrap();
        let stale = left.put("key", Bytes::from_static(b"three"), Precondition::Generation(generation)).await;
        assert!(matches!(stale, Err(Error::Conflict { .. })));
    }

    #[tokio::test]
    async fn what_a_dead_writer_left_is_not_listed_and_not_in_the_way() {
        let folder = tempfile::tempdir().unwrap();
        let store = Folder::open(folder.path()).unwrap();
        fs::write(folder.path().join(".store/1-1-1.tmp"), "half").unwrap();
        assert!(store.list("").await.unwrap().is_empty());
        store.put("key", Bytes::from_static(b"whole"), Precondition::Absent).await.unwrap();
    }

    #[tokio::test]
    async fn a_large_document_is_refused_unread() {
        let folder = tempfile::tempdir().unwrap();
        let store = Folder::open(folder.path()).unwrap();
        File::create(folder.path().join("large")).unwrap().set_len(MAX_DOCUMENT_BYTES + 1).unwrap();
        assert!(matches!(store.get("large").await, Err(Error::Rejected { .. })));
    }

    #[tokio::test]
    async fn a_read_only_folder_is_unavailable_and_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let error = Folder::open(folder.path().join("file/bucket")).unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }));
        assert!(error.to_string().contains("file/bucket"));
    }
}
