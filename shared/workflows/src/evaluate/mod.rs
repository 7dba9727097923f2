//! Runs a parsed workflow.
//!
//! An execution is one future and branches are polled inside it, never on tasks of their own. So dropping the future cancels
//! everything at once, and what does not wait, such as an assign step, is never interleaved with another branch.

mod block;
mod call;
mod memory;
mod parallel;
mod retry;
mod scope;
mod template;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value as Json;

use crate::exception::{Exception, Raised};
use crate::host::{Host, Place};
use crate::limits;
use crate::syntax::{Program, Routine, Step};
use crate::value::{Text, Value};
use futures::FutureExt as _;

use memory::Meter;
use scope::Scope;

/// One run of a workflow.
pub(crate) struct Execution<'a> {
    file: &'a str,
    program: &'a Program,
    host: &'a Host,
    /// Steps started so far, in all branches.
    steps: AtomicU64,
    memory: Meter,
}

/// One call of a routine, or one branch of it.
pub(crate) struct Frame<'a> {
    routine: &'a Routine,
    scope: Scope,
    /// Routines on the stack, this one included.
    depth: usize,
    /// Parallel steps around this frame, those of its callers included.
    parallel: usize,
    branch: Option<Text>,
}

/// Where execution goes after a step or a list of steps.
enum Flow {
    /// To what follows.
    On,
    /// To a step of the block that is so many levels further out.
    Jump {
        levels: usize,
        index: usize,
    },
    Continue,
    Break,
    Return(Value),
}

/// Runs `program` from its main routine.
pub(crate) async fn run(file: &str, program: &Program, argument: Json, host: &Host) -> Finished {
    let execution = Execution { file, program, host, steps: AtomicU64::new(0), memory: Meter::default() };
    let outcome = match execution.start(argument) {
        Ok(mut frame) => execution.run_routine(&mut frame).await,
        Err(exception) => Err(exception),
    };
    let outcome = outcome.and_then(|value| value.to_json()).map_err(Exception::into_raised);
    Finished { outcome, steps: execution.steps.into_inner().min(limits::STEPS) }
}

/// What came of an execution.
#[derive(Debug)]
pub struct Finished {
    /// What `main` returned, or null; or the error that no step caught.
    pub outcome: Result<Json, Raised>,
    /// How many steps were executed, as Google counts and bills them: each step as often as it ran, whatever it holds, and
    /// each further attempt of a `try`. What a connector polls is not known here.
    pub steps: u64,
}

/// What an expression sees.
pub(crate) struct View<'v, 'a> {
    execution: &'v Execution<'a>,
    frame: &'v Frame<'a>,
}

impl View<'_, '_> {
    pub(crate) fn variable(&self, name: &str) -> Option<Value> {
        self.frame.scope.get(name)
    }

    pub(crate) fn host(&self) -> &Host {
        self.execution.host
    }

    /// Calls a sub-workflow, which the loader has found not to wait for anything.
    pub(crate) fn call(&self, name: &str, arguments: Vec<Value>) -> Result<Value, Exception> {
        let arguments = arguments.into_iter().map(Some).collect();
        self.execution
            .call_routine(name, arguments, self.frame)
            .now_or_never()
            .unwrap_or_else(|| Err(Exception::system(format!("{name} waits and was called inside an expression"))))
    }
}

impl<'a> Execution<'a> {
    fn start(&self, argument: Json) -> Result<Frame<'a>, Exception> {
        let size = argument.to_string().len();
        if size > limits::ARGUMENT_BYTES {
            let limit = limits::ARGUMENT_BYTES;
            return Err(Exception::resource_limit(format!("an argument of {size} bytes is over the limit of {limit}")));
        }
        // The loader allows main one parameter, which is null when nothing is passed.
        let main = &self.program.main;
        let parameter = main.parameters.first().map(|parameter| (parameter.name.clone(), Value::from(argument)));
        let scope = Scope::new(parameter, &self.memory)?;
        Ok(Frame { routine: main, scope, depth: 1, parallel: 0, branch: None })
    }

    fn view<'v>(&'v self, frame: &'v Frame<'a>) -> View<'v, 'a> {
        View { execution: self, frame }
    }

    fn routine(&self, name: &str) -> Result<&'a Arc<Routine>, Exception> {
        // The loader refuses calls of what is not there.
        self.program.routines.get(name).ok_or_else(|| Exception::key_error(format!("no sub-workflow {name}")))
    }

    async fn run_routine(&self, frame: &mut Frame<'a>) -> Result<Value, Exception> {
        let body = &frame.routine.body;
        match self.run_block(body, frame).await? {
            Flow::Return(value) => Ok(value),
            _ => Ok(Value::Null),
        }
    }

    fn count_step(&self) -> Result<(), Exception> {
        if self.steps.fetch_add(1, Ordering::Relaxed) < limits::STEPS {
            return Ok(());
        }
        Err(Exception::resource_limit(format!("an execution may take {} steps", limits::STEPS)))
    }

    fn place<'b>(&'b self, step: &'b Step, frame: &'b Frame<'_>) -> Place<'b> {
        Place {
            file: self.file,
            routine: &frame.routine.name,
            step: &step.name,
            line: step.line,
            branch: frame.branch.as_deref(),
        }
    }
}
