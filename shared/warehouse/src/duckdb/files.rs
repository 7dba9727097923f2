//! Files of slots: copied, sealed, digested, pointed to.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use wap::Digest;

use crate::Error;

/// Readable by all, writable by none.
const SEALED: u32 = 0o444;

fn write_ahead_log(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".wal");
    name.into()
}

fn is_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// Removes a slot's file and what DuckDB may have left beside it.
pub(super) fn remove(file: &Path) -> Result<(), Error> {
    for path in [file.to_path_buf(), write_ahead_log(file)] {
        match fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(Error::io(format!("removing {}", path.display()))(error)),
        }
    }
    Ok(())
}

/// Bytes of a slot's file and of what DuckDB may have left beside it.
pub(super) fn bytes(file: &Path) -> Result<u64, Error> {
    let mut bytes = 0;
    for path in [file.to_path_buf(), write_ahead_log(file)] {
        match fs::metadata(&path) {
            Ok(metadata) => bytes += metadata.len(),
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(Error::io(format!("inspecting {}", path.display()))(error)),
        }
    }
    Ok(bytes)
}

/// Makes `to` a writable copy of the sealed file `from`, sharing blocks where the file system can.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let partial = to.with_extension("partial");
    let work = || -> io::Result<()> {
        match fs::remove_file(&partial) {
            Err(error) if !is_absent(&error) => return Err(error),
            _ => {}
        }
        fs::copy(from, &partial)?;
        fs::set_permissions(&partial, Permissions::from_mode(0o644))?;
        fs::rename(&partial, to)
    };
    work().map_err(|error| {
        if is_absent(&error) {
            Error::NotFound {
                what: format!("the live slot's file {}", from.display()),
                next: "restore it from a backup, or remove the home folder and run the backfill again".to_owned(),
            }
        } else {
            Error::io(format!("copying {} to {}", from.display(), to.display()))(error)
        }
    })
}

/// Device, number and last change (seconds and nanoseconds) of a file: another one for each file that ever had its name.
pub(super) type Identity = (u64, u64, i64, i64);

/// Which file this is, if it was sealed before.
pub(super) fn sealed_identity(file: &Path) -> Result<Option<Identity>, Error> {
    let metadata = fs::metadata(file).map_err(Error::io(format!("inspecting {}", file.display())))?;
    let identity = (metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec());
    Ok((metadata.permissions().mode() & 0o777 == SEALED).then_some(identity))
}

/// Takes the right to write from everybody and makes the content durable. Nothing may be left to replay: readers would
/// replay it into a file that was audited without it.
pub(super) fn seal(file: &Path) -> Result<(), Error> {
    let log = write_ahead_log(file);
    if log.exists() {
        return Err(Error::internal(format!(
            "{} was left beside the slot after its checkpoint; begin a new attempt",
            log.display()
        )));
    }
    let work = || -> io::Result<()> {
        fs::set_permissions(file, Permissions::from_mode(SEALED))?;
        File::open(file)?.sync_all()?;
        sync_folder(file)
    };
    work().map_err(Error::io(format!("sealing {}", file.display())))
}

/// The digest of a sealed file's bytes. A write-ahead log beside it counts as a change.
pub(super) fn digest(file: &Path) -> Result<Digest, Error> {
    let shown = file.display().to_string();
    let work = || -> io::Result<Digest> {
        let mut hasher = blake3::Hasher::new();
        for path in [file.to_path_buf(), write_ahead_log(file)] {
            match File::open(&path) {
                Ok(content) => hasher.update_reader(content)?,
                Err(error) if is_absent(&error) && path != file => continue,
                Err(error) => return Err(error),
            };
        }
        Ok(hasher.finalize().into())
    };
    work().map_err(|error| {
        if is_absent(&error) {
            Error::NotFound { what: format!("the slot's file {shown}"), next: "begin a new attempt".to_owned() }
        } else {
            Error::io(format!("reading {shown}"))(error)
        }
    })
}

/// Points the link at `file` by renaming a new link over it. The file was synced when it was sealed, and the record was
/// committed before this is called; here the folder is synced last. Returns whether the link had pointed elsewhere.
pub(super) fn point(link: &Path, file: &Path) -> Result<bool, Error> {
    let target = file.file_name().ok_or_else(|| Error::internal(format!("{} has no file name", file.display())))?;
    if fs::read_link(link).is_ok_and(|current| current.as_os_str() == target) {
        return Ok(false);
    }
    if !file.exists() {
        return Err(Error::NotFound {
            what: format!("the slot's file {}", file.display()),
            next: "readers still see the cycle before; restore the file from a backup or roll back".to_owned(),
        });
    }
    let new = link.with_extension("next");
    let work = || -> io::Result<()> {
        match fs::remove_file(&new) {
            Err(error) if !is_absent(&error) => return Err(error),
            _ => {}
        }
        // Relative, so that the home folder can be moved.
        symlink(target, &new)?;
        fs::rename(&new, link)?;
        sync_folder(link)
    };
    work().map_err(Error::io("re-pointing the published link"))?;
    Ok(true)
}

pub(super) fn sync_folder(file: &Path) -> io::Result<()> {
    file.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}
