//! `bgp up`: every function on one port.

use std::net::SocketAddr;

use service::{Config, Platform, Server};

use crate::arguments::UpOptions;
use crate::engine::router;
use crate::failure::Failure;

/// Serves until SIGTERM or Ctrl-C.
pub(crate) async fn up(config: &Config, options: &UpOptions) -> Result<(), Failure> {
    let platform = Platform::open(config).await?;
    let address = SocketAddr::new(config.listen.ip(), options.port.unwrap_or(config.listen.port()));
    let server = Server::start(address, router(&platform, config)?).await.map_err(|error| {
        Failure::new(format!("can't listen on {address}: {error}; choose another: bgp up --port P"))
    })?;
    eprintln!("every function is at http://{}; /openapi.json describes them", server.address);
    service::stop_signal().await?;
    server.stop().await;
    Ok(())
}
