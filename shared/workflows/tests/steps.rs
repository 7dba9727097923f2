//! What steps do with values and with `next`, a small workflow each.
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
fn a_bare_list_of_steps_is_main() {
    returns(
        r"
- first:
    assign:
      - a: 1
- last:
    return: ${a + 1}
",
        &json!(2),
    );
}

#[test]
fn a_workflow_that_returns_nothing_gives_null() {
    returns(
        r"
main:
  steps:
    - only:
        assign:
          - a: 1
",
        &json!(null),
    );
}

#[test]
fn a_json_file_is_a_workflow() {
    returns(r#"{"main": {"steps": [{"a": {"assign": [{"x": 1}]}}, {"b": {"return": "${x}"}}]}}"#, &json!(1));
}

#[test]
fn scalars_are_typed_as_yaml_types_them() {
    returns(
        "- last:\n    return: [1, -2, 1.5, 1e2, 0x1F, true, False, null, ~, '1', \"true\", text, 2025-08-01, 1.2.3, .5]\n",
        &json!([1, -2, 1.5, 100.0, 31, true, false, null, null, "1", "true", "text", "2025-08-01", "1.2.3", 0.5]),
    );
}

#[test]
fn expressions_stand_anywhere_in_a_value_also_as_keys() {
    returns(
        r#"
- a:
    assign:
      - k: name
      - made:
          "${k + \"s\"}":
            - ${1 + 1}
            - {inner: "${k}"}
          plain: x
- b:
    return: ${made}
"#,
        &json!({"names": [2, {"inner": "name"}], "plain": "x"}),
    );
}

#[test]
fn an_expression_may_span_lines() {
    returns(
        r"
- a:
    return: >-
      ${1 +
        2}
",
        &json!(3),
    );
}

#[test]
fn assign_sets_members_and_items() {
    returns(
        r#"
- init:
    assign:
      - k: b
      - n: 2
      - m: {"list": [{"c": 1}, {"c": 2}], "nested": {}}
      - m.list[0].c: 10
      - m.list[n - 1].c: 20
      - m["new key"]: 1
      - m[k + "2"]: 2
      - m.nested.made: true
- last:
    return: ${m}
"#,
        &json!({"list": [{"c": 10}, {"c": 20}], "nested": {"made": true}, "new key": 1, "b2": 2}),
    );
}

#[test]
fn assigning_a_variable_copies_it() {
    returns(
        r#"
- a:
    assign:
      - x: {"v": [1]}
      - y: ${x}
      - y.v[0]: 2
- b:
    return: ${x.v[0] + y.v[0] * 10}
"#,
        &json!(21),
    );
}

#[test]
fn assign_makes_only_the_last_key() {
    for (target, tag) in [("m.z.y", "KeyError"), ("l[5]", "IndexError"), ("i.a", "TypeError"), ("m[0]", "TypeError")] {
        let source = format!(
            r"
- a:
    assign:
      - m: {{}}
      - l: [1]
      - i: 1
      - {target}: 1
"
        );
        let raised = run(&source, json!(null)).unwrap_err();
        assert_eq!(tags(&raised)[0], tag, "{target}: {raised}");
    }
}

#[test]
fn a_variable_that_is_read_too_early_is_a_key_error() {
    let raised = run(
        r"
- a:
    next: c
- b:
    assign:
      - x: 1
- c:
    return: ${x}
",
        json!(null),
    )
    .unwrap_err();
    assert_eq!(tags(&raised)[0], "KeyError");
}

#[test]
fn next_jumps_forward_back_and_to_the_end() {
    returns(
        r"
- a:
    assign:
      - i: 0
- again:
    assign:
      - i: ${i + 1}
- check:
    switch:
      - condition: ${i < 5}
        next: again
    next: done
- never:
    raise: unreachable
- done:
    return: ${i}
",
        &json!(5),
    );
    returns(
        r"
- a:
    assign:
      - i: 0
    next: end
- never:
    raise: unreachable
",
        &json!(null),
    );
}

#[test]
fn next_leads_out_of_nested_steps() {
    returns(
        r"
- outer:
    for:
      value: v
      in: [1, 2, 3]
      steps:
        - inner:
            steps:
              - look:
                  switch:
                    - condition: ${v == 2}
                      next: found
              - other:
                  assign:
                    - x: 1
- never:
    raise: not found
- found:
    return: done
",
        &json!("done"),
    );
}

#[test]
fn switch_takes_the_first_true_case() {
    let source = |value: i64| {
        format!(
            r"
- init:
    assign:
      - x: {value}
- choose:
    switch:
      - condition: ${{x < 0}}
        return: negative
      - condition: ${{x == 0}}
        steps:
          - zero:
              assign:
                - r: zero
        next: last
      - condition: ${{x < 10}}
        assign:
          - r: small
      - condition: ${{x > 100}}
        raise: too large
      - condition: true
        next: other
- last:
    return: ${{r}}
- other:
    return: default
"
        )
    };
    for (value, expected) in [(-1, "negative"), (0, "zero"), (5, "small"), (50, "default")] {
        returns(&source(value), &json!(expected));
    }
    assert_eq!(run(&source(500), json!(null)).unwrap_err().value, json!("too large"));
}

#[test]
fn a_switch_without_a_match_goes_on_or_follows_its_next() {
    returns(
        r"
- a:
    switch:
      - condition: false
        return: 1
- b:
    return: 2
",
        &json!(2),
    );
    returns(
        r"
- a:
    switch:
      - condition: false
        return: 1
    next: c
- b:
    return: 2
- c:
    return: 3
",
        &json!(3),
    );
}

#[test]
fn a_condition_must_be_a_boolean() {
    let raised = run(
        r"
- a:
    switch:
      - condition: ${1}
        return: 1
",
        json!(null),
    )
    .unwrap_err();
    assert_eq!(tags(&raised)[0], "TypeError");
}
