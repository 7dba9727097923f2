//! Which variables a routine reads and writes where: unknown ones and writes that a parallel step forbids are refused. So are
//! calls inside expressions of sub-workflows that are not there.

use std::collections::HashSet;

use crate::error::{Fault, suggestion};
use crate::expression::Expression;
use crate::library;
use crate::parse::Signatures;
use crate::syntax::{Action, Block, Items, Loop, Parallel, Retry, Routine, Step, Target, Template, Try, Work};
use crate::value::Text;

/// A call of a sub-workflow inside an expression.
#[derive(Debug)]
pub(super) struct InnerCall {
    pub(super) line: usize,
    pub(super) step: Text,
    pub(super) routine: Text,
}

/// Checks one routine, and returns the calls in its expressions.
pub(super) fn check(routine: &Routine, signatures: &Signatures, faults: &mut Vec<Fault>) -> Vec<InnerCall> {
    let parameters = routine.parameters.iter().map(|parameter| parameter.name.clone());
    let levels = vec![Level::new(parameters, &routine.body, None)];
    let mut checker = Checker { signatures, faults, levels, step: "".into(), calls: Vec::new() };
    checker.block(&routine.body);
    checker.calls
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

struct Checker<'a> {
    signatures: &'a Signatures,
    faults: &'a mut Vec<Fault>,
    /// The outermost first.
    levels: Vec<Level>,
    step: Text,
    calls: Vec<InnerCall>,
}

impl Checker<'_> {
    fn fault(&mut self, line: usize, message: String) {
        self.faults.push(Fault::new(line, message).in_step(&self.step));
    }

    fn block(&mut self, block: &Block) {
        for step in &block.steps {
            self.step(step);
        }
    }

    fn step(&mut self, step: &Step) {
        let around = std::mem::replace(&mut self.step, step.name.clone());
        self.action(&step.action);
        self.step = around;
    }

    fn action(&mut self, action: &Action) {
        match action {
            Action::Pass => {}
            Action::Assign(assignments) => {
                for assignment in assignments {
                    self.template(&assignment.value);
                    if !assignment.path.is_empty() {
                        self.read(&assignment.variable, assignment.line);
                    }
                    for key in &assignment.path {
                        self.expression(key, assignment.line);
                    }
                    self.write(&assignment.variable, assignment.line);
                }
            }
            Action::Call(call) => {
                let (Target::Routine { arguments, .. } | Target::Function { arguments, .. }) = &call.target;
                for argument in arguments.iter().flatten() {
                    self.template(argument);
                }
                if let Some(result) = &call.result {
                    self.write(result, call.line);
                }
            }
            Action::Switch(cases) => {
                for case in cases {
                    self.template(&case.condition);
                    self.action(&case.action);
                }
            }
            Action::Return(value) | Action::Raise(value) => self.template(value),
            Action::Try(attempt) => self.attempt(attempt),
            Action::For(repeat) => self.repeat(repeat, None),
            Action::Parallel(parallel) => self.parallel(parallel),
            Action::Steps(block) => self.block(block),
        }
    }

    fn attempt(&mut self, attempt: &Try) {
        self.action(&attempt.body);
        if let Some(Retry { max_retries, initial_delay, max_delay, multiplier, .. }) = &attempt.retry {
            for value in [max_retries, initial_delay, max_delay, multiplier] {
                self.template(value);
            }
        }
        if let Some(except) = &attempt.except {
            self.inside(Level::new(except.variable.clone(), &except.body, None), &except.body);
        }
    }

    fn repeat(&mut self, repeat: &Loop, shared: Option<HashSet<Text>>) {
        let (Items::In(items) | Items::Range(items)) = &repeat.items;
        self.template(items);
        let names = || [Some(&repeat.value), repeat.index.as_ref()].into_iter().flatten();
        if let Some(name) = names().find(|name| self.levels.iter().any(|level| level.made.contains(*name))) {
            self.fault(
                repeat.line,
                format!(
                    "the loop variable \"{name}\" is already a variable of the steps around the loop: call it otherwise"
                ),
            );
        }
        self.inside(Level::new(names().cloned(), &repeat.body, shared), &repeat.body);
    }

    fn parallel(&mut self, parallel: &Parallel) {
        for name in &parallel.shared {
            if !self.levels.iter().any(|level| level.made.contains(name)) {
                let near = suggestion(name, self.levels.iter().flat_map(|level| &level.made).map(|name| &**name));
                self.fault(
                    parallel.line,
                    format!("the shared variable \"{name}\" is not assigned before the parallel step{near}"),
                );
            }
            self.write(name, parallel.line);
        }
        if let Some(limit) = &parallel.concurrency_limit {
            self.template(limit);
        }
        let shared: HashSet<Text> = parallel.shared.iter().cloned().collect();
        match &parallel.work {
            Work::Branches(branches) => {
                for branch in branches {
                    self.inside(Level::new(None, &branch.body, Some(shared.clone())), &branch.body);
                }
            }
            Work::Loop(repeat) => self.repeat(repeat, Some(shared)),
        }
    }

    fn inside(&mut self, level: Level, body: &Block) {
        self.levels.push(level);
        self.block(body);
        self.levels.pop();
    }

    fn template(&mut self, template: &Template) {
        match template {
            Template::Constant(_) => {}
            Template::Formula(formula) => self.expression(&formula.expression, formula.line),
            Template::List(items) => items.iter().for_each(|item| self.template(item)),
            Template::Map(entries) => {
                for (key, value) in entries {
                    self.template(key);
                    self.template(value);
                }
            }
        }
    }

    fn expression(&mut self, expression: &Expression, line: usize) {
        expression.variables(&mut |name| self.read(name, line));
        expression.routines(&mut |name, arguments| self.call(name, arguments, line));
    }

    fn call(&mut self, name: &Text, arguments: usize, line: usize) {
        let Some(parameters) = self.signatures.get(name) else {
            let mut known: Vec<&str> = library::names().collect();
            known.extend(self.signatures.keys().map(|known| &**known));
            let near = suggestion(name, known);
            return self.fault(
                line,
                format!("{name} is neither a sub-workflow of this file nor a function of the standard library{near}"),
            );
        };
        let required = parameters.iter().filter(|parameter| parameter.default.is_none()).count();
        if !(required..=parameters.len()).contains(&arguments) {
            let names: Vec<_> = parameters.iter().map(|parameter| &*parameter.name).collect();
            return self.fault(line, format!("{name} takes the arguments ({}), not {arguments}", names.join(", ")));
        }
        self.calls.push(InnerCall { line, step: self.step.clone(), routine: name.clone() });
    }

    fn read(&mut self, name: &Text, line: usize) {
        if self.levels.iter().any(|level| level.all.contains(name)) {
            return;
        }
        let near = suggestion(name, self.levels.iter().flat_map(|level| &level.all).map(|known| &**known));
        let hint = match &**name {
            "http" | "retry" if near.is_empty() => "; http.default_retry and its kin stand only under retry",
            _ => "",
        };
        self.fault(line, format!("\"{name}\" is no variable here: no step of this scope assigns it{near}{hint}"));
    }

    fn write(&mut self, name: &Text, line: usize) {
        for level in self.levels.iter().rev() {
            if level.made.contains(name) {
                return;
            }
            if let Some(shared) = &level.shared
                && !shared.contains(name)
                && self.levels.iter().any(|level| level.made.contains(name))
            {
                return self.fault(
                    line,
                    format!(
                        "\"{name}\" belongs to the steps around the parallel step and is read-only here: list it under shared"
                    ),
                );
            }
        }
        if let Some(level) = self.levels.last_mut() {
            level.made.insert(name.clone());
        }
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
