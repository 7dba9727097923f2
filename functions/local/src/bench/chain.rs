//! What the chain itself costs a step: the interpreter, HTTP, and the claim with its heartbeat and outcome.

use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use service::{Platform, Problem};
use workflows::{Host, HttpClient, Workflow};

use crate::bench::fixture::{Fixture, begin_attempt};
use crate::bench::{Measurement, median};
use crate::failure::Failure;

const STEPS: u32 = 200;

/// A workflow of nothing but calls, and steps of nothing but their claim.
pub(crate) async fn run(fixture: &Fixture) -> Result<Vec<Measurement>, Failure> {
    let call = calls(fixture).await?;
    let claim = claims(&fixture.platform).await?;
    let measure = |name: &str, value, aim| Measurement { name: name.to_owned(), value, unit: "ms", aim };
    Ok(vec![
        measure("chain: call a function", call, None),
        measure("chain: claim and finish a step", claim, None),
        measure("chain: overhead a step", call + claim, Some(5.0)),
    ])
}

async fn calls(fixture: &Fixture) -> Result<f64, Failure> {
    let source = format!(
        "main:\n  steps:\n    - each:\n        for:\n          value: number\n          range: [1, {STEPS}]\n          steps:\n            \
         - call:\n                call: http.get\n                args:\n                  url: {}/health\n",
        fixture.address()
    );
    let workflow = Workflow::parse("bench.yaml", &source)?;
    let host = Host::new(Arc::new(HttpClient::new()?));
    let mut rounds = Vec::new();
    for _ in 0..5 {
        let started = Instant::now();
        workflow.run(json!({}), &host).await.map_err(|raised| Failure::new(raised.to_string()))?;
        rounds.push(started.elapsed().as_secs_f64() * 1e3 / f64::from(STEPS));
    }
    Ok(median(rounds))
}

async fn claims(platform: &Platform) -> Result<f64, Failure> {
    let attempt = begin_attempt(platform, &[]).await?;
    let mut rounds = Vec::new();
    for step in 0..50 {
        let started = Instant::now();
        let work = async { Ok::<_, Problem>(step) };
        platform.state.step(&attempt, &format!("transform.{step}"), work).await?;
        rounds.push(started.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median(rounds))
}
