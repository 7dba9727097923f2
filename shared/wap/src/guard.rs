//! The protocol's guards, by name. A test build with the feature `removable-guards` can take one away and see what
//! breaks: a guard whose absence nothing notices is either not needed or not tested.

use std::fmt;

macro_rules! guards {
    ($($name:ident $text:literal $sentence:literal)*) => {
        /// What keeps readers safe. Each is checked at one place, which asks [`stands`] first.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Guard {
            $(#[doc = $sentence] $name,)*
        }

        impl Guard {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// What it is called, for people and reports.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// What it makes sure of.
            pub fn sentence(self) -> &'static str {
                match self {
                    $(Self::$name => $sentence,)*
                }
            }
        }
    };
}

guards! {
    AttemptClaim "attempt claim" "Only the attempt that the record names may commit."
    RecordCompareAndSet "compare-and-set on the record" "The record is written only if nobody has written it since it was read."
    AttemptCompareAndSet "compare-and-set on the attempt" "An attempt is written only if nobody has written it since it was read."
    PlannedRecord "record as planned" "An attempt begins only if the record is still the one that it was planned from."
    RecoveryFirst "recovery first" "What a dead publisher left is finished before another attempt begins."
    OldAttemptEnds "end of the old attempt" "What another run left is ended, or gone on with, before another attempt begins."
    StillWanted "inputs still wanted" "An attempt that was left is gone on with only if its inputs are still the ones to publish."
    SameWork "same work" "Finished layers are taken over only from an attempt at the same work."
    StepClaim "step claim" "A step is claimed before it is done, so that a slot has one writer."
    ClaimNotTaken "claim never taken over" "A claim that ran out ends the attempt; nobody else takes the step over."
    StoreClock "expiry by the store's clock" "A claim runs out only when its heartbeat is older than the lease by the store's own clock."
    NamesOnce "names used once" "Every attempt writes under names that no attempt had before."
    Pin "pin" "An attempt reads the content that was admitted when it began, whatever is loaded meanwhile."
    Admission "admission" "A new partition is admitted when all of its tables have been loaded."
    Held "held partitions" "A held partition stays as the live slot has it."
    Refusals "remembered refusals" "What an audit refused is not tried again unchanged."
    Seal "seal" "Nothing writes a slot once its audit has begun."
    FingerprintBeforeTests "fingerprint before the tests" "The slot is the same before the first test and after the last."
    Verdict "verdict" "Only a verdict without a failed rule publishes."
    FingerprintAtPublish "fingerprint at publish" "What is published is what was audited, byte for byte."
    DryRun "dry run" "Every view could be made over the slot before the record is committed."
    ViewList "view list" "A commit keeps every view that is live."
    RecordBeforeViews "record before views" "Views move only to what the record has been committed to."
    RecordReread "record read again" "The record is read again after the views' etags were, and after a view had moved meanwhile."
    ViewMatch "If-Match on views" "A view is moved only if it is as it was when that was decided."
    Digest "digest" "Content is used only if its digest is the one that its manifest says."
    FormatVersion "format version" "A document of a format that this program does not know is not half understood."
}

impl fmt::Display for Guard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Whether the guard is in place: always, unless a test took it away by `without`.
#[cfg(not(feature = "removable-guards"))]
pub const fn stands(_guard: Guard) -> bool {
    true
}

#[cfg(feature = "removable-guards")]
pub use removable::{stands, without};

#[cfg(feature = "removable-guards")]
mod removable {
    use std::cell::Cell;

    use super::Guard;

    thread_local! {
        static REMOVED: Cell<u64> = const { Cell::new(0) };
    }

    const _: () = assert!(Guard::ALL.len() <= 64, "a bit a guard");

    /// Whether the guard is in place for what this thread does.
    pub fn stands(guard: Guard) -> bool {
        REMOVED.get() & (1 << guard as u32) == 0
    }

    /// Does `work` without some guards. They are missing on this thread only, and only until `work` returns: a runtime
    /// that `work` drives must be one that stays on its thread.
    pub fn without<T>(guards: &[Guard], work: impl FnOnce() -> T) -> T {
        struct Restore(u64);
        impl Drop for Restore {
            fn drop(&mut self) {
                REMOVED.set(self.0);
            }
        }
        let before = Restore(REMOVED.get());
        REMOVED.set(guards.iter().fold(before.0, |removed, guard| removed | (1 << *guard as u32)));
        work()
    }
}

#[cfg(all(test, feature = "removable-guards"))]
mod tests {
    use super::*;

    #[test]
    fn a_guard_is_missing_only_on_this_thread_and_only_inside() {
        without(&[Guard::Verdict], || {
            assert!(!stands(Guard::Verdict));
            assert!(stands(Guard::Pin));
            without(&[Guard::Pin], || assert!(!stands(Guard::Verdict) && !stands(Guard::Pin)));
            assert!(stands(Guard::Pin));
            let elsewhere = std::thread::spawn(|| stands(Guard::Verdict)).join();
            assert!(elsewhere.is_ok_and(|stands| stands));
        });
        assert!(Guard::ALL.iter().all(|guard| stands(*guard)));
    }
}
