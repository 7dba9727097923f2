//! Increments are equal to a rebuild, whatever comes in whatever order.
//!
//! A compiled query is always the query of the full rebuild, so what to compare with is made by running those alone.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use dbt::{Dbt, Kind, Project, RunReport};
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
    let tables: Vec<String> =
        relations(&project).iter().filter(is_compared).map(|id| relation(&project, id)).collect();

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
        let report = run(&dbt, &slot, reached(&project, &changed), BTreeSet::new()).await;
        if cycle == 0 {
            queries = compiled(&project, &report);
        }
        let rebuilt = folder.join("rebuilt.duckdb");
        fill(Style::Wild, &rebuilt, &Delivered::new(), &delivered);
        rebuild(&rebuilt, &queries);
        assert_eq!(differences(&slot, &rebuilt, &tables), "", "cycle {cycle}: {before:?} -> {delivered:?}");
        assert_eq!(is_rebuild(&slot), cycle == 0, "cycle {cycle} was a rebuild, or the first one was none");
        fs::remove_file(&rebuilt).unwrap();
    }
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

/// Whether a touched model was rebuilt in a slot.
fn is_rebuild(slot: &Path) -> bool {
    let connection = Connection::open(slot).unwrap();
    let query = "select count(*) > 0 from duckdb_views() where schema_name = 'changes' and view_name like '%__rebuilt'";
    connection.query_row(query, [], |row| row.get(0)).unwrap()
}
