//! The protocol, explored: every order of the calls of several workers, of crashes, lost answers, late writes, repeated
//! requests and expired claims, within bounds, with the real transitions of the domain.

mod explore;
mod rerun;
mod worker;
mod world;

use explore::Protocol;
use stateright::{Checker, HasDiscoveries, Model};
use wap::guard::Guard;
use world::Budget;

const QUIET: Budget = Budget {
    attempts: 3,
    runs: 3,
    crashes: 0,
    expiries: 0,
    losses: 0,
    duplicates: 0,
    meddles: 0,
    loads: 0,
    holds: 0,
    drops: 0,
};

#[test]
fn nothing_that_goes_wrong_breaks_a_promise() {
    let budget = Budget { attempts: 2, runs: 2, expiries: 1, ..QUIET };
    let started = std::time::Instant::now();
    let checker = Protocol::new(2, budget, &[]).checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    println!("states={} unique={} depth={} {:?}", checker.state_count(), checker.unique_state_count(), checker.max_depth(), started.elapsed());
    for (name, path) in checker.discoveries() {
        let property = checker.model().property(name);
        if property.expectation != stateright::Expectation::Sometimes {
            println!("VIOLATED {name}");
            for (state, action) in path.into_vec() {
                println!("  {:?} {:?} rec cyc{} live{:?} bld{:?}", action, state.workers.iter().map(|w| (&w.program, w.process, w.attempt)).collect::<Vec<_>>(), state.record.cycle, state.live(), state.building());
            }
        } else { println!("seen {name}"); }
    }
}
