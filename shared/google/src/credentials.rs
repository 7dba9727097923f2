//! Who calls: application default credentials, another service account on their behalf, or nobody, for emulators.

use std::fmt;

use google_cloud_auth::credentials::{self as auth, AccessTokenCredentials, CacheableResource};
use google_cloud_auth::errors::CredentialsError;
use http::{Extensions, HeaderMap};

use crate::{Classify, Failure};

/// What every API of this project is called with; what an account may do is said by its roles.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Credentials for every client. Tokens are fetched when first needed, cached and renewed. Cheap to clone.
#[derive(Clone)]
pub struct Credentials {
    client: auth::Credentials,
    token: Option<AccessTokenCredentials>,
    shown: String,
}

/// Credentials that can't be had.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// There are none, or they are malformed.
    #[error(
        "no usable Google credentials; run `gcloud auth application-default login`, or run where a service account is attached"
    )]
    Missing {
        #[source]
        source: google_cloud_auth::build_errors::Error,
    },
    /// No token was given for them.
    #[error(
        "no access token for the Google credentials; check that the account is enabled, and may impersonate if it is to"
    )]
    Refused {
        #[source]
        source: CredentialsError,
    },
}

impl Classify for CredentialError {
    fn failure(&self) -> Failure {
        match self {
            Self::Refused { source } if source.is_transient() => Failure::NOT_CONNECTED,
            Self::Refused { .. } | Self::Missing { .. } => Failure::Final,
        }
    }
}

impl Credentials {
    /// [Application default credentials](https://cloud.google.com/docs/authentication/application-default-credentials): the
    /// file that `gcloud auth application-default login` wrote, or the account that the machine or service runs as. With
    /// `impersonate`, an e-mail address, calls are made as that service account.
    ///
    /// Call it inside of a tokio runtime: tokens are renewed by a task.
    pub fn application_default(impersonate: Option<&str>) -> Result<Self, CredentialError> {
        let missing = |source| CredentialError::Missing { source };
        let own = auth::Builder::default().with_scopes([SCOPE]).build_access_token_credentials().map_err(missing)?;
        let token = match impersonate {
            None => own,
            Some(account) => auth::impersonated::Builder::from_source_credentials(own.into())
                .with_target_principal(account)
                .with_scopes([SCOPE])
                .build_access_token_credentials()
                .map_err(missing)?,
        };
        let shown = impersonate.map_or_else(|| "application default".to_owned(), |account| format!("as {account}"));
        Ok(Self { client: token.clone().into(), token: Some(token), shown })
    }

    /// No credentials: for emulators.
    #[must_use]
    pub fn anonymous() -> Self {
        Self { client: auth::anonymous::Builder::new().build(), token: None, shown: "anonymous".to_owned() }
    }

    /// For Google's own clients.
    pub fn client(&self) -> auth::Credentials {
        self.client.clone()
    }

    /// The headers of one call: `Authorization`, and the project that pays if the credentials name one. Marked sensitive.
    pub async fn headers(&self) -> Result<HeaderMap, CredentialError> {
        let refused = |source| CredentialError::Refused { source };
        match self.client.headers(Extensions::new()).await.map_err(refused)? {
            CacheableResource::New { data, .. } => Ok(data),
            // Never given without an entity tag in the extensions.
            CacheableResource::NotModified => Ok(HeaderMap::new()),
        }
    }

    /// An access token, for clients that make the header themselves; for emulators a word that means nothing.
    pub async fn access_token(&self) -> Result<String, CredentialError> {
        match &self.token {
            None => Ok("anonymous".to_owned()),
            Some(token) => match token.access_token().await {
                Ok(token) => Ok(token.token),
                Err(source) => Err(CredentialError::Refused { source }),
            },
        }
    }
}

/// Says which account, and nothing that could be used as it.
impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Credentials({})", self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn anonymous_credentials_add_nothing_to_a_call() {
        let credentials = Credentials::anonymous();
        assert!(credentials.headers().await.unwrap().is_empty());
        assert_eq!(credentials.access_token().await.unwrap(), "anonymous");
    }

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(format!("{:?}", Credentials::anonymous()), "Credentials(anonymous)");
    }
}
