//! Which deliveries were dealt with: Pub/Sub and Eventarc deliver at least once.

use std::sync::Arc;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::{ObjectStore, ObjectStoreExt, Precondition};
use wap::Digest;

use crate::{Delivery, Error};

/// The outcomes of deliveries, by `source` and `id` of their events, at `deliveries/DIGEST.json` in the store.
///
/// An outcome is recorded after the work, not before: a worker that dies in between does not lose the delivery. So two
/// deliveries of one event at the same time are both worked on, and the work has to bear that.
#[derive(Debug, Clone)]
pub struct Inbox {
    store: Arc<dyn ObjectStore>,
}

/// What is stored of a delivery.
#[derive(Debug, Serialize, Deserialize)]
struct Handled<T> {
    source: String,
    id: String,
    #[serde(rename = "type")]
    kind: String,
    at: Timestamp,
    outcome: T,
}

impl Inbox {
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store }
    }

    /// The outcome of an earlier delivery of the same event.
    pub async fn outcome<T: DeserializeOwned>(&self, delivery: &Delivery) -> Result<Option<T>, Error> {
        let found = self.store.get_json::<Handled<T>>(&key(delivery)).await?;
        Ok(found.map(|(handled, _)| handled.outcome))
    }

    /// Records how a delivery ended. The first outcome of an event stays.
    pub async fn record<T: Serialize + Sync>(&self, delivery: &Delivery, outcome: &T) -> Result<(), Error> {
        let handled = Handled {
            source: delivery.source.clone(),
            id: delivery.id.clone(),
            kind: delivery.kind.clone(),
            at: Timestamp::now(),
            outcome,
        };
        let content = serde_json::to_vec(&handled).map_err(|error| {
            Error::rejected(format!("the outcome of event {} can't be written: {error}", delivery.id))
        })?;
        match self.store.put(&key(delivery), content.into(), Precondition::Absent).await {
            Ok(_) | Err(store::Error::Conflict { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Others make source and id, so neither is fit for a key. No URI has a line feed.
fn key(delivery: &Delivery) -> String {
    format!("deliveries/{}.json", Digest::of(format!("{}\n{}", delivery.source, delivery.id)))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use store::Folder;

    use super::*;

    fn delivery(source: &str, id: &str) -> Delivery {
        Delivery {
            source: source.to_owned(),
            id: id.to_owned(),
            kind: "com.example.thing".to_owned(),
            data: Value::Null,
        }
    }

    #[tokio::test]
    async fn an_event_is_known_by_source_and_id() {
        let folder = tempfile::tempdir().unwrap();
        let inbox = Inbox::new(Arc::new(Folder::open(folder.path()).unwrap()));
        let first = delivery("//a", "1");
        assert_eq!(inbox.outcome::<String>(&first).await.unwrap(), None);
        inbox.record(&first, &"done").await.unwrap();
        inbox.record(&first, &"done otherwise").await.unwrap();
        assert_eq!(inbox.outcome::<String>(&first).await.unwrap().as_deref(), Some("done"));
        assert_eq!(inbox.outcome::<String>(&delivery("//b", "1")).await.unwrap(), None);
        assert_eq!(inbox.outcome::<String>(&delivery("//a", "2")).await.unwrap(), None);
    }
}
