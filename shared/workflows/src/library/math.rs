//! `math.*`

use std::cmp::Ordering;

use crate::exception::Exception;
use crate::library::{Arguments, Body, Function};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function { name: "math.abs", parameters: &["x"], required: 1, body: Body::Pure(|arguments, _| abs(arguments)) },
    Function { name: "math.floor", parameters: &["x"], required: 1, body: Body::Pure(|arguments, _| floor(arguments)) },
    Function {
        name: "math.max",
        parameters: &["a", "b"],
        required: 2,
        body: Body::Pure(|arguments, _| extreme(arguments, Ordering::Greater)),
    },
    Function {
        name: "math.min",
        parameters: &["a", "b"],
        required: 2,
        body: Body::Pure(|arguments, _| extreme(arguments, Ordering::Less)),
    },
];

fn abs(arguments: &Arguments) -> Result<Value, Exception> {
    match arguments.get(0) {
        Value::Int(int) => int
            .checked_abs()
            .map(Value::Int)
            .ok_or_else(|| Exception::value_error("math.abs: 2^63 does not fit a 64-bit integer")),
        _ => Ok(Value::Double(arguments.number(0)?.abs())),
    }
}

fn floor(arguments: &Arguments) -> Result<Value, Exception> {
    let number = arguments.number(0)?;
    if let Value::Int(int) = arguments.get(0) {
        return Ok(Value::Int(*int));
    }
    // Both bounds are exact as doubles; the upper one is the first that does not fit.
    #[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&number) {
        return Ok(Value::Int(number.floor() as i64));
    }
    Err(Exception::value_error(format!("math.floor: {number} does not fit a 64-bit integer")))
}

/// The argument itself, so that an integer stays one; the first of two that are equal.
fn extreme(arguments: &Arguments, wanted: Ordering) -> Result<Value, Exception> {
    let (first, second) = (arguments.number(0)?, arguments.number(1)?);
    let at = usize::from(second.partial_cmp(&first) == Some(wanted));
    Ok(arguments.get(at).clone())
}
