//! Who calls: the identity tokens of Google, checked where no platform has done so.
//!
//! A token counts if Google signed it for this audience, it is in force, and it is of an account that may call. Cloud Run
//! takes the signature from tokens that it has checked itself, so such a token is refused here.
//!
//! Source: <https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions>

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use tokio::sync::Mutex;

/// Where Google publishes the keys that it signs identity tokens with.
const KEYS: &str = "https://www.googleapis.com/oauth2/v3/certs";
const ISSUER: &str = "https://accounts.google.com";

/// The longest token that is looked at, in bytes. Google's are some 1,200.
const MAX_TOKEN: usize = 8 * 1024;
/// The longest document of keys that is read, in bytes. Google's is some 2,000.
const MAX_KEYS: usize = 64 * 1024;
/// How long keys are believed. Google publishes a key days before it signs with it.
const LIFETIME: Duration = Duration::from_hours(1);
/// A token of an unknown key has the keys read again, but not more often than this: anybody can send such tokens.
const PAUSE: Duration = Duration::from_mins(1);
/// How soon keys that could not be read are asked for again.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(5);
/// By how much two clocks may differ, in seconds.
const SKEW: i64 = 30;

/// Why a caller is not let in. No message repeats the token.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The token does not count: forged, expired, for somebody else ...
    #[error("the identity token does not count: {0}")]
    Invalid(String),
    /// The token counts, but its account may not call.
    #[error("{account} may not call; the accounts that may are in BGP_CALLERS")]
    NotAllowed { account: String },
    /// Google's keys could not be read: the same token may count later.
    #[error("the keys of {ISSUER} can't be read: {0}")]
    Unavailable(String),
}

/// Checks identity tokens for one audience. Keys are read when the first token comes, and kept.
#[derive(Debug)]
pub struct IdentityTokens {
    audience: String,
    callers: Vec<String>,
    address: String,
    client: reqwest::Client,
    keys: Mutex<Keys>,
}

#[derive(Default)]
struct Keys {
    by_id: HashMap<String, DecodingKey>,
    read: Option<Instant>,
    tried: Option<Instant>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Keys")
            .field("ids", &self.by_id.keys())
            .field("read", &self.read)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Claims {
    iat: i64,
    email: Option<String>,
    #[serde(default)]
    email_verified: bool,
}

impl IdentityTokens {
    /// Tokens for `audience` of the service accounts `callers`, by e-mail address.
    pub fn new(audience: impl Into<String>, callers: impl IntoIterator<Item = String>) -> Result<Self, IdentityError> {
        Self::with_keys_at(audience, callers, KEYS)
    }

    fn with_keys_at(
        audience: impl Into<String>,
        callers: impl IntoIterator<Item = String>,
        address: &str,
    ) -> Result<Self, IdentityError> {
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| IdentityError::Unavailable(error.to_string()))?;
        Ok(Self {
            audience: audience.into(),
            callers: callers.into_iter().collect(),
            address: address.to_owned(),
            client,
            keys: Mutex::default(),
        })
    }

    /// The account that the token is of.
    pub async fn caller(&self, token: &str) -> Result<String, IdentityError> {
        let invalid = |reason: &str| IdentityError::Invalid(reason.to_owned());
        if token.len() > MAX_TOKEN {
            return Err(invalid("it is too long"));
        }
        let header = decode_header(token).map_err(|_| invalid("it is not a signed JSON web token"))?;
        // What the token says of its algorithm decides nothing: Google signs with this one.
        if header.alg != Algorithm::RS256 {
            return Err(invalid("it is not signed with RS256"));
        }
        let key = self.key(&header.kid.ok_or_else(|| invalid("it does not say which key it is signed with"))?).await?;
        let mut expected = Validation::new(Algorithm::RS256);
        expected.set_required_spec_claims(&["exp", "aud", "iss"]);
        expected.set_audience(&[&self.audience]);
        expected.set_issuer(&[ISSUER]);
        expected.validate_nbf = true;
        expected.leeway = SKEW.unsigned_abs();
        let claims =
            decode::<Claims>(token, &key, &expected).map_err(|error| IdentityError::Invalid(reason(&error)))?;
        let Claims { iat, email, email_verified } = claims.claims;
        if iat > Timestamp::now().as_second() + SKEW {
            return Err(invalid("it is not in force yet"));
        }
        let account =
            email.filter(|_| email_verified).ok_or_else(|| invalid("it has no e-mail address that is verified"))?;
        if self.callers.contains(&account) { Ok(account) } else { Err(IdentityError::NotAllowed { account }) }
    }

    async fn key(&self, id: &str) -> Result<DecodingKey, IdentityError> {
        let mut keys = self.keys.lock().await;
        let is_fresh = keys.read.is_some_and(|at| at.elapsed() < LIFETIME);
        if let Some(key) = keys.by_id.get(id).filter(|_| is_fresh) {
            return Ok(key.clone());
        }
        let pause = if is_fresh { PAUSE } else { PAUSE_AFTER_FAILURE };
        if keys.tried.is_none_or(|at| at.elapsed() >= pause) {
            keys.tried = Some(Instant::now());
            match self.read().await {
                Ok(by_id) => *keys = Keys { by_id, read: Some(Instant::now()), tried: keys.tried },
                // Whoever signs with a key that is known is still let in.
                Err(error) if is_fresh => tracing::warn!(%error, "the keys were not read again"),
                Err(error) => return Err(error),
            }
        } else if !is_fresh {
            return Err(IdentityError::Unavailable("they could not be read a moment ago".to_owned()));
        }
        keys.by_id
            .get(id)
            .cloned()
            .ok_or_else(|| IdentityError::Invalid(format!("it is signed with a key that {ISSUER} does not publish")))
    }

    async fn read(&self) -> Result<HashMap<String, DecodingKey>, IdentityError> {
        let unavailable = |error: &dyn std::fmt::Display| IdentityError::Unavailable(error.to_string());
        let response = self.client.get(&self.address).send().await.and_then(reqwest::Response::error_for_status);
        let mut response = response.map_err(|error| unavailable(&error))?;
        let mut content = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| unavailable(&error))? {
            content.extend_from_slice(&chunk);
            if content.len() > MAX_KEYS {
                return Err(unavailable(&format!("they are more than {MAX_KEYS} bytes")));
            }
        }
        let set: JwkSet = serde_json::from_slice(&content).map_err(|error| unavailable(&error))?;
        let key = |jwk: &Jwk| Some((jwk.common.key_id.clone()?, DecodingKey::from_jwk(jwk).ok()?));
        Ok(set.keys.iter().filter_map(key).collect())
    }
}

/// The library's words where they say what is wrong; never what was in the token.
fn reason(error: &jsonwebtoken::errors::Error) -> String {
    use jsonwebtoken::errors::ErrorKind;
    match error.kind() {
        ErrorKind::InvalidSignature => "its signature is not of the key that it names",
        ErrorKind::ExpiredSignature => "it has expired",
        ErrorKind::ImmatureSignature => "it is not in force yet",
        ErrorKind::InvalidAudience => "it is for another audience",
        ErrorKind::InvalidIssuer => "it is of another issuer",
        ErrorKind::MissingRequiredClaim(name) => return format!("its {name} is missing"),
        _ => "it can't be read",
    }
    .to_owned()
}

#[cfg(test)]
mod tests;
