use std::collections::BTreeMap;

use jiff::Timestamp;

use super::*;
use crate::{ATTEMPT_VERSION, AttemptId, Claim, EndReason};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn digest(of: &str) -> Digest {
    Digest::of(of)
}

fn run(name: &str) -> RunId {
    RunId::new(name).unwrap()
}

/// An attempt at the cycle after that of `record`, in which `done` was finished and `running` is claimed.
fn attempt(record: &Deployment, name: &str, done: &[&str], running: Option<&str>) -> Attempt {
    let mut attempt = Attempt {
        version: ATTEMPT_VERSION,
        slot: record.next_slot(AttemptId::new(format!("attempt{name}")).unwrap()),
        run: run("run-a"),
        begun_at: NOW,
        inputs: digest("inputs"),
        project: digest("code"),
        work: WorkSet { build: ["sales".to_owned()].into(), ..WorkSet::default() },
        continues: None,
        steps: BTreeMap::new(),
        verdict: None,
        ended: None,
    };
    for step in done.iter().chain(&running) {
        let Claim::Take(claimed) = attempt.claim(step, "holder", NOW) else { panic!("{step} can't be claimed") };
        attempt = *claimed;
        if done.contains(step) {
            attempt = attempt.finish(step, "holder", serde_json::Value::Null, NOW).unwrap();
        }
    }
    attempt
}

#[test]
fn only_a_step_that_writes_costs_the_attempt_when_its_holder_is_gone() {
    let record = Deployment::default();
    let found = |running, is_alive, by: &str| {
        let attempt = attempt(&record, "a", &[], running);
        let building = Building { slot: attempt.slot.clone(), run: run("run-a"), since: NOW };
        at_work(&building, &attempt, is_alive, &run(by))
    };
    for step in ["prepare", "transform.mart", "audit"] {
        assert_eq!(found(Some(step), false, "run-b"), AtWork::Expired, "{step}");
    }
    assert_eq!(found(Some("publish"), false, "run-b"), AtWork::Left);
    assert_eq!(found(None, false, "run-b"), AtWork::Left);
    assert_eq!(found(Some("prepare"), true, "run-b"), AtWork::Other);
    assert_eq!(found(Some("prepare"), true, "run-a"), AtWork::Mine);
    let mut over = attempt(&record, "a", &[], None);
    over = over.end(EndReason::Failed, "", NOW);
    let building = Building { slot: over.slot.clone(), run: run("run-a"), since: NOW };
    assert!(matches!(at_work(&building, &over, true, &run("run-a")), AtWork::Ended(_)));
}

#[test]
fn layers_are_taken_over_from_the_same_work_on_the_same_cycle() {
    let record = Deployment::default();
    let expired = attempt(&record, "a", &["prepare", "transform.clean"], Some("transform.mart"));
    let from = |record: &Deployment, expired: &Attempt| {
        continued(record, expired, &digest("inputs"), &expired.work, &digest("code"))
    };
    assert_eq!(from(&record, &expired).as_ref(), Some(&expired.slot));
    assert_eq!(from(&Deployment { cycle: 1, ..record.clone() }, &expired), None, "another cycle is live");
    let others = [
        (digest("others"), expired.work.clone(), digest("code")),
        (digest("inputs"), WorkSet::default(), digest("code")),
        (digest("inputs"), expired.work.clone(), digest("other code")),
    ];
    for (inputs, work, code) in others {
        assert_eq!(continued(&record, &expired, &inputs, &work, &code), None);
    }
    // It died while it took over itself: what it was to take over is still there.
    let mut second = attempt(&record, "b", &[], Some("prepare"));
    assert_eq!(from(&record, &second), None);
    second.continues = Some(expired.slot.clone());
    assert_eq!(from(&record, &second), Some(expired.slot));
}

#[test]
fn steps_are_adopted_up_to_the_first_that_is_not_done() {
    let record = Deployment::default();
    let expired = attempt(&record, "a", &["prepare", "clean", "mart"], Some("staging"));
    let layers = ["clean", "staging", "mart"];
    assert_eq!(expired.finished(layers), 1);
    let next = attempt(&record, "b", &[], Some("prepare"));
    let adopted = next.adopt(&expired, &["clean".to_owned()]).unwrap();
    assert_eq!(adopted.steps["clean"], expired.steps["clean"]);
    assert_eq!(adopted.running().unwrap().0, "prepare");
    assert_eq!(adopted.steps.len(), 2);
    assert_eq!(next.end(EndReason::Failed, "", NOW).adopt(&expired, &[]), None);
}

#[test]
fn an_expiry_is_remembered_until_the_next_attempt_begins() {
    let record = Deployment::default();
    let slot = attempt(&record, "a", &[], None).slot;
    let building = Building { slot: slot.clone(), run: run("run-a"), since: NOW };
    let begun = record.clone().begin(&record, building.clone()).unwrap();
    assert_eq!(begun.clone().end(&slot.attempt, EndReason::Failed).expired, None);
    let ended = begun.end(&slot.attempt, EndReason::Expired);
    assert_eq!((ended.building.as_ref(), ended.expired.as_ref()), (None, Some(&slot)));
    // Who comes too late to end it changes nothing.
    assert_eq!(ended.clone().end(&slot.attempt, EndReason::Failed), ended);
    assert_eq!(ended.clone().begin(&ended, building).unwrap().expired, None);
}
