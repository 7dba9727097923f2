//! A home as earlier versions of the program left it is gone on with.

use std::path::Path;

use end_to_end::Sandbox;
use end_to_end::shop::{ORDERS, change_orders, write_shop};
use serde_json::{Value, json};

/// What the first format of each document lacked.
fn as_of_old(folder: &str, document: &mut Value) {
    let without = |value: &mut Value, names: &[&str]| {
        let fields = value.as_object_mut().unwrap();
        for name in names {
            fields.remove(*name);
        }
    };
    let without_values = |verdict: &mut Value| {
        for rule in verdict["rules"].as_array_mut().into_iter().flatten() {
            without(rule, &["value"]);
        }
    };
    match folder {
        "state" => without(document, &["expired", "retired", "rollback"]),
        "attempts" => {
            without(document, &["continues"]);
            without_values(&mut document["verdict"]);
        }
        "receipts" => {
            without(document, &["kind", "holder", "rollback", "built", "moved", "slot_bytes", "cost"]);
            for step in document["steps"].as_array_mut().unwrap() {
                without(step, &["holder"]);
            }
            without_values(&mut document["verdict"]);
        }
        other => panic!("{other}"),
    }
    document["version"] = 1.into();
}

/// Rewrites the documents of a folder of the bucket, and returns how many there were.
fn rewrite(bucket: &Path, folder: &str) -> usize {
    let mut rewritten = 0;
    for file in std::fs::read_dir(bucket.join(folder)).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_some_and(|extension| extension == "json") {
            let mut document: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
            as_of_old(folder, &mut document);
            std::fs::write(&file, document.to_string()).unwrap();
            rewritten += 1;
        }
    }
    rewritten
}

#[test]
fn what_the_first_version_left_is_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_shop(folder.path());
    let [expected, sandbox] = [(); 2].map(|()| {
        let sandbox = Sandbox::of(&config);
        change_orders(&sandbox, ORDERS);
        sandbox
    });
    expected.run(&["backfill", "--from", "2025-01-01", "--to", "2025-01-03"]).ok();

    sandbox.run(&["backfill", "--from", "2025-01-01", "--to", "2025-01-02"]).ok();
    sandbox.run(&["run", "daily", "--partition", "2025-01-03", "--until", "audit"]).ok();
    let bucket = sandbox.home().join("bucket");
    let rewritten = ["state", "attempts", "receipts"].map(|folder| rewrite(&bucket, folder));
    assert_eq!(rewritten, [1, 3, 2]);

    assert_eq!(sandbox.status()["record"]["cycle"], 2);
    assert_eq!(sandbox.run(&["receipt", "1", "--json"]).ok().json()["kind"], "publish");
    assert_eq!(sandbox.run(&["doctor", "--json"]).ok().json()["findings"], json!([]));
    // The attempt that waited is published, the slot before it is kept, and both can be gone back to and forth.
    sandbox.run(&["publish", "3"]).ok();
    assert_eq!(sandbox.digest(), expected.digest());
    sandbox.run(&["rollback", "--reason", "a test"]).ok();
    sandbox.run(&["rollback", "--reason", "a test"]).ok();
    assert_eq!((sandbox.digest(), sandbox.cycle()), (expected.digest(), 5));
    sandbox.run(&["assets"]).ok();
    let record: Value = serde_json::from_slice(&std::fs::read(bucket.join("state/deployment.json")).unwrap()).unwrap();
    assert_eq!(record["version"], 3);
}
