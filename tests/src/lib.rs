//! What the end-to-end tests share: a pipeline in a folder of its own, driven by the `bgp` program as people drive it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::return_self_not_must_use,
    reason = "this crate is tests"
)]

mod cloud;
mod postgres;
mod readers;
pub mod shop;
mod up;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

pub use cloud::{Cloud, Emulators};
pub use postgres::{PASSWORD, Postgres};
pub use readers::Readers;
pub use up::{CROWD, Up};

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are below the root").to_path_buf()
}

/// The program: `BGP_PROGRAM`, or what cargo built beside this test.
pub fn program() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "tests are told by ./bgp which program to test")]
    if let Some(program) = std::env::var_os("BGP_PROGRAM") {
        return program.into();
    }
    built("bgp")
}

/// A program of the workspace that cargo built beside this test.
pub fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().and_then(Path::parent).unwrap().join(name);
    assert!(program.exists(), "{} is missing; run: cargo build --workspace", program.display());
    program
}

/// Whether the exhaustive form of a test is wanted: `./bgp verify --full`.
pub fn is_full() -> bool {
    #[expect(clippy::disallowed_methods, reason = "tests are told by ./bgp how long they may take")]
    let full = std::env::var_os("BGP_TEST_FULL");
    full.is_some()
}

/// The folder of what `./bgp` has set up.
pub fn cache() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "tests look where ./bgp looks")]
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    variable("BGP_CACHE")
        .or_else(|| variable("XDG_CACHE_HOME").map(|folder| folder.join("bluegreenprint")))
        .or_else(|| variable("HOME").map(|home| home.join(".cache/bluegreenprint")))
        .expect("HOME or BGP_CACHE is set")
}

/// The Python of the dbt environment, which has DuckDB.
pub fn python() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "tests look where ./bgp looks")]
    let python = std::env::var_os("BGP_PYTHON").map(PathBuf::from);
    python.unwrap_or_else(|| cache().join("dbt-env/bin/python"))
}

/// Says that a test did not run. Written past the test runner, which keeps to itself what a test that passes prints.
pub fn did_not_run(test: &str, reason: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{test}: did not run, because {reason}");
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Output {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// The output, which must be that of a success.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// The output, which must be that of a refusal whose words contain `expected`.
    #[track_caller]
    pub fn refused(self, expected: &str) -> Self {
        assert_eq!(self.code, Some(1), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        assert!(self.stderr.contains(expected), "{expected:?} is not in:\n{}", self.stderr);
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in:\n{}", self.stdout))
    }
}

impl From<std::process::Output> for Output {
    fn from(output: std::process::Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A pipeline in a folder of its own.
#[derive(Debug)]
pub struct Sandbox {
    folder: tempfile::TempDir,
    config: PathBuf,
}

impl Sandbox {
    /// The small retail pipeline, some tables of the whole one, at a hundredth of its size, with claims that expire after two
    /// seconds.
    pub fn retail() -> Self {
        Self::with(|text| text)
    }

    /// The whole retail pipeline, as it is shipped, at a hundredth of its size.
    pub fn whole() -> Self {
        Self::whole_with(|text| text)
    }

    /// The whole retail pipeline, its file changed by `edit`.
    pub fn whole_with(edit: impl FnOnce(String) -> String) -> Self {
        Self::below(&repository(), edit)
    }

    /// The small retail pipeline over a copy of its dbt project, made in `folder`: one that may be edited.
    pub fn with_own_project(folder: &Path) -> (Self, PathBuf) {
        let project = folder.join("dbt");
        let small = repository().join("tests/small/dbt");
        copy_folder(&small, &project);
        let original = format!("project: {}", small.display());
        let own = format!("project: {}", project.display());
        (Self::with(|text| replaced(&text, &original, &own)), project)
    }

    /// The small retail pipeline, its file changed by `edit`.
    pub fn with(edit: impl FnOnce(String) -> String) -> Self {
        Self::below(&repository().join("tests/small"), edit)
    }

    /// The retail pipeline of a folder, its file changed by `edit`.
    fn below(root: &Path, edit: impl FnOnce(String) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = std::fs::read_to_string(root.join("pipeline.yaml")).unwrap();
        let project = root.join("dbt");
        let text = replaced(&text, "scale: 1.0", "scale: 0.01");
        let text = replaced(&text, "lease: {seconds: 60}", "lease: {seconds: 2}");
        let text = edit(replaced(&text, "project: dbt", &format!("project: {}", project.display())));
        let config = folder.path().join("pipeline.yaml");
        std::fs::write(&config, text).unwrap();
        Self { folder, config }
    }

    /// A pipeline of somebody else's.
    pub fn of(config: &Path) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), config: config.to_path_buf() }
    }

    /// The folder for files of the test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The pipeline file.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// The pipeline's home.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// The file that readers open.
    pub fn published(&self) -> PathBuf {
        self.home().join("warehouse/published.duckdb")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.arg("--config").arg(&self.config).arg("--home").arg(self.home()).args(arguments);
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap().into()
    }

    /// Runs a command to its end, with more variables in its environment.
    pub fn run_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
        self.command(arguments).envs(variables.iter().copied()).output().unwrap().into()
    }

    /// Starts a command.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let log = tempfile::NamedTempFile::new_in(self.folder.path()).unwrap();
        let errors = log.reopen().unwrap();
        let child = self.command(arguments).stdout(Stdio::null()).stderr(errors).spawn().unwrap();
        Running { child, log }
    }

    /// Runs one day and expects it to be published.
    #[track_caller]
    pub fn day(&self, partition: &str) -> Value {
        self.run(&["run", "daily", "--partition", partition, "--json"]).ok().json()
    }

    /// The digest of every live table.
    #[track_caller]
    pub fn digest(&self) -> BTreeMap<String, String> {
        let digests = self.run(&["digest", "--json"]).ok().json();
        digests.as_object().unwrap().iter().map(|(view, digest)| (view.clone(), digest.to_string())).collect()
    }

    /// Where everything stands.
    #[track_caller]
    pub fn status(&self) -> Value {
        self.run(&["status", "--json"]).ok().json()
    }

    /// The live cycle; 0 before the first.
    #[track_caller]
    pub fn cycle(&self) -> u64 {
        self.status()["record"]["cycle"].as_u64().unwrap()
    }

    /// Waits until `condition` holds of the state on disk, asking without the program.
    #[track_caller]
    pub fn wait_for(&self, what: &str, mut condition: impl FnMut(&Path) -> bool) {
        let deadline = Instant::now() + Duration::from_mins(2);
        while !condition(&self.home()) {
            assert!(Instant::now() < deadline, "waited in vain for {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The record as it is on disk, if there is one.
pub fn record(home: &Path) -> Option<Value> {
    let text = std::fs::read_to_string(home.join("bucket/state/deployment.json")).ok()?;
    serde_json::from_str(&text).ok()
}

/// The attempt that may commit, as it is on disk.
pub fn building(home: &Path) -> Option<Value> {
    let record = record(home)?;
    let id = record["building"]["slot"]["attempt"].as_str()?;
    let text = std::fs::read_to_string(home.join(format!("bucket/attempts/{id}.json"))).ok()?;
    serde_json::from_str(&text).ok()
}

/// Every file of a home with its length and time; locks, logs and how runs ended left out.
pub fn snapshot(home: &Path) -> BTreeMap<String, (u64, std::time::SystemTime)> {
    let mut files = BTreeMap::new();
    let mut folders = vec![home.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let metadata = entry.metadata().unwrap();
            let path = entry.path().display().to_string();
            if metadata.is_dir() {
                folders.push(entry.path());
            } else if !["/.store/", "/bucket/runs/", "/bucket/events/"].iter().any(|part| path.contains(part))
                && !path.ends_with("lock")
            {
                files.insert(path, (metadata.len(), metadata.modified().unwrap()));
            }
        }
    }
    files
}

/// A command that runs.
#[derive(Debug)]
pub struct Running {
    child: Child,
    log: tempfile::NamedTempFile,
}

impl Running {
    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        // A command that has just ended can't be signalled, which is as good.
        let _ = kill_process(pid, signal);
    }

    /// Stops the process where it is.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Whether the process holds a lock on a file of this home that others lock too; a slot is its own.
    pub fn holds_a_lock(&self, home: &Path) -> bool {
        let mut shared = BTreeSet::new();
        let mut folders = vec![home.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                match entry.metadata() {
                    Ok(metadata) if metadata.is_dir() => folders.push(entry.path()),
                    Ok(metadata) if !entry.file_name().to_string_lossy().starts_with("slot_") => {
                        shared.insert(metadata.ino());
                    }
                    // What has just gone is locked by nobody.
                    _ => {}
                }
            }
        }
        // Such as `3: FLOCK  ADVISORY  WRITE 4711 fe:01:262200 0 EOF`; with `->` after the number it is waited for.
        let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
        let process = self.child.id().to_string();
        locks.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).any(|lock| {
            let inode = lock.get(5).and_then(|file| file.rsplit(':').next()?.parse().ok());
            lock.get(4) == Some(&process.as_str()) && inode.is_some_and(|inode: u64| shared.contains(&inode))
        })
    }

    /// Lets a stopped process go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Kills the process and waits for its end.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Whether the process has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for the end.
    pub fn wait(mut self) -> Output {
        let status = self.child.wait().unwrap();
        let stderr = std::fs::read_to_string(self.log.path()).unwrap();
        Output { code: status.code(), stdout: String::new(), stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already ended and waited for, in the usual case.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `text` with `from` replaced, which must be in it.
#[track_caller]
pub fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from:?} is not in the text");
    text.replace(from, to)
}

/// Copies a folder.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        // Of a link what it names is copied.
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Makes every file below a folder older, while nobody works with it.
pub fn make_older(folder: &Path, by: Duration) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            make_older(&path, by);
        } else {
            let file = std::fs::File::open(&path).unwrap();
            file.set_modified(file.metadata().unwrap().modified().unwrap() - by).unwrap();
        }
    }
}

/// Pseudo-random numbers from a seed that a failing test prints.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// From the clock.
    pub fn new() -> Self {
        let nanoseconds = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
        let seed = u64::try_from(nanoseconds & u128::from(u64::MAX)).unwrap();
        println!("seed {seed}");
        Self(seed)
    }

    /// A number from 0 to `below` - 1.
    pub fn below(&mut self, below: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^= value >> 31;
        usize::try_from(value % below as u64).unwrap()
    }

    /// The numbers from 1 to `days` in any order, some of them again after a while or at once.
    pub fn order_with_repeats(&mut self, days: usize) -> Vec<usize> {
        let mut left: Vec<usize> = (1..=days).collect();
        let mut order = Vec::new();
        while !left.is_empty() {
            order.push(left.remove(self.below(left.len())));
            if self.below(3) == 0 {
                order.push(order[self.below(order.len())]);
            }
        }
        order
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}
