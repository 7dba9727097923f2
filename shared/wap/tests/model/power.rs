//! Each guard of the protocol that the model knows is needed: without it, some promise is broken.

use wap::guard::Guard;

use crate::world::Budget;
use crate::{QUIET, explore};

/// Bad content of the second partition comes, and is corrected.
const LOADS: Budget = Budget { loads: 2, ..QUIET };
const EXPIRY: Budget = Budget { expiries: 1, ..QUIET };

fn is_caught(guard: Guard, workers: usize, budget: Budget) {
    let explored = explore(workers, budget, &[guard]);
    println!("guard: {guard}: without it: {:?} (after {} states)", explored.violations, explored.unique);
    assert!(!explored.violations.is_empty(), "nothing noticed that this is missing: {guard}: {}", guard.sentence());
    #[expect(clippy::disallowed_methods, reason = "a test has no configuration")]
    if let Some(folder) = std::env::var_os("BGP_REPORT") {
        let file = std::path::Path::new(&folder).join(format!("power-model-{guard:?}.json"));
        std::fs::write(file, format!("{}\n", serde_json::json!({"caught": [guard.name()]}))).unwrap();
    }
}

macro_rules! caught {
    ($($test:ident $guard:ident $workers:literal $budget:expr;)*) => {
        $(
            #[test]
            fn $test() {
                is_caught(Guard::$guard, $workers, $budget);
            }
        )*
    };
}

caught! {
    the_attempt_claim AttemptClaim 2 EXPIRY;
    compare_and_set_on_the_record RecordCompareAndSet 2 EXPIRY;
    compare_and_set_on_the_attempt AttemptCompareAndSet 2 Budget { duplicates: 1, ..QUIET };
    the_record_as_planned PlannedRecord 2 QUIET;
    recovery_first RecoveryFirst 1 QUIET;
    the_end_of_the_old_attempt OldAttemptEnds 2 QUIET;
    inputs_still_wanted StillWanted 1 LOADS;
    the_same_work SameWork 1 Budget { crashes: 1, expiries: 1, ..LOADS };
    the_step_claim StepClaim 2 Budget { duplicates: 1, ..QUIET };
    a_claim_is_never_taken_over ClaimNotTaken 2 Budget { expiries: 2, ..QUIET };
    expiry_by_the_stores_clock StoreClock 2 QUIET;
    names_are_used_once NamesOnce 1 Budget { crashes: 1, expiries: 1, ..QUIET };
    the_pin Pin 1 LOADS;
    held_partitions Held 1 Budget { loads: 1, holds: 1, ..QUIET };
    remembered_refusals Refusals 1 Budget { loads: 1, ..QUIET };
    the_seal Seal 1 Budget { losses: 1, ..QUIET };
    the_fingerprint_before_the_tests FingerprintBeforeTests 1 Budget { meddles: 1, ..QUIET };
    the_verdict Verdict 1 Budget { loads: 1, ..QUIET };
    the_fingerprint_at_publish FingerprintAtPublish 1 Budget { meddles: 1, ..QUIET };
    the_view_list ViewList 1 Budget { drops: 1, ..LOADS };
    the_record_before_the_views RecordBeforeViews 1 QUIET;
    the_record_read_again RecordReread 2 LOADS;
    if_match_on_views ViewMatch 2 LOADS;
}
