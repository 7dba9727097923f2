//! Processes that are killed, stopped, and run at once.

use std::time::{Duration, Instant};

use end_to_end::shop::{ORDERS, change_orders, write_shop};
use end_to_end::{Output, Random, Readers, Sandbox, building, is_full, make_older};
use serde_json::{Value, json};

#[test]
fn a_backfill_killed_at_random_moments_ends_as_the_undisturbed_one() {
    let undisturbed = Sandbox::retail();
    let (kills, last) = if is_full() { (50, "2025-08-10") } else { (6, "2025-08-03") };
    let backfill = ["backfill", "--from", "2025-08-01", "--to", last];
    undisturbed.run(&backfill).ok();

    let expected = undisturbed.digest();
    let mut sandbox = Sandbox::retail();
    let mut random = Random::new();
    let mut killed = 0;
    while killed < kills {
        let mut running = sandbox.start(&backfill);
        std::thread::sleep(Duration::from_millis(random.below(14_000) as u64));
        if running.has_ended() {
            // It came through before its turn: the next one starts from nothing.
            running.wait().ok();
            assert_eq!(sandbox.digest(), expected);
            sandbox = Sandbox::retail();
        } else {
            running.kill();
            killed += 1;
        }
    }
    sandbox.run(&backfill).ok();
    assert_eq!(sandbox.digest(), expected);
}

#[test]
fn a_backfill_stopped_at_random_moments_and_taken_over_changes_nothing_when_it_goes_on() {
    let (moments, last) = if is_full() { (50, "2025-08-03") } else { (3, "2025-08-02") };
    let backfill = ["backfill", "--from", "2025-08-01", "--to", last];
    let undisturbed = Sandbox::retail();
    let started = Instant::now();
    undisturbed.run(&backfill).ok();
    let takes = usize::try_from(started.elapsed().as_millis()).unwrap();
    let (expected, cycles) = (undisturbed.digest(), undisturbed.cycle());

    let mut random = Random::new();
    let mut taken_over = 0;
    while taken_over < moments {
        let sandbox = Sandbox::retail();
        let readers = Readers::start(&sandbox, 2);
        let mut sleeper = sandbox.start(&backfill);
        let moment = random.below(takes);
        std::thread::sleep(Duration::from_millis(moment as u64));
        if sleeper.has_ended() {
            sleeper.wait().ok();
        } else {
            sleeper.pause();
            // Who sleeps with a lock of the machine in hand, such as that on the source's file, lets nobody by.
            let patience = Duration::from_mins(if sleeper.holds_a_lock(&sandbox.home()) { 0 } else { 3 });
            let mut other = sandbox.start(&backfill);
            let started = Instant::now();
            while !other.has_ended() && started.elapsed() < patience {
                std::thread::sleep(Duration::from_millis(20));
            }
            if other.has_ended() {
                other.wait().ok();
                assert_eq!(
                    (sandbox.digest(), sandbox.cycle()),
                    (expected.clone(), cycles),
                    "stopped after {moment} ms"
                );
                taken_over += 1;
                // It finds its attempt over and, beginning again, everything published.
                sleeper.resume();
                sleeper.wait().ok();
            } else {
                println!("stopped after {moment} ms, it held a lock");
                sleeper.resume();
                one_is_done_and_none_refused_but_by_name(&[other.wait(), sleeper.wait()]);
            }
        }
        assert_eq!((sandbox.digest(), sandbox.cycle()), (expected.clone(), cycles), "stopped after {moment} ms");
        for seen in readers.stop() {
            assert_eq!(seen["cycles"].as_array().unwrap().last().unwrap(), cycles, "{seen}");
        }
    }
}

/// Of two runs that are both awake, either may be told to wait for the other.
#[track_caller]
fn one_is_done_and_none_refused_but_by_name(outputs: &[Output]) {
    let is_refused_by_name = |output: &Output| output.code == Some(1) && output.stderr.contains("is at work");
    assert!(outputs.iter().any(|output| output.code == Some(0)), "{outputs:?}");
    assert!(outputs.iter().all(|output| output.code == Some(0) || is_refused_by_name(output)), "{outputs:?}");
}

#[test]
fn a_run_that_dies_inside_a_step_costs_the_next_one_that_step_and_no_more() {
    let undisturbed = Sandbox::retail();
    let sandbox = Sandbox::retail();
    for day in ["2025-08-01", "2025-08-02"] {
        undisturbed.day(day);
    }
    sandbox.day("2025-08-01");
    let dying = sandbox.start(&["run", "daily", "--partition", "2025-08-02"]);
    sandbox.wait_for("the last layer", |home| {
        building(home).is_some_and(|attempt| {
            let step = &attempt["steps"]["transform.mart"];
            step.is_object() && step["outcome"].is_null()
        })
    });
    let before = building(&sandbox.home()).unwrap();
    dying.kill();
    assert_eq!(sandbox.day("2025-08-02")["outcome"], "published");
    assert_eq!((sandbox.digest(), sandbox.cycle()), (undisturbed.digest(), 2));

    let live = sandbox.status()["record"]["live"]["slot"]["attempt"].as_str().unwrap().to_owned();
    let after: Value =
        serde_json::from_slice(&std::fs::read(sandbox.home().join(format!("bucket/attempts/{live}.json"))).unwrap())
            .unwrap();
    assert_eq!(after["continues"], before["slot"]);
    for layer in ["clean", "snapshots", "staging", "prep"] {
        let step = format!("transform.{layer}");
        assert_eq!(after["steps"][&step], before["steps"][&step], "{layer} was done again");
    }
    assert_ne!(after["steps"]["transform.mart"]["holder"], before["steps"]["transform.mart"]["holder"]);
}

#[test]
fn a_process_that_slept_through_a_takeover_changes_nothing() {
    let sandbox = Sandbox::retail();
    sandbox.day("2025-08-01");
    let sleeper = sandbox.start(&["run", "daily", "--partition", "2025-08-02"]);
    sandbox.wait_for("a transform", |home| {
        building(home).is_some_and(|attempt| {
            let steps = attempt["steps"].as_object().unwrap();
            steps.iter().any(|(name, step)| name.starts_with("transform") && step["outcome"].is_null())
        })
    });
    sleeper.pause();
    let taken_over = sandbox.day("2025-08-02");
    assert_eq!(taken_over["outcome"], "published", "{taken_over}");
    let (digest, cycle) = (sandbox.digest(), sandbox.cycle());
    sleeper.resume();
    let woken = sleeper.wait();
    // It finds its attempt over and, beginning again, everything published.
    assert_eq!(woken.code, Some(0), "{}", woken.stderr);
    assert_eq!((sandbox.digest(), sandbox.cycle()), (digest, cycle));
}

#[test]
fn of_two_runs_at_once_one_works_and_the_other_waits_or_is_refused_by_name() {
    let sandbox = Sandbox::retail();
    let runs: Vec<_> =
        ["2025-08-01", "2025-08-01"].iter().map(|day| sandbox.start(&["run", "daily", "--partition", day])).collect();
    let ended: Vec<_> = runs.into_iter().map(end_to_end::Running::wait).collect();
    one_is_done_and_none_refused_but_by_name(&ended);
    assert_eq!(sandbox.cycle(), 1);
    let alone = Sandbox::retail();
    alone.day("2025-08-01");
    assert_eq!(sandbox.digest(), alone.digest());
}

#[test]
fn a_rollback_while_a_run_is_at_work_lets_it_begin_again_without_what_was_rolled_back() {
    let days = ["2025-08-01", "2025-08-02", "2025-08-03"];
    let undisturbed = Sandbox::retail();
    undisturbed.run(&["backfill", "--from", days[0], "--to", days[2]]).ok();

    let sandbox = Sandbox::retail();
    sandbox.run(&["backfill", "--from", days[0], "--to", days[1]]).ok();
    let running = sandbox.start(&["run", "daily", "--partition", days[2]]);
    sandbox.wait_for("an attempt at work", |home| building(home).is_some_and(|attempt| attempt["steps"] != json!({})));
    sandbox.run(&["rollback", "--cycle", "2", "--reason", "a test"]).ok();
    running.wait().ok();
    let status = sandbox.status();
    assert_eq!(status["record"]["cycle"], 4, "the rollback is the third cycle: {status}");
    assert_eq!(status["record"]["live"]["held"], json!([days[1]]));
    sandbox.run(&["release", days[1]]).ok();
    assert_eq!(sandbox.day(days[1])["outcome"], "published");
    assert_eq!(sandbox.digest(), undisturbed.digest());
}

#[test]
fn readers_see_no_error_while_others_clean_up_hold_release_and_publish() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_shop(folder.path());
    let late = "insert into orders values (100, 'later', 5, timestamp '2025-01-04'), (101, 'last', 6, timestamp '2025-01-05');";
    let orders = format!("{ORDERS}{late}");
    let correction = "update orders set amount = amount + 1 where order_id = 1";
    let backfill = ["backfill", "--from", "2025-01-01", "--to", "2025-01-05"];
    let alone = Sandbox::of(&config);
    change_orders(&alone, &orders);
    change_orders(&alone, correction);
    alone.run(&backfill).ok();

    let sandbox = Sandbox::of(&config);
    change_orders(&sandbox, &orders);
    sandbox.day("2025-01-01");
    change_orders(&sandbox, correction);
    for day in ["2025-01-01", "2025-01-02", "2025-01-03"] {
        sandbox.day(day);
    }
    // Old enough that there is something to drop: what the first two cycles were.
    make_older(&sandbox.home().join("bucket"), Duration::from_hours(48));
    let readers = Readers::start(&sandbox, 3);
    let mut running = sandbox.start(&backfill);
    let mut dropped = 0;
    while !running.has_ended() {
        let report = sandbox.run(&["cleanup", "--json"]).ok().json();
        dropped += report["items"].as_array().unwrap().len();
        sandbox.run(&["hold", "2025-01-02"]).ok();
        sandbox.run(&["release", "2025-01-02"]).ok();
    }
    running.wait().ok();
    assert!(dropped > 2, "{dropped} things were dropped");
    for seen in readers.stop() {
        assert_eq!(seen["cycles"].as_array().unwrap().last().unwrap(), sandbox.cycle(), "{seen}");
    }
    assert_eq!(sandbox.digest(), alone.digest());
    assert_eq!(sandbox.run(&["doctor", "--json"]).ok().json()["findings"], json!([]));
}
