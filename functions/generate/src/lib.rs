//! A deterministic retail source in `DuckDB`: the catalogue and the people of a board-game retailer, what customers buy,
//! bring back and pay, and the calendar.
//!
//! [`retail`] is the generator core: every value is a pure function of (seed, start, time zone, scale) and of the row's
//! place. [`source`] writes what it yields.

mod corruption;
mod error;
pub mod retail;
mod routes;
pub mod source;

pub use corruption::Corruption;
pub use error::Error;
pub use routes::routes;
pub use source::{Sandbox, Summary, generate, initialize};
