//! An MCP server over Streamable HTTP whose streams can be taken up again: what it says is kept, whoever listens.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::config::Entry;
use super::soon;

/// The running server; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Resumable {
    address: SocketAddr,
    kept: Arc<Kept>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Kept {
    state: Mutex<Said>,
    changed: watch::Sender<u64>,
    /// Ids are this many characters longer than they need be.
    padding: usize,
}

#[derive(Debug, Default)]
struct Said {
    sessions: Vec<bool>,
    streams: Vec<Stream>,
    /// What came, as method and headers.
    seen: Vec<(String, HeaderMap, Value)>,
}

/// A stream: its session, the call that it answers, and its events.
#[derive(Debug)]
struct Stream {
    session: usize,
    call: Option<Value>,
    events: Vec<String>,
}

impl Resumable {
    pub(crate) async fn start() -> Self {
        Self::start_with_ids_of(0).await
    }

    /// The ids of its events have about so many characters.
    pub(crate) async fn start_with_ids_of(padding: usize) -> Self {
        let kept = Arc::new(Kept { padding, ..Kept::default() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = axum::Router::new().fallback(answer).with_state(Arc::clone(&kept));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, kept, task }
    }

    pub(crate) fn entry(&self) -> Entry {
        Entry::http(&format!("http://{}/mcp", self.address))
    }

    /// How often `method`, or an HTTP method, came.
    pub(crate) fn count_of(&self, method: &str) -> usize {
        self.seen_of(method).len()
    }

    /// The headers and messages of each `method`, or HTTP method.
    pub(crate) fn seen_of(&self, method: &str) -> Vec<(HeaderMap, Value)> {
        let said = self.kept.state.lock().unwrap();
        let of = said.seen.iter().filter(|(name, ..)| name == method);
        of.map(|(_, headers, message)| (headers.clone(), message.clone())).collect()
    }

    /// Waits until `method` has come `times` times.
    pub(crate) async fn came(&self, method: &str, times: usize) {
        let mut changed = self.kept.changed.subscribe();
        soon(method, changed.wait_for(|_| self.count_of(method) >= times)).await.unwrap();
    }

    /// Waits for a stream on which the server speaks by itself, in a session in which a call was made.
    pub(crate) async fn listened_to(&self) {
        let mut changed = self.kept.changed.subscribe();
        soon("a stream", changed.wait_for(|_| self.standalone().is_some())).await.unwrap();
    }

    fn standalone(&self) -> Option<usize> {
        let said = self.kept.state.lock().unwrap();
        let with_call = said.streams.iter().find(|stream| stream.call.is_some())?.session;
        said.streams.iter().position(|stream| stream.call.is_none() && stream.session == with_call)
    }

    /// Says something by itself, in the session in which a call was made.
    pub(crate) fn tell(&self, method: &str, params: &Value) {
        let stream = self.standalone().expect("somebody has listened");
        self.say(stream, &json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    /// Says something on the stream of the call number `call`, from 0 on. `TOKEN` stands for its progress token.
    pub(crate) fn tell_of(&self, call: usize, method: &str, mut params: Value) {
        let (stream, request) = self.call(call);
        if params["progressToken"] == "TOKEN" {
            params["progressToken"] = request["params"]["_meta"]["progressToken"].clone();
        }
        self.say(stream, &json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    /// Asks the client on the stream of a call.
    pub(crate) fn ask(&self, call: usize, id: u64, method: &str, params: &Value) {
        let (stream, _) = self.call(call);
        self.say(stream, &json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
    }

    /// Answers a call.
    pub(crate) fn answer(&self, call: usize, text: &str) {
        let (stream, request) = self.call(call);
        let result = json!({"content": [{"type": "text", "text": text}]});
        self.say(stream, &json!({"jsonrpc": "2.0", "id": request["id"], "result": result}));
    }

    /// Forgets all sessions.
    pub(crate) fn forget(&self) {
        self.kept.state.lock().unwrap().sessions.fill(false);
    }

    fn call(&self, number: usize) -> (usize, Value) {
        let said = self.kept.state.lock().unwrap();
        let calls = said.streams.iter().enumerate().filter_map(|(at, stream)| Some((at, stream.call.clone()?)));
        calls.into_iter().nth(number).expect("there was such a call")
    }

    fn say(&self, stream: usize, message: &Value) {
        self.kept.state.lock().unwrap().streams[stream].events.push(message.to_string());
        self.kept.changed.send_modify(|count| *count += 1);
    }
}

impl Drop for Resumable {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(kept): State<Arc<Kept>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else { return StatusCode::BAD_REQUEST.into_response() };
    let message: Value = serde_json::from_slice(&body).unwrap_or_default();
    let method = match (message["method"].as_str(), parts.method == Method::POST) {
        (Some(method), _) => method.to_owned(),
        (None, true) => "response".to_owned(),
        (None, false) => parts.method.to_string(),
    };
    let response = kept.serve(&method, &parts.headers, &message);
    kept.state.lock().unwrap().seen.push((method, parts.headers, message));
    kept.changed.send_modify(|count| *count += 1);
    response
}

impl Kept {
    fn serve(self: &Arc<Self>, method: &str, headers: &HeaderMap, message: &Value) -> Response {
        let mut said = self.state.lock().unwrap();
        let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
        if method == "server/discover" {
            return StatusCode::NOT_FOUND.into_response();
        }
        let result = |result: Value| axum::Json(json!({"jsonrpc": "2.0", "id": message["id"], "result": result}));
        if method == "initialize" {
            said.sessions.push(true);
            let facts = json!({"protocolVersion": "2025-11-25", "serverInfo": {"name": "resumable", "version": "1"},
                "capabilities": {"tools": {}, "logging": {}}});
            let session = format!("session-{}", said.sessions.len() - 1);
            return ([("mcp-session-id", session)], result(facts)).into_response();
        }
        let session = header("mcp-session-id").and_then(|id| id.strip_prefix("session-")?.parse::<usize>().ok());
        let Some(session) = session.filter(|session| said.sessions[*session]) else {
            return (StatusCode::NOT_FOUND, "no such session").into_response();
        };
        match method {
            "tools/list" => {
                let tools = [super::tool("work")];
                result(json!({ "tools": tools })).into_response()
            }
            "tools/call" => {
                said.streams.push(Stream { session, call: Some(message.clone()), events: vec![String::new()] });
                self.events(said.streams.len() - 1, 0)
            }
            "GET" => match header("last-event-id").map(place) {
                Some(Some((stream, number)))
                    if said.streams.get(stream).is_some_and(|found| found.session == session) =>
                {
                    self.events(stream, number + 1)
                }
                Some(_) => StatusCode::BAD_REQUEST.into_response(),
                None => {
                    said.streams.push(Stream { session, call: None, events: vec![String::new()] });
                    self.events(said.streams.len() - 1, 0)
                }
            },
            "DELETE" => {
                said.sessions[session] = false;
                StatusCode::NO_CONTENT.into_response()
            }
            _ if message.get("id").is_none() || message.get("method").is_none() => StatusCode::ACCEPTED.into_response(),
            _ => result(json!({})).into_response(),
        }
    }

    /// The events of `stream` from number `from` on, to the answer.
    fn events(self: &Arc<Self>, stream: usize, from: usize) -> Response {
        let state = (Arc::clone(self), self.changed.subscribe(), from, false);
        let events = stream::unfold(state, move |(kept, mut changed, next, is_over)| async move {
            if is_over {
                return None;
            }
            let of_next = |kept: &Kept| kept.state.lock().unwrap().streams[stream].events.get(next).cloned();
            changed.wait_for(|_| of_next(&kept).is_some()).await.ok()?;
            let data = of_next(&kept)?;
            let is_answer = data.contains("\"result\":{\"content\"");
            let id = format!("{stream}-{next}-{}", "x".repeat(kept.padding));
            let event = format!("id: {id}\ndata: {data}\n\n");
            Some((Ok::<_, Infallible>(event), (kept, changed, next + 1, is_answer)))
        });
        ([("content-type", "text/event-stream")], Body::from_stream(events)).into_response()
    }
}

fn place(id: &str) -> Option<(usize, usize)> {
    let mut parts = id.split('-');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
