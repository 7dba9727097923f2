//! Who may send requests.
//!
//! On loopback and on Cloud Run, which asks IAM first, nobody is asked again. Elsewhere a request brings the secret
//! `BGP_TOKEN`. A service of Cloud Run that everybody may call, so that a push reaches it, checks identity tokens itself.

use std::fmt;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::{Kind, Problem};

/// Who may send requests, as the environment says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Whoever reaches the port.
    Open,
    /// Whoever knows a secret.
    Token(Token),
    /// Service accounts, by e-mail address, with an identity token of Google for `audience`.
    Identity { audience: String, callers: Vec<String> },
}

impl Access {
    /// The secret, for this program's own requests.
    pub fn token(&self) -> Option<&str> {
        match self {
            Self::Token(Token(secret)) => Some(secret),
            Self::Open | Self::Identity { .. } => None,
        }
    }
}

/// A secret that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    pub(crate) const EXPECTED: &str = "at least 32 letters, digits or other visible ASCII characters";

    /// `None` if it could be guessed, or could not be in a header.
    pub fn new(secret: &str) -> Option<Self> {
        (secret.len() >= 32 && secret.bytes().all(|byte| byte.is_ascii_graphic())).then(|| Self(secret.to_owned()))
    }

    /// Takes the same time whatever differs: digests are compared, and in constant time.
    fn is(&self, given: &str) -> bool {
        blake3::hash(self.0.as_bytes()) == blake3::hash(given.as_bytes())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(..)")
    }
}

/// Asks every request who sends it. Cheap to clone. The default lets everybody in.
#[derive(Debug, Clone, Default)]
pub struct Guard(Arc<Asks>);

#[derive(Debug, Default)]
enum Asks {
    #[default]
    Nothing,
    Token(Token),
    #[cfg(feature = "google")]
    Identity(google::IdentityTokens),
}

impl Guard {
    /// The guard that the configuration asks for.
    pub fn new(access: &Access) -> Result<Self, Problem> {
        Ok(Self(Arc::new(match access {
            Access::Open => Asks::Nothing,
            Access::Token(token) => Asks::Token(token.clone()),
            #[cfg(feature = "google")]
            Access::Identity { audience, callers } => {
                let tokens = google::IdentityTokens::new(audience, callers.iter().cloned());
                Asks::Identity(tokens.map_err(|error| Problem::internal(error.to_string()))?)
            }
            #[cfg(not(feature = "google"))]
            Access::Identity { .. } => {
                return Err(Problem::rejected(
                    "this program was built without Google's clients and can't check identity tokens; build it with the \
                     feature google, or unset BGP_AUDIENCE and BGP_CALLERS",
                ));
            }
        })))
    }

    /// Sends a request on, or answers it.
    pub(crate) async fn check(State(guard): State<Self>, request: Request, next: Next) -> Response {
        match guard.admit(request.headers()).await {
            Ok(()) => next.run(request).await,
            Err(problem) => problem.into_response(),
        }
    }

    #[cfg_attr(not(feature = "google"), expect(clippy::unused_async, reason = "waits for Google's keys"))]
    async fn admit(&self, headers: &HeaderMap) -> Result<(), Problem> {
        match &*self.0 {
            Asks::Nothing => Ok(()),
            Asks::Token(token) if token.is(bearer(headers)?) => Ok(()),
            Asks::Token(_) => Err(unauthenticated("the token is another one than BGP_TOKEN of this service")),
            #[cfg(feature = "google")]
            Asks::Identity(tokens) => match tokens.caller(bearer(headers)?).await {
                Ok(_) => Ok(()),
                Err(error) => {
                    use google::IdentityError;
                    let (kind, code) = match &error {
                        IdentityError::Invalid(_) => (Kind::Unauthenticated, "unauthenticated"),
                        IdentityError::NotAllowed { .. } => (Kind::Forbidden, "forbidden"),
                        IdentityError::Unavailable(_) => (Kind::Unavailable, "identity"),
                    };
                    Err(Problem::from_error(kind, code, &error))
                }
            },
        }
    }
}

/// The one token of a request.
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let token = match (values.next().map(|value| value.to_str()), values.next()) {
        (Some(Ok(value)), None) => value
            .split_once(' ')
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim_start_matches(' ')),
        _ => None,
    };
    token.ok_or_else(|| {
        unauthenticated("the request brings no token; send one, as the header `authorization: Bearer TOKEN`")
    })
}

fn unauthenticated(detail: &str) -> Problem {
    Problem::new(Kind::Unauthenticated, "unauthenticated", detail)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, Method, StatusCode};
    use utoipa_axum::router::OpenApiRouter;

    use super::*;
    use crate::{Server, with_service_routes};

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    async fn serve(access: &Access) -> Server {
        let routes = OpenApiRouter::new().route("/work", axum::routing::post(async || "done"));
        let router = with_service_routes("test", routes, Guard::new(access).unwrap());
        Server::start("127.0.0.1:0".parse().unwrap(), router).await.unwrap()
    }

    async fn ask(server: &Server, method: Method, path: &str, tokens: &[&[u8]]) -> (StatusCode, String) {
        let url = format!("http://{}{path}", server.address);
        let mut request = reqwest::Client::builder().no_proxy().build().unwrap().request(method, url);
        for token in tokens {
            request = request.header("authorization", HeaderValue::from_bytes(token).unwrap());
        }
        let response = request.send().await.unwrap();
        (response.status(), response.text().await.unwrap())
    }

    #[tokio::test]
    async fn without_the_secret_nothing_is_answered_but_health() {
        let server = serve(&Access::Token(Token::new(SECRET).unwrap())).await;
        let right = format!("Bearer {SECRET}");
        let basic = format!("Basic {SECRET}");
        let longer = format!("Bearer {SECRET}0");
        let shorter = &right[..right.len() - 1];
        let wrong: [&[&[u8]]; 10] = [
            &[],
            &[b""],
            &[b"Bearer"],
            &[b"Bearer "],
            &[b"Bearer \xff\xfe"],
            &[SECRET.as_bytes()],
            &[basic.as_bytes()],
            &[longer.as_bytes()],
            &[shorter.as_bytes()],
            &[right.as_bytes(), right.as_bytes()],
        ];
        for (method, path) in
            [(Method::POST, "/work"), (Method::GET, "/openapi.json"), (Method::GET, "/nothing"), (Method::PUT, "/work")]
        {
            for tokens in wrong {
                let (status, body) = ask(&server, method.clone(), path, tokens).await;
                assert_eq!(status, StatusCode::UNAUTHORIZED, "{path} {tokens:?}: {body}");
                assert!(body.contains("unauthenticated") && !body.contains("0123456789"), "{body}");
            }
        }
        assert_eq!(ask(&server, Method::GET, "/health", &[]).await.0, StatusCode::OK);
        assert_eq!(ask(&server, Method::POST, "/work", &[right.as_bytes()]).await.0, StatusCode::OK);
        assert_eq!(
            ask(&server, Method::GET, "/openapi.json", &[format!("bearer {SECRET}").as_bytes()]).await.0,
            StatusCode::OK
        );
        server.stop().await;
    }

    #[tokio::test]
    async fn whoever_reaches_an_open_port_is_answered() {
        let server = serve(&Access::Open).await;
        assert_eq!(ask(&server, Method::POST, "/work", &[]).await.0, StatusCode::OK);
        server.stop().await;
    }

    #[cfg(feature = "google")]
    #[tokio::test]
    async fn a_service_that_everybody_may_call_wants_an_identity_token() {
        let access =
            Access::Identity { audience: "https://load.example".to_owned(), callers: vec!["a@b.example".to_owned()] };
        let server = serve(&access).await;
        // What is sound of a token, and what is not, is tested where tokens are read.
        let wrong: [&[&[u8]]; 3] = [&[], &[b"Bearer x.y.z"], &[b"Bearer eyJhbGciOiJub25lIn0.e30."]];
        for tokens in wrong {
            let (status, body) = ask(&server, Method::POST, "/work", tokens).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{tokens:?}: {body}");
        }
        assert_eq!(ask(&server, Method::GET, "/health", &[]).await.0, StatusCode::OK);
        server.stop().await;
    }

    #[cfg(not(feature = "google"))]
    #[test]
    fn a_program_that_cannot_check_identity_tokens_does_not_start() {
        let access = Access::Identity { audience: "a".to_owned(), callers: vec!["a@b.example".to_owned()] };
        assert!(Guard::new(&access).unwrap_err().detail.contains("BGP_AUDIENCE"));
    }
}
