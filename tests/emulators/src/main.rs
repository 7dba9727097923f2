//! Runs the emulated cloud in the foreground. When everything answers it prints the endpoints as one line of JSON; it ends
//! with standard input, SIGTERM or SIGINT.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use emulators::{Emulators, Environment, Options};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;

#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// The folder for datasets, buckets and logs; what is there is gone on with.
    #[arg(long)]
    folder: PathBuf,
    /// The Python environment made from requirements.txt.
    #[arg(long)]
    environment: PathBuf,
    /// The project that clients name.
    #[arg(long, default_value = "emulated")]
    project: String,
    /// Also start the Pub/Sub emulator, if it is installed.
    #[arg(long)]
    pubsub: bool,
    /// Do not enforce limits of rates.
    #[arg(long)]
    no_rate_limits: bool,
    /// What to log on standard error.
    #[arg(long, default_value = "warn")]
    log: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt().with_env_filter(EnvFilter::new(&arguments.log)).with_writer(std::io::stderr).init();
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut message = format!("bgp-emulators: {error}");
            let mut source = error.source();
            while let Some(error) = source {
                message.push_str(&format!(": {error}"));
                source = error.source();
            }
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    // Asked for before the start, so that a signal during it is not lost.
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let environment = Environment::at(&arguments.environment)?;
    let mut options = Options::new(arguments.folder, environment);
    options.project = arguments.project;
    options.pubsub = arguments.pubsub;
    options.rate_limits = !arguments.no_rate_limits;
    let cloud = tokio::select! {
        started = Emulators::start(options) => started?,
        _ = terminated.recv() => return Ok(()),
        _ = interrupted.recv() => return Ok(()),
    };
    println!("{}", serde_json::to_string(cloud.endpoints())?);
    tokio::select! {
        _ = end_of_input() => {}
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    cloud.stop().await;
    Ok(())
}

/// Resolves when standard input ends. A thread of its own waits for it, which does not hold up the end of the program.
fn end_of_input() -> oneshot::Receiver<()> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        let ended = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        drop((ended, sender));
    });
    receiver
}
