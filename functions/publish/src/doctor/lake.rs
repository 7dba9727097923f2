//! The lake: manifests, the objects that they name, and what is left of uploads.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::io;

use service::{Kind, Platform, Problem};
use store::{MAX_DOCUMENT_BYTES, ObjectMeta};
use wap::{Deployment, Digest, Identifier, LAKE_VERSION, Manifest, ManifestObject, PartitionKey};

use super::Examination;
use super::document::{Document, read};
use super::finding::Finding;
use super::mend::Mend;
use crate::cleanup::{self, lake_prefixes};

/// So many objects are read where not all are asked for.
const SAMPLE: usize = 16;

/// What the lake holds.
#[derive(Debug, Default)]
pub(crate) struct Lake {
    /// Sound manifests by table and partition.
    pub manifests: BTreeMap<(Identifier, PartitionKey), Vec<Manifest>>,
}

impl Lake {
    pub(crate) fn of(&self, table: &Identifier, partition: &PartitionKey) -> &[Manifest] {
        self.manifests.get(&(table.clone(), partition.clone())).map(Vec::as_slice).unwrap_or_default()
    }

    pub(crate) fn manifest(&self, table: &Identifier, partition: &PartitionKey, digest: &Digest) -> Option<&Manifest> {
        self.of(table, partition).iter().find(|manifest| &manifest.digest == digest)
    }
}

/// Compares manifests with their objects.
pub(crate) async fn examine(
    platform: &Platform,
    record: &Deployment,
    is_deep: bool,
    examination: &mut Examination,
) -> Result<Lake, Problem> {
    let mut lake = Lake::default();
    let mut is_whole = true;
    for listed in platform.store.list("manifests/").await? {
        let document: Document<Manifest> = read(platform, &listed.key, Some(LAKE_VERSION)).await?;
        if matches!(document, Document::Absent) {
            continue;
        }
        let manifest = document.sound().and_then(|manifest| {
            let own = Manifest::key(&manifest.table, &manifest.partition, &manifest.digest);
            if own == listed.key { Ok(manifest) } else { Err(format!("it is the manifest that belongs at {own}")) }
        });
        match manifest {
            Ok(manifest) => {
                let place = (manifest.table.clone(), manifest.partition.clone());
                lake.manifests.entry(place).or_default().push(manifest);
            }
            Err(found) => {
                is_whole = false;
                examination.found(
                    Finding::error("manifest_unreadable", listed.key, found)
                        .expected("the manifest of its table, partition and digest")
                        .remedy("restore it from a backup; or delete it and run its partition again"),
                );
            }
        }
    }
    needed(platform, record, &lake, examination).await?;
    objects(platform, &lake, is_deep, examination).await?;
    // What an unreadable manifest names is not known, so nothing is called left over then; nor without inputs or ledger,
    // which is told of elsewhere.
    if is_whole {
        match cleanup::take(platform).await {
            Ok(found) => leftovers(&found, examination),
            Err(error) if error.kind == Kind::Internal => {}
            Err(error) => return Err(error),
        }
    }
    Ok(lake)
}

/// The contents that the slots of the record are built from have manifests.
async fn needed(
    platform: &Platform,
    record: &Deployment,
    lake: &Lake,
    examination: &mut Examination,
) -> Result<(), Problem> {
    let mut missing = BTreeSet::new();
    for slot in record.slots() {
        // Inputs that can't be read are told of where the record is examined.
        let Ok(inputs) = platform.state.inputs(&slot.attempt).await else { continue };
        for (table, partitions) in &inputs.partitions {
            for (partition, digest) in partitions {
                if lake.manifest(table, partition, digest).is_none() {
                    missing.insert((Manifest::key(table, partition, digest), partition.clone()));
                }
            }
        }
    }
    for (key, partition) in missing {
        examination.found(
            Finding::error("manifest_missing", key, "a slot that the record names was built from it")
                .expected("the lake keeps it as long as a slot needs it")
                .remedy(format!("restore it from a backup; or, where the source still has these rows: bgp run daily --partition {partition}")),
        );
    }
    Ok(())
}

async fn objects(
    platform: &Platform,
    lake: &Lake,
    is_deep: bool,
    examination: &mut Examination,
) -> Result<(), Problem> {
    let mut listed: BTreeMap<String, ObjectMeta> = BTreeMap::new();
    for prefix in lake_prefixes(&platform.pipeline) {
        listed.extend(platform.store.list(&prefix).await?.into_iter().map(|object| (object.key.clone(), object)));
    }
    let mut whole: Vec<(&Manifest, &ManifestObject)> = Vec::new();
    for manifest in lake.manifests.values().flatten() {
        for object in &manifest.objects {
            match listed.get(&object.key) {
                None => examination.found(damaged("object_missing", manifest, object, "it is missing")),
                Some(found) if found.bytes != object.bytes => {
                    examination.found(damaged(
                        "object_size",
                        manifest,
                        object,
                        &format!("it has {} bytes", found.bytes),
                    ));
                }
                Some(_) => whole.push((manifest, object)),
            }
        }
    }
    examination.checked("objects", whole.len());
    if !is_deep {
        // Others each time.
        let order = RandomState::new();
        whole.sort_by_cached_key(|(_, object)| order.hash_one(&object.key));
        whole.truncate(SAMPLE);
    }
    let mut read = 0;
    for (manifest, object) in whole {
        match checksum(platform, object).await? {
            Some(found) if found != object.checksum => {
                examination.found(damaged("object_damaged", manifest, object, &format!("its checksum is {found}")));
            }
            found => read += usize::from(found.is_some()),
        }
    }
    examination.checked("objects_read", read);
    Ok(())
}

fn damaged(code: &'static str, manifest: &Manifest, object: &ManifestObject, found: &str) -> Finding {
    Finding::error(code, &object.key, found)
        .expected(format!("{} bytes with checksum {}, as its manifest says", object.bytes, object.checksum))
        .remedy(format!(
            "restore it from a backup; or delete {} and, where the source still has these rows: bgp run daily --partition {}",
            Manifest::key(&manifest.table, &manifest.partition, &manifest.digest),
            manifest.partition
        ))
}

/// The checksum of an object; nothing for one that is too large to be read here, or that went away.
async fn checksum(platform: &Platform, object: &ManifestObject) -> Result<Option<Digest>, Problem> {
    if let Some(path) = platform.store.local_path(&object.key) {
        let hashed = tokio::task::spawn_blocking(move || -> io::Result<Digest> {
            let mut hasher = blake3::Hasher::new();
            hasher.update_reader(std::fs::File::open(path)?)?;
            Ok(hasher.finalize().into())
        });
        return match hashed.await {
            Ok(Ok(digest)) => Ok(Some(digest)),
            Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Ok(Err(error)) => Err(Problem::internal(format!("reading {}: {error}", object.key))),
            Err(error) => Err(Problem::internal(format!("reading {} broke off: {error}", object.key))),
        };
    }
    if object.bytes > MAX_DOCUMENT_BYTES {
        return Ok(None);
    }
    match platform.store.get(&object.key).await {
        Ok(found) => Ok(Some(Digest::of(&found.content))),
        Err(store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What died while it was being written. Old slots and versions are no finding: cleanup drops them when their time is over.
fn leftovers(found: &cleanup::Found, examination: &mut Examination) {
    for item in cleanup::crashed(found) {
        let code = if item.kind == cleanup::Kind::Upload { "upload_orphaned" } else { "temporary_left" };
        examination.found(
            Finding::warning(code, &item.name, &item.reason)
                .expected("nothing is left of what was not finished")
                .mend(Mend::Discard(Box::new(item.clone()))),
        );
    }
}
