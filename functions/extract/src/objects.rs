//! The objects of a partition: closed when they are large enough, and handed to the store piece by piece.

use std::io::{self, Write};

use bytes::Bytes;
use parquet::arrow::arrow_writer::ArrowColumnChunk;
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedFileWriter;
use store::{ObjectStore, Precondition, Upload};
use tokio::sync::mpsc::{Receiver, Sender};
use wap::ManifestObject;

use crate::Error;
use crate::format::Format;

/// The bytes of an object travel to the store in pieces of this size.
const PIECE_BYTES: usize = 1 << 20;

/// What the store is told.
#[derive(Debug)]
pub(crate) enum Piece {
    /// An object begins.
    Begin,
    /// Its next bytes.
    Content(Bytes),
    /// It is complete.
    End {
        /// Its rows.
        rows: u64,
    },
}

/// The objects of a partition, one of which may be open.
pub(crate) struct Objects<'a> {
    format: &'a Format,
    pieces: Sender<Piece>,
    open: Option<SerializedFileWriter<PieceWriter>>,
    rows: u64,
}

impl<'a> Objects<'a> {
    pub(crate) fn new(format: &'a Format, pieces: Sender<Piece>) -> Self {
        Self { format, pieces, open: None, rows: 0 }
    }

    /// Appends a row group to the open object, and closes that if it is large enough.
    pub(crate) fn append(&mut self, chunks: Vec<ArrowColumnChunk>, rows: usize) -> Result<(), Error> {
        let object = if let Some(object) = &mut self.open {
            object
        } else {
            send(&self.pieces, Piece::Begin)?;
            let sink = PieceWriter { pieces: self.pieces.clone(), piece: Vec::with_capacity(PIECE_BYTES) };
            self.open.insert(self.format.file(sink)?)
        };
        self.format.write_group(object.next_row_group()?, chunks, rows)?;
        self.rows += rows as u64;
        if self.rows >= self.format.object_rows() || object.bytes_written() as u64 >= self.format.object_bytes() {
            self.close()?;
        }
        Ok(())
    }

    /// Closes the open object, if one is.
    pub(crate) fn close(&mut self) -> Result<(), Error> {
        if let Some(object) = self.open.take() {
            object.into_inner()?.flush().map_err(ParquetError::from)?;
            let rows = std::mem::take(&mut self.rows);
            send(&self.pieces, Piece::End { rows })?;
        }
        Ok(())
    }
}

/// Cuts what is written into pieces. Writing waits while the store is busy, which is what bounds memory.
struct PieceWriter {
    pieces: Sender<Piece>,
    piece: Vec<u8>,
}

impl Write for PieceWriter {
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        let taken = content.len().min(PIECE_BYTES - self.piece.len());
        self.piece.extend_from_slice(&content[..taken]);
        if self.piece.len() == PIECE_BYTES {
            let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE_BYTES));
            send(&self.pieces, Piece::Content(piece.into())).map_err(broken)?;
        }
        Ok(taken)
    }

    /// Sends the rest.
    fn flush(&mut self) -> io::Result<()> {
        send(&self.pieces, Piece::Content(std::mem::take(&mut self.piece).into())).map_err(broken)
    }
}

fn send(pieces: &Sender<Piece>, piece: Piece) -> Result<(), Error> {
    let stopped = || Error::Internal { message: "the store stopped".to_owned(), source: None };
    pieces.blocking_send(piece).map_err(|_| stopped())
}

fn broken(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, error)
}

/// Stores the objects whose pieces arrive, until no more come, under `prefix`. An object that was not completed is never
/// visible. What is visible is in `stored`, also after an error.
pub(crate) async fn store(
    store: &dyn ObjectStore,
    prefix: &str,
    mut pieces: Receiver<Piece>,
    stored: &mut Vec<ManifestObject>,
) -> Result<(), Error> {
    let mut open: Option<(Box<dyn Upload>, blake3::Hasher)> = None;
    while let Some(piece) = pieces.recv().await {
        match (piece, &mut open) {
            (Piece::Begin, open) => {
                let key = format!("{prefix}/part-{:05}.parquet", stored.len());
                *open = Some((store.upload(&key).await?, blake3::Hasher::new()));
            }
            (Piece::Content(content), Some((upload, hasher))) => {
                hasher.update(&content);
                upload.write(content).await?;
            }
            (Piece::End { rows }, open) => {
                let Some((upload, hasher)) = open.take() else { continue };
                let object = upload.finish().await?;
                let checksum = hasher.finalize().into();
                let (key, generation, bytes) = (object.key, object.generation, object.bytes);
                stored.push(ManifestObject { key, generation, rows, bytes, checksum });
            }
            (Piece::Content(_), None) => {}
        }
    }
    Ok(())
}

/// Whether all objects of a manifest are there, in their size; who reads them compares checksums.
pub(crate) async fn are_there(store: &dyn ObjectStore, objects: &[ManifestObject]) -> Result<bool, Error> {
    for object in objects {
        match store.head(&object.key).await {
            Ok(found) if found.bytes == object.bytes => {}
            Ok(_) | Err(store::Error::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// Removes objects that no manifest names. What can't be removed stays unseen until a cleanup finds it.
pub(crate) async fn remove(store: &dyn ObjectStore, objects: &[ManifestObject]) {
    for object in objects {
        if let Err(error) = store.delete(&object.key, Precondition::Generation(object.generation)).await {
            tracing::warn!(key = object.key, %error, "an object that nothing names could not be removed");
        }
    }
}
