//! The `extract` function: one partition of one table, from its source into the lake.

mod conform;
mod contract;
mod describe;
mod encode;
mod error;
mod extract;
mod format;
mod objects;
mod opened;
mod own;
mod partitions;
mod postgres;
mod routes;
mod selection;
mod source;
mod sums;

pub use describe::{describe, first_day};
pub use error::Error;
pub use extract::extract;
pub use routes::routes;
