//! Rows into Parquet objects, on several threads, in bounded memory.
//!
//! The order of rows in the lake means nothing, so batches are bundled as they come, and each bundle becomes a row group
//! of its own. A worker encodes a bundle column by column: one column's buffers and compressor at a time, however many
//! columns there are.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use arrow::array::{Array, StructArray};
use parquet::arrow::arrow_writer::compute_leaves;
use rows::RowDigest;
use tokio::sync::mpsc::Sender;

use crate::Error;
use crate::conform::conform;
use crate::format::{Format, GROUP_BYTES};
use crate::objects::{Objects, Piece};
use crate::sums::Sums;

/// Bundles that may wait for a worker, so that nobody idles when the source or a worker pauses.
const WAITING_BUNDLES: usize = 1;

/// Threads that encode. More would wait for the source, and each holds a bundle.
const MOST_WORKERS: usize = 3;

/// What was written.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) digest: RowDigest,
    pub(crate) sums: Sums,
}

/// Turns the rows that `read` passes on into objects, whose bytes go to `pieces`. Blocks. The caller's thread reads, and
/// encodes as well whenever the others have enough to do, so that as many threads work as there are cores.
pub(crate) fn encode(
    format: &Format,
    sums: &Sums,
    pieces: Sender<Piece>,
    read: impl FnOnce(&mut dyn FnMut(StructArray) -> Result<(), Error>) -> Result<(), Error>,
) -> Result<Written, Error> {
    let objects = Mutex::new(Objects::new(format, pieces));
    let (bundles, queue) = sync_channel(WAITING_BUNDLES);
    let queue = Mutex::new(queue);
    let helpers = thread::available_parallelism().map_or(1, usize::from).min(MOST_WORKERS) - 1;
    let written = thread::scope(|scope| {
        let start = |_| scope.spawn(|| Worker::new(format, sums, &objects)?.run(&queue));
        let helpers: Vec<_> = (0..helpers).map(start).collect();
        let mut reader = Worker::new(format, sums, &objects)?;
        let mut bundle = Bundle::default();
        let read = read(&mut |batch| {
            bundle.push(batch);
            if bundle.is_full(format) { reader.pass_on(std::mem::take(&mut bundle), &bundles) } else { Ok(()) }
        });
        // The helpers end when there is nobody left who could send.
        drop(bundles);
        let mut written = read.and_then(|()| reader.write(bundle)).and_then(|()| reader.run(&queue))?;
        for helper in helpers {
            let panicked = || Error::Internal { message: "an encoder panicked".to_owned(), source: None };
            let part = helper.join().map_err(|_| panicked())??;
            written.digest.merge(&part.digest)?;
            written.sums.merge(&part.sums)?;
        }
        Ok::<_, Error>(written)
    })?;
    lock(&objects).close()?;
    Ok(written)
}

/// Batches on their way to a worker.
#[derive(Default)]
struct Bundle {
    batches: Vec<StructArray>,
    rows: usize,
    bytes: usize,
}

impl Bundle {
    fn push(&mut self, batch: StructArray) {
        self.rows += batch.len();
        self.bytes += batch.get_array_memory_size();
        self.batches.push(batch);
    }

    fn is_full(&self, format: &Format) -> bool {
        self.bytes >= GROUP_BYTES || self.rows as u64 >= format.object_rows()
    }
}

struct Worker<'a> {
    format: &'a Format,
    objects: &'a Mutex<Objects<'a>>,
    written: Written,
}

impl<'a> Worker<'a> {
    fn new(format: &'a Format, sums: &Sums, objects: &'a Mutex<Objects<'a>>) -> Result<Self, Error> {
        let written = Written { digest: format.digest()?, sums: sums.clone() };
        Ok(Self { format, objects, written })
    }

    /// Works on what arrives until no more can.
    fn run(mut self, queue: &Mutex<Receiver<Bundle>>) -> Result<Written, Error> {
        // A worker that waits holds the lock, and the next one waits for that.
        let next = || lock(queue).recv().ok();
        while let Some(bundle) = next() {
            self.write(bundle)?;
        }
        Ok(self.written)
    }

    /// Leaves a bundle to the others, or works on it if enough are waiting for them.
    fn pass_on(&mut self, bundle: Bundle, others: &SyncSender<Bundle>) -> Result<(), Error> {
        match others.try_send(bundle) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(bundle) | TrySendError::Disconnected(bundle)) => self.write(bundle),
        }
    }

    fn write(&mut self, bundle: Bundle) -> Result<(), Error> {
        if bundle.rows == 0 {
            return Ok(());
        }
        let schema = self.format.schema();
        let batches = bundle.batches.into_iter().map(|batch| conform(&batch, schema)).collect::<Result<Vec<_>, _>>()?;
        for batch in &batches {
            self.written.digest.update(batch)?;
            self.written.sums.update(batch)?;
        }
        let mut chunks = Vec::new();
        for (index, field) in schema.fields().iter().enumerate() {
            let mut writers = self.format.column_writers(index)?;
            for batch in &batches {
                for (leaf, writer) in compute_leaves(field, batch.column(index))?.iter().zip(&mut writers) {
                    writer.write(leaf)?;
                }
            }
            for writer in writers {
                chunks.push(writer.close()?);
            }
        }
        lock(self.objects).append(chunks, bundle.rows)
    }
}

/// What a panicking thread left behind is given up with its result; here it is only passed by.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
