//! Errors that a running workflow raises, catches and ends with.

use std::fmt;

use serde_json::Value as Json;

use crate::value::Value;

/// A raised error on its way to the `except` that catches it.
///
/// Boxed: every expression returns one, and nearly none of them fails.
#[derive(Debug)]
pub(crate) struct Exception(Box<Content>);

#[derive(Debug)]
struct Content {
    value: Value,
    trail: Vec<Position>,
}

/// Where a step stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// `main` or the name of a sub-workflow.
    pub routine: String,
    /// The step's name.
    pub step: String,
    /// The step's line in the file, counted from 1.
    pub line: usize,
}

/// An error that no step caught: the end of the execution, and what `gcloud workflows run` would show of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Raised {
    /// What was raised: a string, or a map (`tags`, `message`, and for HTTP errors `code`, `headers` and `body`).
    pub value: Json,
    /// The steps that were under way, the innermost first.
    pub trail: Vec<Position>,
}

impl Exception {
    pub(crate) fn new(value: Value) -> Self {
        Self(Box::new(Content { value, trail: Vec::new() }))
    }

    /// An error of the language itself: a map of `message` and `tags`, the most precise tag first.
    fn tagged(tags: &[&str], message: impl fmt::Display) -> Self {
        let kind = tags.first().copied().unwrap_or("SystemError");
        Self::new(Value::map([
            ("message", Value::text(format!("{kind}: {message}"))),
            ("tags", Value::list(tags.iter().map(|tag| Value::text(*tag)).collect())),
        ]))
    }

    pub(crate) fn key_error(message: impl fmt::Display) -> Self {
        Self::tagged(&["KeyError", "LookupError"], message)
    }

    pub(crate) fn index_error(message: impl fmt::Display) -> Self {
        Self::tagged(&["IndexError", "LookupError"], message)
    }

    pub(crate) fn type_error(message: impl fmt::Display) -> Self {
        Self::tagged(&["TypeError"], message)
    }

    pub(crate) fn value_error(message: impl fmt::Display) -> Self {
        Self::tagged(&["ValueError"], message)
    }

    pub(crate) fn zero_division() -> Self {
        Self::tagged(&["ZeroDivisionError", "ArithmeticError"], "division by zero")
    }

    pub(crate) fn system(message: impl fmt::Display) -> Self {
        Self::tagged(&["SystemError"], message)
    }

    pub(crate) fn recursion(message: impl fmt::Display) -> Self {
        Self::tagged(&["RecursionError"], message)
    }

    pub(crate) fn resource_limit(message: impl fmt::Display) -> Self {
        Self::tagged(&["ResourceLimitError"], message)
    }

    pub(crate) fn parallel_nesting(message: impl fmt::Display) -> Self {
        Self::tagged(&["ParallelNestingError"], message)
    }

    pub(crate) fn connection(message: impl fmt::Display) -> Self {
        Self::tagged(&["ConnectionError"], message)
    }

    pub(crate) fn connection_failed(message: impl fmt::Display) -> Self {
        Self::tagged(&["ConnectionFailedError"], message)
    }

    pub(crate) fn timeout(message: impl fmt::Display) -> Self {
        Self::tagged(&["TimeoutError", "OSError"], message)
    }

    /// What a parallel step raises when branches ended with errors that they did not catch.
    pub(crate) fn unhandled_branches(failed: Vec<(String, Exception)>) -> Self {
        let branches = failed.into_iter().map(|(id, exception)| {
            let raised = exception.into_raised();
            Value::map([
                ("id", Value::text(id)),
                (
                    "error",
                    Value::map([("context", Value::text(raised.to_string())), ("payload", Value::from(raised.value))]),
                ),
            ])
        });
        Self::new(Value::map([
            ("branches", Value::list(branches.collect())),
            (
                "message",
                Value::text(
                    "UnhandledBranchError: One or more branches or iterations encountered an unhandled runtime error",
                ),
            ),
            ("tags", Value::list(vec![Value::text("UnhandledBranchError"), Value::text("RuntimeError")])),
        ]))
    }

    /// The raised value, as `except: as:` receives it.
    pub(crate) fn value(&self) -> &Value {
        &self.0.value
    }

    /// Whether `tags` of the raised map holds `tag`.
    pub(crate) fn has_tag(&self, tag: &str) -> bool {
        let Value::Map(map) = self.value() else { return false };
        matches!(map.get("tags"), Some(Value::List(tags)) if tags.iter().any(|item| matches!(item, Value::Text(text) if **text == *tag)))
    }

    /// `code` of the raised map, for HTTP errors.
    pub(crate) fn code(&self) -> Option<i64> {
        match self.value() {
            Value::Map(map) => match map.get("code") {
                Some(Value::Int(code)) => Some(*code),
                _ => None,
            },
            _ => None,
        }
    }

    /// Notes a step that the error passed on its way out.
    pub(crate) fn at(mut self, routine: &str, step: &str, line: usize) -> Self {
        self.0.trail.push(Position { routine: routine.to_owned(), step: step.to_owned(), line });
        self
    }

    pub(crate) fn into_raised(self) -> Raised {
        Raised { value: self.0.value.to_json_lossy(), trail: self.0.trail }
    }
}

impl fmt::Display for Raised {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.value.get("message"), &self.value) {
            (Some(Json::String(message)), _) => write!(formatter, "{message}")?,
            (_, Json::String(text)) => write!(formatter, "RuntimeError: \"{text}\"")?,
            (_, other) => write!(formatter, "RuntimeError: {other}")?,
        }
        for Position { routine, step, line } in &self.trail {
            write!(formatter, "\nin step \"{step}\", routine \"{routine}\", line: {line}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Raised {}
