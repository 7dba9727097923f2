//! The emulated cloud, for as long as a command runs.

use std::time::Duration;

use emulators::{Emulators, Environment, Options};
use reqwest::StatusCode;
use service::{Config, Target};

use crate::failure::Failure;

/// What the emulated cloud holds the lake in.
const BUCKET: &str = "lake";

/// How often the bucket is asked for, and how long after a failure.
const TRIES: usize = 10;
const PAUSE: Duration = Duration::from_millis(200);

/// Starts emulators where the target wants some and nobody says where they are, and notes their addresses. They go on
/// with what an earlier command left in the home folder, and end when the value is dropped.
pub(crate) async fn start(config: &mut Config) -> Result<Option<Emulators>, Failure> {
    if config.target != Target::Emulators {
        return Ok(None);
    }
    let cloud = &mut config.cloud;
    let bucket = cloud.bucket.get_or_insert_with(|| BUCKET.to_owned()).clone();
    let mut started = None;
    if cloud.bigquery_endpoint.is_none() || cloud.storage_endpoint.is_none() {
        let environment = Environment::at(&config.cache.join("emulator-env"))?;
        let mut options = Options::new(std::path::absolute(config.home.join("emulators"))?, environment);
        if let Some(project) = &cloud.project {
            options.project.clone_from(project);
        }
        options.pubsub = true;
        let emulators = Emulators::start(options).await?;
        let endpoints = emulators.endpoints();
        cloud.project = Some(endpoints.project.clone());
        cloud.bigquery_endpoint = Some(endpoints.bigquery.clone());
        cloud.storage_endpoint = Some(endpoints.storage.clone());
        cloud.pubsub_endpoint.clone_from(&endpoints.pubsub);
        started = Some(emulators);
    }
    if let Some(storage) = &cloud.storage_endpoint {
        make_bucket(storage, &bucket).await?;
    }
    Ok(started)
}

/// In the cloud Terraform does this.
async fn make_bucket(storage: &str, bucket: &str) -> Result<(), Failure> {
    let url = format!("{storage}/storage/v1/b?project=emulated");
    let name = serde_json::json!({ "name": bucket });
    let mut tried = 0;
    loop {
        // Emulators fail on purpose where they are told to.
        let why = match reqwest::Client::new().post(&url).json(&name).send().await {
            Ok(answer) if answer.status().is_success() || answer.status() == StatusCode::CONFLICT => return Ok(()),
            Ok(answer) => answer.status().to_string(),
            Err(error) => error.to_string(),
        };
        tried += 1;
        if tried == TRIES {
            return Err(Failure::new(format!("the emulated bucket {bucket} can't be made: {why}")));
        }
        tokio::time::sleep(PAUSE).await;
    }
}
