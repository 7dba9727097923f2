//! The store's clock, as far as its answers tell it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// A reading is followed for this long. Longer, and the drift of this machine's oscillator (some 50 parts in a million)
/// would matter; shorter, and the whole seconds of the `Date` header would.
const FOLLOWED: Duration = Duration::from_mins(1);

/// An answer that carries the time T proves that the store's clock had reached T when the answer came. From then on only
/// the *rate* of this machine's monotonic clock is used, never what it says the time is. So the time told here is never
/// ahead of the store's, and at most a second (the resolution of the `Date` header) and the way of an answer behind it:
/// an object is never taken for older than it is.
#[derive(Debug, Default)]
pub(super) struct StoreClock(Mutex<Option<Reading>>);

#[derive(Debug, Clone, Copy)]
struct Reading {
    time: Timestamp,
    at: Instant,
}

impl Reading {
    fn followed_to(self, now: Instant) -> Timestamp {
        self.time.saturating_add(now.saturating_duration_since(self.at)).unwrap_or(self.time)
    }
}

impl StoreClock {
    /// Takes note of a time that the store told just now.
    pub(super) fn observe(&self, time: Timestamp) {
        self.observe_at(time, Instant::now());
    }

    /// How long ago `moment` was.
    pub(super) fn since(&self, moment: Timestamp) -> Duration {
        self.since_at(moment, Instant::now())
    }

    fn observe_at(&self, time: Timestamp, now: Instant) {
        let mut reading = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let keep = reading.is_some_and(|last: Reading| {
            now.saturating_duration_since(last.at) < FOLLOWED && last.followed_to(now) >= time
        });
        if !keep {
            *reading = Some(Reading { time, at: now });
        }
    }

    fn since_at(&self, moment: Timestamp, now: Instant) -> Duration {
        let reading = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reading
            .and_then(|reading| Duration::try_from(reading.followed_to(now).duration_since(moment)).ok())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_754_006_400 + seconds).unwrap()
    }

    #[test]
    fn time_passes_between_answers() {
        let (clock, start) = (StoreClock::default(), Instant::now());
        clock.observe_at(seconds(0), start);
        let later = start + Duration::from_millis(300);
        assert_eq!(clock.since_at(seconds(-5), later), Duration::from_millis(5300));
        assert_eq!(clock.since_at(seconds(5), later), Duration::ZERO, "written after the last answer");
    }

    #[test]
    fn a_coarser_answer_does_not_turn_the_clock_back() {
        let (clock, start) = (StoreClock::default(), Instant::now());
        clock.observe_at(seconds(10), start);
        clock.observe_at(seconds(10), start + Duration::from_millis(900));
        assert_eq!(clock.since_at(seconds(10), start + Duration::from_millis(900)), Duration::from_millis(900));
        clock.observe_at(seconds(12), start + Duration::from_millis(950));
        assert_eq!(clock.since_at(seconds(10), start + Duration::from_millis(950)), Duration::from_secs(2));
    }

    #[test]
    fn a_clock_that_ran_ahead_is_set_back() {
        let (clock, start) = (StoreClock::default(), Instant::now());
        clock.observe_at(seconds(10), start);
        clock.observe_at(seconds(60), start + FOLLOWED);
        assert_eq!(clock.since_at(seconds(0), start + FOLLOWED), Duration::from_mins(1));
    }
}
