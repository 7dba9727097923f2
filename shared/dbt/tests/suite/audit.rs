//! The project's tests: they hold for a sound log, complete or not, and find each way to spoil one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use dbt::{Dbt, Engine, Project, Severity, TestReport, TestRequest, TestStatus};
use duckdb::Connection;

use crate::common::{place, python, relations, retail_project, run, settings};
use crate::retail::{Delivered, Style, fill};

/// Rows that spoil a log, and the test that finds them.
const SPOILED: [(&str, &str, &str); 6] = [
    (
        "transaction_lines",
        "('t0-1', 1, 1, 1, -5, -5, false, timestamp '2025-08-01 13:00:00', 900001, 'update', '2025-08-01')",
        "holds_cln_transaction_lines_unit_price_cents_0",
    ),
    (
        "products",
        "(1, 'Product', -1, 1, 'active', false, timestamp '2025-08-01', timestamp '2025-08-01', 900002, 'update', '2025-08-01')",
        "holds_cln_products_unit_price_cents_0_and_cost_price_cents_0",
    ),
    (
        "transaction_lines",
        "('nobody', 1, 1, 1, 5, 5, false, timestamp '2025-08-01 13:00:00', 900003, 'insert', '2025-08-01')",
        "lines_have_a_header",
    ),
    (
        "transaction_headers",
        "(null, 'c1', 1, 'Purchase', null, timestamp '2025-08-01', 5, 0, 1, 6, false, timestamp '2025-08-01', 900004, 'insert', '2025-08-01')",
        "not_null_cln_transaction_headers_transaction_id",
    ),
    (
        "transaction_headers",
        "('t0-2', 'c2', 2, 'Purchase', null, timestamp '2025-08-01', 7, 0, 1, 8, false, timestamp '2025-08-01', 900004, 'insert', '2025-08-01')",
        "unique_cln_transaction_headers_change_sequence",
    ),
    (
        "transaction_headers",
        "('t0-3', 'c1', 1, 'Purchase', null, timestamp '2025-08-01', 5, 0, 1, 7, false, timestamp '2025-08-01', 900005, 'update', '2025-08-01')",
        "holds_cln_transaction_headers_total_cents_gross_subtotal_cents_total_discount_cents_total_tax_cents",
    ),
];

#[tokio::test]
async fn the_tests_hold_for_a_sound_log_and_find_what_spoils_it() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let dbt = Dbt::new(settings(python, &retail_project(), &folder.join("cache")));
    let project = dbt.project().await.unwrap();

    // Out of order, with gaps: what refers to a missing partition must not fail.
    let gaps = folder.join("gaps.duckdb");
    fill(Style::Sound, &gaps, &Delivered::new(), &Delivered::from([(3, 0), (5, 0)]));
    run(&dbt, &gaps, relations(&project), BTreeSet::new()).await;
    assert_eq!(failed(&audit(&dbt, &project, &gaps).await), Vec::<String>::new());

    let complete = folder.join("complete.duckdb");
    fill(Style::Sound, &complete, &Delivered::new(), &(0..6).map(|day| (day, 0)).collect());
    let spoiled = folder.join("spoiled.duckdb");
    fs::copy(&complete, &spoiled).unwrap();
    run(&dbt, &complete, relations(&project), BTreeSet::new()).await;
    let before = fs::read(&complete).unwrap();
    let report = audit(&dbt, &project, &complete).await;
    assert_eq!(failed(&report), Vec::<String>::new());
    assert!(report.tests.len() > 90, "{} tests", report.tests.len());
    assert!(fs::read(&complete).unwrap() == before, "a test run changed the file");

    for (table, row, _) in SPOILED {
        let connection = Connection::open(&spoiled).unwrap();
        connection.execute_batch(&format!("insert into raw.{table} values {row}")).unwrap();
    }
    run(&dbt, &spoiled, relations(&project), BTreeSet::new()).await;
    let report = audit(&dbt, &project, &spoiled).await;
    for (_, _, name) in SPOILED {
        let test = report.tests.iter().find(|test| test.name.starts_with(name)).unwrap();
        assert_eq!((test.status, test.severity), (TestStatus::Fail, Severity::Error), "{name}");
        let rows = test.compiled_sql.as_ref().unwrap();
        let connection = Connection::open(&spoiled).unwrap();
        let count = format!("select count(*) from ({rows})");
        let found: u64 = connection.query_row(&count, [], |row| row.get(0)).unwrap();
        assert_eq!(found, test.failures, "{name}: the compiled query finds the failing rows");
    }
}

async fn audit(dbt: &Dbt, project: &Project, file: &Path) -> TestReport {
    let tests = project.nodes.values().filter(|node| node.is_test()).map(|node| node.id.clone()).collect();
    dbt.test(TestRequest { place: place(project, file), tests, vars: BTreeMap::new() }).await.unwrap()
}

fn failed(report: &TestReport) -> Vec<String> {
    let failed = report.tests.iter().filter(|test| test.status != TestStatus::Pass);
    failed.map(|test| format!("{} {:?}: {}", test.name, test.status, test.message)).collect()
}
