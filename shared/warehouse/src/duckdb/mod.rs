//! The embedded warehouse: a folder with one DuckDB file a slot.
//!
//! - `slot_NAME.duckdb`: what one attempt wrote. Sealed (read-only, no write-ahead log) before its audit.
//! - `published.duckdb`: a symbolic link to the live slot's file; publishing renames a new link over it.
//! - `loaded.duckdb`: schema `raw`, views over the lake's Parquet for people; `raw/TABLE/PARTITION.json` says which manifest each
//!   partition has. Attempts never read these, they list the Parquet files that were admitted.

mod adopt;
mod connection;
mod files;
mod pin;
mod raw;
mod value;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::duckdb::Connection;
use async_trait::async_trait;
use jiff::Timestamp;
use pipeline::Table;
use rows::RowDigest;
use store::{FileLock, LockMode, ObjectStore};
use wap::guard::{Guard, stands};
use wap::{Digest, Identifier, Manifest, Slot};

use crate::{
    BuiltModel, Converged, DEPLOYMENT, Desired, Difference, Error, Loaded, Pin, Place, Publication, PublishedView,
    Rows, Statistics, Step, Warehouse,
};
use connection::{identifier, literal, open_read_only, open_writable, sql_error};

/// Who flips the link holds this lock for some milliseconds; whoever waits this long waits for a stopped process.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);

/// An audit reads two slots by turns: its own and the live one.
const KEPT_OPEN: usize = 2;

/// A DuckDB warehouse in a folder.
#[derive(Debug, Clone)]
pub struct DuckDb {
    folder: Arc<Path>,
    store: Arc<dyn ObjectStore>,
    live_schema: String,
    /// Sealed files that were read last, open: opening one takes longer than most queries.
    sealed: Arc<Mutex<VecDeque<(files::Identity, Connection)>>>,
}

impl DuckDb {
    /// Opens (or makes) the folder. `store` holds the lake and must be readable as files; `live_schema` is the schema
    /// that published views are in.
    pub fn open(folder: &Path, store: Arc<dyn ObjectStore>, live_schema: &str) -> Result<Self, Error> {
        let shown = folder.display().to_string();
        std::fs::create_dir_all(folder).map_err(Error::io(format!("making the folder {shown}")))?;
        let folder = folder.canonicalize().map_err(Error::io(format!("resolving the folder {shown}")))?;
        Ok(Self { folder: folder.into(), store, live_schema: live_schema.to_owned(), sealed: Arc::default() })
    }

    /// The file of a slot, for dbt to write to.
    pub fn slot_file(&self, slot: &Slot) -> PathBuf {
        self.file_of(&slot.name())
    }

    fn file_of(&self, slot_name: &str) -> PathBuf {
        self.folder.join(format!("slot_{slot_name}.duckdb"))
    }

    /// The link that readers open.
    pub fn published_file(&self) -> PathBuf {
        self.folder.join("published.duckdb")
    }

    fn place_file(&self, place: &Place) -> Result<PathBuf, Error> {
        let (file, what, next) = match place {
            Place::Live => (self.published_file(), "a published cycle".to_owned(), "run `bgp run daily` first"),
            Place::Slot(slot) => (self.slot_file(slot), format!("slot {slot}"), "it was dropped; begin a new attempt"),
        };
        if file.exists() { Ok(file) } else { Err(Error::NotFound { what, next: next.to_owned() }) }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (warehouse, span) = (self.clone(), tracing::Span::current());
        tokio::task::spawn_blocking(move || span.in_scope(|| work(&warehouse))).await.map_err(|source| {
            Error::Internal { what: "a warehouse job broke off".to_owned(), source: Some(Box::new(source)) }
        })?
    }

    fn seal_now(&self, slot: &Slot, publication: &Publication) -> Result<Digest, Error> {
        let file = self.slot_file(slot);
        if files::sealed_identity(&file)?.is_some() {
            return files::digest(&file);
        }
        let connection = open_writable(&file)?;
        self.create_views(&connection, publication)?;
        connection.execute_batch("CHECKPOINT").map_err(sql_error("checkpointing the slot"))?;
        connection.close().map_err(|(_, source)| sql_error("closing the slot")(source))?;
        files::seal(&file)?;
        files::digest(&file)
    }

    fn create_views(&self, connection: &Connection, publication: &Publication) -> Result<(), Error> {
        let schema = identifier(&self.live_schema);
        let row = &publication.deployment;
        let newest = row.newest_partition.as_ref().map_or_else(|| "NULL".to_owned(), |key| literal(key.as_str()));
        let held: Vec<&str> = row.held.iter().map(wap::PartitionKey::as_str).collect();
        let mut sql = format!(
            "BEGIN; DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema};\n\
             CREATE VIEW {schema}.{DEPLOYMENT} AS SELECT CAST({} AS BIGINT) AS cycle, {} AS attempt, \
             CAST({newest} AS VARCHAR) AS newest_partition, {} AS held;\n",
            row.cycle,
            literal(row.attempt.as_str()),
            literal(&held.join(",")),
        );
        for view in &publication.views {
            let name = format!("{schema}.{}", identifier(view.name.as_str()));
            sql.push_str(&format!("CREATE VIEW {name} AS {};\n", select(view)));
            sql.push_str(&format!("COMMENT ON VIEW {name} IS {};\n", literal(&view.description)));
            for column in view.columns.iter().filter(|column| !column.description.is_empty()) {
                sql.push_str(&format!(
                    "COMMENT ON COLUMN {name}.{} IS {};\n",
                    identifier(column.name.as_str()),
                    literal(&column.description)
                ));
            }
        }
        sql.push_str("COMMIT;");
        connection.execute_batch(&sql).map_err(sql_error("making the published views"))
    }

    /// A connection that reads a place. One to a sealed slot is kept for the next query: its file does not change.
    fn reader(&self, place: &Place) -> Result<Connection, Error> {
        let file = self.place_file(place)?;
        let Some(identity) = files::sealed_identity(&file)?.filter(|_| *place != Place::Live) else {
            return open_read_only(&file);
        };
        let mut sealed = self.sealed.lock().unwrap_or_else(PoisonError::into_inner);
        let known = sealed.iter().position(|(known, _)| *known == identity);
        if known.is_none() {
            sealed.truncate(KEPT_OPEN - 1);
            sealed.push_front((identity, open_read_only(&file)?));
        }
        sealed[known.unwrap_or_default()].1.try_clone().map_err(sql_error("connecting to the slot"))
    }

    fn query_now(&self, place: &Place, sql: &str, limit: usize) -> Result<Rows, Error> {
        let connection = self.reader(place)?;
        if *place == Place::Live {
            // Readers' own queries: what they may see is in the file, and no statement may reach beyond it.
            connection
                .execute_batch("SET enable_external_access = false; SET lock_configuration = true;")
                .map_err(sql_error("closing the session"))?;
        }
        value::read(&connection, sql, limit)
    }

    fn digest_now(&self, place: &Place, sql: &str) -> Result<Digest, Error> {
        let connection = self.reader(place)?;
        let mut statement = connection.prepare(sql).map_err(sql_error("preparing a query"))?;
        let batches = statement.query_arrow([]).map_err(sql_error("running a query"))?;
        let digest_error =
            |source| Error::Internal { what: "digesting rows".to_owned(), source: Some(Box::new(source)) };
        let mut digest = RowDigest::new(&batches.get_schema(), &[]).map_err(digest_error)?;
        for batch in batches {
            digest.update(&batch).map_err(digest_error)?;
        }
        Ok(digest.finish())
    }

    fn published_now(&self) -> Result<Vec<String>, Error> {
        match std::fs::read_link(self.published_file()) {
            Ok(target) => Ok(slot_of(&target).into_iter().collect()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(Error::io("reading the published link")(error)),
        }
    }
}

/// What two slots are attached as.
const ATTACHED: [&str; 2] = ["first_slot", "second_slot"];

/// A session that reads two slots.
fn attach(files: [&Path; 2]) -> Result<Connection, Error> {
    let connection = Connection::open_in_memory().map_err(sql_error("opening a session"))?;
    let mut sql = "SET TimeZone = 'UTC';".to_owned();
    for (file, name) in files.into_iter().zip(ATTACHED) {
        sql.push_str(&format!("ATTACH {} AS {} (READ_ONLY);", literal(&file.to_string_lossy()), identifier(name)));
    }
    connection.execute_batch(&sql).map_err(sql_error("attaching two slots"))?;
    Ok(connection)
}

/// The slot whose file this is.
fn slot_of(file: &Path) -> Option<String> {
    let stem = file.file_name()?.to_str()?.strip_suffix(".duckdb")?;
    stem.strip_prefix("slot_").map(str::to_owned)
}

/// The query of a published view. Two-part names, so that the file works under any alias.
fn select(view: &PublishedView) -> String {
    let columns: Vec<String> = view.columns.iter().map(|column| identifier(column.name.as_str())).collect();
    let columns = if columns.is_empty() { "*".to_owned() } else { columns.join(", ") };
    format!("SELECT {columns} FROM {}.{}", identifier(view.schema.as_str()), identifier(view.relation.as_str()))
}

fn text(value: &serde_json::Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[async_trait]
impl Warehouse for DuckDb {
    fn for_step(&self, _step: Step) -> Arc<dyn Warehouse> {
        Arc::new(self.clone())
    }

    fn statistics(&self) -> Statistics {
        Statistics::default()
    }

    fn charge(&self, _cost: Statistics) {}

    fn relation(&self, _slot: &Slot, schema: &str, relation: &str) -> String {
        // Two parts, so that it holds under whatever alias the slot's file is attached.
        format!("{}.{}", identifier(schema), identifier(relation))
    }

    async fn load(&self, table: &Table, manifest: &Manifest) -> Result<(), Error> {
        if stands(Guard::Digest) {
            let manifest = manifest.clone();
            self.blocking(move |warehouse| raw::verify(&warehouse.store, &manifest)).await?;
        }
        let (table, manifest) = (table.clone(), manifest.clone());
        self.blocking(move |warehouse| raw::load(&warehouse.folder, &warehouse.store, &table, &manifest)).await
    }

    async fn loaded(&self, table: &Table) -> Result<Vec<Loaded>, Error> {
        let table = table.name.clone();
        self.blocking(move |warehouse| raw::loaded(&warehouse.folder, table.as_str())).await
    }

    async fn create(&self, slot: &Slot, from: Option<&Slot>, _: &[BuiltModel]) -> Result<(), Error> {
        let (name, file, from) = (slot.name(), self.slot_file(slot), from.map(|from| self.slot_file(from)));
        self.blocking(move |_| {
            if file.exists() {
                let next = "an earlier try made it; begin a new attempt".to_owned();
                return Err(Error::Conflict { what: format!("the file of slot {name}"), next });
            }
            match from {
                Some(from) => files::copy(&from, &file),
                None => open_writable(&file)?.close().map_err(|(_, source)| sql_error("making the slot")(source)),
            }
        })
        .await
    }

    async fn pin(&self, slot: &Slot, pins: &[Pin]) -> Result<(), Error> {
        let (file, pins) = (self.slot_file(slot), pins.to_vec());
        self.blocking(move |warehouse| pin::pin(&file, &warehouse.store, &pins)).await
    }

    async fn adopt(&self, slot: &Slot, from: &Slot, models: &[BuiltModel]) -> Result<bool, Error> {
        let (file, from, models) = (self.slot_file(slot), self.slot_file(from), models.to_vec());
        self.blocking(move |_| adopt::adopt(&file, &from, &models)).await
    }

    async fn relations(&self, slot: &Slot) -> Result<Vec<(String, String)>, Error> {
        let sql = "SELECT table_schema, table_name FROM information_schema.tables ORDER BY ALL";
        let found = self.query(&Place::Slot(slot.clone()), sql, usize::MAX).await?;
        Ok(found.rows.iter().map(|row| (text(&row[0]), text(&row[1]))).collect())
    }

    async fn drop_relations(&self, slot: &Slot, relations: &[String]) -> Result<(), Error> {
        let (file, relations) = (self.slot_file(slot), relations.to_vec());
        self.blocking(move |_| pin::drop_relations(&file, &relations)).await
    }

    async fn columns(&self, slot: &Slot, schema: &str, relation: &str) -> Result<Vec<(String, String)>, Error> {
        let sql = format!(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = {} AND table_name = {} \
             ORDER BY ordinal_position",
            literal(schema),
            literal(relation)
        );
        let found = self.query(&Place::Slot(slot.clone()), &sql, usize::MAX).await?;
        Ok(found.rows.iter().map(|row| (text(&row[0]), text(&row[1]))).collect())
    }

    async fn seal(&self, slot: &Slot, publication: &Publication) -> Result<Digest, Error> {
        let (slot, publication) = (slot.clone(), publication.clone());
        self.blocking(move |warehouse| warehouse.seal_now(&slot, &publication)).await
    }

    async fn fingerprint(&self, slot: &Slot) -> Result<Digest, Error> {
        let file = self.slot_file(slot);
        self.blocking(move |_| files::digest(&file)).await
    }

    async fn dry_run(&self, slot: &Slot, publication: &Publication) -> Result<(), Error> {
        let (slot, publication) = (slot.clone(), publication.clone());
        self.blocking(move |warehouse| {
            let connection = warehouse.reader(&Place::Slot(slot))?;
            for view in &publication.views {
                // Bound, not run: names and columns are checked and no row is read.
                connection.prepare(&select(view)).map_err(sql_error(format!("checking the view {}", view.name)))?;
            }
            Ok(())
        })
        .await
    }

    async fn converge(&self, desired: &dyn Desired) -> Result<Converged, Error> {
        let lock_file = self.folder.join(".publish.lock");
        let lock = self
            .blocking(move |_| {
                FileLock::acquire(&lock_file, LockMode::Exclusive, LOCK_PATIENCE)
                    .map_err(Error::io("taking the lock on the published link"))
            })
            .await?;
        // Only what the record says now counts, and it is read inside the lock: a publisher that was asleep between its
        // commit and this point must not turn the link back.
        let Some((slot, _)) = desired.desired().await? else {
            return Err(Error::internal("nothing is published; there is no view to point"));
        };
        let file = self.slot_file(&slot);
        let link = self.published_file();
        let changed = self
            .blocking(move |_| {
                let _lock = lock;
                files::point(&link, &file)
            })
            .await?;
        // One rename moves every view at once.
        Ok(Converged { slot, mixed: Duration::ZERO, changed })
    }

    /// One link shows all views, and what they are is in the sealed file.
    async fn differences(&self, slot: &Slot, _publication: &Publication) -> Result<Vec<Difference>, Error> {
        let mut differences = Vec::new();
        let found = self.published().await?;
        if found != [slot.name()] {
            let found = if found.is_empty() { "it points to no slot".to_owned() } else { found.join(", ") };
            let (subject, expected) = ("published.duckdb".to_owned(), slot.name());
            differences.push(Difference { subject, found, expected, converges: true });
        }
        let file = self.slot_file(slot);
        if file.exists() && files::sealed_identity(&file)?.is_none() {
            differences.push(Difference {
                subject: file.display().to_string(),
                found: "somebody may write it".to_owned(),
                expected: "nobody may write a sealed slot: mode 0444".to_owned(),
                converges: false,
            });
        }
        Ok(differences)
    }

    async fn published(&self) -> Result<Vec<String>, Error> {
        self.blocking(Self::published_now).await
    }

    async fn query(&self, place: &Place, sql: &str, limit: usize) -> Result<Rows, Error> {
        let (place, sql) = (place.clone(), sql.to_owned());
        self.blocking(move |warehouse| warehouse.query_now(&place, &sql, limit)).await
    }

    fn relation_of(&self, _slots: &[Slot; 2], which: usize, schema: &str, relation: &str) -> String {
        format!("{}.{}.{}", identifier(ATTACHED[which.min(1)]), identifier(schema), identifier(relation))
    }

    async fn query_two(&self, slots: &[Slot; 2], sql: &str, limit: usize) -> Result<Rows, Error> {
        let (slots, sql) = (slots.clone(), sql.to_owned());
        self.blocking(move |warehouse| {
            let files = slots.map(|slot| warehouse.place_file(&Place::Slot(slot)));
            let [first, second] = files;
            value::read(&attach([&first?, &second?])?, &sql, limit)
        })
        .await
    }

    async fn digest(&self, place: &Place, sql: &str) -> Result<Digest, Error> {
        let (place, sql) = (place.clone(), sql.to_owned());
        self.blocking(move |warehouse| warehouse.digest_now(&place, &sql)).await
    }

    async fn restore(
        &self,
        slot: &Slot,
        schema: &str,
        relation: &str,
        _at: Timestamp,
        _into: &Identifier,
    ) -> Result<String, Error> {
        Err(Error::rejected(format!(
            "DuckDB remembers no earlier state of a table; but slots do not change once they are published, so what was live              then is {schema}.{relation} in {}. The lake keeps what it was built from",
            self.slot_file(slot).display()
        )))
    }

    async fn cancel(&self, _slot: &Slot) -> Result<usize, Error> {
        // Jobs end with the process that started them.
        Ok(0)
    }

    async fn slots(&self) -> Result<Vec<String>, Error> {
        self.blocking(|warehouse| {
            let entries = std::fs::read_dir(&warehouse.folder).map_err(Error::io("listing the warehouse"))?;
            let mut slots: Vec<String> =
                entries.flatten().filter_map(|entry| slot_of(Path::new(&entry.file_name()))).collect();
            slots.sort();
            Ok(slots)
        })
        .await
    }

    async fn slot_bytes(&self, name: &str) -> Result<u64, Error> {
        let file = self.file_of(name);
        self.blocking(move |_| files::bytes(&file)).await
    }

    async fn drop_slot(&self, name: &str) -> Result<(), Error> {
        let file = self.file_of(name);
        self.blocking(move |_| files::remove(&file)).await
    }
}

#[cfg(test)]
mod tests;
