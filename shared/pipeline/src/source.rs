//! Where tables are read from.

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;
use wap::Identifier;

use crate::names::Word;

/// A place that tables are read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Source {
    /// Its name.
    pub name: Identifier,
    /// For people.
    pub description: Option<String>,
    /// What it is.
    pub kind: SourceKind,
}

/// What a source is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// A DuckDB file, opened read-only.
    Duckdb {
        /// Relative to the home folder unless absolute.
        path: String,
    },
    /// Anything else that DuckDB reads: other databases through ATTACH, files through table functions.
    Sql {
        /// Statements that are run before rows are read, such as `ATTACH ... (READ_ONLY)`.
        setup: Vec<String>,
    },
    /// A database of a PostgreSQL server.
    Postgres(Postgres),
}

/// A database of a PostgreSQL server, and as whom it is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Postgres {
    /// A name, an address, or the folder of a Unix socket, which begins with a slash.
    pub host: String,
    /// Of a socket it is a part of the file's name.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The role that reads.
    pub user: String,
    /// Where its password is; none where the server asks for none.
    pub password: Option<SecretReference>,
    /// Whether the connection is encrypted.
    pub tls: Tls,
}

/// Whether a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tls {
    /// It is, and the server's certificate is checked.
    Required,
    /// It is not.
    Off,
}

/// Where a secret is. The pipeline file never holds one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretReference {
    /// In an environment variable, by its name.
    Environment(String),
    /// In Secret Manager.
    Secret {
        /// The project; without it the one that the pipeline runs in.
        project: Option<String>,
        /// Its name there.
        name: String,
        /// A number, an alias, or `latest`.
        version: String,
    },
}

impl Postgres {
    /// Whether `host` is the folder of a Unix socket.
    pub fn is_socket(host: &str) -> bool {
        host.starts_with('/')
    }

    /// Whether nothing that is said to `host` leaves this machine.
    pub fn is_on_this_machine(host: &str) -> bool {
        Self::is_socket(host)
            || host.eq_ignore_ascii_case("localhost")
            || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    }
}

/// The database and where it is, for people.
impl fmt::Display for Postgres {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "database {} on {}, port {}", self.database, self.host, self.port)
    }
}

impl SecretReference {
    /// Reads `NAME`, `projects/PROJECT/secrets/NAME` or `projects/PROJECT/secrets/NAME/versions/VERSION`.
    pub(crate) fn secret(text: &str) -> Option<Self> {
        let (project, name, version) = match *text.split('/').collect::<Vec<_>>() {
            [name] => (None, name, "latest"),
            ["projects", project, "secrets", name] => (Some(project), name, "latest"),
            ["projects", project, "secrets", name, "versions", version] => (Some(project), name, version),
            _ => return None,
        };
        let is_made_of = |text: &str, others: &str| {
            let fits = |character: char| character.is_ascii_alphanumeric() || others.contains(character);
            !text.is_empty() && text.len() <= 255 && text.chars().all(fits)
        };
        let is_right = project.is_none_or(|project| is_made_of(project, "-.:") && !project.contains(".."))
            && is_made_of(name, "-_")
            && is_made_of(version, "-_");
        is_right.then(|| Self::Secret {
            project: project.map(str::to_owned),
            name: name.to_owned(),
            version: version.to_owned(),
        })
    }
}

impl Word for Tls {
    const KIND: &'static str = "way to connect";
    const ALL: &'static [(&'static str, Self)] = &[("required", Self::Required), ("off", Self::Off)];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_on_this_machine_is_known_by_its_host() {
        for host in ["/var/run/postgresql", "localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1"] {
            assert!(Postgres::is_on_this_machine(host), "{host}");
        }
        for host in ["db.example.com", "10.0.0.1", "localhost.example.com", "::2", "0.0.0.0"] {
            assert!(!Postgres::is_on_this_machine(host), "{host}");
        }
    }

    #[test]
    fn a_secret_is_named_in_one_of_three_ways() {
        let secret = |project: Option<&str>, version: &str| SecretReference::Secret {
            project: project.map(str::to_owned),
            name: "shop-password".to_owned(),
            version: version.to_owned(),
        };
        for (text, expected) in [
            ("shop-password", secret(None, "latest")),
            ("projects/my-project/secrets/shop-password", secret(Some("my-project"), "latest")),
            ("projects/123456/secrets/shop-password/versions/7", secret(Some("123456"), "7")),
        ] {
            assert_eq!(SecretReference::secret(text), Some(expected));
        }
        for text in
            ["", "a b", "hunter2!", "projects//secrets/a", "secrets/a", "projects/p/secrets/a/versions/", "a/../b", "é"]
        {
            assert_eq!(SecretReference::secret(text), None, "{text}");
        }
    }
}
