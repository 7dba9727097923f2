//! The section `sources`.

use indexmap::IndexMap;
use wap::Identifier;

use super::named;
use crate::names::Word;
use crate::place::{Fields, Place};
use crate::source::{Postgres, SecretReference, Source, SourceKind, Tls};

/// PostgreSQL's own port.
const POSTGRES_PORT: u16 = 5432;

/// The longest name of a database or role, in bytes: twice what a server keeps.
const LONGEST_NAME: usize = 126;

const HOST: &str = "this is not a host; accepted: a name or address such as db.example.com, or the folder of a Unix \
    socket such as /var/run/postgresql. Port, database, user and password have keys of their own";

const PASSWORD: &str = "a password never stands in this file; say where it is: {environment: NAME}, the variable that \
    holds it, or {secret: NAME}, the secret in Secret Manager";

/// The words for kinds of sources.
#[derive(Clone, Copy, PartialEq)]
enum SourceWord {
    Duckdb,
    Sql,
    Postgres,
}

impl Word for SourceWord {
    const KIND: &'static str = "kind of source";
    const ALL: &'static [(&'static str, Self)] =
        &[("duckdb", Self::Duckdb), ("sql", Self::Sql), ("postgres", Self::Postgres)];
}

pub(super) fn sources(place: &Place<'_>) -> Option<IndexMap<Identifier, Source>> {
    named(place, "source", |name, mut fields| {
        let description = fields.optional("description", Place::owned_text);
        // A source that was refused stays known by its name, so that the tables that name it are not refused as well.
        let mut kind = SourceKind::Duckdb { path: String::new() };
        match fields.required("kind", Place::word) {
            Some(SourceWord::Duckdb) => {
                if let Some(path) = fields.required("path", Place::path) {
                    kind = SourceKind::Duckdb { path };
                }
                fields.finish();
            }
            Some(SourceWord::Sql) => {
                let setup = fields.optional("setup", |place| place.list(|item| item.owned_text()));
                kind = SourceKind::Sql { setup: setup.unwrap_or_default() };
                fields.finish();
            }
            Some(SourceWord::Postgres) => {
                if let Some(postgres) = postgres(fields) {
                    kind = SourceKind::Postgres(postgres);
                }
            }
            None => {}
        }
        Some(Source { name: name.clone(), description, kind })
    })
}

fn postgres(mut fields: Fields<'_>) -> Option<Postgres> {
    let host = fields.required("host", host);
    let port = fields.optional("port", |place| place.integer(1..=u16::MAX)).unwrap_or(POSTGRES_PORT);
    let database = fields.required("database", |place| name(place, "database"));
    let user = fields.required("user", |place| name(place, "user"));
    let password = fields.optional("password", password);
    let tls = fields.optional("tls", |place| {
        let tls: Tls = place.word()?;
        if tls == Tls::Required && host.as_deref().is_some_and(Postgres::is_socket) {
            place.refuse("a Unix socket has no TLS, and needs none; leave the key out");
        }
        Some(tls)
    });
    fields.finish();
    let host = host?;
    let standard = if Postgres::is_on_this_machine(&host) { Tls::Off } else { Tls::Required };
    Some(Postgres { host, port, database: database?, user: user?, password, tls: tls.unwrap_or(standard) })
}

/// What is refused may be an address with a password in it, so it is not repeated.
fn host(place: &Place<'_>) -> Option<String> {
    let is_name = |text: &str| {
        let fits = |character: char| character.is_ascii_alphanumeric() || ".-_:".contains(character);
        text.len() <= 253 && !text.starts_with('-') && text.chars().all(fits)
    };
    match place.text_as_it_is() {
        Some(text) if Postgres::is_socket(text) => place.path(),
        Some(text) if !text.is_empty() && is_name(text) => Some(text.to_owned()),
        _ => {
            place.refuse(HOST);
            None
        }
    }
}

fn name(place: &Place<'_>, kind: &str) -> Option<String> {
    let text = place.text()?;
    if text.len() > LONGEST_NAME || text.contains(char::is_control) {
        place.refuse(format!("the name of the {kind} is over {LONGEST_NAME} bytes, or has control characters in it"));
        return None;
    }
    Some(text.to_owned())
}

/// What is refused may be the password itself, so it is not repeated.
fn password(place: &Place<'_>) -> Option<SecretReference> {
    if !place.is_mapping() {
        place.refuse(PASSWORD);
        return None;
    }
    let mut fields = place.fields()?;
    let (environment, secret) = (fields.get("environment"), fields.get("secret"));
    let found = match (environment, secret) {
        (Some(place), None) => {
            let is_variable = |text: &&str| {
                let fits = |character: char| character.is_ascii_alphanumeric() || character == '_';
                !text.is_empty()
                    && text.len() <= 255
                    && text.chars().all(fits)
                    && !text.starts_with(|first: char| first.is_ascii_digit())
            };
            let variable = place.text_as_it_is().filter(is_variable);
            if variable.is_none() {
                place.refuse(
                    "this is not the name of a variable; accepted: letters, digits and underscores, such as SHOP_PASSWORD. \
                     The password itself never stands in this file",
                );
            }
            variable.map(|variable| SecretReference::Environment(variable.to_owned()))
        }
        (None, Some(place)) => {
            let secret = place.text_as_it_is().and_then(SecretReference::secret);
            if secret.is_none() {
                place.refuse(
                    "this is not the name of a secret; accepted: NAME, projects/PROJECT/secrets/NAME, or \
                     projects/PROJECT/secrets/NAME/versions/VERSION. The password itself never stands in this file",
                );
            }
            secret
        }
        (Some(_), Some(place)) => {
            place.refuse("the password is in one place: keep `environment` or `secret`");
            None
        }
        (None, None) => {
            place.refuse(PASSWORD);
            None
        }
    };
    fields.finish();
    found
}
