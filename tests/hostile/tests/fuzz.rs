//! Documents that were real before something happened to them: whoever reads one answers, and does not panic.
//!
//! `BGP_TEST_FULL=1 cargo test -p hostile --test fuzz` does a hundred times as much.

#![expect(clippy::expect_used, reason = "tests")]

use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use events::{Delivery, Meaning};
use hostile::payloads;
use pipeline::Pipeline;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wap::{Attempt, Deployment, Inputs, LedgerEntry, Manifest, PartitionKey, Receipt};
use workflows::Workflow;

const PIPELINES: [&str; 2] =
    [include_str!("../../../pipeline.yaml"), include_str!("../../../shared/pipeline/reference.yaml")];
const WORKFLOWS: [&str; 3] = [
    include_str!("../../../workflows/daily.yaml"),
    include_str!("../../../workflows/rollback.yaml"),
    include_str!("../../../workflows/cleanup.yaml"),
];
const RECORD: &str = include_str!("../documents/record.json");
const ATTEMPT: &str = include_str!("../documents/attempt.json");
const INPUTS: &str = include_str!("../documents/inputs.json");
const RECEIPT: &str = include_str!("../documents/receipt.json");
const LEDGER: &str = include_str!("../documents/ledger.json");
const MANIFEST: &str = include_str!("../documents/manifest.json");
const EVENT: &str = include_str!("../documents/event.json");

/// Payloads of a length at which many fit into a second.
static PIECES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let short = payloads().into_iter().filter(|payload| payload.json.len() < 200);
    short.flat_map(|payload| [payload.text().to_owned(), payload.json]).collect()
});

/// What happened to a document.
#[derive(Debug, Clone)]
enum Damage {
    /// A byte became another.
    Byte(usize, u8),
    /// A part is gone.
    Cut(usize, usize),
    /// The end is gone.
    Truncated(usize),
    /// A line is there twice.
    Doubled(usize),
    /// Two lines changed places.
    Exchanged(usize, usize),
    /// Something else stands in the place of the value of a line.
    Value(usize, usize),
    /// Something was put in.
    Inserted(usize, usize),
}

fn damage() -> impl Strategy<Value = Vec<Damage>> {
    let place = any::<usize>;
    let one = prop_oneof![
        2 => (place(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        1 => (place(), 1_usize..40).prop_map(|(at, length)| Damage::Cut(at, length)),
        1 => place().prop_map(Damage::Truncated),
        2 => place().prop_map(Damage::Doubled),
        2 => (place(), place()).prop_map(|(one, other)| Damage::Exchanged(one, other)),
        4 => (place(), place()).prop_map(|(line, piece)| Damage::Value(line, piece)),
        2 => (place(), place()).prop_map(|(at, piece)| Damage::Inserted(at, piece)),
    ];
    prop::collection::vec(one, 1..4)
}

fn damaged(document: &str, damage: &[Damage]) -> Vec<u8> {
    let mut bytes = document.as_bytes().to_vec();
    for damage in damage {
        let length = bytes.len().max(1);
        let lines: Vec<Vec<u8>> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        let joined = |lines: Vec<Vec<u8>>| lines.join(&b'\n');
        bytes = match *damage {
            Damage::Byte(at, byte) => {
                if let Some(there) = bytes.get_mut(at % length) {
                    *there = byte;
                }
                bytes
            }
            Damage::Cut(at, cut) => {
                let start = (at % length).min(bytes.len());
                bytes.drain(start..(start + cut).min(bytes.len()));
                bytes
            }
            Damage::Truncated(at) => {
                bytes.truncate(at % length);
                bytes
            }
            Damage::Doubled(at) => {
                let mut lines = lines;
                let at = at % lines.len();
                lines.insert(at, lines[at].clone());
                joined(lines)
            }
            Damage::Exchanged(one, other) => {
                let mut lines = lines;
                let (one, other) = (one % lines.len(), other % lines.len());
                lines.swap(one, other);
                joined(lines)
            }
            Damage::Value(at, piece) => {
                let mut lines = lines;
                let at = at % lines.len();
                if let Some(colon) = lines[at].iter().position(|byte| *byte == b':') {
                    let comma = lines[at].ends_with(b",");
                    lines[at].truncate(colon + 1);
                    lines[at].push(b' ');
                    lines[at].extend_from_slice(PIECES[piece % PIECES.len()].as_bytes());
                    lines[at].extend(comma.then_some(b','));
                }
                joined(lines)
            }
            Damage::Inserted(at, piece) => {
                let at = (at % length).min(bytes.len());
                bytes.splice(at..at, PIECES[piece % PIECES.len()].bytes());
                bytes
            }
        };
    }
    bytes
}

/// Whatever can be read can be written, and is then read as the same.
fn read<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> Option<T> {
    let document: T = serde_json::from_slice(bytes).ok()?;
    let written = serde_json::to_vec(&document).expect("what was read can be written");
    assert_eq!(serde_json::from_slice::<T>(&written).expect("what was written can be read"), document);
    Some(document)
}

fn cases() -> ProptestConfig {
    #[expect(clippy::disallowed_methods, reason = "tests are told by ./bgp how long they may take")]
    let full = std::env::var_os("BGP_TEST_FULL").is_some();
    ProptestConfig { cases: if full { 50_000 } else { 500 }, failure_persistence: None, ..ProptestConfig::default() }
}

#[test]
fn the_documents_are_read_before_anything_happens_to_them() {
    assert!(read::<Deployment>(RECORD.as_bytes()).is_some());
    assert!(read::<Attempt>(ATTEMPT.as_bytes()).is_some());
    assert!(read::<Inputs>(INPUTS.as_bytes()).is_some());
    assert!(read::<Receipt>(RECEIPT.as_bytes()).is_some());
    assert!(read::<LedgerEntry>(LEDGER.as_bytes()).is_some());
    assert!(read::<Manifest>(MANIFEST.as_bytes()).is_some());
    assert!(delivery(EVENT.as_bytes(), "application/cloudevents+json").is_some());
}

fn delivery(body: &[u8], content_type: &str) -> Option<Meaning> {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_str(content_type).ok()?);
    Delivery::read(&headers, body).ok()?.meaning().ok()
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn pipeline_files(which in 0..PIPELINES.len(), damage in damage()) {
        let text = String::from_utf8_lossy(&damaged(PIPELINES[which], &damage)).into_owned();
        if let Err(error) = Pipeline::parse("damaged.yaml", &text) {
            let said = error.to_string();
            prop_assert!(said.contains("damaged.yaml") && said.len() < 20_000, "{}", said);
        }
    }

    #[test]
    fn manifests_and_ledger_entries(damage in damage()) {
        read::<LedgerEntry>(&damaged(LEDGER, &damage));
        if let Some(manifest) = read::<Manifest>(&damaged(MANIFEST, &damage)) {
            let _ = Manifest::key(&manifest.table, &manifest.partition, &manifest.digest);
        }
    }

    #[test]
    fn records(damage in damage(), partition in 1_u8..29) {
        if let Some(record) = read::<Deployment>(&damaged(RECORD, &damage)) {
            let partition = PartitionKey::new(format!("2025-08-{partition:02}")).expect("a date");
            let _ = record.clone().release(&partition);
            let _ = record.clone().release_cycle(u64::from(u8::MAX));
            let _ = record.rollback_target(jiff::Timestamp::UNIX_EPOCH).is_ok();
            let _ = record.slots().count();
        }
    }

    #[test]
    fn attempts_inputs_and_receipts(damage in damage()) {
        if let Some(attempt) = read::<Attempt>(&damaged(ATTEMPT, &damage)) {
            let _ = Attempt::key(attempt.id());
        }
        read::<Inputs>(&damaged(INPUTS, &damage));
        read::<Receipt>(&damaged(RECEIPT, &damage));
    }

    #[test]
    fn workflow_files(which in 0..WORKFLOWS.len(), damage in damage()) {
        let text = String::from_utf8_lossy(&damaged(WORKFLOWS[which], &damage)).into_owned();
        if let Err(error) = Workflow::parse("damaged.yaml", &text) {
            let said = error.to_string();
            prop_assert!(said.contains("damaged.yaml") && said.len() < 20_000, "{}", said);
        }
    }

    #[test]
    fn event_envelopes(damage in damage(), header in "ce-[a-z]{1,12}", value in "[ -~]{0,40}") {
        let body = damaged(EVENT, &damage);
        let _ = delivery(&body, "application/cloudevents+json");
        let _ = delivery(&body, "application/json");
        let _ = delivery(&body, &value);
        let mut headers = HeaderMap::new();
        headers.insert("ce-specversion", HeaderValue::from_static("1.0"));
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(header), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
        let _ = Delivery::read(&headers, &body).map(|delivery| delivery.meaning());
    }
}
