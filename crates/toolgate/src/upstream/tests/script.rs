//! An MCP server over Streamable HTTP that does what a test tells it, and remembers what it was sent.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::config::settings::ServerSettings;
use crate::upstream::testing::http_server;

/// A server that runs until it is dropped.
pub(super) struct ScriptedServer {
    pub(super) script: Arc<Script>,
    pub(super) url: String,
    _serving: JoinSet<()>,
}

/// What the server does, and what it saw.
pub(super) struct Script {
    /// `initialize` waits for a permit.
    pub(super) doors: Semaphore,
    /// The tool `wait` waits for a permit.
    pub(super) tool: Semaphore,
    /// The status of every answer to `initialize`, when it is not 200.
    pub(super) refusal: Mutex<Option<StatusCode>>,
    pub(super) initialized: AtomicUsize,
    pub(super) called: AtomicUsize,
    pub(super) deleted: Mutex<Vec<String>>,
    pub(super) most_running: AtomicUsize,
    /// Calls are cut off in the middle of the answer.
    pub(super) cuts_calls: AtomicBool,
    running: AtomicUsize,
    sessions: Mutex<HashSet<String>>,
    /// All heads and bodies, as text.
    seen: Mutex<String>,
    /// Signalled for every message that has come in.
    pub(super) arrived: Semaphore,
}

impl ScriptedServer {
    pub(super) async fn start() -> Self {
        Self::start_on(0).await
    }

    /// A server on `port`.
    pub(super) async fn start_on(port: u16) -> Self {
        let script = Arc::new(Script {
            doors: Semaphore::new(Semaphore::MAX_PERMITS),
            tool: Semaphore::new(0),
            refusal: Mutex::default(),
            initialized: AtomicUsize::new(0),
            called: AtomicUsize::new(0),
            deleted: Mutex::default(),
            most_running: AtomicUsize::new(0),
            cuts_calls: AtomicBool::new(false),
            running: AtomicUsize::new(0),
            sessions: Mutex::default(),
            seen: Mutex::default(),
            arrived: Semaphore::new(0),
        });
        let routes = post(answer).get(|| async { StatusCode::METHOD_NOT_ALLOWED }).delete(end);
        let app = Router::new().route("/mcp", routes).with_state(Arc::clone(&script));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { script, url, _serving: serving }
    }

    /// The settings of a server `name` that is this one.
    pub(super) fn settings(&self, name: &str) -> ServerSettings {
        http_server(name, &self.url)
    }
}

impl Script {
    pub(super) fn initialized(&self) -> usize {
        self.initialized.load(Ordering::SeqCst)
    }

    pub(super) fn called(&self) -> usize {
        self.called.load(Ordering::SeqCst)
    }

    /// Answers 404 to every session there is.
    pub(super) fn forget_sessions(&self) {
        lock(&self.sessions).clear();
    }

    /// How many sessions there are.
    pub(super) fn sessions(&self) -> usize {
        lock(&self.sessions).len()
    }

    pub(super) fn seen(&self) -> String {
        lock(&self.seen).clone()
    }

    /// How often `text` was in what came.
    pub(super) fn count(&self, text: &str) -> usize {
        lock(&self.seen).matches(text).count()
    }

    /// Waits until `count` messages have come in, beside those that were waited for before.
    pub(super) async fn arrivals(&self, count: u32) {
        self.arrived.acquire_many(count).await.unwrap().forget();
    }
}

async fn answer(State(script): State<Arc<Script>>, headers: HeaderMap, body: Bytes) -> Response {
    let message: Value = serde_json::from_slice(&body).unwrap();
    if message["method"] == "server/discover" {
        return (StatusCode::BAD_REQUEST, "Bad Request: Server not initialized").into_response();
    }
    lock(&script.seen).push_str(&format!("{headers:?}\n{message}\n"));
    script.arrived.add_permits(1);
    let method = message["method"].as_str().unwrap();
    if method == "initialize" {
        return initialize(&script, &message).await;
    }
    let session = headers.get("mcp-session-id").map(|id| id.to_str().unwrap().to_owned()).unwrap();
    if !lock(&script.sessions).contains(&session) {
        return (StatusCode::NOT_FOUND, "session not found").into_response();
    }
    match method {
        "tools/call" => call(&script, &message, &headers, &session).await,
        "tools/list" => result(&message, json!({ "tools": [] })),
        "ping" | "resources/subscribe" | "resources/unsubscribe" | "logging/setLevel" => result(&message, json!({})),
        _ => StatusCode::ACCEPTED.into_response(),
    }
}

async fn initialize(script: &Script, message: &Value) -> Response {
    let number = script.initialized.fetch_add(1, Ordering::SeqCst);
    script.doors.acquire().await.unwrap().forget();
    if let Some(status) = *lock(&script.refusal) {
        return (status, [("www-authenticate", "Bearer realm=\"up\"")], "no").into_response();
    }
    let id = format!("session-{number}");
    lock(&script.sessions).insert(id.clone());
    let facts = json!({
        "protocolVersion": "2025-11-25",
        "capabilities": { "tools": {}, "logging": {} },
        "serverInfo": { "name": "scripted", "version": "1" },
    });
    let mut response = result(message, facts);
    response.headers_mut().insert("mcp-session-id", id.parse().unwrap());
    response
}

async fn call(script: &Script, message: &Value, headers: &HeaderMap, session: &str) -> Response {
    script.called.fetch_add(1, Ordering::SeqCst);
    let running = script.running.fetch_add(1, Ordering::SeqCst) + 1;
    script.most_running.fetch_max(running, Ordering::SeqCst);
    let tool = message["params"]["name"].as_str().unwrap();
    if tool == "wait" {
        script.tool.acquire().await.unwrap().forget();
    }
    script.running.fetch_sub(1, Ordering::SeqCst);
    if script.cuts_calls.load(Ordering::SeqCst) {
        let cut =
            futures_util::stream::iter([Ok(Bytes::from_static(b"{\"jsonrpc\"")), Err(std::io::Error::other("cut"))]);
        return ([("content-type", "application/json")], Body::from_stream(cut)).into_response();
    }
    match tool {
        "stream" => return stream(message),
        "update" => {
            let params = json!({ "uri": "test://a" });
            return events(message, session, &[("notifications/resources/updated", params)]);
        }
        "change" => return events(message, session, &[("notifications/tools/list_changed", json!({}))]),
        _ => {}
    }
    let said = match tool {
        "whoami" => headers.get("authorization").map_or("nobody", |value| value.to_str().unwrap()).to_owned(),
        _ => session.to_owned(),
    };
    result(message, json!({ "content": [{ "type": "text", "text": said }] }))
}

/// Tells of progress and logs, and says who asked.
fn stream(message: &Value) -> Response {
    let who = &message["params"]["arguments"]["who"];
    let token = &message["params"]["_meta"]["progressToken"];
    let progress = json!({ "progressToken": token, "progress": 1, "message": who });
    let log = json!({ "level": "info", "data": who });
    events(message, who.as_str().unwrap(), &[("notifications/progress", progress), ("notifications/message", log)])
}

/// Answers `said` on a stream, after `notifications`.
fn events(message: &Value, said: &str, notifications: &[(&str, Value)]) -> Response {
    let result = json!({ "content": [{ "type": "text", "text": said }] });
    let answer = json!({ "jsonrpc": "2.0", "id": message["id"], "result": result });
    let told = notifications
        .iter()
        .map(|(method, params)| json!({ "jsonrpc": "2.0", "method": method, "params": params }))
        .chain([answer])
        .map(|message| format!("data: {message}\n\n"))
        .collect::<String>();
    ([("content-type", "text/event-stream")], told).into_response()
}

async fn end(State(script): State<Arc<Script>>, headers: HeaderMap) -> StatusCode {
    let session = headers["mcp-session-id"].to_str().unwrap().to_owned();
    lock(&script.sessions).remove(&session);
    lock(&script.deleted).push(session);
    StatusCode::OK
}

fn result(message: &Value, result: Value) -> Response {
    axum::Json(json!({ "jsonrpc": "2.0", "id": message["id"], "result": result })).into_response()
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}
