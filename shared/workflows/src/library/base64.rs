//! `base64.*`

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use crate::library::{Body, Function};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "base64.decode",
        parameters: &["data", "padding"],
        required: 1,
        body: Body::Pure(|arguments, _| {
            let data = arguments.text(0)?.replace(['\r', '\n'], "");
            let decoded = if arguments.flag(1, true)? { STANDARD.decode(data) } else { STANDARD_NO_PAD.decode(data) };
            decoded.map(|bytes| Value::Bytes(bytes.into())).map_err(|error| arguments.wrong(error))
        }),
    },
    Function {
        name: "base64.encode",
        parameters: &["data", "padding"],
        required: 1,
        body: Body::Pure(|arguments, _| {
            let data = arguments.bytes(0)?;
            let encoded = if arguments.flag(1, true)? { STANDARD.encode(data) } else { STANDARD_NO_PAD.encode(data) };
            Ok(Value::text(encoded))
        }),
    },
];
