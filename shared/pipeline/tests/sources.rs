//! PostgreSQL as a source: what is read, and what is refused without a word of what may be a password.

#![expect(clippy::unwrap_used)]

use pipeline::{Pipeline, Postgres, SecretReference, SourceKind, Tls};

fn read(source: &str) -> Result<Postgres, String> {
    let file = format!("sources:\n  shop: {{kind: postgres, {source}}}\n");
    let sources = Pipeline::sources("shop.yaml", &file).map_err(|error| error.to_string())?;
    match sources.into_values().next().unwrap().kind {
        SourceKind::Postgres(postgres) => Ok(postgres),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_not_said_has_a_default() {
    let found = read("host: db.example.com, database: shop, user: reader").unwrap();
    assert_eq!((found.port, found.tls, found.password), (5432, Tls::Required, None));
    for host in ["/var/run/postgresql", "localhost", "127.0.0.1", "'::1'"] {
        assert_eq!(read(&format!("host: {host}, database: shop, user: reader")).unwrap().tls, Tls::Off, "{host}");
    }
    let said = read("host: localhost, port: 6432, database: shop, user: reader, tls: required").unwrap();
    assert_eq!((said.port, said.tls), (6432, Tls::Required));
    assert_eq!(read("host: 10.0.0.5, database: shop, user: reader, tls: off").unwrap().tls, Tls::Off);
}

#[test]
fn a_password_is_named_and_never_written() {
    let password = |text: &str| read(&format!("host: localhost, database: shop, user: reader, password: {text}"));
    assert_eq!(
        password("{environment: SHOP_PASSWORD}").unwrap().password,
        Some(SecretReference::Environment("SHOP_PASSWORD".to_owned()))
    );
    let secret = |project: Option<&str>, version: &str| {
        let project = project.map(str::to_owned);
        Some(SecretReference::Secret { project, name: "shop".to_owned(), version: version.to_owned() })
    };
    assert_eq!(password("{secret: shop}").unwrap().password, secret(None, "latest"));
    let whole = "{secret: projects/p/secrets/shop/versions/3}";
    assert_eq!(password(whole).unwrap().password, secret(Some("p"), "3"));

    // As somebody would write it in a hurry. No message repeats it.
    for wrong in [
        "hunter2!x",
        "12345",
        "[hunter2!x]",
        "{environment: hunter2!x}",
        "{environment: 12345}",
        "{secret: hunter2!x}",
        "{secret: [hunter2!x]}",
        "{value: hunter2!x}",
        "{environment: SHOP, secret: hunter2!x}",
    ] {
        let message = password(wrong).unwrap_err();
        assert!(message.starts_with("shop.yaml:2: sources.shop.password"), "{wrong}: {message}");
        assert!(!message.contains("hunter2") && !message.contains("12345"), "{wrong}: {message}");
    }
    let message = password("hunter2!x").unwrap_err();
    assert!(message.contains("{environment: NAME}") && message.contains("{secret: NAME}"), "{message}");
}

#[test]
fn what_no_server_could_be_reached_by_is_refused() {
    let refusal = |source: &str| read(source).unwrap_err();
    let url = refusal("host: 'postgres://reader:hunter2@db.example.com/shop', database: shop, user: reader");
    assert!(url.contains("sources.shop.host: this is not a host") && !url.contains("hunter2"), "{url}");
    for (source, expected) in [
        ("database: shop, user: reader", "sources.shop: the key `host` is missing"),
        ("host: localhost, user: reader", "sources.shop: the key `database` is missing"),
        ("host: localhost, database: shop", "sources.shop: the key `user` is missing"),
        (
            "host: localhost, database: shop, user: r, port: 0",
            "sources.shop.port: 0 is not a whole number from 1 to 65535",
        ),
        (
            "host: localhost, database: shop, user: r, tls: maybe",
            "\"maybe\" is not a way to connect; accepted: required, off",
        ),
        ("host: /tmp, database: shop, user: r, tls: required", "sources.shop.tls: a Unix socket has no TLS"),
        ("host: localhost, database: \"a\\0b\", user: r", "sources.shop.database: the name of the database"),
        (
            "host: localhost, database: shop, user: r, path: x",
            "sources.shop.path: unknown key; accepted: description, kind",
        ),
        ("host: /tmp/../etc, database: shop, user: r", "sources.shop.host: "),
        ("host: -f, database: shop, user: r", "sources.shop.host: this is not a host"),
    ] {
        let found = refusal(source);
        assert!(found.contains(expected), "{source}: {found}");
    }
}
