//! Processes that are killed, stopped, and run at once.

use std::time::Duration;

use end_to_end::{Random, Sandbox, building, is_full};

#[test]
fn a_backfill_killed_at_random_moments_ends_as_the_undisturbed_one() {
    let undisturbed = Sandbox::retail();
    let (kills, last) = if is_full() { (50, "2025-08-10") } else { (8, "2025-08-04") };
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
    assert!(ended.iter().any(|output| output.code == Some(0)), "{ended:?}");
    for output in &ended {
        let is_refused_by_name = output.code == Some(1) && output.stderr.contains("is at work");
        assert!(output.code == Some(0) || is_refused_by_name, "{output:?}");
    }
    assert_eq!(sandbox.cycle(), 1);
    let alone = Sandbox::retail();
    alone.day("2025-08-01");
    assert_eq!(sandbox.digest(), alone.digest());
}
