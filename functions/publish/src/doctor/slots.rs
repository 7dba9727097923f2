//! Slots: those that the record names are there as they were audited, and there are none of others.

use service::{Platform, Problem};
use wap::{Deployment, Live, Slot};

use super::Examination;
use super::attempts::Attempts;
use super::finding::Finding;
use super::mend::Mend;

/// Compares the slots that there are with those that the record names.
pub(crate) async fn examine(
    platform: &Platform,
    record: &Deployment,
    attempts: &Attempts,
    examination: &mut Examination,
) -> Result<(), Problem> {
    let slots = platform.warehouse.slots().await?;
    if let Some(live) = &record.live
        && let Some((code, found)) =
            sealed(platform, live, attempts, ["live_slot_missing", "live_slot_changed"]).await?
    {
        examination.found(
            Finding::error(code, live.slot.name(), found)
                .expected("the content that passed the audit")
                .remedy("bgp rollback; or restore it from a backup"),
        );
    }
    if let Some(kept) = &record.kept
        && let Some((code, found)) =
            sealed(platform, &kept.live, attempts, ["kept_slot_missing", "kept_slot_changed"]).await?
    {
        let slot = &kept.live.slot;
        let finding = Finding::warning(code, slot.name(), found).expected("the content that was live before");
        examination.found(if code == "kept_slot_missing" {
            finding.mend(Mend::ForgetKept(Box::new(slot.clone())))
        } else {
            finding.remedy("restore it from a backup; a rollback to it is refused until then")
        });
    }
    for name in &slots {
        let is_known = Slot::named(name).is_some_and(|slot| attempts.contains_key(&slot.attempt));
        if !is_known {
            examination.found(
                Finding::warning("slot_unknown", name, "a slot of which the store knows no attempt")
                    .expected("every slot has an attempt; this may be one of another pipeline, or of another store")
                    .remedy("find out whose it is; if it is nobody's, drop it in the warehouse"),
            );
        }
    }
    examination.checked("slots", slots.len());
    Ok(())
}

/// How a sealed slot differs from its verdict.
async fn sealed(
    platform: &Platform,
    live: &Live,
    attempts: &Attempts,
    [missing, changed]: [&'static str; 2],
) -> Result<Option<(&'static str, String)>, Problem> {
    let found = match platform.warehouse.fingerprint(&live.slot).await {
        Ok(found) => found,
        Err(warehouse::Error::NotFound { .. }) => return Ok(Some((missing, "it is not there".to_owned()))),
        Err(error) => return Err(error.into()),
    };
    let verdict = match attempts.get(&live.slot.attempt) {
        Some(Ok(attempt)) => attempt.verdict.as_ref(),
        _ => None,
    };
    let Some(verdict) = verdict else { return Ok(None) };
    let text = format!("fingerprint {found}; its audit saw {}", verdict.fingerprint);
    Ok((found != verdict.fingerprint).then_some((changed, text)))
}
