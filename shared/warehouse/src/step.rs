//! Whose work a call is: its labels and its budget.

use wap::Slot;

/// One step of a run, such as `prepare` or `audit`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    /// Its name: lower-case letters, digits and underscores. Empty outside of any step.
    pub name: String,
    /// The slot that the step works for, if it works for one.
    pub slot: Option<Slot>,
    /// All jobs of the step together may be billed for so many bytes. A query that would go above is refused before it
    /// runs.
    pub max_bytes_billed: Option<u64>,
}
