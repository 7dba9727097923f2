use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Json, Router};
use serde_json::json;

use super::*;

type Told = Arc<Mutex<Vec<(Option<String>, Value)>>>;

/// A server of `OpenLineage` that keeps what it is told, and takes nothing more after `most` events.
async fn server(most: usize) -> (String, Told) {
    let told = Told::default();
    let take = move |State(told): State<Told>, headers: HeaderMap, Json(event): Json<Value>| async move {
        let mut told = told.lock().unwrap();
        if told.len() == most {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        told.push((headers.get("authorization").map(|value| value.to_str().unwrap().to_owned()), event));
        StatusCode::CREATED
    };
    let routes = Router::new().route("/api/v1/lineage", axum::routing::post(take)).with_state(told.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    (format!("http://{address}/api/v1/lineage"), told)
}

fn told_to(address: &str, key: Option<&str>) -> Server {
    let config = OpenLineageConfig {
        address: Some(address.to_owned()),
        key: key.and_then(Secret::new),
        namespace: Some("company".to_owned()),
    };
    let made = OpenLineage::new(&config, None);
    assert_eq!(made.names.namespace, "company");
    made.server.unwrap()
}

#[tokio::test]
async fn events_come_in_order_with_the_key() {
    let (address, told) = server(10).await;
    let events = [json!({"number": 1}), json!({"number": 2})];
    told_to(&address, Some("abc123")).send(&events).await.unwrap();
    let told = told.lock().unwrap();
    assert!(told.iter().all(|(key, _)| key.as_deref() == Some("Bearer abc123")));
    assert!(told.iter().map(|(_, event)| event).eq(&events));
}

#[tokio::test]
async fn a_server_that_fails_is_told_no_more_and_its_address_is_not_repeated() {
    let (address, told) = server(1).await;
    let events = [json!(1), json!(2), json!(3)];
    let refused = told_to(&address, None).send(&events).await.unwrap_err();
    assert_eq!(refused, "it answered 503 Service Unavailable");
    assert_eq!(told.lock().unwrap().len(), 1);
    let nobody = told_to("http://127.0.0.1:9/secret", Some("abc123")).send(&events).await.unwrap_err();
    assert!(!nobody.contains("secret") && !nobody.contains("abc123"), "{nobody}");
}

#[test]
fn without_an_address_nobody_is_told() {
    assert!(OpenLineage::new(&OpenLineageConfig::default(), None).is_silent());
    assert!(!format!("{:?}", told_to("http://127.0.0.1:9", Some("abc123"))).contains("abc123"));
}
