//! Extraction from small sources, read back by DuckDB.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixture;
mod lake;
mod refusals;
mod types;
mod windows;
