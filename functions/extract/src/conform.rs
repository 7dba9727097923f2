//! Gives DuckDB's arrays the contract's types. No value is touched or copied: what differs is how they are labelled
//! (the time zone of instants, the names of fields and list elements).

use std::sync::Arc;

use arrow::array::types::TimestampMicrosecondType;
use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch, StructArray};
use arrow::datatypes::{DataType, SchemaRef, TimeUnit};

use crate::Error;

/// The batch under the contract's schema.
pub(crate) fn conform(batch: &StructArray, schema: &SchemaRef) -> Result<RecordBatch, Error> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(array, field)| relabelled(array, field.data_type())).collect::<Result<_, _>>()?;
    RecordBatch::try_new(schema.clone(), columns).map_err(Error::internal("the source answered with other columns"))
}

fn relabelled(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, Error> {
    let failed = || format!("the source answered with {} for {wanted}", array.data_type());
    Ok(match (array.data_type(), wanted) {
        (found, wanted) if found == wanted => array.clone(),
        (DataType::Timestamp(TimeUnit::Microsecond, _), DataType::Timestamp(TimeUnit::Microsecond, zone)) => {
            Arc::new(array.as_primitive::<TimestampMicrosecondType>().clone().with_timezone_opt(zone.clone()))
        }
        (DataType::List(_), DataType::List(element)) => {
            let list = array.as_list::<i32>();
            let values = relabelled(list.values(), element.data_type())?;
            let relabelled = ListArray::try_new(element.clone(), list.offsets().clone(), values, list.nulls().cloned());
            Arc::new(relabelled.map_err(Error::internal(failed()))?)
        }
        (DataType::Struct(found), DataType::Struct(fields)) if found.len() == fields.len() => {
            let record = array.as_struct();
            let columns = record.columns().iter().zip(fields);
            let columns =
                columns.map(|(column, field)| relabelled(column, field.data_type())).collect::<Result<_, _>>()?;
            let relabelled = StructArray::try_new(fields.clone(), columns, record.nulls().cloned());
            Arc::new(relabelled.map_err(Error::internal(failed()))?)
        }
        _ => return Err(Error::Internal { message: failed(), source: None }),
    })
}
