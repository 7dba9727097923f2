//! The protocol, explored: every order of the calls of several workers, of crashes, lost answers, late writes, repeated
//! requests and expired claims, within bounds, with the real transitions of the domain.
//!
//! `BGP_TEST_FULL=1` explores the larger bounds; `BGP_REPORT` names a folder for what was found, as JSON.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod begin;
mod domain;
mod explore;
mod power;
mod rerun;
mod steps;
mod views;
mod worker;
mod world;
mod writes;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use explore::Protocol;
use serde_json::json;
use stateright::{Checker, Expectation, HasDiscoveries, Model};
use wap::guard::Guard;
use world::{Budget, PARTITIONS};

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

/// The bad content of the second partition comes, is held, is corrected: cycles follow each other.
const CYCLES: Budget = Budget { attempts: 3, runs: 3, loads: 2, holds: 1, ..QUIET };

/// What is explored in every test run.
const BOUNDED: &[(usize, Budget)] = &[
    (2, Budget { loads: 1, ..QUIET }),
    (2, Budget { expiries: 1, ..QUIET }),
    (2, Budget { duplicates: 1, ..QUIET }),
    (2, Budget { losses: 1, ..QUIET }),
    (1, Budget { crashes: 1, expiries: 1, losses: 1, meddles: 1, ..QUIET }),
    (1, Budget { crashes: 1, expiries: 1, ..CYCLES }),
];

/// What is explored when there is time.
const FULL: &[(usize, Budget)] = &[
    (3, Budget { runs: 3, ..QUIET }),
    (2, CYCLES),
    (2, Budget { duplicates: 1, expiries: 1, ..QUIET }),
    (2, Budget { losses: 1, expiries: 1, ..QUIET }),
    (2, Budget { crashes: 1, meddles: 1, expiries: 1, ..QUIET }),
    (3, Budget { runs: 3, loads: 1, ..QUIET }),
    (3, Budget { duplicates: 1, ..QUIET }),
];

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
        explored.path += &format!("\n{name}\n");
        for (state, action) in path.into_vec() {
            explored.path += &format!("{action:?} <- {:?} views {:?}\n", state.workers, state.views);
        }
    }
    explored
}

#[test]
fn whatever_goes_wrong_no_promise_is_broken() {
    #[expect(clippy::disallowed_methods, reason = "a test has no configuration")]
    let (is_full, report) = (std::env::var_os("BGP_TEST_FULL"), std::env::var_os("BGP_REPORT"));
    let mut seen = BTreeSet::new();
    let mut bounds = Vec::new();
    let (mut states, mut violations) = (0, 0);
    for (workers, budget) in if is_full.is_some() { FULL } else { BOUNDED } {
        let started = Instant::now();
        let explored = explore(*workers, *budget, &[]);
        println!(
            "model: workers={workers} partitions={PARTITIONS} {budget} states={} unique={} violations={} seconds={}",
            explored.states,
            explored.unique,
            explored.violations.len(),
            started.elapsed().as_secs(),
        );
        println!("{}", explored.path);
        states += explored.unique;
        violations += explored.violations.len();
        bounds.push(json!({
            "workers": workers,
            "partitions": PARTITIONS,
            "bounds": budget.to_string(),
            "states": explored.unique,
            "violations": explored.violations,
        }));
        seen.extend(explored.seen);
    }
    if let Some(folder) = report {
        let found = json!({"model_states": states, "model_violations": violations, "explorations": bounds});
        std::fs::write(Path::new(&folder).join("model.json"), format!("{found:#}\n")).unwrap();
    }
    assert_eq!(violations, 0);
    let wanted = [
        "published",
        "published twice",
        "refused",
        "overtaken",
        "expired",
        "resumed",
        "gone on with",
        "mixed views seen",
    ];
    assert_eq!(seen, BTreeSet::from(wanted), "a model in which these never happen shows nothing");
}
