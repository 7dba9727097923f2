//! The emulated cloud: BigQuery, Cloud Storage and Pub/Sub on this machine, with the documented rules that the emulators
//! lack, and faults on demand.
//!
//! ```no_run
//! # async fn example() -> emulators::Result<()> {
//! use emulators::{Emulators, Environment, Options, Plan};
//!
//! let Some(environment) = Environment::for_tests() else { return Ok(()) };
//! let cloud = Emulators::start(Options::new("/tmp/cloud", environment)).await?;
//! println!("{}", cloud.endpoints().bigquery);
//! cloud.faults().inject(Plan::new(1, 0.2));
//! cloud.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! Clients need no credentials; whatever they send is ignored.

mod bigquery;
mod emulators;
mod environment;
mod error;
mod faults;
pub mod gaps;
mod process;
mod proxy;
mod refusal;
mod serve;
mod storage;
mod upstream;

pub use emulators::{Emulators, Endpoints, Options};
pub use environment::Environment;
pub use error::{Error, Result};
pub use faults::{Fault, Faults, Injected, Plan};
