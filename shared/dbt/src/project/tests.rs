use super::*;
use crate::Target;
use serde_json::json;

fn node(kind: &str, name: &str, path: &str, parents: &[&str]) -> Value {
    json!({
        "name": name, "alias": name, "resource_type": kind, "original_file_path": path, "raw_code": format!("select {name}"),
        "config": {"materialized": if kind == "test" { "test" } else { "table" }, "severity": "WARN"},
        "columns": {"id": {"name": "id", "description": "d", "config": {"meta": {"personal": true}}}},
        "depends_on": {"macros": [], "nodes": parents},
    })
}

fn project(change: impl FnOnce(&mut Value)) -> Result<Project, Error> {
    let mut parsed = json!({
        "version": 1, "versions": {"dbt-core": "1.11.0"}, "vars": {}, "seeds": {},
        "manifest": {
            "metadata": {"project_name": "p"},
            "nodes": {
                "model.p.b": node("model", "b", "models/mart/sales/deep/b.sql", &["model.p.z"]),
                "model.p.z": node("model", "z", "models/other/clean/z.sql", &["source.p.raw.t"]),
                "model.p.o": node("model", "o", "models/o.sql", &[]),
                "test.p.t": node("test", "t", "models/mart/t.yml", &["model.p.b"]),
                "operation.p.h": node("operation", "h", "dbt_project.yml", &[]),
            },
            "sources": {"source.p.raw.t": {"source_name": "raw", "identifier": "table_t"}},
            "macros": {}, "unit_tests": {},
        },
    });
    change(&mut parsed);
    let mut settings = Settings::new("p", "python", "cache", Target::Duckdb);
    settings.layers = vec!["clean".to_owned(), "mart".to_owned()];
    Project::read(&serde_json::from_value(parsed).unwrap(), &settings)
}

#[test]
fn the_layer_is_the_first_folder_that_is_one() {
    let project = project(|_| ()).unwrap();
    let place = |id: &str| (project.nodes[id].layer.as_deref(), project.nodes[id].folder.as_str());
    assert_eq!(place("model.p.b"), (Some("mart"), "sales/deep"));
    assert_eq!(place("model.p.z"), (Some("clean"), ""));
    assert_eq!(place("model.p.o"), (None, ""));
    assert!(!project.nodes.contains_key("operation.p.h"));
    assert!(project.nodes["model.p.b"].columns[0].is_personal);
    assert_eq!(project.nodes["test.p.t"].severity, Some(Severity::Warn));
}

#[test]
fn parents_come_before_children_and_descendants_leave_tests_out() {
    let project = project(|_| ()).unwrap();
    let order = project.order();
    let position = |id: &str| order.iter().position(|found| found == id);
    assert!(position("model.p.z") < position("model.p.b"), "{order:?}");
    assert_eq!(order.len(), 3);
    let found = project.with_descendants(["source.p.raw.t"]);
    assert_eq!(found, ["model.p.b", "model.p.z", "source.p.raw.t"].map(str::to_owned).into());
    assert_eq!(project.tests_of(&found), BTreeSet::from(["test.p.t".to_owned()]));
    assert!(project.tests_of(&BTreeSet::from(["model.p.z".to_owned()])).is_empty());
}

#[test]
fn a_digest_has_the_ancestors_digests_in_it() {
    let contract = |text: &str| BTreeMap::from([("table_t".to_owned(), Digest::of(text))]);
    let base = project(|_| ()).unwrap().digests(&contract("one")).unwrap();
    let other = project(|_| ()).unwrap().digests(&contract("two")).unwrap();
    let edited = project(|parsed| parsed["manifest"]["nodes"]["model.p.z"]["raw_code"] = json!("select 2"));
    let edited = edited.unwrap().digests(&contract("one")).unwrap();
    for id in ["model.p.z", "model.p.b", "test.p.t"] {
        assert!(base[id] != other[id] && base[id] != edited[id], "{id}");
    }
    assert_eq!(base["model.p.o"], other["model.p.o"]);
    assert_eq!(base["model.p.o"], edited["model.p.o"]);
    let moved = project(|parsed| {
        parsed["manifest"]["nodes"]["model.p.z"]["description"] = json!("told otherwise");
        parsed["manifest"]["nodes"]["model.p.z"]["relation_name"] = json!("elsewhere");
    });
    assert_eq!(moved.unwrap().digests(&contract("one")).unwrap(), base);
}

#[test]
fn one_relation_is_one_nodes() {
    let other = Identifier::new("mart").unwrap();
    assert!(project(|_| ()).unwrap().schemas(&other).is_ok());
    let twin = project(|parsed| parsed["manifest"]["nodes"]["model.p.o"]["alias"] = json!("B")).unwrap();
    assert!(matches!(twin.schemas(&other), Err(Error::Rejected(message)) if message.contains("model.p.b")));
    let reserved = project(|_| ()).unwrap().schemas(&Identifier::new("raw").unwrap());
    assert!(matches!(reserved, Err(Error::Rejected(message)) if message.contains("schema raw")));
    let source = project(|parsed| {
        parsed["manifest"]["sources"]["source.p.other.t"] = json!({"source_name": "other", "identifier": "TABLE_T"});
    });
    assert!(matches!(source, Err(Error::Rejected(message)) if message.contains("source.p.other.t")));
}

#[test]
fn a_touched_model_says_how_it_follows_each_parent() {
    let touched = |config: Value| {
        project(|parsed| {
            let nodes = &mut parsed["manifest"]["nodes"];
            nodes["model.p.z"]["config"] = json!({"materialized": "touched", "unit": "day", "rows": ["raw.t"]});
            nodes["model.p.b"]["depends_on"]["nodes"] = json!(["model.p.z", "model.p.o"]);
            nodes["model.p.b"]["config"] = config;
            nodes["model.p.b"]["config"]["materialized"] = json!("touched");
        })
    };
    let good = touched(json!({"unit": "day", "rows": [{"ref": "z", "unit": "date(at)"}], "whole": ["o"]})).unwrap();
    let expected = Touched {
        unit: "day".to_owned(),
        rows: vec![touched::Rows { id: "model.p.z".to_owned(), unit: "date(at)".to_owned() }],
        as_of: Vec::new(),
        whole: vec!["model.p.o".to_owned()],
    };
    assert_eq!(good.nodes["model.p.b"].touched, Some(expected));
    let history = json!({"history": "z", "facts": "o", "key": "k", "at": "t"});
    for (config, expected) in [
        (json!({"unit": "day", "rows": ["z"]}), "model.p.o, which stands in none"),
        (json!({"unit": "day", "rows": ["z", "o"]}), "keeps no changes"),
        (json!({"unit": "day", "rows": ["z"], "whole": ["q"]}), "names q"),
        (json!({"rows": ["z"], "whole": ["o"]}), "unit"),
        (json!({"unit": "day", "as_of": [history], "whole": ["o"]}), "does not stand in its rows"),
    ] {
        let error = touched(config).unwrap_err();
        assert!(matches!(&error, Error::Rejected(message) if message.contains(expected)), "{expected}: {error}");
    }
}

#[test]
fn the_key_of_a_model_is_what_a_test_of_all_its_rows_says_is_unique() {
    let with = |metadata: Value, severity: &str, filter: Value| {
        project(|parsed| {
            let test = &mut parsed["manifest"]["nodes"]["test.p.t"];
            test["attached_node"] = "model.p.b".into();
            test["test_metadata"] = metadata;
            test["config"] = json!({"materialized": "test", "severity": severity, "where": filter});
        })
        .unwrap()
    };
    let key = |project: &Project| project.key_of("model.p.b").map(<[String]>::to_vec);
    let unique = json!({"name": "unique", "kwargs": {"column_name": "id"}});
    assert_eq!(key(&with(unique.clone(), "ERROR", Value::Null)), Some(vec!["id".to_owned()]));
    let pair = json!({"name": "unique_combination_of_columns", "kwargs": {"combination_of_columns": ["a", "b"]}});
    assert_eq!(key(&with(pair, "ERROR", Value::Null)), Some(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(key(&with(unique.clone(), "WARN", Value::Null)), None);
    assert_eq!(key(&with(unique, "ERROR", "id > 7".into())), None);
    assert_eq!(key(&with(json!({"name": "not_null", "kwargs": {"column_name": "id"}}), "ERROR", Value::Null)), None);
}
