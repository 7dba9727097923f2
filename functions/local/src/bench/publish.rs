//! The publish step alone, for 10, 30 and 100 views: fingerprint, dry run, commit, receipt, link.

use std::time::Instant;

use serde_json::{Value, json};
use store::{ObjectStoreExt, Precondition};
use wap::Identifier;
use warehouse::{DeploymentRow, Publication, PublishedColumn, PublishedView};

use crate::bench::fixture::{Fixture, begin_attempt, pass};
use crate::bench::{Measurement, median};
use crate::failure::Failure;

/// Publishes some cycles of each size over HTTP.
pub(crate) async fn run(fixture: &Fixture) -> Result<Vec<Measurement>, Failure> {
    let mut measurements = Vec::new();
    for views in [10, 30, 100] {
        let mut rounds = Vec::new();
        for _ in 0..5 {
            rounds.push(publish(fixture, views).await?);
        }
        let name = format!("publish: {views} views");
        measurements.push(Measurement { name, value: median(rounds), unit: "ms", aim: Some(100.0) });
    }
    Ok(measurements)
}

async fn publish(fixture: &Fixture, count: usize) -> Result<f64, Failure> {
    let platform = &fixture.platform;
    let names = (0..count).map(|number| Identifier::new(format!("view_{number}"))).collect::<Result<Vec<_>, _>>()?;
    let attempt = begin_attempt(platform, &names).await?;
    let slot = platform.state.attempt(&attempt).await?.slot;
    let column = |name: &str| -> Result<PublishedColumn, Failure> {
        Ok(PublishedColumn { name: Identifier::new(name)?, description: String::new() })
    };
    let views = names
        .iter()
        .map(|name| {
            Ok(PublishedView {
                name: name.clone(),
                schema: Identifier::new("mart")?,
                relation: name.clone(),
                area: None,
                description: String::new(),
                columns: vec![column("id")?, column("name")?],
            })
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let deployment =
        DeploymentRow { cycle: slot.cycle, attempt: attempt.clone(), newest_partition: None, held: Vec::new() };
    let publication = Publication { views, deployment };
    platform.store.put_json(&Publication::key(&attempt), &publication, Precondition::None).await?;
    let fingerprint = platform.warehouse.seal(&slot, &publication).await?;
    pass(platform, &attempt, &fingerprint).await?;

    let client = reqwest::Client::new();
    let started = Instant::now();
    let response =
        client.post(format!("{}/publish", fixture.address())).json(&json!({"attempt": attempt})).send().await?;
    let elapsed = started.elapsed().as_secs_f64() * 1e3;
    if !response.status().is_success() {
        let problem: Value = response.json().await?;
        return Err(Failure::new(problem["detail"].as_str().unwrap_or("publish failed").to_owned()));
    }
    Ok(elapsed)
}
