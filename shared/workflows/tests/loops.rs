//! `for` with all that it goes over, and what leads out of it.
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
fn for_goes_over_lists_with_an_index() {
    returns(
        r#"
- a:
    assign:
      - r: ""
- b:
    for:
      value: v
      index: i
      in: [x, y, z]
      steps:
        - c:
            assign:
              - r: ${r + i + v}
- d:
    return: ${r}
"#,
        &json!("0x1y2z"),
    );
}

#[test]
fn for_goes_over_a_range_with_both_ends() {
    returns(
        r#"
main:
  params: [args]
  steps:
    - a:
        assign:
          - r: []
    - b:
        for:
          value: v
          range: [1, "${args.count}"]
          steps:
            - c:
                assign:
                  - r: ${list.concat(r, v)}
    - d:
        return: ${r}
"#,
        &json!([1, 2, 3]),
    );
    returns(
        r"
- a:
    assign:
      - r: 0
- b:
    for:
      value: v
      range: [3, 1]
      steps:
        - c:
            assign:
              - r: 1
- d:
    return: ${r}
",
        &json!(0),
    );
}

#[test]
fn for_goes_over_the_keys_of_a_map() {
    returns(
        r#"
- a:
    assign:
      - m: {"p": 1, "q": 2}
      - sum: 0
- b:
    for:
      value: k
      in: ${keys(m)}
      steps:
        - c:
            assign:
              - sum: ${sum + m[k]}
- d:
    return: ${sum}
"#,
        &json!(3),
    );
}

#[test]
fn for_refuses_what_is_no_list() {
    let raised = run(
        r"
- a:
    assign:
      - m: {}
- b:
    for:
      value: v
      in: ${m}
      steps:
        - c:
            assign:
              - x: 1
",
        json!(null),
    )
    .unwrap_err();
    assert!(raised.to_string().contains("in must be a list, not map"), "{raised}");
}

#[test]
fn continue_and_break_belong_to_the_innermost_loop() {
    returns(
        r#"
- a:
    assign:
      - r: ""
- outer:
    for:
      value: v
      range: [1, 3]
      steps:
        - inner:
            for:
              value: w
              range: [1, 5]
              steps:
                - skip:
                    switch:
                      - condition: ${w == 2}
                        next: continue
                      - condition: ${w == 4}
                        next: break
                - note:
                    assign:
                      - r: ${r + v + w + " "}
        - early:
            switch:
              - condition: ${v == 2}
                next: break
- d:
    return: ${r}
"#,
        &json!("11 13 21 23 "),
    );
}

#[test]
fn return_leaves_loops_and_nested_steps() {
    returns(
        r"
- a:
    for:
      value: v
      in: [1, 2]
      steps:
        - b:
            steps:
              - c:
                  return: ${v}
",
        &json!(1),
    );
}

#[test]
fn what_a_loop_makes_is_gone_behind_it() {
    let raised = run(
        r"
- loop:
    for:
      value: v
      in: [1]
      steps:
        - make:
            assign:
              - x: 1
- look:
    return: ${x}
- later:
    assign:
      - x: 2
",
        json!(null),
    )
    .unwrap_err();
    assert_eq!(tags(&raised)[0], "KeyError");
}
