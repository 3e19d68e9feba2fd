//! An MCP server over Streamable HTTP that answers what the test says, and keeps every request it was sent.

mod answers;
mod script;
mod streams;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;

pub(crate) use script::{Script, Scripted, Talk, script, tool};

use super::config::Entry;
use super::soon;

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) verb: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) message: Value,
}

impl Seen {
    /// The JSON-RPC method; the HTTP method when there is no message.
    pub(crate) fn method(&self) -> &str {
        self.message["method"].as_str().unwrap_or(self.verb.as_str())
    }

    /// A header as text, if it is there.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// The running server; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct FakeMcp {
    address: SocketAddr,
    state: Arc<Played>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Played {
    script: Script,
    /// What takes the place of answers in the script.
    turned: Mutex<HashMap<&'static str, Scripted>>,
    seen: Mutex<Vec<Seen>>,
    count: watch::Sender<usize>,
    generation: AtomicU64,
    endless_bytes: AtomicU64,
    asked: AtomicU64,
    released: watch::Sender<bool>,
    said: broadcast::Sender<String>,
}

impl FakeMcp {
    pub(crate) async fn start(script: Script) -> Self {
        let state = Arc::new(Played {
            script,
            turned: Mutex::default(),
            seen: Mutex::default(),
            count: watch::Sender::new(0),
            generation: AtomicU64::new(1),
            endless_bytes: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            released: watch::Sender::new(false),
            said: broadcast::Sender::new(64),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = axum::Router::new().fallback(answer).with_state(state.clone());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, state, task }
    }

    /// Its endpoint.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Its entry in `mcp_servers`.
    pub(crate) fn entry(&self) -> Entry {
        Entry::http(&self.url())
    }

    /// Everything it was sent so far, in order.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// The requests of one method.
    pub(crate) fn seen_of(&self, method: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.method() == method).collect()
    }

    /// How often one method came.
    pub(crate) fn count_of(&self, method: &str) -> usize {
        self.state.seen.lock().unwrap().iter().filter(|seen| seen.method() == method).count()
    }

    /// The only request of one method.
    pub(crate) fn only(&self, method: &str) -> Seen {
        let mut seen = self.seen_of(method);
        assert_eq!(seen.len(), 1, "{method} came once: {:#?}", self.seen());
        seen.remove(0)
    }

    /// Waits until `method` has come `times` times.
    pub(crate) async fn came(&self, method: &str, times: usize) {
        let mut count = self.state.count.subscribe();
        let enough = count.wait_for(|_| self.seen_of(method).len() >= times);
        soon(&format!("{method} reaching the upstream"), enough).await.unwrap();
    }

    /// Sends a message on all streams that are open for that.
    pub(crate) fn say(&self, message: &Value) {
        self.state.said.send(message.to_string()).expect("a stream is open");
    }

    /// Waits until so many streams are open that are for [`FakeMcp::say`].
    pub(crate) async fn has_streams(&self, count: usize) {
        let are_open = async {
            while self.state.said.receiver_count() != count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        soon(&format!("{count} streams"), are_open).await;
    }

    /// Lets held answers go.
    pub(crate) fn release(&self) {
        self.state.released.send_replace(true);
    }

    /// Answers `method` so from now on.
    pub(crate) fn turn(&self, method: &'static str, answer: Scripted) {
        self.state.turned.lock().unwrap().insert(method, answer);
    }

    /// Answers `method` as the script says again.
    pub(crate) fn turn_back(&self, method: &str) {
        self.state.turned.lock().unwrap().remove(method);
    }

    /// Forgets every session, as a server does that was restarted.
    pub(crate) fn restart(&self) {
        self.state.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// How many bytes of endless answers were taken from it.
    pub(crate) fn endless_bytes(&self) -> u64 {
        self.state.endless_bytes.load(Ordering::SeqCst)
    }
}

impl Drop for FakeMcp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(played): State<Arc<Played>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    // A request that breaks off is none.
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else { return StatusCode::BAD_REQUEST.into_response() };
    let message = serde_json::from_slice(&body).map_or(Value::Null, lenient);
    let seen = Seen { verb: parts.method, headers: parts.headers, body, message };
    played.seen.lock().unwrap().push(seen.clone());
    played.count.send_modify(|count| *count += 1);
    if played.forgot(&seen) {
        let (status, text) = played.script.forgotten;
        return (StatusCode::from_u16(status).unwrap(), text).into_response();
    }
    let turned = played.turned.lock().unwrap().get(seen.method()).cloned();
    match turned.as_ref().or_else(|| played.script.answers.get(seen.method())) {
        Some(scripted) => played.clone().scripted(&seen, scripted).await,
        None => played.plain(&seen),
    }
}

/// `raw` with `null` in the place of numbers that are too large for a machine's.
fn lenient(raw: &RawValue) -> Value {
    if let Ok(value) = serde_json::from_str(raw.get()) {
        return value;
    }
    if let Ok(fields) = serde_json::from_str::<BTreeMap<String, &RawValue>>(raw.get()) {
        return Value::Object(fields.into_iter().map(|(name, value)| (name, lenient(value))).collect());
    }
    let items = serde_json::from_str::<Vec<&RawValue>>(raw.get());
    items.map_or(Value::Null, |items| items.into_iter().map(lenient).collect())
}

impl Played {
    fn session(&self) -> String {
        format!("session-{}", self.generation.load(Ordering::SeqCst))
    }

    fn forgot(&self, seen: &Seen) -> bool {
        self.script.sessions
            && seen.method() != "initialize"
            && seen.header("mcp-session-id").is_some_and(|id| id != self.session())
    }
}
