//! Cleanup drops what nothing names any more once its time is over, says so before, and touches nothing else.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use end_to_end::shop::{ORDERS, change_orders, write_shop};
use end_to_end::{Sandbox, make_older, record};
use serde_json::{Value, json};

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// Makes everything in the bucket two days older.
fn age(folder: &Path) {
    make_older(folder, Duration::from_hours(48));
}

fn items(report: &Value) -> Vec<(&str, &str, &str)> {
    report["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["kind"].as_str().unwrap(), item["name"].as_str().unwrap(), item["outcome"].as_str().unwrap()))
        .collect()
}

fn slot(value: &Value) -> String {
    let text = |name: &str| value[name].as_str().map_or_else(|| value[name].to_string(), str::to_owned);
    format!("{}_{}_{}", text("color"), text("cycle"), text("attempt"))
}

fn slots(sandbox: &Sandbox) -> BTreeSet<String> {
    let name = |path: PathBuf| {
        let name = path.file_name()?.to_str()?.strip_prefix("slot_")?.strip_suffix(".duckdb")?.to_owned();
        Some(name)
    };
    files(&sandbox.home().join("warehouse")).into_iter().filter_map(name).collect()
}

/// Four cycles, of which the first has a content of its day that none has after it, and a fifth that waits.
fn five_cycles(folder: &Path) -> Sandbox {
    let sandbox = Sandbox::of(&write_shop(folder));
    change_orders(&sandbox, ORDERS);
    sandbox.day("2025-01-01");
    change_orders(&sandbox, "update orders set amount = amount + 1 where order_id = 1");
    for day in ["2025-01-01", "2025-01-02", "2025-01-03"] {
        assert_eq!(sandbox.day(day)["outcome"], "published");
    }
    change_orders(&sandbox, "insert into orders values (100, 'late', 5, timestamp '2025-01-04')");
    sandbox.run(&["run", "daily", "--partition", "2025-01-04", "--until", "audit"]).ok();
    sandbox
}

#[test]
fn what_nothing_names_goes_when_its_time_is_over_and_nothing_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = five_cycles(folder.path());
    let bucket = sandbox.home().join("bucket");
    let digest = sandbox.digest();

    // Everything is young.
    let nothing = sandbox.run(&["cleanup", "--json"]).ok().json();
    assert_eq!((&nothing["items"], &nothing["bytes"]), (&json!([]), &json!(0)));
    assert_eq!(slots(&sandbox).len(), 5);

    let record_before = record(&sandbox.home()).unwrap();
    let [live, kept, building] = [
        slot(&record_before["live"]["slot"]),
        slot(&record_before["kept"]["live"]["slot"]),
        slot(&record_before["building"]["slot"]),
    ];
    let others: BTreeSet<String> =
        slots(&sandbox).into_iter().filter(|name| ![&live, &kept, &building].contains(&name)).collect();
    assert_eq!(others.len(), 2);
    let first_day: BTreeSet<PathBuf> = files(&bucket.join("manifests/orders/2025-01-01")).into_iter().collect();
    assert_eq!(first_day.len(), 2);

    // What died: an upload without a manifest, and what extract had spilt. What is at work: the same, young.
    for (upload, is_old) in [("0123456789abcdef", true), ("fedcba9876543210", false)] {
        let part = bucket.join(format!("lake/orders/2025-01-01/{upload}/part-0.parquet"));
        let spill = sandbox.home().join(format!("tmp/extract-{upload}/spilt"));
        for path in [part, spill] {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "rows").unwrap();
            if is_old {
                let time = SystemTime::now() - Duration::from_hours(25);
                File::open(&path).unwrap().set_modified(time).unwrap();
                File::open(path.parent().unwrap()).unwrap().set_modified(time).unwrap();
            }
        }
    }
    for part in ["attempts", "manifests", "inputs", "publications"] {
        age(&bucket.join(part));
    }

    // The kept slot's time is not over: it stays.
    let report = sandbox.run(&["cleanup", "--dry-run", "--json"]).ok().json();
    let planned = items(&report);
    assert!(!planned.iter().any(|(kind, ..)| *kind == "kept_slot"), "{planned:?}");
    let mut over = record_before.clone();
    over["kept"]["until"] = "2025-01-01T00:00:00Z".into();
    fs::write(bucket.join("state/deployment.json"), over.to_string()).unwrap();

    let before = files(&sandbox.home());
    let report = sandbox.run(&["cleanup", "--dry-run", "--json"]).ok().json();
    assert_eq!(files(&sandbox.home()), before, "a dry run dropped something");
    let planned = items(&report);
    let named = |kind: &str| -> BTreeSet<String> {
        planned.iter().filter(|item| item.0 == kind).map(|item| item.1.to_owned()).collect()
    };
    assert_eq!(named("kept_slot"), BTreeSet::from([kept.clone()]));
    assert_eq!(named("slot"), others);
    assert_eq!(named("upload"), BTreeSet::from(["lake/orders/2025-01-01/0123456789abcdef".to_owned()]));
    assert_eq!(named("version").len(), 1);
    assert_eq!(named("temporary").len(), 1);
    assert!(planned.iter().all(|(.., outcome)| *outcome == "would_drop"), "{planned:?}");
    for item in report["items"].as_array().unwrap() {
        assert!(item["bytes"].as_u64().unwrap() > 0 && item["reason"].as_str().unwrap().len() > 5, "{item}");
    }

    let report = sandbox.run(&["cleanup", "--json"]).ok().json();
    let dropped = items(&report);
    assert_eq!(dropped.len(), planned.len());
    assert!(dropped.iter().all(|(.., outcome)| *outcome == "dropped"), "{dropped:?}");
    assert_eq!(slots(&sandbox), BTreeSet::from([live, building]));
    assert_eq!(record(&sandbox.home()).unwrap()["kept"], Value::Null);
    let left: BTreeSet<PathBuf> = files(&bucket.join("manifests/orders/2025-01-01")).into_iter().collect();
    assert_eq!(left.len(), 1);
    let uploads = fs::read_dir(bucket.join("lake/orders/2025-01-01")).unwrap();
    let with_objects = uploads.filter(|entry| !files(&entry.as_ref().unwrap().path()).is_empty()).count();
    assert_eq!(with_objects, 2, "the content that is live, and the upload that is at work");
    assert!(sandbox.home().join("tmp/extract-fedcba9876543210/spilt").exists());
    assert_eq!(sandbox.digest(), digest);

    // Again, it finds nothing; nobody misses what went; and what waits can be published.
    assert_eq!(sandbox.run(&["cleanup", "--json"]).ok().json()["items"], json!([]));
    sandbox.run(&["doctor", "--deep"]).ok();
    sandbox.run(&["publish", "5"]).ok();
    change_orders(&sandbox, "update orders set amount = amount - 1 where order_id = 1");
    assert_eq!(sandbox.day("2025-01-01")["outcome"], "published");
    sandbox.run(&["doctor", "--deep"]).ok();
}

#[test]
fn without_the_inputs_of_a_slot_nothing_of_the_lake_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = five_cycles(folder.path());
    let bucket = sandbox.home().join("bucket");
    age(&bucket);
    let live = record(&sandbox.home()).unwrap()["live"]["slot"]["attempt"].as_str().unwrap().to_owned();
    fs::remove_file(bucket.join(format!("inputs/{live}.json"))).unwrap();
    let before = files(&sandbox.home());
    sandbox.run(&["cleanup"]).refused(&format!("inputs/{live}.json"));
    assert_eq!(files(&sandbox.home()), before);
}
