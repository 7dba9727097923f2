//! Bad input gets an honest answer that says what to do, and changes nothing.

use std::fs;
use std::path::Path;

use end_to_end::{Sandbox, Up, replaced, snapshot};

#[test]
fn commands_refuse_what_they_cannot_do_and_change_nothing() {
    let sandbox = Sandbox::retail();
    sandbox.day("2025-08-01");
    let before = snapshot(&sandbox.home());
    let daily = |partition: &'static str| vec!["run", "daily", "--partition", partition];
    let cases: Vec<(Vec<&str>, i32, &str)> = vec![
        (vec!["run", "nightly"], 2, "daily"),
        (vec!["sing"], 2, "unrecognized"),
        (daily("yesterday"), 2, "YYYY-MM-DD"),
        (daily("2025-02-30"), 1, "2025-02-30"),
        (daily("2025-13-01"), 1, "2025-13-01"),
        (daily("2024-08-01"), 1, "2025-08-01"),
        (daily("2999-01-01"), 1, "2999-01-01"),
        (daily("2025-08"), 1, "2025-08"),
        (daily("../../etc/passwd"), 2, "YYYY-MM-DD"),
        (vec!["run", "daily", "--partition", "2025-08-01", "--until", "tomorrow"], 2, "transform"),
        (vec!["run", "daily", "--partition", "2025-08-01", "--tables", "custmers"], 1, "customers"),
        (vec!["run", "daily", "--data", "{"], 1, "JSON"),
        (vec!["run", "daily", "--data", "[]"], 1, "object"),
        (vec!["run", "daily", "--data", "{\"color\":\"red\"}"], 1, "color"),
        (vec!["run", "daily", "--data", "{\"partition\":7}"], 1, "partition"),
        (
            vec!["run", "daily", "--partition", "2025-08-02", "--data", "{\"corrupt\":\"everything\"}"],
            1,
            "negative_price",
        ),
        (vec!["run", "daily", "--partition", "2025-08-02", "--data", "{\"until\":\"never\"}"], 1, "never"),
        (vec!["backfill", "--from", "2025-08-03", "--to", "2025-08-02"], 1, "2025-08-03"),
        (vec!["backfill", "--from", "2025-08-03"], 2, "--to"),
        (vec!["backfill", "--from", "2025-08-02", "--to", "2999-01-01"], 1, "2999-01-01 is not over"),
        (vec!["backfill", "--from", "2024-08-01", "--to", "2025-08-02", "--gaps"], 1, "2025-08-01"),
        (vec!["publish", "99"], 1, "no attempt for cycle 99"),
        (vec!["publish", "-1"], 2, "-1"),
        (vec!["publish", "one"], 2, "one"),
        (vec!["hold", "2025-09-01"], 1, "nothing was extracted"),
        (vec!["hold", "x; drop"], 2, "YYYY-MM-DD"),
        (vec!["release", "2025-08-01"], 1, "is not held"),
        (vec!["release", "--cycle", "7"], 1, "nothing is kept out because cycle 7"),
        (vec!["release", "--cycle", "-7"], 2, "-7"),
        (vec!["release", "2025-08-01", "--cycle", "7"], 2, "cannot be used"),
        (vec!["release"], 2, "required"),
        (vec!["rollback", "--cycle", "last"], 2, "last"),
        (vec!["retire", "nothing"], 1, "view nothing is not published"),
        (vec!["retire", "deployment"], 1, "view deployment is not published"),
        (vec!["retire", "dim_date; drop"], 2, "identifier"),
        (vec!["retire"], 2, "required"),
        (vec!["receipt", "99"], 1, "no receipt of cycle 99"),
        (vec!["sql", "select * from live.nothing"], 1, "nothing"),
        (vec!["sql", "drop view live.dim_date"], 1, "refused"),
        (vec!["sql", "create table live.x (a int)"], 1, "refused"),
        (vec!["sql", "copy (select 1) to 'stolen.csv'"], 1, "refused"),
        (vec!["sql", "select * from read_text('/etc/hostname')"], 1, "refused"),
        (vec!["sql", "selec 1"], 1, "syntax"),
        (vec!["sql", "select 1", "--format", "xml"], 2, "csv"),
        (vec!["demo", "--days", "0"], 2, "1..=366"),
        (vec!["--target", "oracle", "status"], 2, "duckdb"),
        (vec!["up", "--port", "99999"], 2, "99999"),
    ];
    for (arguments, code, expected) in cases {
        let output = sandbox.run(&arguments);
        assert_eq!(output.code, Some(code), "{arguments:?}: {}{}", output.stdout, output.stderr);
        assert!(output.stderr.contains(expected), "{arguments:?}: {expected:?} is not in: {}", output.stderr);
        assert!(!output.stderr.contains("panicked"), "{arguments:?}: {}", output.stderr);
    }
    // A refused generate may have found the source as it was; nothing else was touched.
    assert_eq!(snapshot(&sandbox.home()), before);
}

#[test]
fn a_pipeline_file_with_mistakes_is_refused_with_file_line_and_suggestion() {
    let cases = [
        ("granularity: day", "granularity: dya", "day"),
        ("scale: 0.01", "scale: many", "scale"),
        ("approval: false", "aproval: false", "approval"),
        ("time_zone: America/Toronto", "time_zone: America/Torronto", "America/Toronto"),
        ("source: retail", "source: retial", "retail"),
    ];
    for (from, to, expected) in cases {
        let sandbox = Sandbox::with(|text| replaced(&text, from, to));
        let refused = sandbox.run(&["status"]).refused(expected);
        assert!(refused.stderr.contains("pipeline.yaml:"), "{}", refused.stderr);
    }
    let sandbox = Sandbox::of(Path::new("/nowhere/pipeline.yaml"));
    sandbox.run(&["status"]).refused("/nowhere/pipeline.yaml");
}

#[test]
fn a_home_that_cannot_be_written_is_named() {
    let sandbox = Sandbox::retail();
    fs::write(sandbox.home(), "a file where the home should be").unwrap();
    let refused = sandbox.run(&["status"]).refused("home");
    assert!(!refused.stderr.contains("panicked"), "{}", refused.stderr);
}

#[test]
fn a_source_that_is_no_database_is_named() {
    let sandbox = Sandbox::retail();
    fs::create_dir_all(sandbox.home().join("source")).unwrap();
    fs::write(sandbox.home().join("source/retail.duckdb"), "not a database, and long enough to be read as one")
        .unwrap();
    sandbox.run(&["run", "daily", "--partition", "2025-08-01"]).refused("retail.duckdb");
    // A run that fails before it has an attempt leaves its end behind, too.
    let runs: Vec<_> = fs::read_dir(sandbox.home().join("bucket/runs")).unwrap().collect();
    let [Ok(run)] = runs.as_slice() else { panic!("{runs:?}") };
    let run: serde_json::Value = serde_json::from_slice(&fs::read(run.path()).unwrap()).unwrap();
    assert_eq!((&run["outcome"], &run["partition"]), (&"failed".into(), &"2025-08-01".into()), "{run}");
    assert!(run["reason"].as_str().unwrap().contains("retail.duckdb"), "{run}");
}

#[test]
fn endpoints_refuse_what_they_cannot_do_and_change_nothing() {
    let sandbox = Sandbox::retail();
    sandbox.day("2025-08-01");
    let up = Up::start(&sandbox);
    let before = snapshot(&sandbox.home());
    let huge = format!("{{\"partition\":\"{}\"}}", "9".repeat(200_000));
    let deep = format!("{}{}", "[".repeat(2000), "]".repeat(2000));
    let endpoints = [
        "/plan",
        "/partitions",
        "/generate",
        "/extract",
        "/load",
        "/begin",
        "/prepare",
        "/transform",
        "/audit",
        "/publish",
        "/finish",
        "/hold",
        "/release",
        "/rollback",
        "/retire",
        "/cleanup",
        "/doctor",
        "/restore",
    ];
    let bodies = [
        "",
        "{",
        "null",
        "7",
        "[]",
        "\"text\"",
        "{\"unknown\":1}",
        "{\"partition\":7}",
        "{\"partition\":\"2025-02-30\",\"table\":\"customers\",\"run\":\"x\"}",
        "{\"partition\":\"../../x\",\"attempt\":\"../../x\",\"table\":\"../x\",\"run\":\"../x\"}",
        "{\"attempt\":\"aaaaaaaaaa\"}",
        "{\"attempt\":\"'; drop table x; --\"}",
        "{\"attempt\":\"\\u0000\"}",
        &huge,
        &deep,
    ];
    let mut sent = 0;
    for endpoint in endpoints {
        for body in bodies {
            let (status, content_type, answer) = up.send("POST", endpoint, "application/json", body);
            let shown: String = body.chars().take(60).collect();
            assert!((400..=422).contains(&status), "{endpoint} {shown}: {status} {answer}");
            assert_eq!(content_type, "application/problem+json", "{endpoint} {shown}: {answer}");
            let problem: serde_json::Value = serde_json::from_str(&answer).unwrap();
            assert!(problem["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{endpoint} {shown}: {answer}");
            assert_eq!(problem["status"], status);
            sent += 1;
        }
        let (status, _, _) = up.send("POST", endpoint, "text/plain", "{}");
        assert_eq!(status, 422, "{endpoint} as text");
        let (status, _, answer) = up.send("DELETE", endpoint, "application/json", "{}");
        assert!((400..=422).contains(&status), "{endpoint} DELETE: {status} {answer}");
    }
    assert_eq!(sent, endpoints.len() * bodies.len());
    for question in [
        "/doctor?deep=perhaps",
        "/doctor?deeper=true",
        "/diff?against=kept",
        "/diff?against=../x",
        "/diff?against=%00",
        "/diff?views=a;drop",
        "/diff?view=a",
    ] {
        let (status, content_type, answer) = up.send("GET", question, "application/json", "");
        assert!((400..=422).contains(&status), "{question}: {status} {answer}");
        assert_eq!(content_type, "application/problem+json", "{question}: {answer}");
    }
    let (status, _, answer) = up.send("GET", "/nothing", "application/json", "");
    assert_eq!(status, 404, "{answer}");
    assert_eq!(up.send("GET", "/health", "application/json", "").0, 200);
    let (_, _, description) = up.send("GET", "/openapi.json", "application/json", "");
    for endpoint in endpoints {
        assert!(description.contains(&format!("\"{endpoint}\"")), "{endpoint} is not described");
    }
    assert_eq!(snapshot(&sandbox.home()), before);
}
