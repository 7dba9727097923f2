use super::*;
use crate::{AttemptId, Building, Identifier, View};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn partition(day: u8) -> PartitionKey {
    PartitionKey::new(format!("2025-08-{day:02}")).unwrap()
}

fn attempt(name: &str) -> AttemptId {
    AttemptId::new(format!("attempt{name}")).unwrap()
}

fn building(record: &Deployment, name: &str) -> Building {
    Building { slot: record.next_slot(attempt(name)), run: RunId::new(format!("run-{name}")).unwrap(), since: at(0) }
}

/// Inputs with the first days of one table, and one model.
fn inputs(days: u8, code: &str) -> Inputs {
    let days = (1..=days).map(|day| (partition(day), Digest::of([day]))).collect();
    Inputs {
        version: 1,
        partitions: BTreeMap::from([(Identifier::new("lines").unwrap(), days)]),
        models: BTreeMap::from([("model.retail.sales".to_owned(), Digest::of(code))]),
    }
}

/// The record after one more publish, whose slot is kept until second 1000.
fn publish(record: &Deployment, name: &str, views: &[&str]) -> Deployment {
    let next = building(record, name);
    let slot = next.slot.clone();
    let view = View { target: "mart.x".to_owned(), digest: Digest::of("x") };
    let live = Live {
        slot,
        views: views.iter().map(|name| (Identifier::new(*name).unwrap(), view.clone())).collect(),
        inputs: Digest::of(name),
        newest_partition: None,
        held: Vec::new(),
        published_at: at(1),
    };
    let begun = record.clone().begin(record, next).unwrap();
    begun.commit(&attempt(name), live, at(1000)).unwrap()
}

fn request(run: &str) -> RollbackRequest {
    RollbackRequest {
        run: RunId::new(run).unwrap(),
        holder: "host/1/1".to_owned(),
        reason: "wrong prices".to_owned(),
        at: at(50),
        keep_until: at(2000),
    }
}

/// Two cycles.
fn two() -> Deployment {
    publish(&publish(&Deployment::default(), "a", &["sales"]), "b", &["sales"])
}

fn rolled_back(record: &Deployment) -> Deployment {
    record.clone().rollback(record, &inputs(2, "code"), &inputs(1, "code"), &request("run-r")).unwrap()
}

fn slot_of(live: Option<&Live>) -> &Slot {
    &live.unwrap().slot
}

#[test]
fn a_rollback_is_a_cycle_that_shows_the_kept_slot_and_keeps_the_other() {
    let before = two();
    let after = rolled_back(&before);
    assert_eq!(after.cycle, 3);
    assert_eq!(slot_of(after.live.as_ref()), slot_of(before.kept.as_ref().map(|kept| &kept.live)));
    assert_eq!(slot_of(after.kept.as_ref().map(|kept| &kept.live)), slot_of(before.live.as_ref()));
    assert_eq!(after.kept.as_ref().map(|kept| kept.until), Some(at(2000)));
    // The next slot has a number of its own, and the other colour than what readers see.
    let next = after.next_slot(attempt("c"));
    assert_eq!((next.cycle, next.color), (4, slot_of(after.live.as_ref()).color.other()));
}

#[test]
fn what_was_rolled_back_is_held_until_it_is_released() {
    let after = rolled_back(&two());
    let hold = &after.held[&partition(2)];
    assert_eq!((after.held.len(), hold.rolled_back), (1, Some(RolledBack { cycle: 2, by: 3 })));
    assert!(hold.reason.contains("cycle 2") && hold.reason.contains("wrong prices"), "{}", hold.reason);
    // The next publish keeps the hold; the rollback may be named by either of its numbers.
    let next = publish(&after, "c", &["sales"]);
    assert_eq!(next.held, after.held);
    for cycle in [2, 3] {
        assert!(next.clone().release_cycle(cycle).unwrap().held.is_empty());
    }
    for cycle in [1, 4] {
        assert_eq!(next.clone().release_cycle(cycle), Err(Refused::NothingRolledBack { cycle }));
    }
    assert!(next.release(&partition(2)).unwrap().held.is_empty());
}

#[test]
fn what_somebody_holds_stays_held_when_a_rollback_is_released() {
    let by_hand = Hold { reason: "wait".to_owned(), since: at(0), rolled_back: None };
    let before = two().hold(partition(2), by_hand.clone());
    let after = rolled_back(&before);
    assert_eq!(after.held, BTreeMap::from([(partition(2), by_hand)]));
    assert!(after.release_cycle(2).is_err());
}

#[test]
fn a_rollback_of_a_rollback_undoes_it() {
    let before = two();
    let once = rolled_back(&before);
    let twice = once.clone().rollback(&once, &inputs(1, "code"), &inputs(2, "code"), &request("run-s")).unwrap();
    assert_eq!((twice.cycle, &twice.live), (4, &before.live));
    assert_eq!(slot_of(twice.kept.as_ref().map(|kept| &kept.live)), slot_of(once.live.as_ref()));
    assert!(twice.held.is_empty());
    let rollback = twice.rollback.as_ref().unwrap();
    assert_eq!((rollback.undid, rollback.held.len(), rollback.models.len()), (Some(3), 0, 0));
    // A third time it is a rollback again, by another number.
    let thrice = rolled_back(&twice);
    assert_eq!(thrice.held[&partition(2)].rolled_back, Some(RolledBack { cycle: 2, by: 5 }));
}

#[test]
fn an_attempt_that_was_building_may_not_commit_after_a_rollback() {
    let before = two();
    let next = building(&before, "c");
    let begun = before.clone().begin(&before, next).unwrap();
    let live = before.live.clone().unwrap();
    assert!(matches!(rolled_back(&begun).commit(&attempt("c"), live, at(100)), Err(Refused::NotBuilding { .. })));
}

#[test]
fn code_that_was_rolled_back_is_refused_until_it_changes_or_is_released() {
    let before = two();
    let (good, bad) = (inputs(1, "good"), inputs(1, "bad"));
    let after = before.clone().rollback(&before, &bad, &good, &request("run-r")).unwrap();
    assert!(after.held.is_empty());
    let refused = after.check_rolled_back(&bad.models).unwrap_err().to_string();
    assert!(refused.contains("cycle 2") && refused.contains("sales"), "{refused}");
    assert!(after.check_rolled_back(&good.models).is_ok());
    assert!(after.check_rolled_back(&inputs(1, "better").models).is_ok());
    // Another model beside it does not make it another code.
    let mut beside = bad.models.clone();
    beside.insert("model.retail.other".to_owned(), Digest::of("new"));
    assert!(after.check_rolled_back(&beside).is_err());
    for cycle in [2, 3] {
        assert!(after.clone().release_cycle(cycle).unwrap().check_rolled_back(&bad.models).is_ok());
    }
    let undone = after.clone().rollback(&after, &good, &bad, &request("run-s")).unwrap();
    assert!(undone.check_rolled_back(&bad.models).is_ok());
    assert!(publish(&after, "c", &["sales"]).check_rolled_back(&bad.models).is_ok());
}

#[test]
fn nothing_is_rolled_back_to_that_is_not_kept() {
    let first = publish(&Deployment::default(), "a", &["sales"]);
    for record in [Deployment::default(), first.clone()] {
        assert_eq!(record.rollback_target(at(50)), Err(Refused::NothingKept));
    }
    let second = publish(&first, "b", &["sales"]);
    assert!(second.rollback_target(at(999)).is_ok());
    assert!(matches!(second.rollback_target(at(1000)), Err(Refused::KeptExpired { .. })));
    let late = RollbackRequest { at: at(1000), ..request("run-r") };
    assert!(second.clone().rollback(&second, &inputs(2, "c"), &inputs(1, "c"), &late).is_err());
}

#[test]
fn a_rollback_is_refused_when_the_record_is_not_the_one_that_was_checked() {
    let checked = two();
    let moved = publish(&checked, "c", &["sales"]);
    let refused = moved.rollback(&checked, &inputs(2, "c"), &inputs(1, "c"), &request("run-r"));
    assert_eq!(refused, Err(Refused::Moved));
}

#[test]
fn a_slot_that_lacks_a_live_view_is_rolled_back_to_once_the_view_is_retired() {
    let view = Identifier::new("returns").unwrap();
    let record = publish(&publish(&Deployment::default(), "a", &["sales"]), "b", &["returns", "sales"]);
    assert!(
        matches!(record.rollback_target(at(50)), Err(Refused::KeptLacksView { view: lacking, .. }) if lacking == view)
    );
    let retired = record.retire(&view).unwrap();
    assert!(rolled_back(&retired).live.unwrap().views.len() == 1);
}

#[test]
fn a_retired_view_may_be_missing_and_one_that_comes_back_is_not_retired_any_more() {
    let view = Identifier::new("returns").unwrap();
    let record = publish(&Deployment::default(), "a", &["returns", "sales"]);
    assert_eq!(
        record.clone().retire(&Identifier::new("nothing").unwrap()).unwrap_err().to_string().matches("nothing").count(),
        1
    );
    let retired = record.retire(&view).unwrap();
    assert_eq!(retired.clone().retire(&view).unwrap(), retired);
    let without = publish(&retired, "b", &["sales"]);
    // The views of the slot before it may still be there: whoever converges has to know that they may go.
    assert!(without.retired.contains(&view));
    let back = publish(&without, "c", &["returns", "sales"]);
    assert!(back.retired.is_empty());
    let next = building(&back, "d");
    let slot = next.slot.clone();
    let live = Live { slot, ..without.live.unwrap() };
    let lost = back.clone().begin(&back, next).unwrap().commit(&attempt("d"), live, at(100));
    assert_eq!(lost, Err(Refused::ViewMissing { view }));
}

#[test]
fn a_record_of_the_version_before_is_read() {
    let old = r#"{"version":1,"cycle":2,"live":null,"kept":null,"building":null,"refused":null,
        "held":{"2025-08-01":{"reason":"held by hand","since":"2025-08-02T00:00:00Z"}}}"#;
    let read: Deployment = serde_json::from_str(old).unwrap();
    assert_eq!((read.held[&partition(1)].rolled_back, read.rollback, read.retired.len()), (None, None, 0));
}
