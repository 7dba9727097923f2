//! The sandbox, written into `DuckDB` and questioned there.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod content;
mod purity;
mod small;
mod support;
mod till;
