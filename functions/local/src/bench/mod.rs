//! `bgp bench`: ratios to a reference that is measured in the same run. Times of one machine at one moment say little;
//! ratios of interleaved runs say what there is to say.

mod chain;
mod extract;
mod fixture;
mod history;
mod publish;

use serde::Serialize;
use service::Config;

use crate::arguments::BenchOptions;
use crate::failure::Failure;
use crate::output;

/// One figure.
#[derive(Debug, Serialize)]
pub(crate) struct Measurement {
    pub name: String,
    pub value: f64,
    pub unit: &'static str,
    /// What it should be at most.
    pub aim: Option<f64>,
}

/// Runs the benchmarks and prints their figures.
pub(crate) async fn bench(config: &Config, options: &BenchOptions) -> Result<(), Failure> {
    let wanted = |name: &str| options.only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    let mut measurements = Vec::new();
    if wanted("extract") {
        let folder = tempfile::tempdir()?;
        let rows = options.rows;
        let found = tokio::task::spawn_blocking(move || extract::run(rows, folder.path()))
            .await?
            .map_err(|error| Failure::new(error.to_string()))?;
        measurements.extend(found);
    }
    // A pipeline of its own for each, since the list of views may not shrink from one publish to the next.
    if wanted("chain") {
        measurements.extend(chain::run(&fixture::Fixture::new(config).await?).await?);
    }
    if wanted("publish") {
        measurements.extend(publish::run(&fixture::Fixture::new(config).await?).await?);
    }
    // It takes minutes, so it is run only when it is asked for.
    if options.only.as_ref().is_some_and(|only| "history".contains(only.as_str())) {
        measurements.extend(history::run(config, options.days).await?);
    }
    if options.json {
        return output::json(&measurements);
    }
    let rows: Vec<Vec<String>> = measurements
        .iter()
        .map(|measurement| {
            let aim = measurement.aim.map_or_else(String::new, |aim| format!("{aim}"));
            vec![measurement.name.clone(), format!("{:.3}", measurement.value), measurement.unit.to_owned(), aim]
        })
        .collect();
    output::table(&["benchmark", "value", "unit", "aim at most"], &rows)
}

/// The middle one of some measurements.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
