//! What the pipeline announces, and what it is told.
//!
//! Both are [CloudEvents 1.0](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md). An announced event
//! ([`Fact`]) has an id that follows from what it says, so that publishing it again after a crash, or delivering it twice,
//! is noticed by whoever compares `source` and `id`. The JSON schema of each type is in `schemas/`.

mod delivery;
mod error;
mod fact;
mod inbox;
#[cfg(feature = "google")]
mod pubsub;
mod sink;

pub use delivery::{Delivery, Meaning};
pub use error::Error;
pub use fact::{
    AuditRefused, BrokenRule, CyclePublished, CycleRolledBack, Fact, PartitionExtracted, PartitionLoaded, RunFailed,
};
pub use inbox::Inbox;
#[cfg(feature = "google")]
pub use pubsub::PubSubSink;
pub use sink::{Event, EventSink, StoreSink};
