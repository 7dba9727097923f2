//! The models on BigQuery: built on GoogleSQL's own reference evaluator, they must have the rows that DuckDB gave them.

use std::process::Command;

use end_to_end::{Sandbox, cache, did_not_run, is_full, repository};

#[test]
fn bigquery_builds_the_tables_that_duckdb_built() {
    let environment = cache().join("googlesql-env");
    if !environment.join(".requirements").exists() {
        let reason = format!("{} is not there or not complete; ./bgp test makes it", environment.display());
        return did_not_run("googlesql", reason);
    }
    // The evaluator reads thousands of products for minutes.
    let (sandbox, project) = if is_full() { (Sandbox::whole(), "dbt") } else { (Sandbox::retail(), "tests/small/dbt") };
    sandbox.run(&["backfill", "--from", "2025-08-01", "--to", "2025-08-02", "--cycle-per", "all"]).ok();
    let before = sandbox.published().canonicalize().unwrap();
    sandbox.day("2025-08-03");
    let after = sandbox.published().canonicalize().unwrap();
    assert_ne!(before, after);

    let output = Command::new(environment.join("bin/python"))
        // What is compiled is kept, and not in the repository.
        .args(["-E", "-X", "utf8", "-X"])
        .arg(format!("pycache_prefix={}", environment.join("pycache").display()))
        .arg(repository().join("tests/googlesql/check.py"))
        .arg("--dbt")
        .arg(repository().join(project))
        .arg("--worker")
        .arg(repository().join("shared/dbt/worker/worker.py"))
        .arg("--before")
        .arg(before)
        .arg("--after")
        .arg(after)
        .output()
        .unwrap();
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
