//! `base64.*`

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::exception::Exception;
use crate::library::{Body, Function};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "base64.decode",
        parameters: &["data"],
        required: 1,
        body: Body::Pure(|arguments, _| {
            let data = arguments.text(0)?;
            let bytes = STANDARD
                .decode(data.as_bytes())
                .map_err(|error| Exception::value_error(format!("base64.decode: {error}")))?;
            Ok(Value::Bytes(bytes.into()))
        }),
    },
    Function {
        name: "base64.encode",
        parameters: &["data"],
        required: 1,
        body: Body::Pure(|arguments, _| Ok(Value::text(STANDARD.encode(arguments.bytes(0)?)))),
    },
];
