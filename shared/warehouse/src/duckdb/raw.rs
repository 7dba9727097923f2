//! `raw` on DuckDB: which manifest each partition has, and views over the lake for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ::duckdb::Connection;
use pipeline::Table;
use store::{FileLock, LockMode, ObjectStore};
use wap::{Digest, Manifest};

use super::connection::{identifier, open_writable, sql_error};
use super::{files, pin};
use crate::{Error, Loaded, lake};

/// The file of views, and the one that becomes it.
const VIEWS: &str = "loaded.duckdb";
const NEXT_VIEWS: &str = "loaded.next.duckdb";

const LOCK_PATIENCE: Duration = Duration::from_mins(1);

/// Replaces one partition. The projection `raw/TABLE/PARTITION.json` is renamed into place first; the table's view is made
/// from it afterwards. A crash between the two leaves a mark, by which the next load of any table makes all views anew.
pub(super) fn load(
    folder: &Path,
    store: &Arc<dyn ObjectStore>,
    table: &Table,
    manifest: &Manifest,
) -> Result<(), Error> {
    check_columns(store, table, manifest)?;
    let _lock = FileLock::acquire(&folder.join(".raw.lock"), LockMode::Exclusive, LOCK_PATIENCE)
        .map_err(Error::io("taking the lock on raw"))?;
    let tables = folder.join("raw");
    let projection = tables.join(table.name.as_str());
    fs::create_dir_all(&projection).map_err(Error::io("making the folder of raw"))?;
    let query = select_of(store, table, &projection, manifest)?;
    let mark = folder.join(".raw.unfinished");
    let is_finished = !mark.exists();
    File::create(&mark).map_err(Error::io("marking a load"))?;
    write_json(&projection.join("table.json"), &query)?;
    let content = serde_json::to_vec(manifest)
        .map_err(|source| Error::Internal { what: "writing a manifest".to_owned(), source: Some(Box::new(source)) })?;
    write(&projection.join(format!("{}.json", manifest.partition)), &content)?;
    if !is_finished || !replace_view(folder, table.name.as_str(), &query)? {
        rebuild(folder, &tables)?;
    }
    fs::remove_file(&mark).map_err(Error::io("marking a load as finished"))
}

/// What readers of raw find: nothing without the file of views, and nothing of a table that has no view in it.
pub(super) fn loaded(folder: &Path, table: &str) -> Result<Vec<Loaded>, Error> {
    let projection = folder.join("raw").join(table);
    if !folder.join(VIEWS).exists() || !projection.join("table.json").exists() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(&projection).map_err(Error::io("listing raw"))? {
        let path = entry.map_err(Error::io("listing raw"))?.path();
        let is_partition = path.extension().is_some_and(|end| end == "json") && !path.ends_with("table.json");
        if let Some(manifest) = is_partition.then(|| read_json::<Manifest>(&path).ok()).flatten() {
            let load = manifest.load.unwrap_or_else(|| manifest.digest.to_string());
            found.push(Loaded { partition: manifest.partition, load });
        }
    }
    found.sort_by(|left, right| left.partition.cmp(&right.partition));
    Ok(found)
}

/// Objects of others may lack a column that their manifest names. One view that can't be made would keep those of all other tables
/// from being made, so this is found before anything is written.
fn check_columns(store: &Arc<dyn ObjectStore>, table: &Table, manifest: &Manifest) -> Result<(), Error> {
    let query = pin::select(store, table, &[manifest])?;
    let connection = Connection::open_in_memory().map_err(sql_error("opening a session"))?;
    connection.prepare(&query).map_err(sql_error(format!(
        "reading the objects of table {}, partition {}",
        manifest.table, manifest.partition
    )))?;
    Ok(())
}

/// The query of a table's view after `manifest` has replaced its partition.
fn select_of(
    store: &Arc<dyn ObjectStore>,
    table: &Table,
    projection: &Path,
    manifest: &Manifest,
) -> Result<String, Error> {
    let mut manifests = BTreeMap::from([(manifest.partition.clone(), manifest.clone())]);
    for entry in fs::read_dir(projection).map_err(Error::io("listing raw"))? {
        let path = entry.map_err(Error::io("listing raw"))?.path();
        if path.file_name().is_some_and(|name| name == "table.json") || path.extension().is_none_or(|end| end != "json")
        {
            continue;
        }
        // What is replaced need not be readable.
        if path.file_stem().is_some_and(|stem| stem == manifest.partition.as_str()) {
            continue;
        }
        let found: Manifest = read_json(&path)?;
        // What was loaded under another contract and no longer fits is left out of the view until it is loaded again.
        manifests.entry(found.partition.clone()).or_insert(found);
    }
    let fits: Vec<&Manifest> = manifests
        .values()
        .filter(|found| found.partition == manifest.partition || pin::select(store, table, &[*found]).is_ok())
        .collect();
    pin::select(store, table, &fits)
}

/// Replaces one table's view in a copy of `loaded.duckdb`, so that a load costs what it loads, and not what all tables hold. Says
/// whether there was a file to copy: a file that is gone or damaged is made anew.
fn replace_view(folder: &Path, table: &str, query: &str) -> Result<bool, Error> {
    let views = folder.join(VIEWS);
    let next = folder.join(NEXT_VIEWS);
    files::remove(&next)?;
    if fs::copy(&views, &next).is_err() {
        return Ok(false);
    }
    let Ok(connection) = open_writable(&next) else { return Ok(false) };
    let view = format!("CREATE SCHEMA IF NOT EXISTS raw; CREATE OR REPLACE VIEW raw.{} AS {query}", identifier(table));
    if connection.execute_batch(&view).is_err() {
        return Ok(false);
    }
    put_in_place(connection, &next, &views)?;
    Ok(true)
}

/// Builds the views of all tables.
fn rebuild(folder: &Path, tables: &Path) -> Result<(), Error> {
    let mut sql = "CREATE SCHEMA raw;\n".to_owned();
    for entry in fs::read_dir(tables).map_err(Error::io("listing raw"))? {
        let entry = entry.map_err(Error::io("listing raw"))?;
        let definition = entry.path().join("table.json");
        if definition.exists() {
            let query: String = read_json(&definition)?;
            let name = identifier(&entry.file_name().to_string_lossy());
            let _ = writeln!(sql, "CREATE VIEW raw.{name} AS {query};");
        }
    }
    let next = folder.join(NEXT_VIEWS);
    files::remove(&next)?;
    let connection = open_writable(&next)?;
    connection.execute_batch(&sql).map_err(sql_error("making the views of raw"))?;
    put_in_place(connection, &next, &folder.join(VIEWS))
}

/// Readers that have the old file open keep it.
fn put_in_place(connection: Connection, next: &Path, views: &Path) -> Result<(), Error> {
    connection.close().map_err(|(_, source)| sql_error("closing raw")(source))?;
    fs::rename(next, views).map_err(Error::io("replacing raw"))
}

/// Reads every object once and compares it with what the manifest says: a truncated, swapped or damaged object is
/// named here and never half used.
pub(super) fn verify(store: &Arc<dyn ObjectStore>, manifest: &Manifest) -> Result<(), Error> {
    for object in &manifest.objects {
        let path = store
            .local_path(&object.key)
            .ok_or_else(|| Error::rejected(format!("object {} can't be read as a file", object.key)))?;
        let mut hasher = blake3::Hasher::new();
        let damaged = |how: String| lake::damaged(manifest, &object.key, &how);
        match File::open(&path).and_then(|content| hasher.update_reader(content).map(|_| ())) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(damaged("is gone".to_owned())),
            Err(error) => return Err(Error::io(format!("reading {}", object.key))(error)),
        }
        let bytes = hasher.count();
        if bytes != object.bytes {
            return Err(damaged(format!("has {bytes} bytes, its manifest says {}", object.bytes)));
        }
        if Digest::from(hasher.finalize()) != object.checksum {
            return Err(damaged("is not what its manifest says (checksum differs)".to_owned()));
        }
    }
    Ok(())
}

fn write_json(path: &Path, text: &str) -> Result<(), Error> {
    write(path, serde_json::Value::from(text).to_string().as_bytes())
}

fn write(path: &Path, content: &[u8]) -> Result<(), Error> {
    let next = path.with_extension("next");
    let work = || -> io::Result<()> {
        let mut file = File::create(&next)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&next, path)?;
        files::sync_folder(path)
    };
    work().map_err(Error::io(format!("writing {}", path.display())))
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let content = fs::read(path).map_err(Error::io(format!("reading {}", path.display())))?;
    serde_json::from_slice(&content).map_err(|source| Error::Internal {
        what: format!("{} is corrupt; remove it and load the partition again", path.display()),
        source: Some(Box::new(source)),
    })
}
