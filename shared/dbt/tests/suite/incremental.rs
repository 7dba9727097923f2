//! Increments are equal to a rebuild, whatever comes in whatever order.

use std::collections::BTreeSet;
use std::fs;

use crate::retail::{DAYS, Delivered, Random, fill};
use crate::common::{differences, relations, retail_project, run, settings};
use dbt::{Dbt, Kind};

const CYCLES: u32 = 16;

#[tokio::test]
async fn every_increment_equals_a_rebuild() {
    let Some(python) = crate::common::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let dbt = Dbt::new(settings(python, &retail_project(), &folder.path().join("cache")));
    let project = dbt.project().await.unwrap();
    // The snapshot has columns of its own making; its readers are compared.
    let tables: Vec<(String, String)> = project
        .nodes
        .values()
        .filter(|node| node.makes_relation() && node.kind == Kind::Model)
        .map(|node| (node.layer.clone().unwrap(), node.alias.clone()))
        .collect();

    let mut random = Random::new(7);
    let mut delivered = Delivered::new();
    let mut live = folder.path().join("slot_0.duckdb");
    for cycle in 0..CYCLES {
        let before = delivered.clone();
        deliver(&mut delivered, &mut random);
        let slot = folder.path().join(format!("slot_{}.duckdb", cycle + 1));
        let is_first = !live.exists();
        if !is_first {
            fs::copy(&live, &slot).unwrap();
        }
        let changed = fill(&slot, &before, &delivered);
        let nodes = if is_first {
            relations(&project)
        } else {
            let roots = project.sources.values().filter(|source| changed.contains(&source.table));
            let reached = project.with_descendants(roots.map(|source| source.id.as_str()));
            relations(&project).into_iter().filter(|id| reached.contains(id)).collect()
        };
        let started = std::time::Instant::now();
        run(&dbt, &slot, nodes, BTreeSet::new()).await;
        let incremental = started.elapsed();

        let rebuilt = folder.path().join(format!("rebuilt_{cycle}.duckdb"));
        fill(&rebuilt, &Delivered::new(), &delivered);
        run(&dbt, &rebuilt, relations(&project), BTreeSet::new()).await;
        println!("cycle {cycle}: {before:?} -> {delivered:?}, {incremental:.1?}, {:.1?}", started.elapsed());
        assert_eq!(differences(&slot, &rebuilt, &tables), "", "cycle {cycle}: {before:?} -> {delivered:?}");
        live = slot;
    }
}

/// One or two partitions come, for the first time or once more, the same or corrected.
fn deliver(delivered: &mut Delivered, random: &mut Random) {
    for _ in 0..=random.below(2) {
        let day = u32::try_from(random.below(u64::from(DAYS))).unwrap();
        let revision = delivered.get(&day).map_or(0, |revision| revision + u32::try_from(random.below(2)).unwrap());
        delivered.insert(day, revision);
    }
}
