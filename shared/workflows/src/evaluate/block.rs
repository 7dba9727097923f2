//! Runs lists of steps.

use std::time::Instant;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use crate::evaluate::{Execution, Flow, Frame};
use crate::exception::Exception;
use crate::expression::evaluate::place;
use crate::syntax::{Action, Assignment, Block, Case, Items, Loop, Next, Step};
use crate::value::Value;

impl<'a> Execution<'a> {
    /// Runs the steps of a block until one leads out of it.
    pub(super) fn run_block<'b>(
        &'b self,
        block: &'b Block,
        frame: &'b mut Frame<'a>,
    ) -> BoxFuture<'b, Result<Flow, Exception>> {
        async move {
            let mut position = 0;
            while let Some(step) = block.steps.get(position) {
                match self.run_step(step, frame).await? {
                    Flow::On => position += 1,
                    Flow::Jump { levels: 0, index } => position = index,
                    Flow::Jump { levels, index } => return Ok(Flow::Jump { levels: levels - 1, index }),
                    out => return Ok(out),
                }
            }
            Ok(Flow::On)
        }
        .boxed()
    }

    async fn run_step(&self, step: &Step, frame: &mut Frame<'a>) -> Result<Flow, Exception> {
        let started = Instant::now();
        self.host.observer.step_started(self.place(step, frame));
        let outcome = match self.count_step() {
            Ok(()) => self.run_action(&step.action, step, frame).await,
            Err(exception) => Err(exception),
        };
        self.host.observer.step_finished(self.place(step, frame), started.elapsed(), outcome.is_err());
        match outcome {
            Ok(Flow::On) => Ok(follow(step.next)),
            Ok(out) => Ok(out),
            Err(exception) => Err(exception.at(&frame.routine.name, &step.name, step.line)),
        }
    }

    /// Runs the action of a case or a `try`; boxed, since an action may hold others.
    pub(super) fn run_inner<'b>(
        &'b self,
        action: &'b Action,
        step: &'b Step,
        frame: &'b mut Frame<'a>,
    ) -> BoxFuture<'b, Result<Flow, Exception>> {
        async move { self.run_action(action, step, frame).await }.boxed()
    }

    /// `step` is the one that is shown to observers.
    async fn run_action(&self, action: &Action, step: &Step, frame: &mut Frame<'a>) -> Result<Flow, Exception> {
        match action {
            Action::Pass => Ok(Flow::On),
            Action::Assign(assignments) => {
                assignments.iter().try_for_each(|assignment| self.assign(assignment, frame))?;
                Ok(Flow::On)
            }
            Action::Call(call) => self.run_call(call, step, frame).await.map(|()| Flow::On),
            Action::Switch(cases) => self.run_switch(cases, step, frame).await,
            Action::Return(value) => Ok(Flow::Return(value.evaluate(&self.view(frame))?)),
            Action::Raise(value) => Err(match value.evaluate(&self.view(frame))? {
                value @ (Value::Text(_) | Value::Map(_)) => Exception::new(value),
                other => Exception::type_error(format!("raise takes a string or a map, not {}", other.kind())),
            }),
            Action::Try(attempt) => self.run_try(attempt, step, frame).await,
            Action::For(repeat) => self.run_for(repeat, frame).await,
            Action::Parallel(parallel) => self.run_parallel(parallel, frame).await.map(|()| Flow::On),
            Action::Steps(block) => self.run_block(block, frame).await,
        }
    }

    fn assign(&self, assignment: &Assignment, frame: &mut Frame<'a>) -> Result<(), Exception> {
        let value = assignment.value.evaluate(&self.view(frame))?;
        if assignment.path.is_empty() {
            return frame.scope.set(&assignment.variable, value);
        }
        let keys = assignment.path.iter().map(|key| key.evaluate(&self.view(frame))).collect::<Result<Vec<_>, _>>()?;
        frame.scope.update(&assignment.variable, |variable| {
            *place(variable, &keys)? = value;
            Ok(())
        })
    }

    async fn run_switch(&self, cases: &[Case], step: &Step, frame: &mut Frame<'a>) -> Result<Flow, Exception> {
        for case in cases {
            if case.condition.truth(&self.view(frame))? {
                let flow = self.run_inner(&case.action, step, frame).await?;
                return Ok(if matches!(flow, Flow::On) { follow(case.next) } else { flow });
            }
        }
        Ok(Flow::On)
    }

    async fn run_for(&self, repeat: &Loop, frame: &mut Frame<'a>) -> Result<Flow, Exception> {
        let items = self.items(repeat, frame)?;
        // One layer for all iterations: what the body makes lasts until the loop ends.
        frame.scope.enter();
        let flow = self.run_iterations(items, repeat, frame).await;
        frame.scope.leave();
        flow
    }

    async fn run_iterations(
        &self,
        items: ItemIterator,
        repeat: &Loop,
        frame: &mut Frame<'a>,
    ) -> Result<Flow, Exception> {
        for (index, value) in items.enumerate() {
            bind(repeat, index, value, frame)?;
            match self.run_block(&repeat.body, frame).await? {
                Flow::On | Flow::Continue => {}
                Flow::Break => break,
                out => return Ok(out),
            }
        }
        Ok(Flow::On)
    }

    /// What a loop goes over, evaluated once.
    pub(super) fn items(&self, repeat: &Loop, frame: &Frame<'a>) -> Result<ItemIterator, Exception> {
        match &repeat.items {
            Items::In(template) => match template.evaluate(&self.view(frame))? {
                Value::List(items) => Ok(Box::new((0..items.len()).map(move |index| items[index].clone()))),
                other => Err(Exception::type_error(format!(
                    "in must be a list, not {}; for a map use keys(map)",
                    other.kind()
                ))),
            },
            Items::Range(ends) => range(&ends.evaluate(&self.view(frame))?),
        }
    }
}

pub(super) type ItemIterator = Box<dyn Iterator<Item = Value> + Send>;

/// Sets the variables of one iteration.
pub(super) fn bind(repeat: &Loop, index: usize, value: Value, frame: &mut Frame<'_>) -> Result<(), Exception> {
    frame.scope.declare(&repeat.value, value)?;
    match &repeat.index {
        Some(name) => frame.scope.declare(name, Value::Int(i64::try_from(index).unwrap_or(i64::MAX))),
        None => Ok(()),
    }
}

/// Both ends included, in steps of one; doubles when one of the ends is a double.
fn range(ends: &Value) -> Result<ItemIterator, Exception> {
    let wrong = || Exception::type_error("range must be a list of two numbers, the first and the last");
    let Value::List(ends) = ends else { return Err(wrong()) };
    match ends.as_slice() {
        [Value::Int(first), Value::Int(last)] => Ok(Box::new((*first..=*last).map(Value::Int))),
        [first, last] => {
            let (first, last) = first.as_number().zip(last.as_number()).ok_or_else(wrong)?;
            let numbers = std::iter::successors(Some(first), |number| Some(number + 1.0));
            Ok(Box::new(numbers.take_while(move |number| *number <= last).map(Value::Double)))
        }
        _ => Err(wrong()),
    }
}

fn follow(next: Option<Next>) -> Flow {
    match next {
        None => Flow::On,
        Some(Next::Jump { levels, index }) => Flow::Jump { levels, index },
        Some(Next::Continue) => Flow::Continue,
        Some(Next::Break) => Flow::Break,
        Some(Next::End) => Flow::Return(Value::Null),
    }
}
