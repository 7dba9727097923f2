//! The doctor finds every inconsistency that is planted, explains it, mends it if it says that it can, and changes nothing
//! if it says that it can't.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use end_to_end::shop::{ORDERS, change_orders, copy_home, write_shop};
use end_to_end::{Sandbox, record, replaced};
use serde_json::{Value, json};

/// A home that is being spoilt.
struct Home {
    path: PathBuf,
    /// The folder of the dbt project; a copy of its own where the case changes it.
    project: PathBuf,
    live: String,
    kept: String,
    building: String,
}

impl Home {
    fn new(path: PathBuf, project: PathBuf) -> Self {
        let record = record(&path).unwrap();
        let attempt = |slot: &Value| slot["attempt"].as_str().unwrap().to_owned();
        Self {
            live: attempt(&record["live"]["slot"]),
            kept: attempt(&record["kept"]["live"]["slot"]),
            building: attempt(&record["building"]["slot"]),
            path,
            project,
        }
    }

    fn object(&self, key: &str) -> PathBuf {
        self.path.join("bucket").join(key)
    }

    fn edit(&self, key: &str, change: impl FnOnce(&mut Value)) {
        let path = self.object(key);
        let mut value: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        change(&mut value);
        fs::write(path, value.to_string()).unwrap();
    }

    fn spoil(&self, key: &str) {
        fs::write(self.object(key), "{\"half\":").unwrap();
    }

    fn delete(&self, key: &str) {
        fs::remove_file(self.object(key)).unwrap();
    }

    fn slot(&self, attempt: &str) -> PathBuf {
        let is_it = |path: &PathBuf| path.to_string_lossy().ends_with(&format!("_{attempt}.duckdb"));
        files(&self.path.join("warehouse")).into_iter().find(is_it).unwrap()
    }

    /// Appends a byte to a sealed file.
    fn change_slot(&self, attempt: &str) {
        let path = self.slot(attempt);
        let mut content = fs::read(&path).unwrap();
        content.push(0);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    }

    fn manifest(&self, day: &str) -> String {
        let file = files(&self.object(&format!("manifests/orders/{day}"))).remove(0);
        format!("manifests/orders/{day}/{}", file.file_name().unwrap().to_string_lossy())
    }

    fn part(&self, day: &str) -> PathBuf {
        let upload = fs::read_dir(self.object(&format!("lake/orders/{day}"))).unwrap().next().unwrap().unwrap();
        files(&upload.path()).remove(0)
    }

    fn raw(&self, day: &str) -> PathBuf {
        self.path.join(format!("warehouse/raw/orders/{day}.json"))
    }
}

/// Files of a folder, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn age(path: &Path, hours: u64) {
    let time = SystemTime::now() - Duration::from_hours(hours);
    File::open(path).unwrap().set_modified(time).unwrap();
}

const DAY: &str = "2025-01-01";
const NEXT: &str = "2025-01-02";
const LEDGER: &str = "ledger/orders/2025-01-01.json";

struct Case {
    /// What the doctor calls it.
    code: &'static str,
    mendable: bool,
    plant: fn(&Home),
}

fn case(code: &'static str, plant: fn(&Home)) -> Case {
    Case { code, mendable: false, plant }
}

fn mendable(code: &'static str, plant: fn(&Home)) -> Case {
    Case { code, mendable: true, plant }
}

const RECORD: &str = "state/deployment.json";

fn attempt(id: &str) -> String {
    format!("attempts/{id}.json")
}

fn cases() -> Vec<Case> {
    let mut cases = record_and_attempts();
    cases.extend(live_and_kept());
    cases.extend(lake_and_raw());
    cases
}

fn record_and_attempts() -> Vec<Case> {
    vec![
        case("record_unreadable", |home| home.spoil(RECORD)),
        case("record_version", |home| home.edit(RECORD, |record| record["version"] = 99.into())),
        case("record_missing", |home| home.delete(RECORD)),
        mendable("building_attempt_missing", |home| {
            home.delete(&attempt(&home.building));
            fs::remove_file(home.slot(&home.building)).unwrap();
        }),
        mendable("building_attempt_ended", |home| {
            home.edit(&attempt(&home.building), |attempt| {
                attempt["ended"] = json!({"reason": "failed", "detail": "x", "at": "2025-01-01T00:00:00Z"});
            });
        }),
        mendable("building_attempt_expired", |home| {
            home.edit(&attempt(&home.building), |attempt| {
                let claim = json!({"holder": "elsewhere/1/1", "claimed_at": "2025-01-01T00:00:00Z",
                    "outcome": null, "finished_at": null});
                attempt["steps"]["publish"] = claim;
            });
        }),
        mendable("building_inputs_differ", |home| {
            home.edit(&format!("inputs/{}.json", home.building), |inputs| {
                inputs["partitions"]["orders"].as_object_mut().unwrap().remove(DAY);
            });
        }),
        mendable("attempt_not_ended", |home| home.edit(RECORD, |record| record["building"] = Value::Null)),
        case("attempt_unreadable", |home| home.spoil(&attempt(&home.kept))),
        case("attempt_unreadable", |home| {
            fs::copy(home.object(&attempt(&home.live)), home.object(&attempt(&home.kept))).unwrap();
        }),
        mendable("lease_stale", |home| {
            let lease = home.object(&format!("attempts/{}/lease", home.live));
            fs::create_dir_all(lease.parent().unwrap()).unwrap();
            fs::write(&lease, "{\"holder\": \"elsewhere/1/1\"}").unwrap();
            age(&lease, 1);
        }),
        case("hold_unknown", |home| {
            home.edit(RECORD, |record| {
                record["held"] = json!({"2025-03-03": {"reason": "x", "since": "2025-01-01T00:00:00Z"}});
            });
        }),
    ]
}

fn live_and_kept() -> Vec<Case> {
    vec![
        case("live_attempt_missing", |home| home.delete(&attempt(&home.live))),
        case("live_not_audited", |home| {
            home.edit(&attempt(&home.live), |attempt| attempt["verdict"] = Value::Null);
        }),
        case("live_inputs_differ", |home| home.delete(&format!("inputs/{}.json", home.live))),
        case("kept_inputs_differ", |home| home.spoil(&format!("inputs/{}.json", home.kept))),
        case("publication_differs", |home| {
            home.edit(&format!("publications/{}.json", home.live), |publication| {
                publication["views"][0]["columns"].as_array_mut().unwrap().pop();
            });
        }),
        mendable("publication_unfinished", |home| {
            home.edit(&attempt(&home.live), |attempt| attempt["ended"] = Value::Null);
        }),
        mendable("receipt_missing", |home| home.delete("receipts/00000002.json")),
        mendable("receipt_unreadable", |home| home.spoil("receipts/00000002.json")),
        mendable("receipt_differs", |home| {
            fs::copy(home.object("receipts/00000001.json"), home.object("receipts/00000002.json")).unwrap();
        }),
        case("receipt_version", |home| home.edit("receipts/00000002.json", |receipt| receipt["version"] = 99.into())),
        case("old_receipt_missing", |home| home.delete("receipts/00000001.json")),
        case("old_receipt_unreadable", |home| home.spoil("receipts/00000001.json")),
        mendable("views_differ", |home| {
            let link = home.path.join("warehouse/published.duckdb");
            fs::remove_file(&link).unwrap();
            symlink(home.slot(&home.kept).file_name().unwrap(), link).unwrap();
        }),
        mendable("views_differ", |home| fs::remove_file(home.path.join("warehouse/published.duckdb")).unwrap()),
        case("views_differ", |home| {
            fs::set_permissions(home.slot(&home.live), fs::Permissions::from_mode(0o644)).unwrap();
        }),
        case("live_slot_missing", |home| fs::remove_file(home.slot(&home.live)).unwrap()),
        case("live_slot_changed", |home| home.change_slot(&home.live)),
        mendable("kept_slot_missing", |home| fs::remove_file(home.slot(&home.kept)).unwrap()),
        case("kept_slot_changed", |home| home.change_slot(&home.kept)),
        case("slot_unknown", |home| {
            fs::copy(home.slot(&home.kept), home.path.join("warehouse/slot_blue_9_0123456789.duckdb")).unwrap();
        }),
        case("view_without_model", |home| {
            let mart = home.project.join("models/mart");
            fs::remove_file(mart.join("sales_per_day.sql")).unwrap();
            let text = fs::read_to_string(mart.join("shop.yml")).unwrap();
            let (text, _) = text.split_once("  - name: sales_per_day").unwrap();
            fs::write(mart.join("shop.yml"), text).unwrap();
        }),
        case("project_unreadable", |home| {
            let path = home.project.join("models/mart/sales.sql");
            let text = fs::read_to_string(&path).unwrap();
            fs::write(path, replaced(&text, "'orders'", "'ordres'")).unwrap();
        }),
    ]
}

fn lake_and_raw() -> Vec<Case> {
    vec![
        case("manifest_missing", |home| home.delete(&home.manifest(DAY))),
        case("manifest_unreadable", |home| home.spoil(&home.manifest(DAY))),
        case("manifest_unreadable", |home| {
            fs::copy(home.object(&home.manifest(NEXT)), home.object(&home.manifest(DAY))).unwrap();
        }),
        case("object_missing", |home| fs::remove_file(home.part(DAY)).unwrap()),
        case("object_size", |home| {
            let part = home.part(DAY);
            let content = fs::read(&part).unwrap();
            fs::write(&part, &content[..content.len() / 2]).unwrap();
        }),
        case("object_damaged", |home| {
            let part = home.part(DAY);
            let mut content = fs::read(&part).unwrap();
            let middle = content.len() / 2;
            content[middle] ^= 1;
            fs::write(&part, content).unwrap();
        }),
        mendable("upload_orphaned", |home| {
            let upload = home.object("lake/orders/2025-01-01/0123456789abcdef");
            fs::create_dir_all(&upload).unwrap();
            fs::copy(home.part(NEXT), upload.join("part-0.parquet")).unwrap();
            age(&upload.join("part-0.parquet"), 25);
        }),
        mendable("temporary_left", |home| {
            let spill = home.path.join("tmp/extract-0123456789abcdef");
            fs::create_dir_all(&spill).unwrap();
            fs::write(spill.join("spilt"), "rows").unwrap();
            age(&spill.join("spilt"), 25);
            age(&spill, 25);
        }),
        mendable("temporary_left", |home| {
            let partial = home.path.join("warehouse/slot_blue_9_0123456789.partial");
            fs::write(&partial, "half").unwrap();
            age(&partial, 25);
        }),
        mendable("ledger_missing", |home| home.delete(LEDGER)),
        mendable("ledger_unreadable", |home| home.spoil(LEDGER)),
        mendable("ledger_unreadable", |home| {
            fs::copy(home.object("ledger/orders/2025-01-02.json"), home.object(LEDGER)).unwrap();
        }),
        case("ledger_unreadable", |home| {
            // Two contents, and nobody says which is loaded.
            let other = "manifests/orders/2025-01-01/0123456789abcdef0123456789abcdef.json";
            fs::copy(home.object(&home.manifest(DAY)), home.object(other)).unwrap();
            home.edit(other, |manifest| manifest["digest"] = "0123456789abcdef0123456789abcdef".into());
            fs::remove_file(home.path.join("warehouse/loaded.duckdb")).unwrap();
            home.spoil(LEDGER);
        }),
        case("ledger_version", |home| home.edit(LEDGER, |entry| entry["version"] = 99.into())),
        case("ledger_names_no_manifest", |home| {
            home.edit(LEDGER, |entry| entry["extracted"]["digest"] = "0123456789abcdef".into());
        }),
        mendable("raw_differs", |home| fs::remove_file(home.raw(DAY)).unwrap()),
        mendable("raw_differs", |home| fs::write(home.raw(DAY), "{\"half\":").unwrap()),
        mendable("raw_differs", |home| fs::remove_file(home.path.join("warehouse/loaded.duckdb")).unwrap()),
        mendable("raw_differs", |home| {
            let text = fs::read_to_string(home.raw(DAY)).unwrap();
            let mut manifest: Value = serde_json::from_str(&text).unwrap();
            manifest["load"] = "0123456789abcdef".into();
            fs::write(home.raw(DAY), manifest.to_string()).unwrap();
        }),
        mendable("raw_unrecorded", |home| home.edit(LEDGER, |entry| entry["loaded"] = Value::Null)),
        case("raw_unknown", |home| {
            let text = fs::read_to_string(home.raw(DAY)).unwrap();
            let mut manifest: Value = serde_json::from_str(&text).unwrap();
            manifest["partition"] = "2025-02-02".into();
            fs::write(home.raw("2025-02-02"), manifest.to_string()).unwrap();
        }),
    ]
}

/// Every file with its content's length and time; locks left out.
fn snapshot(folder: &Path) -> BTreeMap<PathBuf, (u64, SystemTime)> {
    let mut found = BTreeMap::new();
    for path in files(folder) {
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            found.extend(snapshot(&path));
        } else if !path.to_string_lossy().contains("lock") {
            found.insert(path, (metadata.len(), metadata.modified().unwrap()));
        }
    }
    found
}

/// Two days published, the third audited and waiting.
fn base() -> (Sandbox, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::of(&write_shop(folder.path()));
    change_orders(&sandbox, ORDERS);
    sandbox.day(DAY);
    sandbox.day(NEXT);
    sandbox.run(&["run", "daily", "--partition", "2025-01-03", "--until", "audit"]).ok();
    (sandbox, folder)
}

fn check(case: &Case, base: &Sandbox, shop: &Path, digest: &BTreeMap<String, String>) {
    let own = tempfile::tempdir().unwrap();
    let changes_project = matches!(case.code, "view_without_model" | "project_unreadable");
    let config = if changes_project { write_shop(own.path()) } else { shop.join("pipeline.yaml") };
    let sandbox = Sandbox::of(&config);
    copy_home(&base.home(), &sandbox.home());
    let home = Home::new(sandbox.home(), config.parent().unwrap().join("dbt"));
    (case.plant)(&home);

    let code = case.code;
    let deep: &[&str] = if code == "object_damaged" { &["--deep"] } else { &[] };
    let planted = snapshot(&home.path);
    let output = sandbox.run(&[&["doctor", "--json"], deep].concat());
    assert_eq!(output.code, Some(1), "{code}: {}{}", output.stdout, output.stderr);
    assert_eq!(snapshot(&home.path), planted, "{code}: looking changed something");
    let report = output.json();
    let findings = report["findings"].as_array().unwrap();
    let Some(finding) = findings.iter().find(|finding| finding["code"] == code) else {
        panic!("{code} is not among: {report:#}");
    };
    for part in ["subject", "found", "expected", "remedy"] {
        assert!(finding[part].as_str().is_some_and(|text| text.len() > 2), "{code} does not say {part}: {finding:#}");
    }
    assert_eq!(finding["mendable"], case.mendable, "{code}: {finding:#}");

    let mended = sandbox.run(&[&["doctor", "--mend", "--json"], deep].concat());
    if case.mendable {
        assert_eq!(mended.code, Some(0), "{code}: {}{}", mended.stdout, mended.stderr);
        let report = sandbox.run(&["doctor", "--deep", "--json"]).ok().json();
        assert_eq!(report["healthy"], true, "{code}: {report:#}");
        assert_eq!(&sandbox.digest(), digest, "{code}");
    } else {
        assert_eq!(mended.code, Some(1), "{code}: {}{}", mended.stdout, mended.stderr);
        if findings.iter().all(|finding| finding["mendable"] == false) {
            assert_eq!(snapshot(&home.path), planted, "{code}: something was changed");
        }
    }
}

#[test]
fn every_planted_inconsistency_is_found_and_mended_where_it_is_said_to_be() {
    let (base, shop) = base();
    let report = base.run(&["doctor", "--deep", "--json"]).ok().json();
    assert_eq!(report["findings"], json!([]), "{report:#}");
    let digest = base.digest();

    let cases = cases();
    assert!(cases.len() >= 25);
    let waiting = Mutex::new(cases.iter());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap().next();
                    let Some(case) = next else { break };
                    check(case, &base, shop.path(), &digest);
                }
            });
        }
    });
}

#[test]
fn what_is_under_way_is_no_difference() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::of(&write_shop(folder.path()));
    let nothing = sandbox.run(&["doctor", "--json"]).ok().json();
    assert_eq!(nothing["healthy"], true, "nothing is published, and that is no difference");
    change_orders(&sandbox, ORDERS);
    let mut running = sandbox.start(&["backfill", "--from", DAY, "--to", "2025-01-03"]);
    let mut looked = 0;
    while !running.has_ended() {
        let report = sandbox.run(&["doctor", "--mend", "--deep", "--json"]).ok().json();
        assert_eq!(report["findings"], json!([]), "{report:#}");
        looked += 1;
    }
    running.wait();
    assert!(looked > 1);
    assert_eq!(sandbox.cycle(), 3);
}
