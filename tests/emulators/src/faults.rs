//! Faults on purpose: what a client of the real cloud must live through.
//!
//! | fault | what the client sees | whether the request took effect |
//! |---|---|---|
//! | `too_many_requests` | 429 `rateLimitExceeded` | no |
//! | `internal_error` | 500 `internalError` | no |
//! | `service_unavailable` | 503 `backendError` | no |
//! | `reset_before` | its connection closed without an answer | no |
//! | `reset_after` | its connection closed without an answer | **yes** |
//! | `slow` | the right answer, late | yes |
//! | `stale_list` | an earlier answer to the same list request | - |
//!
//! Besides, a plan may hold one request, before or after it takes effect: it is never answered, so that whoever made it can
//! be killed at that moment.
//!
//! Whether and which is a pure function of the plan's seed and the ordinal of the request, so a failing run can be
//! repeated. `GET`, `PUT` and `DELETE /_faults` on either proxy do what the methods of [`Faults`] do.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    TooManyRequests,
    InternalError,
    ServiceUnavailable,
    ResetBefore,
    ResetAfter,
    Slow,
    StaleList,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::TooManyRequests,
        Self::InternalError,
        Self::ServiceUnavailable,
        Self::ResetBefore,
        Self::ResetAfter,
        Self::Slow,
        Self::StaleList,
    ];
}

/// Which faults to inject.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    pub seed: u64,
    /// The share of requests that meet a fault, from 0 to 1.
    pub rate: f64,
    /// The kinds to choose from.
    #[serde(default = "all")]
    pub kinds: Vec<Fault>,
    /// How late a slow answer is.
    #[serde(default = "slow")]
    pub slow_milliseconds: u64,
    #[serde(default)]
    pub hold: Option<Hold>,
}

/// A request that is never answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// Which one, counted from the plan on.
    pub ordinal: u64,
    /// Whether it takes effect.
    pub after: bool,
}

fn all() -> Vec<Fault> {
    Fault::ALL.to_vec()
}

fn slow() -> u64 {
    300
}

impl Plan {
    /// Every kind of fault, for this share of the requests.
    pub fn new(seed: u64, rate: f64) -> Self {
        Self { seed, rate, kinds: all(), slow_milliseconds: slow(), hold: None }
    }

    /// Only these kinds.
    #[must_use]
    pub fn only(mut self, kinds: &[Fault]) -> Self {
        self.kinds = kinds.to_vec();
        self
    }

    /// The fault of a request, if any. Only lists can be stale.
    fn at(&self, ordinal: u64, is_list: bool) -> Option<Fault> {
        let kinds: Vec<Fault> =
            self.kinds.iter().copied().filter(|kind| is_list || *kind != Fault::StaleList).collect();
        let draw = mixed(self.seed ^ mixed(ordinal));
        if kinds.is_empty() || share(draw) >= self.rate {
            return None;
        }
        let choice = mixed(draw) % kinds.len() as u64;
        kinds.get(usize::try_from(choice).ok()?).copied()
    }
}

/// What was injected so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Injected {
    pub plan: Option<Plan>,
    /// Requests since the plan was set, with and without faults.
    pub requests: u64,
    pub faults: BTreeMap<Fault, u64>,
    /// Whether the request that is to be held has come, and taken effect if it should.
    pub holds: bool,
}

/// What a request meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Fault(Fault, Duration),
    Held { after: bool },
}

/// The handle on the faults of one emulated cloud. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<Injected>>);

impl Faults {
    /// From now on injects by this plan, counting from zero.
    pub fn inject(&self, plan: Plan) {
        *self.injected() = Injected { plan: Some(plan), ..Injected::default() };
    }

    /// Injects no more. The counters stay.
    pub fn stop(&self) {
        self.injected().plan = None;
    }

    /// The plan and the counters.
    pub fn report(&self) -> Injected {
        self.injected().clone()
    }

    /// What the next request, counted, meets if not only the truth.
    pub(crate) fn next(&self, is_list: bool) -> Option<Fate> {
        let mut injected = self.injected();
        let ordinal = injected.requests;
        injected.requests += 1;
        let plan = injected.plan.as_ref()?;
        if let Some(Hold { after, .. }) = plan.hold.filter(|hold| hold.ordinal == ordinal) {
            return Some(Fate::Held { after });
        }
        let late = Duration::from_millis(plan.slow_milliseconds);
        let fault = plan.at(ordinal, is_list)?;
        *injected.faults.entry(fault).or_default() += 1;
        Some(Fate::Fault(fault, late))
    }

    /// The request that is to be held is.
    pub(crate) fn held(&self) {
        self.injected().holds = true;
    }

    fn injected(&self) -> MutexGuard<'_, Injected> {
        // The counters are whole after every statement, so a panic elsewhere does not spoil them.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The finaliser of `SplitMix64`: neighbouring numbers give unrelated ones.
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// A number from 0 up to but not including 1.
fn share(draw: u64) -> f64 {
    f64::from((draw >> 32) as u32) / 4_294_967_296.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let faults = |seed| -> Vec<_> { (0..200).map(|ordinal| Plan::new(seed, 0.2).at(ordinal, true)).collect() };
        assert_eq!(faults(7), faults(7));
        assert_ne!(faults(7), faults(8));
    }

    #[test]
    fn the_rate_is_the_share_of_requests() {
        let hit = (0..10_000).filter(|ordinal| Plan::new(1, 0.2).at(*ordinal, false).is_some()).count();
        assert!((1_900..2_100).contains(&hit), "{hit}");
    }

    #[test]
    fn every_kind_comes() {
        let seen: std::collections::BTreeSet<_> =
            (0..500).filter_map(|ordinal| Plan::new(3, 1.0).at(ordinal, true)).collect();
        assert_eq!(seen, Fault::ALL.into_iter().collect());
    }

    #[test]
    fn only_lists_are_stale() {
        let plan = Plan::new(3, 1.0).only(&[Fault::StaleList]);
        assert_eq!(plan.at(0, false), None);
        assert_eq!(plan.at(0, true), Some(Fault::StaleList));
    }

    #[test]
    fn nothing_is_injected_without_a_plan() {
        let faults = Faults::default();
        assert_eq!(faults.next(true), None);
        faults.inject(Plan::new(1, 1.0));
        assert!(faults.next(true).is_some());
        faults.stop();
        assert_eq!(faults.next(true), None);
        assert_eq!(faults.report().faults.values().sum::<u64>(), 1);
    }
}
