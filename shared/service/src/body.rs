//! Request bodies and queries of a known shape and a bounded size, or a problem that says what is wrong with them.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

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
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(problem(&rejection)),
        }
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
