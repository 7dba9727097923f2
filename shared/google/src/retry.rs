//! Retries of calls to Google: what is worth a repeat, when, how often, and how to repeat what may have happened.
//!
//! A call can fail in three ways ([`Failure`]). The third one is the reason for this module: a connection that broke, or
//! a gateway that gave up, says nothing about whether the call took effect. Repeating it blindly does it twice; so
//! [`retry_checked`] looks first.

use std::error::Error;
use std::future::{Future, ready};
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use tokio::time::{Instant, sleep};
use tracing::field::Empty;
use tracing::{Instrument, info_span};

/// What a failed call means for the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// It changed nothing, and can't succeed as it is.
    Final,
    /// It changed nothing, and the same call may succeed later.
    Refused {
        /// The least time to wait, if the service said one.
        retry_after: Option<Duration>,
    },
    /// Nobody here knows whether it took effect.
    Unknown {
        /// The least time to wait, if the service said one.
        retry_after: Option<Duration>,
    },
}

impl Failure {
    /// A connection that could not be made: nothing was sent.
    pub const NOT_CONNECTED: Self = Self::Refused { retry_after: None };
    /// A connection that broke, or an answer that did not come in time, after the request was sent.
    pub const NO_ANSWER: Self = Self::Unknown { retry_after: None };

    /// What an answer means, by its HTTP status and by the `reason` of its first error, if the body has one.
    ///
    /// Sources: <https://cloud.google.com/bigquery/docs/error-messages> (reasons; they say more than the status, which is
    /// 403 for a rate limit and 400 for a job that failed inside), <https://cloud.google.com/storage/docs/retry-strategy>
    /// (408, 429 and 5xx). The repeat of a `job...` reason needs a new job id: the job is there, and has failed.
    #[must_use]
    pub fn of_answer(status: u16, reason: Option<&str>, retry_after: Option<Duration>) -> Self {
        match (reason, status) {
            (Some("rateLimitExceeded" | "jobRateLimitExceeded" | "jobBackendError" | "jobInternalError"), _)
            | (_, 429) => Self::Refused { retry_after },
            (Some("backendError" | "internalError"), _) | (_, 408 | 500 | 502 | 503 | 504) => {
                Self::Unknown { retry_after }
            }
            _ => Self::Final,
        }
    }

    fn least_pause(self) -> Duration {
        match self {
            Self::Final => Duration::ZERO,
            Self::Refused { retry_after } | Self::Unknown { retry_after } => retry_after.unwrap_or_default(),
        }
    }
}

/// An error that knows what it means for the next call.
pub trait Classify: Error {
    /// Whether the call may be repeated, and whether it may have taken effect.
    fn failure(&self) -> Failure;
}

/// How long and how often a call is tried.
///
/// The numbers are in one place, [`Budget::STANDARD`], also for the clients that repeat by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// The longest pause after the first try. It doubles with each further one.
    pub first_pause: Duration,
    /// No pause is longer, unless the service asked for it.
    pub longest_pause: Duration,
    /// How often a call is made, the first time included.
    pub attempts: u32,
    /// No try starts later than this after the first one did.
    pub total: Duration,
}

impl Budget {
    /// What Google advises (<https://cloud.google.com/storage/docs/retry-strategy>), with a shorter first pause, and an
    /// end before the 300 s after which Cloud Run answers for a function.
    pub const STANDARD: Self = Self {
        first_pause: Duration::from_millis(500),
        longest_pause: Duration::from_secs(32),
        attempts: 8,
        total: Duration::from_secs(150),
    };

    /// The longest pause after try `attempt` (from 1) if the service asks for none.
    fn ceiling(&self, attempt: u32) -> Duration {
        let doublings = 2_u32.saturating_pow(attempt.saturating_sub(1));
        self.first_pause.saturating_mul(doublings).min(self.longest_pause)
    }

    /// *Full jitter*: any pause up to the ceiling is as likely, so that workers which failed together do not come back
    /// together.
    pub(crate) fn jittered(&self, attempt: u32) -> Duration {
        self.ceiling(attempt).mul_f64(fastrand::f64())
    }

    /// The pause before the next try, or `None` if there is to be none.
    fn pause(&self, attempt: u32, elapsed: Duration, failure: Failure) -> Option<Duration> {
        if failure == Failure::Final || attempt >= self.attempts {
            return None;
        }
        let pause = failure.least_pause().saturating_add(self.jittered(attempt));
        (elapsed.saturating_add(pause) <= self.total).then_some(pause)
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::STANDARD
    }
}

/// Repeats a call that may be made any number of times: a read, or a write that gives the same whenever it is made.
///
/// `name` is for the log and the call's span, all its tries in one; it names the call and holds nothing secret. Errors are not
/// logged, they may hold addresses that are as good as a key.
pub async fn retry<T, E, Call>(budget: &Budget, name: &str, call: impl FnMut() -> Call) -> Result<T, E>
where
    E: Classify,
    Call: Future<Output = Result<T, E>>,
{
    retry_checked(budget, name, call, || ready(Ok(None))).await
}

/// Repeats a call that must not take effect twice. After an unknown outcome `look` says what is there: `Some` if the call
/// took effect (then that is the result), `None` if not. The call is not repeated before that is known.
///
/// A call can also land after it was looked for, and then its own repeat fails for good ("exists already"). So that is
/// looked into as well. If the last word is that nobody knows, the error of the unknown outcome is returned.
pub async fn retry_checked<T, E, Call, Look>(
    budget: &Budget,
    name: &str,
    mut call: impl FnMut() -> Call,
    mut look: impl FnMut() -> Look,
) -> Result<T, E>
where
    E: Classify,
    Call: Future<Output = Result<T, E>>,
    Look: Future<Output = Result<Option<T>, E>>,
{
    let span = info_span!(target: "trace", "call", otel.name = name, otel.kind = "client", otel.status_code = Empty);
    let outcome = repeated(budget, name, &mut call, &mut look).instrument(span.clone()).await;
    // What changed nothing may be just what was asked: whether an object is there.
    if outcome.as_ref().is_err_and(|error| error.failure() != Failure::Final) {
        span.record("otel.status_code", "ERROR");
    }
    outcome
}

async fn repeated<T, E, Call, Look>(
    budget: &Budget,
    name: &str,
    call: &mut impl FnMut() -> Call,
    look: &mut impl FnMut() -> Look,
) -> Result<T, E>
where
    E: Classify,
    Call: Future<Output = Result<T, E>>,
    Look: Future<Output = Result<Option<T>, E>>,
{
    let mut tries = Tries { budget, name, made: 0, start: Instant::now() };
    let mut in_doubt: Option<E> = None;
    loop {
        if let Some(unknown) = in_doubt.take() {
            match look().await {
                Ok(Some(done)) => return Ok(done),
                Ok(None) => in_doubt = Some(unknown),
                Err(error) if tries.pause(error.failure()).await => {
                    in_doubt = Some(unknown);
                    continue;
                }
                Err(_) => return Err(unknown),
            }
        }
        let error = match call().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let failure = error.failure();
        let again = tries.pause(failure).await;
        let unknown = matches!(failure, Failure::Unknown { .. });
        match (again, in_doubt.take()) {
            (true, earlier) => in_doubt = if unknown { Some(error) } else { earlier },
            (false, None) if !unknown => return Err(error),
            (false, earlier) => {
                return match look().await {
                    Ok(Some(done)) => Ok(done),
                    Ok(None) => Err(error),
                    Err(_) => Err(earlier.unwrap_or(error)),
                };
            }
        }
    }
}

struct Tries<'budget> {
    budget: &'budget Budget,
    name: &'budget str,
    made: u32,
    start: Instant,
}

impl Tries<'_> {
    /// Waits until the next try is due. `false` if there is to be none.
    async fn pause(&mut self, failure: Failure) -> bool {
        self.made += 1;
        let Some(pause) = self.budget.pause(self.made, self.start.elapsed(), failure) else {
            return false;
        };
        tracing::warn!(call = self.name, tries = self.made, ?failure, ?pause, "a call failed and is repeated");
        sleep(pause).await;
        true
    }
}

/// The time that an answer asks to wait, from its headers `Retry-After` (seconds or a date, RFC 9110 §10.2.3) and
/// `Date`. A date is measured against the service's own clock; without one it says nothing.
#[must_use]
pub fn retry_after(retry_after: Option<&str>, date: Option<&str>) -> Option<Duration> {
    let value = retry_after?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let wait = moment(value)?.duration_since(moment(date?.trim())?);
    Some(Duration::try_from(wait).unwrap_or_default())
}

fn moment(value: &str) -> Option<Timestamp> {
    rfc2822::parse(value).ok().map(|moment| moment.timestamp())
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
    #[error("{0:?}")]
    struct Failed(Failure);

    impl Classify for Failed {
        fn failure(&self) -> Failure {
            self.0
        }
    }

    const FINAL: Failed = Failed(Failure::Final);
    const REFUSED: Failed = Failed(Failure::NOT_CONNECTED);
    const UNKNOWN: Failed = Failed(Failure::NO_ANSWER);

    /// Plays two scripts, of the call and of the look, and tells the order in which they were asked.
    async fn play(
        calls: &[Result<&'static str, Failed>],
        looks: &[Result<Option<&'static str>, Failed>],
    ) -> (Result<&'static str, Failed>, String) {
        let order = RefCell::new(String::new());
        let (calls, looks) =
            (RefCell::new(VecDeque::from(calls.to_vec())), RefCell::new(VecDeque::from(looks.to_vec())));
        let result = retry_checked(
            &Budget::STANDARD,
            "test",
            || {
                order.borrow_mut().push('c');
                ready(calls.borrow_mut().pop_front().expect("a further call"))
            },
            || {
                order.borrow_mut().push('l');
                ready(looks.borrow_mut().pop_front().expect("a further look"))
            },
        )
        .await;
        assert!(calls.borrow().is_empty() && looks.borrow().is_empty(), "the script was not played to its end");
        (result, order.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn refused_calls_are_repeated_without_a_look() {
        assert_eq!(play(&[Err(REFUSED), Err(REFUSED), Ok("done")], &[]).await, (Ok("done"), "ccc".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn final_failures_are_not_repeated() {
        assert_eq!(play(&[Err(FINAL)], &[]).await, (Err(FINAL), "c".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_unknown_outcome_is_looked_at_before_a_repeat() {
        let played = play(&[Err(UNKNOWN), Ok("second")], &[Ok(None)]).await;
        assert_eq!(played, (Ok("second"), "clc".to_owned()));
        let played = play(&[Err(UNKNOWN)], &[Ok(Some("first"))]).await;
        assert_eq!(played, (Ok("first"), "cl".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_fails_is_repeated_and_the_call_is_not() {
        let played = play(&[Err(UNKNOWN)], &[Err(REFUSED), Err(UNKNOWN), Ok(Some("first"))]).await;
        assert_eq!(played, (Ok("first"), "clll".to_owned()));
        let played = play(&[Err(UNKNOWN)], &[Err(FINAL)]).await;
        assert_eq!(played, (Err(UNKNOWN), "cl".to_owned()), "nobody knows, so nobody says that it failed");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_landed_late_is_found_when_its_repeat_fails() {
        let played = play(&[Err(UNKNOWN), Err(FINAL)], &[Ok(None), Ok(Some("first"))]).await;
        assert_eq!(played, (Ok("first"), "clcl".to_owned()));
        let played = play(&[Err(UNKNOWN), Err(FINAL)], &[Ok(None), Ok(None)]).await;
        assert_eq!(played, (Err(FINAL), "clcl".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn doubt_outlasts_a_refusal() {
        let played = play(&[Err(UNKNOWN), Err(REFUSED)], &[Ok(None), Ok(Some("first"))]).await;
        assert_eq!(played, (Ok("first"), "clcl".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_tries_is_bounded() {
        let made = Cell::new(0);
        let result: Result<(), _> = retry(&Budget::STANDARD, "test", || {
            made.set(made.get() + 1);
            ready(Err(REFUSED))
        })
        .await;
        assert_eq!((result, made.get()), (Err(REFUSED), Budget::STANDARD.attempts));
    }

    #[tokio::test(start_paused = true)]
    async fn the_total_time_is_bounded() {
        let start = Instant::now();
        let budget = Budget { attempts: u32::MAX, ..Budget::STANDARD };
        let result: Result<(), _> = retry(&budget, "test", || ready(Err(UNKNOWN))).await;
        assert_eq!(result, Err(UNKNOWN));
        assert!(start.elapsed() <= budget.total);
        let unaffordable = Failed(Failure::Refused { retry_after: Some(Duration::from_secs(1000)) });
        let start = Instant::now();
        let result: Result<(), _> = retry(&budget, "test", || ready(Err(unaffordable))).await;
        assert_eq!((result, start.elapsed()), (Err(unaffordable), Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_service_asks_for_is_waited() {
        let start = Instant::now();
        let asked = Failed(Failure::Refused { retry_after: Some(Duration::from_secs(40)) });
        let (result, _) = play(&[Err(asked), Ok("done")], &[]).await;
        assert_eq!(result, Ok("done"));
        assert!(start.elapsed() >= Duration::from_secs(40));
    }

    #[test]
    fn answers_are_classified_as_documented() {
        let refused = Failure::Refused { retry_after: None };
        let unknown = Failure::Unknown { retry_after: None };
        for (status, reason, expected) in [
            (400, Some("invalidQuery"), Failure::Final),
            (400, Some("jobBackendError"), refused),
            (400, Some("jobRateLimitExceeded"), refused),
            (403, Some("quotaExceeded"), Failure::Final),
            (403, Some("rateLimitExceeded"), refused),
            (404, None, Failure::Final),
            (408, None, unknown),
            (412, Some("conditionNotMet"), Failure::Final),
            (429, None, refused),
            (500, Some("backendError"), unknown),
            (500, Some("internalError"), unknown),
            (501, None, Failure::Final),
            (502, None, unknown),
            (503, Some("somethingNew"), unknown),
            (504, None, unknown),
        ] {
            assert_eq!(Failure::of_answer(status, reason, None), expected, "{status} {reason:?}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let date = Some("Fri, 01 Aug 2025 08:49:37 GMT");
        assert_eq!(retry_after(Some("7"), None), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(Some("Fri, 01 Aug 2025 08:50:07 GMT"), date), Some(Duration::from_secs(30)));
        assert_eq!(retry_after(Some("Fri, 01 Aug 2025 08:49:07 GMT"), date), Some(Duration::ZERO));
        assert_eq!(retry_after(Some("Fri, 01 Aug 2025 08:50:07 GMT"), None), None);
        assert_eq!(retry_after(Some("soon"), date), None);
        assert_eq!(retry_after(None, date), None);
    }

    proptest! {
        #[test]
        fn pauses_stay_below_their_ceiling(attempt in 1_u32..200, asked in 0_u64..60) {
            let budget = Budget { attempts: u32::MAX, total: Duration::MAX, ..Budget::STANDARD };
            let asked = Duration::from_secs(asked);
            let failure = Failure::Refused { retry_after: Some(asked) };
            let pause = budget.pause(attempt, Duration::ZERO, failure).unwrap();
            prop_assert!(pause >= asked && pause <= asked + budget.ceiling(attempt));
            prop_assert!(budget.ceiling(attempt) <= budget.longest_pause);
            prop_assert!(budget.ceiling(attempt) <= budget.ceiling(attempt + 1));
        }
    }
}
