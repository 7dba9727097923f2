//! Processes that are killed, stopped, and run at once.

use std::time::{Duration, Instant};

use end_to_end::{Random, Readers, Sandbox, building, is_full};

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
fn a_backfill_stopped_at_random_moments_and_taken_over_changes_nothing_when_it_goes_on() {
    let (moments, last) = if is_full() { (50, "2025-08-03") } else { (4, "2025-08-02") };
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
            let mut other = sandbox.start(&backfill);
            let patience = Instant::now() + Duration::from_mins(1);
            while !other.has_ended() && Instant::now() < patience {
                std::thread::sleep(Duration::from_millis(20));
            }
            // Who sleeps with a lock of the machine in hand, such as that on the source's file, lets nobody by.
            if other.has_ended() {
                other.wait().ok();
                assert_eq!(
                    (sandbox.digest(), sandbox.cycle()),
                    (expected.clone(), cycles),
                    "stopped after {moment} ms"
                );
                taken_over += 1;
                sleeper.resume();
            } else {
                println!("stopped after {moment} ms, it held a lock");
                sleeper.resume();
                other.wait().ok();
            }
            // It finds its attempt over and, beginning again, everything published.
            sleeper.wait().ok();
        }
        assert_eq!((sandbox.digest(), sandbox.cycle()), (expected.clone(), cycles), "stopped after {moment} ms");
        for seen in readers.stop() {
            assert_eq!(seen["cycles"].as_array().unwrap().last().unwrap(), cycles, "{seen}");
        }
    }
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
