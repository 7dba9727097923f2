//! What is to be dropped of what there is, and why. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use pipeline::Retention;
use serde::Serialize;
use service::{Platform, Problem};
use store::ObjectMeta;
use utoipa::ToSchema;
use wap::{AttemptId, Manifest, Receipt, Slot};

use super::inventory::{Documents, Found};

/// What is being written may not be named yet. Nobody writes at anything for so long without adding to it.
pub(crate) const GRACE: Duration = Duration::from_hours(24);

/// One thing to drop.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Item {
    pub kind: Kind,
    pub name: String,
    pub reason: String,
    pub bytes: u64,
    #[serde(skip)]
    pub target: Target,
}

/// What sort of thing it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// The slot that was live before, after its time.
    KeptSlot,
    /// The slot of an attempt that is over.
    Slot,
    /// Documents of an attempt that is over, or that never was.
    Attempt,
    /// A receipt, the end of a run, an event.
    History,
    /// Objects that no manifest names.
    Upload,
    /// A content of a partition that nothing names, with its objects.
    Version,
    /// What a process that died was writing.
    Temporary,
}

/// What has to be done for it.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    KeptSlot(Slot),
    Slot(Slot),
    /// In the order in which they go. Of an attempt that the record does not name.
    Documents(AttemptId, Vec<ObjectMeta>),
    Objects(Vec<ObjectMeta>),
    Upload(Vec<ObjectMeta>),
    Version(ObjectMeta, Box<Manifest>),
    File(PathBuf),
}

impl Item {
    /// Finds out how large it is, where the list did not say.
    pub(crate) async fn measure(&mut self, platform: &Platform) -> Result<(), Problem> {
        if let Target::KeptSlot(slot) | Target::Slot(slot) = &self.target {
            self.bytes = platform.warehouse.slot_bytes(&slot.name()).await?;
        }
        Ok(())
    }
}

/// Everything that may be dropped.
pub(crate) fn plan(found: &Found, retention: &Retention, now: Timestamp) -> Vec<Item> {
    let mut items = Vec::new();
    let ended = hours(retention.ended_attempts_hours);
    let history = retention.receipts_days.map(days);
    kept_slot(found, now, &mut items);
    slots(found, ended, &mut items);
    attempts(found, ended, history, &mut items);
    if let Some(history) = history {
        receipts_and_runs(found, history, &mut items);
    }
    if let Some(lake) = retention.lake_days.map(days) {
        versions(found, lake, &mut items);
    }
    items.extend(crashed(found));
    items
}

/// What died while it was being written.
pub(crate) fn crashed(found: &Found) -> Vec<Item> {
    let mut items = Vec::new();
    uploads(found, &mut items);
    for file in found.files.iter().filter(|file| file.age >= GRACE) {
        items.push(Item {
            kind: Kind::Temporary,
            name: file.path.display().to_string(),
            reason: format!("nobody wrote to it for {}", shown(file.age)),
            bytes: file.bytes,
            target: Target::File(file.path.clone()),
        });
    }
    items
}

fn kept_slot(found: &Found, now: Timestamp, items: &mut Vec<Item>) {
    if let Some(kept) = found.record.kept.as_ref().filter(|kept| kept.until <= now) {
        let slot = kept.live.slot.clone();
        items.push(Item {
            kind: Kind::KeptSlot,
            name: slot.name(),
            reason: format!("it was kept for a rollback until {}", kept.until),
            bytes: 0,
            target: Target::KeptSlot(slot),
        });
    }
}

/// A slot whose attempt the store does not know may be another pipeline's: it stays, and `doctor` tells of it.
fn slots(found: &Found, ended: Duration, items: &mut Vec<Item>) {
    for name in &found.slots {
        let Some(slot) = Slot::named(name).filter(|slot| !found.record.names(&slot.attempt)) else { continue };
        let documents = found.attempts.get(&slot.attempt);
        let Some(own) = documents.and_then(|documents| documents.own.as_ref()) else { continue };
        if own.age >= ended {
            items.push(Item {
                kind: Kind::Slot,
                name: name.clone(),
                reason: format!("its attempt ended {} ago, and the record does not name it", shown(own.age)),
                bytes: 0,
                target: Target::Slot(slot),
            });
        }
    }
}

fn attempts(found: &Found, ended: Duration, history: Option<Duration>, items: &mut Vec<Item>) {
    // Without its document a slot could not be told from one of another pipeline, so the slot goes first.
    let with_slot: BTreeSet<_> =
        found.slots.iter().filter_map(|name| Some(Slot::named(name)?.attempt.to_string())).collect();
    for (id, documents) in &found.attempts {
        if found.record.names(id) {
            continue;
        }
        let Documents { own, lease, others } = documents;
        let (goes, reason): (Vec<&ObjectMeta>, String) = match own {
            Some(own) if history.is_some_and(|history| own.age >= history) && !with_slot.contains(id.as_str()) => {
                // The attempt's own goes last: as long as it is there, the others are found with it.
                let goes = others.iter().chain(lease).chain([own]).collect();
                (goes, format!("it ended {} ago", shown(own.age)))
            }
            Some(_) => {
                let goes: Vec<_> = lease.iter().filter(|lease| lease.age >= ended).collect();
                (goes, "a heartbeat of an attempt that is over".to_owned())
            }
            None => {
                let goes: Vec<_> = others.iter().chain(lease).filter(|object| object.age >= GRACE).collect();
                (goes, "the attempt never was".to_owned())
            }
        };
        if !goes.is_empty() {
            let goes: Vec<ObjectMeta> = goes.into_iter().cloned().collect();
            items.push(Item {
                kind: Kind::Attempt,
                name: id.to_string(),
                reason,
                bytes: bytes(&goes),
                target: Target::Documents(id.clone(), goes),
            });
        }
    }
}

/// The receipts of what is live and kept stay, however old.
fn receipts_and_runs(found: &Found, history: Duration, items: &mut Vec<Item>) {
    let record = &found.record;
    let mut needed: BTreeSet<String> = record.slots().map(|slot| Receipt::key(slot.cycle)).collect();
    needed.insert(Receipt::key(record.cycle));
    for object in found.history.iter().filter(|object| object.age >= history && !needed.contains(&object.key)) {
        items.push(Item {
            kind: Kind::History,
            name: object.key.clone(),
            reason: format!("it is {} old", shown(object.age)),
            bytes: object.bytes,
            target: Target::Objects(vec![object.clone()]),
        });
    }
}

/// An upload writes its objects one after the other and its manifest last, so its age is that of its newest object.
fn uploads(found: &Found, items: &mut Vec<Item>) {
    let named: BTreeSet<&str> =
        found.manifests.iter().flat_map(|(_, manifest)| &manifest.objects).map(|object| object.key.as_str()).collect();
    let mut uploads: BTreeMap<&str, Vec<&ObjectMeta>> = BTreeMap::new();
    for object in &found.objects {
        if let Some((upload, _)) = object.key.rsplit_once('/') {
            uploads.entry(upload).or_default().push(object);
        }
    }
    for (upload, objects) in uploads {
        let age = objects.iter().map(|object| object.age).min().unwrap_or_default();
        let orphans: Vec<ObjectMeta> =
            objects.into_iter().filter(|object| !named.contains(object.key.as_str())).cloned().collect();
        if age >= GRACE && !orphans.is_empty() {
            items.push(Item {
                kind: Kind::Upload,
                name: upload.to_owned(),
                reason: format!("no manifest names its objects, written {} ago", shown(age)),
                bytes: bytes(&orphans),
                target: Target::Upload(orphans),
            });
        }
    }
}

fn versions(found: &Found, lake: Duration, items: &mut Vec<Item>) {
    for (object, manifest) in &found.manifests {
        let version = (manifest.table.clone(), manifest.partition.clone(), manifest.digest.clone());
        // A manifest under another's key names nothing that is safe to drop.
        let is_own = Manifest::key(&version.0, &version.1, &version.2) == object.key;
        if object.age >= lake && is_own && !found.needed.contains(&version) {
            items.push(Item {
                kind: Kind::Version,
                name: object.key.clone(),
                reason: format!("neither the ledger nor a slot names it, and it is {} old", shown(object.age)),
                bytes: object.bytes + manifest.bytes,
                target: Target::Version(object.clone(), Box::new(manifest.clone())),
            });
        }
    }
}

fn bytes(objects: &[ObjectMeta]) -> u64 {
    objects.iter().map(|object| object.bytes).sum()
}

fn hours(hours: u32) -> Duration {
    Duration::from_hours(hours.into())
}

fn days(days: u32) -> Duration {
    hours(days) * 24
}

fn shown(age: Duration) -> String {
    let hours = age.as_secs() / 3600;
    if hours < 72 { format!("{hours} h") } else { format!("{} days", hours / 24) }
}
