//! Calls of the REST API, <https://cloud.google.com/bigquery/docs/reference/rest>, and their errors.
//!
//! The crate `gcp-bigquery-client` makes the calls that it can make whole: deleting and listing tables, deleting datasets,
//! cancelling jobs; its types of partitioning and clustering are used too. The others are made here, over the same HTTP
//! client and credentials, because of what the crate (0.28) lacks:
//!
//! | what | lacking in the crate |
//! |---|---|
//! | any patch | `If-Match` |
//! | datasets.insert, get | access list, etag, time travel, expirations |
//! | datasets.list | can't read a list without datasets or without an etag |
//! | tables.insert, get | `precision`, `scale` and `roundingMode` of a column |
//! | jobs.insert | `parquetOptions` of a load; the status of an answer that is no JSON |
//! | jobs.getQueryResults | `formatOptions` (fails to encode), without which instants lose microseconds |
//! | jobs.list | reads every kind of job whole, so that one it does not know hides all others |

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use gcp_bigquery_client::auth::Authenticator;
use gcp_bigquery_client::client_builder::ClientBuilder;
use gcp_bigquery_client::error::BQError;
use google::{Api, Budget, Classify, Connection, CredentialError, Credentials, Failure, retry, retry_checked};
use reqwest::header::{HeaderMap, IF_MATCH};
use reqwest::{Method, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::Error;

/// No call takes longer: what takes long is a job, and is asked for again and again.
const CALL_PATIENCE: Duration = Duration::from_mins(1);

/// Calls of one project.
#[derive(Clone)]
pub(super) struct Rest {
    http: reqwest::Client,
    simple: gcp_bigquery_client::Client,
    credentials: Credentials,
    budget: Budget,
    /// Up to and with the project, without a slash at the end.
    address: String,
    project: String,
}

impl fmt::Debug for Rest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Rest");
        shown.field("address", &self.address).field("credentials", &self.credentials).finish_non_exhaustive()
    }
}

/// A call that failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// BigQuery answered, and not with what was asked for.
    #[error("{message} ({}{status})", reason.as_ref().map(|reason| format!("{reason}, ")).unwrap_or_default())]
    Answer { status: u16, reason: Option<String>, message: String, retry_after: Option<Duration> },
    /// No answer came.
    #[error("no answer from BigQuery")]
    NoAnswer {
        is_sent: bool,
        #[source]
        source: reqwest::Error,
    },
    /// The answer is not what is documented, and would not be if it were asked for again.
    #[error("an answer of BigQuery could not be read")]
    Unreadable {
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There was nobody to call as.
    #[error(transparent)]
    Credentials(CredentialError),
}

impl Classify for CallError {
    fn failure(&self) -> Failure {
        match self {
            Self::Answer { status, reason, retry_after, .. } => {
                Failure::of_answer(*status, reason.as_deref(), *retry_after)
            }
            Self::NoAnswer { is_sent: false, .. } => Failure::NOT_CONNECTED,
            Self::NoAnswer { .. } => Failure::NO_ANSWER,
            Self::Unreadable { .. } => Failure::Final,
            Self::Credentials(error) => error.failure(),
        }
    }
}

impl CallError {
    /// The HTTP status of the answer, if there was one.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Answer { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether a query was not run because it would be billed for more than it may.
    pub(super) fn is_over_budget(&self) -> bool {
        matches!(self, Self::Answer { reason: Some(reason), .. } if reason == "bytesBilledLimitExceeded")
    }

    /// As what the caller of the warehouse can do about it. `what` was being done: "reading table raw.orders".
    pub(super) fn context(self, what: impl Into<String>) -> Error {
        let what = what.into();
        if self.failure() != Failure::Final {
            return Error::Unavailable { what, source: Box::new(self) };
        }
        match self.status() {
            Some(404) => {
                let next = format!("BigQuery says: {self}");
                Error::NotFound { what: format!("something that is needed for {what}"), next }
            }
            Some(409 | 412) => Error::Conflict { what, next: "run the step again".to_owned() },
            Some(_) => {
                Error::Rejected { what: format!("{what} was refused by BigQuery"), source: Some(Box::new(self)) }
            }
            None => Error::Internal { what, source: Some(Box::new(self)) },
        }
    }

    fn sending(source: reqwest::Error) -> Self {
        Self::NoAnswer { is_sent: !(source.is_connect() || source.is_builder()), source: source.without_url() }
    }

    async fn answer(response: Response) -> Self {
        let status = response.status().as_u16();
        let header = |name: &str| response.headers().get(name)?.to_str().ok();
        let retry_after = google::retry_after(header("retry-after"), header("date"));
        let body: Value = response.json().await.unwrap_or_default();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Self::Answer {
            status,
            reason: text(&body["error"]["errors"][0]["reason"]),
            // A gateway on the way answers with a page and not with JSON; its status says enough.
            message: text(&body["error"]["message"]).unwrap_or_else(|| "no reason given".to_owned()),
            retry_after,
        }
    }
}

impl From<BQError> for CallError {
    fn from(error: BQError) -> Self {
        match error {
            BQError::ResponseError { error } => {
                let error = error.error;
                Self::Answer {
                    status: u16::try_from(error.code).unwrap_or_default(),
                    reason: error.errors.first().and_then(|first| first.get("reason").cloned()),
                    message: error.message,
                    retry_after: None,
                }
            }
            // Also an answer that is a page of a gateway and no JSON: the crate drops its status.
            BQError::RequestError(source) => Self::sending(source),
            source => Self::Unreadable { source: Box::new(source) },
        }
    }
}

/// Gives the crate's client our credentials.
#[derive(Clone)]
struct Token(Credentials);

#[async_trait::async_trait]
impl Authenticator for Token {
    async fn access_token(&self) -> Result<String, BQError> {
        let refused = |error| BQError::InvalidApplicationDefaultCredentialsAuthenticator(std::io::Error::other(error));
        self.0.access_token().await.map_err(refused)
    }
}

impl Rest {
    pub(super) async fn new(connection: &Connection, project: &str) -> Result<Self, Error> {
        let http = reqwest::Client::builder()
            .timeout(CALL_PATIENCE)
            .build()
            .map_err(|source| CallError::sending(source).context("making an HTTP client"))?;
        let base = format!("{}/bigquery/v2", connection.endpoints.address(Api::BigQuery));
        let simple = ClientBuilder::new()
            .with_v2_base_url(base.clone())
            .with_client(http.clone())
            .build_from_authenticator(Arc::new(Token(connection.credentials.clone())))
            .await
            .map_err(|error| CallError::from(error).context("making a client of BigQuery"))?;
        Ok(Self {
            http,
            simple,
            credentials: connection.credentials.clone(),
            budget: connection.budget,
            address: format!("{base}/projects/{project}"),
            project: project.to_owned(),
        })
    }

    /// The same calls, made by somebody else.
    pub(super) fn with_credentials(&self, credentials: Credentials) -> Self {
        Self { credentials, ..self.clone() }
    }

    pub(super) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Reads; nothing if there is no such thing. `path` is below the project and begins with a slash.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Option<T>, CallError> {
        let call = || async {
            match self.send(self.request(Method::GET, path).query(query)).await {
                Ok(response) => body(response).await.map(Some),
                Err(error) if error.status() == Some(404) => Ok(None),
                Err(error) => Err(error),
            }
        };
        retry(&self.budget, "bigquery get", call).await
    }

    /// Posts what may be posted any number of times.
    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, content: &Value) -> Result<T, CallError> {
        retry(&self.budget, "bigquery post", || self.post_once(path, content)).await
    }

    /// Posts what makes something. Whether it did, if no answer came, `look` finds out.
    pub(super) async fn insert<T, Look>(
        &self,
        path: &str,
        content: &Value,
        look: impl FnMut() -> Look,
    ) -> Result<T, CallError>
    where
        T: DeserializeOwned,
        Look: Future<Output = Result<Option<T>, CallError>>,
    {
        retry_checked(&self.budget, "bigquery insert", || self.post_once(path, content), look).await
    }

    /// Changes what has this etag. A change that took effect without an answer fails with status 412 when it is repeated:
    /// whoever gets one reads again, and finds it changed.
    pub(super) async fn patch<T: DeserializeOwned>(
        &self,
        path: &str,
        etag: &str,
        content: &Value,
    ) -> Result<T, CallError> {
        let call = || async {
            let request = self.request(Method::PATCH, path).header(IF_MATCH, etag).json(content);
            body(self.send(request).await?).await
        };
        retry(&self.budget, "bigquery patch", call).await
    }

    /// Deletes a table or view. That it is not there is no error.
    pub(super) async fn delete_table(&self, dataset: &str, table: &str) -> Result<(), CallError> {
        let call = || async {
            present(self.simple.table().delete(&self.project, dataset, table).await.map_err(CallError::from))
        };
        retry(&self.budget, "bigquery tables.delete", call).await.map(drop)
    }

    /// Deletes a dataset with all that is in it. That it is not there is no error.
    pub(super) async fn delete_dataset(&self, dataset: &str) -> Result<(), CallError> {
        let call = || async {
            present(self.simple.dataset().delete(&self.project, dataset, true).await.map_err(CallError::from))
        };
        retry(&self.budget, "bigquery datasets.delete", call).await.map(drop)
    }

    /// Asks for a job to be cancelled. That it is over is no error.
    pub(super) async fn cancel_job(&self, id: &str, location: &str) -> Result<(), CallError> {
        let call = || async {
            present(self.simple.job().cancel_job(&self.project, id, Some(location)).await.map_err(CallError::from))
        };
        retry(&self.budget, "bigquery jobs.cancel", call).await.map(drop)
    }

    /// Names and types of all tables and views of a dataset; nothing if there is no such dataset.
    pub(super) async fn tables(&self, dataset: &str) -> Result<Option<Vec<(String, String)>>, CallError> {
        let mut found = Vec::new();
        let mut page = None;
        loop {
            let call = || async {
                let mut options = gcp_bigquery_client::table::ListOptions::default().max_results(1000);
                if let Some(token) = &page {
                    options = options.page_token(String::clone(token));
                }
                present(self.simple.table().list(&self.project, dataset, options).await.map_err(CallError::from))
            };
            let Some(list) = retry(&self.budget, "bigquery tables.list", call).await? else { return Ok(None) };
            let tables = list.tables.unwrap_or_default();
            found.extend(
                tables.into_iter().map(|table| (table.table_reference.table_id, table.r#type.unwrap_or_default())),
            );
            page = list.next_page_token;
            if page.is_none() {
                return Ok(Some(found));
            }
        }
    }

    async fn post_once<T: DeserializeOwned>(&self, path: &str, content: &Value) -> Result<T, CallError> {
        body(self.send(self.request(Method::POST, path).json(content)).await?).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.address))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, CallError> {
        let headers: HeaderMap = self.credentials.headers().await.map_err(CallError::Credentials)?;
        let response = request.headers(headers).send().await.map_err(CallError::sending)?;
        if response.status().is_success() { Ok(response) } else { Err(CallError::answer(response).await) }
    }
}

async fn body<T: DeserializeOwned>(response: Response) -> Result<T, CallError> {
    let content = response.bytes().await.map_err(CallError::sending)?;
    serde_json::from_slice(&content).map_err(|source| CallError::Unreadable { source: Box::new(source) })
}

/// Nothing instead of an error for what is not there.
fn present<T>(outcome: Result<T, CallError>) -> Result<Option<T>, CallError> {
    match outcome {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.status() == Some(404) => Ok(None),
        Err(error) => Err(error),
    }
}

/// How a table is named in the body of a call.
pub(super) fn table_reference(project: &str, dataset: &str, table: &str) -> Value {
    json!({"projectId": project, "datasetId": dataset, "tableId": table})
}
