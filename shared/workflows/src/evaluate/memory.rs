//! How much an execution holds in its variables.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::exception::Exception;
use crate::limits;
use crate::value::Value;

/// The bytes of all variables and arguments of one execution.
#[derive(Debug, Clone, Default)]
pub(super) struct Meter(Arc<AtomicUsize>);

impl Meter {
    /// Counts a value in the place of one of `before` bytes, and returns its size.
    ///
    /// # Errors
    /// `ResourceLimitError`, and nothing is counted.
    pub(super) fn replace(&self, before: usize, value: &Value) -> Result<usize, Exception> {
        let size = size(value)?;
        let all = self.0.load(Ordering::Relaxed) - before + size;
        if all > limits::MEMORY_BYTES {
            let limit = limits::MEMORY_BYTES;
            return Err(Exception::resource_limit(format!(
                "the variables hold {all} bytes, over the limit of {limit}; keep less of what was received"
            )));
        }
        // Nothing else runs between the two: branches are polled one at a time.
        self.0.store(all, Ordering::Relaxed);
        Ok(size)
    }

    pub(super) fn release(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

fn size(value: &Value) -> Result<usize, Exception> {
    Ok(match value {
        Value::Null | Value::Bool(_) => 1,
        Value::Int(_) | Value::Double(_) => 8,
        Value::Bytes(bytes) => bytes.len(),
        Value::Text(text) if text.len() > limits::TEXT_BYTES => {
            let (length, limit) = (text.len(), limits::TEXT_BYTES);
            return Err(Exception::resource_limit(format!("a string of {length} bytes is over the limit of {limit}")));
        }
        Value::Text(text) => text.len(),
        Value::List(items) => items.iter().map(size).sum::<Result<usize, _>>()?,
        Value::Map(map) => {
            map.iter().map(|(key, value)| Ok(key.len() + size(value)?)).sum::<Result<usize, Exception>>()?
        }
    })
}
