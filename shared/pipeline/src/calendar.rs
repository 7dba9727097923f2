//! The calendar of a table: which partitions there are, and which window of time each one is.
//!
//! A partition's window begins at the first instant at which the clocks of the time zone show its beginning or later,
//! and ends where the next one begins. So windows cover all of time without a gap or an overlap whatever the clocks do:
//! - when clocks go forward a day has 23 hours, and an hour that is skipped as a whole has no partition;
//! - when clocks go back a day has 25 hours, and an hour that comes twice is one partition of two hours;
//! - a day that the zone skipped (Samoa, 30 December 2011) has no partition.

use std::ops::RangeInclusive;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Span, ToSpan};
use serde::{Deserialize, Serialize, Serializer};
use wap::PartitionKey;

use crate::error::Error;
use crate::names::{Word, quoted};

/// Outside them either a key has no four digits or the end of a window cannot be written as an instant.
const YEARS: RangeInclusive<i16> = 1..=9998;

/// Of `YYYY-MM-DD` and `YYYY-MM`.
const DAY_LENGTH: usize = 10;
const MONTH_LENGTH: usize = 7;

/// The length of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Granularity {
    /// One hour, `2025-08-01T05`.
    Hour,
    /// One day, `2025-08-01`.
    Day,
    /// One week, named by its first day, `2025-07-28`.
    Week,
    /// One month, `2025-08`.
    Month,
    /// All of time, `all`.
    All,
}

/// A half-open span of time: `start` belongs to it, `end` does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The first instant.
    pub start: Timestamp,
    /// The instant after the last.
    pub end: Timestamp,
}

/// The partitions of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Calendar {
    /// The length of a partition.
    pub granularity: Granularity,
    /// The first day of a week; only weekly partitions depend on it.
    #[serde(serialize_with = "serialize_weekday")]
    pub week_starts: Weekday,
    /// The time zone whose clocks decide where a partition begins.
    #[serde(serialize_with = "serialize_time_zone")]
    pub time_zone: TimeZone,
    /// The first day that has a partition.
    pub start: Date,
    /// The last day that has one; `None` for a table that goes on.
    pub end: Option<Date>,
}

/// The partitions from one to another, both included. Made by [`Calendar::range`].
#[derive(Debug, Clone)]
pub struct Partitions {
    calendar: Calendar,
    next: Option<PartitionKey>,
    last: PartitionKey,
}

impl Window {
    /// Whether the instant lies in the window.
    pub fn contains(&self, instant: Timestamp) -> bool {
        self.start <= instant && instant < self.end
    }

    /// Whether all of the window is past.
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.end <= now
    }
}

impl Granularity {
    /// How a key is written, with an example.
    pub fn form(self) -> &'static str {
        match self {
            Self::Hour => "YYYY-MM-DDTHH, such as 2025-08-01T05",
            Self::Day => "YYYY-MM-DD, such as 2025-08-01",
            Self::Week => "YYYY-MM-DD, the first day of the week",
            Self::Month => "YYYY-MM, such as 2025-08",
            Self::All => "all",
        }
    }

    /// The word for it in pipeline.yaml.
    pub fn as_str(self) -> &'static str {
        self.word()
    }
}

impl Word for Granularity {
    const KIND: &'static str = "granularity";
    const ALL: &'static [(&'static str, Self)] =
        &[("hour", Self::Hour), ("day", Self::Day), ("week", Self::Week), ("month", Self::Month), ("all", Self::All)];
}

impl Word for Weekday {
    const KIND: &'static str = "day of the week";
    const ALL: &'static [(&'static str, Self)] = &[
        ("monday", Self::Monday),
        ("tuesday", Self::Tuesday),
        ("wednesday", Self::Wednesday),
        ("thursday", Self::Thursday),
        ("friday", Self::Friday),
        ("saturday", Self::Saturday),
        ("sunday", Self::Sunday),
    ];
}

impl Calendar {
    /// Daily partitions without an end.
    pub fn daily(time_zone: TimeZone, start: Date) -> Self {
        Self { granularity: Granularity::Day, week_starts: Weekday::Monday, time_zone, start, end: None }
    }

    /// The partition whose window contains the instant.
    pub fn partition_of(&self, instant: Timestamp) -> Result<PartitionKey, Error> {
        if self.granularity == Granularity::All {
            return Ok(PartitionKey::all());
        }
        let mut start = self.floor(self.time_zone.to_datetime(instant))?;
        // Where clocks go back over the beginning of a partition, they show the previous one again; it has ended.
        loop {
            let next = self.step(start, 1)?;
            if self.begins(next)? > instant {
                return self.key(start);
            }
            start = next;
        }
    }

    /// The window of a partition. That of `all` is as wide as both warehouses can write.
    pub fn window(&self, partition: &PartitionKey) -> Result<Window, Error> {
        match self.civil_start(partition)? {
            None => Ok(Window { start: midnight_utc(1, 1, 1)?, end: midnight_utc(9999, 12, 30)? }),
            Some(start) => self.window_from(start)?.ok_or_else(|| self.skipped(partition)),
        }
    }

    /// What the pipeline's clocks show when the partition begins; nothing for `all`.
    pub fn local_start(&self, partition: &PartitionKey) -> Result<Option<DateTime>, Error> {
        if *partition == PartitionKey::all() {
            return Ok(None);
        }
        Ok(Some(self.time_zone.to_datetime(self.window(partition)?.start)))
    }

    /// Reads a partition as a person wrote it. Refuses what this calendar does not have, saying what it has.
    pub fn parse(&self, text: &str) -> Result<PartitionKey, Error> {
        let partition = PartitionKey::new(text).map_err(|_| {
            Error::Rejected(format!("{} is not a partition; write {}", quoted(text), self.granularity.form()))
        })?;
        self.window(&partition)?;
        let first = self.floor(self.start.into())?;
        let start = self.civil_start(&partition)?.unwrap_or(first);
        if start < first {
            return Err(Error::Rejected(format!(
                "partition {partition} is before {}, the first one",
                self.key(first)?
            )));
        }
        if let Some(end) = self.end.filter(|end| start.date() > *end) {
            return Err(Error::Rejected(format!(
                "partition {partition} is after {}, the last one",
                self.key(self.floor(end.into())?)?
            )));
        }
        Ok(partition)
    }

    /// Reads a partition as [`parse`](Self::parse) does, or a day as the partition that contains it.
    pub fn parse_containing(&self, text: &str) -> Result<PartitionKey, Error> {
        let day = PartitionKey::new(text).ok().filter(|key| key.as_str().len() == DAY_LENGTH);
        match day {
            Some(day) if self.granularity != Granularity::Day => {
                let found = self.partitions_for(&day)?;
                found.into_iter().next().ok_or_else(|| {
                    Error::Rejected(format!("{day} is in no partition; the first begins on {}", self.start))
                })
            }
            _ => self.parse(text),
        }
    }

    /// The partition after this one; `None` after `all` and at the end of the calendar (the year 9998).
    pub fn next(&self, partition: &PartitionKey) -> Result<Option<PartitionKey>, Error> {
        self.neighbour(partition, 1)
    }

    /// The partition before this one; `None` before `all` and at the beginning of the calendar (the year 1).
    pub fn previous(&self, partition: &PartitionKey) -> Result<Option<PartitionKey>, Error> {
        self.neighbour(partition, -1)
    }

    /// The first partition: the one that contains the calendar's start.
    pub fn first(&self) -> Result<PartitionKey, Error> {
        if self.granularity == Granularity::All {
            return Ok(PartitionKey::all());
        }
        self.key(self.floor(self.start.into())?)
    }

    /// The partitions from `first` to `last`, both included.
    pub fn range(&self, first: &PartitionKey, last: &PartitionKey) -> Result<Partitions, Error> {
        self.window(first)?;
        self.window(last)?;
        if first > last {
            return Err(Error::Rejected(format!(
                "the range from {first} to {last} is empty; write the earlier partition first"
            )));
        }
        Ok(Partitions { calendar: self.clone(), next: Some(first.clone()), last: last.clone() })
    }

    /// This table's partitions that a run for a day or an hour concerns: the one that contains it, or all hours of the
    /// day. Empty before `start` and after `end`.
    pub fn partitions_for(&self, run: &PartitionKey) -> Result<Vec<PartitionKey>, Error> {
        let (date, hour) = match self.granularity {
            // Where every table is monthly, runs are for months.
            Granularity::Month | Granularity::All if run.as_str().len() == MONTH_LENGTH => {
                (civil(run.as_str())?.date(), None)
            }
            _ => run_date(run)?,
        };
        let hours = match (self.granularity, hour) {
            (Granularity::All, _) => return Ok(vec![PartitionKey::all()]),
            (Granularity::Hour, None) => 0..=23,
            (_, hour) => hour.unwrap_or(0)..=hour.unwrap_or(0),
        };
        let first = self.floor(self.start.into())?;
        let mut partitions = Vec::new();
        for hour in hours {
            let start = self.floor(date.at(hour, 0, 0, 0))?;
            let in_bounds = first <= start && self.end.is_none_or(|end| start.date() <= end);
            if in_bounds && self.window_from(start)?.is_some() {
                partitions.push(self.key(start)?);
            }
        }
        Ok(partitions)
    }

    /// Whether no instant of the partition has come yet.
    pub fn is_future(&self, partition: &PartitionKey, now: Timestamp) -> Result<bool, Error> {
        Ok(self.window(partition)?.start > now)
    }

    fn neighbour(&self, partition: &PartitionKey, direction: i64) -> Result<Option<PartitionKey>, Error> {
        let Some(mut start) = self.civil_start(partition)? else {
            return Ok(None);
        };
        loop {
            start = self.step(start, direction)?;
            if !YEARS.contains(&start.year()) {
                return Ok(None);
            }
            if self.window_from(start)?.is_some() {
                return self.key(start).map(Some);
            }
        }
    }

    /// What the clocks show at the beginning of a partition; `None` for `all`. Refuses keys of another granularity,
    /// dates that do not exist and days that begin no week.
    fn civil_start(&self, partition: &PartitionKey) -> Result<Option<DateTime>, Error> {
        let text = partition.as_str();
        if text.len() != self.key_length() {
            return Err(Error::Rejected(format!(
                "partition {text} is not of granularity {}; write {}",
                self.granularity.as_str(),
                self.granularity.form()
            )));
        }
        if text == "all" {
            return Ok(None);
        }
        let start = civil(text)?;
        let floor = self.floor(start)?;
        if floor != start {
            return Err(Error::Rejected(format!(
                "{text} does not begin a week; weeks begin on {}: that week is {}",
                self.week_starts.word(),
                self.key(floor)?
            )));
        }
        Ok(Some(start))
    }

    fn key_length(&self) -> usize {
        match self.granularity {
            Granularity::Hour => "2025-08-01T05".len(),
            Granularity::Day | Granularity::Week => "2025-08-01".len(),
            Granularity::Month => "2025-08".len(),
            Granularity::All => "all".len(),
        }
    }

    /// The key of the partition that begins when the clocks show `start`.
    fn key(&self, start: DateTime) -> Result<PartitionKey, Error> {
        if !YEARS.contains(&start.year()) {
            return Err(outside(start));
        }
        let form = match self.granularity {
            Granularity::Hour => "%Y-%m-%dT%H",
            Granularity::Day | Granularity::Week => "%Y-%m-%d",
            Granularity::Month => "%Y-%m",
            Granularity::All => "all",
        };
        PartitionKey::new(start.strftime(form).to_string()).map_err(|_| outside(start))
    }

    /// The beginning of the partition that contains `civil`, by the clocks.
    fn floor(&self, civil: DateTime) -> Result<DateTime, Error> {
        let date = civil.date();
        let floor = match self.granularity {
            Granularity::Hour => date.at(civil.hour(), 0, 0, 0),
            Granularity::Day | Granularity::All => date.into(),
            Granularity::Week => {
                let days = self.week_starts.until(date.weekday());
                date.checked_sub(days.days()).map_err(|_| outside(civil))?.into()
            }
            Granularity::Month => date.first_of_month().into(),
        };
        Ok(floor)
    }

    fn step(&self, start: DateTime, count: i64) -> Result<DateTime, Error> {
        let span = match self.granularity {
            Granularity::Hour => Span::new().try_hours(count),
            Granularity::Day | Granularity::All => Span::new().try_days(count),
            Granularity::Week => Span::new().try_weeks(count),
            Granularity::Month => Span::new().try_months(count),
        };
        span.and_then(|span| start.checked_add(span)).map_err(|_| outside(start))
    }

    /// The first instant at which the clocks show `civil` or later.
    fn begins(&self, civil: DateTime) -> Result<Timestamp, Error> {
        let instant = match self.time_zone.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(civil),
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(civil),
            AmbiguousOffset::Gap { before, after } => after.to_timestamp(civil).and_then(|early| {
                // Clocks never show `civil`; they jump over it at a transition between these two instants.
                let late = before.to_timestamp(civil)?;
                let jump = self
                    .time_zone
                    .following(early)
                    .map(|transition| transition.timestamp())
                    .take_while(|instant| *instant <= late)
                    .find(|instant| self.time_zone.to_datetime(*instant) >= civil);
                Ok(jump.unwrap_or(late))
            }),
        };
        instant.map_err(|_| outside(civil))
    }

    /// The window of the partition that begins when the clocks show `start`; `None` where they skip all of it.
    fn window_from(&self, start: DateTime) -> Result<Option<Window>, Error> {
        let window = Window { start: self.begins(start)?, end: self.begins(self.step(start, 1)?)? };
        Ok((window.start < window.end).then_some(window))
    }

    fn skipped(&self, partition: &PartitionKey) -> Error {
        Error::Rejected(format!(
            "partition {partition} does not exist: the clocks of {} skip it",
            self.time_zone.iana_name().unwrap_or("the time zone")
        ))
    }
}

impl Iterator for Partitions {
    type Item = PartitionKey;

    fn next(&mut self) -> Option<PartitionKey> {
        let current = self.next.take()?;
        if current < self.last {
            // Both ends were checked, so whatever lies between them is a partition.
            self.next = self.calendar.next(&current).ok().flatten();
        }
        Some(current)
    }
}

/// The date, and for an hourly run the hour, that a run is about.
fn run_date(run: &PartitionKey) -> Result<(Date, Option<i8>), Error> {
    let start = match run.as_str().len() {
        10 | 13 => civil(run.as_str())?,
        _ => {
            return Err(Error::Rejected(format!(
                "a run is for a day or an hour, not for {run}; write YYYY-MM-DD or YYYY-MM-DDTHH"
            )));
        }
    };
    Ok((start.date(), (run.as_str().len() == 13).then(|| start.hour())))
}

/// The date and time that the digits of a key name.
fn civil(key: &str) -> Result<DateTime, Error> {
    let number = |at: std::ops::Range<usize>, absent: i16| match key.get(at) {
        Some(digits) => digits.parse::<i16>().unwrap_or(-1),
        None => absent,
    };
    let (year, month, day, hour) = (number(0..4, 0), number(5..7, 1), number(8..10, 1), number(11..13, 0));
    let part = |number: i16| i8::try_from(number).unwrap_or(-1);
    YEARS
        .contains(&year)
        .then(|| DateTime::new(year, part(month), part(day), part(hour), 0, 0, 0).ok())
        .flatten()
        .ok_or_else(|| {
            Error::Rejected(format!(
                "partition {key} does not exist: the calendar has no such date or hour; years go from 0001 to 9998"
            ))
        })
}

fn midnight_utc(year: i16, month: i8, day: i8) -> Result<Timestamp, Error> {
    let midnight = jiff::civil::date(year, month, day).at(0, 0, 0, 0);
    TimeZone::UTC.to_timestamp(midnight).map_err(|_| outside(midnight))
}

fn outside(civil: DateTime) -> Error {
    Error::Rejected(format!("{civil} is outside the calendar, which goes from the year 1 to the year 9998"))
}

pub(crate) fn serialize_time_zone<S: Serializer>(time_zone: &TimeZone, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(time_zone.iana_name().unwrap_or("UTC"))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn serialize_weekday<S: Serializer>(weekday: &Weekday, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(weekday.word())
}
