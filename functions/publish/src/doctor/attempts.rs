//! Attempts, their heartbeats, and the ends of runs.

use std::collections::{BTreeMap, BTreeSet};

use service::{Platform, Problem};
use state::Liveness;
use store::ObjectMeta;
use wap::{ATTEMPT_VERSION, Attempt, AttemptId, Deployment};

use super::Examination;
use super::document::{Document, read};
use super::finding::Finding;
use super::mend::Mend;

/// What is known of every attempt: the document, or how it is amiss.
pub(crate) type Attempts = BTreeMap<AttemptId, Result<Attempt, String>>;

/// Reads all attempts.
pub(crate) async fn examine(
    platform: &Platform,
    record: &Deployment,
    examination: &mut Examination,
) -> Result<Attempts, Problem> {
    let mut attempts = Attempts::new();
    let mut leases: Vec<(AttemptId, ObjectMeta)> = Vec::new();
    for object in platform.store.list("attempts/").await? {
        let Some(rest) = object.key.strip_prefix("attempts/") else { continue };
        if let Some(id) = rest.strip_suffix("/lease").and_then(|id| AttemptId::new(id).ok()) {
            leases.push((id, object));
        } else if let Some(id) = rest.strip_suffix(".json").and_then(|id| AttemptId::new(id).ok()) {
            let document: Document<Attempt> = read(platform, &object.key, Some(ATTEMPT_VERSION)).await?;
            if matches!(document, Document::Absent) {
                continue;
            }
            let attempt = document.sound().and_then(|attempt| {
                let is_own = attempt.id() == &id;
                if is_own { Ok(attempt) } else { Err(format!("it is the document of attempt {}", attempt.id())) }
            });
            match &attempt {
                Ok(attempt) => check_end(platform, record, attempt, examination).await?,
                Err(found) => examination.found(
                    Finding::error("attempt_unreadable", &object.key, found)
                        .expected("the document of an attempt, as begin and the steps write it")
                        .remedy(if record.names(&id) {
                            "restore it from a backup; the record names this attempt"
                        } else {
                            "delete it; nothing names this attempt"
                        }),
                ),
            }
            attempts.insert(id, attempt);
        }
    }
    check_leases(platform, record, &attempts, leases, examination);
    examination.checked("attempts", attempts.len());
    Ok(attempts)
}

async fn check_end(
    platform: &Platform,
    record: &Deployment,
    attempt: &Attempt,
    examination: &mut Examination,
) -> Result<(), Problem> {
    // Of what the record names, `record` says more.
    if attempt.ended.is_some() || record.names(attempt.id()) {
        return Ok(());
    }
    if let Liveness::Gone { .. } = platform.state.liveness(attempt.id()).await? {
        examination.found(
            Finding::warning(
                "attempt_not_ended",
                Attempt::key(attempt.id()),
                "it has not ended, and nobody works on it",
            )
            .expected("an attempt that the record does not name has ended")
            .mend(Mend::EndAttempt(attempt.id().clone(), "the record did not name it any more")),
        );
    }
    Ok(())
}

fn check_leases(
    platform: &Platform,
    record: &Deployment,
    attempts: &Attempts,
    leases: Vec<(AttemptId, ObjectMeta)>,
    examination: &mut Examination,
) {
    let building: BTreeSet<&AttemptId> = record.building.iter().map(|building| &building.slot.attempt).collect();
    for (id, lease) in leases {
        // Whoever ends an attempt, or begins one, needs a moment.
        if lease.age < platform.state.lease() || building.contains(&id) {
            continue;
        }
        let found = match attempts.get(&id) {
            None => "a heartbeat of an attempt that is not there",
            Some(Ok(attempt)) if attempt.ended.is_some() => "a heartbeat of an attempt that has ended",
            Some(_) => continue,
        };
        examination.found(
            Finding::warning("lease_stale", &lease.key, found)
                .expected("no heartbeat: nobody works on it")
                .mend(Mend::DeleteLease(lease.clone())),
        );
    }
}
