//! The record, and what it says of the attempt that may commit, of the live cycle, and of holds.

use std::collections::BTreeSet;

use service::{Platform, Problem};
use state::Liveness;
use wap::{Attempt, AttemptId, Deployment, Digest, Inputs, Live, RECEIPT_VERSION, RECORD_KEY, RECORD_VERSION, Receipt};
use warehouse::Publication;

use super::Examination;
use super::attempts::Attempts;
use super::document::{Document, read};
use super::finding::Finding;
use super::mend::Mend;

/// What else reads only once it is there.
const BACKUP: &str = "restore it from a backup";

/// The record. Nothing if it can't be read: then nothing can be compared with it.
pub(crate) async fn read_record(
    platform: &Platform,
    examination: &mut Examination,
) -> Result<Option<Deployment>, Problem> {
    let document: Document<Deployment> = read(platform, RECORD_KEY, Some(RECORD_VERSION)).await?;
    let finding = match document {
        Document::Read(record, _) => return Ok(Some(*record)),
        Document::Absent if platform.store.list("receipts/").await?.is_empty() => {
            return Ok(Some(Deployment::default()));
        }
        Document::Absent => Finding::error("record_missing", RECORD_KEY, "there are receipts and no record"),
        Document::Version(found) => {
            let found = format!("format version {found}");
            let remedy = "use the program that wrote it, or a newer one";
            examination.found(
                Finding::error("record_version", RECORD_KEY, found)
                    .expected(format!("format version {RECORD_VERSION}"))
                    .remedy(remedy),
            );
            return Ok(None);
        }
        Document::Unreadable(why, _) => Finding::error("record_unreadable", RECORD_KEY, why),
    };
    examination.found(
        finding.expected("the record, as publish writes it").remedy(format!(
            "{BACKUP}; the newest receipt says what was live. Readers go on seeing what the views show"
        )),
    );
    Ok(None)
}

/// Compares what the record says with documents and views.
pub(crate) async fn examine(
    platform: &Platform,
    record: &Deployment,
    attempts: &Attempts,
    examination: &mut Examination,
) -> Result<(), Problem> {
    building(platform, record, attempts, examination).await?;
    if let Some(live) = &record.live {
        live_cycle(platform, record, live, attempts, examination).await?;
        project(platform, live, examination).await;
    }
    if let Some(kept) = &record.kept {
        inputs(platform, "kept", &kept.live.slot.attempt, &kept.live.inputs, examination).await?;
    }
    receipts(platform, record, examination).await?;
    let ledger = platform.store.list("ledger/").await?;
    for partition in record.held.keys() {
        let name = format!("/{partition}.json");
        if !ledger.iter().any(|entry| entry.key.ends_with(&name)) {
            examination.found(
                Finding::warning("hold_unknown", partition.as_str(), "it is held, and the ledger does not know it")
                    .expected("holds of partitions that were extracted")
                    .remedy(format!("bgp release {partition}")),
            );
        }
    }
    Ok(())
}

async fn building(
    platform: &Platform,
    record: &Deployment,
    attempts: &Attempts,
    examination: &mut Examination,
) -> Result<(), Problem> {
    let Some(building) = &record.building else { return Ok(()) };
    let id = &building.slot.attempt;
    let expected = "the attempt that may commit is under way, or waits between two steps";
    let attempt = match attempts.get(id) {
        Some(Ok(attempt)) => attempt,
        // `attempts` has told of it.
        Some(Err(_)) => return Ok(()),
        None => {
            examination.found(
                Finding::error(
                    "building_attempt_missing",
                    id.as_str(),
                    "the record says that it may commit; it is not there",
                )
                .expected(expected)
                .mend(Mend::EndInRecord(id.clone())),
            );
            return Ok(());
        }
    };
    if let Some(ended) = &attempt.ended {
        examination.found(
            Finding::error("building_attempt_ended", id.as_str(), format!("it is over: {}", ended.detail))
                .expected(expected)
                .mend(Mend::EndInRecord(id.clone())),
        );
        return Ok(());
    }
    if let (Some((step, claim)), Liveness::Gone { .. }) = (attempt.running(), platform.state.liveness(id).await?) {
        examination.found(
            Finding::error(
                "building_attempt_expired",
                id.as_str(),
                format!("{} was in step {step} and is gone", claim.holder),
            )
            .expected(expected)
            .mend(Mend::EndAttempt(id.clone(), "whoever worked on it was gone")),
        );
        return Ok(());
    }
    let stored: Document<Inputs> = read(platform, &Attempt::inputs_key(id), None).await?;
    if let Err(found) = same_inputs(stored, &attempt.inputs) {
        examination.found(
            Finding::error("building_inputs_differ", Attempt::inputs_key(id), found)
                .expected(format!("the inputs with digest {}", attempt.inputs))
                .mend(Mend::EndAttempt(id.clone(), "its inputs were not those that it was planned from")),
        );
    }
    Ok(())
}

async fn live_cycle(
    platform: &Platform,
    record: &Deployment,
    live: &Live,
    attempts: &Attempts,
    examination: &mut Examination,
) -> Result<(), Problem> {
    let id = &live.slot.attempt;
    inputs(platform, "live", id, &live.inputs, examination).await?;
    let publication = publication(platform, live, examination).await?;
    let attempt = match attempts.get(id) {
        Some(Ok(attempt)) => attempt,
        Some(Err(_)) => return Ok(()),
        None => {
            examination.found(
                Finding::error(
                    "live_attempt_missing",
                    Attempt::key(id),
                    "the record names it as live; it is not there",
                )
                .expected("the attempt with its verdict")
                .remedy(format!("{BACKUP}; or run again, after a change")),
            );
            return Ok(());
        }
    };
    if attempt.verdict.as_ref().and_then(wap::Verdict::passed).is_none() {
        examination.found(
            Finding::error("live_not_audited", id.as_str(), "its attempt has no verdict that it passed")
                .expected("readers see only what passed its audit")
                .remedy("bgp rollback, or publish a corrected cycle"),
        );
        return Ok(());
    }
    let is_being_published =
        attempt.ended.is_none() && matches!(platform.state.liveness(id).await?, Liveness::Alive { .. });
    if is_being_published {
        return Ok(());
    }
    if attempt.ended.is_none() {
        examination.found(
            Finding::error("publication_unfinished", id.as_str(), "it was committed, and whoever did it is gone")
                .expected("receipt and views follow the commit, and the attempt ends")
                .mend(Mend::Complete),
        );
    }
    receipt(platform, record, live, examination).await?;
    if let Some(publication) = publication {
        for difference in platform.warehouse.differences(&live.slot, &publication).await? {
            let finding =
                Finding::error("views_differ", difference.subject, difference.found).expected(difference.expected);
            let finding = if difference.converges {
                finding.mend(Mend::Complete)
            } else {
                finding.remedy("change it in the warehouse; what should be says how")
            };
            examination.found(finding);
        }
    }
    Ok(())
}

async fn inputs(
    platform: &Platform,
    which: &str,
    id: &AttemptId,
    digest: &Digest,
    examination: &mut Examination,
) -> Result<(), Problem> {
    let key = Attempt::inputs_key(id);
    let stored: Document<Inputs> = read(platform, &key, None).await?;
    let Err(found) = same_inputs(stored, digest) else { return Ok(()) };
    let (code, remedy) = if which == "live" {
        ("live_inputs_differ", format!("{BACKUP}; until then no cycle can be begun"))
    } else {
        ("kept_inputs_differ", format!("{BACKUP}; until then nothing can be rolled back to it"))
    };
    examination
        .found(Finding::error(code, key, found).expected(format!("the inputs with digest {digest}")).remedy(remedy));
    Ok(())
}

fn same_inputs(stored: Document<Inputs>, digest: &Digest) -> Result<(), String> {
    let inputs = stored.sound()?;
    match Digest::of_json(&inputs) {
        Ok(found) if &found == digest => Ok(()),
        Ok(found) => Err(format!("inputs with digest {found}")),
        Err(error) => Err(error.to_string()),
    }
}

/// The views as they were audited, if they are those that the record names.
async fn publication(
    platform: &Platform,
    live: &Live,
    examination: &mut Examination,
) -> Result<Option<Publication>, Problem> {
    let key = Publication::key(&live.slot.attempt);
    let expected = "the views that the record names, with their columns";
    let stored: Document<Publication> = read(platform, &key, None).await?;
    let found = match stored.sound() {
        Ok(publication) => {
            if crate::publish::views(&publication)? == live.views {
                return Ok(Some(publication));
            }
            "other views, or other columns".to_owned()
        }
        Err(found) => found,
    };
    let remedy =
        format!("{BACKUP}; until then views can't be made again, and the next publication is not touched by it");
    examination.found(Finding::error("publication_differs", key, found).expected(expected).remedy(remedy));
    Ok(None)
}

/// The receipt of the live cycle.
async fn receipt(
    platform: &Platform,
    record: &Deployment,
    live: &Live,
    examination: &mut Examination,
) -> Result<(), Problem> {
    let key = Receipt::key(record.cycle);
    let document: Document<Receipt> = read(platform, &key, Some(RECEIPT_VERSION)).await?;
    let (code, found) = match document {
        Document::Absent => ("receipt_missing", "it is missing".to_owned()),
        Document::Read(receipt, _) => {
            let says = (&receipt.slot, &receipt.inputs, &receipt.views, receipt.cycle);
            if says == (&live.slot, &live.inputs, &live.views, record.cycle) {
                return Ok(());
            }
            ("receipt_differs", format!("the receipt of cycle {}, slot {}", receipt.cycle, receipt.slot))
        }
        document @ Document::Unreadable(..) => ("receipt_unreadable", document.sound().err().unwrap_or_default()),
        Document::Version(found) => {
            let found = format!("format version {found}");
            examination.found(
                Finding::error("receipt_version", key, found)
                    .expected(format!("format version {RECEIPT_VERSION}"))
                    .remedy("use the program that wrote it, or a newer one"),
            );
            return Ok(());
        }
    };
    let expected = format!("the receipt of cycle {}, slot {}", record.cycle, live.slot);
    examination.found(Finding::error(code, key, found).expected(expected).mend(Mend::Receipt));
    Ok(())
}

/// The receipts of cycles before the live one.
async fn receipts(platform: &Platform, record: &Deployment, examination: &mut Examination) -> Result<(), Problem> {
    let stored: BTreeSet<String> =
        platform.store.list("receipts/").await?.into_iter().map(|object| object.key).collect();
    for cycle in 1..record.cycle {
        let key = Receipt::key(cycle);
        if stored.contains(&key) {
            let document: Document<Receipt> = read(platform, &key, Some(RECEIPT_VERSION)).await?;
            if let Err(found) = document.sound() {
                examination.found(
                    Finding::warning("old_receipt_unreadable", key, found)
                        .expected(format!("the receipt of cycle {cycle}"))
                        .remedy(BACKUP),
                );
            }
        } else if platform.pipeline.retention.receipts_days.is_none() {
            examination.found(
                Finding::warning("old_receipt_missing", key, "it is missing, and receipts are kept for ever")
                    .expected(format!("the receipt of cycle {cycle}"))
                    .remedy(BACKUP),
            );
        }
    }
    examination.checked("receipts", stored.len());
    Ok(())
}

/// The views against the dbt project: the next publication may not lose one.
async fn project(platform: &Platform, live: &Live, examination: &mut Examination) {
    let plan = match platform.project_plan().await {
        Ok(plan) => plan,
        Err(error) => {
            examination.found(
                Finding::error("project_unreadable", &platform.pipeline.dbt.project, error.detail)
                    .expected("a dbt project that can be parsed and fits pipeline.yaml")
                    .remedy("correct the project"),
            );
            return;
        }
    };
    let published: BTreeSet<&str> = plan
        .project
        .nodes
        .values()
        .filter(|node| platform.is_published(node))
        .map(|node| node.alias.as_str())
        .collect();
    for view in live.views.keys().filter(|view| !published.contains(view.as_str())) {
        examination.found(
            Finding::error(
                "view_without_model",
                view.as_str(),
                "it is published, and no model of the project makes it",
            )
            .expected("every published view has a model; the next publication would be refused")
            .remedy(format!("restore the model, or: bgp retire {view}")),
        );
    }
    examination.checked("models", plan.models.len());
}
