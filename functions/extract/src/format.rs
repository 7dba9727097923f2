//! The Parquet that objects are written in.

use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory};
use parquet::basic::{Compression, Encoding, Type, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{SchemaDescriptor, TypePtr};
use pipeline::{LakeLayout, Table};
use rows::RowDigest;
use wap::PartitionKey;

use crate::{Error, contract};

/// The column that every object has beside the contract's: the partition's key. It is no part of the digest.
pub(crate) const PARTITION_COLUMN: &str = "bgp_partition";

/// A larger dictionary of a row group is given up.
const DICTIONARY_BYTES: usize = 256 << 10;

/// The lowest level: with the encodings below, higher ones take longer and gain little.
const ZSTD_LEVEL: i32 = 1;

/// What all objects of a partition have in common.
#[derive(Debug)]
pub(crate) struct Format {
    /// The contract's columns.
    schema: SchemaRef,
    partition: PartitionKey,
    partition_field: FieldRef,
    layout: LakeLayout,
    root: TypePtr,
    properties: WriterPropertiesPtr,
    writers: ArrowRowGroupWriterFactory,
}

impl Format {
    pub(crate) fn new(table: &Table, partition: &PartitionKey) -> Result<Self, Error> {
        let schema = Arc::new(contract::schema(&table.columns));
        let partition_field = Arc::new(Field::new(PARTITION_COLUMN, DataType::Utf8, true));
        let fields = schema.fields().iter().chain([&partition_field]).cloned();
        let stored = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let descriptor = ArrowSchemaConverter::new().convert(&stored)?;
        let properties = Arc::new(properties(&table.lake, &descriptor)?);
        let root = descriptor.root_schema_ptr();
        // A file that nobody reads: the factory takes its schema and its properties from one.
        let model = SerializedFileWriter::new(std::io::sink(), root.clone(), properties.clone())?;
        let writers = ArrowRowGroupWriterFactory::new(&model, stored);
        let (partition, layout) = (partition.clone(), table.lake.clone());
        Ok(Self { schema, partition, partition_field, layout, root, properties, writers })
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

    /// The writers of a new row group, one a leaf column.
    pub(crate) fn column_writers(&self) -> Result<Vec<ArrowColumnWriter>, Error> {
        Ok(self.writers.create_column_writers(0)?)
    }

    /// Starts an object.
    pub(crate) fn file<W: std::io::Write + Send>(&self, sink: W) -> Result<SerializedFileWriter<W>, Error> {
        Ok(SerializedFileWriter::new(sink, self.root.clone(), self.properties.clone())?)
    }

    /// The columns of an object for a batch of the contract's.
    pub(crate) fn columns<'a>(&'a self, batch: &'a RecordBatch) -> impl Iterator<Item = (&'a FieldRef, ArrayRef)> {
        let columns = self.schema.fields().iter().zip(batch.columns().iter().cloned());
        let values = StringArray::from(vec![self.partition.as_str()]);
        let partition = DictionaryArray::new(Int32Array::from(vec![0; batch.num_rows()]), Arc::new(values));
        columns.chain([(&self.partition_field, Arc::new(partition) as ArrayRef)])
    }
}

fn properties(layout: &LakeLayout, schema: &SchemaDescriptor) -> Result<WriterProperties, Error> {
    let compression = match layout.compression {
        pipeline::Compression::Zstd => Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?),
        pipeline::Compression::Snappy => Compression::SNAPPY,
        pipeline::Compression::None => Compression::UNCOMPRESSED,
    };
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
                .set_column_dictionary_page_size_limit(path.clone(), DICTIONARY_BYTES)
                .set_column_encoding(path, Encoding::DELTA_BYTE_ARRAY),
            _ => properties,
        };
    }
    Ok(properties.build())
}
