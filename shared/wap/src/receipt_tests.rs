use std::path::{Path, PathBuf};

use super::*;

fn schema_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schemas/receipt.json")
}

fn schema() -> String {
    serde_json::to_string_pretty(&schemars::schema_for!(Receipt)).unwrap() + "\n"
}

#[test]
fn the_documented_schema_is_that_of_the_type() {
    let documented = std::fs::read_to_string(schema_file()).unwrap_or_default();
    assert_eq!(
        documented,
        schema(),
        "docs/schemas/receipt.json is not the schema of its type; if readers can live with the change, write it anew: \
         cargo test -p wap -- --ignored write_the_schema"
    );
}

#[test]
#[ignore = "writes the file that the test before this compares"]
fn write_the_schema() {
    std::fs::create_dir_all(schema_file().parent().unwrap()).unwrap();
    std::fs::write(schema_file(), schema()).unwrap();
}

#[test]
fn a_receipt_of_the_version_before_is_read() {
    let old = r#"{"version":1,"cycle":1,"slot":{"color":"blue","cycle":1,"attempt":"attempta"},"run":"run-1",
        "published_at":"2025-08-02T00:00:00Z","inputs":"0123456789abcdef","newest_partition":"2025-08-01","held":[],
        "work":{"changes":[],"build":["model.retail.sales"],"full":[],"removed":[]},
        "verdict":{"fingerprint":"0123456789abcdef","rules":[],"tables":[]},"views":{},
        "steps":[{"step":"prepare","seconds":0.5}],"mixed_seconds":0.0}"#;
    let read: Receipt = serde_json::from_str(old).unwrap();
    assert_eq!((read.kind, read.rollback, read.cost), (ReceiptKind::Publish, None, Statistics::default()));
    assert_eq!(read.steps[0].seconds.to_bits(), 0.5_f64.to_bits());
}
