//! Cycles: that they do what is needed and nothing more, in whatever order partitions come.

use end_to_end::{Sandbox, copy_folder, replaced, repository};

#[test]
fn a_day_again_changes_nothing() {
    let sandbox = Sandbox::retail();
    sandbox.run(&["backfill", "--from", "2025-08-01", "--to", "2025-08-02"]).ok();
    let before = (sandbox.digest(), sandbox.cycle());
    let again = sandbox.day("2025-08-01");
    assert_eq!(again["outcome"], "already_published");
    assert_eq!((sandbox.digest(), sandbox.cycle()), before);
    assert_eq!(before.1, 2);
}

#[test]
fn any_order_with_repeats_gives_the_tables_of_the_ordered_run() {
    let ordered = Sandbox::retail();
    ordered.run(&["backfill", "--from", "2025-08-01", "--to", "2025-08-04"]).ok();
    let expected = ordered.digest();
    let shuffled = Sandbox::retail();
    for day in ["2025-08-03", "2025-08-01", "2025-08-03", "2025-08-04", "2025-08-02"] {
        shuffled.day(day);
    }
    assert_eq!(shuffled.digest(), expected);
    let at_once = Sandbox::retail();
    at_once.run(&["backfill", "--from", "2025-08-01", "--to", "2025-08-04", "--cycle-per", "all"]).ok();
    assert_eq!(at_once.cycle(), 1);
    assert_eq!(at_once.digest(), expected);
}

#[test]
fn an_edited_model_is_rebuilt_with_its_descendants_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("dbt");
    copy_folder(&repository().join("dbt"), &project);
    let original = format!("project: {}", repository().join("dbt").display());
    let sandbox = Sandbox::with(|text| replaced(&text, &original, &format!("project: {}", project.display())));
    sandbox.day("2025-08-01");
    let before = sandbox.digest();

    let model = project.join("models/mart/sales/fct_transactions.sql");
    let text = std::fs::read_to_string(&model).unwrap();
    std::fs::write(&model, format!("{text}\n-- edited\n")).unwrap();
    let result = sandbox.day("2025-08-01");
    assert_eq!(result["outcome"], "published", "{result}");
    let receipt = sandbox.run(&["receipt", "--json"]).ok().json();
    let names = |list: &serde_json::Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|id| id.as_str().unwrap().rsplit('.').next().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&receipt["work"]["build"]), names(&receipt["work"]["full"]));
    assert!(names(&receipt["work"]["build"]).contains(&"fct_transactions".to_owned()));
    assert!(!names(&receipt["work"]["build"]).contains(&"fct_sales".to_owned()));
    assert_eq!(sandbox.digest(), before);
    assert_eq!(sandbox.day("2025-08-01")["outcome"], "already_published");
}

#[test]
fn a_run_can_stop_before_publish_and_be_published_by_hand() {
    let sandbox = Sandbox::retail();
    let stopped = sandbox.run(&["run", "daily", "--partition", "2025-08-01", "--until", "audit", "--json"]).ok().json();
    assert_eq!(stopped["outcome"], "stopped");
    assert_eq!(sandbox.cycle(), 0);
    sandbox.run(&["sql", "select 1"]).refused("bgp run daily");
    sandbox.run(&["publish", "7"]).refused("no attempt for cycle 7");
    sandbox.run(&["publish", "1"]).ok();
    assert_eq!(sandbox.cycle(), 1);
    // Publishing it again is the same publish.
    sandbox.run(&["publish", "1"]).ok();
    assert_eq!(sandbox.cycle(), 1);
}
