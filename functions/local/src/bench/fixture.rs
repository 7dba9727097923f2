//! An empty pipeline in a temporary folder, and attempts that need no data.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use jiff::Timestamp;
use service::{Access, Config, Platform, Server};
use state::State;
use utoipa_axum::router::OpenApiRouter;
use wap::{
    ATTEMPT_VERSION, Attempt, AttemptId, Building, Digest, INPUTS_VERSION, Identifier, Inputs, RunId, Verdict, WorkSet,
};

use crate::engine::router;
use crate::failure::Failure;

/// A platform of its own, served on a loopback port.
#[derive(Debug)]
pub(crate) struct Fixture {
    pub platform: Platform,
    server: Server,
    _folder: tempfile::TempDir,
}

impl Fixture {
    pub(crate) async fn new(config: &Config) -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let config = Config { home: folder.path().join("home"), access: Access::Open, ..config.clone() };
        let platform = Platform::open(&config).await?;
        let server = Server::start(
            SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            router(&platform, &config, OpenApiRouter::new())?,
        )
        .await?;
        Ok(Self { platform, server, _folder: folder })
    }

    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.server.address)
    }
}

/// Begins an attempt that is to publish `views`, and makes its slot with one table for each.
pub(crate) async fn begin_attempt(platform: &Platform, views: &[Identifier]) -> Result<AttemptId, Failure> {
    let record = platform.state.record().await?;
    let slot = record.next_slot(State::new_attempt_id()?);
    let inputs = Inputs { version: INPUTS_VERSION, ..Inputs::default() };
    let attempt = Attempt {
        version: ATTEMPT_VERSION,
        slot: slot.clone(),
        run: RunId::new("bench")?,
        begun_at: Timestamp::now(),
        inputs: Digest::of_json(&inputs).map_err(|error| Failure::new(error.to_string()))?,
        project: Digest::of("bench"),
        work: WorkSet::default(),
        continues: None,
        steps: BTreeMap::new(),
        verdict: None,
        ended: None,
    };
    platform.state.create_attempt(&attempt, &inputs).await?;
    let building = Building { slot: slot.clone(), run: attempt.run.clone(), since: attempt.begun_at };
    platform.state.update_record(|record| record.clone().begin(&record, building.clone())).await?;
    if !views.is_empty() {
        platform.warehouse.create(&slot, None, &[]).await?;
        let file =
            platform.slot_file(&slot).ok_or_else(|| Failure::new("the bench measures the target duckdb only"))?;
        let connection = duckdb::Connection::open(file)?;
        for view in views {
            connection.execute_batch(&format!(
                "CREATE SCHEMA IF NOT EXISTS mart; CREATE TABLE mart.{view} AS SELECT range AS id, 'row ' || range AS name \
                 FROM range(1000)"
            ))?;
        }
        connection.close().map_err(|(_, error)| error)?;
    }
    Ok(attempt.id().clone())
}

/// Gives an attempt a verdict without findings for a slot of this content.
pub(crate) async fn pass(platform: &Platform, attempt: &AttemptId, fingerprint: &Digest) -> Result<(), Failure> {
    let verdict = Verdict { fingerprint: fingerprint.clone(), rules: Vec::new(), tables: Vec::new() };
    platform
        .state
        .update_attempt(attempt, |attempt| {
            let mut next = attempt.clone();
            next.verdict = Some(verdict.clone());
            Some(next)
        })
        .await?;
    Ok(())
}
