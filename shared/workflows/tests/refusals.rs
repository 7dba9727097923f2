//! What is refused at load time, by line and name.

use workflows::Workflow;

#[track_caller]
fn refused(source: &str, line: usize, message: &str) {
    match Workflow::parse("f.yaml", source) {
        Ok(_) => panic!("accepted:\n{source}"),
        Err(error) => {
            let error = error.to_string();
            assert!(
                error.starts_with(&format!("f.yaml:{line}: ")) && error.contains(message),
                "{error}\nfor:\n{source}"
            );
        }
    }
}

#[test]
fn expressions() {
    let table = [
        ("x", "\"x\" is no variable here"),
        ("vale", "did you mean \"value\"?"),
        ("http.default_retry", "stand only under retry"),
        ("http.get(value)", "http.get blocks and cannot be called inside an expression"),
        ("sys.sleep(1)", "blocks and cannot"),
        ("experimental.executions.map(1, 2)", "a parallel for with the connector executions.run does the same"),
        ("map.gat(value, 1)", "did you mean \"map.get\"?"),
        ("sub(1)", "sub is neither a sub-workflow of this file nor a function"),
        ("type(value)", "type is neither a sub-workflow of this file nor a function of the standard library"),
        ("len()", "len takes 1 arguments (value), not 0"),
        ("time.format()", "time.format takes 1 to 2 arguments (seconds, timezone), not 0"),
        ("map.get(value)", "map.get takes 2 arguments"),
        ("1 +", "ends too early"),
        ("1 2", "unexpected 2"),
        ("(1", "\")\" is missing"),
        ("value[0", "\"]\" is missing"),
        ("value.", "a key is missing"),
        ("1 not in value", "write not (a in b)"),
        ("[1", "\"]\" is missing"),
        ("[1,]", "unexpected \"]\""),
        ("default(value, {})", "map literals"),
        ("value && value", "write and, or, not"),
        ("value = 1", "write =="),
        ("''a''", "in double quotes"),
        ("\"a", "no closing quote"),
        ("\"\\q\"", "unknown escape"),
        ("9223372036854775808", "too large for a 64-bit integer"),
        ("value ? 1 : 2", "unexpected character '?'"),
        ("{\"a\": 1}", "map literals"),
        ("value(1)(2)", "only a named function can be called"),
        ("1(2)", "only a named function can be called"),
        ("", "ends too early"),
    ];
    for (expression, message) in table {
        let source = format!("- first:\n    assign:\n      - value: 1\n- second:\n    return: '${{{expression}}}'\n");
        refused(&source, 5, message);
    }
}

#[test]
fn steps() {
    let table = [
        ("- a:\n    asign:\n      - x: 1\n", 2, "unknown key \"asign\" in step \"a\", did you mean \"assign\"?"),
        (
            "- a:\n    assign:\n      - x: 1\n    return: 1\n",
            4,
            "\"return\" cannot stand beside \"assign\" in step \"a\"",
        ),
        ("- a:\n    return: 1\n    next: a\n", 1, "next in step \"a\" is never reached"),
        ("- a: {}\n", 1, "step \"a\" does nothing"),
        (
            "- a:\n    return: 1\n  b:\n    return: 2\n",
            1,
            "a step must be a map of one name, not of 2; check the indentation",
        ),
        ("- a:\n    next: b\n", 2, "next leads to \"b\""),
        ("- extract:\n    next: extrct\n", 2, "did you mean \"extract\"?"),
        ("- a:\n    next: break\n", 2, "outside of a for loop"),
        ("- a:\n    assign:\n      - x: 1\n- a:\n    return: 1\n", 4, "\"a\" names another step of this workflow too"),
        ("- end:\n    return: 1\n", 1, "cannot name a step"),
        ("- a:\n    assign: 1\n", 2, "assign must be a list"),
        ("- a:\n    assign:\n      - 1x: 1\n", 3, "unexpected"),
        ("- a:\n    assign:\n      - len(x): 1\n", 3, "is no variable"),
        ("- a:\n    assign:\n      - true: 1\n", 3, "is no variable"),
        ("- a:\n    assign:\n      - x.y: 1\n", 3, "\"x\" is no variable here"),
        ("- a:\n    switch: []\n", 2, "1 to 50 conditions"),
        ("- a:\n    switch:\n      - next: a\n", 3, "has no \"condition\""),
        ("- a:\n    try:\n      return: 1\n", 2, "try needs retry, except or both"),
        ("- a:\n    try:\n      return: 1\n    except:\n      - b:\n          return: 1\n", 5, "except must be a map"),
        (
            "- a:\n    for:\n      value: v\n      steps:\n        - b:\n            return: 1\n",
            2,
            "either in or range",
        ),
        (
            "- a:\n    for:\n      value: v\n      range: [1]\n      steps:\n        - b:\n            return: 1\n",
            4,
            "the first and the last",
        ),
        (
            "- a:\n    for:\n      in: [1]\n      steps:\n        - b:\n            return: 1\n",
            2,
            "for has no \"value\"",
        ),
        (
            "- a:\n    for:\n      value: v\n      in: [1]\n      steps:\n        - b:\n            assign:\n              - x: 1\n- c:\n    return: ${v}\n",
            10,
            "\"v\" is no variable here",
        ),
        (
            "- a:\n    for:\n      value: v\n      in: [1]\n      steps:\n        - b:\n            assign:\n              - x: 1\n- c:\n    return: ${x}\n",
            10,
            "\"x\" is no variable here",
        ),
        (
            "- z:\n    assign:\n      - v: 1\n- a:\n    for:\n      value: v\n      in: [1]\n      steps:\n        - b:\n            return: 1\n",
            5,
            "loop variable \"v\" is already",
        ),
        (
            "- a:\n    try:\n      raise: no\n    except:\n      as: e\n      steps:\n        - b:\n            assign:\n              - x: 1\n- c:\n    return: ${e}\n",
            11,
            "\"e\" is no variable here",
        ),
        ("- a:\n    return: \"hello ${name}\"\n", 2, "beside other text"),
    ];
    for (source, line, message) in table {
        refused(source, line, message);
    }
}

#[test]
fn calls() {
    let sub = "sub:\n  params: [a, b: 1]\n  steps:\n    - s:\n        return: ${a + b}\n";
    let table = [
        ("call: nowhere", 4, "nowhere is neither a sub-workflow of this file nor a function"),
        ("call: sum", 4, "did you mean \"sub\"?"),
        ("call: googleapis.bigquery.v2.jobs.insert", 4, "https://bigquery.googleapis.com/ by http.request"),
        (
            "call: events.await_callback",
            4,
            "events.await_callback is not supported by this interpreter: wait in a loop",
        ),
        ("call: ${http.get}", 4, "not an expression"),
        ("call: sub", 4, "sub needs the argument \"a\""),
        ("call: sub\n        args: {a: 1, c: 2}", 5, "sub has no parameter \"c\""),
        ("call: sub\n        args: [1, 2, 3]", 5, "sub takes at most 2 arguments (a, b), not 3"),
        ("call: sub\n        args: 1", 5, "args must be a map of names or a list"),
        ("call: http.get", 4, "http.get needs the argument \"url\""),
        (
            "call: http.get\n        args: {url: x, ca_certificate: y}",
            5,
            "http.get has no parameter \"ca_certificate\"",
        ),
        ("call: http.get\n        args: {url: x, timout: 1}", 5, "did you mean \"timeout\"?"),
        ("call: http.get\n        args: {url: x, auth: {type: OIDC, audiance: y}}", 4, "auth has no \"audiance\""),
        ("call: http.get\n        args: {url: x}\n        result: a.b", 6, "\"a.b\" cannot name a variable"),
        ("call: http.get\n        arguments: {url: x}", 5, "cannot stand beside \"call\""),
    ];
    for (call, line, message) in table {
        refused(&format!("main:\n  steps:\n    - c:\n        {call}\n{sub}"), line, message);
    }
}

#[test]
fn retries() {
    let backoff = "backoff: {initial_delay: 1, max_delay: 2, multiplier: 2}";
    let table = [
        ("http.default_retry".to_owned(), "unknown retry policy"),
        ("\"${http.default_retry_predicate}\"".to_owned(), "unknown retry policy"),
        (format!("{{max_retries: 1, {backoff}}}"), "retry has no \"predicate\""),
        (format!("{{predicate: \"${{retry.always}}\", {backoff}}}"), "retry has no \"max_retries\""),
        ("{predicate: \"${retry.always}\", max_retries: 1}".to_owned(), "retry has no \"backoff\""),
        (
            "{predicate: \"${retry.always}\", max_retries: 1, backoff: {initial_delay: 1}}".to_owned(),
            "backoff has no \"max_delay\"",
        ),
        (format!("{{predicate: \"${{nobody}}\", max_retries: 1, {backoff}}}"), "nobody is neither"),
        (format!("{{predicate: \"${{main}}\", max_retries: 1, {backoff}}}"), "main cannot be a predicate"),
        (
            format!("{{predicate: \"${{retry.always}}\", max_retries: 1, {backoff}, jitter: 1}}"),
            "unknown key \"jitter\" in retry",
        ),
    ];
    for (retry, message) in table {
        refused(
            &format!("main:\n  steps:\n    - a:\n        try:\n          return: 1\n        retry: {retry}\n"),
            6,
            message,
        );
    }
}

#[test]
fn parallel_steps() {
    let table = [
        ("shared: [n]", "n: 1", "", None),
        ("shared: []", "n: 1", "", Some((13, "\"n\" belongs to the steps around the parallel step"))),
        ("shared: []", "n.a: 1", "", Some((13, "\"n\" belongs to"))),
        ("shared: [z]", "x: 1", "", Some((5, "the shared variable \"z\" is not assigned before"))),
        ("exception_policy: stop", "x: 1", "", Some((6, "there is only continueAll"))),
        ("concurrency_limit: 0", "x: 1", "", Some((6, "a number above 0"))),
        ("limit: 1", "x: 1", "", Some((6, "unknown key \"limit\" in parallel"))),
        (
            "shared: []",
            "x: 1",
            "\n                  next: init",
            Some((14, "no such step around this one in this branch")),
        ),
        ("shared: []", "x: 1", "\n                  next: end", Some((14, "next: end cannot leave a parallel branch"))),
    ];
    for (key, assignment, next, expected) in table {
        let source = format!(
            "- init:\n    assign:\n      - n: {{}}\n- p:\n    parallel:\n      {key}\n      branches:\n        - b:\n            steps:\n              - s:\n\n                  assign:\n                    - {assignment}{next}\n"
        );
        match expected {
            None => drop(Workflow::parse("f.yaml", &source).unwrap()),
            Some((line, message)) => refused(&source, line, message),
        }
    }
    let returning = "- p:\n    parallel:\n      for:\n        value: v\n        in: [1]\n        steps:\n          - s:\n              BODY\n";
    refused(&returning.replace("BODY", "return: 1"), 8, "return cannot leave a parallel branch");
    refused(&returning.replace("BODY", "next: break"), 8, "break cannot leave a parallel loop");
    let branch =
        |n| format!("        - b{n}:\n            steps:\n              - s{n}:\n                  raise: x\n");
    let branches = (0..11).map(branch).collect::<Vec<_>>().concat();
    refused(&format!("- p:\n    parallel:\n      branches:\n{branches}"), 3, "1 to 10 branches, not 11");
}

#[test]
fn files() {
    let table = [
        ("", 1, "the file holds no workflow"),
        ("text", 1, "a workflow is a map"),
        ("main: [", 1, "invalid YAML"),
        ("a: 1\na: 2\n", 2, "\"a\" stands here twice, first at line 1"),
        ("- a:\n    return: 1\n---\n- b:\n    return: 1\n", 3, "one YAML document"),
        ("- a: &x\n    return: 1\n", 2, "anchors and aliases"),
        ("- a:\n    return: !!str 1\n", 2, "tags are not supported"),
        ("sub:\n  steps:\n    - a:\n        return: 1\n", 1, "\"main\" is missing"),
        ("main:\n  params: [a]\n", 1, "\"main\" has no steps"),
        ("main:\n  steps: []\n", 2, "at least one step"),
        ("main:\n  prams: [a]\n  steps:\n    - a:\n        return: 1\n", 2, "unknown key \"prams\" in \"main\""),
        ("main:\n  params: [a, b]\n  steps:\n    - a:\n        return: 1\n", 1, "at most one parameter"),
        ("main:\n  params: [in]\n  steps:\n    - a:\n        return: 1\n", 2, "\"in\" is a word of the language"),
        ("main:\n  params: [{a: \"${1}\"}]\n  steps:\n    - a:\n        return: 1\n", 2, "must be a plain value"),
        (
            "main:\n  steps:\n    - a:\n        return: 1\nno-name:\n  steps:\n    - a:\n        return: 1\n",
            5,
            "cannot name a sub-workflow",
        ),
    ];
    for (source, line, message) in table {
        refused(source, line, message);
    }
}

#[test]
fn limits() {
    let expression =
        |length: usize| format!("- a:\n    return: ${{{}}}\n", "1".to_owned() + &"+1".repeat((length - 4) / 2));
    Workflow::parse("f.yaml", &expression(400)).unwrap();
    refused(&expression(402), 2, "over the limit of 400");

    let assignments = |count: usize| format!("- a:\n    assign:\n{}", "      - x: 1\n".repeat(count));
    Workflow::parse("f.yaml", &assignments(50)).unwrap();
    refused(&assignments(51), 3, "1 to 50 assignments, not 51");

    let conditions =
        |count: usize| format!("- a:\n    switch:\n{}", "      - condition: true\n        return: 1\n".repeat(count));
    Workflow::parse("f.yaml", &conditions(50)).unwrap();
    refused(&conditions(51), 3, "1 to 50 conditions, not 51");

    refused(&format!("- a:\n    return: \"{}\"\n", "x".repeat(128 * 1024)), 1, "over the limit of 131072");
}
