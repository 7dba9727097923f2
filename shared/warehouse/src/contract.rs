//! What every warehouse must do, as functions over any of them. [`warehouse_contract!`](crate::warehouse_contract) makes a
//! named test of each case for a back end.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "these functions are tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Mutex;

use async_trait::async_trait;
use pipeline::{Pipeline, Table};
use wap::{
    AttemptId, Color, Digest, Identifier, LAKE_VERSION, Manifest, ManifestColumn, ManifestObject, PartitionKey, Slot,
};

use crate::{
    BuiltModel, DeploymentRow, Desired, Error, Loaded, Pin, PinnedPartition, Place, Publication, PublishedColumn,
    PublishedView, Statistics, Step, Warehouse,
};

/// A row of the tables that fixtures make: columns `id` (integer) and `name` (text).
pub type Row = (i64, String);

/// A warehouse that tests may fill.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// The warehouse, empty at first.
    fn warehouse(&self) -> &dyn Warehouse;

    /// Makes a table of a slot with exactly these rows, as dbt would; one that is there is replaced.
    async fn write(&self, slot: &Slot, schema: &str, relation: &str, rows: &[Row]);

    /// Makes a view of a slot that shows all of a relation of the same slot, as dbt would.
    async fn view(&self, slot: &Slot, schema: &str, relation: &str, over: &str);

    /// Stores rows as one object of the lake, and returns its manifest.
    async fn extract(&self, table: &Table, partition: &PartitionKey, rows: &[Row]) -> Manifest;

    /// The file of an object of a manifest, for tests that spoil it.
    fn file(&self, object: &ManifestObject) -> PathBuf;
}

/// The manifest of rows that were stored as one object.
pub fn manifest(table: &Table, partition: &PartitionKey, rows: &[Row], object: ManifestObject) -> Manifest {
    let window = table.calendar.window(partition).unwrap();
    let column = |name: &str, data_type: &str| ManifestColumn {
        name: identifier(name),
        data_type: data_type.to_owned(),
        nullable: true,
    };
    Manifest {
        version: LAKE_VERSION,
        table: table.name.clone(),
        partition: partition.clone(),
        window: Some((window.start, window.end)),
        digest: Digest::of(format!("{rows:?}")),
        contract: table.contract_digest(),
        load: None,
        rows: object.rows,
        bytes: object.bytes,
        columns: vec![column("id", "BIGINT"), column("name", "VARCHAR"), column("at", "TIMESTAMP WITH TIME ZONE")],
        objects: vec![object],
        sums: BTreeMap::new(),
    }
}

/// Tests of every case of the contract for one back end: `$make` is an expression that gives a fresh fixture.
///
/// A case that a back end can't pass is declared with the reason after `except`; its test fails when the case passes.
#[macro_export]
macro_rules! warehouse_contract {
    ($back_end:ident, $make:expr $(, except { $($gap:ident: $reason:literal),* $(,)? })?) => {
        mod $back_end {
            const GAPS: &[(&str, &str)] = &[$($((stringify!($gap), $reason)),*)?];
            $crate::warehouse_contract!(@cases $make;
                a_slot_starts_empty_or_as_a_copy,
                a_place_is_made_once,
                views_are_carried_into_the_next_slot,
                finished_models_of_another_slot_are_adopted,
                a_pin_shows_what_was_admitted_and_nothing_else,
                a_pin_outlives_what_happens_to_raw,
                a_pin_heals_what_raw_holds_wrongly,
                an_empty_partition_is_pinned_empty,
                a_column_that_older_objects_lack_is_null,
                a_required_column_that_older_objects_lack_is_refused,
                sealing_twice_is_sealing_once,
                any_change_to_a_sealed_slot_changes_its_fingerprint,
                a_dry_run_finds_a_missing_column,
                converging_shows_what_the_record_names,
                converging_follows_the_record_when_it_moves,
                a_view_is_taken_from_readers_only_when_it_was_given_up,
                readers_of_nothing_are_told_so,
                a_query_is_cut_at_its_limit,
                values_read_the_same_from_every_back_end,
                digests_are_the_same_in_any_order_and_back_end,
                damaged_objects_are_named_and_not_loaded,
                relations_and_their_columns_are_listed,
                dropped_relations_are_gone,
                a_dropped_slot_is_gone,
                what_is_loaded_is_told,
                readers_who_see_something_else_are_told_of,
                two_slots_are_compared_in_one_query,
                steps_are_counted_apart,
                an_attempt_without_jobs_has_none_to_cancel,
            );
        }
    };
    (@cases $make:expr; $($case:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                let fixture = $make;
                let gap = GAPS.iter().find(|(case, _)| *case == stringify!($case));
                let outcome = tokio::spawn(async move { $crate::contract::$case(&fixture).await }).await;
                match (outcome, gap) {
                    (Ok(()), None) | (Err(_), Some(_)) => {}
                    (Ok(()), Some((case, reason))) => panic!("{case} passes; it is declared as a gap: {reason}"),
                    (Err(error), None) => std::panic::resume_unwind(error.into_panic()),
                }
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

pub(crate) fn partition(day: u8) -> PartitionKey {
    PartitionKey::new(format!("2025-08-{day:02}")).unwrap()
}

/// A table with `id` and `name`, and what `columns` adds.
pub(crate) fn table(columns: &str) -> Table {
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

async fn single(fixture: &dyn Fixture, place: &Place, sql: &str) -> u64 {
    fixture.warehouse().query(place, sql, 1).await.unwrap().single().unwrap().as_u64().unwrap()
}

/// How many rows a relation of a slot has for which `filter` holds.
async fn count_where(fixture: &dyn Fixture, slot: &Slot, relation: &str, filter: &str) -> u64 {
    let (schema, name) = relation.split_once('.').unwrap();
    let from = fixture.warehouse().relation(slot, schema, name);
    single(fixture, &Place::Slot(slot.clone()), &format!("SELECT COUNT(*) AS n FROM {from} WHERE {filter}")).await
}

async fn count(fixture: &dyn Fixture, slot: &Slot, relation: &str) -> u64 {
    count_where(fixture, slot, relation, "TRUE").await
}

async fn count_live(fixture: &dyn Fixture, view: &str) -> u64 {
    single(fixture, &Place::Live, &format!("SELECT COUNT(*) AS n FROM live.{view}")).await
}

fn rows(number: i64, name: &str) -> Vec<Row> {
    (0..number).map(|id| (id, name.to_owned())).collect()
}

/// A slot with `mart.things` of some rows.
async fn built(fixture: &dyn Fixture, cycle: u64, name: &str, number: i64) -> Slot {
    let slot = slot(cycle, name);
    fixture.warehouse().create(&slot, None, &[]).await.unwrap();
    fixture.write(&slot, "mart", "things", &rows(number, "n")).await;
    slot
}

async fn sealed(fixture: &dyn Fixture, cycle: u64, name: &str, number: i64) -> Slot {
    let slot = built(fixture, cycle, name, number).await;
    fixture.warehouse().seal(&slot, &publication(&slot, &["id", "name"])).await.unwrap();
    slot
}

pub async fn a_slot_starts_empty_or_as_a_copy(fixture: &dyn Fixture) {
    let first = sealed(fixture, 1, "a", 3).await;
    let second = slot(2, "b");
    fixture.warehouse().create(&second, Some(&first), &[]).await.unwrap();
    assert_eq!(count(fixture, &second, "mart.things").await, 3);
    fixture.write(&second, "mart", "things", &[]).await;
    assert_eq!(count(fixture, &first, "mart.things").await, 3);
    assert_eq!(count(fixture, &second, "mart.things").await, 0);
}

pub async fn a_place_is_made_once(fixture: &dyn Fixture) {
    let first = sealed(fixture, 1, "a", 3).await;
    let second = slot(2, "b");
    for (slot, from) in [(&first, None), (&second, Some(&first))] {
        if slot == &second {
            fixture.warehouse().create(slot, from, &[]).await.unwrap();
            fixture.write(slot, "mart", "things", &rows(1, "n")).await;
        }
        let before = count(fixture, slot, "mart.things").await;
        let error = fixture.warehouse().create(slot, from, &[]).await.unwrap_err();
        assert!(matches!(error, Error::Conflict { .. }), "{error}");
        assert_eq!(count(fixture, slot, "mart.things").await, before);
    }
}

pub async fn views_are_carried_into_the_next_slot(fixture: &dyn Fixture) {
    let table = table("");
    let partition_one = fixture.extract(&table, &partition(1), &rows(4, "x")).await;
    let first = slot(1, "a");
    pin(fixture, &first, None, &table, &[&partition_one], &[]).await.unwrap();
    fixture.write(&first, "mart", "things", &rows(3, "n")).await;
    // Made in this order, and carried in one that is possible: each needs the one before, the first needs the pin.
    fixture.view(&first, "staging", "things", "raw.things").await;
    fixture.view(&first, "mart", "middle", "mart.things").await;
    fixture.view(&first, "mart", "a_last", "mart.middle").await;
    fixture.warehouse().seal(&first, &publication(&first, &["id", "name"])).await.unwrap();

    let second = slot(2, "b");
    let partition_two = fixture.extract(&table, &partition(2), &rows(5, "x")).await;
    pin(fixture, &second, Some(&first), &table, &[&partition_one, &partition_two], &[]).await.unwrap();
    fixture.write(&second, "mart", "things", &rows(7, "n")).await;
    for (relation, before, after) in [("mart.middle", 3, 7), ("mart.a_last", 3, 7), ("staging.things", 4, 9)] {
        assert_eq!(count(fixture, &first, relation).await, before, "{relation} of the first slot");
        assert_eq!(count(fixture, &second, relation).await, after, "{relation} of the second slot");
    }
}

pub async fn finished_models_of_another_slot_are_adopted(fixture: &dyn Fixture) {
    let table = table("");
    let admitted = fixture.extract(&table, &partition(1), &rows(4, "x")).await;
    let live = slot(1, "a");
    pin(fixture, &live, None, &table, &[&admitted], &[]).await.unwrap();
    for relation in ["built", "things"] {
        fixture.write(&live, "mart", relation, &rows(3, "n")).await;
    }
    // The models `built` and `seen` were finished there, and `things` was not.
    let expired = slot(2, "b");
    pin(fixture, &expired, Some(&live), &table, &[&admitted], &[]).await.unwrap();
    fixture.write(&expired, "mart", "built", &rows(7, "n")).await;
    fixture.write(&expired, "mart", "things", &rows(9, "n")).await;
    fixture.view(&expired, "mart", "seen", "mart.built").await;
    fixture.write(&expired, "changes", "built", &rows(2, "n")).await;
    fixture.view(&expired, "changes", "seen", "changes.built").await;
    fixture.view(&expired, "changes", "seen__rebuilt", "changes.built").await;

    let model =
        |name: &str| BuiltModel { name: name.to_owned(), schema: identifier("mart"), relation: name.to_owned() };
    let models = [model("built"), model("seen")];
    let next = slot(2, "c");
    fixture.warehouse().create(&next, Some(&live), &models).await.unwrap();
    fixture.warehouse().pin(&next, &[pin_of(&table, &[&admitted], &[])]).await.unwrap();
    assert!(fixture.warehouse().adopt(&next, &expired, &models).await.unwrap());
    let expected = [
        ("mart.built", 7),
        ("mart.seen", 7),
        ("mart.things", 3),
        ("raw.things", 4),
        ("changes.built", 2),
        ("changes.seen", 2),
        ("changes.seen__rebuilt", 2),
    ];
    for (relation, number) in expected {
        assert_eq!(count(fixture, &next, relation).await, number, "{relation}");
    }
    // Each has its own from here on, and views show those of their slot.
    fixture.write(&next, "mart", "built", &rows(1, "n")).await;
    assert_eq!(count(fixture, &next, "mart.seen").await, 1);
    assert_eq!(count(fixture, &expired, "mart.seen").await, 7);
    let lacking = fixture.warehouse().adopt(&next, &expired, &[model("lacking")]).await.unwrap_err();
    assert!(matches!(lacking, Error::NotFound { .. }), "{lacking}");
}

fn pin_of(table: &Table, partitions: &[&Manifest], changed: &[&Manifest]) -> Pin {
    let pinned = |manifest: &&Manifest| PinnedPartition { manifest: (*manifest).clone(), is_contiguous: true };
    Pin {
        table: table.clone(),
        partitions: partitions.iter().map(pinned).collect(),
        changed: changed.iter().map(|manifest| (*manifest).clone()).collect(),
    }
}

/// Makes `slot` and pins one table in it.
async fn pin(
    fixture: &dyn Fixture,
    slot: &Slot,
    from: Option<&Slot>,
    table: &Table,
    partitions: &[&Manifest],
    changed: &[&Manifest],
) -> Result<(), Error> {
    fixture.warehouse().create(slot, from, &[]).await.unwrap();
    fixture.warehouse().pin(slot, &[pin_of(table, partitions, changed)]).await
}

pub async fn a_pin_shows_what_was_admitted_and_nothing_else(fixture: &dyn Fixture) {
    let table = table("");
    let one = fixture.extract(&table, &partition(1), &rows(2, "old")).await;
    let two = fixture.extract(&table, &partition(2), &rows(5, "new")).await;
    let old_two = fixture.extract(&table, &partition(2), &rows(4, "old")).await;
    let slot = slot(1, "a");
    pin(fixture, &slot, None, &table, &[&one, &two], &[&old_two, &two]).await.unwrap();
    assert_eq!(count(fixture, &slot, "raw.things").await, 7);
    assert_eq!(count_where(fixture, &slot, "raw.things", "bgp_partition = '2025-08-02' AND name = 'new'").await, 5);
    assert_eq!(count(fixture, &slot, "changes.raw__things").await, 9);
    assert_eq!(count_where(fixture, &slot, "raw.bgp_partitions", "is_contiguous AND row_count = 5").await, 1);
    assert_eq!(count_where(fixture, &slot, "raw.bgp_partitions", "starts_at < ends_at").await, 2);
    // A table without a partition is empty and there.
    let empty = self::slot(1, "b");
    pin(fixture, &empty, None, &table, &[], &[]).await.unwrap();
    assert_eq!(count(fixture, &empty, "raw.things").await, 0);
    assert_eq!(count(fixture, &empty, "changes.raw__things").await, 0);
}

pub async fn a_pin_outlives_what_happens_to_raw(fixture: &dyn Fixture) {
    let table = table("");
    let first = fixture.extract(&table, &partition(1), &rows(2, "first")).await;
    fixture.warehouse().load(&table, &first).await.unwrap();
    let slot = slot(1, "a");
    pin(fixture, &slot, None, &table, &[&first], &[&first]).await.unwrap();
    let second = fixture.extract(&table, &partition(1), &rows(9, "second")).await;
    fixture.warehouse().load(&table, &second).await.unwrap();
    fixture.warehouse().load(&table, &second).await.unwrap();
    assert_eq!(count_where(fixture, &slot, "raw.things", "name = 'first'").await, 2);
}

pub async fn a_pin_heals_what_raw_holds_wrongly(fixture: &dyn Fixture) {
    let table = table("");
    let [good, other, missing, stray] = [(1, 2, "good"), (2, 3, "other"), (3, 4, "missing"), (4, 5, "stray")];
    let good = fixture.extract(&table, &partition(good.0), &rows(good.1, good.2)).await;
    let admitted = fixture.extract(&table, &partition(other.0), &rows(3, "admitted")).await;
    let other = fixture.extract(&table, &partition(other.0), &rows(other.1, other.2)).await;
    let missing = fixture.extract(&table, &partition(missing.0), &rows(missing.1, missing.2)).await;
    let stray = fixture.extract(&table, &partition(stray.0), &rows(stray.1, stray.2)).await;
    // Whoever was late has replaced the second partition, and loaded one that nobody admitted.
    for manifest in [&good, &admitted, &other, &stray] {
        fixture.warehouse().load(&table, manifest).await.unwrap();
    }
    let slot = slot(1, "a");
    pin(fixture, &slot, None, &table, &[&good, &admitted, &missing], &[]).await.unwrap();
    assert_eq!(count(fixture, &slot, "raw.things").await, 9);
    for (name, number) in [("good", 2), ("admitted", 3), ("missing", 4)] {
        assert_eq!(count_where(fixture, &slot, "raw.things", &format!("name = '{name}'")).await, number, "{name}");
    }
    // The same pin again is the same.
    let again = pin_of(&table, &[&good, &admitted, &missing], &[]);
    fixture.warehouse().pin(&slot, &[again]).await.unwrap();
    assert_eq!(count(fixture, &slot, "raw.things").await, 9);
}

pub async fn an_empty_partition_is_pinned_empty(fixture: &dyn Fixture) {
    let table = table("");
    let full = fixture.extract(&table, &partition(1), &rows(2, "x")).await;
    let empty = Manifest { rows: 0, bytes: 0, objects: Vec::new(), digest: Digest::of("no rows"), ..full.clone() };
    fixture.warehouse().load(&table, &full).await.unwrap();
    fixture.warehouse().load(&table, &empty).await.unwrap();
    let slot = slot(1, "a");
    pin(fixture, &slot, None, &table, &[&empty], &[&full, &empty]).await.unwrap();
    assert_eq!(count(fixture, &slot, "raw.things").await, 0);
    assert_eq!(count(fixture, &slot, "changes.raw__things").await, 2);
    assert_eq!(count_where(fixture, &slot, "raw.bgp_partitions", "row_count = 0").await, 1);
}

pub async fn a_column_that_older_objects_lack_is_null(fixture: &dyn Fixture) {
    let old = fixture.extract(&table(""), &partition(1), &rows(2, "x")).await;
    let wider = table("      - {name: color, type: string}\n");
    let slot = slot(1, "a");
    pin(fixture, &slot, None, &wider, &[&old], &[&old]).await.unwrap();
    assert_eq!(count_where(fixture, &slot, "raw.things", "color IS NULL").await, 2);
    assert_eq!(count_where(fixture, &slot, "changes.raw__things", "color IS NULL").await, 2);
}

pub async fn a_required_column_that_older_objects_lack_is_refused(fixture: &dyn Fixture) {
    let old = fixture.extract(&table(""), &partition(1), &rows(2, "x")).await;
    let wider = table("      - {name: color, type: string, mode: required}\n");
    let error = pin(fixture, &slot(1, "a"), None, &wider, &[&old], &[]).await.unwrap_err();
    assert!(matches!(error, Error::Rejected { .. }), "{error}");
    assert!(error.to_string().contains("color") && error.to_string().contains("things"), "{error}");
}

pub async fn sealing_twice_is_sealing_once(fixture: &dyn Fixture) {
    let slot = built(fixture, 1, "a", 3).await;
    let publication = publication(&slot, &["id", "name"]);
    let first = fixture.warehouse().seal(&slot, &publication).await.unwrap();
    assert_eq!(fixture.warehouse().seal(&slot, &publication).await.unwrap(), first);
    assert_eq!(fixture.warehouse().fingerprint(&slot).await.unwrap(), first);
    // Reading changes nothing.
    count(fixture, &slot, "mart.things").await;
    assert_eq!(fixture.warehouse().fingerprint(&slot).await.unwrap(), first);
}

pub async fn any_change_to_a_sealed_slot_changes_its_fingerprint(fixture: &dyn Fixture) {
    let slot = sealed(fixture, 1, "a", 3).await;
    let before = fixture.warehouse().fingerprint(&slot).await.unwrap();
    fixture.write(&slot, "mart", "things", &rows(3, "m")).await;
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
        assert_eq!(count_live(fixture, "things").await, rows);
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
    assert_eq!(count_live(fixture, "things").await, 5);
}

/// A slot without `things`, and whether the record says that they were given up.
struct Without<'a>(&'a Slot, bool);

#[async_trait]
impl Desired for Without<'_> {
    async fn desired(&self) -> Result<Option<(Slot, Publication)>, Error> {
        Ok(Some((self.0.clone(), without_things(self.0))))
    }

    async fn retired(&self) -> Result<BTreeSet<Identifier>, Error> {
        Ok(if self.1 { BTreeSet::from([identifier("things"), identifier("others")]) } else { BTreeSet::new() })
    }
}

/// Shows `mart.things` as `others` only.
fn without_things(slot: &Slot) -> Publication {
    let mut publication = publication(slot, &["id", "name"]);
    publication.views[0].name = identifier("others");
    publication
}

pub async fn a_view_is_taken_from_readers_only_when_it_was_given_up(fixture: &dyn Fixture) {
    let first = sealed(fixture, 1, "a", 3).await;
    let second = built(fixture, 2, "b", 5).await;
    fixture.warehouse().seal(&second, &without_things(&second)).await.unwrap();
    let record = Record(Mutex::new(vec![first.clone()]));
    fixture.warehouse().converge(&record).await.unwrap();
    let is_there =
        async || fixture.warehouse().query(&Place::Live, "SELECT COUNT(*) AS n FROM live.things", 1).await.is_ok();
    assert!(is_there().await);
    assert!(fixture.warehouse().converge(&Without(&second, true)).await.unwrap().changed);
    assert!(!is_there().await);
    assert_eq!(fixture.warehouse().published().await.unwrap(), [second.name()]);
    // What the slot has stays, whatever was given up before.
    assert_eq!(count_live(fixture, "others").await, 5);
    assert!(!fixture.warehouse().converge(&Without(&second, true)).await.unwrap().changed);
}

pub async fn readers_of_nothing_are_told_so(fixture: &dyn Fixture) {
    let error = fixture.warehouse().query(&Place::Live, "SELECT 1", 1).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    assert!(fixture.warehouse().published().await.unwrap().is_empty());
}

pub async fn a_query_is_cut_at_its_limit(fixture: &dyn Fixture) {
    let slot = built(fixture, 1, "a", 5).await;
    let sql = format!("SELECT id FROM {} ORDER BY id", fixture.warehouse().relation(&slot, "mart", "things"));
    let place = Place::Slot(slot);
    let cut = fixture.warehouse().query(&place, &sql, 3).await.unwrap();
    assert_eq!((cut.rows.len(), cut.is_cut), (3, true));
    let whole = fixture.warehouse().query(&place, &sql, 5).await.unwrap();
    assert_eq!((whole.rows.len(), whole.is_cut), (5, false));
    assert_eq!(serde_json::json!(whole.rows), serde_json::json!([[0], [1], [2], [3], [4]]));
}

/// Literals that both dialects write alike.
const VALUES: &str = "SELECT 7 AS a, 'its' AS b, TRUE AS c, DATE '2025-08-01' AS d, \
                      TIMESTAMP '2025-08-01 01:02:03.5' AS e, 1.5e0 AS f, CAST(NULL AS DATE) AS g, \
                      TIMESTAMP '9999-12-31 23:59:59.999999' AS h";

pub async fn values_read_the_same_from_every_back_end(fixture: &dyn Fixture) {
    let place = Place::Slot(built(fixture, 1, "a", 1).await);
    let found = fixture.warehouse().query(&place, VALUES, 1).await.unwrap();
    assert_eq!(found.columns, ["a", "b", "c", "d", "e", "f", "g", "h"]);
    let expected = serde_json::json!([
        7,
        "its",
        true,
        "2025-08-01",
        "2025-08-01T01:02:03.5Z",
        1.5,
        null,
        "9999-12-31T23:59:59.999999Z"
    ]);
    assert_eq!(serde_json::json!(found.rows[0]), expected);
}

pub async fn digests_are_the_same_in_any_order_and_back_end(fixture: &dyn Fixture) {
    let slot = built(fixture, 1, "a", 5000).await;
    let things = fixture.warehouse().relation(&slot, "mart", "things");
    let place = Place::Slot(slot);
    let digest = async |sql: &str| -> Digest {
        fixture.warehouse().digest(&place, &sql.replace("THINGS", &things)).await.unwrap()
    };
    let up = digest("SELECT id, name FROM THINGS ORDER BY id").await;
    assert_eq!(digest("SELECT name, id FROM THINGS ORDER BY id DESC").await, up);
    assert_ne!(digest("SELECT id, name FROM THINGS WHERE id > 0").await, up);
    assert_ne!(digest("SELECT id, CASE id WHEN 7 THEN 'm' ELSE name END AS name FROM THINGS").await, up);
    // Found once and fixed: another back end, or another version of this one, has to find the same.
    assert_eq!(up.as_str(), "0287ddf88327124aebd452b5bc1c847a");
    assert_eq!(digest(VALUES).await.as_str(), "1adf2d2548bb05b6d0c901353cc3a8a1");
}

/// Changes the bytes of a manifest's first object behind its back.
fn spoil(fixture: &dyn Fixture, manifest: &Manifest, how: impl FnOnce(&mut Vec<u8>)) {
    let file = fixture.file(&manifest.objects[0]);
    let mut content = std::fs::read(&file).unwrap();
    how(&mut content);
    std::fs::write(file, content).unwrap();
}

pub async fn damaged_objects_are_named_and_not_loaded(fixture: &dyn Fixture) {
    let table = table("");
    let damaged = fixture.extract(&table, &partition(1), &rows(100, "x")).await;
    spoil(fixture, &damaged, |content| {
        let middle = content.len() / 2;
        content[middle] ^= 1;
    });
    let truncated = fixture.extract(&table, &partition(2), &rows(100, "y")).await;
    spoil(fixture, &truncated, |content| content.truncate(content.len() - 10));
    for manifest in [damaged, truncated] {
        let error = fixture.warehouse().load(&table, &manifest).await.unwrap_err();
        assert!(matches!(error, Error::Rejected { .. }), "{error}");
        assert!(error.to_string().contains(&manifest.objects[0].key), "{error}");
    }
}

pub async fn relations_and_their_columns_are_listed(fixture: &dyn Fixture) {
    let slot = built(fixture, 1, "a", 5).await;
    fixture.view(&slot, "mart", "seen", "mart.things").await;
    let relations = fixture.warehouse().relations(&slot).await.unwrap();
    let of_mart: Vec<&str> =
        relations.iter().filter(|(schema, _)| schema == "mart").map(|(_, name)| name.as_str()).collect();
    assert_eq!(of_mart, ["seen", "things"]);
    for relation in ["things", "seen"] {
        let columns = fixture.warehouse().columns(&slot, "mart", relation).await.unwrap();
        let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["id", "name"], "{relation}");
    }
    assert!(fixture.warehouse().columns(&slot, "mart", "nothing").await.unwrap().is_empty());
}

pub async fn dropped_relations_are_gone(fixture: &dyn Fixture) {
    let slot = built(fixture, 1, "a", 5).await;
    fixture.view(&slot, "mart", "seen", "mart.things").await;
    let names = ["mart.seen", "mart.things", "mart.never"].map(str::to_owned);
    fixture.warehouse().drop_relations(&slot, &names).await.unwrap();
    assert!(fixture.warehouse().columns(&slot, "mart", "things").await.unwrap().is_empty());
    assert!(fixture.warehouse().columns(&slot, "mart", "seen").await.unwrap().is_empty());
}

pub async fn a_dropped_slot_is_gone(fixture: &dyn Fixture) {
    let slot = sealed(fixture, 1, "a", 5).await;
    assert_eq!(fixture.warehouse().slots().await.unwrap(), [slot.name()]);
    assert!(fixture.warehouse().slot_bytes(&slot.name()).await.unwrap() > 0);
    fixture.warehouse().drop_slot(&slot.name()).await.unwrap();
    fixture.warehouse().drop_slot(&slot.name()).await.unwrap();
    assert_eq!(fixture.warehouse().slot_bytes(&slot.name()).await.unwrap(), 0);
    assert!(fixture.warehouse().slots().await.unwrap().is_empty());
    assert!(fixture.warehouse().fingerprint(&slot).await.is_err());
}

pub async fn what_is_loaded_is_told(fixture: &dyn Fixture) {
    let table = table("");
    let loaded = || async { fixture.warehouse().loaded(&table).await.unwrap() };
    assert_eq!(loaded().await, []);
    let first = fixture.extract(&table, &partition(1), &rows(2, "a")).await;
    let empty = fixture.extract(&table, &partition(2), &[]).await;
    let corrected = fixture.extract(&table, &partition(1), &rows(3, "b")).await;
    let upload = |manifest: &Manifest| manifest.load.clone().unwrap_or_else(|| manifest.digest.to_string());
    for (manifest, expected) in
        [(&first, vec![&first]), (&empty, vec![&first, &empty]), (&corrected, vec![&corrected, &empty])]
    {
        fixture.warehouse().load(&table, manifest).await.unwrap();
        let expected: Vec<Loaded> = expected
            .into_iter()
            .map(|manifest| Loaded { partition: manifest.partition.clone(), load: upload(manifest) })
            .collect();
        assert_eq!(loaded().await, expected);
    }
}

pub async fn readers_who_see_something_else_are_told_of(fixture: &dyn Fixture) {
    let first = sealed(fixture, 1, "a", 3).await;
    let second = sealed(fixture, 2, "b", 5).await;
    let differences = |slot: Slot| async move {
        fixture.warehouse().differences(&slot, &publication(&slot, &["id", "name"])).await.unwrap()
    };
    assert!(!differences(first.clone()).await.is_empty(), "nothing is published");
    fixture.warehouse().converge(&Record(Mutex::new(vec![first.clone()]))).await.unwrap();
    assert_eq!(differences(first.clone()).await, []);
    let found = differences(second.clone()).await;
    assert!(!found.is_empty() && found.iter().all(|difference| difference.converges), "{found:?}");
    assert!(found.iter().any(|difference| difference.found.contains(&first.name())), "{found:?}");
    fixture.warehouse().converge(&Record(Mutex::new(vec![second.clone()]))).await.unwrap();
    assert_eq!(differences(second).await, []);
}

pub async fn two_slots_are_compared_in_one_query(fixture: &dyn Fixture) {
    let slots = [sealed(fixture, 1, "a", 3).await, sealed(fixture, 2, "b", 5).await];
    let relation = |which| fixture.warehouse().relation_of(&slots, which, "mart", "things");
    let marked = |which| format!("(SELECT TRUE AS is_there, t.* FROM {} AS t)", relation(which));
    let (before, after) = (marked(0), marked(1));
    let sql = format!(
        "SELECT SUM(CASE WHEN b.is_there IS NULL THEN 1 ELSE 0 END), \
         SUM(CASE WHEN b.name IS DISTINCT FROM a.name THEN 1 ELSE 0 END), \
         CAST(SUM(CAST(a.id AS DECIMAL(38, 9))) AS STRING), CAST(ROUND(AVG(a.id), 6) AS STRING) \
         FROM {before} AS b FULL OUTER JOIN {after} AS a ON b.id = a.id"
    );
    let found = fixture.warehouse().query_two(&slots, &sql, 1).await.unwrap();
    assert_eq!((found.rows[0][0].as_u64(), found.rows[0][1].as_u64()), (Some(2), Some(2)));
    assert!(found.rows[0][2].as_str().unwrap().starts_with("10"), "{found:?}");
    assert!(found.rows[0][3].as_str().unwrap().starts_with('2'), "{found:?}");
}

pub async fn steps_are_counted_apart(fixture: &dyn Fixture) {
    let slot = built(fixture, 1, "a", 5).await;
    let step = |name: &str| {
        let step = Step { name: name.to_owned(), slot: Some(slot.clone()), max_bytes_billed: None };
        fixture.warehouse().for_step(step)
    };
    let (first, second) = (step("first"), step("second"));
    let sql = format!("SELECT COUNT(*) AS n FROM {}", first.relation(&slot, "mart", "things"));
    first.query(&Place::Slot(slot.clone()), &sql, 1).await.unwrap();
    assert_eq!(second.statistics(), Statistics::default());
}

pub async fn an_attempt_without_jobs_has_none_to_cancel(fixture: &dyn Fixture) {
    let slot = built(fixture, 1, "a", 5).await;
    assert_eq!(fixture.warehouse().cancel(&slot).await.unwrap(), 0);
}
