//! Going back: readers are never interrupted, what was rolled back stays out until it is released, and afterwards nothing
//! tells that it happened.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use end_to_end::{CROWD, Sandbox, Up, building, python, record, replaced, repository};
use serde_json::{Value, json};

/// Opens the published file anew in a loop and compares what it finds with the receipt of the cycle that `deployment`
/// names, which a rollback takes back to an earlier one. Ends when the file `stop` is there; fails at the first difference.
const READER: &str = r#"
import json, os, sys, duckdb

home, stop = sys.argv[1:]
published = os.path.join(home, "warehouse", "published.duckdb")
cycles, reads = [], 0
while not os.path.exists(stop):
    connection = duckdb.connect(published, read_only=True)
    cycle = connection.execute("select cycle from live.deployment").fetchone()[0]
    with open(os.path.join(home, "bucket", "receipts", f"{cycle:08}.json")) as file:
        tables = json.load(file)["verdict"]["tables"]
    assert tables, "the receipt names no table"
    for table in tables:
        rows = connection.execute(f"select count(*) from live.{table['view']}").fetchone()[0]
        assert rows == table["rows"], f"cycle {cycle}, {table['view']}: {rows} rows, its receipt says {table['rows']}"
    connection.close()
    if not cycles or cycles[-1] != cycle:
        cycles.append(cycle)
    reads += 1
print(json.dumps({"reads": reads, "cycles": cycles}))
"#;

fn rollback(sandbox: &Sandbox) -> Value {
    sandbox.run(&["rollback", "--reason", "wrong prices", "--json"]).ok().json()
}

fn live_cycle(sandbox: &Sandbox) -> Value {
    sandbox.run(&["sql", "select cycle from live.deployment", "--json"]).ok().json()[0]["cycle"].clone()
}

/// The file of the kept slot.
fn kept_file(sandbox: &Sandbox) -> PathBuf {
    let slot = &record(&sandbox.home()).unwrap()["kept"]["live"]["slot"];
    let text = |name: &str| slot[name].as_str().map_or_else(|| slot[name].to_string(), str::to_owned);
    let name = format!("slot_{}_{}_{}.duckdb", text("color"), text("cycle"), text("attempt"));
    sandbox.home().join("warehouse").join(name)
}

#[test]
fn what_is_rolled_back_stays_out_until_it_is_released_and_readers_notice_nothing() {
    let undisturbed = Sandbox::retail();
    undisturbed.run(&["backfill", "--from", "2025-08-01", "--to", "2025-08-04"]).ok();
    let expected = undisturbed.digest();

    let sandbox = Sandbox::retail();
    sandbox.day("2025-08-01");
    make_record_old(&sandbox);
    let stop = sandbox.folder().join("stop");
    let reader = Command::new(python())
        .args(["-c", READER])
        .args([sandbox.home(), stop.clone()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    sandbox.day("2025-08-02");
    let before = sandbox.digest();
    sandbox.day("2025-08-03");

    let undone = rollback(&sandbox);
    assert_eq!((&undone["cycle"], &undone["held"]), (&json!(4), &json!(["2025-08-03"])));
    assert_eq!((sandbox.digest(), live_cycle(&sandbox), sandbox.cycle()), (before.clone(), json!(2), 4));
    let receipt = sandbox.run(&["receipt", "--json"]).ok().json();
    assert_eq!((&receipt["kind"], &receipt["rollback"]["from"]["cycle"]), (&json!("rollback"), &json!(3)));
    assert_eq!((&receipt["slot"]["cycle"], &receipt["run"]), (&json!(2), &undone["run"]));
    assert_eq!(receipt["rollback"]["reason"], "wrong prices");
    let run = sandbox.home().join(format!("bucket/runs/{}.json", undone["run"].as_str().unwrap()));
    assert!(fs::read_to_string(run).unwrap().contains("rolled_back"));
    assert_eq!(rollbacks_told(&sandbox), 1);
    let status = sandbox.run(&["status"]).ok().stdout;
    assert!(status.contains("rollback  of cycle 3") && status.contains("held      2025-08-03"), "{status}");

    // The day that was rolled back is not taken, and the next one is.
    assert_eq!(sandbox.day("2025-08-03")["outcome"], "already_published");
    assert_eq!(sandbox.digest(), before);
    let next = sandbox.day("2025-08-04");
    assert_eq!((&next["cycle"], &next["held"]), (&json!(5), &json!(["2025-08-03"])));
    assert_ne!(sandbox.digest(), expected);

    sandbox.run(&["release", "--cycle", "7"]).refused("cycle 7 was rolled back");
    sandbox.run(&["release", "--cycle", "3"]).ok();
    sandbox.run(&["release", "--cycle", "3"]).refused("nothing is kept out");
    assert_eq!(sandbox.day("2025-08-03")["outcome"], "published");
    assert_eq!(sandbox.digest(), expected);

    fs::write(&stop, "").unwrap();
    let output = reader.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(seen["cycles"], json!([1, 2, 3, 2, 5, 6]), "{seen}");
    receipts_are_as_documented(&sandbox);
}

/// Every receipt fits the published schema, and is read on a terminal of a hundred columns.
fn receipts_are_as_documented(sandbox: &Sandbox) {
    let validate = "import json, sys, glob, jsonschema\n\
                    validator = jsonschema.Draft202012Validator(json.load(open(sys.argv[1])))\n\
                    receipts = sorted(glob.glob(sys.argv[2] + '/*.json'))\n\
                    for path in receipts: validator.validate(json.load(open(path)))\n\
                    print(len(receipts))";
    let schema = repository().join("docs/schemas/receipt.json");
    let output = Command::new(python())
        .args(["-c", validate])
        .args([schema, sandbox.home().join("bucket/receipts")])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "6", "{}", String::from_utf8_lossy(&output.stderr));
    for cycle in ["4", "6"] {
        let text = sandbox.run(&["receipt", cycle]).ok().stdout;
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(100), "{text}");
    }
    // What moved is the same at every stage, and what was built took its time.
    let receipt = sandbox.run(&["receipt", "6", "--json"]).ok().json();
    let moved = receipt["moved"].as_array().unwrap();
    assert!(!moved.is_empty() && moved.iter().all(|table| table["source_rows"] == table["raw_rows"]), "{receipt}");
    assert!(receipt["built"].as_array().unwrap().len() >= 10 && receipt["slot_bytes"].as_u64() > Some(0), "{receipt}");
    assert!(receipt["holder"].as_str().is_some_and(|holder| holder.contains('/')), "{receipt}");
}

#[test]
fn a_rollback_whose_process_died_after_its_commit_is_finished_by_the_next_run() {
    let sandbox = Sandbox::retail();
    sandbox.run(&["backfill", "--from", "2025-08-01", "--to", "2025-08-02"]).ok();
    let (published, bucket) = (sandbox.published(), sandbox.home().join("bucket"));
    let before = fs::read_link(&published).unwrap();
    rollback(&sandbox);
    let after = fs::read_link(&published).unwrap();
    // As it was at the moment of the commit: the views show the old slot, and there is no receipt.
    fs::remove_file(&published).unwrap();
    std::os::unix::fs::symlink(&before, &published).unwrap();
    let receipt = bucket.join("receipts/00000003.json");
    fs::remove_file(&receipt).unwrap();
    fs::remove_dir_all(bucket.join("events")).unwrap();
    assert_eq!(sandbox.day("2025-08-02")["outcome"], "already_published");
    assert_eq!(fs::read_link(&published).unwrap(), after);
    let receipt: Value = serde_json::from_str(&fs::read_to_string(receipt).unwrap()).unwrap();
    assert_eq!((&receipt["kind"], &receipt["mixed_seconds"]), (&json!("rollback"), &json!(0.0)));
    assert_eq!(rollbacks_told(&sandbox), 1);
}

/// How many rollbacks were announced.
fn rollbacks_told(sandbox: &Sandbox) -> usize {
    let events = fs::read_dir(sandbox.home().join("bucket/events")).unwrap();
    events
        .filter(|event| fs::read_to_string(event.as_ref().unwrap().path()).unwrap().contains("cycle.rolledback.v1"))
        .count()
}

#[test]
fn many_requests_at_once_are_one_rollback() {
    let sandbox = Sandbox::retail();
    sandbox.run(&["backfill", "--from", "2025-08-01", "--to", "2025-08-02"]).ok();
    let up = Up::start(&sandbox);
    let rollback = |run: &str, cycle: u64| ("/rollback", json!({"run": run, "cycle": cycle}));
    // The same request is answered the same; of different ones one succeeds, and the others are told what is live.
    let (path, request) = rollback("run-1", 2);
    let same = up.crowd(path, &request);
    assert_eq!(same["cycle"], 3);
    let others: Vec<_> = (0..CROWD).map(|number| rollback(&format!("other-{number}"), 3)).collect();
    let different = up.at_once(&others);
    assert_eq!(different.iter().filter(|(status, _)| *status == 200).count(), 1, "{different:?}");
    for (_, answer) in different.iter().filter(|(status, _)| *status != 200) {
        assert_eq!((&answer["status"], &answer["code"]), (&json!(409), &json!("not_live")), "{answer}");
    }
    // One that comes again when others have gone on changes nothing.
    assert_eq!(up.post(path, &request), (200, same));
    assert_eq!(sandbox.cycle(), 4);
}

/// Makes the record one of version 1, as a program before this one wrote it.
fn make_record_old(sandbox: &Sandbox) {
    let mut old = record(&sandbox.home()).unwrap();
    old["version"] = 1.into();
    let fields = old.as_object_mut().unwrap();
    fields.remove("retired").unwrap();
    fields.remove("rollback").unwrap();
    fs::write(sandbox.home().join("bucket/state/deployment.json"), old.to_string()).unwrap();
}

#[test]
fn a_rollback_of_a_rollback_undoes_it() {
    let sandbox = Sandbox::retail();
    sandbox.run(&["backfill", "--from", "2025-08-01", "--to", "2025-08-02"]).ok();
    let digest = sandbox.digest();
    rollback(&sandbox);
    // Somebody else decided to roll back the same cycle, a moment later.
    sandbox.run(&["rollback", "--cycle", "2"]).refused("cycle 2 is not live, cycle 3 is");
    let undone = rollback(&sandbox);
    assert_eq!((&undone["undid"], &undone["held"], &undone["cycle"]), (&json!(3), &json!([]), &json!(4)));
    assert_eq!((sandbox.digest(), live_cycle(&sandbox)), (digest.clone(), json!(2)));
    assert_eq!(sandbox.status()["record"]["held"], json!({}));
    assert_eq!(sandbox.day("2025-08-02")["outcome"], "already_published");
    // And once more: this one is a rollback of the publish again.
    assert_eq!(rollback(&sandbox)["held"], json!(["2025-08-02"]));
    sandbox.run(&["release", "2025-08-02"]).ok();
    assert_eq!(sandbox.day("2025-08-02")["outcome"], "published");
    assert_eq!(sandbox.digest(), digest);
}

#[test]
fn code_that_was_rolled_back_is_not_published_again_until_it_is_changed_or_released() {
    let folder = tempfile::tempdir().unwrap();
    let (sandbox, project) = Sandbox::with_own_project(folder.path());
    sandbox.day("2025-08-01");
    let model = project.join("models/mart/sales/fct_transactions.sql");
    let good = fs::read_to_string(&model).unwrap();
    fs::write(&model, format!("{good}\n-- bad\n")).unwrap();
    assert_eq!(sandbox.day("2025-08-01")["outcome"], "published");
    let undone = rollback(&sandbox);
    assert_eq!(undone["held"], json!([]));
    assert!(undone["models"].as_u64().unwrap() >= 1);
    let daily = ["run", "daily", "--partition", "2025-08-01"];
    let refused = sandbox.run(&daily).refused("cycle 2 was rolled back by cycle 3");
    assert!(refused.stderr.contains("fct_transactions"), "{}", refused.stderr);
    assert_eq!(sandbox.cycle(), 3);
    // Changed back, there is nothing to do; changed otherwise, or released, it is published.
    fs::write(&model, &good).unwrap();
    assert_eq!(sandbox.day("2025-08-01")["outcome"], "already_published");
    fs::write(&model, format!("{good}\n-- bad\n")).unwrap();
    sandbox.run(&daily).refused("cycle 2 was rolled back");
    sandbox.run(&["release", "--cycle", "2"]).ok();
    assert_eq!(sandbox.day("2025-08-01")["outcome"], "published");
}

#[test]
fn a_slot_that_is_not_as_it_was_audited_is_not_rolled_back_to() {
    let sandbox = Sandbox::retail();
    sandbox.run(&["rollback"]).refused("no slot is kept");
    sandbox.day("2025-08-01");
    sandbox.run(&["rollback"]).refused("no slot is kept");
    sandbox.day("2025-08-02");
    let before = (sandbox.digest(), sandbox.cycle());
    let unchanged = || assert_eq!((sandbox.digest(), sandbox.cycle()), before);

    let file = kept_file(&sandbox);
    let away = file.with_extension("away");
    fs::rename(&file, &away).unwrap();
    sandbox.run(&["rollback"]).refused("is gone");
    fs::copy(&away, &file).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let mut content = fs::read(&file).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    fs::write(&file, content).unwrap();
    sandbox.run(&["rollback"]).refused("changed after its audit");
    unchanged();
    fs::rename(&away, &file).unwrap();

    let state = sandbox.home().join("bucket/state/deployment.json");
    let text = fs::read_to_string(&state).unwrap();
    let mut expired = record(&sandbox.home()).unwrap();
    let attempt = expired["kept"]["live"]["slot"]["attempt"].as_str().unwrap().to_owned();
    expired["kept"]["until"] = "2025-08-03T00:00:00Z".into();
    fs::write(&state, expired.to_string()).unwrap();
    sandbox.run(&["rollback"]).refused("was kept until 2025-08-03T00:00:00Z");
    fs::write(&state, text).unwrap();

    let publication = sandbox.home().join(format!("bucket/publications/{attempt}.json"));
    let text = fs::read_to_string(&publication).unwrap();
    fs::write(&publication, replaced(&text, "fct_sales", "fct_sale")).unwrap();
    sandbox.run(&["rollback"]).refused("changed since");
    unchanged();
    fs::write(&publication, text).unwrap();
    assert_eq!(rollback(&sandbox)["cycle"], 3);
}

#[test]
fn an_attempt_that_waits_may_not_publish_after_a_rollback() {
    let sandbox = Sandbox::retail();
    sandbox.run(&["backfill", "--from", "2025-08-01", "--to", "2025-08-02"]).ok();
    sandbox.run(&["run", "daily", "--partition", "2025-08-03", "--until", "audit"]).ok();
    assert_eq!(sandbox.status()["step"], "after audit");
    let attempt = building(&sandbox.home()).unwrap()["slot"]["attempt"].as_str().unwrap().to_owned();
    rollback(&sandbox);
    sandbox.run(&["publish", "3"]).refused("no attempt for cycle 3");
    let file = sandbox.home().join(format!("bucket/attempts/{attempt}.json"));
    let ended: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(ended["ended"]["reason"], "superseded");
    let next = sandbox.day("2025-08-03");
    assert_eq!((&next["cycle"], &next["held"]), (&json!(4), &json!(["2025-08-02"])));
}

#[test]
fn a_view_goes_when_it_was_given_up_and_the_project_has_it_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let (sandbox, project) = Sandbox::with_own_project(folder.path());
    let extra = project.join("models/mart/sales/extra.sql");
    fs::write(&extra, "{{ config(materialized='table') }}\nselect 1 as one\n").unwrap();
    sandbox.day("2025-08-01");
    let views = || {
        let sql = "select view_name from duckdb_views() where schema_name = 'live'";
        sandbox.run(&["sql", sql]).ok().stdout
    };
    assert!(views().contains("extra"));
    sandbox.run(&["retire", "nothing"]).refused("view nothing is not published");
    sandbox.run(&["retire", "extra"]).refused("dbt.publish");
    fs::remove_file(&extra).unwrap();
    sandbox.run(&["run", "daily", "--partition", "2025-08-01"]).refused("bgp retire extra");
    assert!(views().contains("extra"));
    sandbox.run(&["retire", "extra"]).ok();
    assert_eq!(sandbox.day("2025-08-01")["outcome"], "published");
    assert!(!views().contains("extra"));
    assert_eq!(sandbox.status()["record"]["retired"], json!(["extra"]));
}
