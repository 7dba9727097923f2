//! Documents and files that were damaged behind the pipeline's back: what is read is found out and named, what is not read
//! does not matter, and readers see the cycle before or a sound new one.

use std::fs;
use std::path::{Path, PathBuf};

use end_to_end::{Sandbox, is_full};

/// What happens to a file. `other` is a sound one of the same kind.
type Damage = (&'static str, fn(content: Vec<u8>, other: &[u8]) -> Vec<u8>);

const DOCUMENT_DAMAGE: [Damage; 6] = [
    ("emptied", |_, _| Vec::new()),
    ("truncated", |content, _| content[..content.len() / 2].to_vec()),
    ("overwritten", |content, _| vec![0; content.len()]),
    ("swapped", |_, other| other.to_vec()),
    ("of another version", |content, _| {
        let mut document: serde_json::Value = serde_json::from_slice(&content).unwrap();
        document["version"] = 99.into();
        document.to_string().into_bytes()
    }),
    ("no document", |_, _| b"[1, 2, 3]".to_vec()),
];

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

/// A file of `folder` (below the bucket) whose path has `part`, and another one of the folder.
fn pair(bucket: &Path, folder: &str, part: &str) -> (PathBuf, PathBuf) {
    let all = files(&bucket.join(folder));
    let one =
        all.iter().find(|file| file.to_str().unwrap().contains(part)).unwrap_or_else(|| panic!("{folder} {part}"));
    let other = all.iter().find(|file| *file != one).unwrap_or(one);
    (one.clone(), other.clone())
}

/// A pipeline with one day published and the next one on its way.
fn night(until: &str) -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::retail();
    sandbox.day("2025-08-01");
    sandbox.run(&["run", "daily", "--partition", "2025-08-02", "--until", until]).ok();
    let bucket = sandbox.home().join("bucket");
    (sandbox, bucket)
}

/// A file with other content, until it is dropped. The sound one is moved, for its time is its generation.
struct Damaged {
    file: PathBuf,
    sound: PathBuf,
}

impl Damaged {
    fn new(file: &Path, aside: &Path, damage: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Self {
        let content = fs::read(file).unwrap();
        let sound = aside.join("sound");
        fs::rename(file, &sound).unwrap();
        fs::write(file, damage(content)).unwrap();
        Self { file: file.to_path_buf(), sound }
    }
}

impl Drop for Damaged {
    fn drop(&mut self) {
        let _ = fs::rename(&self.sound, &self.file);
    }
}

#[test]
fn a_damaged_document_is_named_and_never_half_used() {
    let (sandbox, bucket) = night("load");
    let before = sandbox.digest();
    let record = end_to_end::record(&sandbox.home()).unwrap();
    let live = record["live"]["slot"]["attempt"].as_str().unwrap().to_owned();
    let mut cases = 0;
    let mut wrong = Vec::new();
    let kinds = [
        ("state", "deployment.json"),
        ("inputs", live.as_str()),
        ("ledger", "ledger/customers/2025-08-02"),
        ("manifests", "manifests/customers/2025-08-02"),
    ];
    for (kind, (folder, part)) in kinds.into_iter().enumerate() {
        let (target, other) = pair(&bucket, folder, part);
        let other = if folder == "state" { pair(&bucket, "ledger", "customers").0 } else { other };
        for (number, (name, damage)) in DOCUMENT_DAMAGE.into_iter().enumerate() {
            // In the short form, each damage happens to every other kind.
            if (kind + number) % 2 != 0 && !is_full() {
                continue;
            }
            // There is one set of inputs; what it says is changed instead.
            let other = match folder {
                "inputs" => {
                    fs::read_to_string(&target).unwrap().replace("\"2025-08-01\"", "\"2025-07-01\"").into_bytes()
                }
                _ => fs::read(&other).unwrap(),
            };
            let _damaged = Damaged::new(&target, sandbox.folder(), |content| damage(content, &other));
            let run = sandbox.run(&["run", "daily", "--partition", "2025-08-02", "--until", "prepare"]);
            let key = target.strip_prefix(&bucket).unwrap().display().to_string();
            cases += 1;
            if run.code != Some(1) || !run.stderr.contains(&key) || run.stderr.contains("panicked") {
                wrong.push(format!("{key} {name}: {:?} {}", run.code, run.stderr));
            }
        }
    }
    println!("{cases} cases");
    assert!(wrong.is_empty(), "{} of {cases}:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(sandbox.digest(), before);
    sandbox.day("2025-08-02");
}

#[test]
fn a_damaged_attempt_is_not_published() {
    let (sandbox, bucket) = night("audit");
    let before = sandbox.digest();
    let attempt = end_to_end::building(&sandbox.home()).unwrap()["slot"]["attempt"].as_str().unwrap().to_owned();
    let mut wrong = Vec::new();
    for folder in ["attempts", "publications"] {
        let (target, _) = pair(&bucket, folder, &format!("{folder}/{attempt}.json"));
        let all = files(&bucket.join(folder));
        let other = fs::read(all.iter().find(|file| **file != target && file.extension().is_some()).unwrap()).unwrap();
        for (name, damage) in DOCUMENT_DAMAGE {
            let _damaged = Damaged::new(&target, sandbox.folder(), |content| damage(content, &other));
            let run = sandbox.run(&["publish", "2"]);
            if run.code != Some(1) || !run.stderr.contains(&attempt) || run.stderr.contains("panicked") {
                wrong.push(format!("{folder} {name}: {:?} {}", run.code, run.stderr));
            }
            if sandbox.digest() != before {
                wrong.push(format!("{folder} {name}: readers see something else"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    sandbox.run(&["publish", "2"]).ok();
}

/// Objects of the lake, and the files of the slots.
#[test]
fn damaged_rows_are_not_published() {
    let (sandbox, bucket) = night("extract");
    let before = sandbox.digest();
    let flipped: fn(Vec<u8>, &[u8]) -> Vec<u8> = |mut content, _| {
        let middle = content.len() / 2;
        content[middle] ^= 0xff;
        content
    };
    let (target, other) = pair(&bucket, "lake", "lake/customers/2025-08-02");
    let other = fs::read(other).unwrap();
    let damage: [Damage; 4] =
        [DOCUMENT_DAMAGE[0], DOCUMENT_DAMAGE[1], ("swapped", |_, other| other.to_vec()), ("flipped", flipped)];
    for (name, damage) in damage {
        let _damaged = Damaged::new(&target, sandbox.folder(), |content| damage(content, &other));
        let run = sandbox.run(&["run", "daily", "--partition", "2025-08-02", "--until", "load"]);
        let key = target.strip_prefix(&bucket).unwrap().display().to_string();
        // Either the load names it, or the extraction before it has put a sound one there.
        let is_named = run.code == Some(1) && run.stderr.contains(&key);
        assert!(is_named || run.code == Some(0), "{name}: {:?} {}", run.code, run.stderr);
        assert!(!run.stderr.contains("panicked"), "{name}: {}", run.stderr);
        assert_eq!(sandbox.digest(), before, "{name}");
    }
}
