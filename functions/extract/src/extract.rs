//! One table, one partition: from the source into the lake.

use jiff::Timestamp;
use pipeline::{Changes, Mode, Rows, Table};
use service::SourceAccess;
use state::State;
use store::{ObjectStoreExt, Precondition};
use tokio::sync::mpsc::{Sender, channel};
use tokio::task::spawn_blocking;
use wap::{Digest, LAKE_VERSION, LedgerStep, Manifest, ManifestColumn, ManifestObject, PartitionKey};

use crate::Error;
use crate::encode::{Written, encode};
use crate::format::Format;
use crate::objects::{self, Piece};
use crate::opened::{self, Opened};
use crate::selection::{Totals, window};
use crate::source::ran_out_of_memory;
use crate::sums::Sums;

/// What DuckDB gets to scan a table, in MiB. It fills what it has with blocks of the file, needed or not.
const SCAN_MEMORY: usize = 32;

/// So many columns get it another MiB: a scan holds a block of 256 KiB of each.
const COLUMNS_PER_MEBIBYTE: usize = 4;

/// What it gets beyond that for more than a scan. A CSV file takes three buffers of 32 MB.
const QUERY_MEMORY: usize = 72;

/// What it gets beyond that in the end: where 2,048 rows at once, or what a query has to remember, take more.
const MOST_MEMORY: usize = 1024;

/// Pieces of objects that may wait for the store.
const WAITING_PIECES: usize = 4;

/// Extracts a partition, and with it the late partitions before it, as the table's cursor says: oldest first, so that
/// the partition that was asked for is the last of the answer. `now` decides which partitions are over.
///
/// Objects are written first, then the manifest that makes them visible, then the ledger. Where the lake has the same
/// rows already, whole, the manifest that was there is returned and nothing is kept of the fresh objects. After an error
/// nothing is visible; after a crash there may be objects that nothing names, which a cleanup finds.
pub async fn extract(
    access: &SourceAccess,
    state: &State,
    table: &Table,
    partition: &PartitionKey,
    now: Timestamp,
) -> Result<Vec<Manifest>, Error> {
    let partitions = partitions(table, partition, now)?;
    let job = Job { access, state, table, partitions };
    let scan = SCAN_MEMORY + table.columns.len() / COLUMNS_PER_MEBIBYTE;
    // A relation may turn out to be a view, and then needs a query's.
    let known_as_query = usize::from(matches!(table.rows, Rows::Query(_)));
    for memory in [scan, scan + QUERY_MEMORY].into_iter().skip(known_as_query) {
        match job.run(memory).await {
            Err(error) if ran_out_of_memory(&error) => {
                tracing::info!(table = %table.name, memory, "the memory was too little; trying more");
            }
            outcome => return outcome,
        }
    }
    job.run(scan + MOST_MEMORY).await
}

/// Partitions of one table that are read in one session.
struct Job<'a> {
    access: &'a SourceAccess,
    state: &'a State,
    table: &'a Table,
    partitions: Vec<PartitionKey>,
}

impl Job<'_> {
    async fn run(&self, memory: usize) -> Result<Vec<Manifest>, Error> {
        let (access, table) = (self.access.clone(), self.table.clone());
        // A scan takes a fraction of the time of encoding and is done in between; a query may have to work.
        let threads = if matches!(table.rows, Rows::Relation(_)) { 1 } else { 2 };
        let mut reader = blocking(move || {
            let opened = opened::open(&access, &table, memory, threads)?;
            Ok(Reader { opened, table })
        })
        .await?;
        let mut manifests = Vec::new();
        for partition in &self.partitions {
            let manifest;
            (reader, manifest) = extract_one(reader, self.state, partition).await?;
            manifests.push(manifest);
        }
        Ok(manifests)
    }
}

/// The partitions to extract, oldest first. Refuses those that are not over: what is extracted counts as complete.
fn partitions(table: &Table, asked: &PartitionKey, now: Timestamp) -> Result<Vec<PartitionKey>, Error> {
    let calendar = &table.calendar;
    let asked = calendar.parse(asked.as_str())?;
    if asked == PartitionKey::all() {
        return Ok(vec![asked]);
    }
    let window = calendar.window(&asked)?;
    if !window.has_ended(now) {
        let state = if window.start > now { "not begun" } else { "not ended" };
        let newest = calendar.previous(&calendar.partition_of(now)?)?;
        let newest = newest.filter(|newest| calendar.parse(newest.as_str()).is_ok());
        let newest = newest.map_or_else(
            || "none can be extracted yet".to_owned(),
            |newest| format!("the newest that can be extracted is {newest}"),
        );
        return Err(Error::rejected(format!("partition {asked} of table {} has {state}; {newest}", table.name)));
    }
    let late = match &table.changes {
        Changes::Cursor { late_partitions, .. } => *late_partitions,
        Changes::Log { .. } | Changes::Whole => 0,
    };
    let mut partitions = vec![asked];
    for _ in 0..late {
        match calendar.previous(&partitions[partitions.len() - 1])? {
            Some(previous) if calendar.parse(previous.as_str()).is_ok() => partitions.push(previous),
            _ => break,
        }
    }
    partitions.reverse();
    Ok(partitions)
}

/// An open table.
struct Reader {
    opened: Box<dyn Opened>,
    table: Table,
}

impl Reader {
    /// Writes the rows of a partition, after the source has counted them. Blocks.
    fn read(&self, partition: &PartitionKey, load: &str, pieces: Sender<Piece>) -> Result<Written, Error> {
        let Self { opened, table } = self;
        let window = window(table, partition)?;
        if let Some(count) = opened.strays()?.filter(|count| count != "0") {
            return Err(Error::rejected(format!(
                "table {} has rows without the time of their change ({count}), which belong to no partition; give them \
                 one in the source, or in the table's query",
                table.name
            )));
        }
        let totals = opened.totals(window.as_ref())?;
        let format = Format::new(table, partition, load)?;
        let written = encode(&format, &Sums::new(table), pieces, |each| opened.stream(window.as_ref(), each))?;
        let found = Totals { rows: written.digest.rows(), sums: written.sums.finish() };
        if found != totals {
            return Err(Error::Conflict {
                message: format!(
                    "source {} and what was read from it disagree about partition {partition} of table {}: it says \
                     {totals}, and {found} were read; it was changed meanwhile, so extract again",
                    table.source, table.name
                ),
                source: None,
            });
        }
        Ok(written)
    }
}

async fn extract_one(reader: Reader, state: &State, partition: &PartitionKey) -> Result<(Reader, Manifest), Error> {
    let load = uuid::Uuid::now_v7().simple().to_string();
    // Before anything is read: of two extractions the one that began to read later has the newer content.
    let read_at = Timestamp::now();
    let prefix = format!("{}/{partition}/{load}", reader.table.lake.path);
    let (pieces, waiting) = channel(WAITING_PIECES);
    let mut objects = Vec::new();
    let reading = {
        let (partition, load) = (partition.clone(), load.clone());
        // Where this future is dropped, so is the channel, and the reader stops at its next piece.
        blocking(move || reader.read(&partition, &load, pieces).map(|written| (reader, written)))
    };
    let storing = objects::store(state.store().as_ref(), &prefix, waiting, &mut objects);
    let (read, stored) = tokio::join!(reading, storing);
    // Where the store failed, the reader only says that nobody listens.
    let (reader, written) = match stored.and(read) {
        Ok(done) => done,
        Err(error) => {
            objects::remove(state.store().as_ref(), &objects).await;
            return Err(error);
        }
    };
    let fresh = manifest(&reader.table, partition, load.clone(), &written, objects)?;
    let manifest = admit(state, fresh).await?;
    let is_fresh = manifest.load.as_deref() == Some(&load);
    let step = LedgerStep {
        digest: manifest.digest.clone(),
        rows: manifest.rows,
        bytes: manifest.bytes,
        at: Timestamp::now(),
    };
    state
        .update_ledger(&manifest.table, partition, |entry| {
            entry.extract(&step, read_at);
            // Fresh objects under a digest that counts as loaded: those that were loaded are gone.
            if is_fresh && entry.loaded.as_ref().is_some_and(|loaded| loaded.digest == step.digest) {
                entry.loaded = None;
            }
        })
        .await?;
    tracing::info!(table = %manifest.table, %partition, rows = manifest.rows, bytes = manifest.bytes, "extracted");
    Ok((reader, manifest))
}

fn manifest(
    table: &Table,
    partition: &PartitionKey,
    load: String,
    written: &Written,
    objects: Vec<ManifestObject>,
) -> Result<Manifest, Error> {
    let columns: Vec<ManifestColumn> = table
        .columns
        .iter()
        .map(|column| ManifestColumn {
            name: column.name.clone(),
            data_type: column.duckdb_type(),
            nullable: column.mode != Mode::Required,
        })
        .collect();
    // The same rows under other types are another content: they have to be loaded again.
    let digest = Digest::of_json(&(written.digest.finish(), &columns))
        .map_err(Error::internal("the manifest could not be digested"))?;
    Ok(Manifest {
        version: LAKE_VERSION,
        table: table.name.clone(),
        partition: partition.clone(),
        window: window(table, partition)?.map(|window| (window.start, window.end)),
        digest,
        contract: table.contract_digest(),
        load: Some(load),
        rows: written.digest.rows(),
        bytes: objects.iter().map(|object| object.bytes).sum(),
        columns,
        objects,
        sums: written.sums.finish(),
    })
}

/// Makes a manifest visible, unless one of the same content is whose objects are all there. Keeps the objects of the one
/// that is visible only.
async fn admit(state: &State, fresh: Manifest) -> Result<Manifest, Error> {
    let store = state.store().as_ref();
    let key = Manifest::key(&fresh.table, &fresh.partition, &fresh.digest);
    let precondition = match store.get_json::<Manifest>(&key).await? {
        None => Precondition::Absent,
        // Without the id of their upload, objects are of an older form that lacks columns.
        Some((visible, _)) if visible.load.is_some() && objects::are_there(store, &visible.objects).await? => {
            objects::remove(store, &fresh.objects).await;
            return Ok(visible);
        }
        Some((_, generation)) => {
            tracing::warn!(
                key,
                "objects of the manifest are gone or of an older form; from now on it names fresh ones of the same rows"
            );
            Precondition::Generation(generation)
        }
    };
    // From here on the fresh objects may be named, even where the answer is an error: they stay.
    match store.put_json(&key, &fresh, precondition).await {
        Ok(_) => Ok(fresh),
        Err(store::Error::Conflict { .. }) => {
            // Somebody who extracted the same was faster.
            let visible = state.manifest(&fresh.table, &fresh.partition, &fresh.digest).await?;
            if visible.objects != fresh.objects {
                objects::remove(store, &fresh.objects).await;
            }
            Ok(visible)
        }
        Err(error) => Err(error.into()),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    let span = tracing::Span::current();
    spawn_blocking(move || span.in_scope(work)).await.map_err(Error::internal("the extraction was interrupted"))?
}
