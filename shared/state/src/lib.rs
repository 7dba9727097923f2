//! The pipeline's state in an object store: the record, attempts with their claims and heartbeats, inputs, the ledger
//! and receipts. What may change and how is said by `wap`; here it is read, compared and set.

mod error;
mod holder;
mod step;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::{ObjectStore, ObjectStoreExt, Precondition};
use wap::guard::{Guard, stands};
use wap::{
    ATTEMPT_VERSION, Attempt, AttemptId, Deployment, Digest, EndReason, INPUTS_VERSION, Identifier, Inputs,
    LAKE_VERSION, LedgerEntry, Manifest, PartitionKey, RECEIPT_VERSION, RECORD_KEY, RECORD_VERSION, Receipt, Refused,
};

pub use error::Error;
pub use holder::Holder;
pub use step::Liveness;

/// How many documents of a kind are read at once. There is one a partition, and years have many.
pub const CONCURRENT_READS: usize = 32;

/// A compare-and-set that lost this often in a row has lost to something that is not a worker.
const COMPARE_AND_SET_TRIES: u32 = 100;

/// The state of one pipeline, as one process sees it.
#[derive(Debug, Clone)]
pub struct State {
    store: Arc<dyn ObjectStore>,
    holder: Holder,
    lease: Duration,
}

impl State {
    /// `lease`: after how long without a heartbeat a claim has expired.
    pub fn new(store: Arc<dyn ObjectStore>, lease: Duration) -> Self {
        Self::held_by(Holder::this_process(), store, lease)
    }

    /// The same for a holder that is not simply this process.
    pub fn held_by(holder: Holder, store: Arc<dyn ObjectStore>, lease: Duration) -> Self {
        Self { store, holder, lease }
    }

    /// The store underneath.
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// Who this process is to others.
    pub fn holder(&self) -> &Holder {
        &self.holder
    }

    /// After how long without a heartbeat a claim has expired.
    pub fn lease(&self) -> Duration {
        self.lease
    }

    /// The record as it is now.
    pub async fn record(&self) -> Result<Deployment, Error> {
        Ok(self.record_at().await?.0)
    }

    async fn record_at(&self) -> Result<(Deployment, Precondition), Error> {
        match self.store.get_json::<Deployment>(RECORD_KEY).await? {
            None => Ok((Deployment::default(), Precondition::Absent)),
            Some((record, generation)) => {
                check_read(RECORD_KEY, record.version, RECORD_VERSION)?;
                // Version 1 lacks what has a default.
                let record = Deployment { version: RECORD_VERSION, ..record };
                Ok((record, Precondition::Generation(generation)))
            }
        }
    }

    /// Changes the record by `transition`, which is asked again whenever somebody else was faster. A transition that
    /// changes nothing writes nothing.
    pub async fn update_record(
        &self,
        transition: impl Fn(Deployment) -> Result<Deployment, Refused>,
    ) -> Result<Deployment, Error> {
        for _ in 0..COMPARE_AND_SET_TRIES {
            let (record, precondition) = self.record_at().await?;
            let next = transition(record.clone())?;
            if next == record {
                return Ok(next);
            }
            let precondition = kept(Guard::RecordCompareAndSet, precondition);
            match self.store.put_json(RECORD_KEY, &next, precondition).await {
                Ok(_) => return Ok(next),
                Err(store::Error::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Contended { key: RECORD_KEY.to_owned() })
    }

    /// An id that no attempt has.
    pub fn new_attempt_id() -> Result<AttemptId, Error> {
        let random = if stands(Guard::NamesOnce) { uuid::Uuid::now_v7() } else { uuid::Uuid::nil() };
        let random = random.simple().to_string();
        // The tail is the random part; ten hexadecimal digits keep names short, and creation is by `Absent` anyway.
        AttemptId::new(&random[random.len() - 10..]).map_err(|error| Error::Invalid { what: error.to_string() })
    }

    /// Stores a new attempt and its inputs. Its lease starts now.
    pub async fn create_attempt(&self, attempt: &Attempt, inputs: &Inputs) -> Result<(), Error> {
        let id = attempt.id();
        let is_new = kept(Guard::NamesOnce, Precondition::Absent);
        self.store.put_json(&Attempt::inputs_key(id), inputs, is_new).await?;
        self.beat(id).await?;
        self.store.put_json(&Attempt::key(id), attempt, is_new).await?;
        Ok(())
    }

    /// An attempt.
    pub async fn attempt(&self, id: &AttemptId) -> Result<Attempt, Error> {
        Ok(self.attempt_at(id).await?.0)
    }

    async fn attempt_at(&self, id: &AttemptId) -> Result<(Attempt, Precondition), Error> {
        let key = Attempt::key(id);
        match self.store.get_json::<Attempt>(&key).await? {
            None => Err(Error::NoAttempt { id: id.clone() }),
            Some((attempt, generation)) => {
                check_read(&key, attempt.version, ATTEMPT_VERSION)?;
                check_place(&key, &Attempt::key(attempt.id()))?;
                // Version 1 lacks what has a default.
                let attempt = Attempt { version: ATTEMPT_VERSION, ..attempt };
                Ok((attempt, Precondition::Generation(generation)))
            }
        }
    }

    /// Changes an attempt; `None` from `change` means that nothing is to be written.
    pub async fn update_attempt(
        &self,
        id: &AttemptId,
        change: impl Fn(&Attempt) -> Option<Attempt>,
    ) -> Result<Option<Attempt>, Error> {
        self.change_attempt(id, change, true).await
    }

    /// Like [`update_attempt`](Self::update_attempt), for claims and outcomes of steps: after a power failure nobody is
    /// at work, and a step whose outcome was lost is done again.
    pub async fn note_attempt(
        &self,
        id: &AttemptId,
        change: impl Fn(&Attempt) -> Option<Attempt>,
    ) -> Result<Option<Attempt>, Error> {
        self.change_attempt(id, change, false).await
    }

    async fn change_attempt(
        &self,
        id: &AttemptId,
        change: impl Fn(&Attempt) -> Option<Attempt>,
        is_durable: bool,
    ) -> Result<Option<Attempt>, Error> {
        let key = Attempt::key(id);
        for _ in 0..COMPARE_AND_SET_TRIES {
            let (attempt, precondition) = self.attempt_at(id).await?;
            let Some(next) = change(&attempt) else { return Ok(None) };
            let precondition = kept(Guard::AttemptCompareAndSet, precondition);
            let written = if is_durable {
                self.store.put_json(&key, &next, precondition).await
            } else {
                self.store.put_json_volatile(&key, &next, precondition).await
            };
            match written {
                Ok(_) => return Ok(Some(next)),
                Err(store::Error::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Contended { key })
    }

    /// Ends an attempt, takes its right to commit and then its heartbeat. The record goes first: from then on the attempt
    /// is harmless.
    pub async fn end_attempt(&self, id: &AttemptId, reason: EndReason, detail: &str) -> Result<(), Error> {
        self.update_record(|record| Ok(record.end(id, reason))).await?;
        self.update_attempt(id, |attempt| {
            attempt.ended.is_none().then(|| attempt.end(reason, detail, Timestamp::now()))
        })
        .await?;
        self.release_lease(id).await
    }

    /// What an attempt was built from.
    pub async fn inputs(&self, id: &AttemptId) -> Result<Inputs, Error> {
        let key = Attempt::inputs_key(id);
        let found: Option<(Inputs, _)> = self.store.get_json(&key).await?;
        let Some((inputs, _)) = found else { return Err(Error::Missing { key }) };
        check_version(&key, inputs.version, INPUTS_VERSION)?;
        Ok(inputs)
    }

    /// What an attempt's slot is built from, if it is still what it was planned with.
    pub async fn inputs_of(&self, id: &AttemptId, digest: &Digest) -> Result<Inputs, Error> {
        let inputs = self.inputs(id).await?;
        let found = Digest::of_json(&inputs)?;
        if found == *digest {
            return Ok(inputs);
        }
        let found = format!("its digest is {found} and should be {digest}");
        Err(Error::Swapped { key: Attempt::inputs_key(id), found })
    }

    /// What the live slot was built from; nothing before the first publish.
    pub async fn live_inputs(&self, record: &Deployment) -> Result<Option<Inputs>, Error> {
        match &record.live {
            Some(live) => self.inputs_of(&live.slot.attempt, &live.inputs).await.map(Some),
            None => Ok(None),
        }
    }

    /// All ledger entries.
    pub async fn ledger(&self) -> Result<Vec<LedgerEntry>, Error> {
        let objects = self.store.list("ledger/").await?;
        let reads = objects.into_iter().map(|object| async move {
            let Some((entry, _)) = self.store.get_json::<LedgerEntry>(&object.key).await? else { return Ok(None) };
            check_entry(&object.key, &entry)?;
            Ok::<_, Error>(Some(entry))
        });
        stream::iter(reads)
            .buffered(CONCURRENT_READS)
            .try_filter_map(|entry| async move { Ok(entry) })
            .try_collect()
            .await
    }

    /// One ledger entry, if there is one.
    pub async fn ledger_entry(&self, table: &Identifier, partition: &PartitionKey) -> Result<LedgerEntry, Error> {
        let key = LedgerEntry::key(table, partition);
        let Some((entry, _)) = self.store.get_json::<LedgerEntry>(&key).await? else {
            return Ok(LedgerEntry::new(table.clone(), partition.clone()));
        };
        check_entry(&key, &entry)?;
        Ok(entry)
    }

    /// Changes a ledger entry. A change that changes nothing writes nothing.
    pub async fn update_ledger(
        &self,
        table: &Identifier,
        partition: &PartitionKey,
        change: impl Fn(&mut LedgerEntry),
    ) -> Result<LedgerEntry, Error> {
        let key = LedgerEntry::key(table, partition);
        for _ in 0..COMPARE_AND_SET_TRIES {
            let (entry, precondition) = match self.store.get_json::<LedgerEntry>(&key).await? {
                None => (LedgerEntry::new(table.clone(), partition.clone()), Precondition::Absent),
                Some((entry, generation)) => {
                    check_entry(&key, &entry)?;
                    (entry, Precondition::Generation(generation))
                }
            };
            let mut next = entry.clone();
            change(&mut next);
            if next == entry {
                return Ok(next);
            }
            match self.store.put_json(&key, &next, precondition).await {
                Ok(_) => return Ok(next),
                Err(store::Error::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Contended { key })
    }

    /// A manifest by its identity.
    pub async fn manifest(
        &self,
        table: &Identifier,
        partition: &PartitionKey,
        digest: &Digest,
    ) -> Result<Manifest, Error> {
        let key = Manifest::key(table, partition, digest);
        let found: Option<(Manifest, _)> = self.store.get_json(&key).await?;
        let Some((manifest, _)) = found else { return Err(Error::Missing { key }) };
        check_version(&key, manifest.version, LAKE_VERSION)?;
        check_place(&key, &Manifest::key(&manifest.table, &manifest.partition, &manifest.digest))?;
        Ok(manifest)
    }

    /// Whether a manifest of this identity is in the lake.
    pub async fn has_manifest(
        &self,
        table: &Identifier,
        partition: &PartitionKey,
        digest: &Digest,
    ) -> Result<bool, Error> {
        match self.store.head(&Manifest::key(table, partition, digest)).await {
            Ok(_) => Ok(true),
            Err(store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes an extracted partition visible. That it is there already is no error: it is the same content.
    pub async fn put_manifest(&self, manifest: &Manifest) -> Result<(), Error> {
        let key = Manifest::key(&manifest.table, &manifest.partition, &manifest.digest);
        match self.store.put_json(&key, manifest, Precondition::Absent).await {
            Ok(_) | Err(store::Error::Conflict { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes the receipt of a cycle. Only the publisher whose commit succeeded does, again if it crashed.
    pub async fn put_receipt(&self, receipt: &Receipt) -> Result<(), Error> {
        self.store.put_json(&Receipt::key(receipt.cycle), receipt, Precondition::None).await?;
        Ok(())
    }

    /// The receipt of a cycle.
    pub async fn receipt(&self, cycle: u64) -> Result<Option<Receipt>, Error> {
        self.receipt_at(&Receipt::key(cycle)).await
    }

    async fn receipt_at(&self, key: &str) -> Result<Option<Receipt>, Error> {
        let Some((receipt, _)) = self.store.get_json::<Receipt>(key).await? else { return Ok(None) };
        check_read(key, receipt.version, RECEIPT_VERSION)?;
        check_place(key, &Receipt::key(receipt.cycle))?;
        Ok(Some(receipt))
    }

    /// Every receipt, oldest first.
    pub async fn receipts(&self) -> Result<Vec<Receipt>, Error> {
        let mut receipts = Vec::new();
        for object in self.store.list("receipts/").await? {
            receipts.extend(self.receipt_at(&object.key).await?);
        }
        Ok(receipts)
    }

    /// Does a step of an attempt once: claims it, keeps the heartbeat while `work` runs, and records what it answered.
    /// A repeated call answers what the first one did; a call beside a running one waits for it. A step that failed can
    /// be claimed again.
    pub async fn step<T, E, F>(&self, id: &AttemptId, name: &str, work: F) -> Result<T, E>
    where
        T: Serialize + DeserializeOwned,
        E: From<Error>,
        F: Future<Output = Result<T, E>>,
    {
        step::run(self, id, name, work).await
    }

    /// What a step of an attempt answered, if it is done. [`Error::Over`] where it is not and will not be.
    pub async fn outcome<T: DeserializeOwned>(&self, id: &AttemptId, name: &str) -> Result<Option<T>, Error> {
        step::outcome(self, id, name).await
    }
}

/// A precondition that is a guard.
fn kept(guard: Guard, precondition: Precondition) -> Precondition {
    if stands(guard) { precondition } else { Precondition::None }
}

fn check_entry(key: &str, entry: &LedgerEntry) -> Result<(), Error> {
    check_version(key, entry.version, LAKE_VERSION)?;
    check_place(key, &LedgerEntry::key(&entry.table, &entry.partition))
}

/// Refuses a document that says of itself that it belongs elsewhere.
fn check_place(key: &str, belongs: &str) -> Result<(), Error> {
    if key == belongs {
        Ok(())
    } else {
        Err(Error::Swapped { key: key.to_owned(), found: format!("it says of itself that it is {belongs}") })
    }
}

/// Refuses a document of a format that this program can't read: it reads older ones too.
fn check_read(key: &str, found: u32, newest: u32) -> Result<(), Error> {
    if (1..=newest).contains(&found) { Ok(()) } else { check_version(key, found, newest) }
}

/// Refuses a document of a format that this program does not know.
fn check_version(key: &str, found: u32, known: u32) -> Result<(), Error> {
    if found == known || !stands(Guard::FormatVersion) {
        Ok(())
    } else {
        Err(Error::UnknownVersion { key: key.to_owned(), found, known })
    }
}
