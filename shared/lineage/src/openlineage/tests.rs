use wap::{
    AttemptId, Change, Color, Identifier, PartitionKey, RECEIPT_VERSION, RunId, Slot, Statistics, Step, TableAudit,
    TableVolume, Verdict, View, WorkSet,
};

use super::*;
use crate::sample::{catalog, nodes, pipeline};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn name(text: &str) -> Identifier {
    Identifier::new(text).unwrap()
}

fn step(from: i64, to: i64, outcome: Value) -> Step {
    Step { holder: "me".to_owned(), claimed_at: at(from), outcome: Some(outcome), finished_at: Some(at(to)) }
}

fn attempt(status: RuleStatus) -> Attempt {
    let table = name("orders");
    let change = Change { table, partition: PartitionKey::new("2025-01-01").unwrap(), old: None, new: None };
    let rule = |rule: &str, subject: &str, status| RuleOutcome {
        rule: rule.to_owned(),
        subject: subject.to_owned(),
        status,
        failures: u64::from(status != RuleStatus::Passed),
        detail: "1 row found".to_owned(),
        value: None,
        sample: vec![json!({"order_id": "secret"})],
    };
    let models = json!({"models": [{"name": "fct_orders", "full": true, "seconds": 1.0}]});
    Attempt {
        version: wap::ATTEMPT_VERSION,
        slot: Slot { color: Color::Blue, cycle: 1, attempt: AttemptId::new("00000000a1").unwrap() },
        run: RunId::new("019a0000-0000-7000-8000-000000000001").unwrap(),
        begun_at: at(100),
        inputs: Digest::of("inputs"),
        project: Digest::of("project"),
        work: WorkSet {
            changes: vec![change],
            build: ["model.shop.fct_orders", "model.shop.fct_days"].map(str::to_owned).into(),
            ..WorkSet::default()
        },
        continues: None,
        steps: [("transform.mart".to_owned(), step(110, 120, models)), ("audit".to_owned(), step(120, 130, json!({})))]
            .into(),
        verdict: Some(Verdict {
            fingerprint: Digest::of("content"),
            rules: vec![
                rule("unique_fct_orders_order_id", "fct_orders", status),
                rule("lake_equals_raw", "orders", RuleStatus::Passed),
                rule("a_test_that_is_gone", "fct_orders", RuleStatus::Passed),
            ],
            tables: vec![TableAudit { view: name("fct_orders"), rows_before: None, rows: 7, newest: None }],
        }),
        ended: None,
    }
}

fn receipt(attempt: &Attempt) -> Receipt {
    let view = View { target: "mart.fct_orders".to_owned(), digest: Digest::of("view") };
    Receipt {
        version: RECEIPT_VERSION,
        cycle: 1,
        kind: ReceiptKind::Publish,
        slot: attempt.slot.clone(),
        run: attempt.run.clone(),
        holder: None,
        published_at: at(140),
        inputs: attempt.inputs.clone(),
        newest_partition: None,
        held: Vec::new(),
        work: attempt.work.clone(),
        rollback: None,
        built: Vec::new(),
        moved: vec![TableVolume {
            table: name("orders"),
            partitions: 1,
            source_rows: 5,
            lake_rows: 5,
            lake_bytes: 99,
            raw_rows: 5,
        }],
        verdict: attempt.verdict.clone().unwrap(),
        views: [(name("fct_orders"), view)].into(),
        slot_bytes: None,
        steps: Vec::new(),
        cost: Statistics::default(),
        mixed_seconds: None,
    }
}

fn events(attempt: &Attempt, end: End<'_>, project: Option<&str>) -> Vec<Value> {
    let names = Names { namespace: "company".to_owned(), project: project.map(str::to_owned) };
    let (pipeline, nodes, catalog) = (pipeline(), nodes(), catalog());
    let run = match end {
        End::Published(receipt) => &receipt.run,
        End::Failed(..) => &attempt.run,
    };
    let (nodes, attempt) = (&nodes, Some(attempt));
    Cycle { pipeline: &pipeline, nodes, catalog: &catalog, names: &names, run, attempt }.events(end)
}

fn published() -> Vec<Value> {
    let attempt = attempt(RuleStatus::Passed);
    events(&attempt, End::Published(&receipt(&attempt)), None)
}

fn find<'a>(events: &'a [Value], kind: &str, job: &str) -> &'a Value {
    let is_it = |event: &&Value| event["eventType"] == kind && event["job"]["name"] == job;
    events.iter().find(is_it).unwrap_or_else(|| panic!("no {kind} of {job}"))
}

#[test]
fn every_job_starts_and_ends_once_inside_of_its_parent() {
    let events = published();
    let mut jobs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in &events {
        let kind = event["eventType"].as_str().unwrap().to_owned();
        jobs.entry(event["job"]["name"].as_str().unwrap().to_owned()).or_default().push(kind);
    }
    let expected =
        ["shop.audit", "shop.cycle", "shop.load.orders", "shop.publish.fct_orders", "shop.transform.mart.fct_orders"];
    assert_eq!(jobs.keys().collect::<Vec<_>>(), expected);
    assert!(jobs.values().all(|kinds| kinds == &["START", "COMPLETE"]), "{jobs:?}");
    let parent = &find(&events, "START", "shop.cycle")["run"]["runId"];
    assert_eq!(parent, "019a0000-0000-7000-8000-000000000001");
    for event in events.iter().filter(|event| event["job"]["name"] != "shop.cycle") {
        assert_eq!(&event["run"]["facets"]["parent"]["run"]["runId"], parent);
    }
    assert_eq!(
        (&events[0]["job"]["name"], &events[events.len() - 1]["eventType"]),
        (&json!("shop.cycle"), &json!("COMPLETE"))
    );
}

#[test]
fn every_event_has_what_the_specification_requires() {
    for event in published() {
        for field in ["eventType", "eventTime", "producer", "schemaURL"] {
            assert!(event[field].is_string(), "{field} in {event}");
        }
        event["eventTime"].as_str().unwrap().parse::<Timestamp>().unwrap();
        uuid::Uuid::parse_str(event["run"]["runId"].as_str().unwrap()).unwrap();
        assert!(event["job"]["namespace"] == "company");
        let facets =
            |of: &Value| of.as_object().into_iter().flatten().map(|(_, facet)| facet.clone()).collect::<Vec<_>>();
        let mut all = facets(&event["run"]["facets"]);
        all.extend(facets(&event["job"]["facets"]));
        for dataset in event["inputs"].as_array().unwrap().iter().chain(event["outputs"].as_array().unwrap()) {
            assert!(dataset["namespace"].is_string() && dataset["name"].is_string());
            all.extend(["facets", "inputFacets", "outputFacets"].iter().flat_map(|kind| facets(&dataset[*kind])));
        }
        assert!(all.iter().all(|facet| facet["_producer"].is_string() && facet["_schemaURL"].is_string()), "{event}");
    }
}

#[test]
fn datasets_are_connected_from_the_source_to_readers_with_columns_and_rows() {
    let events = published();
    let load = find(&events, "COMPLETE", "shop.load.orders");
    assert_eq!(load["inputs"][0]["name"], "shop/till/orders");
    assert_eq!(load["outputs"][0]["name"], "shop/raw/orders");
    assert_eq!(load["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"], 5);
    assert_eq!(load["outputs"][0]["facets"]["schema"]["fields"][1]["type"], "NUMERIC(12, 2)");
    assert_eq!(load["outputs"][0]["facets"]["schema"]["fields"][1]["description"], "In euros.");
    let model = find(&events, "COMPLETE", "shop.transform.mart.fct_orders");
    let read: Vec<&Value> = model["inputs"].as_array().unwrap().iter().map(|input| &input["name"]).collect();
    assert_eq!(read, ["shop/staging/stg_orders", "shop/seeds/rates"]);
    assert_eq!(model["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"], 7);
    assert_eq!(
        (&model["eventTime"], &find(&events, "START", "shop.transform.mart.fct_orders")["eventTime"]),
        (&json!("1970-01-01T00:02:00Z"), &json!("1970-01-01T00:01:50Z"))
    );
    let view = find(&events, "COMPLETE", "shop.publish.fct_orders");
    assert_eq!(
        (&view["inputs"][0]["name"], &view["outputs"][0]["name"]),
        (&model["outputs"][0]["name"], &json!("shop/live/fct_orders"))
    );
}

#[test]
fn on_bigquery_raw_and_live_are_called_as_everybody_calls_them() {
    let attempt = attempt(RuleStatus::Passed);
    let events = events(&attempt, End::Published(&receipt(&attempt)), Some("my-project"));
    let load = &find(&events, "COMPLETE", "shop.load.orders")["outputs"][0];
    assert_eq!((&load["namespace"], &load["name"]), (&json!("bigquery"), &json!("my-project.raw.orders")));
    let view = &find(&events, "COMPLETE", "shop.publish.fct_orders")["outputs"][0];
    assert_eq!(view["name"], "my-project.live.fct_orders");
    let model = &find(&events, "COMPLETE", "shop.transform.mart.fct_orders")["outputs"][0];
    assert_eq!((&model["namespace"], &model["name"]), (&json!("company"), &json!("shop/mart/fct_orders")));
}

#[test]
fn a_refusal_fails_with_its_reason_and_publishes_nothing() {
    let attempt = attempt(RuleStatus::Failed);
    let events = events(&attempt, End::Failed(at(150), "refused"), None);
    let parent = find(&events, "FAIL", "shop.cycle");
    assert_eq!(parent["run"]["facets"]["errorMessage"]["message"], "refused");
    let audit = find(&events, "FAIL", "shop.audit");
    let asked = audit["inputs"].as_array().unwrap();
    let of = |name: &str| {
        let input = asked.iter().find(|input| input["name"] == name).unwrap_or_else(|| panic!("no {name}"));
        input["inputFacets"]["dataQualityAssertions"]["assertions"][0].clone()
    };
    let broken = of("shop/mart/fct_orders");
    let expected = json!({
        "assertion": "unique_fct_orders_order_id", "name": "unique_fct_orders_order_id", "success": false, "severity": "error",
        "actual": "1",
    });
    assert_eq!(broken, expected);
    assert_eq!(of("shop/raw/orders")["success"], true);
    assert!(!events.iter().any(|event| event["job"]["name"].as_str().unwrap().contains("publish")));
    assert!(find(&events, "COMPLETE", "shop.transform.mart.fct_orders")["inputs"].is_array());
    assert!(!json!(events).to_string().contains("secret"), "failing rows stay in the receipt");
}

#[test]
fn the_same_cycle_gives_the_same_events() {
    assert_eq!(published(), published());
    assert_ne!(run_id("a run of another engine", None), run_id("a run of another engine", Some("job")));
    assert_eq!(run_id("a run of another engine", None), run_id("a run of another engine", None));
}

#[test]
fn a_rollback_is_a_run_that_shows_views() {
    let attempt = attempt(RuleStatus::Passed);
    let run = RunId::new("back").unwrap();
    let receipt = Receipt { kind: ReceiptKind::Rollback, cycle: 3, run, published_at: at(900), ..receipt(&attempt) };
    let events = events(&attempt, End::Published(&receipt), None);
    let names: BTreeSet<&str> = events.iter().map(|event| event["job"]["name"].as_str().unwrap()).collect();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["shop.publish.fct_orders", "shop.rollback"]);
    assert!(events.iter().all(|event| event["eventTime"] == "1970-01-01T00:15:00Z"));
}

#[test]
fn a_run_that_came_to_no_attempt_fails_alone() {
    let names = Names { namespace: "company".to_owned(), project: None };
    let run = RunId::new("early").unwrap();
    let (pipeline, nodes, catalog) = (pipeline(), nodes(), catalog());
    let cycle =
        Cycle { pipeline: &pipeline, nodes: &nodes, catalog: &catalog, names: &names, run: &run, attempt: None };
    let events = cycle.events(End::Failed(at(150), "no source"));
    assert_eq!(events.len(), 2);
    assert_eq!(find(&events, "FAIL", "shop.cycle")["run"]["facets"]["errorMessage"]["message"], "no source");
}
