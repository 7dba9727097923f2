//! The `generate` function as a service of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::main("generate", generate::routes)
}
