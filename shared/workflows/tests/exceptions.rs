//! `raise`, `try` and `except`.
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
fn raise_ends_the_execution_with_what_was_raised() {
    assert_eq!(run("- a:\n    raise: broken\n", json!(null)).unwrap_err().value, json!("broken"));
    let raised = run("- a:\n    raise: {code: 55, message: \"no\"}\n", json!(null)).unwrap_err();
    assert_eq!(raised.value, json!({"code": 55, "message": "no"}));
    assert_eq!(tags(&run("- a:\n    raise: 5\n", json!(null)).unwrap_err()), ["TypeError"]);
}

#[test]
fn except_receives_what_was_raised() {
    for (raise, expected) in [("text", json!("text")), ("{code: 5}", json!({"code": 5}))] {
        returns(
            &format!(
                r"
- a:
    try:
      steps:
        - b:
            raise: {raise}
    except:
      as: e
      steps:
        - c:
            return: ${{e}}
"
            ),
            &expected,
        );
    }
}

#[test]
fn except_catches_errors_of_the_language_and_of_callees() {
    returns(
        r"
main:
  steps:
    - a:
        try:
          call: sub
        except:
          as: e
          steps:
            - c:
                return: ${e.tags[0]}
sub:
  steps:
    - d:
        return: ${1 / 0}
",
        &json!("ZeroDivisionError"),
    );
}

#[test]
fn an_error_in_except_goes_further_out() {
    returns(
        r#"
- outer:
    try:
      steps:
        - inner:
            try:
              steps:
                - a:
                    raise: first
            except:
              as: e
              steps:
                - b:
                    raise: '${e + ", second"}'
    except:
      as: e
      steps:
        - c:
            return: ${e}
"#,
        &json!("first, second"),
    );
}

#[test]
fn try_without_an_error_skips_except_and_goes_on() {
    returns(
        r"
- a:
    try:
      assign:
        - x: 1
    except:
      steps:
        - b:
            return: caught
    next: d
- c:
    raise: skipped
- d:
    return: ${x}
",
        &json!(1),
    );
}

#[test]
fn what_a_try_assigned_before_its_error_stays() {
    returns(
        r"
- a:
    try:
      steps:
        - b:
            assign:
              - x: 1
        - c:
            raise: no
    except:
      steps:
        - d:
            assign:
              - y: 2
- e:
    return: ${x}
",
        &json!(1),
    );
}

#[test]
fn the_trail_leads_from_the_failing_step_outward() {
    let raised = run(
        r"
main:
  steps:
    - a:
        for:
          value: v
          in: [1]
          steps:
            - b:
                call: sub
sub:
  steps:
    - c:
        raise: no
",
        json!(null),
    )
    .unwrap_err();
    let trail: Vec<_> = raised.trail.iter().map(|at| (at.routine.as_str(), at.step.as_str(), at.line)).collect();
    assert_eq!(trail, [("sub", "c", 13), ("main", "b", 9), ("main", "a", 4)]);
}
