//! How a table lies in raw, and which part of it a partition of the pipeline is.
//!
//! Unless pipeline.yaml says otherwise a table is partitioned by `bgp_partition_start`, so that one partition of the
//! pipeline is one partition of BigQuery, in any time zone, also for weeks (each lies in the day it begins on).

use gcp_bigquery_client::model::clustering::Clustering;
use gcp_bigquery_client::model::range_partitioning::RangePartitioning;
use gcp_bigquery_client::model::range_partitioning_range::RangePartitioningRange;
use gcp_bigquery_client::model::time_partitioning::TimePartitioning;
use pipeline::{Changes, ColumnType, Granularity, RawGranularity, RawPartitioning, Table};
use serde::{Deserialize, Serialize};
use wap::{PARTITION_COLUMN, PARTITION_START_COLUMN, PartitionKey};

const MILLISECONDS_PER_DAY: u64 = 86_400_000;

/// Partitioning and clustering, as table resources and load jobs spell them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Layout {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) time_partitioning: Option<TimePartitioning>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) range_partitioning: Option<RangePartitioning>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) clustering: Option<Clustering>,
}

/// What of a table a partition of the pipeline is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// Exactly the partition with this decorator: `20250801`.
    Partition(String),
    /// Rows among others, found by `bgp_partition`.
    Rows,
}

impl Layout {
    /// The layout of a table in raw.
    pub(super) fn of(table: &Table) -> Self {
        let mut layout = Self::default();
        match &table.raw.partition_by {
            None => {
                if let Some(granularity) = default_granularity(table) {
                    layout.time_partitioning = Some(time(table, PARTITION_START_COLUMN, granularity));
                }
            }
            Some(RawPartitioning::Time { column, granularity }) => {
                layout.time_partitioning = Some(time(table, column.as_str(), *granularity));
            }
            Some(RawPartitioning::Range { column, start, end, interval }) => {
                layout.range_partitioning = Some(RangePartitioning {
                    field: Some(column.as_str().to_owned()),
                    range: Some(RangePartitioningRange {
                        start: start.to_string(),
                        end: end.to_string(),
                        interval: interval.to_string(),
                    }),
                });
            }
        }
        let columns: Vec<String> = table.raw.cluster_by.iter().map(|column| column.as_str().to_owned()).collect();
        layout.clustering = (!columns.is_empty()).then_some(Clustering { fields: Some(columns) });
        layout
    }

    /// Whether both are partitioned and clustered alike. Expirations may differ.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let time = |layout: &Self| {
            let found = layout.time_partitioning.as_ref();
            found.map(|found| (found.r#type.clone(), found.field.as_deref().map(str::to_lowercase)))
        };
        let range = |layout: &Self| {
            let found = layout.range_partitioning.as_ref();
            found.map(|found| {
                let range = found.range.as_ref().map(|range| (&range.start, &range.end, &range.interval));
                (found.field.as_deref().map(str::to_lowercase), range.map(|parts| format!("{parts:?}")))
            })
        };
        let clusters = |layout: &Self| {
            let fields = layout.clustering.as_ref().and_then(|found| found.fields.clone()).unwrap_or_default();
            fields.iter().map(|field| field.to_lowercase()).collect::<Vec<_>>()
        };
        time(self) == time(other) && range(self) == range(other) && clusters(self) == clusters(other)
    }
}

impl Part {
    /// The part that a partition is.
    pub(super) fn of(table: &Table, partition: &PartitionKey) -> Self {
        if partition == &PartitionKey::all() {
            return Self::Whole;
        }
        let granularity = match &table.raw.partition_by {
            None => default_granularity(table),
            Some(RawPartitioning::Time { column, granularity }) => {
                follows_window(table, column.as_str(), *granularity).then_some(*granularity)
            }
            Some(RawPartitioning::Range { .. }) => None,
        };
        granularity.map_or(Self::Rows, |granularity| Self::Partition(decorator(partition, granularity)))
    }

    /// The condition that its rows fulfil. It names the partitioning column where that makes BigQuery read less.
    pub(super) fn condition(&self, table: &Table, partition: &PartitionKey, start: Option<&str>) -> String {
        match (self, &table.raw.partition_by, start) {
            (Self::Whole, ..) => "TRUE".to_owned(),
            (_, None, Some(start)) => {
                format!("`{PARTITION_COLUMN}` = '{partition}' AND `{PARTITION_START_COLUMN}` = DATETIME '{start}'")
            }
            _ => format!("`{PARTITION_COLUMN}` = '{partition}'{}", any_partition(table)),
        }
    }
}

/// A condition that is always true and satisfies a table that demands one on its partitioning column.
pub(super) fn any_partition(table: &Table) -> String {
    if !table.raw.require_partition_filter {
        return String::new();
    }
    match &table.raw.partition_by {
        Some(RawPartitioning::Time { column, .. }) => {
            let least = match table.column(column.as_str()).map(|column| &column.column_type) {
                Some(ColumnType::Date) => "DATE '0001-01-01'",
                Some(ColumnType::Datetime) => "DATETIME '0001-01-01'",
                _ => "TIMESTAMP '0001-01-01'",
            };
            format!(" AND (`{column}` >= {least} OR `{column}` IS NULL)")
        }
        Some(RawPartitioning::Range { column, .. }) => {
            format!(" AND (`{column}` >= {} OR `{column}` IS NULL)", -i64::MAX)
        }
        None if default_granularity(table).is_some() => {
            format!(" AND (`{PARTITION_START_COLUMN}` >= DATETIME '0001-01-01' OR `{PARTITION_START_COLUMN}` IS NULL)")
        }
        None => String::new(),
    }
}

fn time(table: &Table, column: &str, granularity: RawGranularity) -> TimePartitioning {
    let name = match granularity {
        RawGranularity::Hour => "HOUR",
        RawGranularity::Day => "DAY",
        RawGranularity::Month => "MONTH",
        RawGranularity::Year => "YEAR",
    };
    let expiration = table.raw.expiration_days.map(|days| (u64::from(days) * MILLISECONDS_PER_DAY).to_string());
    TimePartitioning {
        expiration_ms: expiration,
        field: Some(column.to_owned()),
        require_partition_filter: None,
        r#type: name.to_owned(),
    }
}

fn default_granularity(table: &Table) -> Option<RawGranularity> {
    match table.calendar.granularity {
        Granularity::Hour => Some(RawGranularity::Hour),
        // BigQuery has no weeks.
        Granularity::Day | Granularity::Week => Some(RawGranularity::Day),
        Granularity::Month => Some(RawGranularity::Month),
        Granularity::All => None,
    }
}

/// Whether a partition by this column holds the rows of one window of the pipeline and no others: it is the column that
/// decides about the window, of the same length, and both count by the same clocks.
fn follows_window(table: &Table, column: &str, granularity: RawGranularity) -> bool {
    let decides = match &table.changes {
        Changes::Log { changed_at, .. } => changed_at.as_str() == column,
        Changes::Cursor { column: cursor, .. } => cursor.as_str() == column,
        Changes::Whole => false,
    };
    let same_length = matches!(
        (table.calendar.granularity, granularity),
        (Granularity::Hour, RawGranularity::Hour)
            | (Granularity::Day, RawGranularity::Day)
            | (Granularity::Month, RawGranularity::Month)
    );
    // BigQuery cuts timestamps by UTC. Dates and datetimes have no zone to differ in.
    let same_clocks = match table.column(column).map(|column| &column.column_type) {
        Some(ColumnType::Date | ColumnType::Datetime) => true,
        Some(ColumnType::Timestamp) => table.calendar.time_zone.iana_name() == Some("UTC"),
        _ => false,
    };
    decides && same_length && same_clocks
}

/// `2025-08-01T05` as the decorator of a partition of this length: `2025080105`, `20250801`, `202508` or `2025`.
fn decorator(partition: &PartitionKey, granularity: RawGranularity) -> String {
    let digits: String = partition.as_str().chars().filter(char::is_ascii_digit).collect();
    let length = match granularity {
        RawGranularity::Hour => 10,
        RawGranularity::Day => 8,
        RawGranularity::Month => 6,
        RawGranularity::Year => 4,
    };
    digits.chars().take(length).collect()
}

#[cfg(test)]
mod tests {
    use pipeline::Pipeline;
    use serde_json::json;

    use super::*;

    fn table(zone: &str, rest: &str) -> Table {
        let source = format!(
            "version: 1\nname: t\ntime_zone: {zone}\nstart: 2025-08-01\nsources: {{s: {{kind: duckdb, path: s}}}}\n\
             raw: {{dataset: raw}}\ntables:\n  t:\n    source: s\n    key: [id]\n    cursor: {{column: at}}\n    columns:\n      \
             - {{name: id, type: integer}}\n      - {{name: at, type: timestamp}}\n      - {{name: day, type: date}}\n      \
             - {{name: seen, type: datetime}}\n{rest}dbt: {{project: dbt, publish: [m]}}\n"
        );
        Pipeline::parse("t.yaml", &source).unwrap().table("t").unwrap().clone()
    }

    fn part(table: &Table, key: &str) -> Part {
        Part::of(table, &PartitionKey::new(key).unwrap())
    }

    fn partition(decorator: &str) -> Part {
        Part::Partition(decorator.to_owned())
    }

    #[test]
    fn a_partition_of_the_pipeline_is_one_of_bigquery() {
        // In any zone: it is cut by a column that says when the partition began, by the pipeline's own clocks.
        for zone in ["UTC", "America/Toronto", "Pacific/Auckland"] {
            for (granularity, key, decorator, kind) in [
                ("hour", "2025-11-02T01", "2025110201", "HOUR"),
                ("day", "2025-08-01", "20250801", "DAY"),
                ("week", "2025-07-28", "20250728", "DAY"),
                ("month", "2025-08", "202508", "MONTH"),
            ] {
                let table = table(zone, &format!("    partition: {{granularity: {granularity}}}\n"));
                assert_eq!(part(&table, key), partition(decorator));
                let expected = json!({"timePartitioning": {"type": kind, "field": "bgp_partition_start"}});
                assert_eq!(json!(Layout::of(&table)), expected);
            }
        }
    }

    #[test]
    fn a_table_without_partitions_is_replaced_whole() {
        let source = table("UTC", "    partition: {granularity: day}\n");
        let mut whole = source;
        whole.calendar.granularity = Granularity::All;
        assert_eq!(part(&whole, "all"), Part::Whole);
        assert_eq!(json!(Layout::of(&whole)), json!({}));
        assert_eq!(Part::Whole.condition(&whole, &PartitionKey::all(), None), "TRUE");
    }

    #[test]
    fn another_layout_needs_rows_to_be_found_unless_it_follows_the_window() {
        let by = |zone: &str, granularity: &str, raw: &str, key: &str| {
            let rest = format!("    partition: {{granularity: {granularity}}}\n    raw: {{partition_by: {raw}}}\n");
            part(&table(zone, &rest), key)
        };
        let at = "{column: at, granularity: day}";
        assert_eq!(by("UTC", "day", at, "2025-08-01"), partition("20250801"));
        assert_eq!(by("America/Toronto", "day", at, "2025-08-01"), Part::Rows, "days of UTC are no days of Toronto");
        assert_eq!(by("UTC", "week", at, "2025-07-28"), Part::Rows, "a week is seven days");
        assert_eq!(by("UTC", "day", "{column: at, granularity: month}", "2025-08-01"), Part::Rows);
        assert_eq!(by("UTC", "day", "{column: day, granularity: day}", "2025-08-01"), Part::Rows, "not what decides");
        let range = "{column: id, range: {start: 0, end: 100, interval: 10}}";
        assert_eq!(by("UTC", "day", range, "2025-08-01"), Part::Rows);
    }

    #[test]
    fn a_layout_is_read_off_the_pipeline_file() {
        let raw =
            "    raw: {partition_by: {column: id, range: {start: 0, end: 100, interval: 10}}, cluster_by: [at, id]}\n";
        let layout = Layout::of(&table("UTC", raw));
        let expected = json!({
            "rangePartitioning": {"field": "id", "range": {"start": "0", "end": "100", "interval": "10"}},
            "clustering": {"fields": ["at", "id"]},
        });
        assert_eq!(json!(layout), expected);
        let expiring = Layout::of(&table("UTC", "    raw: {expiration_days: 30}\n"));
        let expected = json!({"type": "DAY", "field": "bgp_partition_start", "expirationMs": "2592000000"});
        assert_eq!(json!(expiring.time_partitioning), expected);
        assert!(expiring.is_like(&Layout::of(&table("UTC", ""))), "expirations may differ");
        assert!(!expiring.is_like(&layout));
    }

    #[test]
    fn conditions_name_the_partitioning_column() {
        let key = PartitionKey::new("2025-08-01").unwrap();
        let plain = table("UTC", "");
        assert_eq!(
            Part::of(&plain, &key).condition(&plain, &key, Some("2025-08-01T00:00:00")),
            "`bgp_partition` = '2025-08-01' AND `bgp_partition_start` = DATETIME '2025-08-01T00:00:00'"
        );
        let demanding = table(
            "UTC",
            "    raw: {partition_by: {column: seen, granularity: month}, require_partition_filter: true}\n",
        );
        assert_eq!(
            Part::of(&demanding, &key).condition(&demanding, &key, Some("2025-08-01T00:00:00")),
            "`bgp_partition` = '2025-08-01' AND (`seen` >= DATETIME '0001-01-01' OR `seen` IS NULL)"
        );
    }
}
