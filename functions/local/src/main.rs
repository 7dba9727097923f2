//! `bgp`: the pipeline on one machine. All functions in one process on a loopback port, and the workflows in the
//! interpreter, over HTTP as in the cloud.

mod arguments;
mod bench;
mod commands;
#[cfg(feature = "google")]
mod emulated;
mod engine;
mod failure;
mod flows;
mod output;
mod progress;
mod proposal;
mod usage;

use std::process::ExitCode;

use clap::Parser;
use service::{Config, Telemetry};

use crate::arguments::{Arguments, Command};
use crate::failure::Failure;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return misused(&error),
    };
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bgp: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Says what is wrong with the arguments, or helps. What is wrong repeats an argument, which may be anything.
fn misused(error: &clap::Error) -> ExitCode {
    let said = error.render().to_string();
    let shown = service::plain(&said);
    if !error.use_stderr() || shown == said {
        error.exit();
    }
    eprintln!("{shown}");
    ExitCode::from(2)
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    let mut config = Config::from_env()?;
    if let Some(file) = arguments.config {
        config.pipeline_file = file;
    }
    if let Some(home) = arguments.home {
        config.home = home;
    }
    if let Some(target) = arguments.target {
        config.target = target.into();
    }
    // Facts and progress are for people here; what functions log is kept for those who ask by BGP_LOG.
    if config.log_filter == "info" {
        "off".clone_into(&mut config.log_filter);
    }
    let runtime = tokio::runtime::Runtime::new()?;
    let outcome = runtime.block_on(async {
        let telemetry = Telemetry::start("bgp", &config)?;
        let outcome = command(arguments.command, config).await;
        telemetry.end().await;
        outcome
    });
    // Work that was abandoned, such as a query after Ctrl-C, must not keep the program.
    runtime.shutdown_background();
    outcome
}

#[cfg_attr(not(feature = "google"), expect(unused_mut, reason = "emulators say where they are"))]
async fn command(command: Command, mut config: Config) -> Result<(), Failure> {
    #[cfg(feature = "google")]
    let _emulators = emulated::start(&mut config).await?;
    match command {
        Command::Demo(options) => commands::demo::demo(&config, &options).await,
        Command::Run(options) => commands::run::run(&config, &options).await,
        Command::Backfill(options) => commands::backfill::backfill(&config, &options).await,
        Command::Status(options) => commands::status::status(&config, &options).await,
        Command::Assets(options) => commands::assets::assets(&config, &options).await,
        Command::Init(options) => commands::init::init(&config, &options).await,
        Command::Publish(options) => commands::publish::publish(&config, &options).await,
        Command::Rollback(options) => commands::rollback::rollback(&config, &options).await,
        Command::Retire(options) => commands::retire::retire(&config, &options).await,
        Command::Hold(options) => commands::hold::hold(&config, &options).await,
        Command::Release(options) => commands::hold::release(&config, &options).await,
        Command::Cleanup(options) => commands::cleanup::cleanup(&config, &options).await,
        Command::Diff(options) => commands::diff::diff(&config, &options).await,
        Command::Doctor(options) => commands::doctor::doctor(&config, &options).await,
        Command::Restore(options) => commands::restore::restore(&config, &options).await,
        Command::Cost(options) => commands::cost::cost(&config, &options).await,
        Command::Receipt(options) => commands::receipt::receipt(&config, &options).await,
        Command::Digest(options) => commands::digest::digest(&config, &options).await,
        Command::Sql(options) => commands::sql::sql(&config, &options).await,
        Command::Up(options) => commands::up::up(&config, &options).await,
        Command::Workflows(options) => commands::workflows::workflows(&options),
        Command::Bench(options) => bench::bench(&config, &options).await,
    }
}
