//! Files that are no pipeline files at all, and files made to do harm: refused, with what to do.

#![expect(clippy::expect_used)]

use pipeline::{Error, Pipeline};

fn refusal(source: &str) -> String {
    Pipeline::parse("p.yaml", source).expect_err("the file is refused").to_string()
}

#[test]
fn a_missing_file_is_named() {
    let error = Pipeline::read("/nowhere/p.yaml").expect_err("there is no such file");
    assert!(matches!(&error, Error::Unreadable { source, .. } if source.kind() == std::io::ErrorKind::NotFound));
    assert_eq!(
        error.to_string(),
        "cannot read the pipeline file /nowhere/p.yaml; check that it exists and is readable UTF-8 text"
    );
}

#[test]
fn a_folder_and_bytes_that_are_no_text_are_unreadable() {
    let folder = tempfile::tempdir().expect("a folder");
    let binary = folder.path().join("p.yaml");
    std::fs::write(&binary, [0xff, 0xfe, 0x00]).expect("a file");
    for path in [folder.path(), &binary] {
        assert!(matches!(Pipeline::read(path), Err(Error::Unreadable { .. })), "{}", path.display());
    }
}

#[test]
fn an_endless_file_is_refused_at_the_limit() {
    let error = Pipeline::read("/dev/zero").expect_err("the file never ends");
    assert_eq!(error.to_string(), "/dev/zero is too large; a pipeline file has at most 1 MiB");
}

#[test]
fn the_limit_itself_is_no_mistake() {
    let at_limit = "#".repeat(1024 * 1024);
    assert_eq!(refusal(&at_limit), "p.yaml: the file is empty");
    let above = "#".repeat(1024 * 1024 + 1);
    assert_eq!(refusal(&above), "p.yaml is too large; a pipeline file has at most 1 MiB");
}

#[test]
fn an_empty_file_says_so() {
    for empty in ["", "\n", "# nothing\n", "---\n"] {
        assert_eq!(refusal(empty), "p.yaml: the file is empty", "{empty:?}");
    }
}

#[test]
fn a_list_is_no_pipeline() {
    assert_eq!(refusal("- name: shop\n"), "p.yaml:1: a list is not a mapping");
}

/// Written out, these would fill any memory: a reader that does so never comes to the refusal.
#[test]
fn aliases_that_multiply_are_refused() {
    let mut lines = vec!["a0: &a0 [x, x, x, x, x, x, x, x, x, x]".to_owned()];
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        lines.push(format!("a{level}: &a{level} [{aliases}]"));
    }
    assert!(refusal(&lines.join("\n")).contains("this is not YAML that can be read"));
}

#[test]
fn deep_nesting_is_refused() {
    for (open, close) in [("[", "]"), ("{a: ", "}")] {
        let deep = format!("name: {}{}", open.repeat(100_000), close.repeat(100_000));
        assert!(refusal(&deep).contains("this is not YAML that can be read"));
    }
}

#[test]
fn an_alias_is_read_as_what_it_stands_for() {
    let source = "version: &one 1\nlease: {seconds: *one}\nlimits: {attempts_per_run: *two}\n";
    assert!(refusal(source).starts_with("p.yaml:3: this is not YAML"), "*two stands for nothing");
    let known = refusal(&source.replace("*two", "*one"));
    assert!(!known.contains("lease") && !known.contains("limits"), "{known}");
}

#[test]
fn application_tags_are_refused() {
    assert!(refusal("name: !secret shop\n").contains("p.yaml:1:"));
}
