//! What each mistake in a pipeline file is answered with: the whole text, so that a change of wording is seen.

use pipeline::Pipeline;

/// A file without a mistake; each test puts one in.
const ACCEPTED: &str = "\
version: 1
name: shop
time_zone: UTC
start: 2025-08-01
sources:
  shop: {kind: duckdb, path: shop.duckdb}
  files: {kind: sql}
sandbox: {source: shop, seed: 1, scale: 0.5}
lake: {prefix: lake}
raw: {}
tables:
  orders:
    source: shop
    key: [order_id]
    description: Orders.
    cursor: {column: ordered_at}
    partition: {granularity: week, week_starts: sunday}
    columns:
      - {name: order_id, type: integer}
      - {name: status, type: string}
      - {name: ordered_at, type: timestamp}
      - {name: due_on, type: date}
      - {name: weight, type: float}
      - {name: total, type: numeric}
    raw: {cluster_by: [status]}
    reconcile: {model: fct_orders, key: {order_id: order_id}, measures: {total: total}}
  days:
    source: files
    query: select * from range(date '2025-01-01', date '2026-01-01', interval 1 day) days(day)
    partition: {granularity: all}
    columns:
      - {name: day, type: date}
dbt: {publish: [models/mart]}
audit:
  rules:
    - {name: volume_of_orders, model: fct_orders, kind: volume, max_change_ratio: 2}
lease: {seconds: 60}
approval: false
";

fn refusal(from: &str, to: &str) -> String {
    assert!(ACCEPTED.contains(from), "the accepted file lacks {from:?}");
    let file = ACCEPTED.replacen(from, to, 1);
    match Pipeline::parse("shop.yaml", &file) {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.to_string(),
    }
}

macro_rules! refusals {
    ($($name:ident: $from:literal => $to:literal, $expected:literal;)*) => {
        $(
            #[test]
            fn $name() {
                assert_eq!(refusal($from, $to), $expected);
            }
        )*
    };
}

#[test]
fn the_file_without_a_mistake_is_accepted() {
    if let Err(error) = Pipeline::parse("shop.yaml", ACCEPTED) {
        panic!("{error}");
    }
}

refusals! {
    unknown_key:
        "time_zone: UTC" => "time_zone: UTC\ntimezone: UTC",
        "shop.yaml:4: timezone: unknown key; accepted: version, name, time_zone, start, sources, sandbox, lake, raw, dbt, live, audit, retention, lease, approval, limits, schedule, tables; did you mean `time_zone`?";

    unknown_key_in_a_table:
        "    description: Orders." => "    desciption: Orders.",
        "shop.yaml:15: tables.orders.desciption: unknown key; accepted: columns, source, relation, query, description, key, log, cursor, partition, lake, raw, reconcile; did you mean `description`?";

    unknown_key_without_anything_near:
        "approval: false" => "zzz: 1",
        "shop.yaml:38: zzz: unknown key; accepted: version, name, time_zone, start, sources, sandbox, lake, raw, dbt, live, audit, retention, lease, approval, limits, schedule, tables";

    schedule_of_another_form:
        "approval: false" => "schedule: {daily: 30 25 * * *}",
        "shop.yaml:38: schedule.daily: \"30 25 * * *\" is not a schedule: its hour has \"25\"; accepted: *, 0 to 23, ranges, steps and lists of those";

    missing_key:
        "    source: shop\n    key" => "    key",
        "shop.yaml:12: tables.orders: the key `source` is missing";

    missing_section:
        "dbt: {publish: [models/mart]}\n" => "",
        "shop.yaml:1: dbt: the key `publish` is missing";

    repeated_key:
        "approval: false" => "approval: false\nname: again",
        "shop.yaml:39: name: the key is already on line 2; a key may come once";

    other_version:
        "version: 1" => "version: 2",
        "shop.yaml:1: version: 2 is not a version that this program reads; accepted: 1";

    name_that_is_no_identifier:
        "name: shop\n" => "name: my-shop\n",
        "shop.yaml:2: name: \"my-shop\" is not an identifier; accepted: a letter or underscore, then letters, digits or underscores, 1 to 128 characters";

    text_where_a_boolean_is_wanted:
        "approval: false" => "approval: no",
        "shop.yaml:38: approval: \"no\" is not a boolean; accepted: true, false";

    number_where_text_is_wanted:
        "description: Orders." => "description: 12",
        "shop.yaml:15: tables.orders.description: 12 is not text; put it in quotes if it is meant as text";

    list_where_a_mapping_is_wanted:
        "lake: {prefix: lake}" => "lake: [prefix]",
        "shop.yaml:9: lake: a list is not a mapping";

    mistyped_time_zone:
        "time_zone: UTC" => "time_zone: America/Toronot",
        "shop.yaml:3: time_zone: \"America/Toronot\" is not a time zone; accepted: names of the IANA database such as America/Toronto or UTC; did you mean `America/Toronto`?";

    impossible_date:
        "start: 2025-08-01" => "start: 2025-02-30",
        "shop.yaml:4: start: \"2025-02-30\" is not a date of the calendar, written YYYY-MM-DD";

    mistyped_granularity:
        "granularity: week" => "granularity: weekly",
        "shop.yaml:17: tables.orders.partition.granularity: \"weekly\" is not a granularity; accepted: hour, day, week, month, all; did you mean `week`?";

    mistyped_weekday:
        "week_starts: sunday" => "week_starts: sun",
        "shop.yaml:17: tables.orders.partition.week_starts: \"sun\" is not a day of the week; accepted: monday, tuesday, wednesday, thursday, friday, saturday, sunday; did you mean `sunday`?";

    weekday_of_a_daily_table:
        "granularity: week," => "granularity: day,",
        "shop.yaml:17: tables.orders.partition.week_starts: only a table of granularity week has a first day of the week; leave the key out";

    end_before_start:
        "week_starts: sunday" => "week_starts: sunday, end: 2025-07-01",
        "shop.yaml:17: tables.orders.partition.end: 2025-07-01 is before the table's first day, 2025-08-01";

    unknown_source:
        "    source: shop\n    key" => "    source: shpo\n    key",
        "shop.yaml:13: tables.orders.source: \"shpo\" is not a source; accepted: shop, files; did you mean `shop`?";

    unknown_kind_of_source:
        "kind: duckdb" => "kind: duckdbb",
        "shop.yaml:6: sources.shop.kind: \"duckdbb\" is not a kind of source; accepted: duckdb, sql, postgres; did you mean `duckdb`?";

    path_out_of_the_home_folder:
        "path: shop.duckdb" => "path: ../shop.duckdb",
        "shop.yaml:6: sources.shop.path: \"../shop.duckdb\" is not a path; it may hold no quotes, backslashes, control characters or `..`";

    sandbox_in_a_source_of_another_kind:
        "sandbox: {source: shop" => "sandbox: {source: files",
        "shop.yaml:8: sandbox.source: the source files is not of kind duckdb; the sandbox writes DuckDB files only";

    seed_below_zero:
        "seed: 1" => "seed: -1",
        "shop.yaml:8: sandbox.seed: -1 is not a whole number from 0 to 18446744073709551615";

    scale_of_nothing:
        "scale: 0.5" => "scale: 0",
        "shop.yaml:8: sandbox.scale: 0 is not a number above 0, at most 10000";

    unknown_compression:
        "lake: {prefix: lake}" => "lake: {prefix: lake, compression: gzip}",
        "shop.yaml:9: lake.compression: \"gzip\" is not a compression; accepted: zstd, snappy, none";

    size_without_a_unit_that_exists:
        "lake: {prefix: lake}" => "lake: {object_bytes: 256MB}",
        "shop.yaml:9: lake.object_bytes: \"256MB\" is not a number of bytes from 64KiB to 10GiB, written as 268435456 or 256MiB (KiB, MiB, GiB, TiB)";

    size_too_small:
        "lake: {prefix: lake}" => "lake: {object_bytes: 1KiB}",
        "shop.yaml:9: lake.object_bytes: \"1KiB\" is not a number of bytes from 64KiB to 10GiB, written as 268435456 or 256MiB (KiB, MiB, GiB, TiB)";

    prefix_that_escapes:
        "lake: {prefix: lake}" => "lake: {prefix: ../lake}",
        "shop.yaml:9: lake.prefix: \"../lake\" is not a prefix of objects; accepted: parts of letters, digits and _ - = . with a slash between them, such as lake/customers";

    label_in_capitals:
        "raw: {}" => "raw: {labels: {Team: Data}}",
        "shop.yaml:10: raw.labels.Team: \"Team: Data\" is not a label; accepted: a key and a value of lower-case letters, digits, _ and -, up to 63 characters, the key beginning with a letter";

    time_travel_of_half_days:
        "raw: {}" => "raw: {time_travel_hours: 60}",
        "shop.yaml:10: raw.time_travel_hours: 60 is not a number of whole days; accepted: 48, 72, 96, 120, 144, 168";

    one_schema_for_models_and_readers:
        "dbt: {" => "live: {dataset: Mart}\ndbt: {layers: [staging, mart], ",
        "shop.yaml:33: live: the dataset of live is Mart, where models are built; readers need one of their own, such as live";
    one_dataset_for_raw_and_live:
        "raw: {}" => "raw: {dataset: live}",
        "shop.yaml:1: live: the datasets of raw and of live are both live; they must differ";

    relation_and_query:
        "    description: Orders." => "    relation: orders\n    query: select 1",
        "shop.yaml:16: tables.orders.query: a table has either a relation or a query; leave one of them out";

    query_with_a_semicolon:
        "    description: Orders." => "    query: select * from orders;",
        "shop.yaml:15: tables.orders.query: the query ends with a semicolon; leave it out, the query becomes part of a longer one";

    relation_that_is_no_name:
        "    description: Orders." => "    relation: read_parquet('x')",
        "shop.yaml:15: tables.orders.relation: \"read_parquet('x')\" is not a table or view; accepted: one to three identifiers with dots between them, such as sales.orders";

    key_of_an_unknown_column:
        "key: [order_id]" => "key: [oder_id]",
        "shop.yaml:14: tables.orders.key[0]: \"oder_id\" is not a column of this table; accepted: order_id, status, ordered_at, due_on, weight, total; did you mean `order_id`?";

    key_of_a_float:
        "key: [order_id]" => "key: [weight]",
        "shop.yaml:14: tables.orders.key[0]: the column weight cannot identify a row; accepted: columns that are no float, json, geography, record or list";

    log_and_cursor:
        "    cursor: {column: ordered_at}" => "    cursor: {column: ordered_at}\n    log: {changed_at: ordered_at, sequence: order_id, operation: status}",
        "shop.yaml:16: tables.orders.cursor: a table has either a log or a cursor; leave one of them out";

    log_without_a_key:
        "    key: [order_id]\n    description: Orders.\n    cursor: {column: ordered_at}" => "    log: {changed_at: ordered_at, sequence: order_id, operation: status}",
        "shop.yaml:12: tables.orders: the key `key` is missing; a table with a log needs the columns that identify a row";

    log_of_wrong_types:
        "    cursor: {column: ordered_at}" => "    log: {changed_at: order_id, sequence: status, operation: status}",
        "shop.yaml:16: tables.orders.log.changed_at: the column order_id is not of a type that fits here; accepted: timestamp, datetime\n\
         shop.yaml:16: tables.orders.log.sequence: the column status is not of a type that fits here; accepted: integer";

    neither_log_nor_cursor:
        "    cursor: {column: ordered_at}\n" => "",
        "shop.yaml:12: tables.orders: a table without `log` or `cursor` cannot have partitions of granularity week; name one of the two, or set partition.granularity to all";

    cursor_of_an_unpartitioned_table:
        "{granularity: week, week_starts: sunday}" => "{granularity: all}",
        "shop.yaml:12: tables.orders: a table of granularity all is read whole; leave `log` and `cursor` out";

    dates_by_the_hour:
        "cursor: {column: ordered_at}\n    partition: {granularity: week, week_starts: sunday}" => "cursor: {column: due_on}\n    partition: {granularity: hour}",
        "shop.yaml:12: tables.orders: the cursor due_on is a date and cannot tell hours apart; accepted granularities: day, week, month";

    no_columns:
        "    columns:\n      - {name: day, type: date}" => "    columns: []",
        "shop.yaml:31: tables.days.columns: the list is empty; at least one column is needed";

    type_of_another_system:
        "type: integer" => "type: varchar",
        "shop.yaml:19: tables.orders.columns[0].type: \"varchar\" is not a type of column; did you mean `string`?";

    unknown_type:
        "type: integer" => "type: strng",
        "shop.yaml:19: tables.orders.columns[0].type: \"strng\" is not a type of column; accepted: string, integer, boolean, date, time, datetime, timestamp, numeric, bignumeric, float, bytes, json, geography, record; did you mean `string`?";

    numeric_between_braces:
        "type: integer" => "type: numeric(10,2)",
        "shop.yaml:19: tables.orders.columns[0].type: \"numeric(10\" is not a type of column; accepted: numeric(precision,scale) with a scale up to 9 and at most 38 digits, 29 of them before the point; between braces write it in quotes: \"numeric(10,2)\"\n\
         shop.yaml:19: tables.orders.columns[0].2): unknown key; accepted: name, type, mode, description, personal, rounding, fields";

    numeric_with_too_many_decimals:
        "type: integer" => "type: \"numeric(20,12)\"",
        "shop.yaml:19: tables.orders.columns[0].type: \"numeric(20,12)\" is not a type of column; accepted: numeric(precision,scale) with a scale up to 9 and at most 38 digits, 29 of them before the point";

    bignumeric_without_digits:
        "type: integer" => "type: bignumeric",
        "shop.yaml:19: tables.orders.columns[0].type: \"bignumeric\" needs its digits, such as bignumeric(38,18): DuckDB has 38 of BigQuery's 76 digits";

    unknown_mode:
        "type: integer" => "type: integer, mode: requird",
        "shop.yaml:19: tables.orders.columns[0].mode: \"requird\" is not a mode; accepted: required, nullable, repeated; did you mean `required`?";

    column_twice:
        "name: due_on" => "name: Order_ID",
        "shop.yaml:22: tables.orders.columns[3].name: the column Order_ID comes twice; letter case makes no difference";

    column_named_like_one_of_the_lake:
        "name: due_on" => "name: Bgp_due_on",
        "shop.yaml:22: tables.orders.columns[3].name: \"Bgp_due_on\" can't be the name of a column: bgp_ begins the names of columns that extract adds; give it another name";

    column_with_a_prefix_of_bigquery:
        "name: due_on" => "name: _Partition_due",
        "shop.yaml:22: tables.orders.columns[3].name: \"_Partition_due\" can't be the name of a column: BigQuery reserves names that begin with _PARTITION; give it another name";

    field_with_a_prefix_of_bigquery:
        "due_on, type: date" => "due, type: record, fields: [{name: _table_a, type: date}]",
        "shop.yaml:22: tables.orders.columns[3].fields[0].name: \"_table_a\" can't be the name of a column: BigQuery reserves names that begin with _TABLE_; give it another name";

    rounding_of_an_integer:
        "type: integer" => "type: integer, rounding: half_even",
        "shop.yaml:19: tables.orders.columns[0].rounding: only a numeric or bignumeric column is rounded; leave the key out";

    record_without_fields:
        "type: integer" => "type: record",
        "shop.yaml:19: tables.orders.columns[0]: the key `fields` is missing; a record needs a list of columns";

    fields_of_an_integer:
        "type: integer" => "type: integer, fields: [{name: a, type: date}]",
        "shop.yaml:19: tables.orders.columns[0].fields: only a column of type record has fields";

    raw_partitioned_by_text:
        "    raw: {cluster_by: [status]}" => "    raw: {partition_by: {column: status, granularity: day}}",
        "shop.yaml:25: tables.orders.raw.partition_by.column: the column status is not of a type that fits here; accepted: date (not by hour), datetime, timestamp";

    raw_range_backwards:
        "    raw: {cluster_by: [status]}" => "    raw: {partition_by: {column: order_id, range: {start: 10, end: 0, interval: 1}}}",
        "shop.yaml:25: tables.orders.raw.partition_by.range.end: 0 is not above `start`";

    raw_range_of_too_many:
        "    raw: {cluster_by: [status]}" => "    raw: {partition_by: {column: order_id, range: {start: 0, end: 1000000, interval: 1}}}",
        "shop.yaml:25: tables.orders.raw.partition_by.range: the range has more than 10,000 intervals, the limit of BigQuery; use a longer interval";

    too_many_clustering_columns:
        "cluster_by: [status]" => "cluster_by: [status, order_id, ordered_at, due_on, total]",
        "shop.yaml:25: tables.orders.raw.cluster_by: there are 5 clustering columns; BigQuery accepts 4";

    reconcile_text:
        "measures: {total: total}" => "measures: {status: total}",
        "shop.yaml:26: tables.orders.reconcile.measures.status: the column status is not of a type that fits here; accepted: integer, numeric, bignumeric";

    reconcile_unknown_column:
        "measures: {total: total}" => "measures: {totl: total}",
        "shop.yaml:26: tables.orders.reconcile.measures.totl: \"totl\" is not a column of this table; accepted: order_id, status, ordered_at, due_on, weight, total; did you mean `total`?";

    lake_paths_that_overlap:
        "    raw: {cluster_by: [status]}" => "    lake: {path: lake/days/orders}",
        "shop.yaml:27: tables.days: its lake path lake/days overlaps that of the table orders";

    lake_path_inside_another:
        "    partition: {granularity: all}" => "    partition: {granularity: all}\n    lake: {path: lake/orders/days}",
        "shop.yaml:27: tables.days: its lake path lake/orders/days overlaps that of the table orders";

    unknown_kind_of_rule:
        "kind: volume" => "kind: volum",
        "shop.yaml:36: audit.rules[0].kind: \"volum\" is not a kind of rule; accepted: sql, volume, freshness, drift, balance; did you mean `volume`?";

    rule_without_its_value:
        ", max_change_ratio: 2" => "",
        "shop.yaml:36: audit.rules[0]: the key `max_change_ratio` is missing";

    drift_without_its_metric:
        "kind: volume" => "kind: drift",
        "shop.yaml:36: audit.rules[0]: the key `metric` is missing";

    drift_over_no_cycle:
        "kind: volume" => "kind: drift, metric: count(*), cycles: 0",
        "shop.yaml:36: audit.rules[0].cycles: 0 is not a whole number from 1 to 100";

    balance_by_nothing:
        "kind: volume, max_change_ratio: 2" => "kind: balance, measure: total, by: [], other: fct_payments, other_measure: paid",
        "shop.yaml:36: audit.rules[0]: `by` is empty; name the columns of both models that sums are formed by";

    rule_that_checks_another_table:
        "kind: volume, max_change_ratio: 2" => "kind: sql, query: select 1 from live.fct_orders",
        "shop.yaml:36: audit.rules[0].query: the query does not select from {model}, which stands for the table that is checked";

    rule_twice:
        "  rules:\n" => "  rules:\n    - {name: volume_of_orders, model: m, kind: sql, query: 'select 1 from {model}'}\n",
        "shop.yaml:37: audit.rules[1]: the rule volume_of_orders comes twice; letter case makes no difference";

    nothing_published:
        "publish: [models/mart]" => "publish: []",
        "shop.yaml:33: dbt.publish: the list is empty; name a folder such as models/mart, or models, that readers see";

    lease_of_nothing:
        "lease: {seconds: 60}" => "lease: {seconds: 0}",
        "shop.yaml:37: lease.seconds: 0 is not a whole number from 1 to 3600";

    table_that_differs_in_case_only:
        "  days:" => "  Orders:",
        "shop.yaml:27: tables.Orders: the table Orders comes twice; letter case makes no difference";

    anything_after_the_document:
        "approval: false" => "approval: false\n---\nname: two",
        "shop.yaml:40: this is not YAML that can be read: only single YAML document expected but multiple found";

    no_yaml:
        "approval: false" => "approval: [false",
        "shop.yaml:38: this is not YAML that can be read: unclosed bracket '['";

    several_mistakes:
        "start: 2025-08-01\n" => "start: august\napprove: true\n",
        "shop.yaml:4: start: \"august\" is not a date of the calendar, written YYYY-MM-DD\n\
         shop.yaml:5: approve: unknown key; accepted: version, name, time_zone, start, sources, sandbox, lake, raw, dbt, live, audit, retention, lease, approval, limits, schedule, tables; did you mean `approval`?";

    unfinished_table:
        "    raw: {cluster_by: [status]}" => "  customers:",
        "shop.yaml:25: tables.customers: the key `columns` is missing\n\
         shop.yaml:25: tables.customers: the key `source` is missing\n\
         shop.yaml:25: tables.customers: a table without `log` or `cursor` cannot have partitions of granularity day; name one of the two, or set partition.granularity to all";
}
