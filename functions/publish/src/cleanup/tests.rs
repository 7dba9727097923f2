//! What happens between the plan of a cleanup and a drop.

use std::collections::BTreeMap;

use bytes::Bytes;
use service::Config;
use store::{ObjectMeta, ObjectStoreExt, Precondition};
use wap::{
    Deployment, Digest, Identifier, Kept, LAKE_VERSION, LedgerStep, Live, Manifest, ManifestObject, PartitionKey,
    RECORD_KEY, Slot,
};

use super::plan::Target;
use super::*;

const PIPELINE: &str = "\
version: 1
name: test
time_zone: UTC
start: 2025-01-01
sources: {s: {kind: duckdb, path: source.duckdb}}
tables:
  t:
    source: s
    key: [id]
    partition: {granularity: all}
    columns: [{name: id, type: integer}]
dbt: {project: dbt, publish: [m]}
live: {dataset: live}
retention: {lake_days: 1, receipts_days: 1}
";

struct Fixture {
    platform: Platform,
    _home: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("pipeline.yaml");
        std::fs::write(&file, PIPELINE).unwrap();
        let folder = |name: &str| home.path().join(name);
        let variables = [("BGP_CONFIG", file), ("BGP_HOME", folder("home")), ("BGP_CACHE", folder("cache"))];
        let variables = variables.map(|(name, path)| (name.to_owned(), path.to_str().unwrap().to_owned()));
        let config = Config::from_variables(&BTreeMap::from(variables)).unwrap();
        Self { platform: Platform::open(&config).await.unwrap(), _home: home }
    }

    async fn put(&self, key: &str, content: &'static str) -> ObjectMeta {
        self.platform.store.put(key, Bytes::from_static(content.as_bytes()), Precondition::None).await.unwrap();
        self.platform.store.head(key).await.unwrap()
    }

    async fn record(&self, record: &Deployment) {
        self.platform.store.put_json(RECORD_KEY, record, Precondition::None).await.unwrap();
    }

    /// Drops one thing that was planned when the inventory was taken, after `meanwhile` has happened.
    async fn discard(&self, target: Target, meanwhile: impl AsyncFnOnce(&Self)) -> bool {
        let mut found = take(&self.platform).await.unwrap();
        meanwhile(self).await;
        let item = Item { kind: Kind::Slot, name: String::new(), reason: String::new(), bytes: 0, target };
        discard(&self.platform, &mut found, &item).await.unwrap()
    }
}

fn live(slot: &Slot) -> Live {
    Live {
        slot: slot.clone(),
        views: BTreeMap::new(),
        inputs: Digest::of("inputs"),
        newest_partition: None,
        held: Vec::new(),
        published_at: Timestamp::UNIX_EPOCH,
    }
}

/// A record that keeps a slot whose time is over.
async fn with_kept_slot(fixture: &Fixture) -> (Slot, Deployment) {
    let slot = Slot::named("blue_1_0123456789").unwrap();
    fixture.platform.warehouse.create(&slot, None, &[]).await.unwrap();
    // On DuckDB a slot is there once something was written to it.
    std::fs::write(fixture.platform.slot_file(&slot).unwrap(), "a database").unwrap();
    fixture.put("inputs/0123456789.json", "{\"version\": 1, \"partitions\": {}, \"models\": {}}").await;
    let kept = Some(Kept { live: live(&slot), until: Timestamp::UNIX_EPOCH });
    let record = Deployment { cycle: 2, kept, ..Deployment::default() };
    fixture.record(&record).await;
    (slot, record)
}

#[tokio::test]
async fn the_record_forgets_the_kept_slot_before_it_goes() {
    let fixture = Fixture::new().await;
    let (slot, _) = with_kept_slot(&fixture).await;
    assert!(fixture.discard(Target::KeptSlot(slot), async |_| ()).await);
    assert_eq!(fixture.platform.state.record().await.unwrap().kept, None);
    assert!(fixture.platform.warehouse.slots().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_kept_slot_that_became_live_again_meanwhile_stays() {
    let fixture = Fixture::new().await;
    let (slot, record) = with_kept_slot(&fixture).await;
    let rolled_back = Deployment { cycle: 3, live: Some(live(&slot)), kept: None, ..record };
    for target in [Target::KeptSlot(slot.clone()), Target::Slot(slot.clone())] {
        assert!(!fixture.discard(target, async |fixture| fixture.record(&rolled_back).await).await);
        assert_eq!(fixture.platform.warehouse.slots().await.unwrap(), [slot.name()]);
        assert_eq!(fixture.platform.state.record().await.unwrap(), rolled_back);
    }
}

#[tokio::test]
async fn documents_of_an_attempt_that_the_record_names_meanwhile_stay() {
    let fixture = Fixture::new().await;
    let (slot, record) = with_kept_slot(&fixture).await;
    fixture.record(&Deployment::default()).await;
    let object = fixture.put("attempts/0123456789.json", "{}").await;
    let target = || Target::Documents(slot.attempt.clone(), vec![object.clone()]);
    assert!(!fixture.discard(target(), async |fixture| fixture.record(&record).await).await);
    fixture.record(&Deployment::default()).await;
    assert!(fixture.discard(target(), async |_| ()).await);
}

#[tokio::test]
async fn an_object_that_was_written_again_meanwhile_stays() {
    let fixture = Fixture::new().await;
    let object = fixture.put("runs/one.json", "{}").await;
    let again = async |fixture: &Fixture| drop(fixture.put("runs/one.json", "{\"a\": 1}").await);
    assert!(!fixture.discard(Target::Objects(vec![object]), again).await);
    assert!(fixture.platform.store.head("runs/one.json").await.is_ok());
}

fn manifest(object: &ObjectMeta) -> Manifest {
    Manifest {
        version: LAKE_VERSION,
        table: Identifier::new("t").unwrap(),
        partition: PartitionKey::all(),
        window: None,
        digest: Digest::of("rows"),
        contract: Digest::of("contract"),
        load: Some("upload".to_owned()),
        rows: 1,
        bytes: object.bytes,
        columns: Vec::new(),
        objects: vec![ManifestObject {
            key: object.key.clone(),
            generation: object.generation,
            rows: 1,
            bytes: object.bytes,
            checksum: Digest::of("rows"),
        }],
        sums: BTreeMap::new(),
    }
}

async fn store(fixture: &Fixture, manifest: &Manifest) -> ObjectMeta {
    fixture.platform.state.put_manifest(manifest).await.unwrap();
    let key = Manifest::key(&manifest.table, &manifest.partition, &manifest.digest);
    fixture.platform.store.head(&key).await.unwrap()
}

#[tokio::test]
async fn an_upload_whose_manifest_comes_meanwhile_stays() {
    let fixture = Fixture::new().await;
    let object = fixture.put("lake/t/all/upload/part-0.parquet", "rows").await;
    let upload = Target::Upload(vec![object.clone()]);
    let late = async |fixture: &Fixture| drop(store(fixture, &manifest(&object)).await);
    assert!(!fixture.discard(upload, late).await);
    assert!(fixture.platform.store.head(&object.key).await.is_ok());
}

#[tokio::test]
async fn a_content_that_the_ledger_names_again_meanwhile_stays() {
    let fixture = Fixture::new().await;
    let object = fixture.put("lake/t/all/upload/part-0.parquet", "rows").await;
    let manifest = manifest(&object);
    let stored = store(&fixture, &manifest).await;
    let target = || Target::Version(stored.clone(), Box::new(manifest.clone()));
    let name = |step: Option<LedgerStep>| {
        let manifest = &manifest;
        async move |fixture: &Fixture| {
            let state = &fixture.platform.state;
            let change = |entry: &mut wap::LedgerEntry| entry.extracted = step.clone();
            state.update_ledger(&manifest.table, &manifest.partition, change).await.map(drop).unwrap();
        }
    };
    let step = LedgerStep { digest: manifest.digest.clone(), rows: 1, bytes: 1, at: Timestamp::UNIX_EPOCH };
    assert!(!fixture.discard(target(), name(Some(step))).await);
    assert!(fixture.platform.store.head(&object.key).await.is_ok());
    name(None)(&fixture).await;
    assert!(fixture.discard(target(), async |_| ()).await);
    assert!(fixture.platform.store.head(&object.key).await.is_err());
    assert!(fixture.platform.store.head(&stored.key).await.is_err());
}
