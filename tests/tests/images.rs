//! What images rely on: a dbt project that was parsed when they were made.

use std::path::Path;
use std::process::Command;

use end_to_end::{Sandbox, built, python, repository};

#[test]
fn a_parsed_project_serves_functions_that_have_no_python() {
    let sandbox = Sandbox::retail();
    let parse = |python: &Path| {
        let mut command = Command::new(built("parse-project"));
        command.current_dir(repository()).env("BGP_CONFIG", sandbox.config()).env("BGP_HOME", sandbox.home());
        command.env("BGP_CACHE", sandbox.folder().join("cache")).env("BGP_PYTHON", python).output().unwrap()
    };
    let nowhere = Path::new("/nowhere/python");
    let failed = parse(nowhere);
    assert!(!failed.status.success() && String::from_utf8_lossy(&failed.stderr).contains("/nowhere/python"));
    let made = parse(&python());
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let parsed = String::from_utf8(made.stdout).unwrap();
    assert!(Path::new(parsed.trim()).with_file_name("partial_parse.msgpack").exists(), "{parsed}");

    // Up to the first model nothing needs Python.
    let prepare = |parsed: &str| {
        let mut command = Command::new(end_to_end::program());
        command.arg("--config").arg(sandbox.config()).arg("--home").arg(sandbox.home());
        command.args(["run", "daily", "--partition", "2025-08-01", "--until", "prepare", "--json"]);
        command.env("BGP_PYTHON", nowhere).env("BGP_CACHE", sandbox.folder().join("empty"));
        command.env("BGP_DBT_PARSED", parsed).output().unwrap()
    };
    for (parsed, said) in [("", "/nowhere/python"), ("/nowhere/project.json", "/nowhere/project.json")] {
        let refused = prepare(parsed);
        let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && errors.contains(said), "{errors}");
    }
    let prepared = prepare(parsed.trim());
    assert!(prepared.status.success(), "{}", String::from_utf8_lossy(&prepared.stderr));
}
