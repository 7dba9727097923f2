//! Tokens of the tests' own keys, and keys served by the tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::*;

const AUDIENCE: &str = "https://load.example.run.app/events";
const CALLER: &str = "push@project.iam.gserviceaccount.com";

fn signer() -> EncodingKey {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = AsDer::<Pkcs8V1Der>::as_der(&pair).unwrap();
    let encoded = BASE64_STANDARD.encode(der.as_ref());
    EncodingKey::from_rsa_pem(format!("-----BEGIN PRIVATE KEY-----\n{encoded}\n-----END PRIVATE KEY-----\n").as_bytes())
        .unwrap()
}

fn published(id: &str, key: &EncodingKey) -> Value {
    let mut jwk = Jwk::from_encoding_key(key, Algorithm::RS256).unwrap();
    jwk.common.key_id = Some(id.to_owned());
    json!({"keys": [jwk]})
}

/// Serves `keys`, and counts how often it was asked.
async fn serve(keys: Result<String, StatusCode>) -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let router = Router::new().route(
        "/certs",
        get(async move || {
            counter.fetch_add(1, Ordering::Relaxed);
            keys
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/certs", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, asked)
}

fn tokens(address: &str) -> IdentityTokens {
    IdentityTokens::with_keys_at(AUDIENCE, [CALLER.to_owned()], address).unwrap()
}

fn claims() -> Value {
    let now = Timestamp::now().as_second();
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "1", "iat": now - 1, "exp": now + 3600, "email": CALLER, "email_verified": true})
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

fn header(id: &str) -> Header {
    Header { kid: Some(id.to_owned()), ..Header::new(Algorithm::RS256) }
}

/// Three parts as they are, signed by nobody.
fn unsigned(header: &Value, claims: &Value, signature: &str) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{signature}", part(header), part(claims))
}

#[tokio::test]
async fn a_token_counts_only_as_google_made_it_for_this_service_and_this_caller() {
    let (google, other) = (signer(), signer());
    let (address, asked) = serve(Ok(published("one", &google).to_string())).await;
    let tokens = tokens(&address);
    let signed = |claims: &Value| encode(&header("one"), claims, &google).unwrap();
    let now = Timestamp::now().as_second();
    assert_eq!(tokens.caller(&signed(&claims())).await.unwrap(), CALLER);

    let good = signed(&claims());
    let (body, signature) = good.rsplit_once('.').unwrap();
    let mut tampered = signed(&with("aud", json!("https://elsewhere")));
    tampered.replace_range(tampered.rfind('.').unwrap().., &format!(".{signature}"));
    // The public key taken for a secret: whoever believes the token's own algorithm is deceived.
    let shared = EncodingKey::from_secret(published("one", &google)["keys"][0]["n"].as_str().unwrap().as_bytes());
    let symmetric = Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::HS256) };
    let none = json!({"alg": "none", "typ": "JWT", "kid": "one"});
    let cases = [
        ("another audience", signed(&with("aud", json!("https://elsewhere"))), "audience"),
        ("no audience", signed(&without("aud")), "aud"),
        ("another issuer", signed(&with("iss", json!("https://accounts.example.com"))), "issuer"),
        ("no issuer", signed(&without("iss")), "iss"),
        ("expired", signed(&with("exp", json!(now - 120))), "expired"),
        ("without an end", signed(&without("exp")), "exp"),
        ("not before", signed(&with("nbf", json!(now + 600))), "not in force"),
        ("issued in the future", signed(&with("iat", json!(now + 600))), "not in force"),
        ("issued never", signed(&without("iat")), "can't be read"),
        ("no address", signed(&without("email")), "e-mail"),
        ("an address that is not verified", signed(&with("email_verified", json!(false))), "verified"),
        ("nothing about the address", signed(&without("email_verified")), "verified"),
        ("another's key under a known name", encode(&header("one"), &claims(), &other).unwrap(), "signature"),
        ("another's key", encode(&header("two"), &claims(), &other).unwrap(), "does not publish"),
        ("no name of a key", encode(&Header::new(Algorithm::RS256), &claims(), &google).unwrap(), "which key"),
        ("claims of another token", tampered, "signature"),
        ("no algorithm", unsigned(&none, &claims(), ""), "JSON web token"),
        ("no algorithm, and a signature", unsigned(&none, &claims(), signature), "JSON web token"),
        ("a shared secret", encode(&symmetric, &claims(), &shared).unwrap(), "RS256"),
        ("a signature that was taken away", format!("{body}.SIGNATURE_REMOVED_BY_GOOGLE"), ""),
        ("half of it", body.to_owned(), "JSON web token"),
        ("nothing", String::new(), "JSON web token"),
        ("dots", "..".to_owned(), "JSON web token"),
        ("no token", "\u{202e}'; drop table x; --\u{0}".to_owned(), "JSON web token"),
        ("a very long one", "x".repeat(MAX_TOKEN + 1), "too long"),
    ];
    for (name, token, expected) in cases {
        let error = tokens.caller(&token).await.expect_err(name);
        assert!(matches!(error, IdentityError::Invalid(_)), "{name}: {error}");
        let said = error.to_string();
        assert!(said.contains(expected), "{name}: {said}");
        assert!(said.len() < 200 && (token.is_empty() || !said.contains(&token) || token == ".."), "{name}: {said}");
    }
    let somebody = signed(&with("email", json!("somebody@example.com")));
    assert!(matches!(tokens.caller(&somebody).await, Err(IdentityError::NotAllowed { .. })));
    // However many tokens name keys that there are not.
    for number in 0..20 {
        let token = encode(&header(&number.to_string()), &claims(), &other).unwrap();
        tokens.caller(&token).await.expect_err("an unknown key");
    }
    assert_eq!(tokens.caller(&good).await.unwrap(), CALLER);
    assert_eq!(asked.load(Ordering::Relaxed), 1, "the keys were read more often than the pause allows");
}

#[tokio::test]
async fn keys_that_cannot_be_read_are_no_reason_to_refuse_for_good_nor_to_let_in() {
    let google = signer();
    let token = encode(&header("one"), &claims(), &google).unwrap();
    let answers = [
        Err(StatusCode::INTERNAL_SERVER_ERROR),
        Err(StatusCode::FOUND),
        Ok("<html>".to_owned()),
        Ok(format!("{{\"keys\":[],\"padding\":\"{}\"}}", "x".repeat(MAX_KEYS))),
    ];
    for answer in answers {
        let (address, asked) = serve(answer).await;
        let tokens = tokens(&address);
        for _ in 0..3 {
            let error = tokens.caller(&token).await.expect_err("keys that cannot be read");
            assert!(matches!(error, IdentityError::Unavailable(_)), "{error}");
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1, "asked again at once");
    }
    // Nobody listens.
    let error = tokens("http://127.0.0.1:9/certs").caller(&token).await.expect_err("no server");
    assert!(matches!(error, IdentityError::Unavailable(_)), "{error}");
}

#[tokio::test]
async fn many_at_once_have_the_keys_read_once() {
    let google = signer();
    let (address, asked) = serve(Ok(published("one", &google).to_string())).await;
    let tokens = Arc::new(tokens(&address));
    let token = encode(&header("one"), &claims(), &google).unwrap();
    let asking: Vec<_> = (0..32)
        .map(|_| {
            let (tokens, token) = (tokens.clone(), token.clone());
            tokio::spawn(async move { tokens.caller(&token).await })
        })
        .collect();
    for answer in asking {
        assert_eq!(answer.await.unwrap().unwrap(), CALLER);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}
