//! What guards are worth on the real functions. Each scenario holds with all guards in place, and fails without the one
//! that it is about. Guards of the protocol's order (claims, fingerprints, the views' etags ...) are taken away from the
//! model too, in `shared/wap/tests/model`, where every order of events is seen.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::{Value, json};
use simulation::{Base, Calm, EmbeddedStage, Service, World, matrix::Stage as _, night, report};
use wap::PartitionKey;
use wap::guard::{Guard, without};

const FIRST: &str = "2025-08-01";
const SECOND: &str = "2025-08-02";

fn key(partition: &str) -> PartitionKey {
    PartitionKey::new(partition).unwrap()
}

/// A world in which the first partition is published, and the second is in the source.
async fn begun(is_bad: bool) -> (Arc<World>, Arc<Service>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path()).await;
    world.write_source(&key(FIRST), false);
    world.write_source(&key(SECOND), is_bad);
    let service = world.service("power", Arc::new(Calm));
    assert_eq!(daily(&service, FIRST).await["outcome"], "published");
    (world, service, folder)
}

async fn daily(service: &Arc<Service>, partition: &str) -> Value {
    let run = format!("run-{}", fastrand::u64(..));
    service.daily(&run, json!({"partition": partition})).await.unwrap_or_else(|raised| raised.value)
}

type Scenario = fn() -> Pin<Box<dyn Future<Output = bool>>>;

/// Guard, what it is seen by, and the scenario: whether all is as it should be.
const SCENARIOS: &[(Guard, &str, Scenario)] = &[
    (Guard::Verdict, "a cycle with bad rows is not published", || {
        Box::pin(async {
            let (world, service, _folder) = begun(true).await;
            daily(&service, SECOND).await;
            world.violations().is_empty()
        })
    }),
    (Guard::Refusals, "what was refused is refused at once, unchanged", || {
        Box::pin(async {
            let (_world, service, _folder) = begun(true).await;
            daily(&service, SECOND).await;
            daily(&service, SECOND).await["body"]["code"] == "refused_before"
        })
    }),
    (Guard::Held, "a held partition stays as it is", || {
        Box::pin(async {
            let (_world, service, _folder) = begun(false).await;
            service.daily("load", json!({"partition": SECOND, "until": "load"})).await.unwrap();
            assert_eq!(service.post("/hold", &json!({"partition": SECOND})).await.0, 200);
            daily(&service, FIRST).await["outcome"] == "already_published"
        })
    }),
    (Guard::Admission, "a partition that lacks a table is not published", || {
        Box::pin(async {
            let (_world, service, _folder) = begun(false).await;
            let table = json!({"items": [{"table": "orders", "partition": SECOND}]});
            assert_eq!(service.post("/extract", &table).await.0, 200);
            assert_eq!(service.post("/load", &table).await.0, 200);
            daily(&service, FIRST).await["outcome"] == "already_published"
        })
    }),
    (Guard::DryRun, "no view is moved to a slot that its readers may not read yet", || {
        Box::pin(async {
            let (world, service, _folder) = begun(false).await;
            daily(&service, SECOND).await;
            world.violations().is_empty()
        })
    }),
    (Guard::RecordBeforeViews, "no view shows what is not committed", || {
        Box::pin(async {
            let (world, service, _folder) = begun(false).await;
            daily(&service, SECOND).await;
            world.violations().is_empty()
        })
    }),
    (Guard::FormatVersion, "a record of a later format is left alone", || {
        Box::pin(async {
            let (world, service, _folder) = begun(false).await;
            world.rewrite_record(|record| record["version"] = json!(1000));
            let (status, body) = service.post("/begin", &json!({"run": "later"})).await;
            status == 500 && body["detail"].as_str().is_some_and(|detail| detail.contains("1000"))
        })
    }),
];

/// Guards that nights by chance soon miss. The model misses the others, too.
const BY_NIGHT: &[Guard] = &[Guard::NamesOnce, Guard::Pin, Guard::RecordCompareAndSet, Guard::PlannedRecord];

/// How many nights a guard may be missing before one shows it.
const NIGHTS: u64 = 400;

fn holds(scenario: Scenario) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(scenario())
}

#[test]
fn without_its_guard_each_scenario_fails() {
    let mut caught = Vec::new();
    for (guard, scenario, run) in SCENARIOS {
        assert!(holds(*run), "{scenario}: with every guard in place");
        assert!(!without(&[*guard], || holds(*run)), "nothing noticed that this is missing: {guard}");
        println!("guard: {guard}: without it this fails: {scenario}");
        caught.push(guard.name());
    }
    report("power-scenarios", &json!({"caught": caught, "guards": Guard::ALL.len()}));
}

#[test]
fn without_these_guards_some_night_is_violated() {
    let mut caught = Vec::new();
    for guard in BY_NIGHT {
        let first = fastrand::u64(..1 << 40);
        // A worker that panics over what it finds is a violation, too.
        let is_violated = |seed| {
            without(&[*guard], || std::panic::catch_unwind(|| !night(seed).violations.is_empty()).unwrap_or(true))
        };
        let seed = (first..first + NIGHTS).find(|seed| is_violated(*seed));
        let seed = seed.unwrap_or_else(|| panic!("no night of {NIGHTS} noticed that this is missing: {guard}"));
        println!("guard: {guard}: without it night {seed} is violated, the {}. that was tried", seed - first + 1);
        caught.push(guard.name());
    }
    report("power-nights", &json!({"caught": caught}));
}

/// On the laptop, because the simulated warehouse reads no objects.
#[test]
fn without_the_digest_a_damaged_object_is_loaded() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let load = || {
        runtime.block_on(async {
            let base = Base::new().await;
            let stage = EmbeddedStage::new(&base).await;
            let service = stage.service("power", Arc::new(Calm));
            let table = json!({"items": [{"table": "orders", "partition": SECOND}]});
            assert_eq!(service.post("/extract", &table).await.0, 200);
            stage.damage("orders", SECOND);
            service.post("/load", &table).await
        })
    };
    let (status, body) = load();
    assert_eq!(status, 422, "{body}");
    assert_eq!(without(&[Guard::Digest], load).0, 200, "the scenario shows nothing");
    report("power-digest", &json!({"caught": [Guard::Digest.name()]}));
}
