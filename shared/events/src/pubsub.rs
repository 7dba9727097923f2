//! Events on a Pub/Sub topic.

use std::time::Duration;

use async_trait::async_trait;
use cloudevents::{AttributesReader, Data};
use google::{Api, Budget, Classify, Connection, Failure, retry};
use google_cloud_pubsub::client::Publisher;
use google_cloud_pubsub::error::PublishError;
use google_cloud_pubsub::model::Message;

use crate::{Error, Event, EventSink};

/// Events come one at a time, so there is nothing to wait for that could go along.
const BATCH_DELAY: Duration = Duration::from_millis(1);

/// Publishes events to a topic in binary mode: the attributes of the event are attributes of the message, so that
/// subscriptions can filter by them (`attributes.ce-type = "..."`), and its data is the message's.
#[derive(Debug, Clone)]
pub struct PubSubSink {
    publisher: Publisher,
    topic: String,
    budget: Budget,
}

impl PubSubSink {
    /// `topic` is `projects/PROJECT/topics/NAME`. Whether it exists is found out by the first event.
    pub async fn open(connection: &Connection, topic: &str) -> Result<Self, Error> {
        let publisher = Publisher::builder(topic)
            .with_endpoint(connection.endpoints.address(Api::PubSub))
            .with_credentials(connection.credentials.client())
            .with_retry_policy(connection.budget)
            .with_backoff_policy(connection.budget)
            .set_delay_threshold(BATCH_DELAY)
            .build()
            .await
            .map_err(|error| Error::rejected(format!("the client of topic {topic} can't be made: {error}")))?;
        Ok(Self { publisher, topic: topic.to_owned(), budget: connection.budget })
    }
}

#[async_trait]
impl EventSink for PubSubSink {
    async fn publish(&self, event: &Event) -> Result<(), Error> {
        let id = event.fact.id();
        let message = message(event.to_cloud_event()?);
        // An event that was published twice is one event to whoever reads its id, so an unknown outcome needs no look.
        match retry(&self.budget, "publishing", || publish(&self.publisher, &message)).await {
            Ok(()) => Ok(()),
            Err(error) if error.failure() == Failure::Final => {
                Err(Error::rejected(format!("topic {} did not take event {id}: {error}", self.topic)))
            }
            Err(error) => Err(Error::Unavailable { id, topic: self.topic.clone(), source: Box::new(error) }),
        }
    }
}

async fn publish(publisher: &Publisher, message: &Message) -> Result<(), PublishFailed> {
    publisher.publish(message.clone()).await.map(drop).map_err(PublishFailed)
}

fn message(mut event: cloudevents::Event) -> Message {
    let attributes: Vec<_> = event
        .iter()
        .filter(|(name, _)| *name != "datacontenttype")
        .map(|(name, value)| (format!("ce-{name}"), value.to_string()))
        .chain(event.datacontenttype().map(|kind| ("content-type".to_owned(), kind.to_owned())))
        .collect();
    let data = match event.take_data().2 {
        Some(Data::Json(data)) => data.to_string().into_bytes(),
        Some(Data::String(text)) => text.into_bytes(),
        Some(Data::Binary(bytes)) => bytes,
        None => Vec::new(),
    };
    Message::new().set_attributes(attributes).set_data(data)
}

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct PublishFailed(PublishError);

impl Classify for PublishFailed {
    fn failure(&self) -> Failure {
        match &self.0 {
            PublishError::Rpc(error) => error.failure(),
            // The client is ending, and with it the program.
            _ => Failure::Final,
        }
    }
}
