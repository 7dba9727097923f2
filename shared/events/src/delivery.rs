//! Events that are brought to the pipeline over HTTP.
//!
//! | what comes | from | recognised by |
//! |---|---|---|
//! | an event in binary mode | Eventarc, any sender | header `ce-specversion` |
//! | an event in structured mode | any sender | content type `application/cloudevents+json` |
//! | a Pub/Sub push with an event in it, in either mode | a push subscription | `message` in the body; attributes `ce-*`, or `content-type` |
//! | a Pub/Sub push with a notification of Cloud Storage | a push subscription | attribute `eventType` |
//! | an event around a Pub/Sub message | Eventarc with a topic | its type |
//!
//! Sources: [HTTP binding](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md),
//! [Pub/Sub binding](https://github.com/googleapis/google-cloudevents/blob/main/docs/spec/pubsub.md),
//! [push](https://cloud.google.com/pubsub/docs/push), [Cloud Storage notifications](https://cloud.google.com/storage/docs/pubsub-notifications).

use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD, Engine};
use cloudevents::binding::http::to_event;
use cloudevents::{AttributesReader, Data};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Error, Fact};

const OBJECT_FINALIZED: &str = "google.cloud.storage.object.v1.finalized";
const MESSAGE_PUBLISHED: &str = "google.cloud.pubsub.topic.v1.messagePublished";

/// An event that was delivered.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Who made the event, as a URI.
    pub source: String,
    /// Unique within the source.
    pub id: String,
    /// The event's `type`.
    pub kind: String,
    /// Its data; null if it has none, or none that is JSON.
    pub data: Value,
}

/// What an event says, as far as this project knows its type.
#[derive(Debug, Clone, PartialEq)]
pub enum Meaning {
    /// An object of Cloud Storage is complete.
    ObjectFinalized { bucket: String, key: String },
    /// Another pipeline, or this one, announces something.
    Fact(Fact),
    /// Nothing that is known here.
    Other,
}

impl Delivery {
    /// Reads a request. [`Error::Rejected`] says what is wrong with it.
    pub fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, Error> {
        if is_event(headers) {
            return Self::of_event(headers, body);
        }
        let push: Push = serde_json::from_slice(body).map_err(|error| {
            Error::rejected(format!(
                "the request is neither a CloudEvent (header ce-specversion, or content type application/cloudevents+json) \
                 nor a push of Pub/Sub (JSON with a message): {error}"
            ))
        })?;
        push.delivery()
    }

    fn of_event(headers: &HeaderMap, body: &[u8]) -> Result<Self, Error> {
        let mut event = to_event(headers, body.to_vec())
            .map_err(|error| Error::rejected(format!("the CloudEvent can't be read: {error}")))?;
        let (_, _, data) = event.take_data();
        let data = match data {
            Some(Data::Json(data)) => data,
            Some(Data::Binary(bytes)) => serde_json::from_slice(&bytes).unwrap_or_default(),
            Some(Data::String(_)) | None => Value::Null,
        };
        if event.ty() == MESSAGE_PUBLISHED {
            let push: Push = serde_json::from_value(data).map_err(|error| {
                Error::rejected(format!("the data of a {MESSAGE_PUBLISHED} event can't be read: {error}"))
            })?;
            return push.delivery();
        }
        Ok(Self { source: event.source().to_owned(), id: event.id().to_owned(), kind: event.ty().to_owned(), data })
    }

    /// What it says. [`Error::Rejected`] if its data is not what its type promises.
    pub fn meaning(&self) -> Result<Meaning, Error> {
        if self.kind == OBJECT_FINALIZED {
            let object = StorageObject::deserialize(&self.data).map_err(|error| {
                Error::rejected(format!("the data of event {} from {} names no object: {error}", self.id, self.source))
            })?;
            return Ok(Meaning::ObjectFinalized { bucket: object.bucket, key: object.name });
        }
        Ok(Fact::from_data(&self.kind, self.data.clone())?.map_or(Meaning::Other, Meaning::Fact))
    }
}

/// The data of an event about an object, as far as it is used:
/// <https://googleapis.github.io/google-cloudevents/examples/binary/storage/StorageObjectData-simple.json>.
#[derive(Deserialize)]
struct StorageObject {
    bucket: String,
    name: String,
}

/// The body of a push.
#[derive(Deserialize)]
struct Push {
    message: Message,
    #[serde(default)]
    subscription: String,
}

/// A push has each name twice, as `messageId` and as `message_id`; one of them is enough.
#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(default)]
    data: String,
    #[serde(rename = "messageId")]
    id: String,
}

impl Push {
    fn delivery(self) -> Result<Delivery, Error> {
        let Self { message, subscription } = self;
        let headers = as_headers(&message.attributes);
        if is_event(&headers) {
            let body = BASE64_STANDARD.decode(&message.data).map_err(|error| {
                Error::rejected(format!("the data of message {} is not in base64: {error}", message.id))
            })?;
            return Delivery::of_event(&headers, &body);
        }
        if let Some(delivery) = notification(&message.attributes) {
            return Ok(delivery);
        }
        // A message without an event: at least it can be told apart from others.
        Ok(Delivery {
            source: format!("//pubsub.googleapis.com/{subscription}"),
            id: message.id,
            kind: MESSAGE_PUBLISHED.to_owned(),
            data: Value::Null,
        })
    }
}

/// A notification of Cloud Storage as the event that Eventarc would make of it. Its id is the object's generation and not
/// the message's, because Cloud Storage may send a notification twice, as two messages.
fn notification(attributes: &BTreeMap<String, String>) -> Option<Delivery> {
    let get = |name: &str| attributes.get(name).map(String::as_str);
    let (bucket, key, generation) = (get("bucketId")?, get("objectId")?, get("objectGeneration")?);
    let kind = match get("eventType")? {
        "OBJECT_FINALIZE" => OBJECT_FINALIZED.to_owned(),
        other => format!("google.cloud.storage.object.v1.{}", other.trim_start_matches("OBJECT_").to_ascii_lowercase()),
    };
    Some(Delivery {
        source: format!("//storage.googleapis.com/projects/_/buckets/{bucket}"),
        id: format!("{kind}/{key}/{generation}"),
        kind,
        data: json!({"bucket": bucket, "name": key}),
    })
}

fn is_event(headers: &HeaderMap) -> bool {
    let content_type = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    // Batches begin with the same letters; one request is one delivery here.
    let structured = content_type.is_some_and(|kind| {
        kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/cloudevents+json"))
    });
    structured || headers.contains_key("ce-specversion")
}

/// The attributes of a message are what headers are in HTTP. Those that could not be a header say nothing about an event.
fn as_headers(attributes: &BTreeMap<String, String>) -> HeaderMap {
    attributes
        .iter()
        .filter_map(|(name, value)| {
            Some((HeaderName::try_from(name.as_str()).ok()?, HeaderValue::try_from(value.as_str()).ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Event;
    use crate::fact::tests::extracted;

    const OBJECT: &str = r#"{"bucket": "lake", "name": "manifests/orders/2025-08-01/0123456789abcdef.json",
        "generation": "1754006400000000", "timeCreated": "2025-08-01T00:00:00.5Z", "size": "17"}"#;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn event_headers(kind: &str) -> HeaderMap {
        headers(&[
            ("ce-specversion", "1.0"),
            ("ce-id", "17"),
            ("ce-source", "//storage.googleapis.com/projects/_/buckets/lake"),
            ("ce-type", kind),
            ("content-type", "application/json; charset=utf-8"),
        ])
    }

    fn push(attributes: &Value, data: impl AsRef<[u8]>) -> Vec<u8> {
        let message = json!({
            "attributes": attributes,
            "data": BASE64_STANDARD.encode(data),
            "messageId": "900",
            "message_id": "900",
            "publishTime": "2025-08-01T00:00:01Z",
        });
        serde_json::to_vec(
            &json!({"message": message, "subscription": "projects/p/subscriptions/s", "deliveryAttempt": 2}),
        )
        .unwrap()
    }

    fn finalized() -> Meaning {
        Meaning::ObjectFinalized {
            bucket: "lake".to_owned(),
            key: "manifests/orders/2025-08-01/0123456789abcdef.json".to_owned(),
        }
    }

    #[test]
    fn eventarc_sends_events_in_binary_mode() {
        let delivery = Delivery::read(&event_headers(OBJECT_FINALIZED), OBJECT.as_bytes()).unwrap();
        assert_eq!(
            (delivery.source.as_str(), delivery.id.as_str()),
            ("//storage.googleapis.com/projects/_/buckets/lake", "17")
        );
        assert_eq!(delivery.meaning().unwrap(), finalized());
    }

    #[test]
    fn events_come_in_structured_mode_too() {
        let event = Event { pipeline: wap::Identifier::new("retail").unwrap(), fact: extracted("rows", 0) };
        let body = serde_json::to_vec(&event.to_cloud_event().unwrap()).unwrap();
        for content_type in ["application/cloudevents+json", "application/cloudevents+json; charset=UTF-8"] {
            let delivery = Delivery::read(&headers(&[("content-type", content_type)]), &body).unwrap();
            assert_eq!((&delivery.source, &delivery.id), (&event.source(), &event.fact.id()));
            assert_eq!(delivery.meaning().unwrap(), Meaning::Fact(event.fact.clone()));
        }
    }

    #[test]
    fn a_push_holds_an_event_in_either_mode() {
        let attributes = json!({"ce-specversion": "1.0", "ce-id": "17", "ce-source": "//a", "ce-type": OBJECT_FINALIZED,
            "content-type": "application/json", "googclient_schemaencoding": "JSON"});
        let binary = Delivery::read(&HeaderMap::new(), &push(&attributes, OBJECT)).unwrap();
        assert_eq!((binary.source.as_str(), binary.id.as_str()), ("//a", "17"));
        assert_eq!(binary.meaning().unwrap(), finalized());
        let event = json!({"specversion": "1.0", "id": "17", "source": "//a", "type": OBJECT_FINALIZED,
            "data": serde_json::from_str::<Value>(OBJECT).unwrap()});
        let attributes = json!({"content-type": "application/cloudevents+json"});
        let json_body = headers(&[("content-type", "application/json")]);
        assert_eq!(Delivery::read(&json_body, &push(&attributes, event.to_string())).unwrap(), binary);
    }

    #[test]
    fn a_notification_of_cloud_storage_is_an_event() {
        let attributes = json!({"eventType": "OBJECT_FINALIZE", "bucketId": "lake", "objectGeneration": "1754006400000000",
            "objectId": "manifests/orders/2025-08-01/0123456789abcdef.json", "eventTime": "2025-08-01T00:00:00.5Z",
            "payloadFormat": "JSON_API_V1", "notificationConfig": "projects/_/buckets/lake/notificationConfigs/1"});
        let delivery = Delivery::read(&HeaderMap::new(), &push(&attributes, OBJECT)).unwrap();
        assert_eq!(delivery.source, "//storage.googleapis.com/projects/_/buckets/lake");
        assert_eq!(delivery.meaning().unwrap(), finalized());
        let mut deleted = attributes;
        deleted["eventType"] = json!("OBJECT_DELETE");
        let deleted = Delivery::read(&HeaderMap::new(), &push(&deleted, OBJECT)).unwrap();
        assert_eq!(deleted.meaning().unwrap(), Meaning::Other);
        assert_ne!(deleted.id, delivery.id);
    }

    #[test]
    fn eventarc_wraps_messages_of_a_topic() {
        let attributes =
            json!({"ce-specversion": "1.0", "ce-id": "17", "ce-source": "//a", "ce-type": OBJECT_FINALIZED});
        let wrapped = Delivery::read(&event_headers(MESSAGE_PUBLISHED), &push(&attributes, OBJECT)).unwrap();
        assert_eq!((wrapped.source.as_str(), wrapped.id.as_str()), ("//a", "17"));
    }

    #[test]
    fn a_message_without_an_event_is_told_apart_from_others() {
        let delivery = Delivery::read(&HeaderMap::new(), &push(&json!({}), "hello")).unwrap();
        assert_eq!(delivery.source, "//pubsub.googleapis.com/projects/p/subscriptions/s");
        assert_eq!(delivery.id, "900");
        assert_eq!(delivery.meaning().unwrap(), Meaning::Other);
    }

    #[test]
    fn what_is_no_event_is_refused_with_what_it_should_be() {
        let batch = headers(&[("content-type", "application/cloudevents-batch+json")]);
        for (headers, body) in [(HeaderMap::new(), "hello"), (HeaderMap::new(), "{}"), (batch, "[]")] {
            let error = Delivery::read(&headers, body.as_bytes()).unwrap_err();
            assert!(error.to_string().contains("ce-specversion"), "{error}");
        }
        let mut without_id = event_headers(OBJECT_FINALIZED);
        without_id.remove("ce-id");
        assert!(Delivery::read(&without_id, OBJECT.as_bytes()).is_err());
        let mut another_version = event_headers(OBJECT_FINALIZED);
        another_version.insert("ce-specversion", HeaderValue::from_static("9.0"));
        assert!(Delivery::read(&another_version, OBJECT.as_bytes()).is_err());
    }

    #[test]
    fn data_that_does_not_fit_its_type_is_refused() {
        let delivery = Delivery::read(&event_headers(OBJECT_FINALIZED), b"{\"bucket\": \"lake\"}").unwrap();
        assert!(matches!(delivery.meaning(), Err(Error::Rejected { .. })));
    }

    proptest! {
        #[test]
        fn no_request_is_too_strange(body in prop::collection::vec(any::<u8>(), 0..200), name in "ce-[a-z]{1,12}", value in "[ -~]{0,20}") {
            let mut headers = event_headers(OBJECT_FINALIZED);
            headers.insert(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
            let _ = Delivery::read(&headers, &body).map(|delivery| delivery.meaning());
            let _ = Delivery::read(&HeaderMap::new(), &body);
        }
    }
}
