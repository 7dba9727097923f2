//! Many who ask at once: each thing is done once, and everybody is told the same, or who does it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use end_to_end::shop::{ORDERS, change_orders, write_shop};
use end_to_end::{CROWD, Sandbox, Up, building, make_older, record};
use serde_json::{Value, json};

const DAYS: [&str; 2] = ["2025-01-01", "2025-01-02"];

fn shop(folder: &Path) -> Sandbox {
    let sandbox = Sandbox::of(&write_shop(folder));
    change_orders(&sandbox, ORDERS);
    sandbox
}

fn documents(folder: &Path) -> Vec<Value> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(documents(&path));
        } else if path.extension().is_some_and(|end| end == "json") {
            found.push(serde_json::from_slice(&fs::read(path).unwrap()).unwrap());
        }
    }
    found
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// How many answers have each status and code. A failure of the service is none of them.
#[track_caller]
fn count(answers: &[(u16, Value)]) -> BTreeMap<(u16, String), usize> {
    let mut counted = BTreeMap::new();
    for (status, answer) in answers {
        assert!((200..500).contains(status), "{status}: {answer}");
        *counted.entry((*status, answer["code"].as_str().unwrap_or_default().to_owned())).or_default() += 1;
    }
    counted
}

fn counted<const N: usize>(expected: [(u16, &str, usize); N]) -> BTreeMap<(u16, String), usize> {
    expected.into_iter().map(|(status, code, count)| ((status, code.to_owned()), count)).collect()
}

/// Keeps the heartbeat of the attempt that may commit, as a process does that is at work on it, while `work` runs.
fn while_at_work<T>(sandbox: &Sandbox, work: impl FnOnce() -> T) -> T {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let id =
                    building(&sandbox.home()).and_then(|found| found["slot"]["attempt"].as_str().map(str::to_owned));
                let lease = id.map(|id| sandbox.home().join(format!("bucket/attempts/{id}/lease")));
                if let Some(file) = lease.and_then(|lease| File::options().write(true).open(lease).ok()) {
                    file.set_modified(SystemTime::now()).unwrap();
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let answer = work();
        is_over.store(true, Ordering::Relaxed);
        answer
    })
}

/// One day of the shop, each request of it by a crowd.
fn cycle(sandbox: &Sandbox, up: &Up, day: &str) {
    let home = sandbox.home();
    let extracted = up.crowd("/extract", &json!({"items": [{"table": "orders", "partition": day}]}));
    let uploads = home.join(format!("bucket/lake/orders/{day}"));
    assert_eq!(
        fs::read_dir(uploads).unwrap().filter(|upload| !files(&upload.as_ref().unwrap().path()).is_empty()).count(),
        1
    );
    assert_eq!(documents(&home.join(format!("bucket/manifests/orders/{day}"))).len(), 1);

    let digest = &extracted["manifests"][0]["digest"];
    let load = ("/load", json!({"items": [{"table": "orders", "partition": day, "digest": digest}]}));
    let mut loaded = up.at_once(&vec![load; CROWD]);
    assert_eq!(loaded.iter().filter(|(_, answer)| answer["loaded"][0]["changed"] == true).count(), 1, "{loaded:#?}");
    for (_, answer) in &mut loaded {
        // Whoever came later found it there.
        answer["loaded"][0].as_object_mut().unwrap().remove("changed");
    }
    assert!(loaded.iter().all(|answer| answer.0 == 200 && answer.1 == loaded[0].1), "{loaded:#?}");

    let run = json!({"run": format!("run-of-{day}")});
    let begun = up.crowd("/begin", &run);
    assert_eq!(begun["outcome"], "begun");
    let going_on = documents(&home.join("bucket/attempts")).iter().filter(|attempt| attempt["ended"].is_null()).count();
    assert_eq!(going_on, 1);
    let others: Vec<_> = (0..CROWD).map(|number| ("/begin", json!({"run": format!("other-{number}")}))).collect();
    let refused = while_at_work(sandbox, || up.at_once(&others));
    assert_eq!(count(&refused), counted([(409, "held", CROWD)]));
    assert!(refused.iter().all(|(_, answer)| answer["detail"].as_str().unwrap().contains(&format!("run-of-{day}"))));
    // Nobody is at work: one of them goes on with it.
    std::thread::sleep(Duration::from_millis(1100));
    let resumed = up.at_once(&others[..8]);
    let went_on: Vec<_> = resumed.iter().filter(|(status, _)| *status == 200).collect();
    assert!(went_on.iter().all(|(_, answer)| answer["outcome"] == "resumed" && answer["attempt"] == begun["attempt"]));
    // The lease is short, so that it may have run out once or twice more while the rest waited for the first.
    assert!((1..=3).contains(&went_on.len()), "{resumed:#?}");

    let attempt = json!({"attempt": begun["attempt"]});
    // In no order at all: what is too early is refused, and nothing of it is done.
    let layer = json!({"attempt": begun["attempt"], "layer": "mart"});
    let early = [("/transform", layer.clone()), ("/audit", attempt.clone()), ("/publish", attempt.clone())];
    let too_early = up.at_once(&[&early[..], &early[..]].concat());
    assert_eq!(count(&too_early), counted([(409, "too_early", 4), (422, "rejected", 2)]));
    let mixed: Vec<_> = early.iter().cloned().chain([("/prepare", attempt.clone())]).cycle().take(CROWD).collect();
    let answers = up.at_once(&mixed);
    count(&answers);
    assert!(answers.iter().skip(3).step_by(4).all(|(status, _)| *status == 200), "{answers:#?}");

    for (path, body) in [("/prepare", &attempt), ("/transform", &layer), ("/audit", &attempt), ("/publish", &attempt)] {
        up.crowd(path, body);
    }
    let found: Value = serde_json::from_slice(
        &fs::read(home.join(format!("bucket/attempts/{}.json", begun["attempt"].as_str().unwrap()))).unwrap(),
    )
    .unwrap();
    assert_eq!(
        found["steps"].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["audit", "prepare", "publish", "transform.mart"]
    );
    up.crowd("/publish", &json!({"cycle": begun["cycle"]}));
    close(sandbox, up, &begun["attempt"], day);
}

/// The end of a run, told in one way by a crowd and in two ways by another.
fn close(sandbox: &Sandbox, up: &Up, attempt: &Value, day: &str) {
    let finish = |run: &str, outcome: &str| {
        let body = json!({"run": run, "attempt": attempt, "outcome": outcome, "reason": null, "partition": day});
        ("/finish", body)
    };
    up.crowd("/finish", &finish(&format!("run-of-{day}"), "published").1);
    let run = format!("other-of-{day}");
    let both: Vec<_> = ["failed", "stopped"].iter().cycle().take(CROWD).map(|outcome| finish(&run, outcome)).collect();
    let answers = up.at_once(&both);
    assert_eq!(count(&answers), counted([(200, "", CROWD / 2), (409, "closed", CROWD / 2)]));
    let stored: Value =
        serde_json::from_slice(&fs::read(sandbox.home().join(format!("bucket/runs/{run}.json"))).unwrap()).unwrap();
    assert!(answers.iter().all(|(status, answer)| *status != 200 || *answer == stored), "{answers:#?}");
}

#[test]
fn every_step_that_a_crowd_asks_for_is_done_once() {
    let folder = tempfile::tempdir().unwrap();
    let alone = shop(folder.path());
    let sandbox = shop(folder.path());
    let up = Up::start(&sandbox);
    for day in DAYS {
        cycle(&sandbox, &up, day);
        alone.day(day);
    }
    assert_eq!(sandbox.digest(), alone.digest());
    assert_eq!(sandbox.cycle(), 2);
    let told = documents(&sandbox.home().join("bucket/events"));
    let kinds = |kind: &str| told.iter().filter(|event| event.to_string().contains(kind)).count();
    assert_eq!((kinds("partition.extracted.v1"), kinds("partition.loaded.v1"), kinds("cycle.published.v1")), (2, 2, 2));
    assert_eq!(sandbox.run(&["doctor", "--json"]).ok().json()["findings"], json!([]));
}

#[test]
fn a_crowd_that_changes_the_record_leaves_what_one_of_it_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = shop(folder.path());
    for day in DAYS {
        sandbox.day(day);
    }
    let (digest, cycle) = (sandbox.digest(), sandbox.cycle());
    let up = Up::start(&sandbox);
    let held = || record(&sandbox.home()).unwrap()["held"].clone();
    let release = ("/release", json!({"partition": DAYS[1]}));

    up.crowd("/hold", &json!({"partition": DAYS[1], "reason": "one"}));
    let first = held();
    let others = (0..CROWD).map(|number| ("/hold", json!({"partition": DAYS[1], "reason": number.to_string()})));
    assert_eq!(count(&up.at_once(&others.collect::<Vec<_>>())), counted([(200, "", CROWD)]));
    assert_eq!(held(), first, "the first reason stays");
    assert_eq!(
        count(&up.at_once(&vec![release.clone(); CROWD])),
        counted([(200, "", 1), (404, "not_found", CROWD - 1)])
    );
    let hold = ("/hold", json!({"partition": DAYS[1], "reason": "both"}));
    let both: Vec<_> = [hold, release].iter().cloned().cycle().take(CROWD).collect();
    let answers = up.at_once(&both);
    assert!(answers.iter().step_by(2).all(|(status, _)| *status == 200), "{answers:#?}");
    count(&answers);
    assert!(held() == json!({}) || held()[DAYS[1]]["reason"] == "both", "{}", held());
    sandbox.run(&["release", DAYS[1]]);

    let model = folder.path().join("dbt/models/mart/sales_per_day.sql");
    let text = fs::read_to_string(&model).unwrap();
    fs::remove_file(&model).unwrap();
    up.crowd("/retire", &json!({"view": "sales_per_day"}));
    let views: Vec<_> = ["sales_per_day", "sales", "nothing"]
        .iter()
        .cycle()
        .take(30)
        .map(|view| ("/retire", json!({"view": view})))
        .collect();
    let answers = up.at_once(&views);
    assert_eq!(count(&answers), counted([(200, "", 10), (404, "not_found", 10), (422, "still_published", 10)]));
    assert_eq!(record(&sandbox.home()).unwrap()["retired"], json!(["sales_per_day"]));
    fs::write(&model, text).unwrap();
    assert_eq!((sandbox.digest(), sandbox.cycle()), (digest, cycle));
}

#[test]
fn a_crowd_that_mends_and_cleans_up_does_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = shop(folder.path());
    sandbox.day(DAYS[0]);
    change_orders(&sandbox, "update orders set amount = amount + 1 where order_id = 1");
    for day in [DAYS[0], DAYS[1], "2025-01-03"] {
        sandbox.day(day);
    }
    let digest = sandbox.digest();
    let up = Up::start(&sandbox);

    // Readers are shown the slot before, as if its publisher had been late.
    let published = sandbox.published();
    let live = fs::read_link(&published).unwrap();
    let kept = &record(&sandbox.home()).unwrap()["kept"]["live"]["slot"];
    let text = |name: &str| kept[name].as_str().map_or_else(|| kept[name].to_string(), str::to_owned);
    fs::remove_file(&published).unwrap();
    std::os::unix::fs::symlink(
        format!("slot_{}_{}_{}.duckdb", text("color"), text("cycle"), text("attempt")),
        &published,
    )
    .unwrap();
    let reports = up.at_once(&vec![("/doctor", json!({})); CROWD]);
    assert!(reports.iter().all(|(status, report)| *status == 200 && report["healthy"] == true), "{reports:#?}");
    assert_eq!(fs::read_link(&published).unwrap(), live);

    make_older(&sandbox.home().join("bucket"), Duration::from_hours(48));
    let would = up.crowd("/cleanup", &json!({"dry_run": true}));
    let names = |report: &Value, outcome: &str| -> BTreeSet<String> {
        let items = report["items"].as_array().unwrap().iter().filter(|item| item["outcome"] == outcome);
        items.map(|item| format!("{} {}", item["kind"], item["name"])).collect()
    };
    let cleanups: Vec<_> =
        [false, true].iter().cycle().take(CROWD).map(|dry_run| ("/cleanup", json!({"dry_run": dry_run}))).collect();
    let answers = up.at_once(&cleanups);
    assert_eq!(count(&answers), counted([(200, "", CROWD)]));
    let dropped: BTreeSet<String> = answers.iter().flat_map(|(_, report)| names(report, "dropped")).collect();
    let wanted = names(&would, "would_drop");
    assert!(dropped.is_superset(&wanted) && wanted.len() > 2, "{dropped:?}");
    // Who comes between two drops of another finds what a crash there would leave: objects without their manifest.
    assert!(dropped.difference(&wanted).all(|name| name.starts_with("\"upload\"")), "{dropped:?}");
    assert_eq!(up.post("/cleanup", &json!({})).1["items"], json!([]));
    assert_eq!(sandbox.digest(), digest);
    assert_eq!(sandbox.run(&["doctor", "--json"]).ok().json()["findings"], json!([]));

    // DuckDB has no time travel, and says so to everybody.
    let at = record(&sandbox.home()).unwrap()["live"]["published_at"].clone();
    let restore = ("/restore", json!({"view": "sales", "at": at, "into": "copies"}));
    assert_eq!(count(&up.at_once(&vec![restore; CROWD])), counted([(422, "rejected", CROWD)]));
}

#[test]
fn a_source_that_a_crowd_writes_and_reads_is_never_half_of_two_contents() {
    let sandbox = Sandbox::retail();
    let up = Up::start(&sandbox);
    let generate = |corrupt: Option<&str>| ("/generate", json!({"partition": "2025-08-01", "corrupt": corrupt}));
    let extract = || ("/extract", json!({"items": [{"table": "transaction_lines", "partition": "2025-08-01"}]}));
    let digest = |answer: &Value| answer["manifests"][0]["digest"].as_str().unwrap().to_owned();
    let kinds = [None, Some("negative_price"), Some("orphan_line")];
    let mut contents = Vec::new();
    for kind in kinds {
        let (path, body) = generate(kind);
        assert_eq!(up.post(path, &body).0, 200);
        contents.push(digest(&up.post(extract().0, &extract().1).1));
    }
    assert_eq!(contents.iter().collect::<BTreeSet<_>>().len(), kinds.len());

    let (path, body) = generate(None);
    up.crowd(path, &body);
    assert_eq!(digest(&up.post(extract().0, &extract().1).1), contents[0]);
    let both: Vec<_> = kinds.iter().flat_map(|kind| [generate(*kind), extract()]).cycle().take(CROWD).collect();
    let answers = up.at_once(&both);
    count(&answers);
    for (status, answer) in answers.iter().skip(1).step_by(2) {
        // A source that was changed while it was read is a conflict, and nothing of it is kept.
        assert!(*status == 409 || contents.contains(&digest(answer)), "{status}: {answer}");
    }
    assert!(contents.contains(&digest(&up.post(extract().0, &extract().1).1)));
}
