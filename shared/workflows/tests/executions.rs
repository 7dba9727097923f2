//! Counted steps, memory that is given back, and the connector that runs another workflow.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use async_trait::async_trait;
use common::{World, runtime, tags};
use serde_json::{Value, json};
use workflows::{ExecutionFailure, Executions, Workflow};

fn steps(source: &str) -> u64 {
    let world = World::codes(&[503]);
    runtime().block_on(Workflow::parse("f", source).unwrap().execute(json!(null), &world.host)).steps
}

#[test]
fn each_step_counts_as_often_as_it_ran() {
    assert_eq!(steps("- a:\n    assign:\n      - x: 1\n      - y: 2\n- b:\n    return: 1\n- c:\n    return: 2\n"), 2);
    let repeated = "- a:\n    for:\n      value: v\n      range: [1, 3]\n      steps:\n        - b:\n            assign:\n              - x: 1\n";
    assert_eq!(steps(repeated), 4);
    let called =
        "main:\n  steps:\n    - a:\n        return: ${len([s(), s()])}\ns:\n  steps:\n    - b:\n        return: 1\n";
    assert_eq!(steps(called), 3);
    let tried =
        "- a:\n    try:\n      call: http.get\n      args: {url: \"http://s/\"}\n    retry: ${http.default_retry}\n";
    assert_eq!(steps(tried), 2);
    assert_eq!(steps("- a:\n    next: a\n"), 100_000);
}

#[test]
fn memory_is_given_back() {
    // Each is far below the limit, and all of them together are far above it.
    let source = r"
main:
  steps:
    - start:
        assign:
          - text: xxxxxxxxxxxxxxxx
    - double:
        for:
          value: time
          range: [1, 13]
          steps:
            - join:
                assign:
                  - text: ${text + text}
    - again:
        for:
          value: time
          range: [1, 40]
          steps:
            - inner:
                for:
                  value: one
                  in: [1]
                  steps:
                    - keep:
                        assign:
                          - kept: ${text}
            - pass:
                call: length
                args: {text: '${text}'}
            - caught:
                try:
                  raise: ${text}
                except:
                  as: e
                  steps:
                    - go_on:
                        assign:
                          - e: 1
    - at_once:
        parallel:
          for:
            value: one
            range: [1, 40]
            steps:
              - keep_in_branch:
                  assign:
                    - own: ${text}
    - done:
        return: ${len(text)}
length:
  params: [text]
  steps:
    - measure:
        return: ${len(text)}
";
    assert_eq!(common::run(source, json!(null)).unwrap(), json!(131_072));
    let raised = common::run(&source.replace("[1, 13]", "[1, 15]"), json!(null)).unwrap_err();
    assert_eq!(tags(&raised), ["ResourceLimitError"]);
    assert!(raised.to_string().contains("a string of 524288 bytes is over the limit of 262144"), "{raised}");
}

/// Runs `echo`, which returns its argument, and `broken`; `endless` never ends.
struct Others;

#[async_trait]
impl Executions for Others {
    async fn run(&self, workflow: &str, argument: Value) -> Result<Value, ExecutionFailure> {
        match workflow {
            "echo" => Ok(argument),
            "broken" => Err(ExecutionFailure::Ended(json!({"state": "FAILED", "error": {"payload": "\"no\""}}))),
            "endless" => std::future::pending().await,
            _ => Err(ExecutionFailure::Unknown(format!("there is no workflow {workflow}"))),
        }
    }
}

fn connector(arguments: &str) -> Result<Value, workflows::Raised> {
    let mut world = World::codes(&[]);
    world.host.executions = Arc::new(Others);
    let name = "googleapis.workflowexecutions.v1.projects.locations.workflows.executions.run";
    world.run(
        &format!("- a:\n    call: {name}\n    args: {arguments}\n    result: r\n- b:\n    return: ${{r}}\n"),
        json!(null),
    )
}

#[test]
fn another_workflow_is_run_to_its_end() {
    assert_eq!(connector("{workflow_id: echo, argument: {day: 1}}").unwrap(), json!({"day": 1}));
    let raised = connector("{workflow_id: broken}").unwrap_err();
    assert_eq!(
        (tags(&raised), &raised.value["operation"]["state"]),
        (vec!["OperationError".to_owned()], &json!("FAILED"))
    );
    let raised = connector("{workflow_id: nowhere}").unwrap_err();
    assert_eq!((tags(&raised), &raised.value["code"]), (vec!["HttpError".to_owned()], &json!(404)));
    let raised = connector("{workflow_id: endless, connector_params: {timeout: 7}}").unwrap_err();
    assert_eq!(tags(&raised)[0], "TimeoutError");
    assert!(raised.to_string().contains("endless did not end within 7 s"), "{raised}");
    assert_eq!(tags(&connector("{workflow_id: echo, connector_params: {timeout: 0}}").unwrap_err())[0], "ValueError");
}
