//! The pipeline files of this repository and the reference of all keys.

use pipeline::{Changes, Granularity, Pipeline};

fn retail() -> Pipeline {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/small/pipeline.yaml");
    Pipeline::read(path).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_sample_is_accepted() {
    let pipeline = retail();
    let tables: Vec<&str> = pipeline.tables.keys().map(wap::Identifier::as_str).collect();
    assert_eq!(tables, ["customers", "products", "channels", "dates", "transaction_headers", "transaction_lines"]);
    for table in pipeline.tables.values() {
        let whole = table.calendar.granularity == Granularity::All;
        assert_eq!(whole, table.changes == Changes::Whole, "{}", table.name);
        assert_eq!(table.lake.path, format!("lake/{}", table.name));
    }
}

#[test]
fn the_reference_and_the_whole_retail_pipeline_are_accepted() {
    for path in ["/reference.yaml", "/../../pipeline.yaml"] {
        let path = format!("{}{path}", env!("CARGO_MANIFEST_DIR"));
        Pipeline::read(path).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn personal_columns_are_marked() {
    let pipeline = retail();
    let customers = pipeline.table("customers").unwrap_or_else(|error| panic!("{error}"));
    let personal: Vec<&str> =
        customers.columns.iter().filter(|column| column.personal).map(|column| column.name.as_str()).collect();
    assert_eq!(personal, ["first_name", "last_name", "email", "date_of_birth"]);
}

#[test]
fn an_unknown_table_is_answered_with_the_nearest() {
    assert_eq!(
        retail().table("custommers").unwrap_err().to_string(),
        "pipeline retail has no table \"custommers\"; accepted: customers, products, channels, dates, \
         transaction_headers, transaction_lines; did you mean `customers`?"
    );
}

#[test]
fn a_run_concerns_every_table_by_its_own_partition() {
    let pipeline = retail();
    let run = pipeline.runs().parse("2025-08-01").unwrap_or_else(|error| panic!("{error}"));
    let concerned: Vec<String> = pipeline
        .tables_for(&run)
        .unwrap_or_else(|error| panic!("{error}"))
        .iter()
        .map(|concerned| format!("{} {}", concerned.table.name, concerned.partition))
        .collect();
    assert_eq!(
        concerned,
        [
            "customers 2025-08-01",
            "products 2025-08-01",
            "channels all",
            "dates all",
            "transaction_headers 2025-08-01",
            "transaction_lines 2025-08-01"
        ]
    );
}

#[test]
fn a_day_before_the_first_is_refused() {
    assert_eq!(
        retail().runs().parse("2025-07-31").unwrap_err().to_string(),
        "partition 2025-07-31 is before 2025-08-01, the first one"
    );
}

#[test]
fn runs_are_for_the_partitions_that_all_tables_have_in_common() {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/small/pipeline.yaml")).unwrap();
    let pipeline = |text: &str| Pipeline::parse("pipeline.yaml", text).unwrap_or_else(|error| panic!("{error}"));
    let months = text.replace("granularity: day", "granularity: month");
    assert!(pipeline(&months).runs().parse("2025-09-30").is_ok(), "the sandbox has days");

    let text = text.replace("sandbox: {source: retail, seed: 42, scale: 1.0}\n", "");
    let monthly = pipeline(&text.replace("granularity: day", "granularity: month")).runs();
    for run in ["2025-09", "2025-09-01", "2025-09-30"] {
        assert_eq!(monthly.parse_containing(run).unwrap().as_str(), "2025-09");
    }
    assert!(monthly.parse_containing("2025-07-31").unwrap_err().to_string().contains("2025-08-01"));

    let mixed = pipeline(&text.replacen("granularity: day", "granularity: month", 1)).runs();
    assert_eq!(mixed.parse_containing("2025-09-30").unwrap().as_str(), "2025-09-30");
    assert!(mixed.parse_containing("2025-09").is_err());
}
