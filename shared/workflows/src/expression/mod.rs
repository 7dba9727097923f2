//! The expressions inside `${...}`.

pub(crate) mod evaluate;
mod lexer;
pub(crate) mod operators;
mod parser;

use crate::library::Function;
use crate::value::{Text, Value};

pub(crate) use parser::{parse, parse_target};

/// One expression.
#[derive(Debug)]
pub(crate) enum Expression {
    Literal(Value),
    List(Vec<Expression>),
    Variable(Text),
    Index(Box<Expression>, Box<Expression>),
    Negate(Box<Expression>),
    Not(Box<Expression>),
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    Binary(Operator, Box<Expression>, Box<Expression>),
    /// A function that does not block; omitted optional arguments are missing at the end.
    Call(&'static Function, Vec<Expression>),
    /// A sub-workflow that does not block. The name is looked up when the whole file is known.
    Routine(Text, Vec<Expression>),
}

/// The operators whose two sides are always evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Remainder,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
}

impl Expression {
    /// Calls `visit` with every variable that the expression reads.
    pub(crate) fn variables<'a>(&'a self, visit: &mut dyn FnMut(&'a Text)) {
        match self {
            Self::Literal(_) => {}
            Self::Variable(name) => visit(name),
            Self::Negate(inner) | Self::Not(inner) => inner.variables(visit),
            Self::Index(left, right)
            | Self::And(left, right)
            | Self::Or(left, right)
            | Self::Binary(_, left, right) => {
                left.variables(visit);
                right.variables(visit);
            }
            Self::List(arguments) | Self::Call(_, arguments) | Self::Routine(_, arguments) => {
                for argument in arguments {
                    argument.variables(visit);
                }
            }
        }
    }

    /// Calls `visit` with every sub-workflow that the expression calls, and the number of arguments.
    pub(crate) fn routines<'a>(&'a self, visit: &mut dyn FnMut(&'a Text, usize)) {
        match self {
            Self::Literal(_) | Self::Variable(_) => {}
            Self::Negate(inner) | Self::Not(inner) => inner.routines(visit),
            Self::Index(left, right)
            | Self::And(left, right)
            | Self::Or(left, right)
            | Self::Binary(_, left, right) => {
                left.routines(visit);
                right.routines(visit);
            }
            Self::List(arguments) | Self::Call(_, arguments) | Self::Routine(_, arguments) => {
                if let Self::Routine(name, _) = self {
                    visit(name, arguments.len());
                }
                for argument in arguments {
                    argument.routines(visit);
                }
            }
        }
    }
}
