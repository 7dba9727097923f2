//! What there is. Reads only.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use pipeline::Pipeline;
use service::{Platform, Problem};
use state::CONCURRENT_READS;
use store::{ObjectMeta, ObjectStoreExt};
use wap::{AttemptId, Deployment, Digest, Identifier, InputMap, LedgerEntry, Manifest, PartitionKey};

use super::leftovers::{Leftover, leftovers};

/// One content of one partition of one table.
pub(crate) type Version = (Identifier, PartitionKey, Digest);

/// Everything that a cleanup looks at.
#[derive(Debug)]
pub(crate) struct Found {
    /// Read after all that was listed.
    pub record: Deployment,
    pub slots: Vec<String>,
    /// Documents of attempts by their id: the attempt itself, lease, inputs, publication.
    pub attempts: BTreeMap<AttemptId, Documents>,
    /// Receipts, runs, events and deliveries.
    pub history: Vec<ObjectMeta>,
    /// Objects with rows.
    pub objects: Vec<ObjectMeta>,
    pub manifests: Vec<(ObjectMeta, Manifest)>,
    /// What the ledger and the slots that the record names need of the lake.
    pub needed: BTreeSet<Version>,
    pub files: Vec<Leftover>,
}

/// What is stored of one attempt.
#[derive(Debug, Default)]
pub(crate) struct Documents {
    /// The attempt's own; without it there is no attempt of this id, or its documents are being written.
    pub own: Option<ObjectMeta>,
    pub lease: Option<ObjectMeta>,
    /// Inputs and publication.
    pub others: Vec<ObjectMeta>,
}

/// Takes the inventory.
pub(crate) async fn take(platform: &Platform) -> Result<Found, Problem> {
    let store = &platform.store;
    let home = platform.home.clone();
    let files = tokio::task::spawn_blocking(move || leftovers(&home))
        .await
        .map_err(|error| Problem::internal(format!("listing temporary files broke off: {error}")))?
        .map_err(|error| Problem::internal(format!("listing temporary files: {error}")))?;
    let slots = platform.warehouse.slots().await?;
    let mut objects = Vec::new();
    for prefix in lake_prefixes(&platform.pipeline) {
        objects.extend(store.list(&prefix).await?);
    }
    let mut attempts: BTreeMap<AttemptId, Documents> = BTreeMap::new();
    for prefix in ["attempts/", "inputs/", "publications/"] {
        for object in store.list(prefix).await? {
            let Some((id, is_lease)) = attempt_of(&object.key, prefix) else { continue };
            let documents = attempts.entry(id).or_default();
            match (prefix, is_lease) {
                ("attempts/", true) => documents.lease = Some(object),
                ("attempts/", false) => documents.own = Some(object),
                _ => documents.others.push(object),
            }
        }
    }
    let mut history = Vec::new();
    for prefix in ["receipts/", "runs/", "events/", "deliveries/"] {
        history.extend(store.list(prefix).await?);
    }
    // From here on what is needed: later than the lists, so that nothing in them became needed unseen.
    let manifests = manifests(platform, store.list("manifests/").await?).await?;
    let (record, needed) = needed(platform).await?;
    Ok(Found { record, slots, attempts, history, objects, manifests, needed, files })
}

/// Where objects with rows are: below the common prefix, and wherever a table has a place of its own.
pub(crate) fn lake_prefixes(pipeline: &Pipeline) -> Vec<String> {
    let mut prefixes = vec![format!("{}/", pipeline.lake.path)];
    for table in pipeline.tables.values() {
        let prefix = format!("{}/", table.lake.path);
        if !prefixes.iter().any(|known| prefix.starts_with(known)) {
            prefixes.push(prefix);
        }
    }
    prefixes
}

/// `attempts/ID.json`, `attempts/ID/lease`, `inputs/ID.json`: the id, and whether it is the lease.
fn attempt_of(key: &str, prefix: &str) -> Option<(AttemptId, bool)> {
    let rest = key.strip_prefix(prefix)?;
    match rest.strip_suffix(".json") {
        Some(id) => Some((AttemptId::new(id).ok()?, false)),
        None => Some((AttemptId::new(rest.strip_suffix("/lease")?).ok()?, true)),
    }
}

/// The record, and what the ledger and the slots that it names need.
async fn needed(platform: &Platform) -> Result<(Deployment, BTreeSet<Version>), Problem> {
    let mut needed = BTreeSet::new();
    for entry in platform.state.ledger().await? {
        needed.extend(versions_of(&entry));
    }
    // Later than the ledger: an attempt takes its inputs from there.
    let record = platform.state.record().await?;
    for slot in record.slots() {
        needed.extend(versions(&platform.state.inputs(&slot.attempt).await?.partitions));
    }
    Ok((record, needed))
}

pub(crate) fn versions_of(entry: &LedgerEntry) -> impl Iterator<Item = Version> {
    let steps = [&entry.extracted, &entry.loaded].into_iter().flatten();
    steps.map(|step| (entry.table.clone(), entry.partition.clone(), step.digest.clone()))
}

pub(crate) fn versions(inputs: &InputMap) -> impl Iterator<Item = Version> {
    inputs.iter().flat_map(|(table, partitions)| {
        partitions.iter().map(|(partition, digest)| (table.clone(), partition.clone(), digest.clone()))
    })
}

/// Reads manifests; one that is gone since it was listed is left out.
pub(crate) async fn manifests(
    platform: &Platform,
    listed: Vec<ObjectMeta>,
) -> Result<Vec<(ObjectMeta, Manifest)>, Problem> {
    let reads = listed.into_iter().map(|object| async move {
        let found = platform.store.get_json::<Manifest>(&object.key).await?;
        Ok::<_, Problem>(found.map(|(manifest, _)| (object, manifest)))
    });
    let found: Vec<_> = stream::iter(reads).buffered(CONCURRENT_READS).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}
