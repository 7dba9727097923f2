//! dbt for real: the worker, the project of this repository and small projects of other people's making.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod audit;
mod common;
mod incremental;
mod projects;
mod retail;
