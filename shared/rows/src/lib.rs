//! The digest of a table's rows: the same rows give the same digest, whatever their order, their batches, the order of
//! the columns, the engine that read them or the number of threads that did.
//!
//! Every value is brought into one canonical form, hashed with its column's seed, and added to its row; every row is
//! mixed and added to the table. Adding makes the order irrelevant, and still counts a row that comes twice twice.
//!
//! | values | are the same when |
//! |---|---|
//! | integers and decimals of any width, sign and scale | the numbers are equal |
//! | floats of any width | their values are equal as 64 bits; -0 is 0, and every NaN is the same |
//! | dates; times; timestamps of any unit | they are the same day; time; instant (one without a time zone counts as UTC) |
//! | text and bytes, plain, large, as views or by dictionary | the bytes are equal |
//! | lists | their elements are equal, in order |
//! | records | their fields are equal, by name |
//!
//! NULL is equal to NULL only. The form is part of what manifests promise: a change of it is a new [`FORMAT`].

mod column;
mod lanes;

use arrow::datatypes::{Field, SchemaRef};
use arrow::record_batch::RecordBatch;
use wap::Digest;

use column::Column;
use lanes::Lanes;

/// Names the canonical form and the hash. Part of every digest.
pub const FORMAT: &str = "rows/1";

/// What this crate refuses.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The rows can't be digested as they are.
    #[error("{0}")]
    Rejected(String),
}

/// A digest in the making.
///
/// Threads make one each and [`merge`](Self::merge) them in the end.
#[derive(Debug, Clone)]
pub struct RowDigest {
    schema: SchemaRef,
    /// The columns that count, in order of name, each with its place in the schema.
    columns: Vec<(usize, Column)>,
    rows: u64,
    sum: u128,
    scratch: Vec<Lanes>,
}

impl RowDigest {
    /// Starts the digest of rows of this schema. Columns named in `excluded` do not count.
    ///
    /// Refuses types that have no canonical form (intervals, unions, maps) and names that come twice.
    pub fn new(schema: &SchemaRef, excluded: &[&str]) -> Result<Self, Error> {
        let counts = |field: &Field| !excluded.contains(&field.name().as_str());
        let mut columns = schema
            .fields()
            .iter()
            .enumerate()
            .filter(|(_, field)| counts(field))
            .map(|(index, field)| Ok((index, Column::new(Lanes::root(FORMAT), field)?)))
            .collect::<Result<Vec<_>, Error>>()?;
        columns.sort_by(|(_, left), (_, right)| left.name().cmp(right.name()));
        if let Some(pair) = columns.windows(2).find(|pair| pair[0].1.name() == pair[1].1.name()) {
            return Err(Error::Rejected(format!("column {} comes twice; give each its own name", pair[0].1.name())));
        }
        Ok(Self { schema: schema.clone(), columns, rows: 0, sum: 0, scratch: Vec::new() })
    }

    /// Adds the rows of a batch, whose columns must be those of the schema.
    pub fn update(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        self.check(batch)?;
        self.scratch.clear();
        self.scratch.resize(batch.num_rows(), Lanes::default());
        for (index, column) in &self.columns {
            column.add(batch.column(*index), &mut self.scratch)?;
        }
        for row in &self.scratch {
            self.sum = self.sum.wrapping_add(row.finish());
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Adds the rows that another digest of the same columns has seen.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        if self.columns != other.columns {
            return Err(Error::Rejected("digests of different columns can't be merged".to_owned()));
        }
        self.rows += other.rows;
        self.sum = self.sum.wrapping_add(other.sum);
        Ok(())
    }

    /// How many rows were added.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The digest of the rows so far.
    pub fn finish(&self) -> Digest {
        let mut content = Vec::with_capacity(64);
        content.extend_from_slice(FORMAT.as_bytes());
        for (_, column) in &self.columns {
            // The name ends in a byte that is in no UTF-8 text.
            content.extend_from_slice(column.name().as_bytes());
            content.push(0xff);
        }
        content.extend_from_slice(&self.rows.to_le_bytes());
        content.extend_from_slice(&self.sum.to_le_bytes());
        Digest::of(content)
    }

    fn check(&self, batch: &RecordBatch) -> Result<(), Error> {
        let (expected, found) = (self.schema.fields(), batch.schema_ref().fields());
        let same = |left: &Field, right: &Field| left.name() == right.name() && left.data_type() == right.data_type();
        if expected.len() == found.len() && expected.iter().zip(found).all(|(left, right)| same(left, right)) {
            return Ok(());
        }
        Err(Error::Rejected(format!("a batch has the columns {found:?}; the digest was started for {expected:?}")))
    }
}
