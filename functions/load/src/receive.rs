//! Deliveries of events: a manifest that was put in the bucket by somebody else is loaded as if its load had been asked
//! for.
//!
//! The event only says where to look; all that counts is read from the store. So a delivery can come late, twice, out of
//! order or from anybody, and the worst it can do is to have a manifest loaded that is there to be loaded.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State as Extension;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};
use events::{Delivery, Fact, Inbox, Meaning};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use service::{Kind, Platform, Problem, detached, plain};
use utoipa::ToSchema;
use wap::{LedgerStep, Manifest};

use crate::door::{self, MANIFESTS, Named};
use crate::load::{self, LoadItem, Loaded};

/// What became of a delivery. Whatever is answered like this is settled, and need not be delivered again.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Received {
    outcome: Outcome,
    /// For people.
    detail: String,
    /// What was loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    loaded: Option<Loaded>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    /// `raw` holds what the manifest says.
    Loaded,
    /// Something newer of the same partition is there already.
    Superseded,
    /// The event is about something else.
    Ignored,
    /// It can never succeed as it is. It is logged as a warning and kept in `deliveries/`.
    Dead,
}

impl Received {
    fn new(outcome: Outcome, detail: impl Into<String>) -> Self {
        Self { outcome, detail: plain(&detail.into()), loaded: None }
    }

    fn dead(problem: &Problem) -> Self {
        Self::new(Outcome::Dead, problem.detail.clone())
    }
}

/// Takes an event (CloudEvents in binary or structured mode, or a push of Pub/Sub): that an object is in the bucket, or
/// that a partition was extracted. Events about a manifest have it checked and loaded. Anything that a further delivery
/// could not change is answered with 200; whatever else goes wrong is answered so that it is delivered again.
#[utoipa::path(
    post,
    path = "/events",
    request_body(content = serde_json::Value, description = "The data of an event, an event, or a push of Pub/Sub"),
    responses((status = 200, body = Received), (status = 503, description = "To be delivered again"))
)]
pub(crate) async fn receive(
    Extension(platform): Extension<Platform>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Received>, Problem> {
    match body {
        Ok(body) => detached(settle(platform, headers, body)).await.map(Json),
        // It would be as large if it came again.
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            tracing::warn!(outcome = "dead", "a delivery is too large");
            Ok(Json(Received::new(Outcome::Dead, "the event is larger than anything that this pipeline takes")))
        }
        Err(rejection) => Err(Problem::rejected(rejection.body_text())),
    }
}

async fn settle(platform: Platform, headers: HeaderMap, body: Bytes) -> Result<Received, Problem> {
    let delivery = match Delivery::read(&headers, &body) {
        Ok(delivery) => delivery,
        Err(error) => {
            let received = Received::new(Outcome::Dead, error.to_string());
            tracing::warn!(outcome = "dead", error = received.detail, "a delivery can't be read");
            return Ok(received);
        }
    };
    let inbox = Inbox::new(platform.store.clone());
    if let Some(earlier) = inbox.outcome(&delivery).await? {
        return Ok(earlier);
    }
    let received = match act(&platform, &delivery).await {
        Ok(received) => received,
        Err(problem) if matches!(problem.kind, Kind::NotFound | Kind::Rejected) => Received::dead(&problem),
        // Whoever was faster is done, or will be, when it comes again.
        Err(Problem { kind: Kind::Conflict, code, detail }) => {
            return Err(Problem::new(Kind::Unavailable, code, detail));
        }
        Err(problem) => return Err(problem),
    };
    let Delivery { source, id, kind, .. } = &delivery;
    let (source, id, kind) = (plain(source), plain(id), plain(kind));
    match received.outcome {
        Outcome::Dead => tracing::warn!(outcome = "dead", source, id, kind, detail = received.detail, "refused"),
        outcome => tracing::info!(?outcome, source, id, kind, detail = received.detail, "received"),
    }
    inbox.record(&delivery, &received).await?;
    Ok(received)
}

async fn act(platform: &Platform, delivery: &Delivery) -> Result<Received, Problem> {
    let named = match delivery.meaning()? {
        Meaning::ObjectFinalized { key, .. } if key.starts_with(MANIFESTS) => Named::of(&key)?,
        Meaning::ObjectFinalized { key, .. } => {
            return Ok(Received::new(Outcome::Ignored, format!("object {key} is no manifest")));
        }
        Meaning::Fact(Fact::PartitionExtracted(fact)) => {
            Named { table: fact.table, partition: fact.partition, digest: fact.digest }
        }
        Meaning::Fact(_) | Meaning::Other => {
            return Ok(Received::new(Outcome::Ignored, format!("nothing is done about {} events", delivery.kind)));
        }
    };
    let manifest = door::check(platform, &named).await?;
    if let Some(newer) = admit(platform, &named, &manifest).await? {
        let detail = format!("partition {} of table {} has the newer content {newer}", named.partition, named.table);
        return Ok(Received::new(Outcome::Superseded, detail));
    }
    let item = LoadItem::newest(named.table.as_str(), &named.partition);
    let loaded = load::run(platform.clone(), item).await?;
    let detail = format!("partition {} of table {} is loaded", named.partition, named.table);
    Ok(Received { loaded: Some(loaded), ..Received::new(Outcome::Loaded, detail) })
}

/// Makes the manifest the one that was extracted last, unless there is a newer one, which is returned. How old it is says
/// the store, so the order in which events come does not matter.
async fn admit(platform: &Platform, named: &Named, manifest: &Manifest) -> Result<Option<wap::Digest>, Problem> {
    let age = platform.store.head(&named.key()).await?.age;
    let at = Timestamp::now().checked_sub(age).map_err(|error| Problem::internal(error.to_string()))?;
    let step = LedgerStep { digest: named.digest.clone(), rows: manifest.rows, bytes: manifest.bytes, at };
    let entry = platform
        .state
        .update_ledger(&named.table, &named.partition, |entry| {
            let outdone = entry.extracted.as_ref().is_some_and(|last| last.digest == step.digest || last.at > step.at);
            if !outdone {
                entry.extracted = Some(step.clone());
            }
        })
        .await?;
    Ok(entry.extracted.map(|last| last.digest).filter(|last| *last != named.digest))
}
