use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn attempt(name: &str) -> AttemptId {
    AttemptId::new(format!("attempt{name}")).unwrap()
}

fn building(record: &Deployment, name: &str) -> Building {
    Building { slot: record.next_slot(attempt(name)), run: RunId::new(format!("run-{name}")).unwrap(), since: at(0) }
}

fn live(record: &Deployment, name: &str, views: &[&str]) -> Live {
    let view = View { target: "mart.x".to_owned(), digest: Digest::of("x") };
    Live {
        slot: record.next_slot(attempt(name)),
        views: views.iter().map(|name| (Identifier::new(*name).unwrap(), view.clone())).collect(),
        inputs: Digest::of(name),
        newest_partition: None,
        held: Vec::new(),
        published_at: at(1),
    }
}

fn published(name: &str) -> Deployment {
    let record = Deployment::default();
    let next = building(&record, name);
    let begun = record.clone().begin(&record, next).unwrap();
    let what = live(&begun, name, &["sales"]);
    begun.commit(&attempt(name), what, at(100)).unwrap()
}

#[test]
fn only_the_attempt_that_the_record_names_commits() {
    let record = published("a");
    let first = building(&record, "b");
    let begun = record.clone().begin(&record, first).unwrap();
    let second = building(&begun, "c");
    let overtaken = begun.clone().begin(&begun, second).unwrap();
    let what = live(&begun, "b", &["sales"]);
    let error = overtaken.clone().commit(&attempt("b"), what, at(100)).unwrap_err();
    assert!(matches!(error, Refused::NotBuilding { .. }));
    assert!(error.to_string().contains("attemptc"), "{error}");
    let what = live(&begun, "c", &["sales"]);
    assert!(overtaken.commit(&attempt("c"), what, at(100)).is_ok());
}

#[test]
fn a_commit_whose_answer_was_lost_is_repeated_without_effect() {
    let record = published("a");
    let what = record.live.clone().unwrap();
    assert_eq!(record.clone().commit(&attempt("a"), what, at(300)), Ok(record));
}

#[test]
fn an_attempt_is_resumed_only_while_the_record_names_it() {
    let record = published("a");
    let next = building(&record, "b");
    let begun = record.clone().begin(&record, next).unwrap();
    let run = RunId::new("run-c").unwrap();
    let found = begun.building.clone().unwrap();
    let resumed = begun.clone().resume(&found, &run).unwrap();
    assert_eq!(resumed.building.as_ref().map(|building| &building.run), Some(&run));
    assert_eq!(begun.resume(&building(&record, "a"), &run), Err(Refused::Moved));
    assert_eq!(record.resume(&found, &run), Err(Refused::Moved));
    // Of two runs that found it left the second comes too late; the first may ask again.
    assert_eq!(resumed.clone().resume(&found, &RunId::new("run-d").unwrap()), Err(Refused::Moved));
    assert_eq!(resumed.clone().resume(&found, &run), Ok(resumed));
}

#[test]
fn begin_is_refused_when_the_record_is_not_the_one_that_was_planned_from() {
    let planned = published("a");
    let moved =
        planned.clone().hold(PartitionKey::all(), Hold { reason: String::new(), since: at(0), rolled_back: None });
    let next = building(&planned, "b");
    assert_eq!(moved.begin(&planned, next), Err(Refused::Moved));
}

#[test]
fn colours_alternate_and_cycles_count() {
    let record = published("a");
    let first = record.live.clone().unwrap().slot;
    assert_eq!((first.color, first.cycle), (Color::Blue, 1));
    let next = building(&record, "b");
    let begun = record.clone().begin(&record, next).unwrap();
    let what = live(&begun, "b", &["sales"]);
    let second = begun.commit(&attempt("b"), what, at(200)).unwrap();
    assert_eq!(second.live.as_ref().map(|live| (live.slot.color, live.slot.cycle)), Some((Color::Green, 2)));
    assert_eq!(second.kept.map(|kept| kept.live.slot), Some(first));
    assert_eq!(second.cycle, 2);
}

#[test]
fn a_view_that_was_there_is_not_dropped_by_a_publish() {
    let record = published("a");
    let next = building(&record, "b");
    let begun = record.clone().begin(&record, next).unwrap();
    let what = live(&begun, "b", &["other"]);
    let error = begun.commit(&attempt("b"), what, at(200)).unwrap_err();
    assert_eq!(error, Refused::ViewMissing { view: Identifier::new("sales").unwrap() });
}

#[test]
fn a_refusal_is_remembered_until_content_or_code_changes_or_the_partition_is_left_out() {
    let change = |day: &str, content: &str| Change {
        table: Identifier::new("lines").unwrap(),
        partition: PartitionKey::new(day).unwrap(),
        old: None,
        new: Some(Digest::of(content)),
    };
    let work = |changes: &[Change]| WorkSet { changes: changes.to_vec(), ..WorkSet::default() };
    let code = Digest::of("code");
    let bad = change("2025-08-03", "bad");
    let refusal = Refusal {
        attempt: attempt("b"),
        changes: vec![bad.clone()],
        code: code.clone(),
        reason: "negative price".to_owned(),
        at: at(3),
    };
    let record = published("a");
    assert_eq!(record.clone().refuse(refusal.clone()), record, "it is not the attempt that the record names");
    let next = building(&record, "b");
    let record = record.clone().begin(&record, next).unwrap().refuse(refusal);

    let again = record.check_refusals(&work(std::slice::from_ref(&bad)), &code).unwrap_err().to_string();
    assert!(again.contains("2025-08-03") && again.contains("negative price"), "{again}");
    assert!(record.check_refusals(&work(&[bad.clone(), change("2025-08-04", "good")]), &code).is_err());
    assert!(record.check_refusals(&work(&[change("2025-08-04", "good")]), &code).is_ok());
    // What a row of the 3rd lacked may have come with the 2nd; nothing that it lacked can come with the 4th.
    assert!(record.check_refusals(&work(&[bad.clone(), change("2025-08-02", "late")]), &code).is_ok());
    assert!(record.check_refusals(&work(&[bad.clone(), change("all", "other")]), &code).is_err());
    assert!(record.check_refusals(&work(&[change("2025-08-03", "corrected")]), &code).is_ok());
    assert!(record.check_refusals(&work(&[bad]), &Digest::of("edited")).is_ok());
}

#[test]
fn a_refused_attempt_may_not_commit() {
    let record = published("a");
    let next = building(&record, "b");
    let begun = record.clone().begin(&record, next).unwrap();
    let what = live(&begun, "b", &["sales"]);
    let refusal = Refusal {
        attempt: attempt("b"),
        changes: Vec::new(),
        code: Digest::of("code"),
        reason: String::new(),
        at: at(3),
    };
    assert!(begun.refuse(refusal).commit(&attempt("b"), what, at(200)).is_err());
}

#[test]
fn releasing_what_is_not_held_is_refused_by_name() {
    let error = published("a").release(&PartitionKey::new("2025-08-03").unwrap()).unwrap_err();
    assert!(error.to_string().contains("2025-08-03"));
}
