//! An MCP server over Streamable HTTP that answers what the test says, and keeps every request it was sent.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, Method, StatusCode};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;

use super::config::Entry;
use super::soon;

/// What a request is answered with.
#[derive(Debug, Clone)]
pub(crate) enum Scripted {
    /// This text as `result`, in a JSON body.
    Result(String),
    /// This text as `result`, in a stream after a notification.
    Streamed(String),
    /// The string in the call's argument `result`, as the `result`; in a stream if asked for.
    Mirror { streamed: bool },
    /// A JSON-RPC error.
    Error(i32, &'static str),
    /// This message, with the request's id in the place of `ID`.
    Raw(String),
    /// Pages of a list: the key, and the items of each page.
    Pages(&'static str, Vec<Vec<Value>>),
    /// Any HTTP answer: status, content type, body.
    Http(u16, &'static str, String),
    /// The headers of an answer with this content type, then bytes without a line's end, for ever.
    Endless(&'static str),
    /// The headers of an answer with this content type, then this text again and again, for ever.
    Repeated(&'static str, String),
    /// Nothing; the connection stays open.
    Silence,
    /// This text as `result`, once [`FakeMcp::release`] is called.
    Held(String),
    /// A stream on which the server asks its client, round after round, methods with their parameters; each round once
    /// the one before is answered. The result's text is all answers, in order.
    Asks(Vec<Vec<(&'static str, Value)>>),
    /// A stream of whatever [`FakeMcp::say`] is given.
    Speaks,
    /// A stream of these messages, and then this text as `result`, once [`FakeMcp::release`] is called.
    Says(Vec<Value>, String),
    /// This text as `result`: half of the message at once, and once [`FakeMcp::release`] is called the other half; or
    /// the end of the connection instead.
    Halves { result: String, breaks: bool },
    /// An event stream on which the server speaks and listens.
    Talk(Vec<Talk>),
}

/// What a server does on an event stream, one after the other. In texts, `$id` is the request's id, `$token` its progress
/// token, both as JSON.
#[derive(Debug, Clone)]
pub(crate) enum Talk {
    /// Sends this message.
    Says(String),
    /// Waits for the client's answer to the request of the server with this id, as JSON.
    Hears(&'static str),
    /// Waits for [`FakeMcp::release`].
    Held,
    /// Sends the next message that [`FakeMcp::say`] is given.
    Said,
    /// Sends this text as `result`; `$heard` in it is the last answer that was heard, as a JSON string.
    Answers(String),
}

impl Talk {
    /// Asks the client.
    pub(crate) fn asks(id: &str, method: &str, params: &str) -> Self {
        Self::Says(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#))
    }

    /// Notifies the client.
    pub(crate) fn tells(method: &str, params: &str) -> Self {
        Self::Says(format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#))
    }

    /// Answers a tool call with this text.
    pub(crate) fn answers(text: &str) -> Self {
        Self::Answers(json!({"content": [{"type": "text", "text": text}]}).to_string())
    }

    /// Answers a tool call with the client's last answer, as it came.
    pub(crate) fn answers_what_was_heard() -> Self {
        Self::Answers(r#"{"content":[{"type":"text","text":$heard}]}"#.to_owned())
    }
}

impl Scripted {
    /// A page that a proxy or a login form would send.
    pub(crate) fn html() -> Self {
        Self::Http(200, "text/html", "<!doctype html><title>Sign in</title>".to_owned())
    }

    /// A tool's result of one text.
    pub(crate) fn text(text: &str) -> Self {
        Self::Result(json!({"content": [{"type": "text", "text": text}]}).to_string())
    }
}

/// What a [`FakeMcp`] does; methods that are not scripted have plain answers.
pub(crate) fn script() -> Script {
    Script { answers: HashMap::new(), uris: None, sessions: true, forgotten: (404, "no such session") }
}

/// See [`script`].
#[derive(Debug)]
pub(crate) struct Script {
    answers: HashMap<&'static str, Scripted>,
    /// What can be read; everything, if there is no list.
    uris: Option<Vec<String>>,
    sessions: bool,
    /// Status and text for a session that it does not know.
    forgotten: (u16, &'static str),
}

impl Script {
    /// Answers `method` so. `"GET"` and `"DELETE"` stand for those HTTP methods.
    pub(crate) fn on(mut self, method: &'static str, answer: Scripted) -> Self {
        self.answers.insert(method, answer);
        self
    }

    /// Has these tools; a call answers its own name and arguments as text.
    pub(crate) fn tools(self, names: &[&str]) -> Self {
        let tools = names.iter().map(|name| tool(name)).collect();
        self.on("tools/list", Scripted::Pages("tools", vec![tools]))
    }

    /// Has these resources and no others.
    pub(crate) fn resources(mut self, uris: &[&str]) -> Self {
        self.uris = Some(uris.iter().map(|&uri| uri.to_owned()).collect());
        let resources = uris.iter().map(|uri| json!({"uri": uri, "name": uri})).collect();
        self.on("resources/list", Scripted::Pages("resources", vec![resources]))
    }

    /// Says so when it does not know a session.
    pub(crate) fn forgets_with(mut self, status: u16, text: &'static str) -> Self {
        self.forgotten = (status, text);
        self
    }

    /// Gives no session id and asks for none.
    pub(crate) fn without_sessions(mut self) -> Self {
        self.sessions = false;
        self
    }
}

/// A tool that takes anything.
pub(crate) fn tool(name: &str) -> Value {
    json!({"name": name, "description": format!("does {name}"), "inputSchema": {"type": "object"}})
}

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

    /// Lets held answers go.
    pub(crate) fn release(&self) {
        self.state.released.send_replace(true);
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
    match played.script.answers.get(seen.method()) {
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

    async fn scripted(self: Arc<Self>, seen: &Seen, scripted: &Scripted) -> Response {
        match scripted {
            Scripted::Result(result) => self.result(seen, result),
            Scripted::Streamed(result) => streamed(seen, result),
            Scripted::Mirror { streamed: false } => self.result(seen, mirrored(seen)),
            Scripted::Mirror { streamed: true } => streamed(seen, mirrored(seen)),
            Scripted::Error(code, message) => error(seen, *code, message),
            Scripted::Raw(message) => {
                let message = message.replacen("ID", &seen.message["id"].to_string(), 1);
                ([("content-type", "application/json")], message).into_response()
            }
            Scripted::Pages(key, pages) => self.result(seen, &page(seen, key, pages)),
            Scripted::Http(status, content_type, body) => {
                (StatusCode::from_u16(*status).unwrap(), [("content-type", *content_type)], body.clone())
                    .into_response()
            }
            Scripted::Endless(content_type) => {
                let start = if *content_type == "text/event-stream" { "data: {\"" } else { "{\"" };
                let body = stream::unfold(Bytes::from(start), move |chunk| {
                    let played = self.clone();
                    async move {
                        played.endless_bytes.fetch_add(chunk.len() as u64, Ordering::SeqCst);
                        Some((Ok::<_, std::io::Error>(chunk), Bytes::from_static(&[b'x'; 16 * 1024])))
                    }
                });
                ([("content-type", *content_type)], Body::from_stream(body)).into_response()
            }
            Scripted::Repeated(content_type, text) => {
                let piece = Bytes::from(text.repeat(64));
                let body = stream::repeat_with(move || Ok::<_, std::io::Error>(piece.clone()));
                ([("content-type", *content_type)], Body::from_stream(body)).into_response()
            }
            Scripted::Silence => std::future::pending().await,
            Scripted::Held(result) => {
                self.released.subscribe().wait_for(|released| *released).await.unwrap();
                self.result(seen, result)
            }
            Scripted::Talk(talk) => self.talk(seen, talk.clone()),
            Scripted::Asks(rounds) => {
                let (events, body) = events();
                tokio::spawn(self.clone().ask(seen.clone(), rounds.clone(), events));
                body
            }
            Scripted::Speaks => {
                let (events, body) = events();
                let mut said = self.said.subscribe();
                tokio::spawn(async move {
                    while let Ok(message) = said.recv().await {
                        if events.send(message).await.is_err() {
                            return;
                        }
                    }
                });
                body
            }
            Scripted::Says(messages, result) => {
                let (events, body) = events();
                let (messages, answer) = (messages.clone(), envelope(seen, result));
                let played = self.clone();
                tokio::spawn(async move {
                    for message in messages {
                        events.send(message.to_string()).await.ok();
                    }
                    played.released.subscribe().wait_for(|released| *released).await.unwrap();
                    events.send(answer).await.ok();
                });
                body
            }
            Scripted::Halves { result, breaks } => {
                let mut first = Bytes::from(envelope(seen, result));
                let second = first.split_off(first.len() / 2);
                let second = if *breaks { Err(std::io::Error::other("breaks off")) } else { Ok(second) };
                let rest = stream::once(async move {
                    self.released.subscribe().wait_for(|released| *released).await.unwrap();
                    second
                });
                let body = stream::once(async { Ok(first) }).chain(rest);
                ([("content-type", "application/json")], Body::from_stream(body)).into_response()
            }
        }
    }

    fn talk(self: Arc<Self>, seen: &Seen, talk: Vec<Talk>) -> Response {
        let (id, token) =
            (seen.message["id"].to_string(), seen.message["params"]["_meta"]["progressToken"].to_string());
        let said = self.said.subscribe();
        let start = (self, talk.into_iter(), "null".to_owned(), said);
        let steps = stream::unfold(start, move |(played, mut talk, mut heard, mut said)| {
            let (id, token) = (id.clone(), token.clone());
            async move {
                let event = match talk.next()? {
                    Talk::Said => Some(said.recv().await.unwrap().replace("\"$id\"", &id)),
                    Talk::Says(message) => Some(message.replace("$id", &id).replace("$token", &token)),
                    Talk::Answers(result) => {
                        let heard = serde_json::to_string(&heard).unwrap();
                        Some(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{}}}"#, result.replace("$heard", &heard)))
                    }
                    Talk::Hears(question) => {
                        heard = played.heard(question).await;
                        None
                    }
                    Talk::Held => {
                        played.released.subscribe().wait_for(|released| *released).await.unwrap();
                        None
                    }
                };
                let bytes = event.map(|message| Bytes::from(format!("event: message\ndata: {message}\n\n")));
                Some((Ok::<_, std::io::Error>(bytes.unwrap_or_default()), (played, talk, heard, said)))
            }
        });
        ([("content-type", "text/event-stream")], Body::from_stream(steps)).into_response()
    }

    /// Waits for the client's answer to the server's request with this id.
    async fn heard(&self, id: &str) -> String {
        let id: Value = serde_json::from_str(id).unwrap();
        let found = || {
            let seen = self.seen.lock().unwrap();
            let answer =
                seen.iter().find(|seen| seen.message.get("method").is_none() && seen.message.get("id") == Some(&id));
            answer.map(|seen| String::from_utf8(seen.body.to_vec()).unwrap())
        };
        let mut count = self.count.subscribe();
        count.wait_for(|_| found().is_some()).await.unwrap();
        found().unwrap()
    }

    async fn ask(self: Arc<Self>, call: Seen, rounds: Vec<Vec<(&'static str, Value)>>, events: mpsc::Sender<String>) {
        let mut answers = Vec::new();
        // Two sessions may have calls of the same id.
        let number = self.asked.fetch_add(1, Ordering::SeqCst);
        for (round, questions) in rounds.into_iter().enumerate() {
            let id = |at: usize| json!(format!("{number}-{round}-{at}"));
            for (at, (method, params)) in questions.iter().enumerate() {
                let question = json!({"jsonrpc": "2.0", "id": id(at), "method": method, "params": params});
                if events.send(question.to_string()).await.is_err() {
                    return;
                }
            }
            for at in 0..questions.len() {
                let answer = tokio::select! {
                    answer = self.answer_to(id(at)) => answer,
                    () = events.closed() => return,
                };
                answers.push(answer.get("result").or(answer.get("error")).unwrap().clone());
            }
        }
        let result = json!({"content": [{"type": "text", "text": json!(answers).to_string()}]});
        events.send(envelope(&call, &result.to_string())).await.ok();
    }

    /// The client's answer to a question of ours.
    async fn answer_to(&self, id: Value) -> Value {
        let mut count = self.count.subscribe();
        loop {
            count.borrow_and_update();
            let is_it = |message: &Value| message.get("method").is_none() && message["id"] == id;
            let found = self.seen.lock().unwrap().iter().find(|seen| is_it(&seen.message)).cloned();
            match found {
                Some(answer) => return answer.message,
                None => count.changed().await.unwrap(),
            }
        }
    }

    /// What a well-behaved server answers.
    fn plain(&self, seen: &Seen) -> Response {
        if seen.verb == Method::DELETE {
            return StatusCode::OK.into_response();
        }
        if seen.verb != Method::POST {
            return StatusCode::METHOD_NOT_ALLOWED.into_response();
        }
        if seen.message.get("method").is_none() {
            return StatusCode::ACCEPTED.into_response();
        }
        let params = &seen.message["params"];
        let result = match seen.method() {
            method if method.starts_with("notifications/") => return StatusCode::ACCEPTED.into_response(),
            "initialize" => json!({
                "protocolVersion": agreed(&params["protocolVersion"]),
                "capabilities": {
                    "tools": {}, "prompts": {}, "resources": {"subscribe": true}, "completions": {}, "logging": {}
                },
                "serverInfo": {"name": "fake", "version": "1"},
            }),
            "ping" | "logging/setLevel" => json!({}),
            "tools/list" => json!({"tools": []}),
            "prompts/list" => json!({"prompts": []}),
            "resources/list" => json!({"resources": []}),
            "resources/templates/list" => json!({"resourceTemplates": []}),
            "tools/call" => {
                let text = json!({"name": params["name"], "arguments": params["arguments"]}).to_string();
                json!({"content": [{"type": "text", "text": text}]})
            }
            "resources/read" if !self.has(&params["uri"]) => return error(seen, -32002, "Resource not found"),
            "resources/read" => json!({"contents": [{"uri": params["uri"], "text": self.session()}]}),
            _ => return error(seen, -32601, "Method not found"),
        };
        self.result(seen, &result.to_string())
    }

    fn has(&self, uri: &Value) -> bool {
        self.script.uris.as_ref().is_none_or(|uris| uris.iter().any(|known| uri == known))
    }

    fn result(&self, seen: &Seen, result: &str) -> Response {
        let mut response = ([("content-type", "application/json")], envelope(seen, result)).into_response();
        if self.script.sessions && seen.method() == "initialize" {
            response.headers_mut().insert("mcp-session-id", self.session().parse().unwrap());
        }
        response
    }
}

fn error(seen: &Seen, code: i32, message: &str) -> Response {
    let error = json!({"jsonrpc": "2.0", "id": seen.message["id"], "error": {"code": code, "message": message}});
    ([("content-type", "application/json")], error.to_string()).into_response()
}

/// The revision asked for if a legacy server knows it, else the newest that has a handshake.
fn agreed(asked: &Value) -> &str {
    let known = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];
    asked.as_str().filter(|asked| known.contains(asked)).unwrap_or("2025-11-25")
}

fn mirrored(seen: &Seen) -> &str {
    seen.message["params"]["arguments"]["result"].as_str().expect("the argument `result` is a string")
}

/// A stream as servers send it: a comment, a notification, then the answer.
fn streamed(seen: &Seen, result: &str) -> Response {
    let notification = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}"#;
    let answer = envelope(seen, result).replace('\n', "\ndata: ");
    let text = format!(": hello\n\nevent: message\ndata: {notification}\n\nevent: message\ndata: {answer}\n\n");
    ([("content-type", "text/event-stream")], text).into_response()
}

/// A stream of messages, sent as they are put in.
fn events() -> (mpsc::Sender<String>, Response) {
    let (sender, receiver) = mpsc::channel::<String>(8);
    let body = stream::unfold(receiver, async |mut receiver| {
        let message = receiver.recv().await?;
        Some((Ok::<_, std::io::Error>(Bytes::from(format!("event: message\ndata: {message}\n\n"))), receiver))
    });
    (sender, ([("content-type", "text/event-stream")], Body::from_stream(body)).into_response())
}

fn envelope(seen: &Seen, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, seen.message["id"])
}

fn page(seen: &Seen, key: &str, pages: &[Vec<Value>]) -> String {
    let number: usize = seen.message["params"]["cursor"].as_str().map_or(0, |cursor| cursor.parse().unwrap());
    let mut result = json!({ key: pages[number] });
    if number + 1 < pages.len() {
        result["nextCursor"] = json!((number + 1).to_string());
    }
    result.to_string()
}
