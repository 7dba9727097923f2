//! `bgp cost`: what a month of this pipeline takes of each allowance of Google's free tier.

#![expect(clippy::cast_precision_loss, reason = "shares of a month need no more than fifty bits")]

mod bytes;

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use pipeline::Cron;
use serde::Serialize;
use serde_json::{Map, Value};
use service::{Config, Platform, Target};
use wap::Receipt;

use crate::arguments::CostOptions;
use crate::failure::Failure;
use crate::output;
use crate::usage::{self, Usages};
use bytes::Sizes;

/// The longest.
const DAYS: u32 = 31;

const GIB: f64 = (1_u64 << 30) as f64;

/// Processors and GiB of memory of an instance of each function, as `terraform/locals.tf` has them.
const INSTANCES: [(&str, f64, f64); 6] = [
    ("generate", 1.0, 3.0),
    ("extract", 2.0, 4.0),
    ("load", 1.0, 0.5),
    ("transform", 1.0, 2.0),
    ("audit", 1.0, 2.0),
    ("publish", 1.0, 1.0),
];

/// Of one BigQuery query, from its insertion to its end: what a small one takes. Functions wait for them.
const QUERY_SECONDS: f64 = 2.0;
/// Queries that dbt, and the audit, run at the same time.
const QUERIES_AT_ONCE: f64 = 4.0;

/// Compressed megabytes of the images with their bases, and of the layers that a new version of the program replaces, as
/// `tests/images/check.py` allows them; and the versions that the registry keeps.
const IMAGES_MEGABYTES: f64 = 250.0;
const PROGRAMS_MEGABYTES: f64 = 50.0;
const VERSIONS_KEPT: f64 = 3.0;

/// Minutes of a build, most of them tests.
const BUILD_MINUTES: f64 = 60.0;

/// Bytes that Pub/Sub counts for an event at least, published and delivered once.
const EVENT_BYTES: f64 = 2000.0;

/// One allowance and what is used of it.
#[derive(Debug, Serialize)]
struct Line {
    #[serde(skip)]
    name: &'static str,
    used: f64,
    allowance: f64,
    /// `used` by `allowance`.
    share: f64,
    unit: &'static str,
    /// What it was computed from.
    from: String,
}

impl Line {
    fn new(name: &'static str, used: f64, allowance: f64, unit: &'static str, from: impl fmt::Display) -> Self {
        Self { name, used, allowance, share: used / allowance, unit, from: from.to_string() }
    }
}

/// Prints the allowances.
pub(crate) async fn cost(config: &Config, options: &CostOptions) -> Result<(), Failure> {
    let platform = Platform::open(config).await?;
    let usages = usage::read(&platform.home);
    let record = platform.state.record().await?;
    let (Some(live), true) = (&record.live, usages.contains_key("daily")) else {
        return Err(Failure::new(
            "a month is computed from the newest published day that this machine ran, and there is none; run one first: bgp demo",
        ));
    };
    let receipt = platform.state.receipt(live.slot.cycle).await?.ok_or_else(|| {
        Failure::new(format!("the receipt of cycle {} is gone; run another day: bgp run daily", live.slot.cycle))
    })?;
    let month = Month::of(&platform)?;
    let warehouse = Volume::of(&platform, config, &receipt).await?;
    let mut allowances = month.of_functions(&usages, &warehouse);
    allowances.extend(month.of_data(&platform, &usages, &warehouse).await?);
    allowances.extend(month.of_the_rest(&platform, options));
    print(&allowances, options.json)
}

fn print(allowances: &[Line], as_json: bool) -> Result<(), Failure> {
    if as_json {
        let fields =
            allowances.iter().map(|allowance| Ok((allowance.name.to_owned(), serde_json::to_value(allowance)?)));
        return output::json(&fields.collect::<Result<Map<String, Value>, serde_json::Error>>()?);
    }
    let rows: Vec<Vec<String>> = allowances
        .iter()
        .map(|allowance| {
            vec![
                allowance.name.to_owned(),
                rounded(allowance.used),
                rounded(allowance.allowance),
                allowance.unit.to_owned(),
                format!("{:.1} %", allowance.share * 100.0),
                allowance.from.clone(),
            ]
        })
        .collect();
    output::table(&["allowance", "used", "free", "unit", "share", "computed from"], &rows)
}

fn rounded(value: f64) -> String {
    if value >= 100.0 || value.fract() == 0.0 { output::grouped(whole(value)) } else { format!("{value:.2}") }
}

/// Rounded; nothing here is negative.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "no allowance comes near")]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

/// How often workflows run.
struct Month {
    daily: f64,
    cleanup: f64,
}

impl Month {
    fn of(platform: &Platform) -> Result<Self, Failure> {
        let schedule = &platform.pipeline.schedule;
        let zone = &platform.pipeline.time_zone;
        let count = |cron: &Cron| -> Result<f64, Failure> {
            let mut at: Timestamp = Timestamp::now();
            let end = at + SignedDuration::from_hours(24 * i64::from(DAYS));
            let mut times = 0.0;
            while let Some(next) = cron.next(at, zone).filter(|next| *next <= end) {
                at = next;
                times += 1.0;
            }
            Ok(times)
        };
        Ok(Self { daily: count(&schedule.daily)?, cleanup: count(&schedule.cleanup)? })
    }

    /// A sum over the runs of the workflows that were seen.
    fn sum(&self, usages: &Usages, of: impl Fn(&usage::Usage) -> f64) -> f64 {
        [("daily", self.daily), ("cleanup", self.cleanup)]
            .into_iter()
            .filter_map(|(name, times)| Some(of(usages.get(name)?) * times))
            .sum()
    }

    fn of_functions(&self, usages: &Usages, volume: &Volume) -> Vec<Line> {
        let runs = format!("{:.0} runs of daily, {:.0} of cleanup", self.daily, self.cleanup);
        let seconds = |of: fn(&(&str, f64, f64)) -> f64| {
            let measured = self.sum(usages, |usage| {
                INSTANCES
                    .iter()
                    .map(|instance| usage.functions.get(instance.0).map_or(0.0, |calls| calls.seconds) * of(instance))
                    .sum()
            });
            // Where the warehouse was embedded, its queries took no time that a function of the cloud would wait.
            let waited =
                volume.waited * self.daily * INSTANCES.iter().find(|(name, _, _)| *name == "audit").map_or(0.0, of);
            measured + waited
        };
        let waited = format!("seconds of requests, and {:.0} s a day of waiting for queries", volume.waited);
        vec![
            Line::new("workflows_internal_steps", self.sum(usages, |usage| usage.steps as f64), 5000.0, "steps", &runs),
            Line::new(
                "cloud_run_requests",
                self.sum(usages, |usage| usage.functions.values().map(|calls| calls.requests as f64).sum()),
                2e6,
                "requests",
                &runs,
            ),
            Line::new("cloud_run_vcpu_seconds", seconds(|(_, processors, _)| *processors), 180e3, "vCPU s", &waited),
            Line::new("cloud_run_gib_seconds", seconds(|(_, _, memory)| *memory), 360e3, "GiB s", &waited),
        ]
    }

    async fn of_data(&self, platform: &Platform, usages: &Usages, volume: &Volume) -> Result<Vec<Line>, Failure> {
        let objects: u64 = platform.store.list("").await?.iter().map(|object| object.bytes).sum();
        let written = self.sum(usages, |usage| usage.store.bytes_written as f64);
        let sources: u64 = platform
            .pipeline
            .sources
            .values()
            .filter_map(|source| match &source.kind {
                pipeline::SourceKind::Duckdb { path } => std::fs::metadata(platform.home.join(path)).ok(),
                pipeline::SourceKind::Sql { .. } | pipeline::SourceKind::Postgres(_) => None,
            })
            .map(|file| file.len())
            .sum();
        Ok(vec![
            Line::new(
                "bigquery_queried_bytes",
                volume.queried as f64 * self.daily / GIB,
                1024.0,
                "GiB",
                &volume.queried_from,
            ),
            Line::new(
                "bigquery_stored_bytes",
                (volume.stored as f64 + volume.grows * self.daily) / GIB,
                10.0,
                "GiB",
                "raw with a month's more rows, the live and the kept slot",
            ),
            Line::new(
                "storage_stored_bytes",
                (objects as f64 + written + sources as f64) / 1e9,
                5.0,
                "GB",
                "what the bucket and the source hold, and all that a month writes",
            ),
            Line::new(
                "storage_class_a_operations",
                self.sum(usages, |usage| usage.store.class_a as f64),
                5000.0,
                "operations",
                "writes and lists",
            ),
            Line::new(
                "storage_class_b_operations",
                self.sum(usages, |usage| usage.store.class_b as f64),
                50e3,
                "operations",
                "reads",
            ),
        ])
    }

    fn of_the_rest(&self, platform: &Platform, options: &CostOptions) -> Vec<Line> {
        // One for each table that is extracted and loaded, and for what comes of the cycle.
        let events = 2.0 * platform.pipeline.tables.len() as f64 + 2.0;
        let builds = f64::from(options.builds);
        vec![
            Line::new("scheduler_jobs", 2.0, 3.0, "jobs", "daily and cleanup"),
            Line::new(
                "pubsub_bytes",
                events * EVENT_BYTES * self.daily / GIB,
                10.0,
                "GiB",
                format!("{events:.0} events a day"),
            ),
            Line::new(
                "artifact_registry_bytes",
                (IMAGES_MEGABYTES + (VERSIONS_KEPT - 1.0) * PROGRAMS_MEGABYTES) / 1e3,
                0.5,
                "GB",
                format!("three images, {VERSIONS_KEPT:.0} versions with shared layers"),
            ),
            Line::new("cloud_build_minutes", builds * BUILD_MINUTES, 2500.0, "minutes", format!("{builds:.0} builds")),
        ]
    }
}

/// What the warehouse holds, and reads a cycle.
struct Volume {
    queried: u64,
    queried_from: String,
    /// Of raw, and of the live and the kept slot.
    stored: u64,
    /// Bytes a cycle.
    grows: f64,
    /// Seconds a cycle in which functions wait for queries, beyond those that were measured.
    waited: f64,
}

impl Volume {
    async fn of(platform: &Platform, config: &Config, receipt: &Receipt) -> Result<Self, Failure> {
        let project = platform.project_plan().await?.project;
        let loaded = platform.state.ledger().await?;
        let days = loaded.iter().map(|entry| &entry.partition).collect::<std::collections::BTreeSet<_>>().len().max(1);
        if config.target == Target::Bigquery {
            let slot = receipt.slot_bytes.unwrap_or_default();
            return Ok(Self {
                queried: receipt.cost.bytes_billed,
                queried_from: format!("what cycle {} was billed for", receipt.cycle),
                // A slot's pins are all of raw.
                stored: 3 * slot,
                grows: slot as f64 / days as f64,
                waited: 0.0,
            });
        }
        if config.target == Target::Emulators {
            return Err(Failure::new(
                "emulators bill nothing; run the day on the target duckdb or bigquery, and ask there",
            ));
        }
        let sizes = Sizes::measure(platform, &receipt.slot).await?;
        let (raw, kept) = sizes.stored(platform, &project)?;
        let queried = sizes.queried(platform, &project, receipt)?;
        Ok(Self {
            queried: queried.bytes,
            queried_from: format!(
                "{} queries of cycle {}, every column of what they read",
                queried.queries, receipt.cycle
            ),
            stored: raw + 2 * kept,
            grows: raw as f64 / days as f64,
            waited: queried.queries as f64 * QUERY_SECONDS / QUERIES_AT_ONCE,
        })
    }
}
