//! `json.*`

use crate::exception::Exception;
use crate::library::{Body, Function};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "json.decode",
        parameters: &["data"],
        required: 1,
        body: Body::Pure(|arguments, _| {
            serde_json::from_slice::<serde_json::Value>(arguments.bytes(0)?)
                .map(Value::from)
                .map_err(|error| Exception::value_error(format!("json.decode: {error}")))
        }),
    },
    Function {
        name: "json.encode",
        parameters: &["data"],
        required: 1,
        body: Body::Pure(|arguments, _| Ok(Value::Bytes(arguments.get(0).to_json()?.to_string().into_bytes().into()))),
    },
    Function {
        name: "json.encode_to_string",
        parameters: &["data"],
        required: 1,
        body: Body::Pure(|arguments, _| Ok(Value::text(arguments.get(0).to_json()?.to_string()))),
    },
];
