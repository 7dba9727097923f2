//! Rows into Parquet objects, on several threads, in bounded memory.
//!
//! The order of rows in the lake means nothing, so every worker fills row groups of its own and appends them to the
//! open object when they are full. A worker holds one row group, encoded and compressed, and the batch it works on.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use arrow::array::{Array, StructArray};
use parquet::arrow::arrow_writer::{ArrowColumnWriter, compute_leaves};
use rows::RowDigest;
use tokio::sync::mpsc::Sender;

use crate::Error;
use crate::conform::conform;
use crate::format::Format;
use crate::objects::{Objects, Piece};
use crate::sums::Sums;

/// A row group is closed once it has this many rows ...
const GROUP_ROWS: u64 = 1 << 20;

/// ... or takes about this much memory, which is more than it will take in the object ...
const GROUP_MEMORY: usize = 16 << 20;

/// ... and this much a column, so that row groups of wide tables are not short.
const COLUMN_MEMORY: usize = 256 << 10;

/// Workers that encode; more would wait for the source.
const MOST_WORKERS: usize = 3;

/// Batches travel to the workers in bundles: each is small, and a row group of neighbours compresses better.
const BUNDLE_ROWS: usize = 16 * 2048;

/// Bundles that may wait for a worker, so that nobody idles when the source or a worker pauses.
const WAITING_BUNDLES: usize = 2;

/// A bundle of large values is sent off earlier.
const BUNDLE_BYTES: usize = 4 << 20;

/// What was written.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) digest: RowDigest,
    pub(crate) sums: Sums,
}

/// Turns the rows that `read` passes on into objects, whose bytes go to `pieces`. Blocks.
pub(crate) fn encode(
    format: &Format,
    sums: &Sums,
    pieces: Sender<Piece>,
    read: impl FnOnce(&mut dyn FnMut(StructArray) -> Result<(), Error>) -> Result<(), Error>,
) -> Result<Written, Error> {
    let objects = Mutex::new(Objects::new(format, pieces));
    let mut written = Written { digest: format.digest()?, sums: sums.clone() };
    let (bundles, queue) = sync_channel(WAITING_BUNDLES);
    let queue = Queue(Mutex::new(Some(queue)));
    let workers = thread::available_parallelism().map_or(2, usize::from).min(MOST_WORKERS);
    thread::scope(|scope| {
        let start = |_| scope.spawn(|| Worker::new(format, sums, &objects)?.run(&queue));
        let workers: Vec<_> = (0..workers).map(start).collect();
        let read = bundle(bundles, read);
        for worker in workers {
            let panicked = || Error::Internal { message: "an encoder panicked".to_owned(), source: None };
            let part = worker.join().map_err(|_| panicked())??;
            written.digest.merge(&part.digest)?;
            written.sums.merge(&part.sums)?;
        }
        // Last, because where an encoder failed the reader only says that nobody listens.
        read
    })?;
    lock(&objects).close()?;
    Ok(written)
}

/// Passes rows on in bundles.
fn bundle(
    bundles: SyncSender<Vec<StructArray>>,
    read: impl FnOnce(&mut dyn FnMut(StructArray) -> Result<(), Error>) -> Result<(), Error>,
) -> Result<(), Error> {
    let stopped = |_| Error::Internal { message: "the encoders stopped".to_owned(), source: None };
    let mut bundle = Vec::new();
    let (mut rows, mut bytes) = (0, 0);
    read(&mut |batch| {
        rows += batch.len();
        bytes += batch.get_array_memory_size();
        bundle.push(batch);
        if rows >= BUNDLE_ROWS || bytes >= BUNDLE_BYTES {
            (rows, bytes) = (0, 0);
            bundles.send(std::mem::take(&mut bundle)).map_err(stopped)?;
        }
        Ok(())
    })?;
    let sent = bundles.send(bundle).map_err(stopped);
    // The workers end when there is nobody left who could send.
    drop(bundles);
    sent
}

/// The bundles that wait for a worker. Closed for all as soon as one worker ends, however it ends: by then there are
/// no more bundles, or the reader has to stop.
struct Queue(Mutex<Option<Receiver<Vec<StructArray>>>>);

impl Queue {
    fn next(&self) -> Option<Vec<StructArray>> {
        lock(&self.0).as_ref()?.recv().ok()
    }
}

struct CloseOnDrop<'a>(&'a Queue);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        lock(&self.0.0).take();
    }
}

struct Worker<'a> {
    format: &'a Format,
    objects: &'a Mutex<Objects<'a>>,
    written: Written,
    group: Vec<ArrowColumnWriter>,
    group_rows: u64,
}

impl<'a> Worker<'a> {
    fn new(format: &'a Format, sums: &Sums, objects: &'a Mutex<Objects<'a>>) -> Result<Self, Error> {
        let written = Written { digest: format.digest()?, sums: sums.clone() };
        Ok(Self { format, objects, written, group: Vec::new(), group_rows: 0 })
    }

    fn run(mut self, queue: &Queue) -> Result<Written, Error> {
        let _close = CloseOnDrop(queue);
        while let Some(bundle) = queue.next() {
            for batch in bundle {
                self.write(&batch)?;
            }
        }
        self.close_group()?;
        Ok(self.written)
    }

    fn write(&mut self, batch: &StructArray) -> Result<(), Error> {
        let batch = conform(batch, self.format.schema())?;
        self.written.digest.update(&batch)?;
        self.written.sums.update(&batch)?;
        if self.group.is_empty() {
            self.group = self.format.column_writers()?;
        }
        let mut writers = self.group.iter_mut();
        for (field, array) in self.format.columns(&batch) {
            for leaf in compute_leaves(field, &array)? {
                if let Some(writer) = writers.next() {
                    writer.write(&leaf)?;
                }
            }
        }
        self.group_rows += batch.num_rows() as u64;
        let memory = || self.group.iter().map(ArrowColumnWriter::memory_size).sum::<usize>();
        if self.group_rows >= GROUP_ROWS.min(self.format.object_rows())
            || memory() >= GROUP_MEMORY.max(self.group.len() * COLUMN_MEMORY)
        {
            self.close_group()?;
        }
        Ok(())
    }

    fn close_group(&mut self) -> Result<(), Error> {
        if self.group_rows == 0 {
            return Ok(());
        }
        let chunks = self.group.drain(..).map(ArrowColumnWriter::close).collect::<Result<Vec<_>, _>>()?;
        lock(self.objects).append(chunks, std::mem::take(&mut self.group_rows))
    }
}

/// What a panicking thread left behind is given up with its result; here it is only passed by.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
