//! The helpers without a module: conversions, lengths and conditions.

use crate::exception::Exception;
use crate::expression::operators::printed;
use crate::library::{Arguments, Body, Function};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "default",
        parameters: &["value", "default"],
        required: 2,
        body: Body::Pure(|arguments, _| Ok(default(arguments))),
    },
    Function {
        name: "double",
        parameters: &["value"],
        required: 1,
        body: Body::Pure(|arguments, _| double(arguments)),
    },
    Function {
        name: "if",
        parameters: &["condition", "then", "otherwise"],
        required: 3,
        body: Body::Pure(|arguments, _| choose(arguments)),
    },
    Function { name: "int", parameters: &["value"], required: 1, body: Body::Pure(|arguments, _| int(arguments)) },
    Function { name: "keys", parameters: &["map"], required: 1, body: Body::Pure(|arguments, _| keys(arguments)) },
    Function { name: "len", parameters: &["value"], required: 1, body: Body::Pure(|arguments, _| length(arguments)) },
    Function {
        name: "string",
        parameters: &["value"],
        required: 1,
        body: Body::Pure(|arguments, _| string(arguments)),
    },
];

fn default(arguments: &Arguments) -> Value {
    match arguments.get(0) {
        Value::Null => arguments.get(1).clone(),
        value => value.clone(),
    }
}

/// Both outcomes are evaluated before this is called, as for any function.
fn choose(arguments: &Arguments) -> Result<Value, Exception> {
    match arguments.get(0) {
        Value::Bool(true) => Ok(arguments.get(1).clone()),
        Value::Bool(false) | Value::Null => Ok(arguments.get(2).clone()),
        _ => Err(arguments.mismatch(0, "a boolean")),
    }
}

fn double(arguments: &Arguments) -> Result<Value, Exception> {
    match arguments.get(0) {
        Value::Text(text) => text
            .trim()
            .parse()
            .map(Value::Double)
            .map_err(|_| Exception::value_error(format!("double: {text:?} is no number"))),
        _ => arguments.number(0).map(Value::Double),
    }
}

fn int(arguments: &Arguments) -> Result<Value, Exception> {
    let outside =
        |value: &dyn std::fmt::Display| Exception::value_error(format!("int: {value} does not fit a 64-bit integer"));
    match arguments.get(0) {
        Value::Int(int) => Ok(Value::Int(*int)),
        Value::Text(text) => text
            .trim()
            .parse()
            .map(Value::Int)
            .map_err(|_| Exception::value_error(format!("int: {text:?} is no integer"))),
        // Towards zero. Both bounds are exact as doubles; the upper one is the first that does not fit.
        #[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
        Value::Double(double) if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(double) => {
            Ok(Value::Int(*double as i64))
        }
        Value::Double(double) => Err(outside(double)),
        _ => Err(arguments.mismatch(0, "a string or a number")),
    }
}

fn string(arguments: &Arguments) -> Result<Value, Exception> {
    printed(arguments.get(0)).map(Value::text).ok_or_else(|| arguments.mismatch(0, "a string, number or boolean"))
}

fn keys(arguments: &Arguments) -> Result<Value, Exception> {
    Ok(Value::list(arguments.map(0)?.keys().map(|key| Value::Text(key.clone())).collect()))
}

fn length(arguments: &Arguments) -> Result<Value, Exception> {
    let length = match arguments.get(0) {
        Value::Text(text) => text.chars().count(),
        Value::List(items) => items.len(),
        Value::Map(map) => map.len(),
        _ => return Err(arguments.mismatch(0, "a string, list or map")),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}
