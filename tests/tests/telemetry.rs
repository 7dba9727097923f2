//! What is logged of a run.

use std::collections::{BTreeMap, BTreeSet};

use end_to_end::Sandbox;
use serde_json::Value;

const DAY: &str = "2025-08-01";

/// Lines of functions among what people are told.
fn lines(stderr: &str) -> Vec<Value> {
    stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).filter(Value::is_object).collect()
}

fn of<'a>(lines: &'a [Value], message: &str) -> Vec<&'a Value> {
    let found: Vec<_> = lines.iter().filter(|line| line["message"] == message).collect();
    assert!(!found.is_empty(), "nobody said {message:?} in {lines:#?}");
    found
}

fn text(line: &Value, name: &str) -> String {
    line[name].as_str().unwrap_or_else(|| panic!("{name} of {line}")).to_owned()
}

#[test]
fn the_lines_of_a_run_are_one_trace_and_say_what_they_are_about() {
    let sandbox = Sandbox::retail();
    let logged = [("BGP_LOG", "info,bgp=info")];
    let run = |day| {
        let done = sandbox.run_with(&logged, &["run", "daily", "--partition", day, "--json"]).ok();
        (done.json(), lines(&done.stderr))
    };
    let (result, first) = run(DAY);
    assert_eq!(result["outcome"], "published");

    // Each table by name, extracted and loaded in a span of its own.
    let mut spans = BTreeMap::<&str, BTreeSet<String>>::new();
    for message in ["extracted", "loaded"] {
        for line in of(&first, message) {
            assert!(text(line, "partition") == DAY || text(line, "partition") == "all", "{line}");
            spans.entry(message).or_default().insert(text(line, "logging.googleapis.com/spanId"));
            assert!(!text(line, "table").is_empty());
        }
        assert_eq!(spans[message].len(), of(&first, message).len(), "{message}");
    }
    // The steps of the attempt, which are asked for by nothing but its id.
    let begun = of(&first, "begun")[0];
    for message in ["begun", "audited", "committed", "converged"] {
        for line in of(&first, message) {
            for name in ["run", "cycle", "attempt"] {
                assert_eq!(line[name], begun[name], "{name} of {line}");
            }
        }
    }
    assert_eq!((&begun["cycle"], &begun["attempt"]), (&result["cycle"], &result["attempt"]));
    let converged = of(&first, "converged")[0];
    assert!(converged["mixed_milliseconds"].is_u64(), "{converged}");
    // A day of last year was over long ago.
    assert!(converged["age_seconds"].as_i64().is_some_and(|age| age > 24 * 60 * 60), "{converged}");

    // One trace a run, and another one for the next.
    let traces = |lines: &[Value]| -> BTreeSet<String> {
        lines.iter().map(|line| text(line, "logging.googleapis.com/trace")).collect()
    };
    let (_, second) = run("2025-08-02");
    let (first, second) = (traces(&first), traces(&second));
    assert!(first.len() == 1 && second.len() == 1 && first != second, "{first:?} {second:?}");
    assert!(first.iter().all(|trace| trace.len() == 32), "{first:?}");
}
