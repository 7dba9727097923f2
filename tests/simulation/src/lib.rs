//! The real functions and the real workflow, on a simulated store, warehouse and clock: what a night does in hours is
//! done in milliseconds, any call can fail in any way, and the same seed gives the same night again.
//!
//! - [`Call`]: the registry of everything that leaves a process.
//! - [`Process`] and [`Fate`]: who calls, and what becomes of the call.
//! - [`observed`]: any platform's parts, wrapped so that each call meets its fate.
//! - [`World`]: store, warehouse and dbt in memory, which watches what readers see.
//! - [`Service`]: functions in instances that die and are replaced, and runs of daily.yaml against them.
//! - [`matrix`]: one cycle, broken at every call in every way.
//! - [`night`]: a night of several workers, from a seed.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::missing_errors_doc,
    reason = "this crate is tests"
)]

mod calls;
mod embedded;
mod job;
pub mod matrix;
mod night;
mod observed;
mod process;
mod service;
mod settings;
mod world;

pub use calls::Call;
pub use embedded::{Base, EmbeddedStage};
pub use night::{Night, Rates, night};
pub use observed::observed;
pub use process::{Calm, Fate, Fates, Moment, Process};
pub use service::{Place, Service};
pub use settings::{is_full, report, seed};
pub use world::{LEASE, World, WorldStage};
