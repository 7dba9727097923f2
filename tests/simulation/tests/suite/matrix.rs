//! The crash matrix on the simulated BigQuery.

use std::collections::BTreeMap;

use simulation::WorldStage;
use simulation::matrix::{Break, Cell, Then, cell, kinds, positions};

fn alone<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(work)
}

#[test]
fn no_cell_is_violated() {
    let folder = tempfile::tempdir().unwrap();
    let all = alone(async { positions(&WorldStage::new(folder.path()).await).await });
    let chosen = kinds(&all);
    println!("{} calls, {} kinds", all.len(), chosen.len());
    let start = std::time::Instant::now();
    let mut cells: Vec<Cell> = Vec::new();
    for position in &chosen {
        for how in Break::ALL {
            for then in Then::ALL {
                let folder = tempfile::tempdir().unwrap();
                let found = alone(async { cell(&WorldStage::new(folder.path()).await, position, how, then).await });
                if !found.violations.is_empty() {
                    println!("{found:?}");
                }
                cells.push(found);
            }
        }
    }
    let mut table: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for cell in &cells {
        let entry = table.entry(cell.position.call.name()).or_default();
        entry.0 += 1;
        entry.1 += usize::from(!cell.violations.is_empty());
    }
    println!("{table:?} {} cells {:?}", cells.len(), start.elapsed());
    assert!(cells.iter().all(|cell| cell.violations.is_empty()));
}
