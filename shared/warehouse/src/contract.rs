//! What every warehouse must do, as functions over any of them. [`warehouse_contract!`](crate::warehouse_contract) makes a
//! named test of each case for a back end.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "these functions are tests")]

use std::sync::Mutex;

use async_trait::async_trait;
use pipeline::{Pipeline, Table};
use wap::{AttemptId, Color, Digest, Identifier, Manifest, PartitionKey, Slot};

use crate::{
    DeploymentRow, Desired, Error, Pin, PinnedPartition, Place, Publication, PublishedColumn, PublishedView, Warehouse,
};

/// A warehouse that tests may fill.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// The warehouse, empty at first.
    fn warehouse(&self) -> &dyn Warehouse;

    /// Runs statements in a slot, as dbt would.
    async fn execute(&self, slot: &Slot, sql: &str);

    /// Stores the rows of a query (`id`, `name`) as one object of the lake, and returns its manifest.
    async fn extract(&self, table: &Table, partition: &PartitionKey, query: &str) -> Manifest;

    /// Damages an object of a manifest: other bytes of the same length.
    async fn damage(&self, manifest: &Manifest);

    /// Truncates an object of a manifest.
    async fn truncate(&self, manifest: &Manifest);
}

/// Tests of every case of the contract for one back end: `$make` is an expression that gives a fresh fixture.
#[macro_export]
macro_rules! warehouse_contract {
    ($back_end:ident, $make:expr) => {
        mod $back_end {
            $crate::warehouse_contract!(@cases $make;
                a_slot_starts_empty_or_as_a_copy,
                a_repeated_create_starts_again,
                a_pin_shows_what_was_admitted_and_nothing_else,
                a_pin_outlives_what_happens_to_raw,
                a_column_that_older_objects_lack_is_null,
                a_required_column_that_older_objects_lack_is_refused,
                sealing_twice_is_sealing_once,
                any_change_to_a_sealed_slot_changes_its_fingerprint,
                a_dry_run_finds_a_missing_column,
                converging_shows_what_the_record_names,
                converging_follows_the_record_when_it_moves,
                readers_of_nothing_are_told_so,
                a_query_is_cut_at_its_limit,
                digests_do_not_depend_on_order,
                damaged_objects_are_named_and_not_loaded,
                dropped_relations_are_gone,
                a_dropped_slot_is_gone,
            );
        }
    };
    (@cases $make:expr; $($case:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                let fixture = $make;
                $crate::contract::$case(&fixture).await;
            }
        )*
    };
}

fn slot(cycle: u64, name: &str) -> Slot {
    let color = if cycle % 2 == 1 { Color::Blue } else { Color::Green };
    Slot { color, cycle, attempt: AttemptId::new(format!("attempt{name}")).unwrap() }
}

fn identifier(name: &str) -> Identifier {
    Identifier::new(name).unwrap()
}

fn partition(day: u8) -> PartitionKey {
    PartitionKey::new(format!("2025-08-{day:02}")).unwrap()
}

/// A table with `id` and `name`, and what `columns` adds.
fn table(columns: &str) -> Table {
    let source = format!(
        "version: 1\nname: contract\ntime_zone: UTC\nstart: 2025-08-01\nsources: {{s: {{kind: duckdb, path: s.duckdb}}}}\n\
         raw: {{dataset: raw}}\ntables:\n  things:\n    source: s\n    key: [id]\n    cursor: {{column: at}}\n    columns:\n      \
         - {{name: id, type: integer}}\n      - {{name: name, type: string}}\n      - {{name: at, type: timestamp}}\n{columns}\
         dbt: {{project: dbt, publish: [models]}}\n"
    );
    Pipeline::parse("contract.yaml", &source).unwrap().table("things").unwrap().clone()
}

fn publication(slot: &Slot, columns: &[&str]) -> Publication {
    let view = PublishedView {
        name: identifier("things"),
        schema: identifier("mart"),
        relation: identifier("things"),
        area: None,
        description: "It's a thing".to_owned(),
        columns: columns
            .iter()
            .map(|name| PublishedColumn { name: identifier(name), description: "its 'name'".to_owned() })
            .collect(),
    };
    let deployment = DeploymentRow {
        cycle: slot.cycle,
        attempt: slot.attempt.clone(),
        newest_partition: Some(partition(1)),
        held: vec![partition(2)],
    };
    Publication { views: vec![view], deployment }
}

async fn count(fixture: &dyn Fixture, place: &Place, from: &str) -> u64 {
    let sql = format!("SELECT COUNT(*) FROM {from}");
    fixture.warehouse().query(place, &sql, 1).await.unwrap().single().unwrap().as_u64().unwrap()
}

/// A slot with `mart.things` of some rows.
async fn built(fixture: &dyn Fixture, cycle: u64, name: &str, rows: u64) -> Slot {
    let slot = slot(cycle, name);
    fixture.warehouse().create(&slot, None).await.unwrap();
    let sql =
        format!("CREATE SCHEMA mart; CREATE TABLE mart.things AS SELECT range AS id, 'n' AS name FROM range({rows})");
    fixture.execute(&slot, &sql).await;
    slot
}

async fn sealed(fixture: &dyn Fixture, cycle: u64, name: &str, rows: u64) -> Slot {
    let slot = built(fixture, cycle, name, rows).await;
    fixture.warehouse().seal(&slot, &publication(&slot, &["id", "name"])).await.unwrap();
    slot
}

pub async fn a_slot_starts_empty_or_as_a_copy(fixture: &dyn Fixture) {
    let first = sealed(fixture, 1, "a", 3).await;
    let second = slot(2, "b");
    fixture.warehouse().create(&second, Some(&first)).await.unwrap();
    assert_eq!(count(fixture, &Place::Slot(second.clone()), "mart.things").await, 3);
    fixture.execute(&second, "DELETE FROM mart.things").await;
    assert_eq!(count(fixture, &Place::Slot(first), "mart.things").await, 3);
    assert_eq!(count(fixture, &Place::Slot(second), "mart.things").await, 0);
}

pub async fn a_repeated_create_starts_again(fixture: &dyn Fixture) {
    let first = sealed(fixture, 1, "a", 3).await;
    let second = slot(2, "b");
    fixture.warehouse().create(&second, Some(&first)).await.unwrap();
    fixture.execute(&second, "DROP TABLE mart.things CASCADE").await;
    fixture.warehouse().create(&second, Some(&first)).await.unwrap();
    assert_eq!(count(fixture, &Place::Slot(second), "mart.things").await, 3);
}

async fn pin(
    fixture: &dyn Fixture,
    slot: &Slot,
    table: &Table,
    partitions: &[&Manifest],
    changed: &[&Manifest],
) -> Result<(), Error> {
    let pinned = |manifest: &&Manifest| PinnedPartition { manifest: (*manifest).clone(), is_contiguous: true };
    let pin = Pin {
        table: table.clone(),
        partitions: partitions.iter().map(pinned).collect(),
        changed: changed.iter().map(|manifest| (*manifest).clone()).collect(),
    };
    fixture.warehouse().create(slot, None).await.unwrap();
    fixture.warehouse().pin(slot, &[pin]).await
}

pub async fn a_pin_shows_what_was_admitted_and_nothing_else(fixture: &dyn Fixture) {
    let table = table("");
    let one = fixture.extract(&table, &partition(1), "SELECT range AS id, 'old' AS name FROM range(2)").await;
    let two = fixture.extract(&table, &partition(2), "SELECT range AS id, 'new' AS name FROM range(5)").await;
    let old_two = fixture.extract(&table, &partition(2), "SELECT range AS id, 'old' AS name FROM range(4)").await;
    let slot = slot(1, "a");
    pin(fixture, &slot, &table, &[&one, &two], &[&old_two, &two]).await.unwrap();
    let place = Place::Slot(slot);
    assert_eq!(count(fixture, &place, "raw.things").await, 7);
    assert_eq!(count(fixture, &place, "raw.things WHERE bgp_partition = '2025-08-02' AND name = 'new'").await, 5);
    assert_eq!(count(fixture, &place, "changes.raw__things").await, 9);
    assert_eq!(count(fixture, &place, "raw.bgp_partitions WHERE is_contiguous AND row_count > 0").await, 2);
    // Pinning again is the same pin; a table without a partition is empty and there.
    let empty = self::slot(1, "b");
    pin(fixture, &empty, &table, &[], &[]).await.unwrap();
    assert_eq!(count(fixture, &Place::Slot(empty), "raw.things").await, 0);
}

pub async fn a_pin_outlives_what_happens_to_raw(fixture: &dyn Fixture) {
    let table = table("");
    let first = fixture.extract(&table, &partition(1), "SELECT range AS id, 'first' AS name FROM range(2)").await;
    fixture.warehouse().load(&table, &first).await.unwrap();
    let slot = slot(1, "a");
    pin(fixture, &slot, &table, &[&first], &[&first]).await.unwrap();
    let second = fixture.extract(&table, &partition(1), "SELECT range AS id, 'second' AS name FROM range(9)").await;
    fixture.warehouse().load(&table, &second).await.unwrap();
    fixture.warehouse().load(&table, &second).await.unwrap();
    assert_eq!(count(fixture, &Place::Slot(slot), "raw.things WHERE name = 'first'").await, 2);
}

pub async fn a_column_that_older_objects_lack_is_null(fixture: &dyn Fixture) {
    let old = fixture.extract(&table(""), &partition(1), "SELECT range AS id, 'x' AS name FROM range(2)").await;
    let wider = table("      - {name: color, type: string}\n");
    let slot = slot(1, "a");
    pin(fixture, &slot, &wider, &[&old], &[]).await.unwrap();
    assert_eq!(count(fixture, &Place::Slot(slot), "raw.things WHERE color IS NULL").await, 2);
}

pub async fn a_required_column_that_older_objects_lack_is_refused(fixture: &dyn Fixture) {
    let old = fixture.extract(&table(""), &partition(1), "SELECT range AS id, 'x' AS name FROM range(2)").await;
    let wider = table("      - {name: color, type: string, mode: required}\n");
    let error = pin(fixture, &slot(1, "a"), &wider, &[&old], &[]).await.unwrap_err();
    assert!(matches!(error, Error::Rejected { .. }));
    assert!(error.to_string().contains("color") && error.to_string().contains("things"), "{error}");
}

pub async fn sealing_twice_is_sealing_once(fixture: &dyn Fixture) {
    let slot = built(fixture, 1, "a", 3).await;
    let publication = publication(&slot, &["id", "name"]);
    let first = fixture.warehouse().seal(&slot, &publication).await.unwrap();
    assert_eq!(fixture.warehouse().seal(&slot, &publication).await.unwrap(), first);
    assert_eq!(fixture.warehouse().fingerprint(&slot).await.unwrap(), first);
    // Reading changes nothing.
    count(fixture, &Place::Slot(slot.clone()), "mart.things").await;
    assert_eq!(fixture.warehouse().fingerprint(&slot).await.unwrap(), first);
}

pub async fn any_change_to_a_sealed_slot_changes_its_fingerprint(fixture: &dyn Fixture) {
    let slot = sealed(fixture, 1, "a", 3).await;
    let before = fixture.warehouse().fingerprint(&slot).await.unwrap();
    fixture.execute(&slot, "UPDATE mart.things SET name = 'm' WHERE id = 1").await;
    assert_ne!(fixture.warehouse().fingerprint(&slot).await.unwrap(), before);
}

pub async fn a_dry_run_finds_a_missing_column(fixture: &dyn Fixture) {
    let slot = built(fixture, 1, "a", 3).await;
    fixture.warehouse().dry_run(&slot, &publication(&slot, &["id", "name"])).await.unwrap();
    let error = fixture.warehouse().dry_run(&slot, &publication(&slot, &["id", "color"])).await.unwrap_err();
    assert!(error.to_string().contains("things"), "{error}");
}

/// A record that tests may change.
struct Record(Mutex<Vec<Slot>>);

#[async_trait]
impl Desired for Record {
    async fn desired(&self) -> Result<Option<(Slot, Publication)>, Error> {
        let mut slots = self.0.lock().unwrap();
        // The last one stays.
        let slot = if slots.len() > 1 { slots.remove(0) } else { slots[0].clone() };
        let publication = publication(&slot, &["id", "name"]);
        Ok(Some((slot, publication)))
    }
}

pub async fn converging_shows_what_the_record_names(fixture: &dyn Fixture) {
    let first = sealed(fixture, 1, "a", 3).await;
    let second = sealed(fixture, 2, "b", 5).await;
    for (slot, rows) in [(&first, 3), (&second, 5), (&first, 3)] {
        let record = Record(Mutex::new(vec![slot.clone()]));
        let converged = fixture.warehouse().converge(&record).await.unwrap();
        assert!(converged.changed);
        assert_eq!(&converged.slot, slot);
        assert!(!fixture.warehouse().converge(&record).await.unwrap().changed);
        assert_eq!(count(fixture, &Place::Live, "live.things").await, rows);
        assert_eq!(fixture.warehouse().published().await.unwrap(), [slot.name()]);
    }
    let deployment = fixture.warehouse().query(&Place::Live, "SELECT * FROM live.deployment", 5).await.unwrap();
    assert_eq!(deployment.columns, ["cycle", "attempt", "newest_partition", "held"]);
    assert_eq!(serde_json::json!(deployment.rows), serde_json::json!([[1, "attempta", "2025-08-01", "2025-08-02"]]));
}

pub async fn converging_follows_the_record_when_it_moves(fixture: &dyn Fixture) {
    let first = sealed(fixture, 1, "a", 3).await;
    let second = sealed(fixture, 2, "b", 5).await;
    // Whoever published the first was slow: by the time that it is its turn, the record names the second.
    let record = Record(Mutex::new(vec![second.clone()]));
    fixture.warehouse().converge(&record).await.unwrap();
    let late = fixture.warehouse().converge(&Record(Mutex::new(vec![second.clone()]))).await.unwrap();
    assert_eq!(late.slot, second);
    assert_ne!(late.slot, first);
    assert_eq!(count(fixture, &Place::Live, "live.things").await, 5);
}

pub async fn readers_of_nothing_are_told_so(fixture: &dyn Fixture) {
    let error = fixture.warehouse().query(&Place::Live, "SELECT 1", 1).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    assert!(fixture.warehouse().published().await.unwrap().is_empty());
}

pub async fn a_query_is_cut_at_its_limit(fixture: &dyn Fixture) {
    let place = Place::Slot(built(fixture, 1, "a", 5).await);
    let sql = "SELECT id FROM mart.things ORDER BY id";
    let cut = fixture.warehouse().query(&place, sql, 3).await.unwrap();
    assert_eq!((cut.rows.len(), cut.is_cut), (3, true));
    let whole = fixture.warehouse().query(&place, sql, 5).await.unwrap();
    assert_eq!((whole.rows.len(), whole.is_cut), (5, false));
}

pub async fn digests_do_not_depend_on_order(fixture: &dyn Fixture) {
    let place = Place::Slot(built(fixture, 1, "a", 5000).await);
    let digest = async |sql: &str| -> Digest { fixture.warehouse().digest(&place, sql).await.unwrap() };
    let up = digest("SELECT id, name FROM mart.things ORDER BY id").await;
    assert_eq!(digest("SELECT name, id FROM mart.things ORDER BY id DESC").await, up);
    assert_ne!(digest("SELECT id, name FROM mart.things WHERE id > 0").await, up);
    assert_ne!(digest("SELECT id, CASE id WHEN 7 THEN 'm' ELSE name END AS name FROM mart.things").await, up);
}

pub async fn damaged_objects_are_named_and_not_loaded(fixture: &dyn Fixture) {
    let table = table("");
    let rows = "SELECT range AS id, 'x' AS name FROM range(100)";
    let damaged = fixture.extract(&table, &partition(1), rows).await;
    fixture.damage(&damaged).await;
    let truncated = fixture.extract(&table, &partition(2), rows).await;
    fixture.truncate(&truncated).await;
    for manifest in [damaged, truncated] {
        let error = fixture.warehouse().load(&table, &manifest).await.unwrap_err();
        assert!(matches!(error, Error::Rejected { .. }), "{error}");
        assert!(error.to_string().contains(&manifest.objects[0].key), "{error}");
    }
}

pub async fn dropped_relations_are_gone(fixture: &dyn Fixture) {
    let slot = built(fixture, 1, "a", 5).await;
    fixture.execute(&slot, "CREATE VIEW mart.seen AS SELECT 1 AS one").await;
    let names = ["mart.things", "mart.seen", "mart.never"].map(str::to_owned);
    fixture.warehouse().drop_relations(&slot, &names).await.unwrap();
    assert!(fixture.warehouse().columns(&slot, "mart", "things").await.unwrap().is_empty());
    assert!(fixture.warehouse().columns(&slot, "mart", "seen").await.unwrap().is_empty());
}

pub async fn a_dropped_slot_is_gone(fixture: &dyn Fixture) {
    let slot = sealed(fixture, 1, "a", 5).await;
    assert_eq!(fixture.warehouse().slots().await.unwrap(), [slot.name()]);
    fixture.warehouse().drop_slot(&slot.name()).await.unwrap();
    fixture.warehouse().drop_slot(&slot.name()).await.unwrap();
    assert!(fixture.warehouse().slots().await.unwrap().is_empty());
    assert!(fixture.warehouse().fingerprint(&slot).await.is_err());
}
