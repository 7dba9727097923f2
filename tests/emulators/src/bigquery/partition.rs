//! Partition decorators: `table$20250801` means one partition of a table that is partitioned by a column.
//!
//! | table is partitioned by | decorator |
//! |---|---|
//! | hour, day, month, year of a DATE, DATETIME or TIMESTAMP column | `2025080105`, `20250801`, `202508`, `2025` |
//! | ranges of an INTEGER column | the start of the range |
//! | any column, where it is NULL | `__NULL__` |
//!
//! <https://docs.cloud.google.com/bigquery/docs/managing-partitioned-table-data>

use jiff::civil::DateTime;
use jiff::{Span, Unit};
use serde_json::Value;

use crate::refusal::Refusal;

/// How a table is partitioned by a column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Partitioning {
    Time { field: String, unit: Unit, kind: TimeKind },
    Range { field: String, start: i64, end: i64, interval: i64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeKind {
    Date,
    Datetime,
    Timestamp,
}

impl Partitioning {
    /// Reads it from a table resource; nothing for a table that is not partitioned.
    ///
    /// # Errors
    /// A refusal if the column is missing or can't partition a table so.
    pub(crate) fn of(resource: &Value) -> Result<Option<Self>, Refusal> {
        if let Some(range) = resource.get("rangePartitioning") {
            let field = range["field"].as_str().unwrap_or_default().to_owned();
            let kind = kind_of(resource, &field)?;
            if kind != "INTEGER" {
                return Err(Refusal::invalid(format!(
                    "The field specified for partitioning can only be of type INTEGER, but {field} is {kind}"
                )));
            }
            let number = |key: &str| {
                let value = &range["range"][key];
                let parsed = value.as_i64().or_else(|| value.as_str()?.parse().ok());
                parsed.ok_or_else(|| Refusal::invalid(format!("rangePartitioning.range.{key} is not an integer")))
            };
            let (start, end, interval) = (number("start")?, number("end")?, number("interval")?);
            if interval <= 0 || end <= start {
                return Err(Refusal::invalid("rangePartitioning.range is empty"));
            }
            return Ok(Some(Self::Range { field, start, end, interval }));
        }
        let Some(time) = resource.get("timePartitioning") else { return Ok(None) };
        let Some(field) = time["field"].as_str() else {
            return Err(Refusal::not_emulated("partitioning by ingestion time; partition by a column"));
        };
        let kind = match kind_of(resource, field)? {
            "DATE" => TimeKind::Date,
            "DATETIME" => TimeKind::Datetime,
            "TIMESTAMP" => TimeKind::Timestamp,
            other => {
                return Err(Refusal::invalid(format!(
                    "The field specified for partitioning can only be of type TIMESTAMP, DATE or DATETIME. \
                     The type found is: {other}"
                )));
            }
        };
        let unit = match time["type"].as_str() {
            Some("HOUR") => Unit::Hour,
            Some("DAY") | None => Unit::Day,
            Some("MONTH") => Unit::Month,
            Some("YEAR") => Unit::Year,
            Some(other) => return Err(Refusal::invalid(format!("timePartitioning.type is {other}"))),
        };
        if kind == TimeKind::Date && unit == Unit::Hour {
            return Err(Refusal::invalid("HOUR partitioning is not allowed for a DATE column"));
        }
        Ok(Some(Self::Time { field: field.to_owned(), unit, kind }))
    }

    /// The rows of the partition that a decorator names, as a condition in GoogleSQL. It is never NULL.
    pub(crate) fn condition(&self, decorator: &str) -> Result<String, Refusal> {
        let field = self.field();
        if decorator == "__NULL__" {
            return Ok(format!("`{field}` IS NULL"));
        }
        let invalid =
            || Refusal::invalid(format!("Invalid partition decorator ${decorator} for this table's partitioning"));
        let (from, to) = match self {
            Self::Range { start, end, interval, .. } => {
                let value: i64 = decorator.parse().map_err(|_| invalid())?;
                if value < *start || value >= *end || (value - start) % interval != 0 {
                    return Err(invalid());
                }
                (value.to_string(), (value + interval).min(*end).to_string())
            }
            Self::Time { unit, kind, .. } => {
                let from = instant(decorator, *unit).ok_or_else(invalid)?;
                let span = match unit {
                    Unit::Hour => Span::new().hours(1),
                    Unit::Day => Span::new().days(1),
                    Unit::Month => Span::new().months(1),
                    _ => Span::new().years(1),
                };
                let to = from.checked_add(span).map_err(|_| invalid())?;
                (kind.literal(from), kind.literal(to))
            }
        };
        Ok(format!("`{field}` IS NOT NULL AND `{field}` >= {from} AND `{field}` < {to}"))
    }

    /// An expression that is different for rows of different partitions.
    pub(crate) fn key(&self) -> String {
        let field = self.field();
        match self {
            Self::Range { start, interval, .. } => format!("DIV(`{field}` - ({start}), {interval})"),
            Self::Time { unit, kind, .. } => {
                let unit = match unit {
                    Unit::Hour => "HOUR",
                    Unit::Day => "DAY",
                    Unit::Month => "MONTH",
                    _ => "YEAR",
                };
                let function = match kind {
                    TimeKind::Date => "DATE_TRUNC",
                    TimeKind::Datetime => "DATETIME_TRUNC",
                    TimeKind::Timestamp => "TIMESTAMP_TRUNC",
                };
                format!("{function}(`{field}`, {unit})")
            }
        }
    }

    fn field(&self) -> &str {
        match self {
            Self::Time { field, .. } | Self::Range { field, .. } => field,
        }
    }
}

impl TimeKind {
    fn literal(self, at: DateTime) -> String {
        match self {
            Self::Date => format!("DATE '{}'", at.strftime("%Y-%m-%d")),
            Self::Datetime => format!("DATETIME '{}'", at.strftime("%Y-%m-%d %H:%M:%S")),
            Self::Timestamp => format!("TIMESTAMP '{}+00'", at.strftime("%Y-%m-%d %H:%M:%S")),
        }
    }
}

/// The start of a partition by its decorator, whose length the unit decides.
fn instant(decorator: &str, unit: Unit) -> Option<DateTime> {
    let length = match unit {
        Unit::Hour => 10,
        Unit::Day => 8,
        Unit::Month => 6,
        _ => 4,
    };
    if decorator.len() != length || !decorator.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize, to: usize, or: i8| match decorator.get(from..to) {
        Some(digits) => digits.parse().ok(),
        None => Some(or),
    };
    let year = decorator[..4].parse().ok()?;
    DateTime::new(year, number(4, 6, 1)?, number(6, 8, 1)?, number(8, 10, 0)?, 0, 0, 0).ok()
}

/// The type of a top-level column, under its REST name.
fn kind_of<'a>(resource: &'a Value, field: &str) -> Result<&'a str, Refusal> {
    let fields = resource["schema"]["fields"].as_array().map(Vec::as_slice).unwrap_or_default();
    let column =
        fields.iter().find(|column| column["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(field)));
    let kind = column.and_then(|column| column["type"].as_str());
    kind.map(super::schema::rest_type).ok_or_else(|| {
        Refusal::invalid(format!("The field specified for partitioning cannot be found in the schema: {field}"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn condition(partitioning: &Value, kind: &str, decorator: &str) -> Result<String, Refusal> {
        let mut resource = json!({"schema": {"fields": [{"name": "c", "type": kind}]}});
        resource.as_object_mut().unwrap().extend(partitioning.as_object().unwrap().clone());
        Partitioning::of(&resource)?.unwrap().condition(decorator)
    }

    fn time(unit: &str) -> Value {
        json!({"timePartitioning": {"type": unit, "field": "c"}})
    }

    #[test]
    fn every_unit_has_its_bounds() {
        let of = |unit, kind, decorator| condition(&time(unit), kind, decorator).unwrap();
        assert_eq!(
            of("HOUR", "TIMESTAMP", "2025123123"),
            "`c` IS NOT NULL AND `c` >= TIMESTAMP '2025-12-31 23:00:00+00' AND `c` < TIMESTAMP '2026-01-01 00:00:00+00'"
        );
        assert_eq!(
            of("DAY", "DATE", "20240228"),
            "`c` IS NOT NULL AND `c` >= DATE '2024-02-28' AND `c` < DATE '2024-02-29'"
        );
        assert_eq!(
            of("MONTH", "DATETIME", "202512"),
            "`c` IS NOT NULL AND `c` >= DATETIME '2025-12-01 00:00:00' AND `c` < DATETIME '2026-01-01 00:00:00'"
        );
        assert_eq!(
            of("YEAR", "DATE", "2025"),
            "`c` IS NOT NULL AND `c` >= DATE '2025-01-01' AND `c` < DATE '2026-01-01'"
        );
        assert_eq!(of("DAY", "DATE", "__NULL__"), "`c` IS NULL");
    }

    #[test]
    fn ranges_start_at_a_step_within_the_bounds() {
        let range =
            json!({"rangePartitioning": {"field": "c", "range": {"start": "0", "end": "25", "interval": "10"}}});
        let of = |decorator| condition(&range, "INT64", decorator);
        assert_eq!(of("20").unwrap(), "`c` IS NOT NULL AND `c` >= 20 AND `c` < 25");
        for wrong in ["-10", "5", "30", "x"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_decorator_of_another_length_or_date_is_refused() {
        for wrong in ["202508", "20250230", "2025080", "__UNPARTITIONED__", "", "2025-8-1"] {
            assert!(condition(&time("DAY"), "DATE", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_column_of_another_type_can_not_partition() {
        assert!(condition(&time("DAY"), "STRING", "20250801").is_err());
        assert!(condition(&time("HOUR"), "DATE", "2025080100").is_err());
        assert!(condition(&json!({"timePartitioning": {"type": "DAY"}}), "DATE", "20250801").is_err());
    }
}
