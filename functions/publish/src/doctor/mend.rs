//! Repairs: each follows from what is known, none from a guess, and each may be done twice.

use std::fmt;

use service::{Kind, Platform, Problem};
use store::{ObjectMeta, ObjectStoreExt, Precondition};
use wap::{AttemptId, Digest, EndReason, Identifier, LedgerEntry, PartitionKey, Slot};

use crate::cleanup::{self, Item};
use crate::converge::complete;
use crate::receipt::receipt;

/// A repair.
#[derive(Debug, Clone)]
pub(crate) enum Mend {
    /// Takes the right to commit from an attempt that can't.
    EndInRecord(AttemptId),
    /// Ends an attempt that nobody works on and the record does not name.
    EndAttempt(AttemptId, &'static str),
    /// Does what follows from the commit: receipt, views, the end of the attempt.
    Complete,
    /// Writes the receipt of the live cycle anew.
    Receipt,
    /// Forgets a kept slot that is gone.
    ForgetKept(Box<Slot>),
    DeleteLease(ObjectMeta),
    /// Writes a ledger entry, if the one that was found is still there.
    Ledger(Box<LedgerEntry>, Precondition),
    /// Loads a partition from the lake.
    Load(Identifier, PartitionKey, Digest),
    Discard(Box<Item>),
}

impl fmt::Display for Mend {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EndInRecord(id) => write!(formatter, "takes attempt {id} out of the record"),
            Self::EndAttempt(id, _) => write!(formatter, "ends attempt {id}"),
            Self::Complete => formatter.write_str("finishes the publication of what the record names"),
            Self::Receipt => formatter.write_str("writes the receipt from the record and the attempt"),
            Self::ForgetKept(slot) => write!(formatter, "takes slot {slot} out of the record"),
            Self::DeleteLease(lease) => write!(formatter, "deletes {}", lease.key),
            Self::Ledger(entry, _) => write!(
                formatter,
                "writes {} from what the lake and raw hold",
                LedgerEntry::key(&entry.table, &entry.partition)
            ),
            Self::Load(table, partition, _) => {
                write!(formatter, "loads partition {partition} of table {table} from the lake")
            }
            Self::Discard(item) => write!(formatter, "drops {}", item.name),
        }
    }
}

/// Does it.
pub(crate) async fn mend(platform: &Platform, mend: &Mend) -> Result<(), Problem> {
    let state = &platform.state;
    match mend {
        Mend::EndInRecord(id) => state.update_record(|record| Ok(record.end(id, EndReason::Failed))).await.map(drop)?,
        Mend::EndAttempt(id, why) => state.end_attempt(id, EndReason::Failed, why).await?,
        Mend::Complete => complete(platform).await.map(drop)?,
        Mend::Receipt => {
            let record = state.record().await?;
            if let Some(live) = &record.live {
                let attempt = state.attempt(&live.slot.attempt).await?;
                state.put_receipt(&receipt(&record, live, &attempt, None)?).await?;
            }
        }
        Mend::ForgetKept(slot) => {
            let forget = |record: wap::Deployment| Ok(record.forget_kept(slot, jiff::Timestamp::MAX));
            state.update_record(forget).await.map(drop)?;
        }
        Mend::DeleteLease(lease) => delete(platform, &lease.key, Precondition::Generation(lease.generation)).await?,
        Mend::Ledger(entry, precondition) => {
            let key = LedgerEntry::key(&entry.table, &entry.partition);
            match platform.store.put_json(&key, &**entry, *precondition).await {
                // Somebody wrote one meanwhile: theirs counts.
                Ok(_) | Err(store::Error::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Mend::Load(table, partition, digest) => {
            let Some(contract) = platform.pipeline.tables.get(table) else { return Ok(()) };
            let manifest = state.manifest(table, partition, digest).await?;
            // What BigQuery remembers of the partition would make the load do nothing.
            delete(platform, &format!("raw/{table}/{partition}.json"), Precondition::None).await?;
            platform.warehouse.load(contract, &manifest).await?;
        }
        Mend::Discard(item) => {
            let mut found = cleanup::take(platform).await?;
            cleanup::discard(platform, &mut found, item).await.map(drop)?;
        }
    }
    Ok(())
}

async fn delete(platform: &Platform, key: &str, precondition: Precondition) -> Result<(), Problem> {
    match platform.store.delete(key, precondition).await {
        Ok(()) | Err(store::Error::NotFound { .. } | store::Error::Conflict { .. }) => Ok(()),
        Err(error) => Err(Problem::from_error(Kind::Unavailable, "store", &error)),
    }
}
