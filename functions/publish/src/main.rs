//! The `publish` function as a service of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::main("publish", publish::routes)
}
