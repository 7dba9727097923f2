//! The crash matrix, on the simulated BigQuery and on DuckDB.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde_json::json;
use simulation::matrix::{Break, Cell, Position, Then, cell, kinds, positions};
use simulation::{Base, EmbeddedStage, WorldStage, is_full, report};
use tokio::runtime::{Builder, Runtime};

/// A runtime on which time passes only when nothing else is to be done.
fn timeless() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

fn real() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

type Work<'a> = Pin<Box<dyn Future<Output = Cell> + 'a>>;

/// Lives through the cells, on as many threads as there are processors.
fn all_cells(
    positions: &[Position],
    every: usize,
    runtime: fn() -> Runtime,
    work: impl for<'a> Fn(&'a Position, Break, Then) -> Work<'a> + Sync,
) -> Vec<Cell> {
    let wanted: Vec<_> = positions
        .iter()
        .flat_map(|position| Break::ALL.map(|how| Then::ALL.map(|then| (position, how, then))).concat())
        .step_by(every)
        .collect();
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((position, how, then)) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let cell = runtime().block_on(work(position, *how, *then));
                    found.lock().unwrap_or_else(PoisonError::into_inner).push(cell);
                }
            });
        }
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Prints the table, leaves the figures, and fails if there is a violation.
fn judge(name: &str, positions: usize, cells: &[Cell]) {
    let mut table: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for cell in cells {
        let (lived, violated) = table.entry(cell.position.call.name()).or_default();
        *lived += 1;
        *violated += usize::from(!cell.violations.is_empty());
    }
    println!("crash matrix on {name}: {positions} kinds of calls");
    println!("{:<26}{:>8}{:>12}", "call", "cells", "violations");
    for (call, (cells, violations)) in &table {
        println!("{call:<26}{cells:>8}{violations:>12}");
    }
    let violated: Vec<&Cell> = cells.iter().filter(|cell| !cell.violations.is_empty()).collect();
    println!("{:<26}{:>8}{:>12}", "all", cells.len(), violated.len());
    report(&format!("matrix-{name}"), &json!({"crash_cells": cells.len(), "crash_violations": violated.len()}));
    assert!(violated.is_empty(), "{violated:#?}");
}

#[test]
fn no_call_can_break_the_cycle_on_the_simulated_bigquery() {
    let folder = tempfile::tempdir().unwrap();
    let all = timeless().block_on(async { positions(&WorldStage::new(folder.path()).await).await });
    // In full every call of the cycle, otherwise one of each kind.
    let chosen = if is_full() { all } else { kinds(&all) };
    let cells = all_cells(&chosen, 1, timeless, |position, how, then| {
        Box::pin(async move {
            let folder = tempfile::tempdir().unwrap();
            cell(&WorldStage::new(folder.path()).await, position, how, then).await
        })
    });
    assert!(cells.len() >= 360, "{} cells", cells.len());
    judge("simulated-bigquery", chosen.len(), &cells);
}

#[test]
fn no_call_can_break_the_cycle_on_duckdb() {
    let base = Arc::new(real().block_on(Base::new()));
    let all = real().block_on(async { positions(&EmbeddedStage::new(&base).await).await });
    let chosen = kinds(&all);
    // Real time passes here; a prime keeps the sample from meeting the same column again and again.
    let every = if is_full() { 1 } else { 13 };
    let cells = all_cells(&chosen, every, real, |position, how, then| {
        let base = base.clone();
        Box::pin(async move { cell(&EmbeddedStage::new(&base).await, position, how, then).await })
    });
    judge("duckdb", chosen.len(), &cells);
}
