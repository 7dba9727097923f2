//! `sys.*`

use std::time::SystemTime;

use serde_json::Value as Json;

use crate::exception::Exception;
use crate::host::Host;
use crate::library::{Arguments, Blocking, Body, Function};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "sys.get_env",
        parameters: &["name", "default"],
        required: 1,
        body: Body::Pure(|arguments, host| {
            let name = arguments.text(0)?;
            let default = match arguments.get(1) {
                Value::Null => None,
                _ => Some(arguments.text(1)?),
            };
            match host.environment.get(&**name) {
                Some(value) => Ok(Value::text(value.as_str())),
                None => default
                    .map(|default| Value::Text(default.clone()))
                    .ok_or_else(|| Exception::key_error(format!("environment variable {name:?} is not set"))),
            }
        }),
    },
    Function {
        name: "sys.log",
        parameters: &["data", "severity", "text", "json", "timeout"],
        required: 0,
        body: Body::Blocking(Blocking::Log),
    },
    Function {
        name: "sys.now",
        parameters: &[],
        required: 0,
        body: Body::Pure(|_, host| Ok(Value::Double(now(host)))),
    },
    Function { name: "sys.sleep", parameters: &["seconds"], required: 1, body: Body::Blocking(Blocking::Sleep) },
    Function {
        name: "sys.sleep_until",
        parameters: &["time"],
        required: 1,
        body: Body::Blocking(Blocking::SleepUntil),
    },
];

/// Seconds since 1970.
pub(crate) fn now(host: &Host) -> f64 {
    let now = host.clock.now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or_else(|before| -before.duration().as_secs_f64(), |since| since.as_secs_f64())
}

const SEVERITIES: [&str; 9] =
    ["DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY"];

/// The severity and the message of one `sys.log`.
pub(crate) fn log_entry(arguments: &Arguments) -> Result<(&'static str, Json), Exception> {
    let severity = match arguments.named("severity") {
        Value::Null => SEVERITIES[0],
        Value::Text(given) => {
            SEVERITIES.into_iter().find(|severity| severity.eq_ignore_ascii_case(given)).ok_or_else(|| {
                Exception::value_error(format!("sys.log: {given:?} is no severity ({})", SEVERITIES.join(", ")))
            })?
        }
        _ => return Err(arguments.mismatch(1, "a string")),
    };
    let mut given = ["data", "text", "json"]
        .into_iter()
        .map(|name| (name, arguments.named(name)))
        .filter(|(_, value)| !matches!(value, Value::Null));
    let (Some((name, message)), None) = (given.next(), given.next()) else {
        return Err(Exception::type_error("sys.log takes exactly one of data, text and json"));
    };
    match (name, message) {
        ("json", Value::Map(_)) | ("data" | "text", _) => Ok((severity, message.to_json()?)),
        _ => Err(arguments.mismatch(3, "a map")),
    }
}
