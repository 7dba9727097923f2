#![doc = include_str!("../README.md")]

mod error;
mod evaluate;
mod exception;
mod expression;
mod host;
mod http;
mod library;
mod limits;
mod parse;
mod syntax;
mod value;

pub use error::{Error, Problem};
pub use evaluate::Finished;
pub use exception::{Position, Raised};
pub use host::{
    Clock, Exchange, ExecutionFailure, Executions, Host, NoExecutions, Observer, Place, SystemClock, Unobserved,
};
pub use http::{Auth, Http, HttpClient, HttpFailure, Request, Response};

use serde_json::Value as Json;

/// A workflow file that was parsed and checked, ready to run any number of times, also at once.
#[derive(Debug)]
pub struct Workflow {
    file: String,
    program: syntax::Program,
}

impl Workflow {
    /// Parses the text of a file; `file_name` is what errors and observers call it.
    ///
    /// # Errors
    /// [`Error::Rejected`] with the line of the first thing that would not run.
    pub fn parse(file_name: &str, source: &str) -> Result<Self, Error> {
        let mut faults = match parse::parse(source) {
            Ok(program) => return Ok(Self { file: file_name.to_owned(), program }),
            Err(faults) => faults.into_iter(),
        };
        let first = faults.next().map_or((1, String::new()), |fault| (fault.line, fault.message));
        Err(Error::Rejected { file: file_name.to_owned(), line: first.0, message: first.1 })
    }

    /// All that would be refused at the deployment of a file, and what this interpreter lacks, in the order of the lines.
    pub fn check(source: &str) -> Vec<Problem> {
        let faults = parse::parse(source).err().unwrap_or_default();
        faults.into_iter().map(error::Fault::into_problem).collect()
    }

    /// Runs `main` with `argument`, and counts the steps.
    pub async fn execute(&self, argument: Json, host: &Host) -> Finished {
        evaluate::run(&self.file, &self.program, argument, host).await
    }

    /// Runs `main` with `argument` and returns what it returns, or null.
    ///
    /// # Errors
    /// [`Raised`] when a step raises an error that none catches.
    pub async fn run(&self, argument: Json, host: &Host) -> Result<Json, Raised> {
        self.execute(argument, host).await.outcome
    }
}
