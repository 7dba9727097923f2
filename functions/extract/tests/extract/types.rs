//! What values become on their way.

use wap::Manifest;

use crate::fixture::{Fixture, parse};

const WHOLE: &str = "    partition: {granularity: all}\n    columns:\n";

fn columns(columns: &[&str]) -> String {
    let lines: Vec<String> = columns.iter().map(|column| format!("      - {{{column}}}")).collect();
    format!("{WHOLE}{}", lines.join("\n"))
}

/// An extraction of one value.
async fn through(expression: &str, column: &str) -> (Fixture, Manifest) {
    let table = columns(&["name: id, type: integer", &format!("name: value, {column}")]);
    let fixture = Fixture::new(&format!("CREATE VIEW t AS SELECT 1 AS id, {expression} AS value"), &table);
    let manifest = fixture.one("all").await;
    (fixture, manifest)
}

#[tokio::test]
async fn every_type_arrives_as_the_contract_says() {
    for (expression, column, value, sql_type) in [
        ("'é'", "type: string", "é", "VARCHAR"),
        ("CAST('a' AS ENUM ('a', 'b'))", "type: string", "a", "VARCHAR"),
        (
            "CAST('6f1ad2ab-5b1d-4d3a-9a51-2b2f0c0a4b0f' AS UUID)",
            "type: string",
            "6f1ad2ab-5b1d-4d3a-9a51-2b2f0c0a4b0f",
            "VARCHAR",
        ),
        ("CAST(-5 AS TINYINT)", "type: integer", "-5", "BIGINT"),
        ("CAST(4000000000 AS UINTEGER)", "type: integer", "4000000000", "BIGINT"),
        ("CAST(12 AS HUGEINT)", "type: integer", "12", "BIGINT"),
        ("CAST(12 AS DECIMAL(20, 0))", "type: integer", "12", "BIGINT"),
        ("true", "type: boolean", "true", "BOOLEAN"),
        ("DATE '2025-02-28'", "type: date", "2025-02-28", "DATE"),
        ("TIME '23:59:59.999999'", "type: time", "23:59:59.999999", "TIME"),
        ("TIMESTAMP '2025-02-28 01:02:03.000004'", "type: datetime", "2025-02-28 01:02:03.000004", "TIMESTAMP"),
        ("DATE '2025-02-28'", "type: datetime", "2025-02-28 00:00:00", "TIMESTAMP"),
        ("TIMESTAMP '2025-02-28 01:02:03'", "type: timestamp", "2025-02-28 01:02:03+00", "TIMESTAMP WITH TIME ZONE"),
        (
            "TIMESTAMPTZ '2025-02-28 01:02:03+05'",
            "type: timestamp",
            "2025-02-27 20:02:03+00",
            "TIMESTAMP WITH TIME ZONE",
        ),
        ("TIMESTAMP_MS '2025-02-28 01:02:03'", "type: timestamp", "2025-02-28 01:02:03+00", "TIMESTAMP WITH TIME ZONE"),
        ("1.50", "type: 'numeric(10,4)'", "1.5000", "DECIMAL(10,4)"),
        ("7", "type: 'numeric(10,4)'", "7.0000", "DECIMAL(10,4)"),
        ("CAST(1.5 AS DECIMAL(38, 20))", "type: 'bignumeric(38,20)'", "1.50000000000000000000", "DECIMAL(38,20)"),
        ("CAST(1.5 AS FLOAT)", "type: float", "1.5", "DOUBLE"),
        ("'\\x00\\xFF'::BLOB", "type: bytes", "\\x00\\xFF", "BLOB"),
        ("'{\"a\": [1]}'::JSON", "type: json", "{\"a\": [1]}", "VARCHAR"),
        ("{'a': [1]}", "type: json", "{\"a\":[1]}", "VARCHAR"),
        ("'POINT (1 2)'", "type: geography", "POINT (1 2)", "VARCHAR"),
        ("'POINT (1 2)'::GEOMETRY", "type: geography", "POINT (1 2)", "VARCHAR"),
        ("[3, 2, 1]", "type: integer, mode: repeated", "[3, 2, 1]", "BIGINT[]"),
        ("' [1] '", "type: json", " [1] ", "VARCHAR"),
        ("CAST(NULL AS VARCHAR)", "type: json", "NULL", "VARCHAR"),
        ("CAST(NULL AS VARCHAR)", "type: geography", "NULL", "VARCHAR"),
        ("CAST(NULL AS INTEGER[])", "type: integer, mode: repeated", "[]", "BIGINT[]"),
        ("CAST([1, 2] AS BIGINT[2])", "type: integer, mode: repeated", "[1, 2]", "BIGINT[]"),
        (
            "[TIMESTAMP '2025-02-28']",
            "type: timestamp, mode: repeated",
            "['2025-02-28 00:00:00+00']",
            "TIMESTAMP WITH TIME ZONE[]",
        ),
        ("CAST(NULL AS TIMESTAMP)", "type: timestamp", "NULL", "TIMESTAMP WITH TIME ZONE"),
    ] {
        let (fixture, manifest) = through(expression, column).await;
        let found = fixture.query(&manifest, "SELECT value, typeof(value) FROM lake");
        assert_eq!(found, [[value, sql_type]], "{expression} as {column}");
        assert_eq!(manifest.columns[1].data_type, fixture.pipeline.table("t").unwrap().columns[1].duckdb_type());
    }
}

/// BigQuery would refuse them in a load job, which names a file and no column, and only there.
#[tokio::test]
async fn values_that_bigquery_has_not_are_refused_by_column() {
    let record = "type: record, mode: repeated, fields: [{name: tags, type: string, mode: repeated}]";
    for (expression, column, refusal) in [
        ("'{\"a\": }'", "type: json", "column value has a text that is no JSON: write it as JSON with to_json"),
        ("'POINT 1 2'", "type: geography", "column value has a text that is no shape: write it as well-known text"),
        ("[3, NULL, 1]", "type: integer, mode: repeated", "column value has a list with a NULL in it"),
        ("[1.5, NULL]", "type: 'numeric(5,2)', mode: repeated", "column value has a list with a NULL in it"),
        ("[{'tags': ['a']}, {'tags': ['a', NULL]}]", record, "column tags has a list with a NULL in it"),
        ("[{'tags': ['a']}, NULL]", record, "column value has a list with a NULL in it"),
    ] {
        let table = columns(&["name: id, type: integer", &format!("name: value, {column}")]);
        let fixture = Fixture::new(&format!("CREATE VIEW t AS SELECT 1 AS id, {expression} AS value"), &table);
        let found = fixture.refusal("all").await;
        assert!(found.starts_with("Rejected: source s (") && found.contains(refusal), "{expression}: {found}");
        assert!(fixture.keys().await.is_empty(), "{expression}");
    }
}

#[tokio::test]
async fn records_nest_and_repeat() {
    let table = columns(&[
        "name: id, type: integer",
        "name: customer, type: record, fields: [{name: name, type: string}, {name: since, type: timestamp}, \
         {name: phones, type: string, mode: repeated}]",
        "name: lines, type: record, mode: repeated, fields: [{name: sku, type: string}, {name: price, type: 'numeric(12,2)'}, \
         {name: discounts, type: record, mode: repeated, fields: [{name: percent, type: integer}]}]",
    ]);
    // Fields in another order, in other widths, and more of them.
    let sql = "CREATE TABLE t AS
        SELECT 1 AS id,
            {'since': TIMESTAMP '2025-01-01 05:00:00', 'name': 'Ada', 'extra': 1, 'phones': ['1', '2']} AS customer,
            [{'sku': 'a', 'price': 1.5, 'discounts': [{'percent': 5::TINYINT}, {'percent': 10::TINYINT}]},
             {'sku': 'b', 'price': NULL, 'discounts': []}] AS lines
        UNION ALL SELECT 2, NULL, NULL";
    let fixture = Fixture::new(sql, &table);
    let manifest = fixture.one("all").await;
    assert_eq!(
        fixture.query(&manifest, "SELECT customer, lines FROM lake ORDER BY id"),
        [
            [
                "{'name': Ada, 'since': '2025-01-01 05:00:00+00', 'phones': [1, 2]}",
                "[{'sku': a, 'price': 1.50, 'discounts': [{'percent': 5}, {'percent': 10}]}, \
                 {'sku': b, 'price': NULL, 'discounts': []}]",
            ],
            ["NULL", "[]"],
        ]
    );

    // What differs only in how the source spells it has the same digest.
    let same = Fixture::new(
        "CREATE TABLE t AS
         SELECT 2::HUGEINT AS ID, NULL::STRUCT(name VARCHAR, since TIMESTAMPTZ, phones VARCHAR[]) AS customer,
             []::STRUCT(sku VARCHAR, price DECIMAL(12, 2), discounts STRUCT(percent BIGINT)[])[] AS lines
         UNION ALL SELECT 1, {'name': 'Ada', 'since': TIMESTAMPTZ '2025-01-01 00:00:00-05', 'phones': ['1', '2']},
             [{'sku': 'a', 'price': 1.50, 'discounts': [{'percent': 5}, {'percent': 10}]},
              {'sku': 'b', 'price': NULL, 'discounts': []}]",
        &table,
    );
    assert_eq!(same.one("all").await.digest, manifest.digest);
}

#[tokio::test]
async fn decimals_are_rounded_only_as_the_contract_says() {
    let values = [
        // (value, away from zero, to even)
        ("2.5", "3", "2"),
        ("3.5", "4", "4"),
        ("-2.5", "-3", "-2"),
        ("-3.5", "-4", "-4"),
        ("2.51", "3", "3"),
        ("-0.5", "-1", "0"),
        ("0.49", "0", "0"),
    ];
    let list: Vec<String> = values.iter().map(|(value, ..)| format!("({value})")).collect();
    let sql = format!(
        "CREATE TABLE t AS SELECT row_number() OVER () AS id, CAST(v AS DECIMAL(38, 9)) AS whole,
             CAST(v AS DECIMAL(38, 9)) / 100 AS ratio, CAST(CAST(v AS DECIMAL(10, 3)) * 0.01 AS DECIMAL(20, 6)) AS cents
         FROM (VALUES {}) AS v(v)",
        list.join(", ")
    );
    for (rounding, expected) in
        [("half_away_from_zero", values.map(|(_, away, _)| away)), ("half_even", values.map(|(.., even)| even))]
    {
        let table = columns(&[
            "name: id, type: integer",
            &format!("name: whole, type: 'numeric(20,0)', rounding: {rounding}"),
            &format!("name: cents, type: 'numeric(20,2)', rounding: {rounding}"),
        ]);
        let fixture = Fixture::new(
            &sql,
            &format!("{table}\n    reconcile: {{model: m, key: {{id: id}}, measures: {{cents: cents}}}}"),
        );
        let manifest = fixture.one("all").await;
        assert_eq!(fixture.column(&manifest, "SELECT whole FROM lake ORDER BY id"), expected);
        assert_eq!(fixture.column(&manifest, "SELECT CAST(cents * 100 AS BIGINT) FROM lake ORDER BY id"), expected);
        let sum: i32 = expected.iter().map(|value| value.parse::<i32>().unwrap()).sum();
        assert_eq!(manifest.sums.values().collect::<Vec<_>>(), [&format!("0.0{sum}")]);
    }
}

#[tokio::test]
async fn a_null_in_a_required_column_is_left_for_the_audit() {
    let table = columns(&["name: id, type: integer, mode: required", "name: name, type: string"]);
    let fixture = Fixture::new("CREATE TABLE t AS FROM (VALUES (1, 'a'), (NULL, 'b')) AS v(id, name)", &table);
    let manifest = fixture.one("all").await;
    assert_eq!(fixture.column(&manifest, "SELECT name FROM lake WHERE id IS NULL"), ["b"]);
    let nullable: Vec<bool> = manifest.columns.iter().map(|column| column.nullable).collect();
    assert_eq!(nullable, [false, true]);
}

#[tokio::test]
async fn files_are_a_source_through_setup_statements_and_queries() {
    let home = tempfile::tempdir().unwrap();
    let csv = home.path().join("rows.csv");
    std::fs::write(&csv, "id,name\n1,one\n2,two\n3,three\n").unwrap();
    let setup = format!("{{kind: sql, setup: [\"CREATE VIEW files AS FROM read_csv('{}')\"]}}", csv.display());
    let table = columns(&["name: id, type: integer", "name: name, type: string"]);
    let pipeline =
        parse("UTC", &setup, &format!("    query: \"SELECT id, upper(name) AS name FROM files -- all\"\n{table}"));
    let fixture = Fixture::with(home, pipeline);
    let manifest = fixture.one("all").await;
    assert_eq!(fixture.column(&manifest, "SELECT name FROM lake ORDER BY id"), ["ONE", "TWO", "THREE"]);

    std::fs::remove_file(csv).unwrap();
    let refusal = fixture.refusal("all").await;
    assert!(
        refusal
            .starts_with("NotFound: source s could not be set up (statement 1 of sources.s.setup): a file is missing"),
        "{refusal}"
    );
}
