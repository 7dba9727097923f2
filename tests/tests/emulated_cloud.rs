//! The emulated cloud: the same workflow through BigQuery and Cloud Storage ends in the same tables as on DuckDB.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use duckdb::Connection;
use end_to_end::{Cloud, Emulators, Random, Sandbox, copy_folder, is_full, replaced, repository};
use serde_json::{Value, json};

const FIRST_DAY: [&str; 4] = ["run", "daily", "--partition", "2025-08-01"];

/// The emulators are slow on a busy machine, and nobody dies here.
fn patient(text: &str) -> String {
    replaced(text, "lease: {seconds: 2}", "lease: {seconds: 60}")
}

fn retail() -> Sandbox {
    Sandbox::with(|text| patient(&text))
}

/// A pipeline of one table and four models, one of which is kept from cycle to cycle; `limits` is that section of its file.
fn parcels(folder: &tempfile::TempDir, limits: &str) -> Sandbox {
    let folder = folder.path();
    copy_folder(&repository().join("tests/types"), folder);
    let source = folder.join("shop.duckdb");
    let sql = "create table parcels_log as
        select 'p' || range as parcel_id, date '2025-08-01' + cast(range % 3 as integer) as packed_on,
            [{'article': 'a' || range, 'price': 1.5::decimal(10, 2), 'note': null::json,
                'discounts': [{'percent': range, 'until': null::timestamp}]}] as lines,
            timestamp '2025-08-01 12:00:00' + interval 1 day * (range // 10) as changed_at,
            range as change_sequence, 'insert' as operation
        from range(40)";
    Connection::open(&source).unwrap().execute_batch(sql).unwrap();
    let config = folder.join("pipeline.yaml");
    let text = replaced(&fs::read_to_string(&config).unwrap(), "source/shop.duckdb", &source.display().to_string());
    // Only the columns that the models of this test read.
    let columns = ["parcel_id", "packed_on", "lines", "changed_at", "change_sequence", "operation"];
    let mut kept = String::new();
    let mut is_kept = true;
    for line in text.lines() {
        if let Some(column) = line.strip_prefix("      - ") {
            is_kept = columns.iter().any(|name| column.contains(&format!("name: {name}")));
        } else if !line.starts_with("       ") {
            is_kept = true;
        }
        if is_kept {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    let rule = "{name: fresh, model: parcels, kind: freshness, column: packed_on, max_age_hours: 480}";
    fs::write(&config, format!("{kept}audit: {{rules: [{rule}]}}\nlimits: {limits}\n")).unwrap();
    let model = "select parcel_id, packed_on, change_sequence from {{ source('raw', 'parcels') }}\n";
    fs::write(folder.join("dbt/models/parcels.sql"), model).unwrap();
    let last = "select parcel_id from {{ ref('parcels') }} inner join {{ ref('parcel_days') }} using (packed_on)\n";
    fs::write(folder.join("dbt/models/last.sql"), last).unwrap();
    Sandbox::of(&config)
}

/// Somebody who reads every live view, again and again, with Google's client for Python.
struct Reader(Child);

impl Reader {
    fn start(cloud: &Cloud, emulators: &Emulators<'_>) -> Self {
        let script = repository().join("tests/tests/reader.py");
        let mut command = Command::new(cloud.python());
        command.arg(script).arg(emulators.bigquery()).stdin(Stdio::piped()).stdout(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    /// Ends it after its next round, and returns what it has seen. It may not have met one error.
    fn stop(mut self) -> Value {
        drop(self.0.stdin.take());
        let output = self.0.wait_with_output().unwrap();
        assert!(output.status.success(), "a reader met an error; it is above");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// A record of state, from the emulated bucket.
fn state(sandbox: &Sandbox, kind: &str) -> Vec<Value> {
    let folder = sandbox.folder().join("emulators/storage/lake").join(kind);
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.map(|path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap()).collect()
}

#[test]
fn every_table_is_equal_to_that_of_duckdb() {
    let Some(cloud) = Cloud::find("emulated cloud") else { return };
    let (days, sandbox) = if is_full() { (10, Sandbox::whole_with(|text| patient(&text))) } else { (2, retail()) };
    let last = format!("2025-08-{days:02}");
    let backfill = ["backfill", "--from", "2025-08-01", "--to", &last];
    sandbox.run(&backfill).ok();
    let emulators = cloud.emulators(&sandbox);
    emulators.run(&sandbox, &FIRST_DAY).ok();
    let reader = Reader::start(&cloud, &emulators);
    emulators.run(&sandbox, &backfill).ok();
    let read = reader.stop();
    assert!(read["reads"].as_u64().unwrap() > 20, "{read}");
    assert_eq!(read["cycles"], json!((1..=days).collect::<Vec<_>>()), "{read}");
    assert_eq!(emulators.digest(&sandbox), sandbox.digest());
    let sql = "select cycle, newest_partition from live.deployment";
    let deployment = emulators.run(&sandbox, &["sql", sql, "--json"]).ok().json();
    assert_eq!(deployment, json!([{ "cycle": days, "newest_partition": last }]));

    // Back and forth: views are moved one by one, and a slot that others were cloned from is still as it was audited.
    let shown = || {
        let rows = emulators.run(&sandbox, &["sql", "select cycle from live.deployment", "--json"]).ok().json();
        (rows[0]["cycle"].clone(), emulators.digest(&sandbox))
    };
    let newest = shown();
    let undone = emulators.run(&sandbox, &["rollback", "--json"]).ok().json();
    assert_eq!((&undone["cycle"], &undone["held"]), (&(days + 1).into(), &json!([last])));
    let before = shown();
    assert_eq!(before.0, days - 1);
    assert_ne!(before.1, newest.1);
    assert_eq!(emulators.run(&sandbox, &["rollback", "--json"]).ok().json()["undid"], days + 1);
    assert_eq!(shown(), newest);
}

/// The emulated cloud bills as BigQuery does: ten megabytes at least for each table that a query names.
#[test]
fn a_step_above_its_budget_is_refused_before_it_runs() {
    let Some(cloud) = Cloud::find("budgets in the emulated cloud") else { return };
    let folder = tempfile::tempdir().unwrap();
    let sandbox = parcels(&folder, "{max_bytes_billed_per_step: 30MiB}");
    let emulators = cloud.emulators(&sandbox);
    let closed = |step: &str| {
        let record = emulators.run(&sandbox, &["status", "--json"]).ok().json()["record"].clone();
        assert!(record["building"].is_null(), "{step}: {record}");
        assert_eq!(record["cycle"], 0, "{step}: {record}");
    };
    // Reading which upload the rows of the pinned table are from.
    emulators.run(&sandbox, &FIRST_DAY).refused(
        "would be billed for 20.0 MiB, after 20.0 MiB of step prepare, whose limit is 30.0 MiB. Narrow what it reads, or \
         raise limits.max_bytes_billed_per_step",
    );
    closed("prepare");
    // What dbt runs: four models, the last of which reads two tables.
    let text = fs::read_to_string(sandbox.config()).unwrap();
    fs::write(sandbox.config(), replaced(&text, "30MiB", "55MiB")).unwrap();
    let refused = emulators.run(&sandbox, &FIRST_DAY).refused("last: ");
    let words = "it would bring this step above its budget of 57671680 bytes, of which 52428800 are billed";
    assert!(refused.stderr.contains(words), "{}", refused.stderr);
    assert!(refused.stderr.contains("20971520 or higher required"), "{}", refused.stderr);
    closed("transform");
    fs::write(sandbox.config(), replaced(&text, "30MiB", "1GiB")).unwrap();
    emulators.run(&sandbox, &FIRST_DAY).ok();
}

/// BigQuery clones a clone of a clone, and no further.
#[test]
fn twelve_cycles_of_clones_go_on_by_copies() {
    let Some(cloud) = Cloud::find("clones in the emulated cloud") else { return };
    let folder = tempfile::tempdir().unwrap();
    let sandbox = parcels(&folder, "{}");
    let backfill = ["backfill", "--from", "2025-08-01", "--to", "2025-08-12"];
    sandbox.run(&backfill).ok();
    let emulators = cloud.emulators(&sandbox);
    emulators.run(&sandbox, &backfill).ok();
    assert_eq!(emulators.digest(&sandbox), sandbox.digest());
    let runs = state(&sandbox, "runs");
    assert_eq!(runs.len(), 12);
    let sum = |name: &str| -> u64 { runs.iter().map(|run| run["cost"][name].as_u64().unwrap()).sum() };
    // A table that was kept since the first cycle was cloned eleven times, unless that was the fourth in a row.
    assert!(sum("copies") >= 2, "{runs:?}");
    assert!(sum("clones") > sum("copies"), "{runs:?}");
    for name in ["jobs", "bytes_processed", "bytes_billed"] {
        assert!(runs.iter().all(|run| run["cost"][name].as_u64().unwrap() > 0), "{name}: {runs:?}");
    }
    // What was cloned and copied lies as its model says, which DuckDB has no use for.
    let record = emulators.run(&sandbox, &["status", "--json"]).ok().json()["record"].clone();
    let slot = format!(
        "types_{}_{}_{}_main",
        record["live"]["slot"]["color"].as_str().unwrap(),
        record["live"]["slot"]["cycle"],
        record["live"]["slot"]["attempt"].as_str().unwrap()
    );
    let table = emulators.table(&slot, "parcel_days");
    assert_eq!(table["timePartitioning"]["field"], "packed_on", "{table}");
    assert_eq!(table["clustering"]["fields"], json!(["article_count"]), "{table}");
}

/// Nobody could follow what it reads, in the attempt or outside of it.
#[test]
fn a_model_that_names_a_relation_is_refused() {
    let Some(cloud) = Cloud::find("reads by name in the emulated cloud") else { return };
    let folder = tempfile::tempdir().unwrap();
    let sandbox = parcels(&folder, "{}");
    let emulators = cloud.emulators(&sandbox);
    let model = folder.path().join("dbt/models/last.sql");
    fs::write(&model, "select parcel_id from raw.parcels\n").unwrap();
    emulators
        .run(&sandbox, &FIRST_DAY)
        .refused("model.types.last reads raw.parcels by name, so nobody knows when to build it");
    fs::write(&model, "select parcel_id from {{ ref('parcel_days').schema }}.parcels\n").unwrap();
    emulators.run(&sandbox, &FIRST_DAY).refused("_main.parcels by name");
}

/// Loads that had their effect, by what they wrote and from which objects.
fn effects(emulators: &Emulators<'_>) -> BTreeMap<String, usize> {
    let mut effects = BTreeMap::new();
    for job in emulators.jobs() {
        let load = &job["configuration"]["load"];
        let is_done = job["status"]["state"] == "DONE" && job["status"]["errorResult"].is_null();
        if load.is_object() && is_done {
            *effects.entry(format!("{} {}", load["destinationTable"], load["sourceUris"])).or_default() += 1;
        }
    }
    effects
}

/// One in five requests fails, before or after it took effect, or is answered late or with what was true before.
#[test]
fn faults_change_nothing() {
    let Some(cloud) = Cloud::find("faults in the emulated cloud") else { return };
    let seeds = if is_full() { 20 } else { 2 };
    let days = ["backfill", "--from", "2025-08-01", "--to", "2025-08-02"];
    let mut random = Random::new();
    for number in 0..seeds {
        // The many tables of the shop take the emulators long.
        let is_shop = number % 5 == 4;
        let seed = random.below(1_000_000) as u64;
        println!("seed {seed}");
        let folder = tempfile::tempdir().unwrap();
        let sandbox = if is_shop { retail() } else { parcels(&folder, "{}") };
        sandbox.run(&days).ok();
        let emulators = cloud.emulators(&sandbox);
        emulators.inject(seed, 0.2);
        emulators.run(&sandbox, &days).ok();
        let injected = emulators.stop_faults();
        assert!(injected["requests"].as_u64().unwrap() > 100, "{injected}");
        // Lists, which alone can be stale, are few.
        assert!(injected["faults"].as_object().unwrap().len() >= 6, "of every kind: {injected}");
        assert_eq!(emulators.digest(&sandbox), sandbox.digest(), "seed {seed}");
        let twice: Vec<_> = effects(&emulators).into_iter().filter(|(_, times)| *times > 1).collect();
        assert!(twice.is_empty(), "seed {seed}: {twice:?}");
    }
}

/// A sample of the crash matrix: a run dies at a request to BigQuery or Cloud Storage, before or after it takes effect.
#[test]
fn a_run_that_dies_at_a_request_is_healed_by_the_next_one() {
    let Some(cloud) = Cloud::find("deaths in the emulated cloud") else { return };
    let (sandboxes, days) = if is_full() { (2, 12) } else { (1, 4) };
    let mut random = Random::new();
    let mut cells = 0;
    for number in 0..sandboxes {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = parcels(&folder, "{}");
        sandbox.run(&["backfill", "--from", "2025-08-01", "--to", &format!("2025-08-{days:02}")]).ok();
        let emulators = cloud.emulators(&sandbox);
        emulators.run(&sandbox, &FIRST_DAY).ok();
        emulators.inject(0, 0.0);
        let mut requests = 0;
        for day in 2..=days {
            let day_run = ["run", "daily", "--partition", &format!("2025-08-{day:02}")];
            // The second day is left alone, which tells how many requests there are.
            if requests > 0 {
                let (ordinal, after) = (random.below(requests) as u64, (day + number) % 2 == 0);
                emulators.hold(ordinal, after);
                let mut dying = emulators.command(&sandbox, &day_run);
                let mut dying = dying.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
                while !emulators.holds() && dying.try_wait().unwrap().is_none() {
                    std::thread::sleep(Duration::from_millis(20));
                }
                dying.kill().unwrap();
                dying.wait().unwrap();
                println!("kill at request {ordinal} of day {day}, after it took effect: {after}");
                cells += 1;
                emulators.stop_faults();
            }
            emulators.run(&sandbox, &day_run).ok();
            if requests == 0 {
                requests = usize::try_from(emulators.stop_faults()["requests"].as_u64().unwrap()).unwrap();
                assert!(requests > 100, "{requests}");
            }
        }
        assert_eq!(emulators.digest(&sandbox), sandbox.digest());
        // Of an attempt that ended at that moment the heartbeat may be left.
        emulators.run(&sandbox, &["doctor", "--mend", "--json"]).ok();
        assert_eq!(emulators.run(&sandbox, &["doctor", "--json"]).ok().json()["findings"], json!([]));
    }
    println!("crash matrix on the emulated cloud: {cells} cells, 0 violations");
}

/// Only in full: a day takes the emulators long.
#[test]
fn a_backfill_killed_at_random_moments_ends_as_the_undisturbed_one() {
    if !is_full() {
        return;
    }
    let Some(cloud) = Cloud::find("kills in the emulated cloud") else { return };
    let backfill = ["backfill", "--from", "2025-08-01", "--to", "2025-08-03"];
    let expected = Sandbox::retail();
    expected.run(&backfill).ok();
    let mut random = Random::new();
    let mut takes = None;
    let mut killed = 0;
    while killed < 20 {
        let sandbox = Sandbox::retail();
        let emulators = cloud.emulators(&sandbox);
        emulators.run(&sandbox, &FIRST_DAY).ok();
        let reader = Reader::start(&cloud, &emulators);
        // The first time it is left alone, which tells how long it takes.
        if let Some(takes) = takes {
            while killed < 20 {
                let mut running = emulators.command(&sandbox, &backfill);
                let mut running = running.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
                std::thread::sleep(Duration::from_millis(random.below(takes) as u64));
                if let Some(status) = running.try_wait().unwrap() {
                    assert!(status.success(), "{status}");
                    break;
                }
                running.kill().unwrap();
                running.wait().unwrap();
                killed += 1;
            }
        }
        let started = Instant::now();
        emulators.run(&sandbox, &backfill).ok();
        takes.get_or_insert(usize::try_from(started.elapsed().as_millis()).unwrap());
        reader.stop();
        assert_eq!(emulators.digest(&sandbox), expected.digest(), "after {killed} kills");
    }
}
