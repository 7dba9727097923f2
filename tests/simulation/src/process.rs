//! Processes, and what becomes of them.

use std::fmt::Debug;
use std::future::{Future, pending};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::Call;

/// What becomes of a call and of the process that makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is made and answered.
    Done,
    /// It does not arrive, and the caller is told so.
    Unavailable,
    /// It takes effect; the caller is told that it may or may not have.
    AnswerLost,
    /// The caller is told that it may or may not have taken effect; it does, so much later.
    Late(Duration),
    /// The process dies before it makes the call.
    DiesBefore,
    /// The process dies when the call has taken effect.
    DiesAfter,
    /// The process sleeps for so long and then makes the call.
    SleepsBefore(Duration),
    /// The call takes effect; the process sleeps for so long before it goes on.
    SleepsAfter(Duration),
    /// The call takes effect; the process sleeps for so long and is then told that it may or may not have.
    LostAsleep(Duration),
}

/// A call that is about to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment<'a> {
    /// The process.
    pub process: &'a str,
    /// How many calls the process has made before.
    pub number: usize,
    pub call: Call,
    /// The key, the slot, the view ...
    pub subject: &'a str,
}

/// Decides what becomes of each call.
pub trait Fates: Debug + Send + Sync {
    /// How long the call takes, and how it ends.
    fn next(&self, moment: &Moment<'_>) -> (Duration, Fate);
}

/// Everything goes well, and at once.
#[derive(Debug, Clone, Copy, Default)]
pub struct Calm;

impl Fates for Calm {
    fn next(&self, _: &Moment<'_>) -> (Duration, Fate) {
        (Duration::ZERO, Fate::Done)
    }
}

/// A process as those see it whom it calls. One that is dead makes no call any more: what it had begun stays as it was
/// for ever. One that sleeps makes its next call when it wakes up, and knows nothing of the time between.
#[derive(Debug)]
pub struct Process {
    name: String,
    fates: Mutex<Arc<dyn Fates>>,
    made: AtomicUsize,
    wakes: Mutex<Option<Instant>>,
    // Those who wait for these wake in the order in which they came. (A watch channel picks an order by chance.)
    asleep: CancellationToken,
    dead: CancellationToken,
}

impl Process {
    pub fn new(name: impl Into<String>, fates: Arc<dyn Fates>) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            fates: Mutex::new(fates),
            made: AtomicUsize::new(0),
            wakes: Mutex::new(None),
            asleep: CancellationToken::new(),
            dead: CancellationToken::new(),
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Other fates from now on.
    pub fn give(&self, fates: Arc<dyn Fates>) {
        *self.fates.lock().unwrap_or_else(PoisonError::into_inner) = fates;
    }

    /// `kill -9`.
    pub fn kill(&self) {
        self.dead.cancel();
    }

    pub fn is_dead(&self) -> bool {
        self.dead.is_cancelled()
    }

    /// Returns when it has died.
    pub async fn died(&self) {
        self.dead.cancelled().await;
    }

    /// SIGSTOP, and SIGCONT after so long.
    fn fall_asleep(&self, length: Duration) {
        let until = Instant::now() + length;
        let mut wakes = self.wakes.lock().unwrap_or_else(PoisonError::into_inner);
        *wakes = Some(wakes.map_or(until, |other| other.max(until)));
        self.asleep.cancel();
    }

    /// Returns when it has fallen asleep for the first time.
    pub async fn fell_asleep(&self) {
        self.asleep.cancelled().await;
    }

    /// Returns when the process is awake; never if it is dead.
    async fn awake(&self) {
        loop {
            if self.is_dead() {
                return pending().await;
            }
            let wakes = *self.wakes.lock().unwrap_or_else(PoisonError::into_inner);
            match wakes.filter(|wakes| *wakes > Instant::now()) {
                None => return,
                Some(wakes) => sleep_until(wakes).await,
            }
        }
    }

    fn next(&self, call: Call, subject: &str) -> (Duration, Fate) {
        let fates = self.fates.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let number = self.made.fetch_add(1, Ordering::SeqCst);
        fates.next(&Moment { process: &self.name, number, call, subject })
    }

    /// Makes a call. `lost` is the error of a call of which nobody knows whether it took effect.
    pub async fn call<T, E>(
        &self,
        call: Call,
        subject: &str,
        lost: impl FnOnce() -> E,
        work: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        self.awake().await;
        let (length, fate) = self.next(call, subject);
        if let Fate::Late(delay) = fate {
            tokio::spawn(async move {
                sleep(delay).await;
                drop(work.await);
            });
            sleep(length).await;
            self.awake().await;
            return Err(lost());
        }
        self.meet(length, fate, lost, work).await
    }

    /// Makes a call that can't take effect after its caller has gone: it is made of others, or changes nothing.
    pub async fn call_here<T, E>(
        &self,
        call: Call,
        subject: &str,
        lost: impl FnOnce() -> E,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.awake().await;
        let (length, fate) = self.next(call, subject);
        let fate = if matches!(fate, Fate::Late(_)) { Fate::Unavailable } else { fate };
        self.meet(length, fate, lost, work).await
    }

    async fn meet<T, E>(
        &self,
        length: Duration,
        fate: Fate,
        lost: impl FnOnce() -> E,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        if !length.is_zero() {
            sleep(length).await;
        }
        match fate {
            Fate::Unavailable | Fate::Late(_) => return Err(lost()),
            Fate::DiesBefore => self.kill(),
            Fate::SleepsBefore(length) => self.fall_asleep(length),
            Fate::Done | Fate::AnswerLost | Fate::DiesAfter | Fate::SleepsAfter(_) | Fate::LostAsleep(_) => {}
        }
        self.awake().await;
        let outcome = work.await;
        match fate {
            Fate::AnswerLost => {
                outcome?;
                return Err(lost());
            }
            Fate::DiesAfter => self.kill(),
            Fate::SleepsAfter(length) => self.fall_asleep(length),
            Fate::LostAsleep(length) => {
                self.fall_asleep(length);
                self.awake().await;
                outcome?;
                return Err(lost());
            }
            _ => {}
        }
        // What others did to the process meanwhile.
        self.awake().await;
        outcome
    }
}
