//! Sums of integer and decimal columns, exact, as text that can be compared.

use std::collections::BTreeMap;

use arrow::array::types::{ArrowPrimitiveType, Decimal128Type, Int64Type};
use arrow::array::{Array, AsArray, RecordBatch};
use pipeline::{ColumnType, Mode, Table};
use wap::Identifier;

use crate::Error;

/// The columns of a table that are summed, and their sums so far.
#[derive(Debug, Clone)]
pub(crate) struct Sums(Vec<Sum>);

#[derive(Debug, Clone)]
struct Sum {
    column: Identifier,
    /// The column's place in the contract.
    index: usize,
    /// Digits after the point.
    scale: u8,
    total: i128,
}

impl Sums {
    /// The columns whose sums reconciliation compares. Floating-point sums depend on the order, so there are none.
    pub(crate) fn new(table: &Table) -> Self {
        let measures = table.reconcile.iter().flat_map(|reconcile| reconcile.measures.keys());
        let sums = measures.filter_map(|name| {
            let index = table.columns.iter().position(|column| column.name == *name)?;
            let column = table.columns.get(index).filter(|column| column.mode != Mode::Repeated)?;
            let scale = match column.column_type {
                ColumnType::Integer => 0,
                ColumnType::Numeric { scale, .. } | ColumnType::Bignumeric { scale, .. } => scale,
                _ => return None,
            };
            Some(Sum { column: name.clone(), index, scale, total: 0 })
        });
        Self(sums.collect())
    }

    /// The places of the summed columns in the contract.
    pub(crate) fn columns(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|sum| sum.index)
    }

    /// Adds the rows of a batch of the contract's schema.
    pub(crate) fn update(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        for sum in &mut self.0 {
            let array = batch.column(sum.index);
            let added = match array.as_primitive_opt::<Int64Type>() {
                Some(_) => total::<Int64Type>(array),
                None => total::<Decimal128Type>(array),
            };
            let total = added.and_then(|added| sum.total.checked_add(added));
            sum.total =
                total.ok_or_else(|| Error::rejected(format!("the sum of {} has over 38 digits", sum.column)))?;
        }
        Ok(())
    }

    /// Adds the sums over other rows of the same table.
    pub(crate) fn merge(&mut self, other: &Self) -> Result<(), Error> {
        for (sum, other) in self.0.iter_mut().zip(&other.0) {
            let total = sum.total.checked_add(other.total);
            sum.total =
                total.ok_or_else(|| Error::rejected(format!("the sum of {} has over 38 digits", sum.column)))?;
        }
        Ok(())
    }

    /// Each column's sum as decimal text without superfluous zeros: `0`, `-12.5`.
    pub(crate) fn finish(&self) -> BTreeMap<Identifier, String> {
        self.0.iter().map(|sum| (sum.column.clone(), decimal_text(sum.total, sum.scale))).collect()
    }
}

/// The sum of what is not NULL.
fn total<T>(array: &dyn Array) -> Option<i128>
where
    T: ArrowPrimitiveType,
    T::Native: Into<i128>,
{
    let array = array.as_primitive_opt::<T>()?;
    match array.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => array.values().iter().try_fold(0_i128, |total, value| total.checked_add((*value).into())),
        Some(_) => array.iter().flatten().try_fold(0_i128, |total, value| total.checked_add(value.into())),
    }
}

fn decimal_text(digits: i128, scale: u8) -> String {
    let scale = usize::from(scale);
    let sign = if digits < 0 { "-" } else { "" };
    let padded = format!("{:0>width$}", digits.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    trimmed(&format!("{sign}{whole}.{fraction}"))
}

/// Decimal text without superfluous zeros.
pub(crate) fn trimmed(text: &str) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_written_without_superfluous_zeros() {
        for (digits, scale, text) in [
            (0, 0, "0"),
            (0, 2, "0"),
            (-5, 2, "-0.05"),
            (1_250, 2, "12.5"),
            (1_200, 2, "12"),
            (100, 0, "100"),
            (-i128::MAX, 0, "-170141183460469231731687303715884105727"),
        ] {
            assert_eq!(decimal_text(digits, scale), text);
        }
    }
}
