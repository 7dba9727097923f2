//! What every function has in common: configuration, the platform it works on, logs, health, errors as HTTP answers,
//! and an orderly end.

mod access;
mod backends;
mod body;
pub mod config;
mod each;
mod lineage;
mod logs;
mod platform;
mod problem;
mod project;
mod secrets;
mod server;
mod telemetry;
mod trace;

pub use access::{Access, Guard, Token};
pub use backends::{Draft, Local};
pub use body::{Body, Parameters, Reason};
pub use config::{CloudConfig, Config, ConfigError, Secret, Target};
pub use each::{check_number, each};
pub use lineage::OpenLineage;
pub use platform::{Parts, Platform, parse_project, settings_of_folder};
pub use problem::{Kind, Problem, plain};
pub use project::{Layer, ProjectPlan};
pub use secrets::{Secrets, SourceAccess};
pub use server::{Server, detached, main, stop_signal, with_service_routes};
pub use telemetry::{Telemetry, start_logs};
pub use trace::traceparent;
