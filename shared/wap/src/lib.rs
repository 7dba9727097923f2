//! The domain of write-audit-publish: names, digests, the record of what is live, attempts, work sets and
//! verdicts. Pure: nothing here does I/O or reads a clock.

mod attempt;
pub mod guard;
mod lake;
mod named;
mod names;
pub mod protocol;
mod receipt;
mod record;
mod rollback;
mod slot;
mod statistics;
mod verdict;
mod work;

pub use attempt::{ATTEMPT_VERSION, Attempt, Claim, EndReason, Ended, Step, may_be_taken_over};
pub use guard::Guard;
pub use lake::{
    LAKE_VERSION, LOAD_COLUMN, LedgerEntry, LedgerStep, Manifest, ManifestColumn, ManifestObject, OWN_PREFIX,
    PARTITION_COLUMN, PARTITION_START_COLUMN,
};
pub use names::{AttemptId, Digest, Identifier, InvalidName, PartitionKey, RunId};
pub use receipt::{BuiltModel, RECEIPT_VERSION, Receipt, ReceiptKind, StepSeconds, TableVolume, UndoneCycle};
pub use record::{Building, Deployment, Hold, Kept, Live, RECORD_KEY, RECORD_VERSION, Refusal, Refused, View};
pub use rollback::{Rollback, RollbackRequest, RolledBack};
pub use slot::{Color, Slot};
pub use statistics::Statistics;
pub use verdict::{AuditPassed, RuleOutcome, RuleStatus, TableAudit, Verdict, list_partitions};
pub use work::{Change, INPUTS_VERSION, InputMap, Inputs, Model, Parent, WorkSet, admit, changes, plan};
