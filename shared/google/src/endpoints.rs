//! Where the APIs are: at Google, or where an emulator listens.

/// An API that the project calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    BigQuery,
    Storage,
    PubSub,
    SecretManager,
}

/// The base addresses of the APIs, without a slash at the end. An API without an address of its own is Google's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoints {
    bigquery: Option<String>,
    storage: Option<String>,
    pubsub: Option<String>,
    secret_manager: Option<String>,
}

impl Endpoints {
    /// Sends calls to `api` to `address`: `http://127.0.0.1:9050`, or as emulators print it, `127.0.0.1:9050`.
    #[must_use]
    pub fn with(mut self, api: Api, address: impl Into<String>) -> Self {
        let mut address: String = address.into();
        address.truncate(address.trim_end_matches('/').len());
        if !address.contains("://") {
            address.insert_str(0, "http://");
        }
        let place = match api {
            Api::BigQuery => &mut self.bigquery,
            Api::Storage => &mut self.storage,
            Api::PubSub => &mut self.pubsub,
            Api::SecretManager => &mut self.secret_manager,
        };
        *place = Some(address);
        self
    }

    /// The address of an emulator or private endpoint, if one was given.
    pub fn custom(&self, api: Api) -> Option<&str> {
        match api {
            Api::BigQuery => self.bigquery.as_deref(),
            Api::Storage => self.storage.as_deref(),
            Api::PubSub => self.pubsub.as_deref(),
            Api::SecretManager => self.secret_manager.as_deref(),
        }
    }

    /// The base address of `api`.
    pub fn address(&self, api: Api) -> &str {
        self.custom(api).unwrap_or(match api {
            Api::BigQuery => "https://bigquery.googleapis.com",
            Api::Storage => "https://storage.googleapis.com",
            Api::PubSub => "https://pubsub.googleapis.com",
            Api::SecretManager => "https://secretmanager.googleapis.com",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emulator_takes_the_place_of_one_api_only() {
        let endpoints = Endpoints::default().with(Api::Storage, "http://127.0.0.1:4443/");
        assert_eq!(endpoints.address(Api::Storage), "http://127.0.0.1:4443");
        assert_eq!(endpoints.address(Api::BigQuery), "https://bigquery.googleapis.com");
        assert_eq!(endpoints.custom(Api::PubSub), None);
        let endpoints = endpoints.with(Api::PubSub, "127.0.0.1:8085");
        assert_eq!(endpoints.address(Api::PubSub), "http://127.0.0.1:8085");
    }
}
