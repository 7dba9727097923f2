//! The rules of the emulated cloud, each against the real emulators behind it.

#![expect(clippy::unwrap_used, reason = "this crate is tests")]

mod changes;
mod clients;
mod clones;
mod faults;
mod gaps;
mod jobs;
mod loads;
mod storage;
mod support;
