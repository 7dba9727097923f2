//! What every function has in common: configuration, the platform it works on, logs, health, errors as HTTP answers,
//! and an orderly end.

mod access;
mod backends;
mod body;
pub mod config;
mod logs;
mod platform;
mod problem;
mod project;
mod server;

pub use access::{Access, Guard, Token};
pub use backends::{Draft, Local};
pub use body::{Body, Parameters, Reason};
pub use config::{CloudConfig, Config, ConfigError, Target};
pub use logs::start_logs;
pub use platform::{Parts, Platform, parse_project};
pub use problem::{Kind, Problem, plain};
pub use project::{Layer, ProjectPlan};
pub use server::{Server, detached, main, stop_signal, with_service_routes};
