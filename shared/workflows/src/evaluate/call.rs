//! Runs call steps.

use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::{Either, select};

use crate::evaluate::{Execution, Frame, Scope};
use crate::exception::Exception;
use crate::host::Exchange;
use crate::library::{self, Arguments, Blocking, Body, Function};
use crate::limits;
use crate::syntax::{Call, Step, Target, Template};
use crate::value::Value;

impl<'a> Execution<'a> {
    pub(super) async fn run_call(&self, call: &Call, step: &Step, frame: &mut Frame<'a>) -> Result<(), Exception> {
        let value = match &call.target {
            Target::Function { function, arguments } => self.call_function(function, arguments, step, frame).await?,
            Target::Routine { name, arguments } => {
                let arguments = arguments
                    .iter()
                    .map(|argument| argument.as_ref().map(|argument| argument.evaluate(&self.view(frame))).transpose())
                    .collect::<Result<Vec<_>, _>>()?;
                self.call_routine(name, arguments, frame).await?
            }
        };
        if let Some(result) = &call.result {
            frame.scope.set(result, value)?;
        }
        Ok(())
    }

    /// Calls a sub-workflow; `None`, or no argument at all, stands for the parameter's default.
    pub(super) async fn call_routine(
        &self,
        name: &str,
        arguments: Vec<Option<Value>>,
        frame: &Frame<'a>,
    ) -> Result<Value, Exception> {
        if frame.depth == limits::CALL_DEPTH {
            return Err(Exception::recursion(format!("calls nest deeper than {}", limits::CALL_DEPTH)));
        }
        let routine = self.routine(name)?;
        let arguments = arguments.into_iter().chain(std::iter::repeat(None));
        let parameters = routine.parameters.iter().zip(arguments).map(|(parameter, argument)| {
            (parameter.name.clone(), argument.or_else(|| parameter.default.clone()).unwrap_or(Value::Null))
        });
        let mut callee = Frame {
            routine,
            scope: Scope::new(parameters, &self.memory)?,
            depth: frame.depth + 1,
            parallel: frame.parallel,
            branch: frame.branch.clone(),
        };
        self.run_routine(&mut callee).boxed().await
    }

    async fn call_function(
        &self,
        function: &'static Function,
        arguments: &[Option<Template>],
        step: &Step,
        frame: &Frame<'a>,
    ) -> Result<Value, Exception> {
        let values = arguments
            .iter()
            .map(|argument| argument.as_ref().map_or(Ok(Value::Null), |argument| argument.evaluate(&self.view(frame))))
            .collect::<Result<Vec<_>, _>>()?;
        match function.body {
            Body::Pure(_) => function.call(values, self.host),
            Body::Blocking(blocking) => self.call_blocking(blocking, &function.arguments(values), step, frame).await,
        }
    }

    async fn call_blocking(
        &self,
        blocking: Blocking,
        arguments: &Arguments,
        step: &Step,
        frame: &Frame<'a>,
    ) -> Result<Value, Exception> {
        let observer = &self.host.observer;
        match blocking {
            Blocking::Http(method) => {
                let request = library::http::request(method, arguments)?;
                let (method, url) = (request.method.clone(), request.url.clone());
                observer.call_started(self.place(step, frame), &method, &url);
                let started = Instant::now();
                let sent = self.host.http.send(request).await;
                let exchange = Exchange {
                    method: &method,
                    url: &url,
                    code: sent.as_ref().ok().map(|response| response.code),
                    duration: started.elapsed(),
                };
                observer.call_finished(self.place(step, frame), exchange);
                library::http::outcome(sent)
            }
            Blocking::Log => {
                let (severity, message) = library::log_entry(arguments)?;
                observer.log(self.place(step, frame), severity, &message);
                Ok(Value::Null)
            }
            Blocking::Sleep => self.sleep("sys.sleep", arguments.number(0)?).await,
            Blocking::SleepUntil => {
                let now = library::now(self.host);
                self.sleep("sys.sleep_until", (library::parse_time(arguments)? - now).max(0.0)).await
            }
            Blocking::RunExecution => {
                let wanted = library::executions::wanted(arguments)?;
                let run = self.host.executions.run(&wanted.workflow, wanted.argument);
                let timeout = self.host.clock.sleep(wanted.timeout);
                match select(run, timeout).await {
                    Either::Left((outcome, _)) => outcome.map(Value::from).map_err(library::executions::failed),
                    Either::Right(_) => Err(Exception::timeout(format!(
                        "{} did not end within {} s; connector_params.timeout says for how long to wait",
                        wanted.workflow,
                        wanted.timeout.as_secs_f64()
                    ))),
                }
            }
        }
    }

    async fn sleep(&self, function: &str, seconds: f64) -> Result<Value, Exception> {
        let duration = Duration::try_from_secs_f64(seconds).ok().filter(|_| seconds <= limits::SLEEP_SECONDS);
        let wrong =
            || Exception::value_error(format!("{function}: {seconds} is not from 0 to 31536000 seconds, a year"));
        self.host.clock.sleep(duration.ok_or_else(wrong)?).await;
        Ok(Value::Null)
    }
}
