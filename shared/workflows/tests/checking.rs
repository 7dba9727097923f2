//! `Workflow::check`: all that is wrong with a file at once.
use workflows::Workflow;

fn problems(source: &str) -> Vec<(usize, Option<String>, String)> {
    Workflow::check(source).into_iter().map(|problem| (problem.line, problem.step, problem.message)).collect()
}

#[track_caller]
fn finds(source: &str, expected: &[(usize, Option<&str>, &str)]) {
    let found = problems(source);
    let fits = found.len() == expected.len()
        && found.iter().zip(expected).all(|((line, step, message), (at, place, words))| {
            line == at && step.as_deref() == *place && message.contains(words)
        });
    assert!(fits, "{found:#?}\ninstead of\n{expected:#?}");
}

#[test]
fn every_step_that_is_wrong_is_named() {
    let source = r#"main:
  params: [argument]
  steps:
    - first:
        asign:
          - x: 1
    - both:
        parallel:
          branches:
            - one:
                steps:
                  - wait_for_it:
                      call: events.await_callback
            - two:
                steps:
                  - leave:
                      return: 1
    - query:
        call: googleapis.bigquery.v2.jobs.insert
        args: {projectId: p}
    - long:
        return: '${"LONG"}'
sub:
  prams: [x]
  steps:
    - a:
        return: 1
"#;
    finds(
        &source.replace("LONG", &"x".repeat(400)),
        &[
            (5, Some("first"), "did you mean \"assign\"?"),
            (13, Some("wait_for_it"), "loop of sys.sleep and http.get"),
            (17, Some("leave"), "assign to a shared variable instead"),
            (19, Some("query"), "https://bigquery.googleapis.com/"),
            (22, Some("long"), "over the limit of 400; split it by assign steps"),
            (24, None, "unknown key \"prams\""),
        ],
    );
}

#[test]
fn variables_are_looked_at_when_the_steps_can_be_read() {
    let source = r"
main:
  steps:
    - first:
        assign:
          - x: ${y}
    - inner:
        for:
          value: v
          in: [1]
          steps:
            - deep:
                return: ${z + v}
    - last:
        return: ${unknown(x)}
";
    finds(
        source,
        &[
            (6, Some("first"), "\"y\" is no variable here"),
            (13, Some("deep"), "\"z\" is no variable here"),
            (15, Some("last"), "unknown is neither a sub-workflow"),
        ],
    );
    // A variable that a step would make which can't be read is no further problem.
    finds("- a:\n    cal: http.get\n    result: x\n- b:\n    return: ${x}\n", &[(2, Some("a"), "\"cal\"")]);
}

#[test]
fn what_waits_is_not_called_inside_an_expression() {
    let file = |body: &str| {
        format!(
            "main:\n  steps:\n    - a:\n        return: ${{one(1)}}\none:\n  params: [n]\n  steps:\n    - b:\n        assign:\n          \
             - x: ${{two()}}\ntwo:\n  steps:\n    - c:\n        {body}\n"
        )
    };
    assert!(problems(&file("return: 1")).is_empty(), "{:?}", problems(&file("return: 1")));
    let waits = [
        "call: sys.log\n        args: [x]",
        "call: three",
        "try:\n          raise: x\n        retry: ${http.default_retry}",
        "parallel:\n          for: {value: v, in: [1], steps: [{d: {raise: x}}]}",
    ];
    for body in waits {
        let source = file(body) + "three:\n  steps:\n    - e:\n        call: sys.sleep\n        args: {seconds: 1}\n";
        finds(&source, &[(10, Some("b"), "two makes calls that block")]);
    }
    let source = file("return: 1").replace("one(1)", "one(1, 2)");
    finds(&source, &[(4, Some("a"), "one takes the arguments (n), not 2")]);
}

#[test]
fn what_loads_has_no_problem_and_the_other_way_round() {
    let source = include_str!("everything.yaml");
    assert!(problems(source).is_empty());
    for line in 1..source.lines().count() {
        let cut: String =
            source.lines().enumerate().filter(|(at, _)| *at != line).map(|(_, text)| format!("{text}\n")).collect();
        assert_eq!(Workflow::parse("f", &cut).is_ok(), problems(&cut).is_empty(), "without line {}", line + 1);
    }
    let error = Workflow::parse("f", "- a:\n    x: 1\n- b:\n    y: 1\n").unwrap_err().to_string();
    assert!(error.starts_with("f:2: "), "{error}");
}
