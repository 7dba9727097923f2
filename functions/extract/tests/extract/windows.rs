//! Which rows belong to a partition.

use crate::fixture::Fixture;

/// A row every half hour (of UTC) of the days around `day`; `seen_at` is of the type given.
fn half_hours(sql_type: &str, from: &str, to: &str) -> String {
    format!(
        "CREATE TABLE t AS SELECT row_number() OVER (ORDER BY instant) AS id, CAST(instant AS {sql_type}) AS seen_at
         FROM (SELECT unnest(generate_series(TIMESTAMP '{from}', TIMESTAMP '{to}', INTERVAL 30 MINUTE)) AS instant)"
    )
}

fn cursor(contract_type: &str, partition: &str, late: u32) -> String {
    format!(
        "    cursor: {{column: seen_at, late_partitions: {late}}}\n    partition: {partition}\n    columns:\n      \
         - {{name: id, type: integer}}\n      - {{name: seen_at, type: {contract_type}}}"
    )
}

#[tokio::test]
async fn days_follow_the_clocks_of_the_time_zone() {
    for sql_type in ["TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP_S", "TIMESTAMP_NS"] {
        let sql = half_hours(sql_type, "2025-03-08 00:00:00", "2025-03-11 23:30:00");
        let fixture = Fixture::in_zone("America/Toronto", &sql, &cursor("timestamp", "{granularity: day}", 0));
        let manifest = fixture.one("2025-03-09").await;
        let bounds = fixture.query(&manifest, "SELECT min(seen_at), max(seen_at) FROM lake");
        assert_eq!(bounds, [["2025-03-09 05:00:00+00", "2025-03-10 03:30:00+00"]], "{sql_type}");
        // Clocks go forward: 23 hours.
        assert_eq!(manifest.rows, 46);
        let window = manifest.window.unwrap();
        assert_eq!(format!("{} {}", window.0, window.1), "2025-03-09T05:00:00Z 2025-03-10T04:00:00Z");
        assert_eq!(fixture.one("2025-03-10").await.rows, 48);
    }
}

#[tokio::test]
async fn every_row_is_in_one_hour_also_where_clocks_go_back() {
    let sql = half_hours("TIMESTAMP WITH TIME ZONE", "2025-11-02 04:00:00", "2025-11-02 08:30:00");
    let fixture = Fixture::in_zone("America/Toronto", &sql, &cursor("timestamp", "{granularity: hour}", 0));
    let mut rows = Vec::new();
    for hour in ["2025-11-02T00", "2025-11-02T01", "2025-11-02T02", "2025-11-02T03"] {
        rows.push(fixture.one(hour).await.rows);
    }
    assert_eq!(rows, [2, 4, 2, 2]);
}

#[tokio::test]
async fn times_without_a_zone_are_what_local_clocks_showed() {
    let sql = half_hours("TIMESTAMP", "2025-11-01 00:00:00", "2025-11-04 23:30:00");
    let fixture = Fixture::in_zone("America/Toronto", &sql, &cursor("datetime", "{granularity: day}", 0));
    let manifest = fixture.one("2025-11-02").await;
    let bounds = fixture.query(&manifest, "SELECT min(seen_at), max(seen_at), typeof(min(seen_at)) FROM lake");
    assert_eq!(bounds, [["2025-11-02 00:00:00", "2025-11-02 23:30:00", "TIMESTAMP"]]);
}

#[tokio::test]
async fn dates_are_days_weeks_and_months() {
    let sql =
        "CREATE TABLE t AS SELECT range AS id, CAST(DATE '2025-01-01' + CAST(range AS INTEGER) AS DATE) AS seen_at
               FROM range(120)";
    for (partition, key, first, last, rows) in [
        ("{granularity: day}", "2025-02-28", "2025-02-28", "2025-02-28", 1),
        ("{granularity: week}", "2025-02-24", "2025-02-24", "2025-03-02", 7),
        ("{granularity: week, week_starts: sunday}", "2025-02-23", "2025-02-23", "2025-03-01", 7),
        ("{granularity: month}", "2025-02", "2025-02-01", "2025-02-28", 28),
    ] {
        let fixture = Fixture::in_zone("Pacific/Auckland", sql, &cursor("date", partition, 0));
        let manifest = fixture.one(key).await;
        assert_eq!(fixture.query(&manifest, "SELECT min(seen_at), max(seen_at) FROM lake"), [[first, last]]);
        assert_eq!(manifest.rows, rows);
        assert_eq!(fixture.column(&manifest, "SELECT DISTINCT bgp_partition FROM lake"), [key]);
    }
}

#[tokio::test]
async fn a_whole_table_has_one_partition_without_a_window() {
    let table = "    partition: {granularity: all}\n    columns: [{name: id, type: integer}]";
    let fixture = Fixture::new("CREATE TABLE t AS SELECT range AS id FROM range(7)", table);
    let manifest = fixture.one("all").await;
    assert_eq!((manifest.rows, manifest.window), (7, None));
}

#[tokio::test]
async fn late_partitions_are_extracted_again_oldest_first() {
    let sql = half_hours("TIMESTAMP", "2025-01-01 00:00:00", "2025-01-10 23:30:00");
    let fixture = Fixture::new(&sql, &cursor("timestamp", "{granularity: day}", 2));
    let before = fixture.all("2025-01-05").await.unwrap();
    let keys: Vec<&str> = before.iter().map(|manifest| manifest.partition.as_str()).collect();
    assert_eq!(keys, ["2025-01-03", "2025-01-04", "2025-01-05"]);

    fixture.change_source("INSERT INTO t VALUES (1000, TIMESTAMP '2025-01-04 12:00:01')");
    let after = fixture.all("2025-01-06").await.unwrap();
    let rows: Vec<u64> = after.iter().map(|manifest| manifest.rows).collect();
    assert_eq!(rows, [49, 48, 48]);
    assert_ne!(after[0].digest, before[1].digest);
    assert_eq!(after[1], before[2]);

    // Before the table's start there is nothing that could be late.
    assert_eq!(fixture.all("2025-01-02").await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_log_is_cut_by_when_changes_became_visible() {
    let sql = "CREATE TABLE t (id BIGINT, changed_at TIMESTAMPTZ, sequence BIGINT, operation VARCHAR);
               INSERT INTO t VALUES
                   (1, '2025-08-01 00:00:00+00', 1, 'insert'), (1, '2025-08-01 23:59:59.999999+00', 2, 'update'),
                   (1, '2025-08-02 00:00:00+00', 3, 'delete')";
    let table = "    log: {changed_at: changed_at, sequence: sequence, operation: operation}
    partition: {granularity: day}
    columns:
      - {name: id, type: integer}
      - {name: changed_at, type: timestamp, mode: required}
      - {name: sequence, type: integer, mode: required}
      - {name: operation, type: string, mode: required}";
    let fixture = Fixture::new(sql, table);
    let manifest = fixture.one("2025-08-01").await;
    assert_eq!(fixture.column(&manifest, "SELECT sequence FROM lake ORDER BY 1"), ["1", "2"]);

    // A change without a time would be in no partition and so be lost.
    fixture.change_source("INSERT INTO t VALUES (2, NULL, 4, 'insert')");
    let refusal = fixture.refusal("2025-08-01").await;
    assert!(refusal.starts_with("Rejected: table t has rows without the time of their change (1)"), "{refusal}");
}
