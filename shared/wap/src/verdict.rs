//! What an audit found.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::guard::{self, Guard};
use crate::{Digest, Identifier, PartitionKey, Slot};

/// The outcome of an audit. Only [`Verdict::passed`] makes an [`AuditPassed`], and only that publishes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// The slot's content when the first test ran.
    pub fingerprint: Digest,
    pub rules: Vec<RuleOutcome>,
    pub tables: Vec<TableAudit>,
}

/// One rule: a dbt test, a reconciliation, a volume rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleOutcome {
    pub rule: String,
    /// The table or model it is about.
    pub subject: String,
    pub status: RuleStatus,
    /// Rows (or differences) that break it.
    pub failures: u64,
    /// What is wrong, for people.
    pub detail: String,
    /// The figure that was measured, where later cycles are compared with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Some of the failing rows, as JSON, personal columns masked.
    pub sample: Vec<serde_json::Value>,
}

/// How a rule ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RuleStatus {
    Passed,
    /// Broken, but of severity `warn`.
    Warned,
    Failed,
}

/// A published table, before and after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TableAudit {
    pub view: Identifier,
    pub rows_before: Option<u64>,
    pub rows: u64,
    /// The largest value of the model's date unit, where it has one.
    pub newest: Option<String>,
}

/// A verdict without a failed rule, for a slot with this fingerprint. Can't be made otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPassed {
    fingerprint: Digest,
}

impl AuditPassed {
    /// The content that was audited.
    pub fn fingerprint(&self) -> &Digest {
        &self.fingerprint
    }

    /// Whether a slot with the fingerprint `found` is what was audited.
    pub fn covers(&self, found: &Digest) -> bool {
        found == &self.fingerprint || !guard::stands(Guard::FingerprintAtPublish)
    }
}

impl Verdict {
    /// Judges a slot by its rules, and by its fingerprints before the first test and after the last.
    pub fn new(
        slot: &Slot,
        before: Digest,
        after: Digest,
        mut rules: Vec<RuleOutcome>,
        tables: Vec<TableAudit>,
    ) -> Self {
        if !guard::stands(Guard::FingerprintBeforeTests) {
            return Self { fingerprint: after, rules, tables };
        }
        if before != after {
            rules.push(RuleOutcome {
                rule: SEALED.to_owned(),
                subject: slot.name(),
                status: RuleStatus::Failed,
                failures: 1,
                detail: "the slot changed while it was audited".to_owned(),
                value: None,
                sample: Vec::new(),
            });
        }
        Self { fingerprint: before, rules, tables }
    }

    /// The proof that nothing failed, or nothing.
    pub fn passed(&self) -> Option<AuditPassed> {
        let is_clean = self.failed().next().is_none() || !guard::stands(Guard::Verdict);
        is_clean.then(|| AuditPassed { fingerprint: self.fingerprint.clone() })
    }

    /// Whether the slot changed while it was audited. Then the findings say nothing of the content that it was built
    /// from: the attempt has failed, and the content is not refused.
    pub fn was_disturbed(&self) -> bool {
        self.failed().any(|rule| rule.rule == SEALED)
    }

    /// The rules that failed.
    pub fn failed(&self) -> impl Iterator<Item = &RuleOutcome> {
        self.rules.iter().filter(|rule| rule.status == RuleStatus::Failed)
    }

    /// One line for the record and for people: which rules, how many rows.
    pub fn reason(&self) -> String {
        let mut reasons: Vec<String> =
            self.failed().map(|rule| format!("{} on {}: {}", rule.rule, rule.subject, rule.detail)).collect();
        let more = reasons.len().saturating_sub(3);
        reasons.truncate(3);
        let mut text = reasons.join("; ");
        if more > 0 {
            let _ = write!(text, "; and {more} more");
        }
        text
    }
}

/// The rule that a slot does not change while it is audited.
const SEALED: &str = "sealed";

/// How many partitions or models a message names.
const NAMED: usize = 5;

/// The partitions a verdict is about, for messages. A history that came at once is not spelt out.
pub fn list_partitions<'a>(partitions: impl IntoIterator<Item = &'a PartitionKey>) -> String {
    list(partitions.into_iter().map(PartitionKey::as_str))
}

/// The first few names.
pub(crate) fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.len().checked_sub(NAMED) {
        Some(more @ 1..) => format!("{} and {more} more", names[..NAMED].join(", ")),
        _ => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AttemptId, Color};

    fn verdict(before: &str, after: &str, status: RuleStatus) -> Verdict {
        let slot = Slot { color: Color::Blue, cycle: 1, attempt: AttemptId::new("attempt1").unwrap() };
        let rule = RuleOutcome {
            rule: "not_null".to_owned(),
            subject: "lines".to_owned(),
            status,
            failures: 1,
            detail: "1 row".to_owned(),
            value: None,
            sample: Vec::new(),
        };
        Verdict::new(&slot, Digest::of(before), Digest::of(after), vec![rule], Vec::new())
    }

    #[test]
    fn only_a_verdict_without_a_failed_rule_passes_and_it_covers_what_was_audited() {
        let passed = verdict("a", "a", RuleStatus::Warned).passed().unwrap();
        assert_eq!(passed.fingerprint(), &Digest::of("a"));
        assert!(passed.covers(&Digest::of("a")) && !passed.covers(&Digest::of("b")));
        let failed = verdict("a", "a", RuleStatus::Failed);
        assert!(failed.passed().is_none() && !failed.was_disturbed());
        assert_eq!(failed.reason(), "not_null on lines: 1 row");
    }

    #[test]
    fn a_slot_that_changed_during_its_audit_has_not_passed_and_its_content_is_not_refused_for_it() {
        let disturbed = verdict("a", "b", RuleStatus::Passed);
        assert!(disturbed.passed().is_none() && disturbed.was_disturbed());
        assert!(disturbed.reason().contains("the slot changed while it was audited"));
    }

    #[test]
    fn a_reason_names_three_rules_and_counts_the_others() {
        let mut verdict = verdict("a", "a", RuleStatus::Failed);
        let rule = verdict.rules[0].clone();
        verdict.rules.extend([rule.clone(), rule.clone()]);
        assert!(!verdict.reason().contains("more"));
        verdict.rules.push(rule);
        assert!(verdict.reason().ends_with("; and 1 more"));
    }

    #[test]
    fn a_message_names_five_partitions_and_counts_the_others() {
        let keys: Vec<PartitionKey> =
            (1..=6).map(|day| PartitionKey::new(format!("2025-08-0{day}")).unwrap()).collect();
        assert!(list_partitions(&keys[..5]).ends_with("2025-08-05"));
        assert!(list_partitions(&keys).ends_with("2025-08-05 and 1 more"));
    }
}
