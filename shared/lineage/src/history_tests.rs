use std::collections::{BTreeMap, BTreeSet};

use wap::{
    AttemptId, Change, Color, Digest, Identifier, LedgerStep, PartitionKey, RECEIPT_VERSION, RuleOutcome, RunId, Slot,
    Statistics, TableAudit, UndoneCycle, Verdict, WorkSet,
};

use super::*;
use crate::sample::catalog;

fn slot(cycle: u64) -> Slot {
    Slot { color: Color::Blue, cycle, attempt: AttemptId::new(format!("{cycle:010x}")).unwrap() }
}

fn receipt(cycle: u64, builds: &[&str], tables: &[&str], test: Option<RuleStatus>, rows: u64) -> Receipt {
    let name = |text: &str| Identifier::new(text).unwrap();
    Receipt {
        version: RECEIPT_VERSION,
        cycle,
        kind: ReceiptKind::Publish,
        slot: slot(cycle),
        run: RunId::new("one").unwrap(),
        holder: None,
        published_at: Timestamp::from_second(i64::try_from(cycle).unwrap() * 1000).unwrap(),
        inputs: Digest::of("inputs"),
        newest_partition: None,
        held: Vec::new(),
        work: WorkSet {
            changes: tables
                .iter()
                .map(|table| Change { table: name(table), partition: PartitionKey::all(), old: None, new: None })
                .collect(),
            build: builds.iter().map(|id| (*id).to_owned()).collect(),
            full: BTreeSet::new(),
            removed: BTreeSet::new(),
        },
        rollback: None,
        built: Vec::new(),
        moved: Vec::new(),
        verdict: Verdict {
            fingerprint: Digest::of("content"),
            rules: test
                .into_iter()
                .map(|status| RuleOutcome {
                    rule: "unique_fct_orders_order_id".to_owned(),
                    subject: "fct_orders".to_owned(),
                    status,
                    failures: u64::from(status != RuleStatus::Passed),
                    detail: String::new(),
                    value: None,
                    sample: Vec::new(),
                })
                .collect(),
            tables: vec![TableAudit { view: name("fct_orders"), rows_before: None, rows, newest: None }],
        },
        views: BTreeMap::new(),
        slot_bytes: None,
        steps: Vec::new(),
        cost: Statistics::default(),
        mixed_seconds: None,
    }
}

fn rollback(cycle: u64, to: u64) -> Receipt {
    let undone =
        UndoneCycle { from: slot(2), undid: None, reason: String::new(), held: Vec::new(), models: Vec::new() };
    Receipt { kind: ReceiptKind::Rollback, slot: slot(to), rollback: Some(undone), ..receipt(cycle, &[], &[], None, 7) }
}

/// What is known after all that the history asks for, and which cycles it asked for.
fn known(receipts: &[Receipt], ledger: &[LedgerEntry]) -> (Catalog, Vec<u64>) {
    let record =
        Deployment { cycle: receipts.iter().map(|receipt| receipt.cycle).max().unwrap(), ..Default::default() };
    let (mut history, mut asked) = (History::new(&record), Vec::new());
    while let Some(cycle) = history.next() {
        asked.push(cycle);
        history.read(cycle, receipts.iter().find(|receipt| receipt.cycle == cycle));
    }
    (catalog().with(&history, ledger), asked)
}

#[test]
fn an_asset_has_the_cycle_that_changed_it_last() {
    let first =
        receipt(1, &["model.shop.stg_orders", "model.shop.fct_orders", "seed.shop.rates"], &["orders"], None, 5);
    let second = receipt(2, &["model.shop.fct_orders"], &[], Some(RuleStatus::Warned), 7);
    let (catalog, asked) = known(&[first, second], &[]);
    assert_eq!(asked, [2, 1]);
    let last = |key: &str| catalog.get(key).unwrap().last_cycle;
    assert_eq!(last("staging/stg_orders"), Some(1));
    assert_eq!(last("raw/orders"), Some(1));
    assert_eq!(last("mart/fct_orders"), Some(2));
    assert_eq!(last("live/fct_orders"), Some(2));
    assert_eq!(last("mart/fct_days"), None, "it was never built");
    assert_eq!(catalog.get("mart/fct_orders").unwrap().rows, Some(7));
    let test = catalog.get("test/unique_fct_orders_order_id").unwrap();
    assert_eq!((test.last_cycle, test.outcome.as_ref().unwrap().status), (Some(2), CheckStatus::Warned));
    let listed = &catalog.get("mart/fct_orders").unwrap().checks[0];
    assert_eq!((listed.status, listed.failures), (CheckStatus::Warned, 1));
}

#[test]
fn what_was_rolled_back_counts_no_more() {
    let all = ["model.shop.fct_orders"];
    let first = receipt(1, &all, &["orders"], Some(RuleStatus::Passed), 5);
    let second = receipt(2, &all, &["orders"], Some(RuleStatus::Warned), 9);
    let (catalog, asked) = known(&[first, second, rollback(3, 1)], &[]);
    assert_eq!(asked, [3, 1]);
    let model = catalog.get("mart/fct_orders").unwrap();
    assert_eq!((model.last_cycle, model.rows), (Some(1), Some(7)));
    assert_eq!(
        catalog.get("test/unique_fct_orders_order_id").unwrap().outcome.as_ref().unwrap().status,
        CheckStatus::Passed
    );
}

#[test]
fn a_receipt_that_is_gone_is_passed_over() {
    let (catalog, asked) =
        known(&[receipt(1, &["model.shop.fct_orders"], &[], None, 5), receipt(3, &[], &[], None, 6)], &[]);
    assert_eq!(asked, [3, 2, 1]);
    assert_eq!(catalog.get("mart/fct_orders").unwrap().last_cycle, Some(1));
}

#[test]
fn rows_of_lake_and_raw_are_those_of_all_partitions() {
    let step = |rows| LedgerStep { digest: Digest::of("rows"), rows, bytes: 1, at: Timestamp::UNIX_EPOCH };
    let entry = |day: &str, extracted, loaded: Option<u64>| LedgerEntry {
        extracted: Some(step(extracted)),
        loaded: loaded.map(step),
        ..LedgerEntry::new(Identifier::new("orders").unwrap(), PartitionKey::new(day).unwrap())
    };
    let ledger = [entry("2025-01-01", 5, Some(5)), entry("2025-01-02", 8, None)];
    let (catalog, _) = known(&[receipt(1, &[], &[], None, 5)], &ledger);
    let known = |key: &str| catalog.get(key).map(|asset| (asset.rows, asset.partitions)).unwrap();
    assert_eq!(known("lake/orders"), (Some(13), Some(2)));
    assert_eq!(known("raw/orders"), (Some(5), Some(1)));
    assert_eq!(known("raw/bgp_partitions"), (None, None));
    assert_eq!(catalog.get("raw/bgp_partitions").unwrap().last_cycle, Some(1));
    assert_eq!(catalog.get("live/deployment").unwrap().last_cycle, Some(1));
}

#[test]
fn no_more_receipts_are_read_than_it_takes() {
    let every = catalog().assets;
    let ids = ["model.shop.stg_orders", "model.shop.fct_orders", "model.shop.fct_days", "seed.shop.rates"];
    let mut all = receipt(9, &ids, &["orders", "customers"], Some(RuleStatus::Passed), 5);
    let mut history = History::default();
    history.read(9, Some(&all));
    assert!(!catalog().is_known(&history), "rules and reconciliations have no outcome yet");
    for asset in &every {
        if let Origin::Rule(rule, subject) = &asset.origin {
            let outcome = RuleOutcome { rule: rule.clone(), subject: subject.clone(), ..all.verdict.rules[0].clone() };
            all.verdict.rules.push(outcome);
        }
    }
    history.read(9, Some(&all));
    assert!(catalog().is_known(&history));
}
