//! Somebody who calls the gateway: with or without a key, over plain HTTP or through our own client library.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::http::{EventStream, Http, Reply};

/// One caller; every request carries the caller's headers.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    base: String,
    headers: HeaderMap,
    http: Http,
}

impl Caller {
    pub(crate) fn new(base: &str) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        headers.insert("accept", HeaderValue::from_static("application/json, text/event-stream"));
        Self { base: base.to_owned(), headers, http: Http::new() }
    }

    /// The same caller with one header more; a header of that name is replaced.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
        self
    }

    /// The same caller with a header that need not be text.
    pub(crate) fn with_bytes(mut self, name: &str, value: &[u8]) -> Self {
        self.headers.insert(HeaderName::try_from(name).unwrap(), HeaderValue::from_bytes(value).unwrap());
        self
    }

    /// The same caller with this header, unless it has one of that name.
    pub(crate) fn or_with(self, name: &str, value: &str) -> Self {
        if self.headers.contains_key(name) { self } else { self.with(name, value) }
    }

    /// The same caller with one header more, beside those of the same name.
    pub(crate) fn with_another(mut self, name: &str, value: &str) -> Self {
        self.headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
        self
    }

    /// The same caller without a header.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    /// Sends a request.
    pub(crate) async fn send(&self, method: Method, path: &str, body: impl Into<Bytes>) -> Reply {
        self.http.send(method, &format!("{}{path}", self.base), &self.headers, body).await
    }

    /// GET.
    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, Bytes::new()).await
    }

    /// POST.
    pub(crate) async fn post(&self, path: &str, body: impl Into<Bytes>) -> Reply {
        self.send(Method::POST, path, body).await
    }

    /// POST; `None` when no whole answer came.
    pub(crate) async fn try_post(&self, path: &str, body: impl Into<Bytes>) -> Option<Reply> {
        self.http.try_send(Method::POST, &format!("{}{path}", self.base), &self.headers, body).await
    }

    /// DELETE.
    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, Bytes::new()).await
    }

    /// Opens an event stream with GET.
    pub(crate) async fn open_stream(&self, path: &str) -> EventStream {
        let url = format!("{}{path}", self.base);
        let response = self.http.open(Method::GET, &url, &self.headers, Bytes::new()).await;
        assert_eq!(response.status(), 200, "the stream at {path} opens");
        EventStream::new(response.into_body())
    }

    /// The status of the answer to a GET, whose body is not read.
    pub(crate) async fn get_status(&self, path: &str) -> u16 {
        let url = format!("{}{path}", self.base);
        self.http.open(Method::GET, &url, &self.headers, Bytes::new()).await.status().as_u16()
    }

    /// Calls a tool whose answer comes on an event stream.
    pub(crate) async fn call_stream(&self, id: u32, tool: &str) -> EventStream {
        let params = json!({"name": tool, "arguments": {}, "_meta": {"progressToken": format!("token-{id}")}});
        let call = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
        self.open_post("/mcp", call.to_string()).await
    }

    /// Tells the gateway something that has no answer: a notification, or the answer to a server's question.
    pub(crate) async fn tell(&self, path: &str, message: &Value) {
        let told = self.post(path, message.to_string()).await;
        assert_eq!(told.status, 202, "{message}: {told:?}");
    }

    /// Opens an event stream with POST.
    pub(crate) async fn open_post(&self, path: &str, body: impl Into<Bytes>) -> EventStream {
        let url = format!("{}{path}", self.base);
        let response = self.http.open(Method::POST, &url, &self.headers, body).await;
        assert_eq!(response.status(), 200, "the stream at {path} opens");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        EventStream::new(response.into_body())
    }

    /// Calls a tool and gives the answer as it begins; its body is still to be read.
    pub(crate) async fn begin_call(&self, tool: &str, id: &str) -> http::Response<hyper::body::Incoming> {
        self.begin(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{{}}}}}}"#
        ))
        .await
    }

    /// POSTs to `/mcp` and gives the answer as it begins.
    pub(crate) async fn begin(&self, body: String) -> http::Response<hyper::body::Incoming> {
        let url = format!("{}/mcp", self.base);
        self.http.open(Method::POST, &url, &self.headers, body).await
    }

    /// One JSON-RPC request to `/mcp`, without a session unless the caller carries one.
    pub(crate) async fn rpc(&self, method: &str, params: Value) -> Answer {
        self.rpc_at("/mcp", method, params).await
    }

    /// One JSON-RPC request to `path`.
    pub(crate) async fn rpc_at(&self, path: &str, method: &str, params: Value) -> Answer {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        Answer::new(self.post(path, body.to_string()).await)
    }

    /// Calls a tool.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Answer {
        self.rpc("tools/call", json!({"name": tool, "arguments": arguments})).await
    }

    /// The names that `tools/list` answers, all pages.
    pub(crate) async fn tool_names(&self) -> Vec<String> {
        self.names("/mcp", "tools/list", "tools", "name").await
    }

    /// One field of all items of a list at `path`, all pages.
    pub(crate) async fn names(&self, path: &str, method: &str, key: &str, field: &str) -> Vec<String> {
        let mut names = Vec::new();
        let mut params = json!({});
        loop {
            let answer = self.rpc_at(path, method, params).await;
            let page = answer.result();
            for item in page[key].as_array().unwrap_or_else(|| panic!("no `{key}` in {page}")) {
                names.push(item[field].as_str().unwrap().to_owned());
            }
            match page.get("nextCursor") {
                Some(cursor) => params = json!({"cursor": cursor}),
                None => return names,
            }
        }
    }

    /// Opens a session at `path`; the caller that comes back carries its id and revision.
    pub(crate) async fn initialized_at(&self, path: &str) -> Caller {
        self.initialized_with(path, json!({})).await
    }

    /// The same for a client with capabilities.
    pub(crate) async fn initialized_with(&self, path: &str, capabilities: Value) -> Caller {
        let mut params = initialize("2025-11-25");
        params["capabilities"] = capabilities;
        let answer = self.rpc_at(path, "initialize", params).await;
        let version = answer.result()["protocolVersion"].as_str().expect("a revision was agreed").to_owned();
        let session = answer.http.header("mcp-session-id").to_owned();
        assert!(!session.is_empty(), "initialize gives a session: {:?}", answer.http);
        let caller = self.clone().with("mcp-session-id", &session).with("mcp-protocol-version", &version);
        let told = caller.post(path, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
        assert_eq!(told.status, 202, "a notification is accepted: {told:?}");
        caller
    }

    /// The value of one of the caller's headers.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

/// The parameters of `initialize` for a client without capabilities.
pub(crate) fn initialize(version: &str) -> Value {
    json!({"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "toolgate-tests", "version": "1"}})
}

/// A JSON-RPC answer and the HTTP answer it came in.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) http: Reply,
    text: String,
    /// Not there when the message holds a number that no machine number can; see [`Answer::raw_result`].
    message: Option<Value>,
}

/// The parts of an answer as they stood on the wire.
#[derive(serde::Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

impl Answer {
    pub(crate) fn new(http: Reply) -> Self {
        let text = http.message_text();
        let message = serde_json::from_str(&text).ok();
        Self { http, text, message }
    }

    fn wire(&self) -> Wire<'_> {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {} {}", self.http.status, self.text))
    }

    /// The result; fails the test if there is none.
    pub(crate) fn result(&self) -> &Value {
        self.message().get("result").unwrap_or_else(|| panic!("no result but {} {}", self.http.status, self.text))
    }

    /// The result as it stood on the wire.
    pub(crate) fn raw_result(&self) -> &str {
        self.wire().result.unwrap_or_else(|| panic!("no result but {} {}", self.http.status, self.text)).get()
    }

    /// The id as it stood on the wire.
    pub(crate) fn raw_id(&self) -> &str {
        self.wire().id.get()
    }

    /// The text of a tool's answer, its blocks put together.
    pub(crate) fn tool_text(&self) -> String {
        let blocks = self.result()["content"].as_array().expect("a tool's result has content");
        blocks.iter().filter_map(|block| block["text"].as_str()).collect()
    }

    /// The error's code; fails the test if there was no error.
    pub(crate) fn error_code(&self) -> i64 {
        self.error()["code"].as_i64().expect("an error has a code")
    }

    /// The error's message.
    pub(crate) fn error_message(&self) -> &str {
        self.error()["message"].as_str().expect("an error has a message")
    }

    /// The whole error.
    pub(crate) fn error(&self) -> &Value {
        self.message().get("error").unwrap_or_else(|| panic!("no error but {} {}", self.http.status, self.text))
    }

    /// The whole message.
    pub(crate) fn message(&self) -> &Value {
        self.message.as_ref().unwrap_or_else(|| panic!("no JSON but {} {}", self.http.status, self.text))
    }
}
