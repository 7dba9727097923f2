//! An interpreter of the Google Workflows language, for local runs and tests of workflow files.
//!
//! [`Workflow::parse`] refuses, by file and line, what Google would refuse at deployment and what this interpreter lacks, so
//! that a file which loads runs here as it runs there. [`Workflow::run`] is one future: dropping it cancels the execution.
//!
//! ```
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use workflows::{Host, HttpClient, Workflow};
//!
//! let source = "main:\n  params: [argument]\n  steps:\n    - answer:\n        return: ${\"Hello \" + argument.name}\n";
//! let workflow = Workflow::parse("hello.yaml", source)?;
//! let host = Host::new(Arc::new(HttpClient::new()?));
//! let answer = workflow.run(serde_json::json!({ "name": "you" }), &host).await?;
//! # Ok(()) }
//! ```
//!
//! # What is supported
//!
//! | part | supported | refused by name |
//! |---|---|---|
//! | file | `main` and sub-workflows with `params` and defaults; a bare list of steps | YAML anchors, aliases and tags; several documents |
//! | steps | `assign` (also `a.b[0].c`, `a["k"]`), `call` / `args` (map or list) / `result`, `switch` (cases hold any step), `next`, `return`, `raise`, `try` / `retry` / `except`, `for` (`in`, `range`, `index`), `parallel` (`branches`, `for`, `shared`, `concurrency_limit`, `exception_policy: continueAll`), `steps` | `return`, `next: end` and jumps that would leave a parallel branch; `break` of a parallel loop; step names used twice in a routine |
//! | expressions | `or and not`, `== != < <= > >= in`, `+ - * / // %`, unary `-`, literals, lists, members, indices, calls of functions that do not block | `not in` (write `not (a in b)`), map literals, sub-workflow calls, `${...}` beside other text |
//! | helpers | `default`, `double`, `if`, `int`, `keys`, `len`, `string` | |
//! | `base64` | `decode`, `encode` | |
//! | `http` | `delete`, `get`, `patch`, `post`, `put`, `request`; `default_retry`, `default_retry_non_idempotent` and their predicates under `retry` | `private_service_name`, `ca_certificate` |
//! | `json` | `decode`, `encode`, `encode_to_string` | |
//! | `list`, `map` | `list.concat`, `list.prepend`, `map.delete`, `map.get`, `map.merge`, `map.merge_nested` | |
//! | `retry` | `always`, `never`, `default_backoff`, under `retry` | |
//! | `sys` | `get_env`, `log`, `now`, `sleep` | `sleep_until` |
//! | `text` | `decode`, `encode`, `replace_all`, `split`, `substring`, `to_lower`, `to_upper`, `url_decode`, `url_encode`, `url_encode_plus` | `find_all`, and all that take a regular expression |
//! | `time`, `uuid` | `time.format`, `time.parse`, `uuid.generate` | |
//! | others | | connectors (`googleapis.*`), `events`, `experimental`, `hash`, `math` |
//! | limits | source 128 KB, argument 32 KB, response 2 MB, 50 assignments, 50 conditions, 10 branches, 20 at a time, 400 characters an expression, parallel depth 2, call depth 20, 100,000 steps | not kept: the memory of all variables, the length of strings |
//!
//! # Choices where Google publishes nothing
//!
//! - Integer overflow raises `ValueError`. `//` rounds down and `%` has the divisor's sign.
//! - The `branches` of an `UnhandledBranchError` are maps of `id` (the branch's name or the iteration's number) and `error`
//!   (`context` and `payload`). A workflow that must act on them does better to catch errors inside the branch.
//! - `application/*+json` responses are decoded like `application/json`. Redirects are not followed.

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

pub use error::Error;
pub use exception::{Position, Raised};
pub use host::{Clock, Exchange, Host, Observer, Place, SystemClock, Unobserved};
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
        let program = parse::parse(source).map_err(|fault| fault.in_file(file_name))?;
        Ok(Self { file: file_name.to_owned(), program })
    }

    /// Runs `main` with `argument` and returns what it returns, or null.
    ///
    /// # Errors
    /// [`Raised`] when a step raises an error that none catches.
    pub async fn run(&self, argument: Json, host: &Host) -> Result<Json, Raised> {
        evaluate::run(&self.file, &self.program, argument, host).await
    }
}
