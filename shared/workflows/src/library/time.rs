//! `time.*`

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::exception::Exception;
use crate::library::{Arguments, Body, Function};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "time.format",
        parameters: &["seconds", "timezone"],
        required: 1,
        body: Body::Pure(|arguments, _| format(arguments)),
    },
    Function {
        name: "time.parse",
        parameters: &["value"],
        required: 1,
        body: Body::Pure(|arguments, _| parse(arguments).map(Value::Double)),
    },
];

/// ISO 8601 with microseconds: `2024-07-12T14:50:33.000000+02:00`, and `Z` where there is no offset.
fn format(arguments: &Arguments) -> Result<Value, Exception> {
    let seconds = arguments.number(0)?;
    let zone = match arguments.get(1) {
        Value::Null => TimeZone::UTC,
        Value::Text(name) if name.is_empty() => TimeZone::UTC,
        Value::Text(name) => TimeZone::get(name)
            .map_err(|_| Exception::value_error(format!("time.format: unknown time zone {name:?}")))?,
        _ => return Err(arguments.mismatch(1, "a string")),
    };
    // To the nearest microsecond: a double holds no more of today's times.
    #[expect(clippy::cast_possible_truncation, reason = "a double beyond the range saturates and is refused below")]
    let time = Timestamp::from_microsecond((seconds * 1e6).round() as i64)
        .map_err(|_| Exception::value_error(format!("time.format: {seconds} is out of range")))?
        .to_zoned(zone);
    let pattern = if time.offset().seconds() == 0 { "%Y-%m-%dT%H:%M:%S%.6fZ" } else { "%Y-%m-%dT%H:%M:%S%.6f%:z" };
    Ok(Value::text(time.strftime(pattern).to_string()))
}

/// The first argument, an ISO 8601 time with an offset, as seconds since 1970.
pub(crate) fn parse(arguments: &Arguments) -> Result<f64, Exception> {
    let text = arguments.text(0)?;
    let time: Timestamp =
        text.parse().map_err(|_| arguments.wrong(format!("{text:?} is no ISO 8601 time with an offset")))?;
    #[expect(
        clippy::cast_precision_loss,
        reason = "microseconds of any representable time fit a double closely enough"
    )]
    Ok(time.as_microsecond() as f64 / 1e6)
}
