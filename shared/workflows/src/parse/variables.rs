//! Which variables a routine reads and writes where: unknown ones and writes that a parallel step forbids are refused.

use std::collections::HashSet;

use crate::error::{Fault, suggestion};
use crate::expression::Expression;
use crate::syntax::{Action, Block, Items, Loop, Parallel, Retry, Routine, Target, Template, Try, Work};
use crate::value::Text;

pub(super) fn check(routine: &Routine) -> Result<(), Fault> {
    let parameters = routine.parameters.iter().map(|parameter| parameter.name.clone());
    let mut checker = Checker { levels: vec![Level::new(parameters, &routine.body, None)] };
    checker.block(&routine.body)
}

/// The variables of a routine, a loop, an `except` or a parallel branch.
struct Level {
    /// Everything made anywhere in it. Jumps may run steps in any order, so this is what may be read.
    all: HashSet<Text>,
    /// What was made further up in the file: a write to one of these is no new variable.
    made: HashSet<Text>,
    /// For a parallel branch: the variables around it that it may write.
    shared: Option<HashSet<Text>>,
}

impl Level {
    fn new(given: impl IntoIterator<Item = Text>, body: &Block, shared: Option<HashSet<Text>>) -> Self {
        let made: HashSet<Text> = given.into_iter().collect();
        let mut all = made.clone();
        collect(body, &mut all);
        Self { all, made, shared }
    }
}

struct Checker {
    /// The outermost first.
    levels: Vec<Level>,
}

impl Checker {
    fn block(&mut self, block: &Block) -> Result<(), Fault> {
        block.steps.iter().try_for_each(|step| self.action(&step.action))
    }

    fn action(&mut self, action: &Action) -> Result<(), Fault> {
        match action {
            Action::Pass => Ok(()),
            Action::Assign(assignments) => assignments.iter().try_for_each(|assignment| {
                self.template(&assignment.value)?;
                if !assignment.path.is_empty() {
                    self.read(&assignment.variable, assignment.line)?;
                }
                assignment.path.iter().try_for_each(|key| self.expression(key, assignment.line))?;
                self.write(&assignment.variable, assignment.line)
            }),
            Action::Call(call) => {
                let (Target::Routine { arguments, .. } | Target::Function { arguments, .. }) = &call.target;
                arguments.iter().flatten().try_for_each(|argument| self.template(argument))?;
                call.result.as_ref().map_or(Ok(()), |result| self.write(result, call.line))
            }
            Action::Switch(cases) => cases.iter().try_for_each(|case| {
                self.template(&case.condition)?;
                self.action(&case.action)
            }),
            Action::Return(value) | Action::Raise(value) => self.template(value),
            Action::Try(attempt) => self.attempt(attempt),
            Action::For(repeat) => self.repeat(repeat, None),
            Action::Parallel(parallel) => self.parallel(parallel),
            Action::Steps(block) => self.block(block),
        }
    }

    fn attempt(&mut self, attempt: &Try) -> Result<(), Fault> {
        self.action(&attempt.body)?;
        if let Some(Retry { max_retries, initial_delay, max_delay, multiplier, .. }) = &attempt.retry {
            [max_retries, initial_delay, max_delay, multiplier]
                .into_iter()
                .try_for_each(|value| self.template(value))?;
        }
        match &attempt.except {
            Some(except) => self.inside(Level::new(except.variable.clone(), &except.body, None), &except.body),
            None => Ok(()),
        }
    }

    fn repeat(&mut self, repeat: &Loop, shared: Option<HashSet<Text>>) -> Result<(), Fault> {
        match &repeat.items {
            Items::In(items) => self.template(items)?,
            Items::Range(first, last) => [first, last].into_iter().try_for_each(|end| self.template(end))?,
        }
        let names = || [Some(&repeat.value), repeat.index.as_ref()].into_iter().flatten();
        if let Some(name) = names().find(|name| self.levels.iter().any(|level| level.made.contains(*name))) {
            return Err(Fault::new(
                repeat.line,
                format!("the loop variable \"{name}\" is already a variable of the steps around the loop"),
            ));
        }
        self.inside(Level::new(names().cloned(), &repeat.body, shared), &repeat.body)
    }

    fn parallel(&mut self, parallel: &Parallel) -> Result<(), Fault> {
        for name in &parallel.shared {
            if !self.levels.iter().any(|level| level.made.contains(name)) {
                let near = suggestion(name, self.levels.iter().flat_map(|level| &level.made).map(|name| &**name));
                return Err(Fault::new(
                    parallel.line,
                    format!("the shared variable \"{name}\" is not assigned before the parallel step{near}"),
                ));
            }
            self.write(name, parallel.line)?;
        }
        if let Some(limit) = &parallel.concurrency_limit {
            self.template(limit)?;
        }
        let shared: HashSet<Text> = parallel.shared.iter().cloned().collect();
        match &parallel.work {
            Work::Branches(branches) => branches
                .iter()
                .try_for_each(|branch| self.inside(Level::new(None, &branch.body, Some(shared.clone())), &branch.body)),
            Work::Loop(repeat) => self.repeat(repeat, Some(shared)),
        }
    }

    fn inside(&mut self, level: Level, body: &Block) -> Result<(), Fault> {
        self.levels.push(level);
        let checked = self.block(body);
        self.levels.pop();
        checked
    }

    fn template(&self, template: &Template) -> Result<(), Fault> {
        match template {
            Template::Constant(_) => Ok(()),
            Template::Formula(formula) => self.expression(&formula.expression, formula.line),
            Template::List(items) => items.iter().try_for_each(|item| self.template(item)),
            Template::Map(entries) => entries.iter().try_for_each(|(key, value)| {
                self.template(key)?;
                self.template(value)
            }),
        }
    }

    fn expression(&self, expression: &Expression, line: usize) -> Result<(), Fault> {
        let mut checked = Ok(());
        expression.variables(&mut |name| {
            if checked.is_ok() {
                checked = self.read(name, line);
            }
        });
        checked
    }

    fn read(&self, name: &Text, line: usize) -> Result<(), Fault> {
        if self.levels.iter().any(|level| level.all.contains(name)) {
            return Ok(());
        }
        let near = suggestion(name, self.levels.iter().flat_map(|level| &level.all).map(|known| &**known));
        let hint = match &**name {
            "http" | "retry" if near.is_empty() => "; http.default_retry and its kin stand only under retry",
            _ => "",
        };
        Err(Fault::new(line, format!("\"{name}\" is no variable here: no step of this scope assigns it{near}{hint}")))
    }

    fn write(&mut self, name: &Text, line: usize) -> Result<(), Fault> {
        for level in self.levels.iter().rev() {
            if level.made.contains(name) {
                return Ok(());
            }
            if let Some(shared) = &level.shared
                && !shared.contains(name)
                && self.levels.iter().any(|level| level.made.contains(name))
            {
                return Err(Fault::new(
                    line,
                    format!(
                        "\"{name}\" belongs to the steps around the parallel step and is read-only here: list it under shared"
                    ),
                ));
            }
        }
        if let Some(level) = self.levels.last_mut() {
            level.made.insert(name.clone());
        }
        Ok(())
    }
}

/// Everything that the steps of one level make; loops, `except` and branches are levels of their own.
fn collect(block: &Block, names: &mut HashSet<Text>) {
    for step in &block.steps {
        collect_action(&step.action, names);
    }
}

fn collect_action(action: &Action, names: &mut HashSet<Text>) {
    match action {
        Action::Assign(assignments) => {
            names.extend(
                assignments
                    .iter()
                    .filter(|assignment| assignment.path.is_empty())
                    .map(|assignment| assignment.variable.clone()),
            );
        }
        Action::Call(call) => names.extend(call.result.clone()),
        Action::Switch(cases) => cases.iter().for_each(|case| collect_action(&case.action, names)),
        Action::Try(attempt) => collect_action(&attempt.body, names),
        Action::Steps(block) => collect(block, names),
        Action::Pass | Action::Return(_) | Action::Raise(_) | Action::For(_) | Action::Parallel(_) => {}
    }
}
