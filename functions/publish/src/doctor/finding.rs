//! One difference: what is, what should be, and what can be done about it.

use serde::Serialize;
use utoipa::ToSchema;

use super::mend::Mend;

/// A difference between two things that should agree.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Finding {
    /// Stable, for programs: `live_slot_changed`, `raw_differs` ...
    pub code: &'static str,
    pub severity: Severity,
    /// The object, slot, attempt or table that it is about.
    pub subject: String,
    pub found: String,
    pub expected: String,
    /// What makes it right.
    pub remedy: String,
    /// Whether `mend` makes it right.
    pub mendable: bool,
    pub mended: bool,
    #[serde(skip)]
    pub mend: Option<Mend>,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// Readers see something wrong, or the next cycle can't be made.
    Error,
    /// A rollback, a receipt, or room on the disk.
    Warning,
}

impl Finding {
    /// A difference that somebody has to deal with.
    pub(crate) fn error(code: &'static str, subject: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            subject: subject.into(),
            found: found.into(),
            expected: String::new(),
            remedy: String::new(),
            mendable: false,
            mended: false,
            mend: None,
        }
    }

    /// One that can wait.
    pub(crate) fn warning(code: &'static str, subject: impl Into<String>, found: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, subject, found) }
    }

    pub(crate) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = expected.into();
        self
    }

    /// What a person can do about it.
    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }

    /// What the doctor can do about it.
    pub(crate) fn mend(mut self, mend: Mend) -> Self {
        self.remedy = format!("bgp doctor --mend {mend}");
        self.mendable = true;
        self.mend = Some(mend);
        self
    }

    /// Whether two findings are about the same thing.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.code == other.code && self.subject == other.subject
    }
}
