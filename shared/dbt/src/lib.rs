//! Runs dbt for the pipeline: knows a project from its parsed manifest, digests its models, and runs and tests
//! them in a place of the pipeline's choosing, whatever names the project itself would give.
//!
//! dbt lives in one warm Python process (`worker/worker.py`), started at the first need and again when it dies.
//! Knowing a project needs no Python once its parse is cached.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod checkout;
mod command;
mod digest;
mod engine;
mod error;
mod files;
mod packages;
mod parsed;
mod project;
mod settings;
mod touched;
mod worker;

pub use checkout::GitSource;
pub use command::{
    BigqueryPlace, JobCost, NodeResult, NodeStatus, Place, RunReport, RunRequest, TestReport, TestRequest, TestResult,
    TestStatus,
};
pub use engine::{Dbt, Engine};
pub use error::Error;
pub use project::{Column, Kind, Node, Project, Severity, Source, SourceColumn};
pub use settings::{Settings, Target};
pub use touched::{AsOf, Rows, Touched};
