//! Parallel steps: what branches share, how many run at a time, and what becomes of their errors.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::atomic::Ordering;

use common::{World, run, tags};
use serde_json::{Value, json};

#[test]
fn branches_run_at_the_same_time_and_write_shared_variables() {
    let world = World::codes(&[]);
    let source = r#"
- init:
    assign:
      - a: null
      - b: null
- both:
    parallel:
      shared: [a, b]
      branches:
        - left:
            steps:
              - get_left:
                  call: http.get
                  args: {url: "http://service/left"}
                  result: response
              - set_left:
                  assign:
                    - a: ${response.code}
        - right:
            steps:
              - get_right:
                  call: http.get
                  args: {url: "http://service/right"}
                  result: b
- last:
    return: ${a + b.code}
"#;
    assert_eq!(world.run(source, json!(null)).unwrap(), json!(400));
    assert_eq!(world.network.most.load(Ordering::SeqCst), 2);
    assert!(world.lines().contains(&"send main/get_left[left] GET http://service/left".to_owned()));
}

#[test]
fn each_assign_step_on_a_shared_variable_is_atomic() {
    let world = World::codes(&[]);
    let source = r#"
- init:
    assign:
      - total: 0
      - seen: {}
- loop:
    parallel:
      shared: [total, seen]
      for:
        value: v
        index: i
        range: [1, 100]
        steps:
          - call:
              call: http.get
              args: {url: "http://service/"}
          - add:
              assign:
                - total: ${total + v}
                - seen["i" + i]: ${v}
- last:
    return: ["${total}", "${len(seen)}", "${seen.i99}"]
"#;
    assert_eq!(world.run(source, json!(null)).unwrap(), json!([5050, 100, 100]));
}

#[test]
fn variables_of_a_branch_are_gone_behind_it() {
    let source = |last: &str| {
        format!(
            r"
- init:
    assign:
      - seen: 0
- loop:
    parallel:
      shared: [seen]
      for:
        value: v
        in: [1, 2, 3]
        steps:
          - mine:
              assign:
                - own: ${{v * 10}}
          - theirs:
              assign:
                - seen: ${{seen + own}}
- last:
    return: ${{{last}}}
"
        )
    };
    assert_eq!(run(&source("seen"), json!(null)).unwrap(), json!(60));
    let refused = workflows::Workflow::parse("f.yaml", &source("own")).unwrap_err().to_string();
    assert!(refused.starts_with("f.yaml:19: \"own\" is no variable here"), "{refused}");
}

#[test]
fn concurrency_is_limited_to_what_is_asked_and_to_twenty() {
    for (limit, expected) in [
        ("concurrency_limit: 3\n      ", 3),
        ("concurrency_limit: ${1 + 1}\n      ", 2),
        ("concurrency_limit: 50\n      ", 20),
        ("", 20),
    ] {
        let world = World::codes(&[]);
        let source = format!(
            r#"
- loop:
    parallel:
      {limit}for:
        value: v
        range: [1, 40]
        steps:
          - call:
              call: http.get
              args: {{url: "http://service/"}}
"#
        );
        world.run(&source, json!(null)).unwrap();
        assert_eq!(world.sent(), 40, "{limit}");
        assert_eq!(world.network.most.load(Ordering::SeqCst), expected, "{limit}");
    }
}

#[test]
fn all_branches_run_on_and_their_errors_come_together() {
    let world = World::codes(&[]);
    let source = r#"
- init:
    assign:
      - done: 0
- loop:
    try:
      parallel:
        exception_policy: continueAll
        shared: [done]
        for:
          value: v
          in: [1, 2, 3, 4]
          steps:
            - fail:
                switch:
                  - condition: ${v == 2}
                    raise: two
                  - condition: ${v == 4}
                    raise: {code: 4, message: "four"}
            - call:
                call: http.get
                args: {url: "http://service/"}
            - count:
                assign:
                  - done: ${done + 1}
    except:
      as: e
      steps:
        - last:
            return: {"done": "${done}", "error": "${e}"}
"#;
    let result = world.run(source, json!(null)).unwrap();
    assert_eq!(result["done"], json!(2));
    let error = &result["error"];
    assert_eq!(error["tags"], json!(["UnhandledBranchError", "RuntimeError"]));
    let ids: Vec<_> = error["branches"].as_array().unwrap().iter().map(|branch| branch["id"].clone()).collect();
    assert_eq!(ids, ["1", "3"]);
    assert_eq!(error["branches"][0]["error"]["payload"], json!("two"));
    assert_eq!(error["branches"][1]["error"]["payload"], json!({"code": 4, "message": "four"}));
    let context = error["branches"][1]["error"]["context"].as_str().unwrap();
    assert!(context.starts_with("four\nin step \"fail\", routine \"main\", line: 14"), "{context}");
}

#[test]
fn named_branches_fail_by_their_name() {
    let source = r"
- a:
    parallel:
      branches:
        - good:
            steps:
              - b:
                  assign:
                    - x: 1
        - bad:
            steps:
              - c:
                  raise: no
";
    let raised = run(source, json!(null)).unwrap_err();
    assert_eq!(raised.value["branches"][0]["id"], json!("bad"));
    assert_eq!(raised.value["branches"].as_array().unwrap().len(), 1);
}

#[test]
fn an_error_caught_in_its_branch_is_no_error_of_the_step() {
    let source = r"
- init:
    assign:
      - caught: []
- loop:
    parallel:
      shared: [caught]
      for:
        value: v
        in: [1, 2]
        steps:
          - attempt:
              try:
                raise: ${string(v)}
              except:
                as: e
                steps:
                  - note:
                      assign:
                        - caught: ${list.concat(caught, e)}
- last:
    return: ${len(caught)}
";
    assert_eq!(run(source, json!(null)).unwrap(), json!(2));
}

#[test]
fn continue_ends_an_iteration() {
    let source = r"
- i:
    assign:
      - n: 0
- loop:
    parallel:
      shared: [n]
      for:
        value: v
        range: [1, 4]
        steps:
          - skip:
              switch:
                - condition: ${v == 2}
                  next: continue
          - add:
              assign:
                - n: ${n + v}
- last:
    return: ${n}
";
    assert_eq!(run(source, json!(null)).unwrap(), json!(8));
}

#[test]
fn nested_parallel_steps_share_through_both() {
    let source = |inner_shared: &str| {
        format!(
            r"
- init:
    assign:
      - n: 0
- outer:
    parallel:
      shared: [n]
      for:
        value: v
        range: [1, 3]
        steps:
          - inner:
              parallel:
                shared: [{inner_shared}]
                for:
                  value: w
                  range: [1, 3]
                  steps:
                    - add:
                        assign:
                          - n: ${{n + v * w}}
- last:
    return: ${{n}}
"
        )
    };
    assert_eq!(run(&source("n"), json!(null)).unwrap(), json!(36));
    let refused = workflows::Workflow::parse("f.yaml", &source("")).unwrap_err().to_string();
    assert!(refused.contains("21: \"n\" belongs to the steps around the parallel step"), "{refused}");
}

#[test]
fn parallel_steps_nest_no_deeper_than_two_also_through_calls() {
    let source = r"
main:
  steps:
    - one:
        parallel:
          for:
            value: a
            in: [1]
            steps:
              - two:
                  parallel:
                    for:
                      value: b
                      in: [1]
                      steps:
                        - three:
                            call: deeper
deeper:
  steps:
    - four:
        parallel:
          for:
            value: c
            in: [1]
            steps:
              - five:
                  assign:
                    - x: 1
";
    let raised = run(source, json!(null)).unwrap_err();
    let innermost = &raised.value["branches"][0]["error"]["payload"]["branches"][0]["error"]["payload"];
    assert_eq!(innermost["tags"], json!(["ParallelNestingError"]));
}

#[test]
fn a_shared_variable_stays_what_the_branches_made_it() {
    let source = r"
- i:
    assign:
      - m: {}
- p:
    parallel:
      shared: [m]
      branches:
        - a:
            steps:
              - sa:
                  assign:
                    - m.a: 1
        - b:
            steps:
              - sb:
                  assign:
                    - m.b: 2
- after:
    assign:
      - m.c: 3
- last:
    return: ${m}
";
    assert_eq!(run(source, json!(null)).unwrap(), json!({"a": 1, "b": 2, "c": 3}));
}

#[test]
fn a_parallel_loop_over_nothing_does_nothing() {
    let source = r"
- p:
    parallel:
      for:
        value: v
        in: []
        steps:
          - s:
              raise: never
- last:
    return: ok
";
    assert_eq!(run(source, Value::Null).unwrap(), json!("ok"));
}

#[test]
fn a_bad_concurrency_limit_is_a_value_error() {
    let source = r"
- z:
    assign:
      - n: 0
- p:
    parallel:
      concurrency_limit: ${n}
      for:
        value: v
        in: [1]
        steps:
          - s:
              assign:
                - x: 1
";
    assert_eq!(tags(&run(source, json!(null)).unwrap_err()), ["ValueError"]);
}

#[test]
fn dropping_the_execution_cancels_every_branch() {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    /// Counts the requests that are given up.
    struct Endless(Arc<AtomicUsize>);
    struct Guard(Arc<AtomicUsize>);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    #[async_trait::async_trait]
    impl workflows::Http for Endless {
        async fn send(&self, _: workflows::Request) -> Result<workflows::Response, workflows::HttpFailure> {
            let _guard = Guard(self.0.clone());
            std::future::pending().await
        }
    }

    let dropped = Arc::new(AtomicUsize::new(0));
    let source = r#"
- p:
    parallel:
      for:
        value: v
        in: [1, 2, 3]
        steps:
          - s:
              call: http.get
              args: {url: "http://service/"}
"#;
    let workflow = workflows::Workflow::parse("f.yaml", source).unwrap();
    let host = workflows::Host::new(Arc::new(Endless(dropped.clone())));
    common::runtime().block_on(async {
        let execution = workflow.run(Value::Null, &host);
        assert!(tokio::time::timeout(Duration::from_millis(20), execution).await.is_err());
    });
    assert_eq!(dropped.load(Ordering::SeqCst), 3);
}

#[test]
fn a_variable_is_shared_for_one_parallel_step_only() {
    let source = r"
- start:
    next: init
- second:
    parallel:
      branches:
        - b:
            steps:
              - own:
                  assign:
                    - x: 5
    next: last
- init:
    assign:
      - x: 1
- first:
    parallel:
      shared: [x]
      branches:
        - a:
            steps:
              - theirs:
                  assign:
                    - x: 2
    next: second
- last:
    return: ${x}
";
    assert_eq!(run(source, json!(null)).unwrap(), json!(2));
}
