//! Increments are equal to a rebuild, whatever comes in whatever order.
//!
//! A compiled query is always the query of the full rebuild, so what to compare with is made by running those alone.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use dbt::{Dbt, Engine, Kind, Project, RunReport};
use duckdb::Connection;

use crate::common::{differences, python, relations, retail_project, run, settings};
use crate::retail::{DAYS, Delivered, Random, Style, fill};

const CYCLES: u32 = 16;

#[tokio::test]
async fn every_increment_equals_a_rebuild() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let dbt = Dbt::new(settings(python, &retail_project(), &folder.join("cache")));
    let project = dbt.project().await.unwrap();
    // The snapshot has columns of its own making; its readers are compared.
    let is_compared = |id: &&String| project.nodes.get(*id).is_some_and(|node| node.kind == Kind::Model);
    let tables: Vec<String> = relations(&project).iter().filter(is_compared).map(|id| relation(&project, id)).collect();

    let mut queries = Vec::new();
    let mut random = Random::new(7);
    let mut delivered = Delivered::new();
    for cycle in 0..CYCLES {
        let before = delivered.clone();
        deliver(&mut delivered, &mut random);
        let live = folder.join(format!("slot_{cycle}.duckdb"));
        let slot = folder.join(format!("slot_{}.duckdb", cycle + 1));
        if cycle > 0 {
            fs::copy(&live, &slot).unwrap();
        }
        let changed = fill(Style::Wild, &slot, &before, &delivered);
        let nodes = reached(&project, &changed);
        if cycle % 2 == 1 {
            // A worker that died left some of the models done; the step is done again.
            let done = 1 + usize::try_from(random.below(nodes.len() as u64)).unwrap();
            run(&dbt, &slot, nodes[..done].to_vec(), BTreeSet::new()).await;
        }
        let report = run(&dbt, &slot, nodes, BTreeSet::new()).await;
        if cycle == 0 {
            queries = compiled(&project, &report);
        }
        let anew = folder.join("anew.duckdb");
        fill(Style::Wild, &anew, &Delivered::new(), &delivered);
        rebuild(&anew, &queries);
        assert_eq!(differences(&slot, &anew, &tables), "", "cycle {cycle}: {before:?} -> {delivered:?}");
        assert_eq!(!rebuilt(&slot).is_empty(), cycle == 0, "cycle {cycle} was a rebuild, or the first one was none");
        fs::remove_file(&anew).unwrap();
    }
}

/// A model rebuilt in full takes along its touched readers, whoever forgot to name them, and no one else.
#[tokio::test]
async fn a_rebuild_spreads_to_the_readers() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("tiny");
    for (name, text) in [
        ("dbt_project.yml", "name: tiny\nmodels: {+materialized: touched}\n"),
        ("models/sources.yml", "sources: [{name: raw, tables: [{name: events}, {name: rates}]}]"),
        (
            "models/events.sql",
            "{{ config(unit='day', rows=['raw.events']) }} select day, amount from {{ source('raw', 'events') }} \
             where {{ in_touched('day') }}",
        ),
        ("models/seen.sql", "{{ config(materialized='rowwise') }} select day, amount as seen from {{ ref('events') }}"),
        (
            "models/rated.sql",
            "{{ config(unit='day', rows=['seen'], whole=['raw.rates']) }} select day, seen * rate as rated \
             from {{ ref('seen') }} cross join {{ source('raw', 'rates') }} where {{ in_touched('day') }}",
        ),
        (
            "models/days.sql",
            "{{ config(unit='day', rows=['seen']) }} select day, sum(seen)::bigint as total from {{ ref('seen') }} \
             where {{ in_touched('day') }} group by day",
        ),
    ] {
        fs::create_dir_all(root.join("models")).unwrap();
        fs::write(root.join(name), text).unwrap();
    }
    fs::create_dir(root.join("macros")).unwrap();
    fs::copy(retail_project().join("macros/touched.sql"), root.join("macros/touched.sql")).unwrap();
    let dbt = Dbt::new(settings(python, &root, &folder.path().join("cache")));
    let project = dbt.project().await.unwrap();
    let file = folder.path().join("slot.duckdb");
    let execute = |sql: &str| Connection::open(&file).unwrap().execute_batch(sql).unwrap();
    let all = || relations(&project);
    execute(
        "create schema raw; create table raw.events as select i % 3 as day, i as amount from range(9) as numbers(i); \
         create table raw.rates as select 2 as rate",
    );
    run(&dbt, &file, all(), BTreeSet::new()).await;
    let state = || (text(&file, "rated", "rated"), text(&file, "days", "total"), rebuilt(&file));
    let everything = ["days", "events", "rated", "seen"].map(str::to_owned).to_vec();
    assert_eq!(state(), ("0:0,6,12 1:2,8,14 2:4,10,16".into(), "0:9 1:12 2:15".into(), everything.clone()));

    // One row comes: one unit is computed again.
    let begin = "drop schema changes cascade; create schema changes;";
    execute(&format!(
        "{begin} insert into raw.events values (1, 100); create table changes.raw__events as select 1 as day, 100 as amount"
    ));
    run(&dbt, &file, all(), BTreeSet::new()).await;
    assert_eq!(state(), ("0:0,6,12 1:2,8,14,200 2:4,10,16".into(), "0:9 1:112 2:15".into(), Vec::new()));

    // What is read as a whole changes: its reader is rebuilt, nobody else.
    execute(&format!("{begin} update raw.rates set rate = 3; create table changes.raw__rates as select 3 as rate"));
    run(&dbt, &file, all(), BTreeSet::new()).await;
    assert_eq!(state(), ("0:0,9,18 1:3,12,21,300 2:6,15,24".into(), "0:9 1:112 2:15".into(), vec!["rated".to_owned()]));

    // A model is rebuilt by request: its readers follow, through the view.
    execute(&format!("{begin} delete from raw.events where day = 2"));
    run(&dbt, &file, all(), BTreeSet::from(["model.tiny.events".to_owned()])).await;
    assert_eq!(state(), ("0:0,9,18 1:3,12,21,300".into(), "0:9 1:112".into(), everything));
}

/// Values by day.
fn text(file: &Path, table: &str, column: &str) -> String {
    let query = format!(
        "select string_agg(day || ':' || found, ' ' order by day) from \
         (select day, string_agg({column}, ',' order by {column}) as found from main.{table} group by day)"
    );
    Connection::open(file).unwrap().query_row(&query, [], |row| row.get(0)).unwrap()
}

/// Names of the models that say that they were rebuilt.
fn rebuilt(file: &Path) -> Vec<String> {
    let connection = Connection::open(file).unwrap();
    let query = "select replace(view_name, '__rebuilt', '') from duckdb_views() \
                 where schema_name = 'changes' and view_name like '%__rebuilt' order by 1";
    let mut statement = connection.prepare(query).unwrap();
    let names = statement.query_map([], |row| row.get(0)).unwrap();
    names.map(Result::unwrap).collect()
}

fn relation(project: &Project, id: &str) -> String {
    let node = project.nodes.get(id).unwrap();
    format!("{}.{}", node.layer.as_ref().unwrap(), node.alias)
}

/// Each node's relation and compiled query, parents first.
fn compiled(project: &Project, report: &RunReport) -> Vec<(String, String)> {
    let query = |id: &String| report.nodes.iter().find(|node| node.id == *id).unwrap().compiled.clone().unwrap();
    relations(project).iter().map(|id| (relation(project, id), query(id))).collect()
}

fn rebuild(file: &Path, queries: &[(String, String)]) {
    let connection = Connection::open(file).unwrap();
    for (relation, query) in queries {
        let schema = relation.split('.').next().unwrap();
        let sql = format!("create schema if not exists {schema}; create table {relation} as ({query}\n)");
        connection.execute_batch(&sql).unwrap();
    }
}

/// One or two partitions come, for the first time or corrected; now and then one comes again as it was.
fn deliver(delivered: &mut Delivered, random: &mut Random) {
    let before = delivered.clone();
    while *delivered == before {
        for _ in 0..=random.below(2) {
            let day = random.day(DAYS);
            let revision = delivered.get(&day).map_or(0, |revision| revision + random.day(2));
            delivered.insert(day, revision);
        }
    }
}

fn reached(project: &Project, changed: &BTreeSet<String>) -> Vec<String> {
    let roots = project.sources.values().filter(|source| changed.contains(&source.table));
    let reached = project.with_descendants(roots.map(|source| source.id.as_str()));
    relations(project).into_iter().filter(|id| reached.contains(id)).collect()
}
