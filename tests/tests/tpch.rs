//! Any source, by YAML alone: TPC-H orders and their lines, and a dbt project that knows nothing of this pipeline, through
//! ten cycles. What is published must be what plain SQL says of the source.

use std::fmt::Display;
use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use duckdb::Connection;
use end_to_end::{Sandbox, copy_folder, replaced, repository};
use serde_json::Value;
use tpchgen::generators::{LineItemGenerator, OrderGenerator};

/// 15,000 orders and 60,175 lines in seven years.
const SCALE: f64 = 0.01;

const ORDERS: &str = "{o_orderkey: BIGINT, o_custkey: BIGINT, o_orderstatus: VARCHAR, o_totalprice: DECIMAL(15, 2), \
    o_orderdate: DATE, o_orderpriority: VARCHAR, o_clerk: VARCHAR, o_shippriority: INTEGER, o_comment: VARCHAR}";

const LINES: &str = "{l_orderkey: BIGINT, l_partkey: BIGINT, l_suppkey: BIGINT, l_linenumber: INTEGER, \
    l_quantity: DECIMAL(15, 2), l_extendedprice: DECIMAL(15, 2), l_discount: DECIMAL(15, 2), l_tax: DECIMAL(15, 2), \
    l_returnflag: VARCHAR, l_linestatus: VARCHAR, l_shipdate: DATE, l_commitdate: DATE, l_receiptdate: DATE, \
    l_shipinstruct: VARCHAR, l_shipmode: VARCHAR, l_comment: VARCHAR}";

/// Each published table, and what the source says that it holds at the end of the day `$day`.
const EXPECTED: [(&str, &str); 3] = [
    (
        "order_revenue",
        "select o_orderkey, o_custkey, o_orderdate, o_totalprice, count(l_orderkey), \
         coalesce(sum(l_extendedprice * (1 - l_discount)), 0), max(l_shipdate) \
         from source.orders left join source.lineitem on l_orderkey = o_orderkey and l_shipdate <= date '$day' \
         where o_orderdate <= date '$day' group by all",
    ),
    (
        "late_shipments",
        "select l_orderkey, l_linenumber, l_shipdate, l_receiptdate, l_commitdate, \
         case when l_shipmode in ('TRUCK', 'FOB') then 'road' when l_shipmode = 'RAIL' then 'rail' \
         when l_shipmode = 'SHIP' then 'water' when l_shipmode = 'MAIL' then 'post' else 'air' end \
         from source.lineitem where l_receiptdate > l_commitdate and l_shipdate <= date '$day'",
    ),
    (
        "monthly_revenue",
        "select cast(date_trunc('month', l_shipdate) as date), count(*), sum(l_extendedprice), \
         sum(l_extendedprice * (1 - l_discount)) from source.lineitem where l_shipdate <= date '$day' group by 1",
    ),
];

/// Writes the rows as the files that TPC-H's own generator writes.
fn write_files(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    write_lines(&folder.join("orders.tbl"), OrderGenerator::new(SCALE, 1, 1).iter());
    write_lines(&folder.join("lineitem.tbl"), LineItemGenerator::new(SCALE, 1, 1).iter());
}

fn write_lines(path: &Path, rows: impl Iterator<Item = impl Display>) {
    let mut file = BufWriter::new(fs::File::create(path).unwrap());
    rows.for_each(|row| writeln!(file, "{row}").unwrap());
    file.into_inner().unwrap();
}

/// The query that reads such a file. Every line ends in a separator, so there is one column more than the table has.
fn read_file(folder: &Path, table: &str, columns: &str) -> String {
    let columns = columns.replace("DECIMAL(15, 2)", "'DECIMAL(15, 2)'").replace('}', ", nothing: VARCHAR}");
    let file = folder.join(format!("{table}.tbl"));
    format!(
        "select * exclude (nothing) from read_csv('{}', delim = '|', quote = '', columns = {columns})",
        file.display()
    )
}

/// Makes the DuckDB file that the pipeline reads.
fn write_source(folder: &Path) -> PathBuf {
    write_files(folder);
    let file = folder.join("tpch.duckdb");
    let tables = [("orders", ORDERS), ("lineitem", LINES)];
    let sql = tables.map(|(table, columns)| format!("create table {table} as {};", read_file(folder, table, columns)));
    Connection::open(&file).unwrap().execute_batch(&sql.concat()).unwrap();
    file
}

/// Readers and the source, side by side.
fn open(sandbox: &Sandbox, source: &Path) -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    let attach = [(sandbox.published(), "published"), (source.to_path_buf(), "source")]
        .map(|(file, name)| format!("attach '{}' as {name} (read_only);", file.display()));
    connection.execute_batch(&attach.concat()).unwrap();
    connection
}

fn count(connection: &Connection, query: &str) -> u64 {
    connection.query_row(&format!("select count(*) from ({query})"), [], |row| row.get(0)).unwrap()
}

/// Row for row, in both directions; and that there is anything to compare.
#[track_caller]
fn assert_published(sandbox: &Sandbox, source: &Path, day: &str) {
    let connection = open(sandbox, source);
    for (table, expected) in EXPECTED {
        let (published, expected) = (format!("from published.live.{table}"), expected.replace("$day", day));
        assert!(count(&connection, &expected) > 0, "{table} would be empty");
        for (left, right) in [(&published, &expected), (&expected, &published)] {
            let difference = count(&connection, &format!("({left}) except all ({right})"));
            assert_eq!(difference, 0, "rows of {table} at the end of {day}, in ({left}) only");
        }
    }
}

#[test]
fn ten_cycles_of_somebody_elses_tables_publish_what_the_source_says() {
    let sandbox = Sandbox::of(&repository().join("tests/tpch/pipeline.yaml"));
    let source = write_source(&sandbox.home().join("source"));

    // The first cycle takes a month at once, as whoever starts with a history does; then come nine days.
    let days = |from: &str, to: &str, more: &[&str]| -> Vec<Value> {
        let arguments = [&["backfill", "--from", from, "--to", to, "--json"], more].concat();
        sandbox.run(&arguments).ok().json().as_array().unwrap().clone()
    };
    let first = days("1992-01-01", "1992-01-31", &["--cycle-per", "all"]).pop().unwrap();
    assert_published(&sandbox, &source, "1992-01-31");
    let mut cycles = vec![first];
    cycles.extend(days("1992-02-01", "1992-02-09", &[]));
    assert_published(&sandbox, &source, "1992-02-09");

    let connection = open(&sandbox, &source);
    assert_eq!(cycles.len(), 10);
    for (cycle, result) in (1_u64..).zip(&cycles) {
        let day = result["partition"].as_str().unwrap();
        assert_eq!((&result["outcome"], &result["cycle"]), (&"published".into(), &cycle.into()), "{day}");
        let orders = count(&connection, &format!("from source.orders where o_orderdate = date '{day}'"));
        let lines = count(&connection, &format!("from source.lineitem where l_shipdate = date '{day}'"));
        assert_eq!(result["moved"]["rows"], orders + lines, "{day}");
        let receipt = sandbox.run(&["receipt", &cycle.to_string(), "--json"]).ok().json();
        for (table, expected) in EXPECTED {
            let tables = receipt["verdict"]["tables"].as_array().unwrap();
            let audited = tables.iter().find(|audited| audited["view"] == table).unwrap();
            assert_eq!(audited["rows"], count(&connection, &expected.replace("$day", day)), "{table} on {day}");
        }
    }

    let before = sandbox.digest();
    for day in ["1992-02-09", "1992-01-15"] {
        let again = sandbox.run(&["run", "daily", "--partition", day]).ok();
        assert!(again.stdout.starts_with("already published: cycle 10"), "{}", again.stdout);
    }
    assert_eq!(sandbox.digest(), before);
}

/// The same project with names of its own for schemas, in one dbt call, on months that are read from files.
#[test]
fn a_project_without_layers_and_files_as_a_source_give_the_same_tables() {
    let folder = tempfile::tempdir().unwrap();
    let (tpch, data) = (folder.path().join("tpch"), folder.path().join("data"));
    copy_folder(&repository().join("tests/tpch"), &tpch);
    let source = write_source(&data);

    let macros = tpch.join("dbt/macros");
    fs::create_dir(&macros).unwrap();
    let schemas = "{% macro generate_schema_name(custom_schema_name, node) %}{{ custom_schema_name or 'analytics' }}{% endmacro %}";
    fs::write(macros.join("generate_schema_name.sql"), schemas).unwrap();

    let config = tpch.join("pipeline.yaml");
    let text = fs::read_to_string(&config).unwrap();
    let text = replaced(&text, "  layers: [staging, marts]\n", "");
    let text = replaced(&text, "granularity: day", "granularity: month");
    let view =
        |table, columns| format!("      - >-\n        create view {table} as {}\n", read_file(&data, table, columns));
    let setup = format!("    kind: sql\n    setup:\n{}{}", view("orders", ORDERS), view("lineitem", LINES));
    let text = replaced(&text, "    kind: duckdb\n    path: source/tpch.duckdb\n", &setup);
    fs::write(&config, text).unwrap();

    let sandbox = Sandbox::of(&config);
    for day in ["1992-01-31", "1992-02-29", "1992-03-31"] {
        assert_eq!(sandbox.day(day)["outcome"], "published", "{day}");
        assert_published(&sandbox, &source, day);
    }
    let again = sandbox.run(&["run", "daily", "--partition", "1992-02-10"]).ok();
    assert!(again.stdout.starts_with("already published: cycle 3"), "{}", again.stdout);
}
