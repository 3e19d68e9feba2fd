//! One MCP session over one HTTP/1.1 connection: what an agent is to the gateway, at the least cost.

use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use toolgate_mcp::jsonrpc;
use toolgate_mcp::version::Revision;

use crate::answer::{Checker, Expected, excerpt};

/// Longer than any right answer takes; a call that passes it is an error.
const PATIENCE: Duration = Duration::from_secs(30);

const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// Where the sessions go, and with which key.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Endpoint {
    /// The MCP endpoint: `http://HOST:PORT/PATH`.
    #[arg(long)]
    url: Uri,
    /// The gateway's key, sent as a bearer token.
    #[arg(long, env = "TOOLGATE_BENCH_KEY", hide_env_values = true)]
    key: Option<Key>,
}

/// A key that debug output does not show.
#[derive(Clone)]
struct Key(HeaderValue);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

impl std::str::FromStr for Key {
    type Err = http::header::InvalidHeaderValue;

    fn from_str(key: &str) -> Result<Self, Self::Err> {
        let mut value = HeaderValue::try_from(format!("Bearer {key}"))?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

/// One answer, whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) is_sse: bool,
    pub(crate) body: Bytes,
    session: Option<HeaderValue>,
}

/// An initialized session and its connection. Dropping it closes the connection and leaves the session be.
#[derive(Debug)]
pub(crate) struct Session {
    sender: SendRequest<Full<Bytes>>,
    path: Uri,
    headers: HeaderMap,
    /// Owns the task that drives the connection.
    _driver: JoinSet<()>,
}

impl Session {
    /// Connects, and does the handshake that every client does: `initialize`, then `notifications/initialized`.
    pub(crate) async fn open(endpoint: &Endpoint) -> anyhow::Result<Self> {
        let mut session = Self::connect(endpoint, None).await?;
        let reply = session.post(initialize()).await.context("`initialize` failed")?;
        Checker::new(Expected::AnyResult)
            .check(reply.status, reply.is_sse, &reply.body, 0)
            .map_err(|problem| anyhow!("`initialize` was answered with {problem}"))?;
        session.continue_as(reply.session);
        let notice = jsonrpc::notification("notifications/initialized", None);
        let reply = session.post(notice.into()).await.context("`notifications/initialized` failed")?;
        ensure!(reply.status.is_success(), "`notifications/initialized`: {} {}", reply.status, excerpt(&reply.body));
        Ok(session)
    }

    /// Connects anew and goes on with the session that `id` names.
    pub(crate) async fn resume(endpoint: &Endpoint, id: Option<HeaderValue>) -> anyhow::Result<Self> {
        Self::connect(endpoint, id).await
    }

    /// The session's id; `None` when the server keeps no sessions.
    pub(crate) fn id(&self) -> Option<&HeaderValue> {
        self.headers.get(SESSION_ID)
    }

    /// Sends one message and reads its whole answer.
    pub(crate) async fn post(&mut self, message: Bytes) -> anyhow::Result<Reply> {
        tokio::time::timeout(PATIENCE, self.exchange(message))
            .await
            .map_err(|_elapsed| anyhow!("no answer within {PATIENCE:?}"))?
    }

    /// Opens the stream of a server's own messages, on this session's connection.
    pub(crate) async fn listen(&mut self) -> anyhow::Result<Incoming> {
        let mut request = Request::new(Full::new(Bytes::new()));
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        self.sender.ready().await.context("the connection was closed")?;
        let response = self.sender.send_request(request).await.context("the stream does not open")?;
        ensure!(response.status() == StatusCode::OK, "the stream does not open: {}", response.status());
        Ok(response.into_body())
    }

    async fn exchange(&mut self, message: Bytes) -> anyhow::Result<Reply> {
        let mut request = Request::new(Full::new(message));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = self.headers.clone();
        self.sender.ready().await.context("the connection was closed")?;
        let (head, body) = self.sender.send_request(request).await.context("the call was not answered")?.into_parts();
        let kind = head.headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        Ok(Reply {
            status: head.status,
            is_sse: kind.starts_with(b"text/event-stream"),
            body: body.collect().await.context("the answer broke off")?.to_bytes(),
            session: head.headers.get(SESSION_ID).cloned(),
        })
    }

    async fn connect(endpoint: &Endpoint, session: Option<HeaderValue>) -> anyhow::Result<Self> {
        let authority = endpoint.url.authority().context("--url needs a host")?;
        let port = authority.port_u16().unwrap_or(80);
        let stream = TcpStream::connect((authority.host(), port))
            .await
            .with_context(|| format!("cannot connect to {authority}"))?;
        stream.set_nodelay(true).context("cannot set TCP_NODELAY")?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.context("the HTTP handshake failed")?;
        let mut driver = JoinSet::new();
        // How the connection ends is seen by the call that it ends.
        driver.spawn(async move { drop(connection.await) });
        let path =
            endpoint.url.path_and_query().map_or("/", |path| path.as_str()).parse().context("--url has no path")?;
        let mut opened = Self { sender, path, headers: headers(endpoint, authority.as_str())?, _driver: driver };
        opened.continue_as(session);
        Ok(opened)
    }

    fn continue_as(&mut self, session: Option<HeaderValue>) {
        let Some(session) = session else { return };
        self.headers.insert(SESSION_ID, session);
    }
}

fn headers(endpoint: &Endpoint, authority: &str) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::from_str(authority).context("--url has an odd host")?);
    headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(PROTOCOL_VERSION, HeaderValue::from_static(Revision::NEWEST_WITH_HANDSHAKE.name()));
    if let Some(Key(bearer)) = &endpoint.key {
        headers.insert(AUTHORIZATION, bearer.clone());
    }
    Ok(headers)
}

fn initialize() -> Bytes {
    let params = json!({
        "protocolVersion": Revision::NEWEST_WITH_HANDSHAKE.name(),
        "capabilities": {},
        "clientInfo": { "name": "toolgate-bench", "version": env!("CARGO_PKG_VERSION") },
    });
    jsonrpc::request("0", "initialize", Some(&params.to_string())).into()
}
