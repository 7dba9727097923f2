//! Other people's projects, unedited: names that escape a target schema, hooks, stored failures, dbt's own incremental
//! models. And the worker under them: killed, cancelled, not needed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use dbt::{Dbt, Engine, Error, Place, Project, RunRequest, Settings, Severity, TestRequest, TestStatus};
use duckdb::Connection;
use serde_json::Value;
use wap::Digest;

use crate::common::{place, python, relations, run, settings};

/// A project that puts its relations into schemas of its own naming, as its target is called prod.
const FILES: [(&str, &str); 14] = [
    (
        "dbt_project.yml",
        "name: shop\nprofile: not_ours\nmodel-paths: [models]\nseed-paths: [seeds]\nmacro-paths: [macros]\nsnapshot-paths: [snapshots]\n\
         test-paths: [tests]\nvars: {shop: {smallest: 2}}\nseeds: {+schema: global_seeds}\n\
         on-run-end: ['create or replace table {{ target.schema }}.audit_log as select 1 as entry']\n",
    ),
    (
        "macros/generate_schema_name.sql",
        "{% macro generate_schema_name(custom_schema_name, node) %}{{ custom_schema_name or 'analytics' }}{% endmacro %}",
    ),
    ("macros/cents.sql", "{% macro cents(column) %}{{ doubled(column) }}{% endmacro %}"),
    ("macros/doubled.sql", "{% macro doubled(column) %}({{ column }} * 2){% endmacro %}"),
    ("macros/unused.sql", "{% macro unused() %}1{% endmacro %}"),
    ("seeds/rates.csv", "id,rate\n1,10\n2,20\n3,30\n"),
    (
        "models/sources.yml",
        "sources: [{name: shop, schema: production, database: elsewhere, tables: [{name: sales, identifier: raw_sales}]}]\n",
    ),
    (
        "models/staging/stg_sales.sql",
        "{{ config(materialized='view', schema='staging') }} select id, {{ cents('amount') }} as amount from {{ source('shop', 'sales') }}",
    ),
    ("models/marts/only_inside.sql", "{{ config(materialized='ephemeral') }} select * from {{ ref('stg_sales') }}"),
    (
        "models/marts/sales.sql",
        "{{ config(materialized='incremental', unique_key='id', database=target.database) }} select s.id, s.amount, r.rate \
         from {{ ref('only_inside') }} s join {{ ref('rates') }} r using (id) where s.id >= {{ var('smallest') }} \
         {% if is_incremental() %} and s.id > (select max(id) from {{ this }}) {% endif %}",
    ),
    (
        "models/marts/totals.sql",
        "{{ config(materialized='table', alias='sum') }} select sum(amount) as total from {{ ref('sales') }}",
    ),
    (
        "models/marts/schema.yml",
        "models: [{name: sales, columns: [{name: id, description: The sale., meta: {personal: true}, data_tests: [unique]}]}]\n",
    ),
    (
        "snapshots/rates.sql",
        "{% snapshot rates_history %}{{ config(target_schema='history', unique_key='id', strategy='check', check_cols=['rate']) }} \
         select * from {{ ref('rates') }}{% endsnapshot %}",
    ),
    (
        "tests/no_large_sales.sql",
        "{{ config(store_failures=true, severity='warn') }} select * from {{ ref('sales') }} where amount > 50",
    ),
];

fn write_project(folder: &Path) -> PathBuf {
    let root = folder.join("shop");
    for (name, text) in FILES {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

fn write_sales(file: &Path, count: u32) {
    let connection = Connection::open(file).unwrap();
    let sql = format!(
        "create schema if not exists raw; create or replace table raw.raw_sales as \
         select i as id, i * 10 as amount from range(1, {count} + 1) as numbers(i)"
    );
    connection.execute_batch(&sql).unwrap();
}

/// Schema and name of every relation of a file.
fn relations_of(file: &Path) -> BTreeSet<String> {
    let connection = Connection::open(file).unwrap();
    let mut statement =
        connection.prepare("select table_schema || '.' || table_name from information_schema.tables").unwrap();
    let names = statement.query_map([], |row| row.get(0)).unwrap();
    names.map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_project_with_names_of_its_own_stays_in_its_place() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(python, &write_project(folder.path()), &folder.path().join("cache"));
    settings.layers = vec!["staging".to_owned(), "marts".to_owned()];
    let dbt = Dbt::new(settings);
    let project = dbt.project().await.unwrap();
    let column = &project.nodes["model.shop.sales"].columns[0];
    assert_eq!((column.name.as_str(), column.is_personal), ("id", true));

    let first = folder.path().join("slot_blue_1.duckdb");
    write_sales(&first, 3);
    run(&dbt, &first, relations(&project), BTreeSet::new()).await;
    let expected = [
        "main.audit_log",
        "main.rates",
        "main.rates_history",
        "marts.sales",
        "marts.sum",
        "raw.raw_sales",
        "staging.stg_sales",
    ];
    assert_eq!(relations_of(&first), expected.map(str::to_owned).into());

    // The next attempt starts from a copy. It works on that alone, and the incremental model goes on from there.
    let second = folder.path().join("slot_green_2.duckdb");
    fs::copy(&first, &second).unwrap();
    let before = fs::read(&first).unwrap();
    write_sales(&second, 4);
    fs::write(folder.path().join("shop/seeds/rates.csv"), "id,rate\n1,10\n2,20\n3,31\n4,40\n").unwrap();
    let project = dbt.project().await.unwrap();
    run(&dbt, &second, relations(&project), BTreeSet::new()).await;
    assert!(fs::read(&first).unwrap() == before, "the first slot was written");
    assert_eq!(sales(&second), "2:40:20 3:60:30 4:80:40");

    // In full, the row with the old rate is replaced too.
    run(&dbt, &second, relations(&project), BTreeSet::from(["model.shop.sales".to_owned()])).await;
    assert_eq!(sales(&second), "2:40:20 3:60:31 4:80:40");

    // Tests store nothing, whatever the project says, and its hooks do not write.
    let before = fs::read(&second).unwrap();
    let tests = project.tests_of(&BTreeSet::from(["model.shop.sales".to_owned()])).into_iter().collect();
    let request = TestRequest { place: place(&project, &second), tests, vars: BTreeMap::new() };
    let report = dbt.test(request.clone()).await.unwrap();
    assert!(fs::read(&second).unwrap() == before, "a test run changed the file");
    let found: Vec<_> =
        report.tests.iter().map(|test| (test.name.as_str(), test.status, test.severity, test.failures)).collect();
    assert_eq!(
        found,
        [
            ("no_large_sales", TestStatus::Warn, Severity::Warn, 2),
            ("unique_sales_id", TestStatus::Pass, Severity::Error, 0)
        ]
    );
    assert_eq!(report.tests[1].column.as_deref(), Some("id"));
    assert_eq!(report.tests[1].tested_nodes, ["model.shop.sales"]);

    // Asked again, in another slot too, each test answers as dbt would.
    let third = folder.path().join("slot_blue_3.duckdb");
    fs::copy(&second, &third).unwrap();
    let connection = Connection::open(&third).unwrap();
    connection.execute_batch("insert into marts.sales select id, 0, rate from marts.sales where id < 4").unwrap();
    drop(connection);
    let report = dbt.test(TestRequest { place: place(&project, &third), ..request }).await.unwrap();
    let found: Vec<_> = report.tests.iter().map(|test| (test.name.as_str(), test.status, test.failures)).collect();
    assert_eq!(found, [("no_large_sales", TestStatus::Warn, 2), ("unique_sales_id", TestStatus::Fail, 2)]);

    // A view does not name its file.
    let reader = Connection::open_in_memory().unwrap();
    reader.execute_batch(&format!("attach '{}' as anything (read_only)", second.display())).unwrap();
    let rows: u32 = reader.query_row("select count(*) from anything.staging.stg_sales", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 4);
}

#[tokio::test]
async fn a_test_whose_query_changes_is_compiled_each_time() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let root = write_project(folder.path());
    let changing = [
        ("macros/stamp.sql", "{% macro stamp() %}'{{ run_started_at }} {{ invocation_id }}'{% endmacro %}"),
        ("tests/by_macro.sql", "select {{ stamp() }} as stamp from {{ ref('sales') }} where id < 0"),
        ("tests/by_text.sql", "select '{{ invocation_id }}' as stamp from {{ ref('sales') }} where id < 0"),
        (
            "tests/by_slot.sql",
            "select {{ adapter.get_columns_in_relation(ref('sales')) | length }} as columns from {{ ref('sales') }} where id < 0",
        ),
    ];
    for (name, text) in changing {
        fs::write(root.join(name), text).unwrap();
    }
    let dbt = Dbt::new(settings(python, &root, &folder.path().join("cache")));
    let project = dbt.project().await.unwrap();
    let first = folder.path().join("slot_blue_1.duckdb");
    write_sales(&first, 3);
    run(&dbt, &first, relations(&project), BTreeSet::new()).await;
    let second = folder.path().join("slot_green_2.duckdb");
    fs::copy(&first, &second).unwrap();
    let connection = Connection::open(&second).unwrap();
    connection.execute_batch("alter table main.sales add column another integer").unwrap();
    drop(connection);
    let tests: Vec<String> = project.tests_of(&BTreeSet::from(["model.shop.sales".to_owned()])).into_iter().collect();
    let mut queries = Vec::new();
    for file in [&first, &second] {
        let request = TestRequest { place: place(&project, file), tests: tests.clone(), vars: BTreeMap::new() };
        let report = dbt.test(request).await.unwrap();
        queries.push(report.tests.into_iter().map(|test| (test.name, test.compiled_sql.unwrap())).collect::<Vec<_>>());
    }
    let same: Vec<&str> = queries[0]
        .iter()
        .zip(&queries[1])
        .filter(|(first, second)| first == second)
        .map(|(first, _)| first.0.as_str())
        .collect();
    assert_eq!(same, ["no_large_sales", "unique_sales_id"]);
}

fn sales(file: &Path) -> String {
    let connection = Connection::open(file).unwrap();
    let query = "select string_agg(id || ':' || amount || ':' || rate, ' ' order by id) from marts.sales";
    connection.query_row(query, [], |row| row.get(0)).unwrap()
}

fn digests(project: &Project) -> BTreeMap<String, Digest> {
    project.digests(&BTreeMap::from([("raw_sales".to_owned(), Digest::of("contract"))])).unwrap()
}

/// Names of the nodes whose digests differ.
fn differing(one: &BTreeMap<String, Digest>, other: &BTreeMap<String, Digest>) -> Vec<String> {
    let ids: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let ids = ids.into_iter().filter(|id| one.get(*id) != other.get(*id) && !id.starts_with("test."));
    ids.map(|id| id.rsplit('.').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_digest_changes_with_what_decides_the_node_and_with_nothing_else() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let root = write_project(folder.path());
    let settings = settings(wrapped(&python, folder.path()), &root, &folder.path().join("cache"));
    let dbt = Dbt::new(settings.clone());
    let project = dbt.project().await.unwrap();
    let base = digests(&project);

    let missing = project.digests(&BTreeMap::new()).unwrap_err();
    assert!(matches!(&missing, Error::Rejected(message) if message.contains("raw_sales")), "{missing}");
    let other = BTreeMap::from([("raw_sales".to_owned(), Digest::of("another contract"))]);
    assert_eq!(differing(&base, &project.digests(&other).unwrap()), ["only_inside", "sales", "stg_sales", "totals"]);

    let edits: [(&str, &str, &[&str]); 4] = [
        // Reached through another macro.
        (
            "macros/doubled.sql",
            "{% macro doubled(column) %}({{ column }} * 3){% endmacro %}",
            &["only_inside", "sales", "stg_sales", "totals"],
        ),
        ("macros/unused.sql", "{% macro unused() %}2{% endmacro %}", &[]),
        ("seeds/rates.csv", "id,rate\n1,11\n", &["sales", "totals", "rates", "rates_history"]),
        ("dbt_project.yml", &FILES[0].1.replace("smallest: 2", "smallest: 3"), &["sales", "totals"]),
    ];
    for (name, text, expected) in edits {
        let before = fs::read(root.join(name)).unwrap();
        fs::write(root.join(name), text).unwrap();
        assert_eq!(differing(&base, &digests(&dbt.project().await.unwrap())), expected, "{name}");
        fs::write(root.join(name), before).unwrap();
    }

    // What was parsed once needs no Python, in another process either.
    assert_eq!(digests(&dbt.project().await.unwrap()), base);
    fs::remove_file(&settings.python).unwrap();
    let other_process = Dbt::new(settings.clone());
    assert_eq!(digests(&other_process.project().await.unwrap()), base);
    let error = other_process.warm().await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error}");

    // Nor in an image that has nothing but the parse.
    let kept = fs::read_dir(&settings.cache_dir).unwrap().map(|entry| entry.unwrap().path().join("project.json"));
    let kept: Vec<PathBuf> = kept.filter(|path| path.is_file()).collect();
    let mut image = settings;
    image.project_dir = PathBuf::from("/nowhere");
    let mut found = Vec::new();
    for path in kept {
        image.parsed = Some(path);
        let project = Dbt::new(image.clone()).project().await.unwrap();
        if digests(&project) == base {
            found.push(image.clone());
        }
    }
    assert_eq!(found.len(), 2, "the parse before the edits, and the one with another unused macro");
    let mut image = found.remove(0);
    let with_var = |image: &Settings, value: u32| {
        let mut image = image.clone();
        image.vars.insert("smallest".to_owned(), Value::from(value));
        async move { digests(&Dbt::new(image).project().await.unwrap()) }
    };
    assert_eq!(differing(&base, &with_var(&image, 5).await), ["sales", "totals"]);
    image.run_vars.insert("smallest".to_owned());
    assert_eq!(with_var(&image, 6).await, with_var(&image, 7).await, "a var of the run counts for nothing");
}

/// A Python that notes its process id, so that a test can kill it.
fn wrapped(python: &Path, folder: &Path) -> PathBuf {
    let path = folder.join("env/bin/python");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let library = python.parent().unwrap().parent().unwrap().join("lib");
    std::os::unix::fs::symlink(library, folder.join("env/lib")).unwrap();
    let script = format!("#!/bin/sh\necho $$ > '{}/pid'\nexec '{}' \"$@\"\n", folder.display(), python.display());
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn pid(folder: &Path) -> String {
    fs::read_to_string(folder.join("pid")).unwrap().trim().to_owned()
}

#[tokio::test]
async fn a_worker_that_dies_or_is_dropped_is_followed_by_another() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let root = write_project(folder.path());
    fs::write(
        root.join("models/marts/endless.sql"),
        "{{ config(materialized='table') }} select count(*) as n from range(100000000) a, range(100000000) b",
    )
    .unwrap();
    let dbt = Dbt::new(settings(wrapped(&python, folder.path()), &root, &folder.path().join("cache")));
    let project = dbt.project().await.unwrap();
    let file = folder.path().join("slot.duckdb");
    write_sales(&file, 3);
    let request = |id: &str| RunRequest {
        place: place(&project, &file),
        nodes: vec![id.to_owned()],
        full: BTreeSet::new(),
        vars: BTreeMap::new(),
    };

    // Whoever stops waiting stops the command: the file is free at once.
    let first = pid(folder.path());
    let endless = dbt.run(request("model.shop.endless"));
    assert!(tokio::time::timeout(Duration::from_secs(4), endless).await.is_err());
    let report = dbt.run(request("seed.shop.rates")).await.unwrap();
    assert!(report.is_success(), "{report:?}");
    let second = pid(folder.path());
    assert_ne!(first, second);
    assert!(!Path::new("/proc").join(&first).exists(), "the cancelled worker is still there");

    // One that is killed from outside is an error that may be tried again.
    let endless = dbt.run(request("model.shop.endless"));
    let kill = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        Command::new("kill").args(["-9", &second]).status().unwrap()
    };
    let (result, _) = tokio::join!(endless, kill);
    assert!(matches!(result, Err(Error::Unavailable(_))), "{result:?}");
    assert!(dbt.run(request("seed.shop.rates")).await.unwrap().is_success());

    // A file that somebody else has open is such an error too.
    let connection = Connection::open(&file).unwrap();
    let result = dbt.run(request("seed.shop.rates")).await;
    assert!(matches!(result, Err(Error::Unavailable(_))), "{result:?}");
    drop(connection);
    assert!(dbt.run(request("seed.shop.rates")).await.unwrap().is_success());
}

#[tokio::test]
async fn what_dbt_or_this_crate_refuses_is_named() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let root = write_project(folder.path());
    let dbt = Dbt::new(settings(python, &root, &folder.path().join("cache")));
    for (name, text, expected) in [
        ("models/a.py", "def model(dbt, session):\n    return dbt.ref('rates')\n", "model.shop.a"),
        ("models/a.sql", "selec {{ ref('nothing') }}", "nothing"),
    ] {
        fs::write(root.join(name), text).unwrap();
        let error = dbt.project().await.unwrap_err();
        assert!(matches!(&error, Error::Rejected(message) if message.contains(expected)), "{expected}: {error}");
        fs::remove_file(root.join(name)).unwrap();
    }

    let project = dbt.project().await.unwrap();
    let file = folder.path().join("slot.duckdb");
    let request = |id: &str| RunRequest {
        place: place(&project, &file),
        nodes: vec![id.to_owned()],
        full: BTreeSet::new(),
        vars: BTreeMap::new(),
    };
    assert!(matches!(dbt.run(request("model.shop.nobody")).await, Err(Error::NotFound(_))));
    assert!(matches!(dbt.run(request("model.shop.only_inside")).await, Err(Error::Rejected(_))));
    let mut elsewhere = request("seed.shop.rates");
    elsewhere.place = Place::Duckdb { file: file.clone(), schemas: BTreeMap::new() };
    assert!(matches!(dbt.run(elsewhere).await, Err(Error::Rejected(_))));
    assert!(!file.exists(), "a refused run made a file");
}
