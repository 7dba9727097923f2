//! The columns of the pipeline's own, which hold one value in all rows of an object. They are written without touching
//! the rows: as a dictionary of that value, and a run that is as long as the row group.

use std::io::Write;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use parquet::basic::{Compression, Encoding};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::ByteArray;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, SerializedRowGroupWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use pipeline::Table;
use wap::{LOAD_COLUMN, PARTITION_COLUMN, PARTITION_START_COLUMN, PartitionKey};

use crate::Error;

/// The width of an index into the dictionary. Zero would do for one value, but readers are not agreed about it.
const INDEX_BITS: u8 = 1;

/// One of those columns.
#[derive(Debug)]
pub(crate) struct OwnColumn {
    pub(crate) field: FieldRef,
    /// NULL where there is none.
    value: Option<Value>,
}

#[derive(Debug)]
struct Value {
    /// As a dictionary holds it.
    plain: Vec<u8>,
    statistics: Statistics,
}

/// The columns of the objects that the upload `load` makes of a partition.
pub(crate) fn own_columns(table: &Table, partition: &PartitionKey, load: &str) -> Result<[OwnColumn; 3], Error> {
    // As if those clocks were in UTC, because a DATETIME has no zone.
    let in_utc = |shown| TimeZone::UTC.to_timestamp(shown).map(Timestamp::as_microsecond);
    let start = table.calendar.local_start(partition)?.map(in_utc);
    let start = start.transpose().map_err(Error::internal("the partition's first moment has no date"))?;
    let column = |name, data_type, value| OwnColumn { field: Arc::new(Field::new(name, data_type, true)), value };
    Ok([
        column(PARTITION_COLUMN, DataType::Utf8, Some(Value::text(partition.as_str()))),
        column(PARTITION_START_COLUMN, DataType::Timestamp(TimeUnit::Microsecond, None), start.map(Value::time)),
        column(LOAD_COLUMN, DataType::Utf8, Some(Value::text(load))),
    ])
}

impl Value {
    fn text(text: &str) -> Self {
        let bytes = Some(ByteArray::from(text));
        // Keys and ids are a few dozen bytes.
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes();
        let plain = [length.as_slice(), text.as_bytes()].concat();
        Self { plain, statistics: Statistics::new(bytes.clone(), bytes, None, Some(0), false) }
    }

    fn time(microseconds: i64) -> Self {
        let statistics = Statistics::new(Some(microseconds), Some(microseconds), None, Some(0), false);
        Self { plain: microseconds.to_le_bytes().to_vec(), statistics }
    }
}

impl OwnColumn {
    /// Appends the column to a row group of so many rows, whose next column is what `descriptor` describes.
    pub(crate) fn append<W: Write + Send>(
        &self,
        descriptor: ColumnDescPtr,
        group: &mut SerializedRowGroupWriter<'_, W>,
        rows: usize,
    ) -> Result<(), Error> {
        let mut content = TrackedWrite::new(Vec::new());
        let mut pages = SerializedPageWriter::new(&mut content);
        let mut write = |page: Page| {
            let length = page.buffer().len();
            pages.write_page(CompressedPage::new(page, length)).map(|written| written.bytes_written)
        };
        let mut metadata = ColumnChunkMetaData::builder(descriptor);
        // First one definition level for all rows, then, unless they are NULL, one index.
        let levels = run(rows, u8::from(self.value.is_some()));
        let mut data = [&levels.len().to_le_bytes()[..4], levels.as_slice()].concat();
        if let Some(Value { plain, statistics }) = &self.value {
            let (buf, encoding) = (plain.clone().into(), Encoding::PLAIN);
            let end = write(Page::DictionaryPage { buf, num_values: 1, encoding, is_sorted: false })?;
            data.extend([&[INDEX_BITS], run(rows, 0).as_slice()].concat());
            metadata = metadata.set_dictionary_page_offset(Some(0)).set_data_page_offset(end.cast_signed());
            metadata = metadata.set_statistics(statistics.clone());
        }
        write(Page::DataPage {
            buf: data.into(),
            num_values: u32::try_from(rows).map_err(Error::internal("a row group has too many rows"))?,
            encoding: if self.value.is_some() { Encoding::RLE_DICTIONARY } else { Encoding::PLAIN },
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        })?;
        let content = Bytes::from(content.into_inner()?);
        let length = content.len() as u64;
        let metadata = metadata
            .set_compression(Compression::UNCOMPRESSED)
            .set_encodings(vec![Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY])
            .set_num_values((rows as u64).cast_signed())
            .set_total_compressed_size(length.cast_signed())
            .set_total_uncompressed_size(length.cast_signed())
            .build()?;
        let close = ColumnCloseResult {
            bytes_written: length,
            rows_written: rows as u64,
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: None,
        };
        Ok(group.append_column(&content, close)?)
    }
}

/// A run of Parquet's hybrid encoding: its length times two, seven bits a byte, lowest first; then what is repeated.
fn run(rows: usize, repeated: u8) -> Vec<u8> {
    let mut header = rows << 1;
    let mut run = Vec::new();
    while header > 0x7f {
        run.push(header.to_le_bytes()[0] | 0x80);
        header >>= 7;
    }
    run.extend([header.to_le_bytes()[0], repeated]);
    run
}

#[cfg(test)]
mod tests {
    use super::run;

    #[test]
    fn runs_are_headed_by_twice_their_length() {
        for (rows, encoded) in [
            (1, vec![0x02, 1]),
            (63, vec![0x7e, 1]),
            (64, vec![0x80, 0x01, 1]),
            (2048, vec![0x80, 0x20, 1]),
            (1_000_000, vec![0x80, 0x89, 0x7a, 1]),
        ] {
            assert_eq!(run(rows, 1), encoded);
        }
    }
}
