//! The steps of one routine.

use std::collections::HashSet;

use crate::error::{Fault, suggestion};
use crate::expression;
use crate::limits;
use crate::parse::template::template;
use crate::parse::yaml::{Content, Entry, Node};
use crate::parse::{Signatures, calls, check_name, retry};
use crate::syntax::{
    Action, Assignment, Block, Branch, Case, Except, Items, Loop, Next, Parallel, Step, Template, Try, Work,
};
use crate::value::{Text, Value};

/// What a step can do. A step has at most one of these, each with its own companions.
const ACTIONS: [&str; 9] = ["assign", "call", "switch", "return", "raise", "try", "for", "parallel", "steps"];

/// Parses the steps of one routine and resolves their jumps.
pub(super) struct RoutineParser<'a> {
    signatures: &'a Signatures,
    /// What was wrong so far. A step that is wrong does not keep the others from being looked at.
    faults: &'a mut Vec<Fault>,
    /// All names so far: a jump must have one meaning.
    names: HashSet<String>,
    around: Around,
}

/// What lies around the step being parsed, as far as it may lead there.
#[derive(Debug, Default)]
struct Around {
    /// The step names of the blocks around it, the outermost first.
    blocks: Vec<Vec<String>>,
    repeat: Option<Repeat>,
    /// Parallel steps around it.
    parallel: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeat {
    Sequential,
    Parallel,
}

impl<'a> RoutineParser<'a> {
    pub(super) fn new(signatures: &'a Signatures, faults: &'a mut Vec<Fault>) -> Self {
        Self { signatures, faults, names: HashSet::new(), around: Around::default() }
    }

    pub(super) fn body(mut self, node: &Node) -> Result<Block, Fault> {
        self.block(node)
    }

    fn block(&mut self, node: &Node) -> Result<Block, Fault> {
        let items = node.list("steps")?;
        if items.is_empty() {
            return Err(node.fault("steps must hold at least one step"));
        }
        let mut entries = Vec::new();
        for item in items {
            match item.single("a step") {
                Ok(entry) => entries.push(entry),
                Err(fault) => self.faults.push(fault),
            }
        }
        for entry in &entries {
            let wrong = if matches!(entry.key.as_str(), "end" | "break" | "continue") {
                "cannot name a step: next gives it another meaning"
            } else if self.names.insert(entry.key.clone()) {
                continue;
            } else {
                "names another step of this workflow too: call this one otherwise"
            };
            self.faults.push(Fault::new(entry.line, format!("\"{}\" {wrong}", entry.key)).in_step(&entry.key));
        }
        self.around.blocks.push(entries.iter().map(|entry| entry.key.clone()).collect());
        let mut steps = Vec::new();
        for entry in entries {
            match self.step(entry) {
                Ok(step) => steps.push(step),
                Err(fault) => self.faults.push(fault.in_step(&entry.key)),
            }
        }
        self.around.blocks.pop();
        Ok(Block { steps })
    }

    fn step(&mut self, entry: &Entry) -> Result<Step, Fault> {
        let what = format!("step \"{}\"", entry.key);
        let (action, next) = self.action(entry.line, entry.value.map(&what)?, &what, &["next"])?;
        Ok(Step { name: entry.key.as_str().into(), line: entry.line, action, next })
    }

    /// One of [`ACTIONS`] with its companions, and `next`; `also` are the keys that are allowed beside it.
    fn action(
        &mut self,
        line: usize,
        entries: &[Entry],
        what: &str,
        also: &[&str],
    ) -> Result<(Action, Option<Next>), Fault> {
        let fields = Fields { entries };
        let found = entries.iter().find(|entry| ACTIONS.contains(&entry.key.as_str()));
        let companions: &[&str] = match found.map(|entry| entry.key.as_str()) {
            Some("call") => &["call", "args", "result"],
            Some("try") => &["try", "retry", "except"],
            Some(other) => &ACTIONS[ACTIONS.iter().position(|action| *action == other).map_or(0..0, |at| at..at + 1)],
            None => &[],
        };
        for entry in entries {
            let key = entry.key.as_str();
            if companions.contains(&key) || also.contains(&key) {
                continue;
            }
            let near =
                suggestion(key, ACTIONS.into_iter().chain(["args", "result", "retry", "except", "next", "condition"]));
            return Err(Fault::new(
                entry.line,
                match found {
                    Some(action) => format!("\"{key}\" cannot stand beside \"{}\" in {what}{near}", action.key),
                    None => format!("unknown key \"{key}\" in {what}{near}"),
                },
            ));
        }
        let action = match found {
            None if fields.get("next").is_none() => return Err(Fault::new(line, format!("{what} does nothing"))),
            None => Action::Pass,
            Some(entry) => match entry.key.as_str() {
                "assign" => Action::Assign(assignments(&entry.value)?),
                "call" => Action::Call(calls::call(entry, fields.get("args"), fields.get("result"), self.signatures)?),
                "switch" => Action::Switch(self.cases(&entry.value)?),
                "return" => {
                    self.check_leaving(entry.line, "return")?;
                    Action::Return(template(&entry.value)?)
                }
                "raise" => Action::Raise(template(&entry.value)?),
                "try" => Action::Try(Box::new(self.attempt(entry, &fields)?)),
                "for" => Action::For(self.repeat(entry, Repeat::Sequential)?),
                "parallel" => Action::Parallel(Box::new(self.parallel(entry)?)),
                _ => Action::Steps(self.block(&entry.value)?),
            },
        };
        let next = fields.get("next").map(|entry| self.next(entry)).transpose()?;
        if let (Some(_), Action::Return(_) | Action::Raise(_)) = (next, &action) {
            return Err(Fault::new(line, format!("next in {what} is never reached")));
        }
        Ok((action, next))
    }

    fn next(&self, entry: &Entry) -> Result<Next, Fault> {
        let target = entry.value.text("next")?;
        match (target, self.around.repeat) {
            ("end", _) => {
                self.check_leaving(entry.line, "next: end")?;
                return Ok(Next::End);
            }
            ("continue", Some(_)) => return Ok(Next::Continue),
            ("break", Some(Repeat::Sequential)) => return Ok(Next::Break),
            ("break", Some(Repeat::Parallel)) => {
                return Err(Fault::new(entry.line, "break cannot leave a parallel loop"));
            }
            ("continue" | "break", None) => {
                return Err(Fault::new(entry.line, format!("next: {target} stands outside of a for loop")));
            }
            _ => {}
        }
        for (levels, block) in self.around.blocks.iter().rev().enumerate() {
            if let Some(index) = block.iter().position(|name| name == target) {
                return Ok(Next::Jump { levels, index });
            }
        }
        let near = suggestion(target, self.around.blocks.iter().flatten().map(String::as_str));
        let scope = if self.around.parallel > 0 { " in this branch" } else { "" };
        Err(Fault::new(
            entry.line,
            format!("next leads to \"{target}\", but there is no such step around this one{scope}{near}"),
        ))
    }

    fn check_leaving(&self, line: usize, what: &str) -> Result<(), Fault> {
        if self.around.parallel == 0 {
            return Ok(());
        }
        Err(Fault::new(line, format!("{what} cannot leave a parallel branch: assign to a shared variable instead")))
    }

    fn cases(&mut self, node: &Node) -> Result<Vec<Case>, Fault> {
        let items = node.list("switch")?;
        if items.is_empty() || items.len() > limits::CONDITIONS {
            return Err(node.fault(format!(
                "a switch has 1 to {} conditions, not {}",
                limits::CONDITIONS,
                items.len()
            )));
        }
        items
            .iter()
            .map(|item| {
                let fields = Fields { entries: item.map("a case of a switch")? };
                let condition = template(&fields.require("condition", item.line, "a case of a switch")?.value)?;
                let (action, next) =
                    self.action(item.line, fields.entries, "a case of a switch", &["condition", "next"])?;
                Ok(Case { condition, action, next })
            })
            .collect()
    }

    fn attempt(&mut self, entry: &Entry, fields: &Fields<'_>) -> Result<Try, Fault> {
        let (body, _) = self.action(entry.line, entry.value.map("try")?, "try", &[])?;
        let retry = fields.get("retry").map(|entry| retry::retry(&entry.value, self.signatures)).transpose()?;
        let except = fields.get("except").map(|entry| self.except(entry)).transpose()?;
        if retry.is_none() && except.is_none() {
            return Err(Fault::new(entry.line, "try needs retry, except or both"));
        }
        Ok(Try { body, retry, except })
    }

    fn except(&mut self, entry: &Entry) -> Result<Except, Fault> {
        let fields = Fields { entries: entry.value.map("except")? };
        fields.only(&["as", "steps"], "except")?;
        let variable = fields.get("as").map(variable).transpose()?;
        let body = self.block(&fields.require("steps", entry.line, "except")?.value)?;
        Ok(Except { variable, body })
    }

    fn repeat(&mut self, entry: &Entry, kind: Repeat) -> Result<Loop, Fault> {
        let fields = Fields { entries: entry.value.map("for")? };
        fields.only(&["value", "index", "in", "range", "steps"], "for")?;
        let value = variable(fields.require("value", entry.line, "for")?)?;
        let index = fields.get("index").map(variable).transpose()?;
        if index.as_ref() == Some(&value) {
            return Err(Fault::new(entry.line, format!("value and index of a loop are both called \"{value}\"")));
        }
        let items = match (fields.get("in"), fields.get("range")) {
            (Some(items), None) => Items::In(template(&items.value)?),
            (None, Some(range)) => match (template(&range.value)?, &range.value.content) {
                (ends @ Template::Formula(_), _) => Items::Range(ends),
                (ends, Content::List(items)) if items.len() == 2 => Items::Range(ends),
                _ => return Err(Fault::new(range.line, "range takes the first and the last number, as in [1, 9]")),
            },
            _ => return Err(Fault::new(entry.line, "for needs either in or range")),
        };
        let steps = &fields.require("steps", entry.line, "for")?.value;
        let before = self.around.repeat.replace(kind);
        let body = self.block(steps);
        self.around.repeat = before;
        Ok(Loop { value, index, line: entry.line, items, body: body? })
    }

    fn parallel(&mut self, entry: &Entry) -> Result<Parallel, Fault> {
        let fields = Fields { entries: entry.value.map("parallel")? };
        fields.only(&["branches", "for", "shared", "concurrency_limit", "exception_policy"], "parallel")?;
        if self.around.parallel == limits::PARALLEL_DEPTH {
            return Err(Fault::new(entry.line, format!("parallel steps nest deeper than {}", limits::PARALLEL_DEPTH)));
        }
        let shared = match fields.get("shared") {
            None => Vec::new(),
            Some(names) => {
                let names = names.value.list("shared")?.iter();
                names.map(|name| name.text("a shared variable").map(Text::from)).collect::<Result<_, _>>()?
            }
        };
        let concurrency_limit = fields.get("concurrency_limit").map(|limit| concurrency(&limit.value)).transpose()?;
        if let Some(policy) = fields.get("exception_policy") {
            let given = policy.value.text("exception_policy")?;
            if given != "continueAll" {
                return Err(Fault::new(
                    policy.line,
                    format!("exception_policy \"{given}\" is unknown: there is only continueAll"),
                ));
            }
        }
        // Nothing may lead out of a branch, so that what lies around is out of its sight.
        let inside = Around { parallel: self.around.parallel + 1, ..Around::default() };
        let around = std::mem::replace(&mut self.around, inside);
        let work = match (fields.get("branches"), fields.get("for")) {
            (Some(branches), None) => self.branches(branches).map(Work::Branches),
            (None, Some(repeat)) => self.repeat(repeat, Repeat::Parallel).map(Work::Loop),
            _ => Err(Fault::new(entry.line, "parallel needs either branches or for")),
        };
        self.around = around;
        Ok(Parallel { line: entry.line, shared, concurrency_limit, work: work? })
    }

    fn branches(&mut self, entry: &Entry) -> Result<Vec<Branch>, Fault> {
        let items = entry.value.list("branches")?;
        if items.is_empty() || items.len() > limits::BRANCHES {
            return Err(Fault::new(
                entry.line,
                format!("a parallel step has 1 to {} branches, not {}", limits::BRANCHES, items.len()),
            ));
        }
        let mut names = HashSet::new();
        items
            .iter()
            .map(|item| {
                let branch = item.single("a branch")?;
                if !names.insert(&branch.key) {
                    return Err(Fault::new(
                        branch.line,
                        format!("there is another branch \"{}\" in this parallel step", branch.key),
                    ));
                }
                let fields = Fields { entries: branch.value.map("a branch")? };
                fields.only(&["steps"], "a branch")?;
                let body = self.block(&fields.require("steps", branch.line, "a branch")?.value)?;
                Ok(Branch { name: branch.key.as_str().into(), body })
            })
            .collect()
    }
}

fn concurrency(node: &Node) -> Result<Template, Fault> {
    let limit = template(node)?;
    match &limit {
        Template::Constant(Value::Int(1..)) | Template::Formula(_) => Ok(limit),
        _ => Err(node.fault("concurrency_limit must be a number above 0 or an expression")),
    }
}

fn assignments(node: &Node) -> Result<Vec<Assignment>, Fault> {
    let items = node.list("assign")?;
    if items.is_empty() || items.len() > limits::ASSIGNMENTS {
        return Err(node.fault(format!(
            "an assign step has 1 to {} assignments, not {}",
            limits::ASSIGNMENTS,
            items.len()
        )));
    }
    items
        .iter()
        .map(|item| {
            let entry = item.single("an assignment")?;
            let (variable, path) =
                expression::parse_target(&entry.key).map_err(|message| Fault::new(entry.line, message))?;
            check_name(entry.line, &variable, "a variable")?;
            Ok(Assignment { line: entry.line, variable, path, value: template(&entry.value)? })
        })
        .collect()
}

/// The name of a variable that a step makes.
pub(super) fn variable(entry: &Entry) -> Result<Text, Fault> {
    let name = entry.value.text(&entry.key)?;
    check_name(entry.line, name, "a variable")?;
    Ok(name.into())
}

/// The keys of a map that stands for something.
pub(super) struct Fields<'a> {
    pub(super) entries: &'a [Entry],
}

impl<'a> Fields<'a> {
    pub(super) fn get(&self, key: &str) -> Option<&'a Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    pub(super) fn require(&self, key: &str, line: usize, what: &str) -> Result<&'a Entry, Fault> {
        self.get(key).ok_or_else(|| Fault::new(line, format!("{what} has no \"{key}\"")))
    }

    pub(super) fn only(&self, known: &[&str], what: &str) -> Result<(), Fault> {
        match self.entries.iter().find(|entry| !known.contains(&entry.key.as_str())) {
            None => Ok(()),
            Some(entry) => {
                let near = suggestion(&entry.key, known.iter().copied());
                Err(Fault::new(
                    entry.line,
                    format!("unknown key \"{}\" in {what}: known are {}{near}", entry.key, known.join(", ")),
                ))
            }
        }
    }
}
