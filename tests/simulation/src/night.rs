//! A night, from a seed: several workers run the same few partitions in any order, sources change under them, somebody
//! holds and releases, calls fail, instances die and fall asleep. Then all is calm, and one more run of each partition
//! has to make everything right.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use wap::PartitionKey;

use crate::{Calm, Fate, Fates, LEASE, Moment, Service, World};

const PARTITIONS: [&str; 3] = ["2025-08-01", "2025-08-02", "2025-08-03"];
const WORKERS: u64 = 3;

/// How long workers are given. What still runs then goes on beside the calm.
const LENGTH: Duration = Duration::from_hours(3);

/// How likely a call is to meet a fate other than being answered, in parts of ten thousand.
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    pub fault: u32,
    pub death: u32,
    pub sleep: u32,
}

impl Rates {
    /// Of a night: some are quiet, some are not.
    fn of(rng: &mut Rng) -> Self {
        let mut one_of = |rates: [u32; 4]| rates[rng.usize(..rates.len())];
        Self { fault: one_of([0, 20, 50, 200]), death: one_of([0, 10, 30, 100]), sleep: one_of([0, 10, 30, 100]) }
    }
}

/// Fates by chance.
#[derive(Debug)]
struct Chance {
    rng: Mutex<Rng>,
    rates: Rates,
    /// Calls, and a digest of what became of them.
    made: Mutex<(u64, u64)>,
    late: AtomicU64,
}

impl Fates for Chance {
    fn next(&self, moment: &Moment<'_>) -> (Duration, Fate) {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        let Rates { fault, death, sleep } = self.rates;
        let length = Duration::from_millis(rng.u64(1..400));
        let nap = LEASE.mul_f64(0.2 + 3.0 * rng.f64());
        let dice = rng.u32(..10_000);
        let fate = if dice < fault {
            match rng.u8(..3) {
                0 => Fate::Unavailable,
                1 => Fate::AnswerLost,
                _ => Fate::Late(nap),
            }
        } else if dice < fault + death {
            if rng.bool() { Fate::DiesBefore } else { Fate::DiesAfter }
        } else if dice < fault + death + sleep {
            if rng.bool() { Fate::SleepsBefore(nap) } else { Fate::SleepsAfter(nap) }
        } else {
            Fate::Done
        };
        if matches!(fate, Fate::Late(_)) {
            self.late.fetch_add(1, Ordering::Relaxed);
        }
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.0 += 1;
        // A running digest of all that happened: two nights of one seed must be the same night.
        let text = format!("{} {} {} {fate:?}", moment.process, moment.number, moment.call.name());
        made.1 = text.bytes().fold(made.1, |digest, byte| (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        (length, fate)
    }
}

/// What became of a night.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Night {
    pub seed: u64,
    pub violations: Vec<String>,
    /// Calls that left a process.
    pub calls: u64,
    /// Tells one course of events from another.
    pub course: u64,
    /// What happened, and how often.
    pub seen: BTreeMap<&'static str, u64>,
}

/// Lives through one night.
pub fn night(seed: u64) -> Night {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let world = World::new(folder.path()).await;
        let mut rng = Rng::with_seed(seed);
        let rates = Rates::of(&mut rng);
        let fates =
            Arc::new(Chance { rng: Mutex::new(rng.fork()), rates, made: Mutex::default(), late: AtomicU64::new(0) });
        let partitions = PARTITIONS.map(|partition| PartitionKey::new(partition).unwrap());
        let bad = rng.usize(..PARTITIONS.len() * 2);
        for (number, partition) in partitions.iter().enumerate() {
            world.write_source(partition, number == bad);
        }
        let workers: Vec<_> =
            (0..WORKERS).map(|number| tokio::spawn(work(world.clone(), number, fates.clone(), rng.fork()))).collect();
        let _ = timeout(LENGTH, futures::future::join_all(workers)).await;
        let calls = fates.made.lock().unwrap_or_else(PoisonError::into_inner).0;
        calm(&world, &partitions).await;
        let course = fates.made.lock().unwrap_or_else(PoisonError::into_inner).1;
        let mut seen = world.seen();
        seen.insert("late effect", fates.late.load(Ordering::Relaxed));
        Night { seed, violations: world.violations(), calls, course, seen }
    })
}

/// One worker: runs partitions, and starts again when it was killed.
async fn work(world: Arc<World>, number: u64, fates: Arc<Chance>, mut rng: Rng) {
    for round in 0..6 {
        let service = world.service(&format!("worker{number}-{round}"), fates.clone());
        let partition = PARTITIONS[rng.usize(..PARTITIONS.len())];
        let key = PartitionKey::new(partition).unwrap();
        match rng.u8(..12) {
            0 => world.write_source(&key, rng.bool()),
            1 => drop(service.post("/hold", &json!({"partition": partition})).await),
            2 => drop(service.post("/release", &json!({"partition": partition})).await),
            3 => service.replace(),
            4 => {
                let cycle = world.record().map_or(0, |record| record.cycle);
                let run = format!("rollback-{number}-{round}");
                drop(service.post("/rollback", &json!({"run": run, "cycle": cycle})).await);
            }
            5 => drop(service.post("/cleanup", &json!({})).await),
            _ => {}
        }
        if rng.u8(..4) == 0 {
            service.transform_by_job();
            world.saw("transform by a job");
        }
        let run = format!("run-{number}-{round}");
        let caller = service.caller().clone();
        tokio::select! {
            biased;
            // Whoever ran the workflow is gone; perhaps its instances are, too.
            () = caller.died() => if rng.bool() { service.kill() },
            outcome = service.daily(&run, json!({"partition": partition})) => {
                match outcome {
                    Ok(value) => world.saw(if value["outcome"] == "published" { "run published" } else { "run without a change" }),
                    Err(raised) => {
                        world.saw("run failed");
                        if raised.value["kind"] == "refused" || raised.value["body"]["code"] == "refused_before" {
                            world.write_source(&key, false);
                        }
                    }
                }
            }
        }
        sleep(Duration::from_secs(rng.u64(..90))).await;
    }
}

/// Everything that is wrong in the source is corrected, and each partition is run once more.
async fn calm(world: &Arc<World>, partitions: &[PartitionKey]) {
    for partition in partitions {
        world.write_source(partition, false);
    }
    let service = world.service("calm", Arc::new(Calm));
    for partition in partitions {
        service.post("/release", &json!({"partition": partition})).await;
        // All of them first: one that is still as it was would be refused together with the others.
        let loaded = service.daily("calm-load", json!({"partition": partition, "until": "load"})).await;
        if let Err(raised) = loaded {
            world.violated(format!("a calm load of {partition} failed: {}", raised.value));
        }
    }
    for partition in partitions {
        heal(world, &service, partition).await;
    }
    let wanted = world.wanted(partitions);
    world.compare(&wanted, "after the last run");
    // Whoever slept has woken up by then.
    sleep(Duration::from_hours(24)).await;
    world.compare(&wanted, "when all sleepers have woken up");
    // What the night left is old enough to go by now. Readers must not notice.
    let (status, cleaned) = service.post("/cleanup", &json!({})).await;
    if status != 200 {
        world.violated(format!("a calm cleanup failed: {cleaned}"));
    }
    world.compare(&wanted, "after a cleanup");
    let before = world.digest();
    if let Some(last) = partitions.last()
        && heal(world, &service, last).await["outcome"] != "already_published"
    {
        world.violated("a run of what is published published it again");
    }
    if world.digest() != before {
        world.violated("a sleeper or a run without anything to do changed something");
    }
}

/// Runs a partition until it succeeds. Others may be at work for as long as their lease lasts.
async fn heal(world: &Arc<World>, service: &Arc<Service>, partition: &PartitionKey) -> Value {
    for attempt in 0..10 {
        match service.daily(&format!("calm-{partition}-{attempt}"), json!({"partition": partition})).await {
            Ok(outcome) => return outcome,
            Err(raised) if raised.value["body"]["code"] == "held" => sleep(LEASE).await,
            Err(raised) => {
                world.violated(format!("a calm run of {partition} failed: {}", raised.value));
                return Value::Null;
            }
        }
    }
    world.violated(format!("partition {partition} could not be run for ten leases"));
    Value::Null
}
