//! Cycles: that they do what is needed and nothing more, in whatever order partitions come.

use end_to_end::{Random, Sandbox, is_full, replaced};

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
    let (days, permutations) = if is_full() { (10, 5) } else { (3, 1) };
    let day = |number: usize| format!("2025-08-{number:02}");
    let range = ["--from", "2025-08-01", "--to", &day(days)];
    let ordered = Sandbox::retail();
    ordered.run(&[&["backfill"], &range[..]].concat()).ok();
    let expected = ordered.digest();
    let at_once = Sandbox::retail();
    at_once.run(&[&["backfill"], &range[..], &["--cycle-per", "all"]].concat()).ok();
    assert_eq!(at_once.cycle(), 1);
    assert_eq!(at_once.digest(), expected);

    let mut random = Random::new();
    for _ in 0..permutations {
        let shuffled = Sandbox::retail();
        let order = random.order_with_repeats(days);
        println!("order {order:?}");
        for number in order {
            shuffled.day(&day(number));
        }
        assert_eq!(shuffled.digest(), expected);
    }
}

#[test]
fn a_changed_table_rebuilds_what_reads_it_and_nothing_else() {
    let sandbox = Sandbox::retail();
    sandbox.day("2025-08-01");
    let before = sandbox.digest();
    let text = std::fs::read_to_string(sandbox.config()).unwrap();
    // Descriptions decide nothing; a column that has to be there from now on does.
    let described = replaced(
        &text,
        "description: Ways to buy. Too small for a log, so it is read whole.",
        "description: Ways to buy.",
    );
    std::fs::write(sandbox.config(), &described).unwrap();
    assert_eq!(sandbox.day("2025-08-01")["outcome"], "already_published");
    let column = "{name: name, type: string, description: As readers see it.}";
    let stricter = replaced(&described, column, "{name: name, type: string, mode: required}");
    std::fs::write(sandbox.config(), stricter).unwrap();
    assert_eq!(sandbox.day("2025-08-01")["outcome"], "published");
    let built = built(&sandbox, "build");
    assert_eq!(built, self::built(&sandbox, "full"));
    assert!(built.iter().any(|name| name == "dim_channels"), "{built:?}");
    assert!(!built.iter().any(|name| name == "fct_sales" || name == "dim_customers"), "{built:?}");
    assert_eq!(sandbox.digest(), before);
}

/// Names of the models that the live cycle built (`build`), or rebuilt in full (`full`).
fn built(sandbox: &Sandbox, what: &str) -> Vec<String> {
    let receipt = sandbox.run(&["receipt", "--json"]).ok().json();
    receipt["work"][what]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|id| Some(id.as_str()?.rsplit('.').next()?.to_owned()))
        .collect()
}

#[test]
fn an_edited_model_is_rebuilt_with_its_descendants_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (sandbox, project) = Sandbox::with_own_project(folder.path());
    sandbox.day("2025-08-01");
    let before = sandbox.digest();

    let model = project.join("models/mart/sales/fct_transactions.sql");
    let text = std::fs::read_to_string(&model).unwrap();
    std::fs::write(&model, format!("{text}\n-- edited\n")).unwrap();
    let result = sandbox.day("2025-08-01");
    assert_eq!(result["outcome"], "published", "{result}");
    let built = built(&sandbox, "build");
    assert_eq!(built, self::built(&sandbox, "full"));
    assert!(built.iter().any(|name| name == "fct_transactions"), "{built:?}");
    assert!(!built.iter().any(|name| name == "fct_sales"), "{built:?}");
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

#[test]
fn a_backfill_of_gaps_runs_what_readers_do_not_see_and_nothing_else() {
    let sandbox = Sandbox::retail();
    let range = ["--from", "2025-08-01", "--to", "2025-08-04"];
    let backfill = |more: &[&str]| -> Vec<(String, String)> {
        let results = sandbox.run(&[&["backfill", "--gaps", "--json"], &range[..], more].concat()).ok().json();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let results = results.as_array().unwrap().iter();
        results.map(|result| (text(&result["partition"]), text(&result["outcome"]))).collect()
    };
    sandbox.day("2025-08-01");
    // The fourth is loaded and not published; the first has another content in `raw` than readers see.
    sandbox.run(&["run", "daily", "--partition", "2025-08-04", "--until", "load"]).ok();
    let corrupt = "{\"corrupt\":\"wrong_total\"}";
    sandbox.run(&["run", "daily", "--partition", "2025-08-01", "--until", "load", "--data", corrupt]).ok();
    let status = sandbox.status();
    let of =
        |day: &str| status["partitions"].as_array().unwrap().iter().find(|entry| entry["partition"] == day).unwrap();
    assert_eq!((&of("2025-08-01")["state"], &of("2025-08-01")["late"]), (&"pending".into(), &1.into()));
    assert_eq!((&of("2025-08-04")["state"], &of("2025-08-04")["late"]), (&"pending".into(), &0.into()));
    // The third was extracted and is held: that is no gap.
    sandbox.run(&["run", "daily", "--partition", "2025-08-03", "--until", "extract"]).ok();
    sandbox.run(&["hold", "2025-08-03"]).ok();
    let done = backfill(&["--cycle-per", "all"]);
    let expected = [("2025-08-01", "stopped"), ("2025-08-02", "stopped"), ("2025-08-04", "published")];
    assert_eq!(done, expected.map(|(day, outcome)| (day.to_owned(), outcome.to_owned())));
    assert_eq!((sandbox.cycle(), backfill(&[])), (2, Vec::new()));
    sandbox.run(&["release", "2025-08-03"]).ok();
    assert_eq!(backfill(&[]), [("2025-08-03".to_owned(), "published".to_owned())]);

    let undisturbed = Sandbox::retail();
    undisturbed.run(&[&["backfill"], &range[..], &["--cycle-per", "all"]].concat()).ok();
    assert_eq!(sandbox.digest(), undisturbed.digest());
}
