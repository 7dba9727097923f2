//! What an audit found.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Digest, Identifier, PartitionKey};

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
}

impl Verdict {
    /// The proof that nothing failed, or nothing.
    pub fn passed(&self) -> Option<AuditPassed> {
        self.failed().next().is_none().then(|| AuditPassed { fingerprint: self.fingerprint.clone() })
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
