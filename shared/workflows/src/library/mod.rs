//! The standard library: one file a module, each with a table of its functions.

mod base64;
mod helpers;
pub(crate) mod http;
mod json;
mod list;
mod map;
mod sys;
mod text;
mod time;
mod uuid;

use std::sync::Arc;

use crate::error::suggestion;
use crate::exception::Exception;
use crate::host::Host;
use crate::value::{Map, Text, Value};

pub(crate) use sys::log_entry;

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
}

const MODULES: [&[Function]; 10] = [
    helpers::FUNCTIONS,
    base64::FUNCTIONS,
    http::FUNCTIONS,
    json::FUNCTIONS,
    list::FUNCTIONS,
    map::FUNCTIONS,
    sys::FUNCTIONS,
    text::FUNCTIONS,
    time::FUNCTIONS,
    uuid::FUNCTIONS,
];

/// Google's functions that this interpreter lacks: refused by name, so that nobody looks for a misspelling.
const UNSUPPORTED: [&str; 16] = [
    "events.await_callback",
    "events.create_callback_endpoint",
    "experimental.executions.execution_error",
    "experimental.executions.map",
    "experimental.executions.run",
    "hash.compute_checksum",
    "hash.compute_hmac",
    "math.abs",
    "math.floor",
    "math.max",
    "math.min",
    "sys.sleep_until",
    "text.find_all",
    "text.find_all_regex",
    "text.match_regex",
    "text.replace_all_regex",
];

/// The function of this name, for a call step.
pub(crate) fn find(name: &str) -> Result<&'static Function, String> {
    let functions = || MODULES.iter().copied().flatten();
    functions().find(|function| function.name == name).ok_or_else(|| {
        if name.starts_with("googleapis.") {
            format!("connectors are not supported by this interpreter: {name}; call the API with http.*")
        } else if UNSUPPORTED.contains(&name) {
            format!("{name} is not supported by this interpreter")
        } else {
            let near = suggestion(name, functions().map(|function| function.name));
            format!("{name} is neither a sub-workflow of this file nor a function of the standard library{near}")
        }
    })
}

/// The function of this name, for an expression.
pub(crate) fn in_expression(name: &str) -> Result<&'static Function, String> {
    let function = find(name).map_err(|message| {
        if name.contains('.') {
            message
        } else {
            format!("{message}; sub-workflows are called by a call step, not inside an expression")
        }
    })?;
    match function.body {
        Body::Pure(_) => Ok(function),
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

    #[expect(clippy::cast_precision_loss, reason = "times and delays are far below 2^53")]
    pub(crate) fn number(&self, at: usize) -> Result<f64, Exception> {
        match self.get(at) {
            Value::Int(int) => Ok(*int as f64),
            Value::Double(double) => Ok(*double),
            _ => Err(self.mismatch(at, "a number")),
        }
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
    fn bytes(&self, at: usize) -> Result<&[u8], Exception> {
        match self.get(at) {
            Value::Text(text) => Ok(text.as_bytes()),
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(self.mismatch(at, "a string or bytes")),
        }
    }

    pub(crate) fn mismatch(&self, at: usize, expected: &str) -> Exception {
        let parameter = self.parameters.get(at).copied().unwrap_or("argument");
        Exception::type_error(format!("{}: {parameter} must be {expected}, not {}", self.function, self.get(at).kind()))
    }
}
