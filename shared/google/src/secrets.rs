//! Secrets, read from Secret Manager: <https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/access>.

use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use reqwest::StatusCode;
use serde::Deserialize;

use crate::{Api, Classify, Connection, CredentialError, Failure, retry, retry_after};

const TIMEOUT: Duration = Duration::from_secs(15);
/// The longest answer that is read, in bytes: a secret has 64 KiB at most, in base64.
const MAX_ANSWER: usize = 128 * 1024;

/// Why a secret can't be had. No message has anything of it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// There is no such secret or version.
    #[error("{name} does not exist; add a version to the secret, or name another one")]
    NotFound { name: String },
    /// Whoever asks may not, or the version is disabled or destroyed.
    #[error("{name} can't be read; grant this account roles/secretmanager.secretAccessor on the secret: {reason}")]
    Refused { name: String, reason: String },
    /// Nobody answered.
    #[error("Secret Manager did not answer for {name}: {reason}")]
    Unavailable { name: String, reason: String, failure: Failure },
    /// The answer is not what was stored.
    #[error("{name} came damaged")]
    Damaged { name: String },
    #[error(transparent)]
    Credentials(#[from] CredentialError),
}

impl Classify for SecretError {
    fn failure(&self) -> Failure {
        match self {
            Self::NotFound { .. } | Self::Refused { .. } => Failure::Final,
            Self::Unavailable { failure, .. } => *failure,
            Self::Damaged { .. } => Failure::NO_ANSWER,
            Self::Credentials(error) => error.failure(),
        }
    }
}

/// Reads secrets.
#[derive(Debug)]
pub struct SecretManager {
    connection: Connection,
    client: reqwest::Client,
}

#[derive(Deserialize)]
struct Answer {
    payload: Payload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    /// In base64.
    #[serde(default)]
    data: String,
    /// A number of 64 bits, as text.
    data_crc32c: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    error: RefusalError,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RefusalError {
    message: String,
}

impl SecretManager {
    pub fn new(connection: Connection) -> Self {
        Self { connection, client: reqwest::Client::new() }
    }

    /// The content of a version, `projects/PROJECT/secrets/NAME/versions/VERSION`.
    pub async fn access(&self, name: &str) -> Result<Vec<u8>, SecretError> {
        retry(&self.connection.budget, "secret read", || self.once(name)).await
    }

    async fn once(&self, name: &str) -> Result<Vec<u8>, SecretError> {
        let unavailable = |failure, reason: String| SecretError::Unavailable { name: name.to_owned(), reason, failure };
        let lost = |error: reqwest::Error| unavailable(Failure::NO_ANSWER, error.without_url().to_string());
        let address = format!("{}/v1/{name}:access", self.connection.endpoints.address(Api::SecretManager));
        let headers = self.connection.credentials.headers().await?;
        let mut response = self.client.get(address).headers(headers).timeout(TIMEOUT).send().await.map_err(lost)?;
        let status = response.status();
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let pause = retry_after(header("retry-after"), header("date"));
        let mut content = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            content.extend_from_slice(&chunk);
            if content.len() > MAX_ANSWER {
                return Err(SecretError::Damaged { name: name.to_owned() });
            }
        }
        if !status.is_success() {
            let reason = serde_json::from_slice::<Refusal>(&content).unwrap_or_default().error.message;
            let reason = if reason.is_empty() { status.to_string() } else { reason };
            return Err(match Failure::of_answer(status.as_u16(), None, pause) {
                Failure::Final if status == StatusCode::NOT_FOUND => SecretError::NotFound { name: name.to_owned() },
                Failure::Final => SecretError::Refused { name: name.to_owned(), reason },
                failure => unavailable(failure, reason),
            });
        }
        let damaged = || SecretError::Damaged { name: name.to_owned() };
        let Answer { payload } = serde_json::from_slice(&content).map_err(|_| damaged())?;
        let data = BASE64_STANDARD.decode(payload.data).map_err(|_| damaged())?;
        let checksum = payload.data_crc32c.and_then(|text| text.parse().ok());
        if checksum.is_some_and(|checksum: u32| checksum != crc32c::crc32c(&data)) {
            return Err(damaged());
        }
        Ok(data)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::extract::Path;
    use axum::routing::get;
    use serde_json::json;

    use super::*;
    use crate::{Budget, Credentials, Endpoints};

    const NAME: &str = "projects/mine/secrets/shop/versions/latest";

    /// Answers as Secret Manager does, the last one again and again. Says how often it was asked.
    async fn manager(answers: Vec<(u16, String)>) -> (SecretManager, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = asked.clone();
        let answer = move |Path(path): Path<String>| async move {
            assert_eq!(path, format!("{NAME}:access"));
            let place = counter.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1);
            let (status, body) = answers[place].clone();
            (StatusCode::from_u16(status).unwrap(), body)
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/v1/{*path}", get(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let budget = Budget { attempts: 3, first_pause: Duration::from_millis(1), ..Budget::STANDARD };
        let endpoints = Endpoints::default().with(Api::SecretManager, address);
        (SecretManager::new(Connection { endpoints, credentials: Credentials::anonymous(), budget }), asked)
    }

    fn stored(data: &[u8], checksum: u32) -> (u16, String) {
        let payload = json!({"data": BASE64_STANDARD.encode(data), "dataCrc32c": checksum.to_string()});
        (200, json!({"name": NAME, "payload": payload}).to_string())
    }

    fn refusal(status: u16, message: &str) -> (u16, String) {
        (status, json!({"error": {"code": status, "message": message}}).to_string())
    }

    #[tokio::test]
    async fn a_secret_is_read_and_what_comes_damaged_is_asked_for_again() {
        let data = b"hunter2";
        let right = stored(data, crc32c::crc32c(data));
        for (answers, times) in [
            (vec![right.clone()], 1),
            (vec![refusal(503, "busy"), right.clone()], 2),
            (vec![stored(data, 7), (200, "{".to_owned()), right], 3),
        ] {
            let (manager, asked) = manager(answers).await;
            assert_eq!(manager.access(NAME).await.unwrap(), data);
            assert_eq!(asked.load(Ordering::Relaxed), times);
        }
        let (manager, _) = manager(vec![stored(data, 7)]).await;
        let error = manager.access(NAME).await.unwrap_err();
        assert!(matches!(error, SecretError::Damaged { .. }) && !format!("{error:?} {error}").contains("hunter2"));
    }

    #[tokio::test]
    async fn what_no_repeat_helps_is_said_at_once() {
        let (missing, asked) = manager(vec![refusal(404, "Secret Version [..] not found.")]).await;
        let error = missing.access(NAME).await.unwrap_err().to_string();
        assert!(error.starts_with(NAME) && error.contains("add a version"), "{error}");
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        let (forbidden, asked) = manager(vec![refusal(403, "Permission denied")]).await;
        let error = forbidden.access(NAME).await.unwrap_err().to_string();
        assert!(error.contains("roles/secretmanager.secretAccessor") && error.contains("Permission denied"), "{error}");
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        let (busy, asked) = manager(vec![refusal(500, "")]).await;
        let error = busy.access(NAME).await.unwrap_err();
        assert!(matches!(error, SecretError::Unavailable { .. }), "{error}");
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }
}
