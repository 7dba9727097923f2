//! `map.*`: the changing ones return a new map and leave their arguments as they are.

use std::sync::Arc;

use crate::exception::Exception;
use crate::library::{Arguments, Body, Function};
use crate::value::{Map, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "map.delete",
        parameters: &["map", "key"],
        required: 2,
        body: Body::Pure(|arguments, _| {
            let mut map = (**arguments.map(0)?).clone();
            map.shift_remove(arguments.text(1)?);
            Ok(Value::Map(Arc::new(map)))
        }),
    },
    Function {
        name: "map.get",
        parameters: &["map", "keys"],
        required: 2,
        body: Body::Pure(|arguments, _| get(arguments)),
    },
    Function {
        name: "map.merge",
        parameters: &["first", "second"],
        required: 2,
        body: Body::Pure(|arguments, _| {
            let mut map = (**arguments.map(0)?).clone();
            map.extend(arguments.map(1)?.iter().map(|(key, value)| (key.clone(), value.clone())));
            Ok(Value::Map(Arc::new(map)))
        }),
    },
    Function {
        name: "map.merge_nested",
        parameters: &["first", "second"],
        required: 2,
        body: Body::Pure(|arguments, _| Ok(Value::Map(Arc::new(merge_nested(arguments.map(0)?, arguments.map(1)?))))),
    },
];

/// Null whenever there is nothing at the end of the keys, also where something on the way is no map.
fn get(arguments: &Arguments) -> Result<Value, Exception> {
    let keys = match arguments.get(1) {
        key @ Value::Text(_) => std::slice::from_ref(key),
        Value::List(keys) => keys.as_slice(),
        _ => return Err(arguments.mismatch(1, "a string or a list of strings")),
    };
    let mut value = arguments.get(0);
    for key in keys {
        let Value::Text(key) = key else { return Err(arguments.mismatch(1, "a string or a list of strings")) };
        value = match value {
            Value::Map(map) => map.get(key).unwrap_or(&Value::Null),
            _ => return Ok(Value::Null),
        };
    }
    Ok(value.clone())
}

fn merge_nested(first: &Map, second: &Map) -> Map {
    let mut merged = first.clone();
    for (key, value) in second {
        let value = match (merged.get(key), value) {
            (Some(Value::Map(inner)), Value::Map(other)) => Value::Map(Arc::new(merge_nested(inner, other))),
            _ => value.clone(),
        };
        merged.insert(key.clone(), value);
    }
    merged
}
