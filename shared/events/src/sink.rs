//! Where events go.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use cloudevents::{EventBuilder, EventBuilderV10};
use store::{ObjectStore, Precondition};
use wap::Identifier;

use crate::{Error, Fact};

/// A fact, and the pipeline that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub pipeline: Identifier,
    pub fact: Fact,
}

impl Event {
    /// The `source` of its events.
    pub fn source(&self) -> String {
        format!("//bluegreenprint.dev/pipelines/{}", self.pipeline)
    }

    /// The event as CloudEvents has it.
    pub fn to_cloud_event(&self) -> Result<cloudevents::Event, Error> {
        let Self { fact, .. } = self;
        EventBuilderV10::new()
            .id(fact.id())
            .source(self.source())
            .ty(fact.kind())
            .subject(fact.subject())
            .time(fact.at().to_string())
            .data("application/json", fact.data()?)
            .build()
            .map_err(|error| Error::rejected(format!("a {} event can't be made: {error}", fact.kind())))
    }
}

/// Takes events, each at least once. Publishing an event again is harmless.
#[async_trait]
pub trait EventSink: Debug + Send + Sync {
    /// Returns when the event is safe.
    async fn publish(&self, event: &Event) -> Result<(), Error>;
}

/// Keeps events in the store, one object each at `events/ID.json`, in the JSON format of CloudEvents.
#[derive(Debug, Clone)]
pub struct StoreSink {
    store: Arc<dyn ObjectStore>,
}

impl StoreSink {
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store }
    }
}

#[async_trait]
impl EventSink for StoreSink {
    async fn publish(&self, event: &Event) -> Result<(), Error> {
        let id = event.fact.id();
        let mut content = serde_json::to_vec_pretty(&event.to_cloud_event()?)
            .map_err(|error| Error::rejected(format!("event {id} can't be written as JSON: {error}")))?;
        content.push(b'\n');
        match self.store.put(&format!("events/{id}.json"), content.into(), Precondition::Absent).await {
            // The id says what the event says, so it is the same event.
            Ok(_) | Err(store::Error::Conflict { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use cloudevents::AttributesReader;
    use store::Folder;

    use super::*;
    use crate::fact::tests::extracted;

    pub(crate) fn event(digest: &str, second: i64) -> Event {
        Event { pipeline: Identifier::new("retail").unwrap(), fact: extracted(digest, second) }
    }

    #[test]
    fn an_event_has_the_attributes_that_cloudevents_asks_for() {
        let event = event("rows", 0).to_cloud_event().unwrap();
        assert_eq!(event.source(), "//bluegreenprint.dev/pipelines/retail");
        assert_eq!(event.ty(), "dev.bluegreenprint.partition.extracted.v1");
        assert_eq!(event.subject(), Some("orders/2025-08-01"));
        assert_eq!(event.time().unwrap().to_rfc3339(), "2025-08-01T00:00:00+00:00");
        assert_eq!(event.datacontenttype(), Some("application/json"));
    }

    #[tokio::test]
    async fn an_event_that_is_published_twice_is_kept_once() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn ObjectStore> = Arc::new(Folder::open(folder.path()).unwrap());
        let sink = StoreSink::new(store.clone());
        sink.publish(&event("rows", 0)).await.unwrap();
        sink.publish(&event("rows", 0)).await.unwrap();
        sink.publish(&event("rows", 1)).await.unwrap();
        let kept = store.list("events/").await.unwrap();
        assert_eq!(kept.len(), 2);
        let content = store.get(&kept[0].key).await.unwrap().content;
        let read: cloudevents::Event = serde_json::from_slice(&content).unwrap();
        assert_eq!(format!("events/{}.json", read.id()), kept[0].key);
    }
}
