//! The standard library: one file a module, each with a table of its functions.

mod base64;
pub(crate) mod executions;
mod hash;
mod helpers;
pub(crate) mod http;
mod json;
mod list;
mod map;
mod math;
mod regex;
mod sys;
mod text;
mod time;
mod uuid;

use std::sync::Arc;

use crate::error::suggestion;
use crate::exception::Exception;
use crate::host::Host;
use crate::value::{Map, Text, Value};

pub(crate) use sys::{log_entry, now};
pub(crate) use time::parse as parse_time;

/// One function of the library.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    /// In positional order; the required ones come first.
    pub(crate) parameters: &'static [&'static str],
    pub(crate) required: usize,
    pub(crate) body: Body,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Body {
    /// Returns at once, so expressions may call it.
    Pure(fn(&Arguments, &Host) -> Result<Value, Exception>),
    /// Waits for something, so only a call step may call it.
    Blocking(Blocking),
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Blocking {
    /// The method, or nothing when it is the first argument.
    Http(Option<&'static str>),
    Log,
    Sleep,
    SleepUntil,
    /// Another workflow, to its end.
    RunExecution,
}

const MODULES: [&[Function]; 14] = [
    helpers::FUNCTIONS,
    base64::FUNCTIONS,
    executions::FUNCTIONS,
    hash::FUNCTIONS,
    http::FUNCTIONS,
    json::FUNCTIONS,
    list::FUNCTIONS,
    map::FUNCTIONS,
    math::FUNCTIONS,
    regex::FUNCTIONS,
    sys::FUNCTIONS,
    text::FUNCTIONS,
    time::FUNCTIONS,
    uuid::FUNCTIONS,
];

/// Google's functions that this interpreter lacks, and what to write instead.
const UNSUPPORTED: [(&str, &str); 5] = [
    ("events.await_callback", "wait in a loop of sys.sleep and http.get for what would have called back"),
    ("events.create_callback_endpoint", "wait in a loop of sys.sleep and http.get for what would have called back"),
    ("experimental.executions.execution_error", "catch the error of the connector executions.run"),
    ("experimental.executions.map", "a parallel for with the connector executions.run does the same"),
    ("experimental.executions.run", executions::INSTEAD),
];

/// The function of this name, for a call step.
pub(crate) fn find(name: &str) -> Result<&'static Function, String> {
    let functions = || MODULES.iter().copied().flatten();
    functions().find(|function| function.name == name).ok_or_else(|| {
        if name.starts_with("googleapis.") {
            format!("the connector {name} is not supported by this interpreter: {}", executions::advice(name))
        } else if let Some((_, instead)) = UNSUPPORTED.iter().find(|(known, _)| *known == name) {
            format!("{name} is not supported by this interpreter: {instead}")
        } else {
            let near = suggestion(name, names());
            format!("{name} is neither a sub-workflow of this file nor a function of the standard library{near}")
        }
    })
}

/// The names of all functions.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    MODULES.iter().copied().flatten().map(|function| function.name)
}

/// The function of this name, for an expression; nothing when it can only be a sub-workflow.
pub(crate) fn in_expression(name: &str) -> Result<Option<&'static Function>, String> {
    let function = match find(name) {
        Ok(function) => function,
        Err(_) if !name.contains('.') => return Ok(None),
        Err(message) => return Err(message),
    };
    match function.body {
        Body::Pure(_) => Ok(Some(function)),
        Body::Blocking(_) => Err(format!("{name} blocks and cannot be called inside an expression: use a call step")),
    }
}

impl Function {
    /// Whether so many positional arguments fit.
    pub(crate) fn check_count(&self, count: usize) -> Result<(), String> {
        let (name, required, all) = (self.name, self.required, self.parameters.len());
        if (required..=all).contains(&count) {
            return Ok(());
        }
        let expected = if required == all { all.to_string() } else { format!("{required} to {all}") };
        Err(format!("{name} takes {expected} arguments ({}), not {count}", self.parameters.join(", ")))
    }

    /// Calls a function that does not block. Missing arguments are null.
    pub(crate) fn call(&self, values: Vec<Value>, host: &Host) -> Result<Value, Exception> {
        match self.body {
            Body::Pure(body) => body(&self.arguments(values), host),
            // The parser lets no expression call one of these.
            Body::Blocking(_) => {
                Err(Exception::type_error(format!("{} cannot be called inside an expression", self.name)))
            }
        }
    }

    pub(crate) fn arguments(&self, mut values: Vec<Value>) -> Arguments {
        values.resize(self.parameters.len(), Value::Null);
        Arguments { function: self.name, parameters: self.parameters, values }
    }
}

/// The arguments of one call, in the order of the function's parameters.
#[derive(Debug)]
pub(crate) struct Arguments {
    function: &'static str,
    parameters: &'static [&'static str],
    values: Vec<Value>,
}

impl Arguments {
    /// The argument at `at`; null when it was not passed.
    pub(crate) fn get(&self, at: usize) -> &Value {
        self.values.get(at).unwrap_or(&Value::Null)
    }

    /// The argument of this name; null when it was not passed.
    pub(crate) fn named(&self, name: &str) -> &Value {
        self.parameters.iter().position(|parameter| *parameter == name).map_or(&Value::Null, |at| self.get(at))
    }

    pub(crate) fn text(&self, at: usize) -> Result<&Text, Exception> {
        match self.get(at) {
            Value::Text(text) => Ok(text),
            _ => Err(self.mismatch(at, "a string")),
        }
    }

    fn int(&self, at: usize) -> Result<i64, Exception> {
        match self.get(at) {
            Value::Int(int) => Ok(*int),
            _ => Err(self.mismatch(at, "an integer")),
        }
    }

    pub(crate) fn number(&self, at: usize) -> Result<f64, Exception> {
        self.get(at).as_number().ok_or_else(|| self.mismatch(at, "a number"))
    }

    fn list(&self, at: usize) -> Result<&Arc<Vec<Value>>, Exception> {
        match self.get(at) {
            Value::List(items) => Ok(items),
            _ => Err(self.mismatch(at, "a list")),
        }
    }

    fn map(&self, at: usize) -> Result<&Arc<Map>, Exception> {
        match self.get(at) {
            Value::Map(map) => Ok(map),
            _ => Err(self.mismatch(at, "a map")),
        }
    }

    /// The bytes of a string or of bytes.
    fn text_or_bytes(&self, at: usize) -> Result<&[u8], Exception> {
        match self.get(at) {
            Value::Text(text) => Ok(text.as_bytes()),
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(self.mismatch(at, "a string or bytes")),
        }
    }

    fn bytes(&self, at: usize) -> Result<&[u8], Exception> {
        match self.get(at) {
            Value::Bytes(bytes) => Ok(bytes),
            Value::Text(_) => Err(self.mismatch(at, "bytes (see text.encode)")),
            _ => Err(self.mismatch(at, "bytes")),
        }
    }

    /// A flag that may be left out.
    fn flag(&self, at: usize, default: bool) -> Result<bool, Exception> {
        match self.get(at) {
            Value::Null => Ok(default),
            Value::Bool(bool) => Ok(*bool),
            _ => Err(self.mismatch(at, "a boolean")),
        }
    }

    /// A `ValueError` that begins with the function's name.
    fn wrong(&self, message: impl std::fmt::Display) -> Exception {
        Exception::value_error(format!("{}: {message}", self.function))
    }

    pub(crate) fn mismatch(&self, at: usize, expected: &str) -> Exception {
        let parameter = self.parameters.get(at).copied().unwrap_or("argument");
        Exception::type_error(format!("{}: {parameter} must be {expected}, not {}", self.function, self.get(at).kind()))
    }
}
