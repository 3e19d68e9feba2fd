//! A plain HTTP client: it sends what the test says and hides nothing of the answer.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::soon;

/// Connections to one or more servers.
#[derive(Debug, Clone)]
pub(crate) struct Http(Client<HttpConnector, Full<Bytes>>);

impl Http {
    pub(crate) fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    /// Sends one request and reads the whole answer.
    pub(crate) async fn send(&self, method: Method, url: &str, headers: &HeaderMap, body: impl Into<Bytes>) -> Reply {
        let response = self.open(method, url, headers, body).await;
        soon("reading an answer", Reply::read(response)).await.expect("the answer ends as it should")
    }

    /// The same; `None` when no whole answer came.
    pub(crate) async fn try_send(
        &self,
        method: Method,
        url: &str,
        headers: &HeaderMap,
        body: impl Into<Bytes>,
    ) -> Option<Reply> {
        let mut request = Request::builder().method(method).uri(url).body(Full::new(body.into())).unwrap();
        *request.headers_mut() = headers.clone();
        let response = soon("an answer or none", self.0.request(request)).await.ok()?;
        soon("reading an answer", Reply::read(response)).await.ok()
    }

    /// Sends one request; the answer's body is still to be read.
    pub(crate) async fn open(
        &self,
        method: Method,
        url: &str,
        headers: &HeaderMap,
        body: impl Into<Bytes>,
    ) -> http::Response<Incoming> {
        let mut request = Request::builder().method(method).uri(url).body(Full::new(body.into())).unwrap();
        *request.headers_mut() = headers.clone();
        soon("an answer", self.0.request(request)).await.expect("the server answers")
    }
}

/// A whole HTTP answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    async fn read(response: http::Response<Incoming>) -> Result<Self, hyper::Error> {
        let (parts, body) = response.into_parts();
        Ok(Self { status: parts.status, headers: parts.headers, body: body.collect().await?.to_bytes() })
    }

    /// A header as text; empty when it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.text()))
    }

    /// The JSON-RPC message in the body, as it stood on the wire: the body itself, or the last event of a stream.
    pub(crate) fn message_text(&self) -> String {
        if !self.header("content-type").starts_with("text/event-stream") {
            return self.text().to_owned();
        }
        let mut events = Events::default();
        events.push(self.text());
        events.ready.pop().unwrap_or_else(|| panic!("no event in {:?}", self.text())).data
    }
}

/// One event of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) name: String,
    /// Empty when there is none.
    pub(crate) id: String,
    pub(crate) data: String,
}

impl Event {
    /// The JSON-RPC message that it carries.
    pub(crate) fn message(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error} in {:?}", self.data))
    }
}

/// An event stream that is read as it comes.
#[derive(Debug)]
pub(crate) struct EventStream {
    body: Incoming,
    events: Events,
}

impl EventStream {
    /// The last id that was read, with or without data.
    pub(crate) fn last_id(&self) -> &str {
        &self.events.last_id
    }

    /// Whether the first event with an id had no data.
    pub(crate) fn has_begun_without_data(&self) -> bool {
        self.events.primed
    }

    /// Reads until there is an id.
    pub(crate) async fn first_id(&mut self) -> String {
        while self.events.last_id.is_empty() {
            let frame = soon("an event", self.body.frame()).await.expect("the stream goes on").expect("it is whole");
            if let Ok(data) = frame.into_data() {
                self.events.push(std::str::from_utf8(&data).expect("events are text"));
            }
        }
        self.events.last_id.clone()
    }

    pub(crate) fn new(body: Incoming) -> Self {
        Self { body, events: Events::default() }
    }

    /// The message of the next event; fails the test at the stream's end.
    pub(crate) async fn message(&mut self) -> Value {
        self.next().await.expect("the stream goes on").message()
    }

    /// The next event with data; `None` at the stream's end.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        while self.events.ready.is_empty() {
            let frame = soon("an event", self.body.frame()).await?.expect("the stream is not broken off");
            if let Ok(data) = frame.into_data() {
                self.events.push(std::str::from_utf8(&data).expect("events are text"));
            }
        }
        Some(self.events.ready.remove(0))
    }
}

/// A small reader of event streams, written apart from the product's own so that it can find fault with it.
#[derive(Debug, Default)]
struct Events {
    rest: String,
    ready: Vec<Event>,
    /// The last id that came, also with an event without data.
    last_id: String,
    /// An event without data came first.
    primed: bool,
    begun: bool,
}

impl Events {
    fn push(&mut self, text: &str) {
        self.rest.push_str(&text.replace("\r\n", "\n"));
        while let Some(end) = self.rest.find("\n\n") {
            let block: String = self.rest.drain(..end + 2).collect();
            let fields = |name: &str| {
                let values = block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
                values.map(|value| value.strip_prefix(' ').unwrap_or(value)).collect::<Vec<_>>().join("\n")
            };
            let (data, id) = (fields("data"), fields("id"));
            if !id.is_empty() {
                self.primed |= !self.begun && data.is_empty();
                self.begun = true;
                self.last_id.clone_from(&id);
            }
            if !data.is_empty() {
                self.ready.push(Event { name: fields("event"), id, data });
            }
        }
    }
}
