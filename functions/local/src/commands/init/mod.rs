//! `bgp init`: a first version of what people write themselves.

mod project;
mod table;

use service::Config;

use crate::arguments::{InitOptions, InitWhat};
use crate::failure::Failure;

/// Proposes what was asked for.
pub(crate) async fn init(config: &Config, options: &InitOptions) -> Result<(), Failure> {
    match (&options.what, &options.dbt) {
        (Some(InitWhat::Table(options)), _) => table::table(config, options).await,
        (None, Some(folder)) => project::project(config, folder, options.source.as_deref()).await,
        (None, None) => Err(Failure::new("say what: bgp init table NAME, or bgp init --dbt DIR")),
    }
}
