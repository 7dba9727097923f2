//! The emulated cloud: the same workflow through BigQuery and Cloud Storage ends in the same tables as on DuckDB.

#![expect(clippy::unwrap_used, reason = "this is a test")]

use std::collections::BTreeMap;

use end_to_end::{CloudProgram, Sandbox, replaced};
use serde_json::json;

/// The digest of every live table of the emulated cloud.
#[track_caller]
fn digest(cloud: &CloudProgram, sandbox: &Sandbox) -> BTreeMap<String, String> {
    let digests = cloud.run(sandbox, &["digest", "--json"]).ok().json();
    digests.as_object().unwrap().iter().map(|(view, digest)| (view.clone(), digest.to_string())).collect()
}

#[test]
fn every_table_is_equal_to_that_of_duckdb() {
    let Some(cloud) = CloudProgram::find("emulated cloud") else { return };
    // The emulators are slow on a busy machine, and nobody dies here.
    let sandbox = Sandbox::with(|text| replaced(&text, "lease: {seconds: 2}", "lease: {seconds: 60}"));
    let range = ["--from", "2025-08-01", "--to", "2025-08-02"];
    sandbox.run(&[&["backfill"], &range[..]].concat()).ok();
    let expected = sandbox.digest();

    cloud.run(&sandbox, &[&["backfill"], &range[..]].concat()).ok();
    assert_eq!(digest(&cloud, &sandbox), expected);
    let sql = "select cycle, newest_partition from live.deployment";
    let deployment = cloud.run(&sandbox, &["sql", sql, "--json"]).ok().json();
    assert_eq!(deployment, json!([{ "cycle": 2, "newest_partition": "2025-08-02" }]));
}
