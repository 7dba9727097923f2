//! The traits by which a process reaches the world, wrapped so that each call meets its fate.

mod dbt;
mod events;
mod store;
mod warehouse;

use std::sync::Arc;

use service::Parts;

use crate::Process;
pub(crate) use warehouse::lost;

/// The same parts, as `process` reaches them.
pub fn observed(parts: Parts, process: &Arc<Process>) -> Parts {
    Parts {
        store: Arc::new(store::ObservedStore::new(parts.store, process.clone())),
        warehouse: Arc::new(warehouse::ObservedWarehouse::new(parts.warehouse, process.clone())),
        dbt: Arc::new(dbt::ObservedEngine::new(parts.dbt, process.clone())),
        events: Arc::new(events::ObservedSink::new(parts.events, process.clone())),
        ..parts
    }
}

/// What a caller is told of a call that was not answered.
fn no_answer() -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::ConnectionReset, "the connection broke before there was an answer")
}
