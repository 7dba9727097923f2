//! Request bodies and queries of a known shape and a bounded size, or a problem that says what is wrong with them.

use std::fmt;
use std::marker::PhantomData;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::trace::note;
use crate::{Kind, Problem};

/// A parsed request body.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<S, T> FromRequest<S> for Body<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (parts, content) = request.into_parts();
        let content = Bytes::from_request(Request::from_parts(parts.clone(), content), state).await;
        let content = content.map_err(|rejection| problem(&rejection.into()))?;
        let request = Request::from_parts(parts, axum::body::Body::from(content.clone()));
        match Json::<Object<T>>::from_request(request, state).await {
            Ok(Json(Object(body))) => {
                note(&content);
                Ok(Self(body))
            }
            Err(rejection) => Err(problem(&rejection)),
        }
    }
}

/// A JSON object and nothing else. `serde` takes a list for a struct too, its fields by their order.
struct Object<T>(T);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members(PhantomData)).map(Self)
    }
}

struct Members<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for Members<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members))
    }
}

/// Why somebody asks for something, for whoever reads it later. It is kept in the record, so it is a few words.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Reason(String);

impl Reason {
    /// The most characters of a reason.
    const MAX: usize = 1000;
}

impl TryFrom<String> for Reason {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.chars().count() > Self::MAX {
            return Err(format!("a reason has at most {} characters", Self::MAX));
        }
        if text.chars().any(|character| character.is_control() && character != '\n') {
            return Err("a reason has no control characters".to_owned());
        }
        Ok(Self(text))
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> Self {
        reason.0
    }
}

/// What stands behind the `?` of an address.
#[derive(Debug)]
pub struct Parameters<T>(pub T);

impl<S, T> FromRequestParts<S> for Parameters<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(parameters)) => Ok(Self(parameters)),
            Err(rejection) => {
                let detail = rejection.body_text();
                let detail = format!("the query was not accepted; /openapi.json describes it: {detail}");
                Err(Problem::new(Kind::Rejected, "query", detail))
            }
        }
    }
}

fn problem(rejection: &JsonRejection) -> Problem {
    let detail = match rejection {
        JsonRejection::MissingJsonContentType(_) => {
            "the request has no JSON body; send one with `content-type: application/json`".to_owned()
        }
        other => format!("the request body was not accepted; /openapi.json describes it: {}", other.body_text()),
    };
    Problem::new(Kind::Rejected, "body", detail)
}
