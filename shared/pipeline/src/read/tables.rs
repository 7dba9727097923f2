//! The tables.

use indexmap::IndexMap;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use wap::Identifier;

use super::columns::{Columns, columns};
use super::sections::{MOST_DAYS, object_layout, object_prefix, query};
use super::{named, names};
use crate::calendar::{Calendar, Granularity};
use crate::column::{Column, ColumnType, Mode};
use crate::pipeline::RawDataset;
use crate::place::{Fields, Place};
use crate::table::{
    Changes, LakeLayout, RawGranularity, RawLayout, RawPartitioning, Reconcile, RelationName, Rows, Table,
};

/// What a table says nothing about.
pub(super) struct Defaults<'a> {
    pub(super) sources: &'a [Identifier],
    pub(super) time_zone: TimeZone,
    pub(super) start: Date,
    pub(super) lake: &'a LakeLayout,
    pub(super) raw: Option<&'a RawDataset>,
}

pub(super) fn tables(place: &Place<'_>, defaults: &Defaults<'_>) -> Option<IndexMap<Identifier, Table>> {
    let mut paths: Vec<(String, Identifier)> = Vec::new();
    named(place, "table", |name, fields| {
        let at = fields.place().clone();
        let table = table(name, fields, defaults)?;
        // An object must belong to one table, also when keys are listed by prefix.
        let path = format!("{}/", table.lake.path);
        if let Some((_, other)) = paths.iter().find(|(other, _)| path.starts_with(other) || other.starts_with(&path)) {
            at.refuse(format!("its lake path {} overlaps that of the table {other}", table.lake.path));
        }
        paths.push((path, name.clone()));
        Some(table)
    })
}

fn table(name: &Identifier, mut fields: Fields<'_>, defaults: &Defaults<'_>) -> Option<Table> {
    let columns = fields.required("columns", |place| Some(columns(place))).unwrap_or_default();
    let source = fields.required("source", |place| place.known("source", defaults.sources));
    let rows = rows(name, &mut fields);
    let description = fields.optional("description", Place::owned_text);
    let key = fields.optional("key", |place| Some(key(place, &columns))).unwrap_or_default();
    let changes = changes(&mut fields, &columns);
    if matches!(changes, Some(Changes::Log { .. })) && key.is_empty() {
        fields.place().refuse("the key `key` is missing; a table with a log needs the columns that identify a row");
    }
    let calendar = calendar(fields.section("partition"), defaults);
    if let (Some(changes), Some(calendar)) = (&changes, &calendar) {
        check_changes(fields.place(), changes, calendar.granularity, &columns);
    }
    let lake = lake(name, fields.section("lake"), defaults.lake);
    let raw = raw(fields.section("raw"), &columns, defaults.raw);
    let reconcile = fields.optional("reconcile", |place| reconcile(place.fields()?, &columns));
    fields.finish();
    Some(Table {
        name: name.clone(),
        source: source?,
        rows: rows?,
        description,
        key,
        changes: changes?,
        calendar: calendar?,
        columns: columns.read,
        lake,
        raw,
        reconcile,
    })
}

fn rows(name: &Identifier, fields: &mut Fields<'_>) -> Option<Rows> {
    match (fields.get("relation"), fields.get("query")) {
        (Some(_), Some(place)) => {
            place.refuse("a table has either a relation or a query; leave one of them out");
            None
        }
        (None, Some(place)) => query(&place).map(Rows::Query),
        (Some(place), None) => relation(&place).map(Rows::Relation),
        (None, None) => Some(Rows::Relation(RelationName(vec![name.clone()]))),
    }
}

fn relation(place: &Place<'_>) -> Option<RelationName> {
    place.text()?.parse().map_err(|refusal: String| place.refuse(refusal)).ok()
}

fn key(place: &Place<'_>, columns: &Columns) -> Vec<Identifier> {
    names(place, "key column", |item| {
        let column = known_column(item, columns)?;
        let exact = !matches!(
            column.column_type,
            ColumnType::Float | ColumnType::Json | ColumnType::Geography | ColumnType::Record(_)
        );
        if exact && column.mode != Mode::Repeated {
            return Some(column.name.clone());
        }
        item.refuse(format!(
            "the column {} cannot identify a row; accepted: columns that are no float, json, geography, record or list",
            column.name
        ));
        None
    })
}

fn known_column<'c>(place: &Place<'_>, columns: &'c Columns) -> Option<&'c Column> {
    named_column(place, place.text()?, columns)
}

fn named_column<'c>(place: &Place<'_>, name: &str, columns: &'c Columns) -> Option<&'c Column> {
    if columns.names.is_empty() {
        return None;
    }
    let name = place.known_name(name, "column of this table", &columns.names)?;
    columns.read.iter().find(|column| column.name == name)
}

/// A column whose type is among those that `accepts`, called `expected` in the error.
fn column_of(
    place: &Place<'_>,
    columns: &Columns,
    expected: &str,
    accepts: impl FnOnce(&ColumnType) -> bool,
) -> Option<Identifier> {
    fitting(place, known_column(place, columns)?, expected, accepts)
}

fn fitting(
    place: &Place<'_>,
    column: &Column,
    expected: &str,
    accepts: impl FnOnce(&ColumnType) -> bool,
) -> Option<Identifier> {
    if column.mode != Mode::Repeated && accepts(&column.column_type) {
        return Some(column.name.clone());
    }
    place.refuse(format!("the column {} is not of a type that fits here; accepted: {expected}", column.name));
    None
}

/// `None` if something was refused.
fn changes(fields: &mut Fields<'_>, columns: &Columns) -> Option<Changes> {
    match (fields.get("log"), fields.get("cursor")) {
        (Some(_), Some(place)) => {
            place.refuse("a table has either a log or a cursor; leave one of them out");
            None
        }
        (Some(place), None) => {
            let mut fields = place.fields()?;
            let changed_at = fields.required("changed_at", |place| {
                column_of(place, columns, "timestamp, datetime", |column_type| {
                    matches!(column_type, ColumnType::Timestamp | ColumnType::Datetime)
                })
            });
            let sequence = fields.required("sequence", |place| {
                column_of(place, columns, "integer", |column_type| *column_type == ColumnType::Integer)
            });
            let operation = fields.required("operation", |place| {
                column_of(place, columns, "string", |column_type| *column_type == ColumnType::String)
            });
            fields.finish();
            Some(Changes::Log { changed_at: changed_at?, sequence: sequence?, operation: operation? })
        }
        (None, Some(place)) => {
            let mut fields = place.fields()?;
            let column = fields.required("column", |place| {
                column_of(place, columns, "timestamp, datetime, date", |column_type| {
                    matches!(column_type, ColumnType::Timestamp | ColumnType::Datetime | ColumnType::Date)
                })
            });
            let late_partitions = fields.optional("late_partitions", |place| place.integer(0..=366));
            fields.finish();
            Some(Changes::Cursor { column: column?, late_partitions: late_partitions.unwrap_or(0) })
        }
        (None, None) => Some(Changes::Whole),
    }
}

/// Refuses a granularity that the way of finding changes cannot serve.
fn check_changes(place: &Place<'_>, changes: &Changes, granularity: Granularity, columns: &Columns) {
    let of_day = |column: &Identifier| {
        columns.read.iter().any(|other| other.name == *column && other.column_type == ColumnType::Date)
    };
    match (changes, granularity) {
        (Changes::Whole, Granularity::All) => {}
        (Changes::Whole, granularity) => place.refuse(format!(
            "a table without `log` or `cursor` cannot have partitions of granularity {}; name one of the two, or set \
             partition.granularity to all",
            granularity.as_str()
        )),
        (_, Granularity::All) => {
            place.refuse("a table of granularity all is read whole; leave `log` and `cursor` out");
        }
        (Changes::Cursor { column, .. }, Granularity::Hour) if of_day(column) => place.refuse(format!(
            "the cursor {column} is a date and cannot tell hours apart; accepted granularities: day, week, month"
        )),
        _ => {}
    }
}

fn calendar(mut fields: Fields<'_>, defaults: &Defaults<'_>) -> Option<Calendar> {
    let granularity = match fields.get("granularity") {
        Some(place) => place.word(),
        None => Some(Granularity::Day),
    };
    let week_starts = fields.optional("week_starts", |place| {
        if granularity.is_some_and(|granularity| granularity != Granularity::Week) {
            place.refuse("only a table of granularity week has a first day of the week; leave the key out");
        }
        place.word()
    });
    let start = fields.optional("start", Place::date).unwrap_or(defaults.start);
    let end = fields.optional("end", |place| {
        let end = place.date()?;
        if end < start {
            place.refuse(format!("{end} is before the table's first day, {start}"));
        }
        Some(end)
    });
    fields.finish();
    Some(Calendar {
        granularity: granularity?,
        week_starts: week_starts.unwrap_or(Weekday::Monday),
        time_zone: defaults.time_zone.clone(),
        start,
        end,
    })
}

fn lake(name: &Identifier, mut fields: Fields<'_>, defaults: &LakeLayout) -> LakeLayout {
    let path = fields.optional("path", object_prefix).unwrap_or_else(|| format!("{}/{name}", defaults.path));
    let layout = LakeLayout { path, ..object_layout(&mut fields, defaults) };
    fields.finish();
    layout
}

fn raw(mut fields: Fields<'_>, columns: &Columns, defaults: Option<&RawDataset>) -> RawLayout {
    let partition_by = fields.optional("partition_by", |place| raw_partitioning(place.fields()?, columns));
    let cluster_by = fields.optional("cluster_by", |place| {
        let cluster_by = names(place, "clustering column", |item| {
            column_of(item, columns, "all but float, time, bytes, json and record", |column_type| {
                !matches!(
                    column_type,
                    ColumnType::Float | ColumnType::Time | ColumnType::Bytes | ColumnType::Json | ColumnType::Record(_)
                )
            })
        });
        if cluster_by.len() > 4 {
            place.refuse(format!("there are {} clustering columns; BigQuery accepts 4", cluster_by.len()));
        }
        Some(cluster_by)
    });
    let expiration_days = fields
        .optional("expiration_days", |place| place.integer(1..=MOST_DAYS))
        .or(defaults.and_then(|defaults| defaults.expiration_days));
    let require_partition_filter = fields.optional("require_partition_filter", Place::boolean).unwrap_or(false);
    fields.finish();
    RawLayout { partition_by, cluster_by: cluster_by.unwrap_or_default(), expiration_days, require_partition_filter }
}

fn raw_partitioning(mut fields: Fields<'_>, columns: &Columns) -> Option<RawPartitioning> {
    let column = fields.get("column");
    if column.is_none() {
        fields.place().refuse("the key `column` is missing");
    }
    let partitioning = match (fields.get("granularity"), fields.get("range")) {
        (Some(_), Some(place)) => {
            place.refuse("a raw table is partitioned either by a granularity or by a range; leave one of them out");
            None
        }
        (None, None) => {
            fields.place().refuse("the key `granularity` (or `range`, for an integer column) is missing");
            None
        }
        (Some(place), None) => {
            let granularity: Option<RawGranularity> = place.word();
            let column =
                column.and_then(|column| {
                    column_of(&column, columns, "date (not by hour), datetime, timestamp", |column_type| {
                        match column_type {
                            ColumnType::Datetime | ColumnType::Timestamp => true,
                            ColumnType::Date => granularity != Some(RawGranularity::Hour),
                            _ => false,
                        }
                    })
                });
            column.zip(granularity).map(|(column, granularity)| RawPartitioning::Time { column, granularity })
        }
        (None, Some(place)) => {
            let column = column.and_then(|column| {
                column_of(&column, columns, "integer", |column_type| *column_type == ColumnType::Integer)
            });
            range(place.fields()?, column)
        }
    };
    fields.finish();
    partitioning
}

fn range(mut fields: Fields<'_>, column: Option<Identifier>) -> Option<RawPartitioning> {
    let start = fields.required("start", |place| place.integer(i64::MIN..=i64::MAX));
    let end = fields.required("end", |place| {
        let end = place.integer(i64::MIN..=i64::MAX)?;
        if start.is_some_and(|start| end <= start) {
            place.refuse(format!("{end} is not above `start`"));
        }
        Some(end)
    });
    let interval = fields.required("interval", |place| place.integer(1..=i64::MAX));
    if let (Some(start), Some(end), Some(interval)) = (start, end, interval)
        && (i128::from(end) - i128::from(start)) / i128::from(interval) > 10_000
    {
        fields.place().refuse("the range has more than 10,000 intervals, the limit of BigQuery; use a longer interval");
    }
    fields.finish();
    Some(RawPartitioning::Range { column: column?, start: start?, end: end?, interval: interval? })
}

fn reconcile(mut fields: Fields<'_>, columns: &Columns) -> Option<Reconcile> {
    let model = fields.required("model", Place::identifier);
    let key = fields.required("key", |place| pairs(place, columns, "any", |_| true));
    let measures = fields.required("measures", |place| {
        pairs(place, columns, "integer, numeric, bignumeric", |column_type| {
            matches!(column_type, ColumnType::Integer | ColumnType::Numeric { .. } | ColumnType::Bignumeric { .. })
        })
    });
    fields.finish();
    Some(Reconcile { model: model?, key: key?, measures: measures? })
}

/// Columns of the table, each with a column of the model.
fn pairs(
    place: &Place<'_>,
    columns: &Columns,
    expected: &str,
    accepts: fn(&ColumnType) -> bool,
) -> Option<IndexMap<Identifier, Identifier>> {
    let mut pairs = IndexMap::new();
    let entries = place.entries()?;
    if entries.is_empty() {
        place.refuse("the mapping is empty; at least one column is needed");
    }
    for (name, entry) in entries {
        let column = named_column(&entry, name, columns).and_then(|column| fitting(&entry, column, expected, accepts));
        let of_model = entry.identifier();
        pairs.extend(column.zip(of_model));
    }
    Some(pairs)
}
