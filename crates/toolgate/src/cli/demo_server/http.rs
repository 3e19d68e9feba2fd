//! The demo server over Streamable HTTP: one endpoint, `/mcp`.
//!
//! Answers are JSON; a call that reports progress is an event stream. Session ids are handed out at `initialize` and
//! checked when a request carries one; a request without one is served all the same, but cannot be cancelled by
//! message, since nobody could tell whose id it is.
//!
//! Source: MCP 2025-11-25, Transports, Streamable HTTP.

mod gate;
mod sessions;

use std::convert::Infallible;
use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Router, middleware};
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use toolgate_mcp::jsonrpc::{self, ErrorObject, Message, code};
use toolgate_mcp::sse;
use toolgate_mcp::version::Revision;

use self::sessions::{Running, Session, Sessions};
use super::protocol::{self, Play, Step};

const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// A larger body is refused with 413.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// How long open streams may go on after [`Server::stop`].
const GRACE: Duration = Duration::from_secs(2);

/// How the server behaves.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Hand out session ids at `initialize`.
    pub sessions: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { sessions: true }
    }
}

/// A running server. Dropping it stops it at once.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    soft: CancellationToken,
    /// The one task; dropping the set ends it.
    task: JoinSet<std::io::Result<()>>,
}

impl Server {
    /// Where it listens; the port is the real one where 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL that clients use.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Takes no more requests, lets running ones finish for two seconds, and ends.
    pub async fn stop(mut self) {
        self.soft.cancel();
        if tokio::time::timeout(GRACE, self.task.join_next()).await.is_err() {
            self.task.shutdown().await;
        }
    }
}

/// Listens at `address` and serves until stopped.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn start(address: SocketAddr, options: Options) -> std::io::Result<Server> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let sessions = options.sessions.then(|| Arc::new(Sessions::default()));
    let endpoint = post(take_post).delete(end_session).get(no_stream);
    let router = Router::new()
        .route("/mcp", endpoint)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn(move |request, next| gate::check(address, request, next)))
        .with_state(Endpoint { sessions });
    let soft = CancellationToken::new();
    let server = axum::serve(listener, router).with_graceful_shutdown(soft.clone().cancelled_owned());
    let mut task = JoinSet::new();
    task.spawn(server.into_future());
    Ok(Server { address, soft, task })
}

#[derive(Clone)]
struct Endpoint {
    /// `None` when no ids are handed out.
    sessions: Option<Arc<Sessions>>,
}

async fn take_post(State(server): State<Endpoint>, headers: HeaderMap, body: Bytes) -> Response {
    match answer_post(&server, &headers, &body).await {
        Ok(response) => response,
        Err((status, message)) => refuse(status, message),
    }
}

type Refusal = (StatusCode, String);

async fn answer_post(server: &Endpoint, headers: &HeaderMap, body: &[u8]) -> Result<Response, Refusal> {
    check_content_type(headers)?;
    let revision = revision(headers)?;
    let session = server.session(headers)?;
    let parsed = match jsonrpc::parse_body(body) {
        Ok(parsed) => parsed,
        Err(error) => return Ok(json(StatusCode::BAD_REQUEST, protocol::refused(&error))),
    };
    match parsed {
        jsonrpc::Body::Single(message) => {
            let mut response = answer_one(&message, session.as_ref(), headers).await;
            if let Some(sessions) = server.sessions.as_ref().filter(|_| protocol::is_initialize(&message)) {
                let id = HeaderValue::try_from(sessions.begin()).expect("an id is base64");
                response.headers_mut().insert(SESSION_ID, id);
            }
            Ok(response)
        }
        jsonrpc::Body::Batch(messages) if revision.has_batches() => answer_batch(&messages, session.as_ref()).await,
        jsonrpc::Body::Batch(_) => {
            Err((StatusCode::BAD_REQUEST, format!("revision {revision} has no JSON-RPC batches")))
        }
    }
}

async fn answer_one(message: &Message<'_>, session: Option<&Arc<Session>>, headers: &HeaderMap) -> Response {
    match protocol::take_parsed(message) {
        Step::Answer(answer) => json(StatusCode::OK, answer),
        Step::Nothing => StatusCode::ACCEPTED.into_response(),
        Step::Cancel(id) => {
            if let Some(session) = session {
                session.cancel(&id);
            }
            StatusCode::ACCEPTED.into_response()
        }
        Step::Play(play) => {
            let running = Session::running(session, play.id.as_json());
            if play.has_progress() && accepts_events(headers) {
                events(play, running)
            } else {
                json(StatusCode::OK, play_to_end(&play, &running).await)
            }
        }
    }
}

/// Batches are small and rare: their calls run one after the other, without progress.
async fn answer_batch(messages: &[Message<'_>], session: Option<&Arc<Session>>) -> Result<Response, Refusal> {
    let mut answers = Vec::new();
    for message in messages {
        match protocol::take_parsed(message) {
            Step::Answer(answer) => answers.push(answer),
            Step::Play(play) => {
                let running = Session::running(session, play.id.as_json());
                answers.push(play_to_end(&play, &running).await);
            }
            Step::Cancel(id) => session.iter().for_each(|session| session.cancel(&id)),
            Step::Nothing => {}
        }
    }
    if answers.is_empty() {
        return Ok(StatusCode::ACCEPTED.into_response());
    }
    let mut body = vec![b'['];
    body.extend(answers.join(&b','));
    body.push(b']');
    Ok(json(StatusCode::OK, body))
}

/// Waits the call out. HTTP needs some answer to a cancelled request, so it is an error.
async fn play_to_end(play: &Play, running: &Running) -> Vec<u8> {
    let steps = u32::try_from(play.pace.steps).unwrap_or(u32::MAX);
    let time = tokio::time::sleep(play.pace.delay.saturating_mul(steps));
    match running.cancel.run_until_cancelled(time).await {
        Some(()) => play.answer(),
        None => jsonrpc::error(Some(&play.id), &ErrorObject::new(CANCELLED, "cancelled, as the client asked")),
    }
}

/// What JSON-RPC leaves to servers; MCP gives no code for this.
const CANCELLED: i32 = -32000;

/// The call as an event stream. A cancelled one ends without an answer; so does one whose client goes away.
fn events(play: Play, running: Running) -> Response {
    let steps = play.pace.steps;
    let stream = stream::unfold((play, running, 1), move |(play, running, step)| async move {
        if step > steps + 1 {
            return None;
        }
        let event = if step > steps {
            play.answer()
        } else {
            running.cancel.run_until_cancelled(tokio::time::sleep(play.pace.delay)).await?;
            play.progress(step)?
        };
        let event = Bytes::from(sse::encode(Some("message"), None, &event));
        Some((Ok::<_, Infallible>(event), (play, running, step + 1)))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache, no-transform"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, Body::from_stream(stream)).into_response()
}

async fn end_session(State(server): State<Endpoint>, headers: HeaderMap) -> Response {
    let Some(sessions) = &server.sessions else { return no_stream().await };
    match server.session(&headers) {
        Ok(Some(session)) => {
            sessions.end(session.id());
            StatusCode::NO_CONTENT.into_response()
        }
        Ok(None) => refuse(StatusCode::BAD_REQUEST, "the Mcp-Session-Id header is missing".to_owned()),
        Err((status, message)) => refuse(status, message),
    }
}

/// There is nothing to say outside of answers, so GET is refused as the specification allows.
async fn no_stream() -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "POST, DELETE")]).into_response()
}

impl Endpoint {
    fn session(&self, headers: &HeaderMap) -> Result<Option<Arc<Session>>, Refusal> {
        let (Some(sessions), Some(id)) = (&self.sessions, headers.get(SESSION_ID)) else { return Ok(None) };
        let session = id.to_str().ok().and_then(|id| sessions.find(id));
        let unknown = || (StatusCode::NOT_FOUND, "no such session: begin again with `initialize`".to_owned());
        session.map(Some).ok_or_else(unknown)
    }
}

/// A browser sends `text/plain` to anybody without asking first, but not `application/json`.
fn check_content_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = value.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("content type must be application/json, not `{media_type}`")))
}

fn revision(headers: &HeaderMap) -> Result<Revision, Refusal> {
    let Some(value) = headers.get(PROTOCOL_VERSION) else { return Ok(Revision::ASSUMED_WITHOUT_HEADER) };
    let known = value.to_str().ok().and_then(Revision::parse).filter(|revision| revision.has_handshake());
    known.ok_or_else(|| (StatusCode::BAD_REQUEST, format!("unsupported MCP-Protocol-Version {value:?}")))
}

fn accepts_events(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|range| {
        matches!(range.split(';').next().unwrap_or_default().trim(), "text/event-stream" | "text/*" | "*/*")
    })
}

fn refuse(status: StatusCode, message: String) -> Response {
    json(status, jsonrpc::error(None, &ErrorObject::new(code::INVALID_REQUEST, message)))
}

fn json(status: StatusCode, body: Vec<u8>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

#[cfg(test)]
mod tests;
