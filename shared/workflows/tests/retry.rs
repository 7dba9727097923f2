//! When a `try` runs again, and after which waits. No test here waits for real.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{World, tags};
use serde_json::{Value, json};
use workflows::{HttpFailure, Response};

/// One call under `retry: POLICY`.
fn source(policy: &str) -> String {
    SOURCE.replace("POLICY", policy)
}

const SOURCE: &str = r"
main:
  steps:
    - fetch:
        try:
          call: http.get
          args:
            url: http://service/item
          result: response
        retry: POLICY
    - last:
        return: ${response.code}
unlucky:
  params: [e]
  steps:
    - decide:
        return: ${e.code == 418}
wrong:
  params: [e]
  steps:
    - decide:
        return: maybe
";

const DEFAULT: &str = "${http.default_retry}";
const NON_IDEMPOTENT: &str = "${http.default_retry_non_idempotent}";

fn custom(predicate: &str) -> String {
    format!(
        "{{predicate: \"${{{predicate}}}\", max_retries: 8, backoff: {{initial_delay: 1, max_delay: 60, multiplier: 2}}}}"
    )
}

#[test]
fn the_default_policy_retries_these_codes_and_no_others() {
    let table: &[(u16, &str, bool)] = &[
        (429, DEFAULT, true),
        (502, DEFAULT, true),
        (503, DEFAULT, true),
        (504, DEFAULT, true),
        (500, DEFAULT, false),
        (400, DEFAULT, false),
        (404, DEFAULT, false),
        (409, DEFAULT, false),
        (429, NON_IDEMPOTENT, true),
        (503, NON_IDEMPOTENT, true),
        (502, NON_IDEMPOTENT, false),
        (504, NON_IDEMPOTENT, false),
        (500, NON_IDEMPOTENT, false),
    ];
    for (code, policy, retried) in table {
        let world = World::new(|request, before| {
            let code = request.headers.iter().find(|(name, _)| name == "code").unwrap().1.parse().unwrap();
            Ok(Response { code: if before == 0 { code } else { 200 }, ..Response::default() })
        });
        let source = source(policy).replace("args:", &format!("args:\n            headers: {{code: \"{code}\"}}"));
        let result = world.run(&source, json!(null));
        assert_eq!(result.is_ok(), *retried, "{code} {policy}");
        assert_eq!(world.sent(), 1 + usize::from(*retried), "{code} {policy}");
    }
}

#[test]
fn the_default_policy_retries_lost_connections_and_timeouts() {
    type Failure = fn() -> HttpFailure;
    let failures: [(Failure, &str, bool, bool); 4] = [
        (|| HttpFailure::NotConnected("refused".to_owned()), "ConnectionFailedError", true, true),
        (|| HttpFailure::Interrupted("reset".to_owned()), "ConnectionError", true, false),
        (|| HttpFailure::TimedOut, "TimeoutError", true, false),
        (|| HttpFailure::Invalid("no".to_owned()), "ValueError", false, false),
    ];
    for (failure, tag, idempotent, non_idempotent) in failures {
        for (policy, retried) in [(DEFAULT, idempotent), (NON_IDEMPOTENT, non_idempotent)] {
            let world = World::new(move |_, _| Err(failure()));
            let raised = world.run(&source(policy), json!(null)).unwrap_err();
            assert_eq!(tags(&raised)[0], tag);
            assert_eq!(world.sent(), if retried { 6 } else { 1 }, "{tag} {policy}");
        }
    }
}

#[test]
fn the_default_policy_waits_from_a_second_by_a_quarter_more_and_gives_up_after_five_retries() {
    let world = World::codes(&[503; 20]);
    let raised = world.run(&source(DEFAULT), json!(null)).unwrap_err();
    assert_eq!(raised.value["code"], json!(503));
    assert_eq!(world.sent(), 6);
    assert_eq!(world.slept(), [1.0, 1.25, 1.5625, 1.953_125, 2.441_406_25]);
}

#[test]
fn a_custom_backoff_grows_to_its_maximum() {
    let world = World::codes(&[503; 20]);
    world.run(&source(&custom("http.default_retry_predicate")), json!(null)).unwrap_err();
    assert_eq!(world.sent(), 9);
    assert_eq!(world.slept(), [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]);
}

#[test]
fn a_sub_workflow_may_decide() {
    let world = World::codes(&[418, 418]);
    assert_eq!(world.run(&source(&custom("unlucky")), json!(null)).unwrap(), json!(200));
    assert_eq!(world.slept(), [1.0, 2.0]);
    let world = World::codes(&[503]);
    assert_eq!(world.run(&source(&custom("unlucky")), json!(null)).unwrap_err().value["code"], json!(503));
}

#[test]
fn a_predicate_that_gives_no_boolean_raises() {
    let world = World::codes(&[503]);
    assert_eq!(tags(&world.run(&source(&custom("wrong")), json!(null)).unwrap_err()), ["TypeError"]);
}

#[test]
fn always_and_never() {
    let world = World::codes(&[500, 404]);
    assert_eq!(world.run(&source(&custom("retry.always")), json!(null)).unwrap(), json!(200));
    let world = World::codes(&[503]);
    world.run(&source(&custom("retry.never")), json!(null)).unwrap_err();
    assert_eq!(world.sent(), 1);
}

#[test]
fn the_numbers_of_a_policy_may_be_expressions() {
    let world = World::codes(&[503; 20]);
    let policy = "{predicate: \"${http.default_retry_predicate}\", max_retries: \"${1 + 1}\", backoff: {initial_delay: \"${0.5}\", max_delay: 10, multiplier: 3}}";
    world.run(&source(policy), json!(null)).unwrap_err();
    assert_eq!(world.slept(), [0.5, 1.5]);
    for wrong in ["max_retries: -1", "max_retries: many"] {
        let raised = world.run(&source(&policy.replace("max_retries: \"${1 + 1}\"", wrong)), json!(null)).unwrap_err();
        assert!(raised.to_string().contains("max_retries"), "{raised}");
    }
}

#[test]
fn a_retry_runs_the_whole_try_again_and_except_comes_after_the_last() {
    let source = r#"
- init:
    assign:
      - runs: 0
- work:
    try:
      steps:
        - count:
            assign:
              - runs: ${runs + 1}
        - fetch:
            call: http.post
            args: {url: "http://service/item", body: {}}
    retry: ${http.default_retry}
    except:
      as: e
      steps:
        - note:
            return: {"runs": "${runs}", "code": "${e.code}"}
- last:
    return: ${runs}
"#;
    assert_eq!(World::codes(&[503, 502]).run(source, json!(null)).unwrap(), json!(3));
    assert_eq!(World::codes(&[503; 9]).run(source, json!(null)).unwrap(), json!({"runs": 6, "code": 503}));
    assert_eq!(World::codes(&[500]).run(source, json!(null)).unwrap(), json!({"runs": 1, "code": 500}));
}

#[test]
fn observers_are_told_of_retries() {
    let world = World::codes(&[503]);
    world.run(&source(DEFAULT), Value::Null).unwrap();
    let expected = [
        "start main/fetch",
        "send main/fetch GET http://service/item",
        "sent main/fetch http://service/item Some(503)",
        "retry main/fetch 1 1s",
        "send main/fetch GET http://service/item",
        "sent main/fetch http://service/item Some(200)",
        "end main/fetch",
        "start main/last",
        "end main/last",
    ];
    assert_eq!(world.lines(), expected);
}
