//! Runs `try`, `retry` and `except`.

use std::time::Duration;

use crate::evaluate::{Execution, Flow, Frame};
use crate::exception::Exception;
use crate::syntax::{Predicate, Retry, Step, Try};
use crate::value::Value;

/// A retry policy with its expressions evaluated.
struct Policy<'a> {
    predicate: &'a Predicate,
    max_retries: u64,
    delay: f64,
    max_delay: f64,
    multiplier: f64,
}

impl<'a> Execution<'a> {
    pub(super) async fn run_try(&self, attempt: &Try, step: &Step, frame: &mut Frame<'a>) -> Result<Flow, Exception> {
        let raised = match self.run_attempts(attempt, step, frame).await {
            Ok(flow) => return Ok(flow),
            Err(exception) => exception,
        };
        let Some(except) = &attempt.except else { return Err(raised) };
        frame.scope.enter();
        if let Some(variable) = &except.variable {
            // What was raised is there already; a limit must not hide it.
            let _ = frame.scope.declare(variable, raised.value().clone());
        }
        let flow = self.run_block(&except.body, frame).await;
        frame.scope.leave();
        flow
    }

    /// Runs the body again, from its start, for as long as the policy says so.
    async fn run_attempts(&self, attempt: &Try, step: &Step, frame: &mut Frame<'a>) -> Result<Flow, Exception> {
        let mut policy = None;
        let mut retries = 0;
        loop {
            let exception = match self.run_inner(&attempt.body, step, frame).await {
                Ok(flow) => return Ok(flow),
                Err(exception) => exception,
            };
            let Some(retry) = &attempt.retry else { return Err(exception) };
            let policy = match &mut policy {
                Some(policy) => policy,
                none => none.insert(self.policy(retry, frame)?),
            };
            if retries == policy.max_retries || !self.accepts(policy.predicate, &exception, frame).await? {
                return Err(exception);
            }
            retries += 1;
            let delay = Duration::try_from_secs_f64(policy.delay.min(policy.max_delay)).unwrap_or(Duration::MAX);
            policy.delay *= policy.multiplier;
            self.host.observer.retrying(self.place(step, frame), retries, delay);
            self.host.clock.sleep(delay).await;
            self.count_step()?;
        }
    }

    fn policy<'b>(&self, retry: &'b Retry, frame: &Frame<'a>) -> Result<Policy<'b>, Exception> {
        let view = &self.view(frame);
        let seconds = |name: &str, value: f64| {
            if value >= 0.0 { Ok(value) } else { Err(Exception::value_error(format!("{name} must not be negative"))) }
        };
        let max_retries = retry.max_retries.int("max_retries", view)?;
        Ok(Policy {
            predicate: &retry.predicate,
            max_retries: u64::try_from(max_retries)
                .map_err(|_| Exception::value_error("max_retries must not be negative"))?,
            delay: seconds("initial_delay", retry.initial_delay.number("initial_delay", view)?)?,
            max_delay: seconds("max_delay", retry.max_delay.number("max_delay", view)?)?,
            multiplier: seconds("multiplier", retry.multiplier.number("multiplier", view)?)?,
        })
    }

    async fn accepts(
        &self,
        predicate: &Predicate,
        exception: &Exception,
        frame: &Frame<'a>,
    ) -> Result<bool, Exception> {
        let code = exception.code().filter(|_| exception.has_tag("HttpError"));
        Ok(match predicate {
            Predicate::Always => true,
            Predicate::Never => false,
            Predicate::Idempotent => {
                matches!(code, Some(429 | 502 | 503 | 504))
                    || ["ConnectionError", "ConnectionFailedError", "TimeoutError"]
                        .into_iter()
                        .any(|tag| exception.has_tag(tag))
            }
            // What surely did not reach the server, or was turned away by it.
            Predicate::NonIdempotent => matches!(code, Some(429 | 503)) || exception.has_tag("ConnectionFailedError"),
            Predicate::Routine(name) => {
                match self.call_routine(name, vec![Some(exception.value().clone())], frame).await? {
                    Value::Bool(bool) => bool,
                    other => {
                        return Err(Exception::type_error(format!(
                            "retry predicate {name} must return a boolean, not {}",
                            other.kind()
                        )));
                    }
                }
            }
        })
    }
}
