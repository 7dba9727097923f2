//! `list.*`: both return a new list and leave their argument as it is.

use crate::library::{Body, Function};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "list.concat",
        parameters: &["objs", "val"],
        required: 2,
        body: Body::Pure(|arguments, _| {
            let mut items = (**arguments.list(0)?).clone();
            items.push(arguments.get(1).clone());
            Ok(Value::list(items))
        }),
    },
    Function {
        name: "list.prepend",
        parameters: &["objs", "val"],
        required: 2,
        body: Body::Pure(|arguments, _| {
            let mut items = (**arguments.list(0)?).clone();
            items.insert(0, arguments.get(1).clone());
            Ok(Value::list(items))
        }),
    },
];
