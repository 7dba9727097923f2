//! The Parquet that objects are written in.

use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory};
use parquet::basic::{Compression, Encoding, Type, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::SchemaDescriptor;
use pipeline::{LakeLayout, Table};
use rows::RowDigest;
use wap::PartitionKey;

use crate::own::{OwnColumn, own_columns};
use crate::{Error, contract};

/// A row group is made of this many bytes of Arrow, and up to a batch more. Larger ones compress little better.
pub(crate) const GROUP_BYTES: usize = 10 << 20;

/// A larger dictionary of a row group is given up, and so is one of over a quarter of its column's share of the group.
const DICTIONARY_BYTES: usize = 128 << 10;

/// The lowest level: with the encodings below, higher ones take longer and gain little.
const ZSTD_LEVEL: i32 = 1;

/// What all objects of a partition have in common.
#[derive(Debug)]
pub(crate) struct Format {
    /// The contract's columns.
    schema: SchemaRef,
    /// The columns that come after those.
    own: [OwnColumn; 3],
    layout: LakeLayout,
    descriptor: SchemaDescriptor,
    properties: WriterPropertiesPtr,
    /// One a column of the contract.
    writers: Vec<ArrowRowGroupWriterFactory>,
}

impl Format {
    /// How the objects are written that the upload `load` makes of a partition.
    pub(crate) fn new(table: &Table, partition: &PartitionKey, load: &str) -> Result<Self, Error> {
        let schema = Arc::new(contract::schema(&table.columns));
        let own = own_columns(table, partition, load)?;
        let fields = schema.fields().iter().chain(own.iter().map(|column| &column.field)).cloned();
        let descriptor = ArrowSchemaConverter::new().convert(&Schema::new(fields.collect::<Vec<_>>()))?;
        let properties = Arc::new(properties(&table.lake, &descriptor)?);
        let writers = |field: &FieldRef| {
            let column = Arc::new(Schema::new(vec![field.clone()]));
            let root = ArrowSchemaConverter::new().convert(&column)?.root_schema_ptr();
            // A file that nobody reads: the factory takes its schema and its properties from one.
            let model = SerializedFileWriter::new(std::io::sink(), root, properties.clone())?;
            Ok(ArrowRowGroupWriterFactory::new(&model, column))
        };
        let writers = schema.fields().iter().map(writers).collect::<Result<_, Error>>()?;
        Ok(Self { schema, own, layout: table.lake.clone(), descriptor, properties, writers })
    }

    /// The schema of the contract's columns.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// A digest of the contract's columns.
    pub(crate) fn digest(&self) -> Result<RowDigest, Error> {
        Ok(RowDigest::new(&self.schema, &[])?)
    }

    /// An object is closed once it has this many rows.
    pub(crate) fn object_rows(&self) -> u64 {
        self.layout.object_rows
    }

    /// An object is closed once it has about this many bytes.
    pub(crate) fn object_bytes(&self) -> u64 {
        self.layout.object_bytes
    }

    /// The writers of a new row group for one of the contract's columns: one a leaf, which records have several of.
    pub(crate) fn column_writers(&self, column: usize) -> Result<Vec<ArrowColumnWriter>, Error> {
        Ok(self.writers[column].create_column_writers(0)?)
    }

    /// Starts an object.
    pub(crate) fn file<W: std::io::Write + Send>(&self, sink: W) -> Result<SerializedFileWriter<W>, Error> {
        Ok(SerializedFileWriter::new(sink, self.descriptor.root_schema_ptr(), self.properties.clone())?)
    }

    /// Writes a row group: what the column writers made of the contract's columns, and the columns after those.
    pub(crate) fn write_group<W: std::io::Write + Send>(
        &self,
        mut group: SerializedRowGroupWriter<'_, W>,
        chunks: Vec<ArrowColumnChunk>,
        rows: usize,
    ) -> Result<(), Error> {
        let leaves = chunks.len();
        for chunk in chunks {
            chunk.append_to_row_group(&mut group)?;
        }
        for (place, column) in self.own.iter().enumerate() {
            column.append(self.descriptor.column(leaves + place), &mut group, rows)?;
        }
        group.close()?;
        Ok(())
    }
}

fn properties(layout: &LakeLayout, schema: &SchemaDescriptor) -> Result<WriterProperties, Error> {
    let compression = match layout.compression {
        pipeline::Compression::Zstd => Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?),
        pipeline::Compression::Snappy => Compression::SNAPPY,
        pipeline::Compression::None => Compression::UNCOMPRESSED,
    };
    let dictionary_bytes = DICTIONARY_BYTES.min(GROUP_BYTES / schema.num_columns() / 4);
    let mut properties = WriterProperties::builder()
        .set_created_by("BlueGreenPrint".to_owned())
        .set_compression(compression)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true);
    // Numbers that rise or stay within a range take few bits as differences, with less work than a dictionary. Texts
    // begin with a dictionary, which is given up early where they rarely repeat; keys in order then share prefixes.
    for leaf in schema.columns() {
        let path = leaf.path().clone();
        properties = match leaf.physical_type() {
            Type::INT32 | Type::INT64 => properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED),
            Type::BYTE_ARRAY => properties
                .set_column_dictionary_page_size_limit(path.clone(), dictionary_bytes)
                .set_column_encoding(path, Encoding::DELTA_BYTE_ARRAY),
            _ => properties,
        };
    }
    Ok(properties.build())
}
