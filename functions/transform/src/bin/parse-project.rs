//! Parses the dbt project once, when an image is made, and prints the file for `BGP_DBT_PARSED`. It reads the environment of
//! the functions, and calls nothing of the cloud.

use std::process::ExitCode;

use service::{Config, Problem, parse_project};

fn main() -> ExitCode {
    let parse = || -> Result<(), Problem> {
        let config = Config::from_env().map_err(|error| Problem::rejected(error.to_string()))?;
        let runtime = tokio::runtime::Runtime::new().map_err(|error| Problem::internal(error.to_string()))?;
        let file = runtime.block_on(parse_project(&config))?;
        println!("{}", file.display());
        Ok(())
    };
    match parse() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("parse-project: {}", problem.detail);
            ExitCode::FAILURE
        }
    }
}
