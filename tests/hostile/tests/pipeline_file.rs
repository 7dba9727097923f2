//! Every key of a pipeline file, given what nobody should write.

use hostile::payloads;
use pipeline::Pipeline;
use serde_json::Value;

const REFERENCE: &str = include_str!("../../../shared/pipeline/reference.yaml");
/// The longest list of mistakes, in bytes.
const MAX_SAID: usize = 120_000;
const PLACE: &str = "a place that no file has";

/// The file with each of its keys' values in turn taken out, and the key.
fn places(value: &Value, path: &str, found: &mut Vec<(String, Vec<Step>)>, steps: &mut Vec<Step>) {
    if !path.is_empty() {
        found.push((path.to_owned(), steps.clone()));
    }
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                steps.push(Step::Key(key.clone()));
                places(member, &format!("{path}.{key}"), found, steps);
                steps.pop();
            }
        }
        Value::Array(entries) => {
            for (position, entry) in entries.iter().enumerate() {
                steps.push(Step::Position(position));
                places(entry, &format!("{path}[{position}]"), found, steps);
                steps.pop();
            }
        }
        _ => {}
    }
}

#[derive(Clone)]
enum Step {
    Key(String),
    Position(usize),
}

fn without(document: &Value, steps: &[Step]) -> Option<String> {
    let mut changed = document.clone();
    let mut at = &mut changed;
    for step in steps {
        at = match step {
            Step::Key(key) => at.get_mut(key)?,
            Step::Position(position) => at.get_mut(*position)?,
        };
    }
    *at = PLACE.into();
    serde_json::to_string_pretty(&changed).ok()
}

#[test]
fn every_key_takes_every_payload() {
    let document: Value = serde_saphyr::from_str(REFERENCE).expect("the reference is YAML");
    let (mut found, mut pairs, mut accepted) = (Vec::new(), 0_usize, 0_usize);
    places(&document, "", &mut found, &mut Vec::new());
    let marker = Value::from(PLACE).to_string();
    let payloads = payloads();
    for (number, (path, steps)) in found.iter().enumerate() {
        let text = without(&document, steps).expect("the place is there");
        let (before, after) = text.split_once(&marker).expect("the place is marked");
        for (position, payload) in payloads.iter().enumerate() {
            // The whole file is read each time. In the short form each key gets every eighth, each payload every eighth key.
            if !is_full() && (number + position) % 8 != 0 {
                continue;
            }
            pairs += 1;
            match Pipeline::parse("reference.yaml", &format!("{before}{}{after}", payload.json)) {
                Ok(_) => accepted += 1,
                Err(error) => {
                    let said = error.to_string();
                    assert!(said.contains("reference.yaml"), "{path} {}: {said}", payload.shown());
                    assert!(said.len() < MAX_SAID, "{path} {}: {} bytes", payload.shown(), said.len());
                }
            }
        }
    }
    println!("{} keys, {} payloads, {pairs} pairs; {accepted} accepted", found.len(), payloads.len());
    assert!(found.len() > 100);
}

/// What is wrong with YAML before there are keys.
#[test]
fn files_that_are_traps_are_refused_soon() {
    let doubled: String = (0..40).fold("a0: &a0 [x]\n".to_owned(), |text, number| {
        format!("{text}a{}: &a{} [*a{number}, *a{number}]\n", number + 1, number + 1)
    });
    let traps = [
        ("aliases that double", doubled),
        ("an alias of itself", "a: &a [*a]".to_owned()),
        ("an alias of nothing", "a: *nothing".to_owned()),
        ("a key twice", format!("{REFERENCE}\nversion: 1\n")),
        ("two documents", format!("{REFERENCE}\n---\n{REFERENCE}")),
        ("a directive", format!("%YAML 9.9\n---\n{REFERENCE}")),
        ("a tag", "!!python/object/apply:os.system [id]".to_owned()),
        ("tabs", "a:\n\tb: 1".to_owned()),
        ("lists in lists", "- ".repeat(100_000)),
        ("brackets", "[".repeat(100_000)),
        ("braces", "{a: ".repeat(50_000)),
        ("indents", (0..2_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect()),
        ("a megabyte and more", "#".repeat(2 << 20)),
        ("a very long key", format!("{}: 1", "k".repeat(500_000))),
        ("very many keys", (0..50_000).map(|number| format!("k{number}: 1\n")).collect()),
        ("a NUL", "version: 1\0".to_owned()),
        ("nothing", String::new()),
        ("a comment", "# nothing".to_owned()),
        ("a number", "7".to_owned()),
        ("a complex key", "? [a, b]\n: 1".to_owned()),
    ];
    for (name, text) in traps {
        let started = std::time::Instant::now();
        let said =
            Pipeline::parse("trap.yaml", &text).err().unwrap_or_else(|| panic!("{name} is accepted")).to_string();
        assert!(said.contains("trap.yaml") && said.len() < MAX_SAID, "{name}: {} bytes: {said:.300}", said.len());
        assert!(started.elapsed().as_secs() < 20, "{name} took {:?}", started.elapsed());
    }
}

fn is_full() -> bool {
    #[expect(clippy::disallowed_methods, reason = "tests are told by ./bgp how long they may take")]
    let full = std::env::var_os("BGP_TEST_FULL");
    full.is_some()
}
