//! A real authorization server (npm `oidc-provider`), and servers that let nobody in without one of its tokens.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::uri::{Scheme, Uri};
use http::{HeaderMap, Method, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use url::form_urlencoded;

use super::group::Group;
use super::http::{Http, Reply};
use super::peers::{installed, node22, source};
use super::soon;

/// The secret of both clients, `posts` and `basic`, which are named after how they show it.
pub(crate) const CLIENT_SECRET: &str = "s&cret:of the gateway";

/// The running server.
pub(crate) struct AuthorizationServer {
    pub(crate) issuer: String,
    http: Http,
    _process: Group,
}

impl AuthorizationServer {
    /// One whose tokens last so many seconds.
    pub(crate) async fn start(seconds: u32) -> Self {
        let script = std::fs::read_to_string(source("authorization_server.mjs")).unwrap();
        let mut command = Command::new(node22());
        command.current_dir(installed("node-oauth")).args(["--input-type=module", "--eval", &script]);
        command.arg(seconds.to_string()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = Group::start(&mut command);
        let mut lines = BufReader::new(process.child.stdout.take().expect("stdout is a pipe")).lines();
        let line = soon("the authorization server's issuer", lines.next_line()).await.unwrap();
        let told: Value = serde_json::from_str(&line.expect("it tells its issuer")).unwrap();
        // Nobody wants to read the rest, but it must be read: the server ends when it cannot say something.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { issuer: told["issuer"].as_str().unwrap().to_owned(), http: Http::new(), _process: process }
    }

    pub(crate) fn token_url(&self) -> String {
        format!("{}/token", self.issuer)
    }

    /// What the server says of a token, as RFC 7662 has it.
    pub(crate) async fn introspect(&self, token: &str) -> Value {
        self.about("introspection", token).await.json()
    }

    /// Takes a token back.
    pub(crate) async fn revoke(&self, token: &str) {
        assert_eq!(self.about("revocation", token).await.status, StatusCode::OK);
    }

    async fn about(&self, what: &str, token: &str) -> Reply {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("token", token), ("client_id", "posts"), ("client_secret", CLIENT_SECRET)])
            .finish();
        self.http.send(Method::POST, &format!("{}/token/{what}", self.issuer), &headers, body).await
    }
}

/// A server of the test's behind a door that asks the authorization server about every token.
pub(crate) struct Guarded {
    address: SocketAddr,
    door: Arc<Door>,
    task: tokio::task::JoinHandle<()>,
}

struct Door {
    behind: String,
    client: Client<HttpConnector, Body>,
    authority: Arc<AuthorizationServer>,
    turned_away: AtomicUsize,
}

impl Guarded {
    /// Before `behind`, which is an address with its port.
    pub(crate) async fn start(behind: &str, authority: &Arc<AuthorizationServer>) -> Self {
        let door = Arc::new(Door {
            behind: behind.to_owned(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            authority: Arc::clone(authority),
            turned_away: AtomicUsize::new(0),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = axum::Router::new().fallback(pass).with_state(Arc::clone(&door));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, door, task }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How many requests had no good token.
    pub(crate) fn turned_away(&self) -> usize {
        self.door.turned_away.load(Ordering::SeqCst)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(State(door): State<Arc<Door>>, mut request: Request) -> Response {
    let token = request.headers().get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let is_active = match token {
        Some(token) => door.authority.introspect(token).await["active"] == true,
        None => false,
    };
    if !is_active {
        door.turned_away.fetch_add(1, Ordering::SeqCst);
        let challenge = [("www-authenticate", "Bearer error=\"invalid_token\"")];
        return (StatusCode::UNAUTHORIZED, challenge, "no good token").into_response();
    }
    let mut uri = request.uri().clone().into_parts();
    uri.scheme = Some(Scheme::HTTP);
    uri.authority = Some(door.behind.parse().unwrap());
    *request.uri_mut() = Uri::from_parts(uri).unwrap();
    match door.client.request(request).await {
        Ok(response) => response.map(Body::new).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}
