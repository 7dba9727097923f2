//! `json.*`

use serde::Serialize as _;
use serde_json::ser::{PrettyFormatter, Serializer};

use crate::exception::Exception;
use crate::library::{Arguments, Body, Function};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "json.decode",
        parameters: &["data"],
        required: 1,
        body: Body::Pure(|arguments, _| {
            serde_json::from_slice::<serde_json::Value>(arguments.text_or_bytes(0)?)
                .map(Value::from)
                .map_err(|error| arguments.wrong(error))
        }),
    },
    Function {
        name: "json.encode",
        parameters: &["data", "indent"],
        required: 1,
        body: Body::Pure(|arguments, _| Ok(Value::Bytes(encode(arguments)?.into_bytes().into()))),
    },
    Function {
        name: "json.encode_to_string",
        parameters: &["data", "indent"],
        required: 1,
        body: Body::Pure(|arguments, _| encode(arguments).map(Value::text)),
    },
];

/// `indent` is a boolean, or a map of what each line begins with (`prefix`) and what each level adds (`indent`).
fn encode(arguments: &Arguments) -> Result<String, Exception> {
    let data = arguments.get(0).to_json()?;
    let options = match arguments.get(1) {
        Value::Null | Value::Bool(false) => return Ok(data.to_string()),
        Value::Bool(true) => None,
        Value::Map(options) => Some(options),
        _ => return Err(arguments.mismatch(1, "a boolean or a map")),
    };
    let option = |name: &str, default: &str| match options.and_then(|options| options.get(name)) {
        None | Some(Value::Null) => Ok(default.to_owned()),
        Some(Value::Text(text)) => Ok(text.to_string()),
        Some(_) => Err(arguments.mismatch(1, "a map of strings")),
    };
    let (prefix, indent) = (option("prefix", "")?, option("indent", "    ")?);
    let mut text = Vec::new();
    data.serialize(&mut Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(indent.as_bytes())))
        .map_err(|error| arguments.wrong(error))?;
    Ok(String::from_utf8_lossy(&text).replace('\n', &format!("\n{prefix}")))
}
