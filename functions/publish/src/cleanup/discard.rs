//! One drop, after another look at what could have changed.

use jiff::Timestamp;
use service::{Platform, Problem};
use store::{ObjectMeta, Precondition};
use wap::{AttemptId, Manifest, Slot};

use super::inventory::{Found, manifests, versions, versions_of};
use super::leftovers;
use super::plan::{GRACE, Item, Target};

/// Drops it. `false` if something names it again, or somebody else changed it.
pub(crate) async fn discard(platform: &Platform, found: &mut Found, item: &Item) -> Result<bool, Problem> {
    match &item.target {
        Target::KeptSlot(slot) => {
            // The record first: between the two nobody returns to the slot, and it is one of an attempt that is over.
            let now = Timestamp::now();
            platform.state.update_record(|record| Ok(record.forget_kept(slot, now))).await?;
            drop_slot(platform, slot).await
        }
        Target::Slot(slot) => drop_slot(platform, slot).await,
        Target::Documents(attempt, objects) => {
            if is_named(platform, attempt).await? {
                return Ok(false);
            }
            delete_all(platform, objects).await
        }
        Target::Objects(objects) => delete_all(platform, objects).await,
        Target::Upload(objects) => {
            let objects = still_orphans(platform, found, objects).await?;
            delete_all(platform, &objects).await
        }
        Target::Version(object, manifest) => drop_version(platform, found, object, manifest).await,
        Target::File(path) => {
            let io = |error: std::io::Error| Problem::internal(format!("removing {}: {error}", path.display()));
            let is_left = leftovers::look(path).map_err(io)?.is_some_and(|now| now.age >= GRACE);
            if is_left {
                leftovers::remove(path).map_err(io)?;
            }
            Ok(is_left)
        }
    }
}

async fn drop_slot(platform: &Platform, slot: &Slot) -> Result<bool, Problem> {
    if is_named(platform, &slot.attempt).await? {
        return Ok(false);
    }
    platform.warehouse.drop_slot(&slot.name()).await?;
    Ok(true)
}

async fn is_named(platform: &Platform, attempt: &AttemptId) -> Result<bool, Problem> {
    Ok(platform.state.record().await?.names(attempt))
}

/// Deletes objects that are as they were listed.
async fn delete_all(platform: &Platform, objects: &[ObjectMeta]) -> Result<bool, Problem> {
    let mut deleted = false;
    for object in objects {
        match platform.store.delete(&object.key, Precondition::Generation(object.generation)).await {
            Ok(()) => deleted = true,
            Err(store::Error::NotFound { .. }) => {}
            Err(store::Error::Conflict { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(deleted)
}

/// The objects that no manifest names by now. An upload that slept for longer than the grace may have gone on; one that
/// goes on after this leaves a manifest whose objects are gone, and extracting the partition again mends that.
async fn still_orphans(
    platform: &Platform,
    found: &mut Found,
    objects: &[ObjectMeta],
) -> Result<Vec<ObjectMeta>, Problem> {
    let listed = platform.store.list("manifests/").await?;
    let is_new = |object: &ObjectMeta| {
        !found.manifests.iter().any(|(known, _)| known.key == object.key && known.generation == object.generation)
    };
    let new: Vec<ObjectMeta> = listed.into_iter().filter(is_new).collect();
    found.manifests.extend(manifests(platform, new).await?);
    let is_named = |object: &ObjectMeta| {
        found.manifests.iter().flat_map(|(_, manifest)| &manifest.objects).any(|named| named.key == object.key)
    };
    Ok(objects.iter().filter(|object| !is_named(object)).cloned().collect())
}

/// The manifest goes first, so that nobody finds one without its objects; after a crash in between they are an upload that
/// nothing names. A source that goes back to this content at this very moment is extracted again by its next run.
async fn drop_version(
    platform: &Platform,
    found: &mut Found,
    object: &ObjectMeta,
    manifest: &Manifest,
) -> Result<bool, Problem> {
    let version = (manifest.table.clone(), manifest.partition.clone(), manifest.digest.clone());
    let entry = platform.state.ledger_entry(&manifest.table, &manifest.partition).await?;
    found.needed.extend(versions_of(&entry));
    let record = platform.state.record().await?;
    for slot in record.slots().filter(|slot| !found.record.names(&slot.attempt)) {
        found.needed.extend(versions(&platform.state.inputs(&slot.attempt).await?.partitions));
    }
    found.record = record;
    if found.needed.contains(&version) {
        return Ok(false);
    }
    if !delete_all(platform, std::slice::from_ref(object)).await? {
        return Ok(false);
    }
    for object in &manifest.objects {
        match platform.store.delete(&object.key, Precondition::None).await {
            Ok(()) | Err(store::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}
