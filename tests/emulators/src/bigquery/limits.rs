//! Limits of rates and numbers.
//!
//! Every row: <https://docs.cloud.google.com/bigquery/quotas>

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::ledger::Modifications;
use super::name::Table;
use crate::refusal::Refusal;

const WINDOW: Duration = Duration::from_secs(10);
const DATASET_UPDATES: usize = 5;
const TABLE_UPDATES: usize = 5;
const PARTITIONED_TABLE_UPDATES: usize = 50;
/// Loads, copies and results written into one table; DML does not count.
pub(crate) const MODIFICATIONS_A_DAY: u32 = 1_500;
pub(crate) const PARTITIONS_A_JOB: u64 = 4_000;
pub(crate) const SOURCES_A_JOB: usize = 10_000;
/// How many clones may follow each other. <https://docs.cloud.google.com/bigquery/quotas#table_clones>
pub(crate) const CLONE_DEPTH: u32 = 3;

/// Counts updates within sliding windows.
#[derive(Debug)]
pub(crate) struct Rates {
    enforced: bool,
    updates: HashMap<String, VecDeque<Instant>>,
}

impl Rates {
    pub(crate) fn new(enforced: bool) -> Self {
        Self { enforced, updates: HashMap::new() }
    }

    pub(crate) fn dataset(&mut self, project: &str, dataset: &str) -> Result<(), Refusal> {
        let key = format!("{project}:{dataset}");
        self.admit(&key, DATASET_UPDATES, Instant::now())
            .then_some(())
            .ok_or_else(|| too_fast("dataset metadata", "dataset", &key))
    }

    pub(crate) fn table(&mut self, table: &Table, is_partitioned: bool) -> Result<(), Refusal> {
        let most = if is_partitioned { PARTITIONED_TABLE_UPDATES } else { TABLE_UPDATES };
        self.admit(&table.to_string(), most, Instant::now())
            .then_some(())
            .ok_or_else(|| too_fast("table", "table", &table.to_string()))
    }

    fn admit(&mut self, key: &str, most: usize, now: Instant) -> bool {
        let updates = self.updates.entry(key.to_owned()).or_default();
        while updates.front().is_some_and(|at| now.duration_since(*at) >= WINDOW) {
            updates.pop_front();
        }
        if self.enforced && updates.len() >= most {
            return false;
        }
        updates.push_back(now);
        true
    }
}

fn too_fast(what: &str, kind: &str, name: &str) -> Refusal {
    let message = format!("Exceeded rate limits: too many {what} update operations for this {kind} {name}");
    Refusal::new("rateLimitExceeded", message)
}

/// Counts one modification of today.
pub(crate) fn modify(modifications: &mut Modifications, now: Timestamp) -> Result<(), Refusal> {
    let day = now.strftime("%Y-%m-%d").to_string();
    if modifications.day != day {
        *modifications = Modifications { day, count: 0 };
    }
    if modifications.count >= MODIFICATIONS_A_DAY {
        let message = "Quota exceeded: Your table exceeded quota for imports or query appends per table";
        return Err(Refusal::new("quotaExceeded", message));
    }
    modifications.count += 1;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixth_update_within_ten_seconds_is_refused() {
        let mut rates = Rates::new(true);
        let start = Instant::now();
        for second in 0..5 {
            assert!(rates.admit("d", 5, start + Duration::from_secs(second)));
        }
        assert!(!rates.admit("d", 5, start + Duration::from_millis(9_999)));
        assert!(rates.admit("e", 5, start + Duration::from_millis(9_999)));
        assert!(rates.admit("d", 5, start + Duration::from_secs(10)));
    }

    #[test]
    fn rates_can_be_switched_off() {
        let mut rates = Rates::new(false);
        assert!((0..100).all(|_| rates.dataset("p", "d").is_ok()));
    }

    #[test]
    fn the_day_has_1500_modifications() {
        let mut modifications = Modifications::default();
        let today: Timestamp = "2025-08-01T23:59:59Z".parse().unwrap();
        for _ in 0..MODIFICATIONS_A_DAY {
            modify(&mut modifications, today).unwrap();
        }
        assert_eq!(modify(&mut modifications, today).unwrap_err().reason, "quotaExceeded");
        let tomorrow: Timestamp = "2025-08-02T00:00:00Z".parse().unwrap();
        assert_eq!(modify(&mut modifications, tomorrow), Ok(()));
    }
}
