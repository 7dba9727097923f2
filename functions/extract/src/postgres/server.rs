//! The connection: how it is made, what is said to every server, and what its errors mean.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use pipeline::{Postgres, Tls};
use rustls::{ClientConfig, RootCertStore};
use service::SourceAccess;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, NoTls, Socket, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::Found;
use crate::Error;

/// How long a server may take to let somebody in.
const PATIENCE: Duration = Duration::from_secs(15);

/// A connection over which nothing comes for so long is asked whether it is still there.
const SILENCE: Duration = Duration::from_mins(1);

/// All answers are of one moment, nothing is written, and a server whose defaults are others answers the same. Nothing of it
/// outlives the transaction, so that whoever gets the connection next from a pool does not find it.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; \
    SET LOCAL TIME ZONE 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL extra_float_digits = 3; \
    SET LOCAL statement_timeout = '30min'; SET LOCAL lock_timeout = '1min'; \
    SET LOCAL idle_in_transaction_session_timeout = '10min'";

/// A transaction on a server. Dropping it ends both.
pub(super) struct Server {
    pub(super) client: Client,
    /// How people know the source.
    pub(super) shown: String,
    name: String,
    connection: JoinHandle<()>,
    runtime: Handle,
}

impl Server {
    /// Connects, and begins the transaction. Blocks, inside of a tokio runtime.
    pub(super) fn open(access: &SourceAccess, at: &Postgres) -> Result<Self, Error> {
        let name = access.source.name.to_string();
        let shown = format!("source {name} ({at})");
        let mut config = Config::new();
        config.host(&at.host).port(at.port).dbname(&at.database).user(&at.user);
        config.application_name("bluegreenprint").connect_timeout(PATIENCE);
        config.keepalives_idle(SILENCE).keepalives_interval(PATIENCE).keepalives_retries(4);
        if let Some(password) = &access.password {
            config.password(password.revealed());
        }
        let runtime = Handle::current();
        let connecting = async {
            match at.tls {
                Tls::Required => connect(config.ssl_mode(SslMode::Require), tls(&shown)?).await,
                Tls::Off => connect(config.ssl_mode(SslMode::Disable), NoTls).await,
            }
            .map_err(|error| refused(&shown, &name, "opened", error))
        };
        let late = || Error::Unavailable {
            message: format!(
                "{shown} did not let anybody in for {} s; check that the server can be reached and extract again",
                PATIENCE.as_secs()
            ),
            source: None,
        };
        let opened = runtime.block_on(async { tokio::time::timeout(PATIENCE, connecting).await });
        let (client, connection) = opened.map_err(|_| late())??;
        let server = Self { client, shown, name, connection, runtime };
        server.wait(server.client.batch_execute(BEGIN)).map_err(|error| server.refused("opened", error))?;
        Ok(server)
    }

    /// Waits for an answer. Not to be called inside of a future.
    pub(super) fn wait<T>(&self, answer: impl Future<Output = T>) -> T {
        self.runtime.block_on(answer)
    }

    /// Ends the connection without a word.
    pub(super) fn hang_up(&self) {
        self.connection.abort();
    }

    /// The columns of what stands after FROM.
    pub(super) fn columns(&self, from: &str, doing: &str) -> Result<Vec<Found>, Error> {
        let found = |statement: Statement| {
            let columns = statement.columns().iter();
            columns
                .map(|column| Found { name: column.name().to_owned(), column_type: column.type_().clone() })
                .collect()
        };
        let prepared = self.wait(self.client.prepare(&format!("SELECT * FROM {from}")));
        prepared.map(found).map_err(|error| self.refused(doing, error))
    }

    /// The single row that a query answers with, every column as text.
    pub(super) fn row(&self, sql: &str) -> Result<Vec<String>, Error> {
        let row = self.wait(self.client.query_one(sql, &[])).map_err(|error| self.refused("read", error))?;
        let values = (0..row.len()).map(|place| row.try_get::<_, String>(place));
        values.collect::<Result<_, _>>().map_err(|error| self.refused("read", error))
    }

    pub(super) fn refused(&self, doing: &str, error: tokio_postgres::Error) -> Error {
        refused(&self.shown, &self.name, doing, error)
    }
}

async fn connect<T>(config: &Config, tls: T) -> Result<(Client, JoinHandle<()>), tokio_postgres::Error>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
{
    let (client, connection) = config.connect(tls).await?;
    let connection = tokio::spawn(async move {
        // Whoever waits for an answer is told, too.
        if let Err(error) = connection.await {
            tracing::debug!(%error, "the connection to a source broke");
        }
    });
    Ok((client, connection))
}

/// TLS that trusts the authorities that this machine trusts.
fn tls(shown: &str) -> Result<MakeRustlsConnect, Error> {
    let mut authorities = RootCertStore::empty();
    authorities.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if authorities.is_empty() {
        return Err(Error::rejected(format!(
            "{shown} could not be opened: this machine knows no authority that certificates could be of; install \
             ca-certificates, or set SSL_CERT_FILE to a file of certificates"
        )));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::internal("TLS could not be set up"))?
        .with_root_certificates(authorities)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// What an answer of the server, or none, means to whoever asked. No message of either has the password.
fn refused(shown: &str, name: &str, doing: &str, error: tokio_postgres::Error) -> Error {
    let message = |what_to_do: &str| format!("{shown} could not be {doing}; {what_to_do}");
    let reach = "check that the server can be reached and extract again";
    let Some(said) = error.as_db_error() else {
        let is_certificate = causes(&error).any(|cause| {
            let inner = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            let refused = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
            refused.is_some() || cause.to_string().contains("does not support TLS")
        });
        // The library has no kinds of errors that a program could ask for.
        let words = error.to_string();
        let what_to_do = if is_certificate {
            Some(format!(
                "its certificate has to be for that host, of an authority that this machine knows (SSL_CERT_FILE names a file of \
                 others); sources.{name}.tls says whether it is asked for"
            ))
        } else if words.starts_with("invalid configuration") || words.starts_with("authentication error") {
            Some(format!("correct sources.{name}.password in pipeline.yaml, or how the server asks for it"))
        } else {
            None
        };
        return match what_to_do {
            Some(what_to_do) => Error::Rejected { message: message(&what_to_do), source: Some(error.into()) },
            None => Error::Unavailable { message: message(reach), source: Some(error.into()) },
        };
    };
    // What the library makes of it says less.
    let source = Some(said.message().to_owned().into());
    let (state, in_pipeline) = (said.code(), "in pipeline.yaml");
    // https://www.postgresql.org/docs/current/errcodes-appendix.html: the first two letters are a class.
    match state.code().get(..2).unwrap_or_default() {
        _ if *state == SqlState::UNDEFINED_TABLE => {
            Error::NotFound { message: message(&format!("correct the table {in_pipeline}, or the source")), source }
        }
        _ if *state == SqlState::INSUFFICIENT_PRIVILEGE => {
            let what_to_do = "grant its user SELECT on the table, and USAGE on the schema";
            Error::Rejected { message: message(what_to_do), source }
        }
        _ if *state == SqlState::QUERY_CANCELED => {
            let what_to_do = "if it took too long, give the table an index on the column that says when rows changed";
            Error::Unavailable { message: message(what_to_do), source }
        }
        "3D" => Error::NotFound { message: message(&format!("correct sources.{name}.database {in_pipeline}")), source },
        "28" => {
            let what_to_do = format!("correct sources.{name}.user or what its password names {in_pipeline}");
            Error::Rejected { message: message(&what_to_do), source }
        }
        "08" | "40" | "53" | "55" | "57" => Error::Unavailable { message: message(reach), source },
        "XX" | "58" => Error::Internal { message: format!("{shown} could not be {doing}"), source },
        _ => Error::Rejected { message: message(&format!("correct the table {in_pipeline}, or the source")), source },
    }
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| (**error).source())
}
