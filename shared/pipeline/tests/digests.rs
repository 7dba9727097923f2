//! What changes a digest and what does not, on the small retail pipeline.

use pipeline::Pipeline;
use wap::Digest;

const SAMPLE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/small/pipeline.yaml"));

fn edited(from: &str, to: &str) -> Pipeline {
    assert!(SAMPLE.contains(from), "the sample lacks {from:?}");
    Pipeline::parse("pipeline.yaml", &SAMPLE.replacen(from, to, 1)).unwrap_or_else(|error| panic!("{error}"))
}

fn contract(pipeline: &Pipeline) -> Digest {
    pipeline.table("customers").unwrap_or_else(|error| panic!("{error}")).contract_digest()
}

#[test]
fn what_decides_the_rows_changes_the_contract() {
    let original = contract(&edited("", ""));
    for (from, to) in [
        ("relation: customers_log", "relation: customers_log_2"),
        ("relation: customers_log", "query: select * from customers_log"),
        ("key: [customer_id]", "key: [email]"),
        ("changed_at: changed_at", "changed_at: registered_at"),
        ("granularity: day", "granularity: month"),
        ("time_zone: America/Toronto", "time_zone: UTC"),
        ("name: province, type: string", "name: state, type: string"),
        ("name: date_of_birth, type: date", "name: date_of_birth, type: datetime"),
        ("name: province, type: string", "name: province, type: string, mode: required"),
    ] {
        assert_ne!(contract(&edited(from, to)), original, "{from} -> {to}");
    }
}

#[test]
fn what_does_not_decide_the_rows_leaves_the_contract() {
    let original = contract(&edited("", ""));
    for (from, to) in [
        ("description: Customers who registered, one row a change.", "description: Other words."),
        ("compression: zstd", "compression: snappy"),
        ("raw: {cluster_by: [customer_id]}", "raw: {cluster_by: [email]}"),
        ("name: province, type: string", "name: province, type: string, personal: true"),
        ("start: 2025-08-01", "start: 2024-01-01"),
        ("kept_slot_hours: 72", "kept_slot_hours: 24"),
    ] {
        let pipeline = edited(from, to);
        assert_eq!(contract(&pipeline), original, "{from} -> {to}");
        assert_ne!(pipeline.digest(), edited("", "").digest(), "{from} -> {to} changes the pipeline all the same");
    }
}

#[test]
fn comments_and_formatting_change_nothing() {
    let original = edited("", "");
    let reformatted = edited("approval: false", "# to be decided\n\napproval:    false");
    assert_eq!(reformatted.digest(), original.digest());
}
