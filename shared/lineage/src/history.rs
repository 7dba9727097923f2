//! What receipts and the ledger say of assets.

use std::collections::BTreeMap;

use jiff::Timestamp;
use wap::{Deployment, LedgerEntry, Receipt, ReceiptKind, RuleStatus};

use crate::asset::{Check, CheckStatus, Origin};
use crate::catalog::Catalog;

/// What the cycles say that led to what is live, newest first. Receipts are asked for one by one, so that no more are
/// read than it takes:
///
/// ```text
/// while let Some(cycle) = history.next() { history.read(cycle, receipt_of(cycle)) }
/// ```
#[derive(Debug, Default)]
pub struct History {
    next: Option<u64>,
    /// Nodes that were built, by id, and tables of which a partition changed, by name.
    changed: BTreeMap<String, At>,
    rules: BTreeMap<(String, String), (At, RuleStatus, u64)>,
    newest: Option<At>,
    /// Rows of the published views.
    rows: Option<BTreeMap<String, u64>>,
}

type At = (u64, Timestamp);

impl History {
    /// Nothing is known yet. A rollback leads back to the cycle of the slot that it shows.
    pub fn new(record: &Deployment) -> Self {
        Self { next: Some(record.cycle).filter(|cycle| *cycle > 0), ..Self::default() }
    }

    /// The cycle whose receipt says more.
    pub fn next(&self) -> Option<u64> {
        self.next
    }

    /// Takes what the receipt of `cycle` says; none where it is gone.
    pub fn read(&mut self, cycle: u64, receipt: Option<&Receipt>) {
        let mut before = cycle.saturating_sub(1);
        if let Some(receipt) = receipt {
            if receipt.kind == ReceiptKind::Rollback {
                // What was taken back led to nothing that is live.
                before = receipt.slot.cycle.min(before);
            }
            self.note(receipt);
        }
        self.next = Some(before).filter(|cycle| *cycle > 0);
    }

    fn note(&mut self, receipt: &Receipt) {
        let at = (receipt.cycle, receipt.published_at);
        self.newest.get_or_insert(at);
        let tables = receipt.work.changes.iter().map(|change| change.table.as_str());
        for name in tables.chain(receipt.work.build.iter().map(String::as_str)) {
            self.changed.entry(name.to_owned()).or_insert(at);
        }
        // The verdict of a rollback is that of the cycle it leads back to, whose receipt says when it was.
        if receipt.kind == ReceiptKind::Publish {
            for rule in &receipt.verdict.rules {
                let key = (rule.rule.clone(), rule.subject.clone());
                self.rules.entry(key).or_insert((at, rule.status, rule.failures));
            }
        }
        self.rows.get_or_insert_with(|| {
            receipt.verdict.tables.iter().map(|table| (table.view.to_string(), table.rows)).collect()
        });
    }
}

impl Catalog {
    /// Whether there is nothing more for the history to find: every asset that cycles change has one.
    pub fn is_known(&self, history: &History) -> bool {
        self.assets.iter().all(|asset| match &asset.origin {
            Origin::Raw(_) if asset.upstream.is_empty() => true,
            Origin::Source(name) | Origin::Lake(name) | Origin::Raw(name) => history.changed.contains_key(name),
            Origin::Node(id) if asset.kind.is_check() => {
                // A unit test is in no audit, and a test of what nothing builds neither.
                id.starts_with("unit_test.") || history.rules.keys().any(|(rule, _)| *rule == asset.name)
            }
            Origin::Node(id) => asset.materialized.as_deref() == Some("ephemeral") || history.changed.contains_key(id),
            Origin::View(..) => true,
            Origin::Rule(rule, subject) => history.rules.contains_key(&(rule.clone(), subject.clone())),
        })
    }

    /// Fills in what is known.
    #[must_use]
    pub fn with(mut self, history: &History, ledger: &[LedgerEntry]) -> Self {
        let mut rules_by_name: BTreeMap<&str, &(At, RuleStatus, u64)> = BTreeMap::new();
        for ((rule, _), found) in &history.rules {
            rules_by_name.entry(rule).or_insert(found);
        }
        let mut outcomes: BTreeMap<String, Check> = BTreeMap::new();
        for asset in &mut self.assets {
            let changed = |name: &str| history.changed.get(name).copied();
            let found = match &asset.origin {
                Origin::Source(name) => changed(name),
                Origin::Lake(name) => {
                    let steps = ledger.iter().filter(|entry| entry.table.as_str() == name);
                    let steps: Vec<_> = steps.filter_map(|entry| entry.extracted.as_ref()).collect();
                    asset.rows = Some(steps.iter().map(|step| step.rows).sum());
                    asset.partitions = Some(steps.len() as u64);
                    changed(name)
                }
                // What every attempt has of its own is made anew in every cycle, and in no ledger.
                Origin::Raw(_) if asset.upstream.is_empty() => history.newest,
                Origin::View(_, None) => history.newest,
                Origin::Raw(name) => {
                    let steps = ledger.iter().filter(|entry| entry.table.as_str() == name);
                    let steps: Vec<_> = steps.filter_map(|entry| entry.loaded.as_ref()).collect();
                    asset.rows = Some(steps.iter().map(|step| step.rows).sum());
                    asset.partitions = Some(steps.len() as u64);
                    changed(name)
                }
                Origin::View(name, Some(model)) => {
                    asset.rows = history.rows.as_ref().and_then(|rows| rows.get(name).copied());
                    changed(model)
                }
                Origin::Node(id) if !asset.kind.is_check() => changed(id),
                Origin::Node(_) | Origin::Rule(..) => {
                    let of_rule = match &asset.origin {
                        Origin::Rule(rule, subject) => history.rules.get(&(rule.clone(), subject.clone())),
                        _ => rules_by_name.get(asset.name.as_str()).copied(),
                    };
                    if let Some((_, status, failures)) = of_rule {
                        let (status, failures) = (CheckStatus::from(*status), *failures);
                        let check = Check { key: asset.key.clone(), status, failures };
                        outcomes.insert(asset.key.clone(), check.clone());
                        asset.outcome = Some(check);
                    }
                    of_rule.map(|(at, ..)| *at)
                }
            };
            asset.last_cycle = found.map(|(cycle, _)| cycle);
            asset.last_at = found.map(|(_, at)| at);
        }
        self.share(&outcomes);
        self
    }

    /// Notes the outcome of each check where it is listed, and the rows of views at the models that they show.
    fn share(&mut self, outcomes: &BTreeMap<String, Check>) {
        let rows: BTreeMap<String, u64> = self
            .assets
            .iter()
            .filter_map(|asset| match &asset.origin {
                Origin::View(_, Some(id)) => Some((id.clone(), asset.rows?)),
                _ => None,
            })
            .collect();
        for asset in &mut self.assets {
            for check in &mut asset.checks {
                if let Some(outcome) = outcomes.get(&check.key) {
                    check.clone_from(outcome);
                }
            }
            if let Origin::Node(id) = &asset.origin {
                asset.rows = rows.get(id).copied();
            }
        }
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
