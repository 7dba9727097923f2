//! The protocol, explored: every order of the calls of several workers, of crashes, lost answers, late writes, repeated
//! requests and expired claims, within bounds, with the real transitions of the domain.

mod explore;
mod power;
mod rerun;
mod worker;
mod world;

use std::time::Instant;

use explore::Protocol;
use stateright::{Checker, Expectation, HasDiscoveries, Model};
use wap::guard::Guard;
use world::Budget;

/// Two runs, and nothing goes wrong.
pub(crate) const QUIET: Budget = Budget {
    attempts: 2,
    runs: 2,
    crashes: 0,
    expiries: 0,
    losses: 0,
    duplicates: 0,
    meddles: 0,
    loads: 0,
    holds: 0,
    drops: 0,
};

/// What an exploration found.
#[derive(Debug)]
pub(crate) struct Explored {
    pub states: usize,
    pub unique: usize,
    pub violations: Vec<&'static str>,
    pub seen: Vec<&'static str>,
    /// The shortest way to a violation, a line a step.
    pub path: String,
}

/// Explores every state that the budget allows, or until a violation is found.
pub(crate) fn explore(workers: usize, budget: Budget, removed: &[Guard]) -> Explored {
    let checker = Protocol::new(workers, budget, removed).checker();
    let checker = checker.threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let mut explored = Explored {
        states: checker.state_count(),
        unique: checker.unique_state_count(),
        violations: Vec::new(),
        seen: Vec::new(),
        path: String::new(),
    };
    for (name, path) in checker.discoveries() {
        if checker.model().property(name).expectation == Expectation::Sometimes {
            explored.seen.push(name);
            continue;
        }
        explored.violations.push(name);
        for (state, action) in path.into_vec() {
            explored.path += &format!("{action:?} <- {:?} views {:?}\n", state.workers, state.views);
        }
    }
    explored
}

fn report(name: &str, workers: usize, budget: Budget) -> Explored {
    let started = Instant::now();
    let explored = explore(workers, budget, &[]);
    println!(
        "model: {name} workers={workers} partitions=2 attempts={} runs={} states={} unique={} violations={} seconds={}",
        budget.attempts,
        budget.runs,
        explored.states,
        explored.unique,
        explored.violations.len(),
        started.elapsed().as_secs(),
    );
    assert!(explored.violations.is_empty(), "{:?}\n{}", explored.violations, explored.path);
    explored
}

#[test]
fn trial() {
    let which = std::env::var("WHICH").unwrap_or_default();
    let b = |s: &str| which.contains(s);
    let n = |s: char| which.split(s).nth(1).and_then(|t| t.chars().next()).and_then(|c| c.to_digit(10)).map(|d| d as u8);
    let budget = Budget {
        attempts: n('a').unwrap_or(2),
        runs: n('r').unwrap_or(2),
        crashes: n('c').unwrap_or(0),
        expiries: n('e').unwrap_or(0),
        losses: n('l').unwrap_or(0),
        duplicates: n('d').unwrap_or(0),
        meddles: n('m').unwrap_or(0),
        loads: n('o').unwrap_or(0),
        holds: n('h').unwrap_or(0),
        drops: 0,
    };
    let workers = n('w').unwrap_or(2) as usize;
    let _ = b;
    let explored = report("trial", workers, budget);
    println!("{:?}", explored.seen);
}
