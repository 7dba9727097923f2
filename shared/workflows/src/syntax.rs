//! The parsed, checked form of a workflow file.

use std::collections::HashMap;
use std::sync::Arc;

use crate::expression::Expression;
use crate::library::Function;
use crate::value::{Text, Value};

/// A whole file.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) routines: HashMap<Text, Arc<Routine>>,
    pub(crate) main: Arc<Routine>,
}

/// `main` or a sub-workflow.
#[derive(Debug)]
pub(crate) struct Routine {
    pub(crate) name: Text,
    pub(crate) line: usize,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) body: Block,
}

/// One name of `params`.
#[derive(Debug, Clone)]
pub(crate) struct Parameter {
    pub(crate) name: Text,
    /// Nothing: the caller must pass it.
    pub(crate) default: Option<Value>,
}

/// A list of steps. A jump counts blocks outward, so every list of steps in the file is exactly one of these.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) name: Text,
    pub(crate) line: usize,
    pub(crate) action: Action,
    /// Where to go when the action itself went nowhere.
    pub(crate) next: Option<Next>,
}

#[derive(Debug)]
pub(crate) enum Action {
    /// A step that holds only `next`.
    Pass,
    Assign(Vec<Assignment>),
    Call(Call),
    Switch(Vec<Case>),
    Return(Template),
    Raise(Template),
    Try(Box<Try>),
    For(Loop),
    Parallel(Box<Parallel>),
    Steps(Block),
}

/// Where `next` leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// To a step of the block that is `levels` further out than the step's own.
    Jump {
        levels: usize,
        index: usize,
    },
    Continue,
    Break,
    End,
}

#[derive(Debug)]
pub(crate) struct Assignment {
    pub(crate) line: usize,
    pub(crate) variable: Text,
    /// The keys and indices behind the variable, outermost first.
    pub(crate) path: Vec<Expression>,
    pub(crate) value: Template,
}

#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) line: usize,
    pub(crate) target: Target,
    pub(crate) result: Option<Text>,
}

#[derive(Debug)]
pub(crate) enum Target {
    /// Arguments in the order of the parameters; nothing where the default holds.
    Routine { name: Text, arguments: Vec<Option<Template>> },
    /// The same, for a function of the standard library.
    Function { function: &'static Function, arguments: Vec<Option<Template>> },
}

#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) condition: Template,
    pub(crate) action: Action,
    pub(crate) next: Option<Next>,
}

#[derive(Debug)]
pub(crate) struct Try {
    pub(crate) body: Action,
    pub(crate) retry: Option<Retry>,
    pub(crate) except: Option<Except>,
}

#[derive(Debug)]
pub(crate) struct Retry {
    pub(crate) predicate: Predicate,
    pub(crate) max_retries: Template,
    pub(crate) initial_delay: Template,
    pub(crate) max_delay: Template,
    pub(crate) multiplier: Template,
}

/// Decides whether an error is worth another attempt.
#[derive(Debug, Clone)]
pub(crate) enum Predicate {
    /// `http.default_retry_predicate`
    Idempotent,
    /// `http.default_retry_predicate_non_idempotent`
    NonIdempotent,
    /// `retry.always`
    Always,
    /// `retry.never`
    Never,
    /// A sub-workflow of one parameter.
    Routine(Text),
}

#[derive(Debug)]
pub(crate) struct Except {
    pub(crate) variable: Option<Text>,
    pub(crate) body: Block,
}

#[derive(Debug)]
pub(crate) struct Loop {
    pub(crate) value: Text,
    pub(crate) index: Option<Text>,
    pub(crate) line: usize,
    pub(crate) items: Items,
    pub(crate) body: Block,
}

#[derive(Debug)]
pub(crate) enum Items {
    In(Template),
    /// A list of the first and the last, both included.
    Range(Template),
}

#[derive(Debug)]
pub(crate) struct Parallel {
    pub(crate) line: usize,
    pub(crate) shared: Vec<Text>,
    pub(crate) concurrency_limit: Option<Template>,
    pub(crate) work: Work,
}

#[derive(Debug)]
pub(crate) enum Work {
    Branches(Vec<Branch>),
    Loop(Loop),
}

#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) name: Text,
    pub(crate) body: Block,
}

/// A YAML value with expressions in it.
#[derive(Debug)]
pub(crate) enum Template {
    Constant(Value),
    Formula(Formula),
    List(Vec<Template>),
    /// Keys are strings or expressions.
    Map(Vec<(Template, Template)>),
}

/// One `${...}`.
#[derive(Debug)]
pub(crate) struct Formula {
    pub(crate) line: usize,
    pub(crate) expression: Expression,
}
