use super::*;
use crate::pipeline::Pipeline;
use crate::table::{Changes, Rows};

const FILE: &str = "\
version: 1 # of the format
name: shop
time_zone: UTC
start: 2025-01-01
sources: {till: {kind: duckdb, path: till.duckdb}}

tables:
    # Read whole.
    countries:
        source: till
        partition: {granularity: all}
        columns: [{name: code, type: string}]   # two letters

# What is made of it.
dbt: {publish: [models]}
";

fn column(name: &str, column_type: ColumnType, mode: Mode) -> DraftColumn {
    DraftColumn { name: name.to_owned(), source_type: "WHATEVER".to_owned(), mapped: Ok((column_type, mode)) }
}

fn draft(name: &str, columns: Vec<DraftColumn>) -> TableDraft {
    let identifier = |text: &str| Identifier::new(text).unwrap();
    TableDraft { name: identifier(name), source: identifier("till"), relation: None, columns, key: Vec::new() }
}

fn orders() -> TableDraft {
    let nested = |name: &str, column_type, mode| Column {
        name: Identifier::new(name).unwrap(),
        column_type,
        mode,
        description: None,
        personal: false,
        rounding: None,
    };
    let lines = ColumnType::Record(vec![
        nested("article", ColumnType::String, Mode::Nullable),
        nested("tags", ColumnType::String, Mode::Repeated),
    ]);
    let mut draft = draft(
        "orders",
        vec![
            column("customer_id", ColumnType::Integer, Mode::Nullable),
            column("order_id", ColumnType::Integer, Mode::Required),
            column("customer_email", ColumnType::String, Mode::Nullable),
            column("total", ColumnType::Numeric { precision: 12, scale: 2 }, Mode::Nullable),
            column("lines", lines, Mode::Repeated),
            column("created_at", ColumnType::Timestamp, Mode::Nullable),
            column("updated_at", ColumnType::Timestamp, Mode::Nullable),
            column("Order Note", ColumnType::String, Mode::Nullable),
            column("bgp_load", ColumnType::String, Mode::Nullable),
        ],
    );
    draft.columns.push(DraftColumn {
        name: "took".to_owned(),
        source_type: "INTERVAL".to_owned(),
        mapped: Err("write epoch(took) as seconds".to_owned()),
    });
    draft.relation = Some("sales.orders".to_owned());
    draft
}

/// The pipeline with the drafted table appended.
fn read(draft: &TableDraft) -> Pipeline {
    let text = append("pipeline.yaml", FILE, &draft.entry()).unwrap();
    Pipeline::parse("pipeline.yaml", &text).unwrap()
}

#[test]
fn an_entry_is_read_as_it_was_meant() {
    let pipeline = read(&orders());
    let table = pipeline.table("orders").unwrap();
    assert!(matches!(&table.rows, Rows::Relation(name) if name.to_string() == "sales.orders"));
    assert_eq!(table.key.iter().map(Identifier::as_str).collect::<Vec<_>>(), ["order_id"]);
    assert!(matches!(&table.changes, Changes::Cursor { column, .. } if column.as_str() == "updated_at"));
    let columns: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(columns, ["customer_id", "order_id", "customer_email", "total", "lines", "created_at", "updated_at"]);
    let of = |name: &str| table.column(name).unwrap();
    assert_eq!(of("order_id").mode, Mode::Required);
    assert_eq!(of("total").column_type, ColumnType::Numeric { precision: 12, scale: 2 });
    assert!(of("customer_email").personal && !of("total").personal);
    assert_eq!(of("lines").bigquery_type(), "ARRAY<STRUCT<`article` STRING, `tags` ARRAY<STRING>>>");
}

#[test]
fn what_can_t_be_mapped_is_named_with_what_to_do() {
    let entry = orders().entry();
    assert_eq!(entry.unmapped.len(), 3, "{:?}", entry.unmapped);
    assert!(entry.unmapped[0].starts_with("Order Note") && entry.unmapped[0].contains("under another name"));
    assert!(entry.unmapped[1].starts_with("bgp_load"));
    assert_eq!(entry.unmapped[2], "took (INTERVAL): write epoch(took) as seconds");
    assert!(entry.unmapped.iter().all(|reason| entry.text.contains(reason)), "{}", entry.text);
}

#[test]
fn guesses_are_marked_as_such_and_what_is_declared_is_not() {
    let guessed = orders().entry().text;
    assert_eq!(
        guessed.lines().filter(|line| line.contains("a guess") || line.contains("A guess")).count(),
        4,
        "{guessed}"
    );
    let declared = TableDraft { key: vec!["customer_id".to_owned(), "order_id".to_owned()], ..orders() }.entry().text;
    assert!(declared.contains("key: [customer_id, order_id] # the primary key in the source"), "{declared}");
}

#[test]
fn a_table_with_a_log_is_known_by_its_columns() {
    let columns = vec![
        column("id", ColumnType::Integer, Mode::Nullable),
        column("changed_at", ColumnType::Timestamp, Mode::Nullable),
        column("change_sequence", ColumnType::Integer, Mode::Nullable),
        column("operation", ColumnType::String, Mode::Nullable),
    ];
    assert!(matches!(read(&draft("things", columns.clone())).table("things").unwrap().changes, Changes::Log { .. }));
    // Without a key there can be none.
    let without = read(&draft("things", columns[1..].to_vec()));
    assert!(
        matches!(&without.table("things").unwrap().changes, Changes::Cursor { column, .. } if column.as_str() == "changed_at")
    );
}

#[test]
fn a_table_without_times_is_read_whole() {
    let pipeline = read(&draft("places", vec![column("name", ColumnType::String, Mode::Nullable)]));
    let table = pipeline.table("places").unwrap();
    assert_eq!((&table.changes, table.key.len()), (&Changes::Whole, 0));
}

#[test]
fn keys_are_found_in_the_usual_spellings() {
    let key = |table: &str, names: &[&str]| {
        let columns = names.iter().map(|name| column(name, ColumnType::Integer, Mode::Nullable)).collect();
        let text = draft(table, columns).entry().text;
        text.lines()
            .find_map(|line| line.trim().strip_prefix("key: "))
            .and_then(|line| line.split(" #").next().map(str::to_owned))
    };
    assert_eq!(key("categories", &["parent_id", "category_id"]).as_deref(), Some("[category_id]"));
    assert_eq!(key("raw_orders", &["customer_id", "id"]).as_deref(), Some("[id]"));
    assert_eq!(key("visits", &["session_id", "page"]).as_deref(), Some("[session_id]"));
    assert_eq!(key("visits", &["page", "session_id"]), None, "that is what it refers to");
}

#[test]
fn nothing_else_of_the_file_changes() {
    let text = append("pipeline.yaml", FILE, &orders().entry()).unwrap();
    let (before, after) = FILE.split_once("\n\n# What is made").unwrap();
    assert!(text.starts_with(before) && text.ends_with(&format!("\n\n# What is made{after}")), "{text}");
    let added = text.strip_prefix(before).unwrap();
    assert!(added.starts_with("\n\n    orders:\n      source: till\n"), "{added}");
    let twice = append(
        "pipeline.yaml",
        &text,
        &draft("places", vec![column("name", ColumnType::String, Mode::Nullable)].clone()).entry(),
    )
    .unwrap();
    assert!(twice.starts_with(text.split_once("\n\n# What is made").unwrap().0));
}

#[test]
fn a_file_without_tables_gets_the_section() {
    let (head, _) = FILE.split_once("tables:").unwrap();
    let text = append("pipeline.yaml", &format!("{head}dbt: {{publish: [models]}}"), &orders().entry()).unwrap();
    assert!(text.contains("dbt: {publish: [models]}\n\ntables:\n  orders:\n"), "{text}");
}

#[test]
fn a_table_that_is_there_and_a_section_in_one_line_are_refused() {
    let once = append("pipeline.yaml", FILE, &orders().entry()).unwrap();
    let message = append("pipeline.yaml", &once, &orders().entry()).unwrap_err().to_string();
    assert!(message.contains("tables.orders"), "{message}");
    let line =
        "tables: {countries: {source: till, partition: {granularity: all}, columns: [{name: code, type: string}]}}\n";
    let flow = format!("{}{line}dbt: {{publish: [models]}}\n", FILE.split_once("tables:").unwrap().0);
    assert!(append("pipeline.yaml", &flow, &orders().entry()).unwrap_err().to_string().contains("in one line"));
}

#[test]
fn lines_end_as_the_file_ends_them() {
    let text = append("pipeline.yaml", &FILE.replace('\n', "\r\n"), &orders().entry()).unwrap();
    assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
}

#[test]
fn decimals_take_the_smallest_type_that_has_their_digits() {
    assert_eq!(ColumnType::decimal(12, 2), Some(ColumnType::Numeric { precision: 12, scale: 2 }));
    assert_eq!(ColumnType::decimal(38, 9), Some(ColumnType::Numeric { precision: 38, scale: 9 }));
    assert_eq!(ColumnType::decimal(38, 18), Some(ColumnType::Bignumeric { precision: 38, scale: 18 }));
    assert_eq!(ColumnType::decimal(38, 2), Some(ColumnType::Bignumeric { precision: 38, scale: 2 }));
    assert_eq!(ColumnType::decimal(50, 2), None);
}
