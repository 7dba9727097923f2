//! The ledger, against what the lake and raw hold.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use service::{Platform, Problem};
use store::Precondition;
use wap::{Deployment, Identifier, LAKE_VERSION, LedgerEntry, LedgerStep, Manifest, PartitionKey};

use super::Examination;
use super::document::{Document, read};
use super::finding::Finding;
use super::lake::Lake;
use super::mend::Mend;

type Partition = (Identifier, PartitionKey);

/// What raw holds: the upload of every partition.
type Raw = BTreeMap<Partition, String>;

/// Compares ledger, lake and raw.
pub(crate) async fn examine(
    platform: &Platform,
    record: &Deployment,
    lake: &Lake,
    examination: &mut Examination,
) -> Result<(), Problem> {
    let mut raw = Raw::new();
    for table in platform.pipeline.tables.values() {
        for loaded in platform.warehouse.loaded(table).await? {
            raw.insert((table.name.clone(), loaded.partition), loaded.load);
        }
    }
    let mut known: BTreeSet<Partition> = BTreeSet::new();
    for listed in platform.store.list("ledger/").await? {
        let Some(partition) = place_of(&listed.key) else { continue };
        known.insert(partition.clone());
        let document: Document<LedgerEntry> = read(platform, &listed.key, Some(LAKE_VERSION)).await?;
        let (found, generation) = match document {
            Document::Absent => continue,
            Document::Read(entry, generation) => {
                if (&entry.table, &entry.partition) == (&partition.0, &partition.1) {
                    entry_and_lake(platform, &entry, lake, examination);
                    entry_and_raw(platform, &entry, generation, &raw, lake, examination);
                    continue;
                }
                let found = format!("it is the entry of partition {} of table {}", entry.partition, entry.table);
                (found, generation)
            }
            Document::Unreadable(why, generation) => (why, generation),
            Document::Version(found) => {
                examination.found(
                    Finding::error("ledger_version", listed.key, format!("format version {found}"))
                        .expected(format!("format version {LAKE_VERSION}"))
                        .remedy("use the program that wrote it, or a newer one"),
                );
                continue;
            }
        };
        let finding = Finding::error("ledger_unreadable", listed.key, found);
        rebuilt(finding, &partition, Precondition::Generation(generation), &raw, lake, examination);
    }
    for partition in lake.manifests.keys().filter(|partition| !known.contains(partition)) {
        let finding =
            Finding::error("ledger_missing", LedgerEntry::key(&partition.0, &partition.1), "there is no entry");
        rebuilt(finding, partition, Precondition::Absent, &raw, lake, examination);
    }
    for (table, partition) in raw.keys().filter(|partition| !known.contains(partition)) {
        if lake.of(table, partition).is_empty() {
            examination.found(
                Finding::warning(
                    "raw_unknown",
                    format!("{table}/{partition}"),
                    "raw holds it; ledger and lake do not know it",
                )
                .expected("raw holds what was extracted")
                .remedy(format!("bgp run daily --partition {partition}, where the source has it")),
            );
        }
    }
    let partitions: BTreeSet<&PartitionKey> = known.iter().map(|(_, partition)| partition).collect();
    examination.checked("partitions", partitions.len());
    examination.checked("holds", record.held.len());
    Ok(())
}

/// `ledger/TABLE/PARTITION.json`.
fn place_of(key: &str) -> Option<Partition> {
    let (table, partition) = key.strip_prefix("ledger/")?.strip_suffix(".json")?.split_once('/')?;
    Some((Identifier::new(table).ok()?, PartitionKey::new(partition).ok()?))
}

/// An entry as lake and raw say that it should be, where they say it.
fn rebuilt(
    finding: Finding,
    place: &Partition,
    precondition: Precondition,
    raw: &Raw,
    lake: &Lake,
    examination: &mut Examination,
) {
    let manifests = lake.of(&place.0, &place.1);
    let loaded = raw.get(place).and_then(|load| manifests.iter().find(|manifest| upload(manifest) == load));
    let only = match manifests {
        [only] => Some(only),
        _ => None,
    };
    let Some(newest) = loaded.or(only) else {
        let many = manifests.len();
        examination.found(
            finding
                .expected(format!("which of {many} contents in the lake was extracted last, and is loaded"))
                .remedy(format!("delete it if it is there, and: bgp run daily --partition {}", place.1)),
        );
        return;
    };
    let entry = LedgerEntry {
        version: LAKE_VERSION,
        table: place.0.clone(),
        partition: place.1.clone(),
        extracted: Some(step(newest)),
        read_at: None,
        loaded: loaded.map(step),
    };
    let expected = format!("an entry that says that {} was extracted last", newest.digest);
    examination.found(finding.expected(expected).mend(Mend::Ledger(Box::new(entry), precondition)));
}

fn step(manifest: &Manifest) -> LedgerStep {
    LedgerStep { digest: manifest.digest.clone(), rows: manifest.rows, bytes: manifest.bytes, at: Timestamp::now() }
}

/// The id of the upload that wrote the objects.
fn upload(manifest: &Manifest) -> &str {
    manifest.load.as_deref().unwrap_or(manifest.digest.as_str())
}

fn entry_and_lake(platform: &Platform, entry: &LedgerEntry, lake: &Lake, examination: &mut Examination) {
    if !platform.pipeline.tables.contains_key(&entry.table) {
        return;
    }
    let missing: BTreeSet<_> = [&entry.extracted, &entry.loaded]
        .into_iter()
        .flatten()
        .filter(|step| lake.manifest(&entry.table, &entry.partition, &step.digest).is_none())
        .map(|step| &step.digest)
        .collect();
    for digest in missing {
        examination.found(
            Finding::error(
                "ledger_names_no_manifest",
                LedgerEntry::key(&entry.table, &entry.partition),
                format!("it names {digest}, of which the lake has no manifest"),
            )
            .expected("the lake has what was extracted")
            .remedy(format!("bgp run daily --partition {}: it is extracted again", entry.partition)),
        );
    }
}

fn entry_and_raw(
    platform: &Platform,
    entry: &LedgerEntry,
    generation: store::Generation,
    raw: &Raw,
    lake: &Lake,
    examination: &mut Examination,
) {
    let place = (entry.table.clone(), entry.partition.clone());
    if !platform.pipeline.tables.contains_key(&entry.table) {
        return;
    }
    let subject = format!("{}/{}", entry.table, entry.partition);
    let held = raw.get(&place);
    let Some(step) = &entry.loaded else {
        let Some(load) = held else { return };
        let manifests = lake.of(&entry.table, &entry.partition);
        let Some(manifest) = manifests.iter().find(|manifest| upload(manifest) == load) else { return };
        let next = LedgerEntry { loaded: Some(self::step(manifest)), ..entry.clone() };
        examination.found(
            Finding::warning("raw_unrecorded", subject, format!("raw holds upload {load}; the ledger does not say so"))
                .expected("the ledger says what is loaded")
                .mend(Mend::Ledger(Box::new(next), Precondition::Generation(generation))),
        );
        return;
    };
    let Some(manifest) = lake.manifest(&entry.table, &entry.partition, &step.digest) else { return };
    if held.is_some_and(|load| load == upload(manifest)) {
        return;
    }
    let found = held.map_or_else(|| "raw does not hold it".to_owned(), |load| format!("raw holds upload {load}"));
    examination.found(
        Finding::error("raw_differs", subject, found)
            .expected(format!("upload {}, which the ledger says is loaded", upload(manifest)))
            .mend(Mend::Load(entry.table.clone(), entry.partition.clone(), step.digest.clone())),
    );
}
