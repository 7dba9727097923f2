//! `text.*`: positions count characters, not bytes.

use std::fmt::Write as _;

use crate::exception::Exception;
use crate::library::{Arguments, Body, Function};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "text.decode",
        parameters: &["data", "charset"],
        required: 1,
        body: Body::Pure(|arguments, _| decode(arguments)),
    },
    Function {
        name: "text.encode",
        parameters: &["data", "charset"],
        required: 1,
        body: Body::Pure(|arguments, _| {
            charset(arguments)?;
            Ok(Value::Bytes(arguments.text(0)?.as_bytes().into()))
        }),
    },
    Function {
        name: "text.find_all",
        parameters: &["source", "substr"],
        required: 2,
        body: Body::Pure(|arguments, _| find_all(arguments)),
    },
    Function {
        name: "text.replace_all",
        parameters: &["source", "substr", "repl"],
        required: 3,
        body: Body::Pure(|arguments, _| {
            Ok(Value::text(arguments.text(0)?.replace(&**arguments.text(1)?, arguments.text(2)?)))
        }),
    },
    Function {
        name: "text.split",
        parameters: &["source", "separator"],
        required: 2,
        body: Body::Pure(|arguments, _| split(arguments)),
    },
    Function {
        name: "text.substring",
        parameters: &["source", "start", "end"],
        required: 3,
        body: Body::Pure(|arguments, _| substring(arguments)),
    },
    Function {
        name: "text.to_lower",
        parameters: &["source"],
        required: 1,
        body: Body::Pure(|arguments, _| Ok(Value::text(arguments.text(0)?.to_lowercase()))),
    },
    Function {
        name: "text.to_upper",
        parameters: &["source"],
        required: 1,
        body: Body::Pure(|arguments, _| Ok(Value::text(arguments.text(0)?.to_uppercase()))),
    },
    Function {
        name: "text.url_decode",
        parameters: &["source"],
        required: 1,
        body: Body::Pure(|arguments, _| url_decode(arguments)),
    },
    Function {
        name: "text.url_encode",
        parameters: &["source"],
        required: 1,
        body: Body::Pure(|arguments, _| Ok(Value::text(url_encode(arguments.text(0)?, "%20")))),
    },
    Function {
        name: "text.url_encode_plus",
        parameters: &["source"],
        required: 1,
        body: Body::Pure(|arguments, _| Ok(Value::text(url_encode(arguments.text(0)?, "+")))),
    },
];

fn decode(arguments: &Arguments) -> Result<Value, Exception> {
    charset(arguments)?;
    let text = std::str::from_utf8(arguments.bytes(0)?).map_err(|error| arguments.wrong(error))?;
    Ok(Value::text(text))
}

fn charset(arguments: &Arguments) -> Result<(), Exception> {
    match arguments.get(1) {
        Value::Null => Ok(()),
        Value::Text(name) if name.eq_ignore_ascii_case("utf-8") || name.eq_ignore_ascii_case("utf8") => Ok(()),
        Value::Text(name) => {
            Err(arguments.wrong(format!("charset {name:?} is not supported by this interpreter: only UTF-8")))
        }
        _ => Err(arguments.mismatch(1, "a string")),
    }
}

/// Where `substr` stands, in characters; matches do not overlap.
fn find_all(arguments: &Arguments) -> Result<Value, Exception> {
    let (source, wanted) = (arguments.text(0)?, arguments.text(1)?);
    let (mut counted, mut index) = (0, 0);
    let found = source.match_indices(&**wanted).map(|(at, _)| {
        index += source[counted..at].chars().count();
        counted = at;
        Value::Int(i64::try_from(index).unwrap_or(i64::MAX))
    });
    Ok(Value::list(found.collect()))
}

fn split(arguments: &Arguments) -> Result<Value, Exception> {
    let (source, separator) = (arguments.text(0)?, arguments.text(1)?);
    // An empty separator splits into characters.
    let parts = if separator.is_empty() {
        source.chars().map(|character| Value::text(character.to_string())).collect()
    } else {
        source.split(&**separator).map(Value::text).collect()
    };
    Ok(Value::list(parts))
}

fn substring(arguments: &Arguments) -> Result<Value, Exception> {
    let (source, start, end) = (arguments.text(0)?, arguments.int(1)?, arguments.int(2)?);
    let length = source.chars().count();
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    match range.filter(|(start, end)| start <= end && *end <= length) {
        Some((start, end)) => Ok(Value::text(source.chars().skip(start).take(end - start).collect::<String>())),
        None => Err(Exception::value_error(format!(
            "text.substring: {start} to {end} is outside a string of {length} characters"
        ))),
    }
}

fn url_encode(source: &str, space: &str) -> String {
    source.bytes().fold(String::with_capacity(source.len()), |mut encoded, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            b' ' => encoded.push_str(space),
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
        encoded
    })
}

fn url_decode(arguments: &Arguments) -> Result<Value, Exception> {
    let source = arguments.text(0)?;
    let invalid = || Exception::value_error(format!("text.url_decode: {source:?} is not url-encoded"));
    let mut bytes = source.bytes();
    let mut decoded = Vec::with_capacity(source.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || {
                    bytes
                        .next()
                        .and_then(|digit| char::from(digit).to_digit(16))
                        .and_then(|digit| u8::try_from(digit).ok())
                };
                let (high, low) = digit().zip(digit()).ok_or_else(invalid)?;
                high << 4 | low
            }
            _ => byte,
        });
    }
    String::from_utf8(decoded).map(Value::text).map_err(|_| invalid())
}
