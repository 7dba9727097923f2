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
        match retry(&self.budget, "pubsub publish", || publish(&self.publisher, &message)).await {
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

#[cfg(test)]
mod tests {
    use emulators::{Emulators, Environment, Options};
    use google::{Credentials, Endpoints};
    use http::HeaderMap;
    use serde_json::json;
    use tokio::sync::mpsc;

    use super::*;
    use crate::sink::tests::event;
    use crate::{Delivery, Meaning};

    fn connection(address: &str) -> Connection {
        Connection {
            endpoints: Endpoints::default().with(Api::PubSub, address),
            credentials: Credentials::anonymous(),
            budget: Budget { attempts: 2, first_pause: Duration::from_millis(5), ..Budget::STANDARD },
        }
    }

    /// What is published comes back by a push subscription, and says the same.
    #[tokio::test(flavor = "multi_thread")]
    async fn events_go_through_pubsub_and_back() {
        let Some(environment) = Environment::for_tests() else { return };
        if !environment.has_pubsub() {
            eprintln!("skipped: the Pub/Sub emulator is not installed");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let options = Options { pubsub: true, ..Options::new(folder.path(), environment) };
        let cloud = Emulators::start(options).await.unwrap();
        let pubsub = cloud.endpoints().pubsub.clone().unwrap();

        let (sender, mut deliveries) = mpsc::unbounded_channel();
        let receive = move |headers: HeaderMap, body: axum::body::Bytes| {
            let sender = sender.clone();
            async move { sender.send(Delivery::read(&headers, &body)).unwrap() }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let push = format!("http://{}/events", listener.local_addr().unwrap());
        let server = axum::Router::new().route("/events", axum::routing::post(receive));
        tokio::spawn(async move { axum::serve(listener, server).await });

        let api = format!("http://{pubsub}/v1/projects/emulated");
        let http = reqwest::Client::new();
        let subscription = json!({"topic": "projects/emulated/topics/events", "pushConfig": {"pushEndpoint": push}});
        for (name, body) in [("topics/events", json!({})), ("subscriptions/load", subscription)] {
            let made = http.put(format!("{api}/{name}")).json(&body).send().await.unwrap();
            assert!(made.status().is_success(), "{name}: {made:?}");
        }

        let sink = PubSubSink::open(&connection(&pubsub), "projects/emulated/topics/events").await.unwrap();
        let sent = event("rows", 0);
        sink.publish(&sent).await.unwrap();
        let delivery =
            tokio::time::timeout(Duration::from_secs(20), deliveries.recv()).await.unwrap().unwrap().unwrap();
        assert_eq!((&delivery.source, &delivery.id), (&sent.source(), &sent.fact.id()));
        assert_eq!(delivery.meaning().unwrap(), Meaning::Fact(sent.fact));

        let nowhere = PubSubSink::open(&connection(&pubsub), "projects/emulated/topics/nowhere").await.unwrap();
        let refused = nowhere.publish(&event("rows", 0)).await;
        assert!(matches!(&refused, Err(Error::Rejected { what }) if what.contains("topics/nowhere")), "{refused:?}");
        cloud.stop().await;
    }

    #[tokio::test]
    async fn a_topic_that_does_not_answer_is_unavailable() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let sink = PubSubSink::open(&connection(&closed.to_string()), "projects/p/topics/t").await.unwrap();
        assert!(matches!(sink.publish(&event("rows", 0)).await, Err(Error::Unavailable { .. })));
    }
}
