//! The emulated cloud: the same workflow through BigQuery and Cloud Storage ends in the same tables as on DuckDB.

#![expect(clippy::unwrap_used, reason = "this is a test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use end_to_end::{Sandbox, cache, did_not_run, replaced};
use serde_json::Value;

/// The program that was built with Google's clients, where the emulators are there too.
fn cloud_program() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "tests are told by ./bgp which program to test")]
    let program = std::env::var_os("BGP_CLOUD_PROGRAM").map(PathBuf::from);
    let environment = cache().join("emulator-env/.requirements");
    let reason = match &program {
        None => "BGP_CLOUD_PROGRAM names no program; ./bgp test does".to_owned(),
        Some(_) if !environment.exists() => format!("{} is not there; ./bgp test makes it", environment.display()),
        Some(_) => return program,
    };
    did_not_run("emulated cloud", reason);
    None
}

fn run(program: &Path, config: &Path, home: &Path, arguments: &[&str]) -> Value {
    let output = Command::new(program)
        .args(["--target", "emulators", "--config"])
        .arg(config)
        .arg("--home")
        .arg(home)
        .args(arguments)
        .arg("--json")
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_table_is_equal_to_that_of_duckdb() {
    let Some(program) = cloud_program() else { return };
    // The emulators are slow on a busy machine, and nobody dies here.
    let sandbox = Sandbox::with(|text| replaced(&text, "lease: {seconds: 2}", "lease: {seconds: 60}"));
    let range = ["--from", "2025-08-01", "--to", "2025-08-02"];
    sandbox.run(&[&["backfill"], &range[..]].concat()).ok();
    let expected = sandbox.digest();

    let home = sandbox.folder().join("cloud");
    run(&program, sandbox.config(), &home, &[&["backfill"], &range[..]].concat());
    let found = run(&program, sandbox.config(), &home, &["digest"]);
    let found: BTreeMap<String, String> =
        found.as_object().unwrap().iter().map(|(view, digest)| (view.clone(), digest.to_string())).collect();
    assert_eq!(found, expected);
    let deployment =
        run(&program, sandbox.config(), &home, &["sql", "select cycle, newest_partition from live.deployment"]);
    assert_eq!(deployment, serde_json::json!([{ "cycle": 2, "newest_partition": "2025-08-02" }]));

    // Back and forth: views are moved one by one, and a slot that others were cloned from is still as it was audited.
    let shown = || {
        let rows = run(&program, sandbox.config(), &home, &["sql", "select cycle from live.deployment"]);
        let digest = run(&program, sandbox.config(), &home, &["digest"]);
        (rows[0]["cycle"].clone(), digest)
    };
    let second = shown();
    let undone = run(&program, sandbox.config(), &home, &["rollback"]);
    assert_eq!((&undone["cycle"], &undone["held"]), (&3.into(), &serde_json::json!(["2025-08-02"])));
    let first = shown();
    assert_eq!(first.0, 1);
    assert_ne!(first.1, second.1);
    assert_eq!(run(&program, sandbox.config(), &home, &["rollback"])["undid"], 3);
    assert_eq!(shown(), second);
}
