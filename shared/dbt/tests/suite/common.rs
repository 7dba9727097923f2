//! What the tests share: the project under test, runs in a place, comparison of files.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use dbt::{Dbt, Engine, NodeStatus, Place, Project, RunReport, RunRequest, Settings, Target};
use duckdb::Connection;
use wap::Identifier;

/// The interpreter of the dbt environment, or a line that says why the test does nothing.
pub(crate) fn python() -> Option<PathBuf> {
    let of_the_build = option_env!("BGP_PYTHON").map(PathBuf::from);
    let usual = || Some(std::env::home_dir()?.join(".cache/bluegreenprint/dbt-env/bin/python"));
    let found = of_the_build.or_else(usual).filter(|path| path.is_file());
    if found.is_none() {
        eprintln!("skipped: there is no dbt environment; `./bgp test` makes one");
    }
    found
}

/// The small retail project.
pub(crate) fn retail_project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/small/dbt").canonicalize().unwrap()
}

pub(crate) fn settings(python: PathBuf, project: &Path, cache: &Path) -> Settings {
    let mut settings = Settings::new(project, python, cache, Target::Duckdb);
    settings.layers = ["clean", "snapshots", "staging", "prep", "mart"].map(str::to_owned).to_vec();
    settings
}

pub(crate) fn place(project: &Project, file: &Path) -> Place {
    let schemas = project.schemas(&Identifier::new("main").unwrap()).unwrap();
    Place::Duckdb { file: file.to_owned(), schemas }
}

/// Runs nodes and insists that they succeed.
pub(crate) async fn run(dbt: &Dbt, file: &Path, nodes: Vec<String>, full: BTreeSet<String>) -> RunReport {
    let project = dbt.project().await.unwrap();
    let request = RunRequest { place: place(&project, file), nodes, full, vars: BTreeMap::new() };
    let report = dbt.run(request).await.unwrap();
    let failed = report.nodes.iter().filter(|node| node.status == NodeStatus::Error);
    let failed: Vec<String> = failed.map(|node| format!("{}: {}", node.id, node.message)).collect();
    assert!(report.is_success(), "{}", failed.join("\n"));
    report
}

/// Ids of the relation-making nodes.
pub(crate) fn relations(project: &Project) -> Vec<String> {
    let makes = |id: &String| project.nodes.get(id).is_some_and(dbt::Node::makes_relation);
    project.order().into_iter().filter(makes).collect()
}

/// Rows that are in one of two files only, as one text a table; empty when the tables are equal.
pub(crate) fn differences(one: &Path, other: &Path, tables: &[String]) -> String {
    let connection = Connection::open_in_memory().unwrap();
    let attach =
        format!("attach '{}' as one (read_only); attach '{}' as other (read_only)", one.display(), other.display());
    connection.execute_batch(&attach).unwrap();
    let mut found = String::new();
    for table in tables {
        for (left, right) in [("one", "other"), ("other", "one")] {
            let query = format!(
                "select coalesce(string_agg(cast(row as varchar), chr(10)), '') from (\
                 select row from {left}.{table} as row except all select row from {right}.{table} as row limit 5)"
            );
            let rows: String = connection.query_row(&query, [], |row| row.get(0)).unwrap();
            if !rows.is_empty() {
                writeln!(found, "only in {left}.{table}:\n{rows}").unwrap();
            }
        }
    }
    found
}
