//! What every Google back end has in common: retries, endpoints, credentials, and who calls.

#[cfg(feature = "google")]
mod credentials;
mod endpoints;
#[cfg(feature = "google")]
mod identity;
#[cfg(feature = "google")]
mod policies;
mod retry;
#[cfg(feature = "google")]
mod secrets;

#[cfg(feature = "google")]
pub use credentials::{CredentialError, Credentials};
pub use endpoints::{Api, Endpoints};
#[cfg(feature = "google")]
pub use identity::{IdentityError, IdentityTokens};
pub use retry::{Budget, Classify, Failure, retry, retry_after, retry_checked};
#[cfg(feature = "google")]
pub use secrets::{SecretError, SecretManager};

/// What a back end needs to call Google, or an emulator. Cheap to clone.
#[cfg(feature = "google")]
#[derive(Debug, Clone)]
pub struct Connection {
    pub endpoints: Endpoints,
    pub credentials: Credentials,
    pub budget: Budget,
}
