//! Sub-workflows, the argument, and calls.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{run, tags};
use serde_json::{Value, json};

#[track_caller]
fn returns(source: &str, expected: &Value) {
    match run(source, json!({"who": "you", "count": 3})) {
        Ok(result) => assert_eq!(&result, expected),
        Err(raised) => panic!("{raised}"),
    }
}

#[test]
fn main_receives_the_argument() {
    returns(
        r#"
main:
  params: [args]
  steps:
    - last:
        return: ${"Hello " + args.who}
"#,
        &json!("Hello you"),
    );
}

#[test]
fn sub_workflows_take_arguments_by_name_by_position_and_by_default() {
    let file = |call: &str| {
        format!(
            r#"
main:
  steps:
    - go:
        call: greet
        args: {call}
        result: r
    - last:
        return: ${{r}}
greet:
  params: [first, last, country: "England"]
  steps:
    - a:
        return: ${{first + " " + last + " from " + country}}
"#
        )
    };
    returns(&file("{first: Ada, last: L}"), &json!("Ada L from England"));
    returns(&file("{first: Ada, last: L, country: X}"), &json!("Ada L from X"));
    returns(&file("[Ada, \"${\\\"L\\\" + \\\"!\\\"}\"]"), &json!("Ada L! from England"));
}

#[test]
fn the_variables_of_a_sub_workflow_are_its_own() {
    returns(
        r#"
main:
  steps:
    - a:
        assign:
          - x: 1
    - b:
        call: sub
        args: {x: "${x}"}
        result: y
    - c:
        return: ${x * 100 + y}
sub:
  params: [x]
  steps:
    - d:
        assign:
          - x: ${x + 1}
    - e:
        return: ${x}
"#,
        &json!(102),
    );
}

#[test]
fn a_sub_workflow_ends_itself_only() {
    returns(
        r#"
main:
  steps:
    - a:
        call: sub
        result: r
    - b:
        return: ${default(r, "went on")}
sub:
  steps:
    - c:
        assign:
          - z: 1
        next: end
    - d:
        return: never
"#,
        &json!("went on"),
    );
}

#[test]
fn recursion_ends_at_twenty_calls() {
    let source = r#"
main:
  params: [args]
  steps:
    - a:
        call: down
        args: {n: "${args}"}
        result: r
    - b:
        return: ${r}
down:
  params: [n]
  steps:
    - c:
        switch:
          - condition: ${n == 0}
            return: bottom
    - d:
        call: down
        args: {n: "${n - 1}"}
        result: r
    - e:
        return: ${r}
"#;
    assert_eq!(run(source, json!(18)).unwrap(), json!("bottom"));
    assert_eq!(tags(&run(source, json!(19)).unwrap_err()), ["RecursionError"]);
}

#[test]
fn library_functions_are_called_by_steps_too() {
    returns(
        r#"
- a:
    call: map.get
    args: {map: {k: 5}, keys: k}
    result: r
- b:
    call: text.split
    args: ["a b", " "]
    result: s
- c:
    return: ["${r}", "${s}"]
"#,
        &json!([5, ["a", "b"]]),
    );
}

#[test]
fn an_argument_over_the_limit_is_refused() {
    let raised = run("- a:\n    return: 1\n", json!("x".repeat(33_000))).unwrap_err();
    assert_eq!(tags(&raised), ["ResourceLimitError"]);
}
