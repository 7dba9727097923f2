//! Whatever the text, parsing answers, and running what was parsed ends. And the interpreter costs little.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::json;
use workflows::Workflow;

/// A file with every construct in it.
const EVERYTHING: &str = include_str!("everything.yaml");

/// Pieces from which near misses are made.
const PIECES: [&str; 40] = [
    "- a:\n",
    "    assign:\n",
    "      - x: 1\n",
    "    call: http.get\n",
    "    args:\n",
    "      url: \"http://s/\"\n",
    "    next: a\n",
    "    switch:\n",
    "      - condition: ${x}\n",
    "        return: 1\n",
    "    for:\n",
    "      value: v\n",
    "      in: [1]\n",
    "      steps:\n",
    "    parallel:\n",
    "      shared: [x]\n",
    "    try:\n",
    "    except:\n",
    "      as: e\n",
    "    raise: ",
    "${",
    "}",
    "\"",
    "'",
    "[",
    "]",
    "{",
    ":",
    "- ",
    "\n",
    "  ",
    "main:\n",
    "params: [a]\n",
    "steps:\n",
    "&a ",
    "*a",
    "!!int ",
    "\u{feff}",
    "é",
    "\t",
];

#[test]
fn the_file_with_everything_parses() {
    Workflow::parse("everything.yaml", EVERYTHING).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        let _ = Workflow::parse("f", &text);
    }

    #[test]
    fn pieces_of_workflows_never_panic(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..40)) {
        let _ = Workflow::parse("f", &pieces.concat());
    }

    #[test]
    fn a_changed_file_never_panics(at in any::<prop::sample::Index>(), cut in 0_usize..40, insert in ".{0,6}") {
        let characters: Vec<char> = EVERYTHING.chars().collect();
        let at = at.index(characters.len());
        let after = (at + cut).min(characters.len());
        let text: String = characters[..at].iter().copied().chain(insert.chars()).chain(characters[after..].iter().copied()).collect();
        let _ = Workflow::parse("f", &text);
    }

    #[test]
    fn arbitrary_expressions_never_panic(expression in "[a-c0-9.+*/%<>=!()\\[\\]\", \\\\u-]{0,60}") {
        let source = format!(r#"
- a:
    assign:
      - a: 1
      - b: [1]
      - c: "s"
- d:
    return: '${{{expression}}}'
"#);
        if let Ok(workflow) = Workflow::parse("f", &source) {
            let world = common::World::codes(&[]);
            let _ = common::runtime().block_on(workflow.run(json!(null), &world.host));
        }
    }
}

#[test]
fn deep_nesting_is_refused_not_overflowed() {
    let brackets = format!("- a:\n    return: {}{}\n", "[".repeat(5_000), "]".repeat(5_000));
    let parentheses = format!("- a:\n    return: ${{{}1{}}}\n", "(".repeat(190), ")".repeat(190));
    let negations = format!("- a:\n    return: ${{{}1}}\n", "-".repeat(390));
    for source in [brackets, parentheses, negations] {
        let refused = Workflow::parse("f", &source).unwrap_err().to_string();
        assert!(refused.contains("nests deeper") || refused.contains("invalid YAML"), "{refused}");
    }
}

#[test]
fn a_step_costs_microseconds() {
    let source = r#"
- init:
    assign:
      - n: 0
      - m: {"a": {"b": [1, 2, 3]}}
- loop:
    for:
      value: v
      range: [1, 10000]
      steps:
        - check:
            switch:
              - condition: ${v < 0 or m.a.b[1] != 2}
                raise: no
        - add:
            assign:
              - n: ${n + m.a.b[2]}
              - m.a.b[0]: ${v}
- last:
    return: ${n}
"#;
    let world = common::World::codes(&[]);
    let host = workflows::Host::new(world.network.clone());
    let workflow = Workflow::parse("f", source).unwrap();
    let started = Instant::now();
    let result = common::runtime().block_on(workflow.run(json!(null), &host)).unwrap();
    let a_step = started.elapsed() / 20_000;
    assert_eq!(result, json!(30_000));
    println!("a step costs {a_step:?}");
    // Far above what is measured, so that a busy machine does not fail it, and far below the promise of 1 ms.
    assert!(a_step < Duration::from_micros(100), "{a_step:?}");
}
