//! The environment, read once. Every variable that the program knows is a constant here; nothing else reads any.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::{Access, Token};

/// The pipeline file. Default: `pipeline.yaml`.
pub const BGP_CONFIG: &str = "BGP_CONFIG";
/// The folder of a local pipeline: `bucket/`, `warehouse/`, `source/`. Default: `.bgp`.
pub const BGP_HOME: &str = "BGP_HOME";
/// The back ends: `duckdb`, `emulators` or `bigquery`. Default: `duckdb`.
pub const BGP_TARGET: &str = "BGP_TARGET";
/// The Google Cloud project of datasets, bucket and jobs. Needed for `bigquery`.
pub const BGP_PROJECT: &str = "BGP_PROJECT";
/// Where datasets and bucket are: a region such as `northamerica-northeast1`, or `US`. Needed for `bigquery`.
pub const BGP_LOCATION: &str = "BGP_LOCATION";
/// The bucket of lake and state. Needed for `bigquery`.
pub const BGP_BUCKET: &str = "BGP_BUCKET";
/// The topic that events are published to, by its name or as `projects/PROJECT/topics/NAME`. Without it events are kept in the
/// bucket.
pub const BGP_TOPIC: &str = "BGP_TOPIC";
/// A service account, by e-mail address, that is called as instead of the caller's own.
pub const BGP_IMPERSONATE: &str = "BGP_IMPERSONATE";
/// IAM members, by commas, that own the datasets of slots.
pub const BGP_SLOT_OWNERS: &str = "BGP_SLOT_OWNERS";
/// IAM members, by commas, that may read the datasets of slots: the audit.
pub const BGP_SLOT_READERS: &str = "BGP_SLOT_READERS";
/// The IAM member that dbt runs as: it may write a slot until that is sealed.
pub const BGP_SLOT_WRITER: &str = "BGP_SLOT_WRITER";
/// A service account that may read `live` and nothing else: publish reads a view as it before the commit.
pub const BGP_LIVE_READER: &str = "BGP_LIVE_READER";
/// The addresses of emulators that are running already. Without them `emulators` starts its own.
pub const BGP_BIGQUERY_ENDPOINT: &str = "BGP_BIGQUERY_ENDPOINT";
pub const BGP_STORAGE_ENDPOINT: &str = "BGP_STORAGE_ENDPOINT";
pub const BGP_PUBSUB_ENDPOINT: &str = "BGP_PUBSUB_ENDPOINT";
/// The largest source file that is fetched from the bucket, in MiB. Default: 8192, below Cloud Run's ephemeral disk of 10 GiB.
pub const BGP_SOURCE_LIMIT_MIB: &str = "BGP_SOURCE_LIMIT_MIB";
/// A Python interpreter with dbt. Default: the one that `./bgp` sets up for the target in the cache folder.
pub const BGP_PYTHON: &str = "BGP_PYTHON";
/// The `project.json` of a dbt project that was parsed before, by `parse-project`: for images, in which no file of the project
/// changes. Default: the project's files are read, and parsed when they have changed.
pub const BGP_DBT_PARSED: &str = "BGP_DBT_PARSED";
/// The folder for what can be made again: libduckdb, the dbt environment, build output, parsed projects.
/// Default: `~/.cache/bluegreenprint`.
pub const BGP_CACHE: &str = "BGP_CACHE";
/// Seconds without a heartbeat after which a claim expires. Default: `lease` in the pipeline file.
pub const BGP_LEASE_SECONDS: &str = "BGP_LEASE_SECONDS";
/// The address to listen on. Default: 127.0.0.1, or every address where Cloud Run says `K_SERVICE`.
pub const BGP_LISTEN: &str = "BGP_LISTEN";
/// A secret of at least 32 characters that every request has to bring, as `Authorization: Bearer ...`. Needed to listen beyond
/// loopback outside Cloud Run.
pub const BGP_TOKEN: &str = "BGP_TOKEN";
/// The audience that identity tokens of Google have to be for, where this service checks them itself because Cloud Run lets
/// everybody call it: its URL, as the push subscription has it.
pub const BGP_AUDIENCE: &str = "BGP_AUDIENCE";
/// The service accounts, by e-mail addresses and commas, that may call where this service checks identity tokens.
pub const BGP_CALLERS: &str = "BGP_CALLERS";
/// What to log, as a filter of `tracing`: `info`, `publish=debug,warn` ... Default: `info`.
pub const BGP_LOG: &str = "BGP_LOG";
/// The server that is told what each run read and made, by the variables that `OpenLineage`'s own clients read: its address ...
pub const OPENLINEAGE_URL: &str = "OPENLINEAGE_URL";
/// ... the path there (default: `api/v1/lineage`) ...
pub const OPENLINEAGE_ENDPOINT: &str = "OPENLINEAGE_ENDPOINT";
/// ... a key that every event brings, as `Authorization: Bearer ...` ...
pub const OPENLINEAGE_API_KEY: &str = "OPENLINEAGE_API_KEY";
/// ... and the namespace of jobs and of datasets that nobody else reads. Default: `bluegreenprint`.
pub const OPENLINEAGE_NAMESPACE: &str = "OPENLINEAGE_NAMESPACE";
/// Where spans are exported to, as `OpenTelemetry`'s own libraries read it: an address that takes them at `/v1/traces` below it.
/// Default: nowhere.
pub const OTEL_EXPORTER_OTLP_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// The port to listen on, as Cloud Run gives it. Default: 8080.
pub const PORT: &str = "PORT";
/// Set by Cloud Run: the name of the service.
pub const K_SERVICE: &str = "K_SERVICE";
/// Set by Cloud Run: the name of the job, in a container that answers one request.
pub const CLOUD_RUN_JOB: &str = "CLOUD_RUN_JOB";

/// Set by Google's tools: where application default credentials are.
pub const GOOGLE_APPLICATION_CREDENTIALS: &str = "GOOGLE_APPLICATION_CREDENTIALS";
pub const CLOUDSDK_CONFIG: &str = "CLOUDSDK_CONFIG";

const HOME: &str = "HOME";
const XDG_CACHE_HOME: &str = "XDG_CACHE_HOME";

/// What the environment says.
#[derive(Debug, Clone)]
pub struct Config {
    pub target: Target,
    pub cloud: CloudConfig,
    pub pipeline_file: PathBuf,
    pub home: PathBuf,
    pub cache: PathBuf,
    /// Where it is named; see [`Config::python`].
    pub python: Option<PathBuf>,
    /// Trusted: no file of the project is looked at.
    pub dbt_parsed: Option<PathBuf>,
    pub lease: Option<Duration>,
    pub listen: SocketAddr,
    pub access: Access,
    pub openlineage: OpenLineageConfig,
    pub otlp_endpoint: Option<String>,
    pub log_filter: String,
    pub variables: Variables,
}

/// All variables of the environment, for those that the pipeline file names.
#[derive(Clone, Default)]
pub struct Variables(Arc<BTreeMap<String, String>>);

impl Variables {
    /// The secret that a variable holds; none where it is not set, or empty.
    pub fn secret(&self, name: &str) -> Option<Secret> {
        Secret::text(self.0.get(name)?)
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Variables(..)")
    }
}

/// Who is told what runs read and made.
#[derive(Debug, Clone, Default)]
pub struct OpenLineageConfig {
    /// Where events are posted to; nobody is told without.
    pub address: Option<String>,
    pub key: Option<Secret>,
    pub namespace: Option<String>,
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// `None` if it could not be in a header.
    pub fn new(text: &str) -> Option<Self> {
        (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())).then(|| Self(text.to_owned()))
    }

    /// Any text but an empty one.
    pub fn text(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// The text itself, for whoever asks for it by its protocol.
    pub fn revealed(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(..)")
    }
}

/// The back ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A folder and an embedded warehouse.
    Duckdb,
    /// The clients of the cloud, and emulators of its services on this machine.
    Emulators,
    /// Google Cloud.
    Bigquery,
}

impl Target {
    const ALL: [(&str, Self); 3] =
        [("duckdb", Self::Duckdb), ("emulators", Self::Emulators), ("bigquery", Self::Bigquery)];
}

/// What the environment says about Google Cloud; all of it may be missing on a laptop.
#[derive(Debug, Clone, Default)]
pub struct CloudConfig {
    pub project: Option<String>,
    pub location: Option<String>,
    pub bucket: Option<String>,
    pub topic: Option<String>,
    pub impersonate: Option<String>,
    pub slot_owners: Vec<String>,
    pub slot_readers: Vec<String>,
    pub slot_writer: Option<String>,
    pub live_reader: Option<String>,
    pub bigquery_endpoint: Option<String>,
    pub storage_endpoint: Option<String>,
    pub pubsub_endpoint: Option<String>,
    pub source_limit_bytes: u64,
    /// The name of the service that this process is an instance of.
    pub service: Option<String>,
    /// The variables by which Google's libraries find credentials, for the process that dbt runs in.
    pub credentials: BTreeMap<String, String>,
}

/// A variable that is missing or malformed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{variable} is {value:?}; {expected}")]
    Malformed { variable: &'static str, value: String, expected: String },
    // What is wrong with a secret is said without it.
    #[error("{BGP_TOKEN} is no secret; {}", Token::EXPECTED)]
    Secret,
    #[error(
        "{BGP_LISTEN} is {address}, where others can reach it; set {BGP_TOKEN} to {}, which every request then has to bring, or \
         listen on 127.0.0.1",
        Token::EXPECTED
    )]
    Unguarded { address: IpAddr },
    #[error("{0} can't be in a header; a key is made of letters, digits and other visible ASCII characters")]
    Key(&'static str),
    #[error("{0} is set and {1} is not; identity tokens are checked for an audience and for who calls")]
    HalfIdentity(&'static str, &'static str),
    #[error("{BGP_TOKEN} and {BGP_AUDIENCE} are both set; a request can bring one of them, so unset the other")]
    TwoIdentities,
    #[error("neither {BGP_CACHE} nor HOME is set; set {BGP_CACHE} to a folder for files that can be made again")]
    NoCache,
}

impl Config {
    /// Reads the process's environment.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_variables(
            &std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
        )
    }

    /// Reads the given environment.
    pub fn from_variables(variables: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let get = |name: &str| variables.get(name).filter(|value| !value.is_empty());
        let target = match get(BGP_TARGET) {
            None => Target::Duckdb,
            Some(text) => {
                let found = Target::ALL.iter().find(|(name, _)| name == text);
                found.ok_or_else(|| malformed(BGP_TARGET, text, "duckdb, emulators or bigquery"))?.1
            }
        };
        let cache = match (get(BGP_CACHE), get(XDG_CACHE_HOME), get(HOME)) {
            (Some(folder), _, _) => PathBuf::from(folder),
            (None, Some(folder), _) => Path::new(folder).join("bluegreenprint"),
            (None, None, Some(home)) => Path::new(home).join(".cache/bluegreenprint"),
            (None, None, None) => return Err(ConfigError::NoCache),
        };
        let port = match get(PORT) {
            None => 8080,
            Some(port) => port.parse().map_err(|_| malformed(PORT, port, "a port is a number from 0 to 65535"))?,
        };
        let address = match (get(BGP_LISTEN), get(K_SERVICE)) {
            (Some(address), _) => {
                address.parse().map_err(|_| malformed(BGP_LISTEN, address, "an IP address such as 127.0.0.1"))?
            }
            (None, Some(_)) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            (None, None) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let access = access(&get)?;
        if matches!(access, Access::Open) && !address.is_loopback() && get(K_SERVICE).is_none() {
            return Err(ConfigError::Unguarded { address });
        }
        let lease = match get(BGP_LEASE_SECONDS) {
            None => None,
            Some(text) => match text.parse::<u64>() {
                Ok(seconds @ 1..=3600) => Some(Duration::from_secs(seconds)),
                _ => return Err(malformed(BGP_LEASE_SECONDS, text, "a whole number of seconds from 1 to 3600")),
            },
        };
        Ok(Self {
            target,
            cloud: CloudConfig::from_variables(&get)?,
            pipeline_file: get(BGP_CONFIG).map_or_else(|| "pipeline.yaml".into(), PathBuf::from),
            home: get(BGP_HOME).map_or_else(|| ".bgp".into(), PathBuf::from),
            python: get(BGP_PYTHON).map(PathBuf::from),
            dbt_parsed: get(BGP_DBT_PARSED).map(PathBuf::from),
            cache,
            lease,
            listen: SocketAddr::new(address, port),
            access,
            openlineage: openlineage(&get)?,
            otlp_endpoint: server(&get, OTEL_EXPORTER_OTLP_ENDPOINT, "http://collector:4318")?,
            variables: Variables(Arc::new(variables.clone())),
            log_filter: checked(&get, BGP_LOG, "a filter such as info, or publish=debug,warn", |text| {
                tracing_subscriber::EnvFilter::try_new(text).is_ok()
            })?
            .unwrap_or_else(|| "info".to_owned()),
        })
    }
}

impl Config {
    /// The interpreter for dbt: with the adapter of the target, which is not known before the command line is read.
    pub fn python(&self) -> PathBuf {
        let environment = match self.target {
            Target::Duckdb => "dbt-env",
            Target::Emulators | Target::Bigquery => "dbt-bigquery-env",
        };
        self.python.clone().unwrap_or_else(|| self.cache.join(environment).join("bin/python"))
    }
}

impl CloudConfig {
    fn from_variables<'a>(get: &impl Fn(&str) -> Option<&'a String>) -> Result<Self, ConfigError> {
        let text = |name: &str| get(name).cloned();
        let account = |name| checked(get, name, "the e-mail address of a service account", is_account);
        let member = "IAM members such as serviceAccount:NAME@PROJECT.iam.gserviceaccount.com";
        let is_member = |text: &str| text.contains(':') && is_made_of(text, "@.-_+:/*");
        let list = |name| -> Result<Vec<String>, ConfigError> {
            let entries =
                |text: &str| -> Vec<String> { text.split(',').map(|entry| entry.trim().to_owned()).collect() };
            let text = checked(get, name, member, |text| entries(text).iter().all(|entry| is_member(entry)))?;
            Ok(text.map(|text| entries(&text)).unwrap_or_default())
        };
        let endpoint = |name| {
            checked(get, name, "an address such as http://127.0.0.1:9050", |text| {
                (text.starts_with("http://") || text.starts_with("https://")) && is_made_of(text, ":/.-_[]")
            })
        };
        let source_limit_mebibytes = match get(BGP_SOURCE_LIMIT_MIB) {
            None => 8192,
            Some(text) => match text.parse::<u64>() {
                Ok(limit @ 1..=1_048_576) => limit,
                _ => return Err(malformed(BGP_SOURCE_LIMIT_MIB, text, "a whole number of MiB from 1 to 1048576")),
            },
        };
        let credentials = [HOME, GOOGLE_APPLICATION_CREDENTIALS, CLOUDSDK_CONFIG];
        Ok(Self {
            project: checked(get, BGP_PROJECT, "the id of a project such as my-project-1", |text| {
                is_made_of(text, "-.:")
            })?,
            location: checked(get, BGP_LOCATION, "a region such as northamerica-northeast1, or US", |text| {
                is_made_of(text, "-")
            })?,
            bucket: checked(get, BGP_BUCKET, "the name of a bucket, without gs://", |text| {
                text.len() >= 3 && !text.contains("..") && is_made_of(text, "-_.")
            })?,
            topic: checked(get, BGP_TOPIC, "the name of a topic, or projects/PROJECT/topics/NAME", |text| {
                !text.contains("..") && is_made_of(text, "-_.~+%/:")
            })?,
            impersonate: account(BGP_IMPERSONATE)?,
            slot_owners: list(BGP_SLOT_OWNERS)?,
            slot_readers: list(BGP_SLOT_READERS)?,
            slot_writer: checked(get, BGP_SLOT_WRITER, member, is_member)?,
            live_reader: account(BGP_LIVE_READER)?,
            bigquery_endpoint: endpoint(BGP_BIGQUERY_ENDPOINT)?,
            storage_endpoint: endpoint(BGP_STORAGE_ENDPOINT)?,
            pubsub_endpoint: endpoint(BGP_PUBSUB_ENDPOINT)?,
            source_limit_bytes: source_limit_mebibytes << 20,
            service: text(K_SERVICE).or_else(|| text(CLOUD_RUN_JOB)),
            credentials: credentials.iter().filter_map(|name| Some(((*name).to_owned(), text(name)?))).collect(),
        })
    }
}

fn openlineage<'a>(get: &impl Fn(&str) -> Option<&'a String>) -> Result<OpenLineageConfig, ConfigError> {
    let url = server(get, OPENLINEAGE_URL, "http://marquez:5000")?;
    let path = checked(get, OPENLINEAGE_ENDPOINT, "a path such as api/v1/lineage", |text| {
        !text.contains("..") && is_made_of(text, "/.-_")
    })?;
    let path = path.as_deref().unwrap_or("api/v1/lineage").trim_start_matches('/').to_owned();
    Ok(OpenLineageConfig {
        address: url.map(|url| format!("{}/{path}", url.trim_end_matches('/'))),
        key: match get(OPENLINEAGE_API_KEY) {
            None => None,
            Some(key) => Some(Secret::new(key).ok_or(ConfigError::Key(OPENLINEAGE_API_KEY))?),
        },
        namespace: checked(get, OPENLINEAGE_NAMESPACE, "a name of letters, digits and : / . - _", |text| {
            is_made_of(text, ":/.-_")
        })?,
    })
}

fn server<'a>(
    get: &impl Fn(&str) -> Option<&'a String>,
    variable: &'static str,
    example: &str,
) -> Result<Option<String>, ConfigError> {
    checked(get, variable, &format!("the address of a server, such as {example}"), |text| {
        let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        rest.is_some_and(|rest| !rest.is_empty() && is_made_of(rest, ":/.-_[]"))
    })
}

fn access<'a>(get: &impl Fn(&str) -> Option<&'a String>) -> Result<Access, ConfigError> {
    match (get(BGP_TOKEN), get(BGP_AUDIENCE), get(BGP_CALLERS)) {
        (None, None, None) => Ok(Access::Open),
        (Some(token), None, None) => Ok(Access::Token(Token::new(token).ok_or(ConfigError::Secret)?)),
        (Some(_), _, _) => Err(ConfigError::TwoIdentities),
        (None, Some(audience), Some(callers)) => {
            let callers: Vec<String> = callers.split(',').map(|caller| caller.trim().to_owned()).collect();
            if let Some(wrong) = callers.iter().find(|caller| !is_account(caller)) {
                return Err(malformed(BGP_CALLERS, wrong, "e-mail addresses of service accounts, by commas"));
            }
            let expected = "what the tokens are for: the URL of the service, beginning with https://";
            let is_address = audience.starts_with("https://") && audience.bytes().all(|byte| byte.is_ascii_graphic());
            if audience.len() > 1000 || !is_address {
                return Err(malformed(BGP_AUDIENCE, audience, expected));
            }
            Ok(Access::Identity { audience: audience.clone(), callers })
        }
        (None, Some(_), None) => Err(ConfigError::HalfIdentity(BGP_AUDIENCE, BGP_CALLERS)),
        (None, None, Some(_)) => Err(ConfigError::HalfIdentity(BGP_CALLERS, BGP_AUDIENCE)),
    }
}

/// A variable whose value goes into addresses and statements: nothing but what such a name is made of.
fn checked<'a>(
    get: &impl Fn(&str) -> Option<&'a String>,
    variable: &'static str,
    expected: &str,
    is_right: impl Fn(&str) -> bool,
) -> Result<Option<String>, ConfigError> {
    match get(variable) {
        Some(value) if value.len() > 1000 || !is_right(value) => Err(malformed(variable, value, expected)),
        value => Ok(value.cloned()),
    }
}

fn is_made_of(text: &str, others: &str) -> bool {
    text.chars().all(|character| character.is_ascii_alphanumeric() || others.contains(character))
}

/// `NAME@DOMAIN`, after a prefix such as `serviceAccount:` for a member.
fn is_account(text: &str) -> bool {
    text.split('@').count() == 2 && is_made_of(text, "@.-_+:")
}

fn malformed(variable: &'static str, value: &str, expected: &str) -> ConfigError {
    ConfigError::Malformed { variable, value: value.chars().take(80).collect(), expected: expected.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let mut all = BTreeMap::from([(HOME.to_owned(), "/somebody".to_owned())]);
        all.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Config::from_variables(&all)
    }

    #[test]
    fn defaults_are_those_that_the_constants_document() {
        let config = config(&[]).unwrap();
        assert_eq!(config.pipeline_file, Path::new("pipeline.yaml"));
        assert_eq!(config.home, Path::new(".bgp"));
        assert_eq!(config.cache, Path::new("/somebody/.cache/bluegreenprint"));
        assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    }

    #[test]
    fn a_malformed_variable_is_named_with_its_value() {
        for (name, value) in [(PORT, "many"), (BGP_TARGET, "oracle"), (BGP_LEASE_SECONDS, "0"), (BGP_LISTEN, "here")] {
            let message = config(&[(name, value)]).unwrap_err().to_string();
            assert!(message.contains(name) && message.contains(value), "{message}");
        }
    }

    #[test]
    fn nobody_listens_beyond_loopback_without_a_secret() {
        let secret = "0123456789abcdef0123456789abcdef";
        for address in ["0.0.0.0", "::", "192.168.0.7"] {
            let message = config(&[(BGP_LISTEN, address)]).unwrap_err().to_string();
            assert!(message.contains(BGP_TOKEN) && message.contains(address), "{message}");
            assert!(config(&[(BGP_LISTEN, address), (BGP_TOKEN, secret)]).is_ok());
        }
        assert!(config(&[(BGP_LISTEN, "::1")]).is_ok());
    }

    #[test]
    fn the_server_of_openlineage_is_named_as_its_own_clients_are_told() {
        let found = config(&[(OPENLINEAGE_URL, "http://marquez:5000/"), (OPENLINEAGE_API_KEY, "abc123")]).unwrap();
        assert_eq!(found.openlineage.address.as_deref(), Some("http://marquez:5000/api/v1/lineage"));
        assert!(!format!("{found:?}").contains("abc123"));
        let other = config(&[(OPENLINEAGE_URL, "http://marquez:5000"), (OPENLINEAGE_ENDPOINT, "/in")]).unwrap();
        assert_eq!(other.openlineage.address.as_deref(), Some("http://marquez:5000/in"));
        assert_eq!(config(&[(OPENLINEAGE_ENDPOINT, "in")]).unwrap().openlineage.address, None);
        let message = config(&[(OPENLINEAGE_API_KEY, "abc 123")]).unwrap_err().to_string();
        assert!(message.contains(OPENLINEAGE_API_KEY) && !message.contains("abc"), "{message}");
    }

    #[test]
    fn variables_that_the_pipeline_file_names_are_never_shown() {
        let config = config(&[("SHOP_PASSWORD", "päss word"), ("EMPTY", "")]).unwrap();
        assert_eq!(config.variables.secret("SHOP_PASSWORD").unwrap().revealed(), "päss word");
        assert!(config.variables.secret("EMPTY").is_none() && config.variables.secret("ABSENT").is_none());
        assert!(!format!("{config:?}").contains("word"), "{config:?}");
    }

    #[test]
    fn a_secret_is_never_shown() {
        let secret = "0123456789abcdef0123456789abcdef";
        assert!(!format!("{:?}", config(&[(BGP_TOKEN, secret)]).unwrap()).contains("0123"));
        for wrong in ["0123456789abcdef", "0123456789abcdef 0123456789abcdef", "0123456789abcdef0123456789abcdeé"] {
            let message = config(&[(BGP_TOKEN, wrong)]).unwrap_err().to_string();
            assert!(message.contains(BGP_TOKEN) && !message.contains("0123"), "{message}");
        }
    }

    #[test]
    fn identity_tokens_are_checked_for_an_audience_and_for_who_calls() {
        let (audience, callers) = ((BGP_AUDIENCE, "https://load.example"), (BGP_CALLERS, "a@b.example, c@d.example"));
        let Access::Identity { callers: accounts, .. } = config(&[audience, callers]).unwrap().access else { panic!() };
        assert_eq!(accounts, ["a@b.example", "c@d.example"]);
        let token = (BGP_TOKEN, "0123456789abcdef0123456789abcdef");
        for wrong in [&[audience][..], &[callers], &[audience, (BGP_CALLERS, "everybody")], &[audience, callers, token]]
        {
            assert!(config(wrong).unwrap_err().to_string().contains("BGP_"), "{wrong:?}");
        }
    }

    #[test]
    fn cloud_run_listens_on_every_address_and_nobody_else_does() {
        assert_eq!(config(&[(K_SERVICE, "load"), (PORT, "9000")]).unwrap().listen.to_string(), "0.0.0.0:9000");
        assert_eq!(config(&[(PORT, "9000")]).unwrap().listen.to_string(), "127.0.0.1:9000");
    }
}
