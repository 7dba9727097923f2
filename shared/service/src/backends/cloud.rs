//! BigQuery and Cloud Storage, or emulators of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use dbt::{BigqueryPlace, Place};
use events::{EventSink, PubSubSink, StoreSink};
use google::{Api, Budget, Connection, Credentials, Endpoints};
use pipeline::Pipeline;
use state::Holder;
use store::{CloudStorage, Counted, LocalCopies, ObjectStore};
use wap::{Identifier, Slot};
use warehouse::{BigQuery, Members, Settings};

use super::{Backends, Draft, Local, UNLAYERED};
use crate::config::{BGP_BUCKET, BGP_IMPERSONATE, BGP_LIVE_READER, BGP_LOCATION, BGP_PROJECT, CloudConfig};
use crate::{Config, Problem, Target};

/// What an emulated cloud is called where nobody says otherwise.
const EMULATED: [&str; 3] = ["emulated", "US", "lake"];

/// What is not behind a trait.
#[derive(Debug)]
struct Cloud {
    warehouse: BigQuery,
    copies: LocalCopies,
    project: String,
    location: String,
    pipeline: Identifier,
    max_bytes_billed: Option<u64>,
    impersonate: Option<String>,
    emulator: Option<String>,
}

pub(crate) async fn open(config: &Config, home: &Path, pipeline: &Pipeline) -> Result<Backends, Problem> {
    let cloud = &config.cloud;
    let is_emulated = config.target == Target::Emulators;
    let [project, location, bucket] = named(cloud, is_emulated)?;
    let connection = connection(cloud, is_emulated)?;
    let storage = CloudStorage::open(connection.clone(), &bucket).await?;
    let store: Arc<dyn ObjectStore> = Arc::new(Counted::new(Arc::new(storage.clone())));
    let reader = match &cloud.live_reader {
        Some(account) if !is_emulated => Some(
            Credentials::application_default(Some(account)).map_err(|error| credentials(BGP_LIVE_READER, &error))?,
        ),
        _ => None,
    };
    let events: Arc<dyn EventSink> = match &cloud.topic {
        Some(topic) => {
            let topic = if topic.contains('/') { topic.clone() } else { format!("projects/{project}/topics/{topic}") };
            Arc::new(PubSubSink::open(&connection, &topic).await?)
        }
        None => Arc::new(StoreSink::new(Arc::new(storage.clone()))),
    };
    let warehouse = BigQuery::open(Settings {
        connection,
        project: project.clone(),
        location: location.clone(),
        pipeline: pipeline.name.clone(),
        prefix: pipeline.live.prefix.clone(),
        live: pipeline.live.dataset.clone(),
        raw: pipeline.raw.clone(),
        operations: Identifier::new("ops")?,
        schemas: schemas(pipeline)?,
        members: Members {
            owners: cloud.slot_owners.clone(),
            readers: cloud.slot_readers.clone(),
            writer: cloud.slot_writer.clone(),
        },
        store: store.clone(),
        bucket,
        reader,
        make_fixed_datasets: is_emulated,
    })
    .await?;
    let local = Cloud {
        warehouse: warehouse.clone(),
        copies: LocalCopies::new(storage, home.join("copies"), cloud.source_limit_bytes),
        project,
        location,
        pipeline: pipeline.name.clone(),
        max_bytes_billed: pipeline.limits.max_bytes_billed_per_step,
        impersonate: cloud.impersonate.clone(),
        emulator: cloud.bigquery_endpoint.clone().filter(|_| is_emulated),
    };
    Ok(Backends {
        events,
        store,
        warehouse: Arc::new(warehouse),
        holder: cloud.service.as_deref().map_or_else(Holder::this_process, Holder::instance_of),
        dbt_environment: cloud.credentials.clone(),
        local: Arc::new(local),
    })
}

/// Project, location and bucket.
fn named(cloud: &CloudConfig, is_emulated: bool) -> Result<[String; 3], Problem> {
    let given = [(&cloud.project, BGP_PROJECT), (&cloud.location, BGP_LOCATION), (&cloud.bucket, BGP_BUCKET)];
    let missing: Vec<&str> = given.iter().filter(|(value, _)| value.is_none()).map(|(_, name)| *name).collect();
    if !is_emulated && !missing.is_empty() {
        return Err(Problem::rejected(format!("set {}: the target bigquery needs it", missing.join(" and "))));
    }
    let mut emulated = EMULATED.iter();
    Ok(given.map(|(value, _)| {
        let emulated = emulated.next().copied().unwrap_or_default();
        value.clone().unwrap_or_else(|| emulated.to_owned())
    }))
}

fn connection(cloud: &CloudConfig, is_emulated: bool) -> Result<Connection, Problem> {
    let mut endpoints = Endpoints::default();
    for (api, address) in [
        (Api::BigQuery, &cloud.bigquery_endpoint),
        (Api::Storage, &cloud.storage_endpoint),
        (Api::PubSub, &cloud.pubsub_endpoint),
    ] {
        if let Some(address) = address {
            endpoints = endpoints.with(api, address);
        }
    }
    if is_emulated && (endpoints.custom(Api::BigQuery).is_none() || endpoints.custom(Api::Storage).is_none()) {
        // Otherwise made-up rows would be on their way to Google.
        return Err(Problem::rejected(
            "the target emulators has no emulators to call; start them with `bgp --target emulators`, or set \
             BGP_BIGQUERY_ENDPOINT and BGP_STORAGE_ENDPOINT",
        ));
    }
    let credentials = if is_emulated {
        Credentials::anonymous()
    } else {
        Credentials::application_default(cloud.impersonate.as_deref())
            .map_err(|error| self::credentials(BGP_IMPERSONATE, &error))?
    };
    Ok(Connection { endpoints, credentials, budget: Budget::STANDARD })
}

fn credentials(variable: &str, error: &google::CredentialError) -> Problem {
    Problem::rejected(format!("{error}; {variable} says as whom"))
}

/// Every schema that dbt builds in.
fn schemas(pipeline: &Pipeline) -> Result<Vec<Identifier>, Problem> {
    let mut schemas = vec![Identifier::new(UNLAYERED)?];
    schemas.extend(pipeline.dbt.layers.iter().cloned());
    Ok(schemas)
}

#[async_trait]
impl Local for Cloud {
    fn slot_file(&self, _: &Slot) -> Option<PathBuf> {
        None
    }

    fn place(&self, slot: &Slot, schemas: BTreeMap<String, Identifier>) -> Place {
        let labels = [
            ("pipeline", self.pipeline.as_str().to_lowercase()),
            ("cycle", slot.cycle.to_string()),
            ("attempt", slot.attempt.to_string()),
        ];
        Place::Bigquery(BigqueryPlace {
            project: self.project.clone(),
            location: self.location.clone(),
            schemas,
            dataset_prefix: self.warehouse.slot_dataset(slot, ""),
            labels: labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            maximum_bytes_billed: self.max_bytes_billed,
            impersonate: self.impersonate.clone(),
            emulator: self.emulator.clone(),
        })
    }

    async fn source(&self, path: &str) -> Result<PathBuf, Problem> {
        if Path::new(path).is_absolute() {
            return Ok(path.into());
        }
        Ok(self.copies.bring(path).await?.path)
    }

    async fn draft(&self, path: &str) -> Result<Draft, Problem> {
        if Path::new(path).is_absolute() {
            return Ok(Draft { file: path.into(), object: None });
        }
        let object = self.copies.draft(path).await?;
        Ok(Draft { file: object.path().to_owned(), object: Some(object) })
    }

    async fn keep(&self, draft: Draft) -> Result<bool, Problem> {
        let Some(object) = draft.object else { return Ok(true) };
        match self.copies.send_back(object).await {
            Ok(_) => Ok(true),
            Err(store::Error::Conflict { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
