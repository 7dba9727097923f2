//! Claims and heartbeats.

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::{ObjectStoreExt, Precondition};
use wap::guard::{Guard, stands};
use wap::{Attempt, AttemptId, Claim, EndReason, Ended, may_be_taken_over};

use crate::{Error, Holder, State, kept};

/// How often a caller looks whether the step it waits for is done.
const POLL: Duration = Duration::from_millis(50);

/// What the heartbeat object holds.
#[derive(Debug, Serialize, serde::Deserialize)]
struct Lease {
    holder: String,
}

/// Whether somebody is at work on an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Liveness {
    /// The last heartbeat is younger than the lease.
    Alive { holder: String, heartbeat: Duration },
    /// The lease has run out, or the process is known to be dead.
    Gone { holder: String, heartbeat: Option<Duration> },
}

impl Liveness {
    /// How old the last heartbeat is, if there is one.
    pub fn heartbeat(&self) -> Option<Duration> {
        match self {
            Self::Alive { heartbeat, .. } => Some(*heartbeat),
            Self::Gone { heartbeat, .. } => *heartbeat,
        }
    }
}

impl State {
    /// Writes the heartbeat of an attempt.
    pub async fn beat(&self, id: &AttemptId) -> Result<(), Error> {
        let lease = Lease { holder: self.holder.to_string() };
        self.store.put_json_volatile(&Attempt::lease_key(id), &lease, Precondition::None).await?;
        Ok(())
    }

    /// Gives up the heartbeat: whoever comes next need not wait for it to run out.
    pub async fn release_lease(&self, id: &AttemptId) -> Result<(), Error> {
        match self.store.delete(&Attempt::lease_key(id), Precondition::None).await {
            Ok(()) | Err(store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether somebody is at work on an attempt, by the store's own clock.
    pub async fn liveness(&self, id: &AttemptId) -> Result<Liveness, Error> {
        let key = Attempt::lease_key(id);
        let head = match self.store.head(&key).await {
            Ok(head) => head,
            Err(store::Error::NotFound { .. }) => {
                return Ok(Liveness::Gone { holder: "nobody".to_owned(), heartbeat: None });
            }
            Err(error) => return Err(error.into()),
        };
        let holder = self.store.get_json::<Lease>(&key).await?.map_or_else(String::new, |(lease, _)| lease.holder);
        let is_young = head.age < self.lease && stands(Guard::StoreClock);
        Ok(if is_young && !Holder::is_dead(&holder) {
            Liveness::Alive { holder, heartbeat: head.age }
        } else {
            Liveness::Gone { holder, heartbeat: Some(head.age) }
        })
    }

    /// What to tell who has lost an attempt.
    pub async fn over(&self, id: &AttemptId) -> Error {
        match self.attempt(id).await {
            Ok(Attempt { ended: Some(ended), .. }) => Error::Over { id: id.clone(), ended },
            Ok(_) => Error::Invalid { what: format!("the claim on attempt {id} was lost; begin a new attempt") },
            Err(error) => error,
        }
    }

    /// Ends an attempt whose holder is gone. A claim is never taken over: a holder that only slept may still be writing,
    /// and it shall write where nobody looks.
    pub async fn expire(&self, id: &AttemptId, holder: &str, heartbeat: Option<Duration>) -> Result<Ended, Error> {
        let seconds = heartbeat.map_or(0, |age| age.as_secs());
        let detail = format!("its holder {holder} gave no sign of life for {seconds} s");
        self.end_attempt(id, EndReason::Expired, &detail).await?;
        let attempt = self.attempt(id).await?;
        attempt.ended.ok_or_else(|| Error::Invalid { what: format!("attempt {id} could not be ended; try again") })
    }
}

/// What a step answered, if it is done.
pub(crate) async fn outcome<T: DeserializeOwned>(
    state: &State,
    id: &AttemptId,
    name: &str,
) -> Result<Option<T>, Error> {
    let mut attempt = state.attempt(id).await?;
    match (attempt.steps.remove(name).and_then(|step| step.outcome), attempt.ended) {
        (Some(outcome), _) => Ok(Some(serde_json::from_value(outcome)?)),
        (None, Some(ended)) => Err(Error::Over { id: id.clone(), ended }),
        (None, None) => Ok(None),
    }
}

pub(crate) async fn run<T, E, F>(state: &State, id: &AttemptId, name: &str, work: F) -> Result<T, E>
where
    T: Serialize + DeserializeOwned,
    E: From<Error>,
    F: Future<Output = Result<T, E>>,
{
    if let Some(done) = claim(state, id, name).await? {
        return Ok(serde_json::from_value(done).map_err(Error::from)?);
    }
    let outcome = tokio::select! {
        biased;
        outcome = work => outcome,
        lost = keep_alive(state, id) => Err(lost.into()),
    };
    match outcome {
        Ok(outcome) => {
            let recorded = serde_json::to_value(&outcome).map_err(Error::from)?;
            let finish =
                |attempt: &Attempt| attempt.finish(name, state.holder.as_str(), recorded.clone(), Timestamp::now());
            match state.note_attempt(id, finish).await? {
                Some(_) => Ok(outcome),
                None => Err(state.over(id).await.into()),
            }
        }
        Err(error) => {
            // The claim is given back so that the step can be tried again; the error is what the caller needs to see.
            let give_back = |attempt: &Attempt| attempt.give_back(name, state.holder.as_str());
            if let Err(second) = state.note_attempt(id, give_back).await {
                tracing::warn!(attempt = %id, step = name, error = %second, "the claim could not be given back");
            }
            Err(error)
        }
    }
}

/// Claims the step, or returns what it answered before.
async fn claim(state: &State, id: &AttemptId, name: &str) -> Result<Option<serde_json::Value>, Error> {
    let key = Attempt::key(id);
    loop {
        let (attempt, precondition) = state.attempt_at(id).await?;
        match attempt.claim(name, state.holder.as_str(), Timestamp::now()) {
            Claim::Done(outcome) => return Ok(Some(outcome)),
            Claim::Over(ended) => return Err(Error::Over { id: id.clone(), ended }),
            Claim::Take(next) => {
                // The heartbeat comes first: a claim without one would look expired.
                state.beat(id).await?;
                let precondition = kept(Guard::AttemptCompareAndSet, precondition);
                match state.store.put_json_volatile(&key, &*next, precondition).await {
                    Ok(_) => {
                        // Asked for by its attempt, a step is a run's and a cycle's too.
                        let span = tracing::Span::current();
                        span.record("run", next.run.as_str()).record("cycle", next.slot.cycle.cast_signed());
                        return Ok(None);
                    }
                    Err(store::Error::Conflict { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Claim::Wait { step, holder } => match state.liveness(id).await? {
                Liveness::Alive { .. } => tokio::time::sleep(POLL).await,
                Liveness::Gone { .. } if may_be_taken_over(&step) || !stands(Guard::ClaimNotTaken) => {
                    state.note_attempt(id, |attempt| attempt.give_back(&step, &holder)).await?;
                }
                Liveness::Gone { holder, heartbeat } => {
                    let ended = state.expire(id, &holder, heartbeat).await?;
                    return Err(Error::Over { id: id.clone(), ended });
                }
            },
        }
    }
}

/// Beats until the attempt is over; returns only then.
async fn keep_alive(state: &State, id: &AttemptId) -> Error {
    let interval = state.lease / 4;
    loop {
        tokio::time::sleep(interval).await;
        match state.attempt(id).await {
            Ok(Attempt { ended: Some(ended), .. }) => return Error::Over { id: id.clone(), ended },
            Ok(_) => {}
            // A store that is away for a while is no reason to stop; the lease may run out, which is safe.
            Err(error) => tracing::warn!(attempt = %id, %error, "the attempt could not be read"),
        }
        if let Err(error) = state.beat(id).await {
            tracing::warn!(attempt = %id, %error, "the heartbeat could not be written");
        }
    }
}
