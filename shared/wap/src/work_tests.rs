use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::LedgerStep;

fn identifier(name: &str) -> Identifier {
    Identifier::new(name).unwrap()
}

fn partition(day: u8) -> PartitionKey {
    PartitionKey::new(format!("2025-08-{day:02}")).unwrap()
}

fn digest(content: impl std::fmt::Display) -> Digest {
    Digest::of(content.to_string())
}

fn loaded(table: &str, day: u8, content: &str) -> LedgerEntry {
    let step = LedgerStep { digest: digest(content), rows: 1, bytes: 1, at: Timestamp::UNIX_EPOCH };
    LedgerEntry { loaded: Some(step), ..LedgerEntry::new(identifier(table), partition(day)) }
}

fn group(tables: &[&str]) -> Vec<BTreeSet<Identifier>> {
    vec![tables.iter().map(|table| identifier(table)).collect()]
}

fn held(days: &[u8]) -> BTreeMap<PartitionKey, Hold> {
    let hold = Hold { reason: String::new(), since: Timestamp::UNIX_EPOCH, rolled_back: None };
    days.iter().map(|day| (partition(*day), hold.clone())).collect()
}

#[test]
fn a_partition_is_admitted_when_every_table_of_it_is_loaded() {
    let tables = group(&["headers", "lines"]);
    let ledger = [loaded("headers", 1, "a"), loaded("lines", 1, "b"), loaded("headers", 2, "c")];
    let admitted = admit(&tables, &ledger, &held(&[]), &InputMap::new());
    assert_eq!(admitted[&identifier("headers")].len(), 1);
    assert!(admitted[&identifier("headers")].contains_key(&partition(1)));
}

#[test]
fn a_held_partition_keeps_what_live_was_built_from_and_an_unknown_one_stays_out() {
    let tables = group(&["lines"]);
    let live = InputMap::from([(identifier("lines"), BTreeMap::from([(partition(1), digest("old"))]))]);
    let ledger = [loaded("lines", 1, "new"), loaded("lines", 2, "bad")];
    let admitted = admit(&tables, &ledger, &held(&[1, 2]), &live);
    assert_eq!(admitted, live);
    let released = admit(&tables, &ledger, &held(&[]), &live);
    assert_eq!(released[&identifier("lines")][&partition(1)], digest("new"));
    assert_eq!(released[&identifier("lines")][&partition(2)], digest("bad"));
}

#[test]
fn content_that_the_ledger_lost_stays() {
    let live = InputMap::from([(identifier("lines"), BTreeMap::from([(partition(1), digest("old"))]))]);
    assert_eq!(admit(&group(&["lines"]), &[], &held(&[]), &live), live);
}

fn model(content: &str, parents: &[Parent], whole: &[Parent]) -> Model {
    Model {
        digest: digest(content),
        parents: parents.iter().cloned().collect(),
        whole: whole.iter().cloned().collect(),
        makes_relation: true,
    }
}

fn of_table(name: &str) -> Parent {
    Parent::Table(identifier(name))
}

fn of_model(id: &str) -> Parent {
    Parent::Model(id.to_owned())
}

/// customers -> clean -> history -> facts <- lines; calendar -> facts as a whole.
fn project() -> BTreeMap<String, Model> {
    BTreeMap::from([
        ("clean".to_owned(), model("clean", &[of_table("customers")], &[])),
        ("history".to_owned(), model("history", &[of_model("clean")], &[])),
        (
            "facts".to_owned(),
            model("facts", &[of_model("history"), of_table("lines"), of_table("calendar")], &[of_table("calendar")]),
        ),
        ("dates".to_owned(), model("dates", &[of_table("calendar")], &[])),
    ])
}

fn live_of(models: &BTreeMap<String, Model>) -> Inputs {
    let tables = ["customers", "lines", "calendar"];
    Inputs {
        version: 1,
        partitions: tables
            .iter()
            .map(|table| (identifier(table), BTreeMap::from([(partition(1), digest("first"))])))
            .collect(),
        models: models.iter().map(|(id, model)| (id.clone(), model.digest.clone())).collect(),
    }
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn nothing_differs_and_nothing_is_done() {
    let models = project();
    let live = live_of(&models);
    assert!(plan(Some(&live), &live.partitions, &models).is_empty());
}

#[test]
fn the_first_cycle_builds_everything_in_full() {
    let models = project();
    let work = plan(None, &live_of(&models).partitions, &models);
    assert_eq!(work.build, names(&["clean", "dates", "facts", "history"]));
    assert_eq!(work.full, work.build);
    assert_eq!(work.changes.len(), 3);
}

#[test]
fn a_changed_partition_builds_its_descendants_and_none_in_full() {
    let models = project();
    let live = live_of(&models);
    let mut admitted = live.partitions.clone();
    admitted.get_mut("customers").unwrap().insert(partition(2), digest("second"));
    let work = plan(Some(&live), &admitted, &models);
    assert_eq!(work.build, names(&["clean", "facts", "history"]));
    assert!(work.full.is_empty());
}

#[test]
fn a_changed_model_is_rebuilt_in_full_with_its_descendants_and_nothing_else() {
    let models = project();
    let live = live_of(&models);
    let mut edited = models.clone();
    edited.insert("history".to_owned(), model("edited", &[of_model("clean")], &[]));
    let work = plan(Some(&live), &live.partitions, &edited);
    // The digest of a descendant holds those of its ancestors; here only the edited one differs, and the rest follows.
    assert_eq!(work.build, names(&["facts", "history"]));
    assert_eq!(work.full, work.build);
}

#[test]
fn a_difference_in_a_whole_parent_rebuilds_in_full() {
    let models = project();
    let live = live_of(&models);
    let mut admitted = live.partitions.clone();
    admitted.get_mut("calendar").unwrap().insert(partition(1), digest("corrected"));
    let work = plan(Some(&live), &admitted, &models);
    assert_eq!(work.build, names(&["dates", "facts"]));
    assert_eq!(work.full, names(&["facts"]));
}

#[test]
fn a_removed_model_is_work() {
    let models = project();
    let live = live_of(&models);
    let mut fewer = models.clone();
    fewer.remove("dates");
    let work = plan(Some(&live), &live.partitions, &fewer);
    assert_eq!(work.removed, names(&["dates"]));
    assert!(work.build.is_empty() && !work.is_empty());
}

proptest! {
    /// Invariant 7 for admission: what is admitted depends on what was loaded last, not on the order.
    #[test]
    fn admission_does_not_depend_on_order(
        entries in proptest::collection::btree_map((0u8..3, 1u8..6), 0u8..4, 0..15),
        seed in any::<u64>(),
    ) {
        let tables = ["headers", "lines", "products"];
        let mut ledger: Vec<LedgerEntry> = entries
            .iter()
            .map(|((table, day), content)| loaded(tables[*table as usize], *day, &content.to_string()))
            .collect();
        let first = admit(&group(&tables), &ledger, &held(&[]), &InputMap::new());
        let turn = usize::try_from(seed % 16).unwrap();
        let length = ledger.len().max(1);
        if !ledger.is_empty() { ledger.rotate_left(turn % length); }
        ledger.reverse();
        prop_assert_eq!(admit(&group(&tables), &ledger, &held(&[]), &InputMap::new()), first.clone());
        // Admitting again over what was admitted changes nothing.
        prop_assert_eq!(admit(&group(&tables), &ledger, &held(&[]), &first), first);
    }

    #[test]
    fn changes_lead_from_one_map_to_the_other(
        left in proptest::collection::btree_map((0u8..3, 1u8..6), 0u8..4, 0..12),
        right in proptest::collection::btree_map((0u8..3, 1u8..6), 0u8..4, 0..12),
    ) {
        let map = |entries: &BTreeMap<(u8, u8), u8>| {
            let mut map = InputMap::new();
            for ((table, day), content) in entries {
                map.entry(identifier(&format!("t{table}"))).or_default().insert(partition(*day), digest(content));
            }
            map
        };
        let (left, right) = (map(&left), map(&right));
        let mut walked = left.clone();
        for change in changes(&left, &right) {
            let table = walked.entry(change.table.clone()).or_default();
            prop_assert_eq!(table.get(&change.partition), change.old.as_ref());
            match change.new {
                Some(new) => table.insert(change.partition, new),
                None => table.remove(&change.partition),
            };
        }
        walked.retain(|_, partitions| !partitions.is_empty());
        prop_assert_eq!(walked, right);
    }
}
