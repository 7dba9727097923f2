//! When something runs, as cron writes it: minute, hour, day of the month, month, day of the week.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

/// A schedule of five fields, in some time zone.
///
/// A field is `*`, a number, a range `a-b`, either with a step (`*/15`), or several of those with commas. Months and days of the
/// week may be called by the first three letters of their English names; Sunday is 0 and 7. When both the day of the month and the
/// day of the week are restricted, either is enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    text: String,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
}

/// Further than any schedule is from its next time: two leap years that 2100 keeps apart, and a day of the week.
const MOST_DAYS: usize = 366 * 12;

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Cron {
    /// The first time after `after`. A time that the clocks skip is as much later, and of one that they show twice it is the first.
    /// Nothing for a day that never comes, such as 30 February.
    pub fn next(&self, after: Timestamp, time_zone: &TimeZone) -> Option<Timestamp> {
        let mut date = time_zone.to_datetime(after).date();
        for _ in 0..MOST_DAYS {
            if self.is_on(date) {
                let found = self.times().filter_map(|time| time_zone.to_timestamp(date.to_datetime(time)).ok());
                if let Some(next) = found.filter(|time| *time > after).min() {
                    return Some(next);
                }
            }
            date = date.checked_add(1.day()).ok()?;
        }
        None
    }

    fn is_on(&self, date: Date) -> bool {
        let has = |set: u64, value: i8| u32::try_from(value).is_ok_and(|value| set >> value & 1 == 1);
        let day = has(self.days, date.day());
        let weekday = has(self.weekdays, date.weekday().to_sunday_zero_offset());
        let is_any = |field: usize| self.text.split(' ').nth(field).is_some_and(|field| field.starts_with('*'));
        let fits = if is_any(2) || is_any(4) { day && weekday } else { day || weekday };
        fits && has(self.months, date.month())
    }

    fn times(&self) -> impl Iterator<Item = Time> + '_ {
        let set = |bits: u64| (0..60_i8).filter(move |value| bits >> value & 1 == 1);
        set(self.hours).flat_map(move |hour| set(self.minutes).map(move |minute| Time::constant(hour, minute, 0, 0)))
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl FromStr for Cron {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else {
            return Err(format!(
                "it has {} fields, and cron has five: minute hour day month weekday, such as 30 3 * * *",
                fields.len()
            ));
        };
        let weekdays = set("weekday", weekdays, 0, 7, &WEEKDAYS)?;
        Ok(Self {
            text: fields.join(" "),
            minutes: set("minute", minutes, 0, 59, &[])?,
            hours: set("hour", hours, 0, 23, &[])?,
            days: set("day", days, 1, 31, &[])?,
            months: set("month", months, 1, 12, &MONTHS)?,
            weekdays: weekdays | weekdays >> 7,
        })
    }
}

/// The values of one field, as bits.
fn set(field: &str, text: &str, first: u32, last: u32, names: &[&str]) -> Result<u64, String> {
    let wrong = |part: &str| {
        format!("its {field} has {part:?}; accepted: *, {first} to {last}, ranges, steps and lists of those")
    };
    let number = |text: &str| {
        let named = names.iter().zip(first..).find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, at)| at);
        // Only digits: a number may be signed otherwise.
        let digits = || text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        named.or_else(digits).filter(|value| (first..=last).contains(value))
    };
    let mut bits = 0;
    for part in text.split(',') {
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        let (start, end) = match range.split_once('-') {
            _ if range == "*" => (first, last),
            Some((start, end)) => number(start).zip(number(end)).ok_or_else(|| wrong(part))?,
            // A step from a number goes to the end.
            None => {
                let start = number(range).ok_or_else(|| wrong(part))?;
                (start, if step.is_some() { last } else { start })
            }
        };
        let step = match step {
            None => 1,
            Some(step) => {
                step.parse::<u32>().ok().filter(|step| (1..=last).contains(step)).ok_or_else(|| wrong(part))?
            }
        };
        if start > end {
            return Err(wrong(part));
        }
        for value in (start..=end).step_by(step as usize) {
            bits |= 1 << value;
        }
    }
    Ok(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn times(cron: &str, zone: &str, after: &str, expected: &[&str]) {
        let cron: Cron = cron.parse().unwrap();
        let zone = TimeZone::get(zone).unwrap();
        let mut time: Timestamp = after.parse().unwrap();
        for expected in expected {
            time = cron.next(time, &zone).unwrap();
            assert_eq!(time.to_string(), *expected, "{cron}");
        }
    }

    #[test]
    fn a_time_is_that_of_the_clocks_of_the_zone() {
        times("30 3 * * *", "UTC", "2025-08-01T03:30:00Z", &["2025-08-02T03:30:00Z", "2025-08-03T03:30:00Z"]);
        times("30 3 * * *", "America/Toronto", "2025-08-01T00:00:00Z", &["2025-08-01T07:30:00Z"]);
        // Toronto's clocks skip 2:00 to 3:00 on 9 March 2025, and show 1:00 to 2:00 twice on 2 November.
        times(
            "30 2 * * *",
            "America/Toronto",
            "2025-03-09T00:00:00Z",
            &["2025-03-09T07:30:00Z", "2025-03-10T06:30:00Z"],
        );
        times(
            "30 1 * * *",
            "America/Toronto",
            "2025-11-02T04:00:00Z",
            &["2025-11-02T05:30:00Z", "2025-11-03T06:30:00Z"],
        );
    }

    #[test]
    fn fields_are_lists_ranges_steps_and_names() {
        let after = "2025-08-01T12:00:00Z"; // a Friday
        times("*/20 * * * *", "UTC", after, &["2025-08-01T12:20:00Z", "2025-08-01T12:40:00Z", "2025-08-01T13:00:00Z"]);
        times(
            "0 8-10/2,23 * * *",
            "UTC",
            after,
            &["2025-08-01T23:00:00Z", "2025-08-02T08:00:00Z", "2025-08-02T10:00:00Z"],
        );
        times("0 5 * * 0", "UTC", after, &["2025-08-03T05:00:00Z", "2025-08-10T05:00:00Z"]);
        times("0 5 * * 7", "UTC", after, &["2025-08-03T05:00:00Z"]);
        times(
            "0 5 * jan Mon-Fri",
            "UTC",
            after,
            &["2026-01-01T05:00:00Z", "2026-01-02T05:00:00Z", "2026-01-05T05:00:00Z"],
        );
        times("0 0 29 2 *", "UTC", after, &["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]);
        // The day of the month or of the week.
        times("0 0 15 * 1", "UTC", after, &["2025-08-04T00:00:00Z", "2025-08-11T00:00:00Z", "2025-08-15T00:00:00Z"]);
        let never: Cron = "0 0 30 2 *".parse().unwrap();
        assert_eq!(never.next(after.parse().unwrap(), &TimeZone::UTC), None);
    }

    #[test]
    fn what_is_no_schedule_is_refused_by_field() {
        let table = [
            ("", "it has 0 fields"),
            ("* * * *", "it has 4 fields"),
            ("60 * * * *", "its minute has \"60\""),
            ("* 24 * * *", "its hour has \"24\""),
            ("* * 0 * *", "its day has \"0\""),
            ("* * * 13 *", "its month has \"13\""),
            ("* * * * 8", "its weekday has \"8\""),
            ("5-1 * * * *", "its minute has \"5-1\""),
            ("*/0 * * * *", "its minute has \"*/0\""),
            ("+5 * * * *", "its minute has \"+5\""),
            ("1,,2 * * * *", "its minute has \"\""),
            ("@daily * * * *", "its minute has \"@daily\""),
        ];
        for (text, expected) in table {
            let error = text.parse::<Cron>().unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
