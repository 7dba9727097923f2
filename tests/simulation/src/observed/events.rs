use std::sync::Arc;

use async_trait::async_trait;
use events::{Error, Event, EventSink};

use super::no_answer;
use crate::{Call, Process};

#[derive(Debug)]
pub(super) struct ObservedSink {
    inner: Arc<dyn EventSink>,
    process: Arc<Process>,
}

impl ObservedSink {
    pub(super) fn new(inner: Arc<dyn EventSink>, process: Arc<Process>) -> Self {
        Self { inner, process }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl EventSink for ObservedSink {
    async fn publish(&self, event: &Event) -> Result<(), Error> {
        let (inner, event) = (self.inner.clone(), event.clone());
        let kind = event.fact.kind();
        let lost = || {
            Error::Store(store::Error::Unavailable { action: "publishing", key: kind.to_owned(), source: no_answer() })
        };
        self.process.call(Call::EventPublish, kind, lost, async move { inner.publish(&event).await }).await
    }
}
