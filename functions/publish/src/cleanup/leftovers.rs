//! Files that processes of this machine were writing when they died.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Where they are below the home folder, and how their names begin and end: what extract spills, objects that were being
/// written, slots that were being copied, and what was about to be renamed into place.
const PLACES: [(&str, &str, &str); 5] = [
    ("tmp", "extract-", ""),
    ("bucket/.store", "", ".tmp"),
    ("warehouse", "slot_", ".partial"),
    ("warehouse", "loaded.", ".next.duckdb"),
    ("warehouse", "published", ".next"),
];

/// A file or folder that is being written, or that nobody writes any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leftover {
    pub path: PathBuf,
    pub bytes: u64,
    /// Since something in it was written last.
    pub age: Duration,
}

/// All of them, in order.
pub(crate) fn leftovers(home: &Path) -> io::Result<Vec<Leftover>> {
    let mut found = Vec::new();
    for (folder, start, end) in PLACES {
        for path in entries(&home.join(folder))? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with(start)
                && name.ends_with(end)
                && let Some(leftover) = look(&path)?
            {
                found.push(leftover);
            }
        }
    }
    found.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(found)
}

/// What a path is now; nothing if it is gone.
pub(crate) fn look(path: &Path) -> io::Result<Option<Leftover>> {
    let Some(metadata) = present(fs::symlink_metadata(path))? else { return Ok(None) };
    let mut leftover = Leftover { path: path.to_owned(), bytes: metadata.len(), age: age(&metadata)? };
    if metadata.is_dir() {
        for inner in entries(path)? {
            if let Some(inner) = look(&inner)? {
                leftover.bytes += inner.bytes;
                leftover.age = leftover.age.min(inner.age);
            }
        }
    }
    Ok(Some(leftover))
}

/// Removes a file, or a folder with all that is in it.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let Some(metadata) = present(fs::symlink_metadata(path))? else { return Ok(()) };
    let removed = if metadata.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    present(removed).map(drop)
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let Some(entries) = present(fs::read_dir(folder))? else { return Ok(Vec::new()) };
    entries.map(|entry| Ok(entry?.path())).collect()
}

fn age(metadata: &Metadata) -> io::Result<Duration> {
    // A time to come is that of something written just now, by a clock that was set back since.
    Ok(SystemTime::now().duration_since(metadata.modified()?).unwrap_or_default())
}

fn present<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        outcome => outcome.map(Some),
    }
}
