//! What a day costs after many days of history, against what it costs after few. Both pipelines are made here, each backfilled as one
//! cycle, and their next days are run by turns.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use serde_json::json;
use service::{Access, Config};
use wap::{PartitionKey, Receipt};

use crate::bench::{Measurement, median};
use crate::commands::run::daily;
use crate::engine::Engine;
use crate::failure::Failure;

/// The history that the other one is compared with.
const FEW_DAYS: usize = 10;

/// How many days are run on each.
const ROUNDS: usize = 5;

/// One pipeline in a folder of its own.
struct History {
    engine: Engine,
    next: Option<PartitionKey>,
    /// Models that are built from nothing in every cycle, by their own choice.
    tables: BTreeSet<String>,
}

/// Seconds of one day.
#[derive(Debug, Clone, Copy)]
struct Day {
    whole: f64,
    /// Copying the live slot, which DuckDB does byte by byte and BigQuery does not do.
    copying: f64,
    /// Models that are built from nothing in every cycle.
    rebuilding: f64,
    /// Models that follow what changed.
    following: f64,
}

/// Compares a day after `days` days with one after ten.
pub(crate) async fn run(config: &Config, days: u16) -> Result<Vec<Measurement>, Failure> {
    let folder = tempfile::tempdir()?;
    let mut measured = Vec::new();
    let mut few = History::backfill(config, &folder.path().join("few"), FEW_DAYS, &mut measured).await?;
    let mut many = History::backfill(config, &folder.path().join("many"), days.into(), &mut measured).await?;
    let (mut of_few, mut of_many) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        of_few.push(few.day().await?);
        of_many.push(many.day().await?);
    }
    few.engine.stop().await;
    many.engine.stop().await;
    let part = |name: &str, part: fn(&Day) -> f64, aim| {
        let (few, many) = (median(of_few.iter().map(part).collect()), median(of_many.iter().map(part).collect()));
        [
            seconds(&format!("history: {name} after {FEW_DAYS} days"), few),
            seconds(&format!("history: {name} after {days} days"), many),
            Measurement { name: format!("history: {name}, ratio"), value: many / few, unit: "ratio", aim },
        ]
    };
    measured.extend(part("a day", |day| day.whole, None));
    measured.extend(part("copying of files", |day| day.copying, None));
    measured.extend(part("models rebuilt in full", |day| day.rebuilding, None));
    measured.extend(part("models that follow changes", |day| day.following, None));
    measured.extend(part("a day without copying and models rebuilt", Day::without, Some(1.3)));
    Ok(measured)
}

fn seconds(name: &str, value: f64) -> Measurement {
    Measurement { name: name.to_owned(), value, unit: "s", aim: None }
}

impl Day {
    /// Models run several at a time: what those that are rebuilt take of the step is their share of what all take.
    fn without(&self) -> f64 {
        self.whole - self.copying - self.rebuilding
    }
}

impl History {
    async fn backfill(
        config: &Config,
        home: &Path,
        days: usize,
        measured: &mut Vec<Measurement>,
    ) -> Result<Self, Failure> {
        let config = Config { home: home.to_owned(), access: Access::Open, ..config.clone() };
        let engine = Engine::start(&config).await?;
        let plan = engine.platform.project_plan().await.map_err(|problem| Failure::new(problem.to_string()))?;
        let tables =
            plan.project.nodes.values().filter(|node| node.materialized == "table").map(|node| node.name.clone());
        let mut history =
            Self { tables: tables.collect(), next: Some(engine.platform.pipeline.runs().first()?), engine };
        let started = Instant::now();
        for day in 1..=days {
            let until = if day == days { "publish" } else { "load" };
            history.run(until).await?;
        }
        measured
            .push(seconds(&format!("history: backfill of {days} days as one cycle"), started.elapsed().as_secs_f64()));
        if let Some(peak) = peak_memory() {
            let name = format!("history: peak memory of the program after {days} days");
            measured.push(Measurement { name, value: peak, unit: "MiB", aim: None });
        }
        Ok(history)
    }

    /// Runs the next day.
    async fn run(&mut self, until: &str) -> Result<(), Failure> {
        let Some(day) = self.next.take() else {
            return Err(Failure::new("the pipeline's days are over; give fewer with --days"));
        };
        daily(&self.engine, json!({"partition": day, "until": until}), day.as_str()).await?;
        self.next = self.engine.platform.pipeline.runs().next(&day)?;
        Ok(())
    }

    async fn day(&mut self) -> Result<Day, Failure> {
        let started = Instant::now();
        self.run("publish").await?;
        let whole = started.elapsed().as_secs_f64();
        let state = &self.engine.platform.state;
        let cycle = state.record().await?.cycle;
        let receipt =
            state.receipt(cycle).await?.ok_or_else(|| Failure::new(format!("cycle {cycle} has no receipt")))?;
        Ok(self.measure(&receipt, whole))
    }

    fn measure(&self, receipt: &Receipt, whole: f64) -> Day {
        let steps = |wanted: fn(&str) -> bool| -> f64 {
            receipt.steps.iter().filter(|step| wanted(&step.step)).map(|step| step.seconds).sum()
        };
        let models = |of_tables: bool| -> f64 {
            let built = receipt.built.iter().filter(|model| self.tables.contains(&model.name) == of_tables);
            built.map(|model| model.seconds).sum()
        };
        let transform = steps(|step| step.starts_with("transform"));
        let share = transform / (models(true) + models(false)).max(f64::EPSILON);
        Day {
            whole,
            copying: steps(|step| step == "prepare"),
            rebuilding: models(true) * share,
            following: models(false) * share,
        }
    }
}

/// MiB that this process held at most so far, where the system says.
fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kibibytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes / 1024.0)
}
