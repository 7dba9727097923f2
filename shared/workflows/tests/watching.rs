//! What a host sees of an execution, and when it is ended.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{World, run, tags};
use serde_json::json;

#[test]
fn sys_log_and_sys_sleep_reach_the_host() {
    let world = World::codes(&[]);
    let source = r"
- a:
    call: sys.log
    args: {text: hello, severity: info}
- b:
    call: sys.log
    args: {json: {k: 1}}
- c:
    call: sys.sleep
    args: {seconds: 1.5}
";
    assert_eq!(world.run(source, json!(null)).unwrap(), json!(null));
    assert_eq!(world.slept(), [1.5]);
    let logs: Vec<_> = world.lines().into_iter().filter(|line| line.starts_with("log")).collect();
    assert_eq!(logs, ["log main/a INFO \"hello\"", "log main/b DEFAULT {\"k\":1}"]);
    for arguments in ["{}", "{text: a, json: {}}", "{json: a}"] {
        let source = format!(
            r"
- a:
    call: sys.log
    args: {arguments}
"
        );
        assert_eq!(tags(&world.run(&source, json!(null)).unwrap_err()), ["TypeError"], "{arguments}");
    }
}

#[test]
fn observers_see_steps_start_and_end() {
    let world = World::codes(&[]);
    world
        .run(
            r"
- a:
    try:
      steps:
        - b:
            raise: no
    except:
      steps:
        - c:
            assign:
              - x: 1
",
            json!(null),
        )
        .unwrap();
    assert_eq!(
        world.lines(),
        ["start main/a", "start main/b", "fail main/b", "start main/c", "end main/c", "end main/a"]
    );
}

#[test]
fn an_endless_loop_ends_at_a_hundred_thousand_steps() {
    let raised = run(
        r"
- a:
    assign:
      - x: 1
    next: a
",
        json!(null),
    )
    .unwrap_err();
    assert_eq!(tags(&raised), ["ResourceLimitError"]);
}
