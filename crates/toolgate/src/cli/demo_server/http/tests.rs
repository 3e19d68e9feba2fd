use http::Method;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use toolgate_mcp::sse::Decoder;

use super::*;

/// A server, and a client of it.
struct Talk {
    server: Server,
    client: Client<HttpConnector, Full<Bytes>>,
}

struct Said {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Said {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

impl Talk {
    async fn start(options: Options) -> Self {
        let server = start(SocketAddr::from(([127, 0, 0, 1], 0)), options).await.expect("a free port");
        Self { server, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    async fn open(
        &self,
        method: Method,
        headers: &[(&str, &str)],
        body: String,
    ) -> http::Response<hyper::body::Incoming> {
        let mut request = http::Request::builder().method(method).uri(self.server.url());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(body)).expect("a request");
        self.client.request(request).await.expect("an answer")
    }

    async fn send(&self, method: Method, headers: &[(&str, &str)], body: String) -> Said {
        let (parts, body) = self.open(method, headers, body).await.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        Said { status: parts.status, headers: parts.headers, body }
    }

    async fn post(&self, headers: &[(&str, &str)], body: Value) -> Said {
        let all = [&[("content-type", "application/json"), ("accept", "application/json, text/event-stream")], headers];
        self.send(Method::POST, &all.concat(), body.to_string()).await
    }

    async fn begin(&self) -> String {
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}});
        let said = self.post(&[], json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})).await;
        said.headers[SESSION_ID].to_str().expect("ASCII").to_owned()
    }
}

fn ping() -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "ping"})
}

fn slow(steps: u32, delay_ms: u32) -> Value {
    let params = json!({
        "name": "slow", "arguments": {"steps": steps, "delay_ms": delay_ms}, "_meta": {"progressToken": "p"},
    });
    json!({"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": params})
}

#[tokio::test]
async fn answers_are_json_with_or_without_a_session() {
    let talk = Talk::start(Options::default()).await;
    let said = talk.post(&[], ping()).await;
    assert_eq!((said.status, said.json()), (StatusCode::OK, json!({"jsonrpc": "2.0", "id": 1, "result": {}})));
    assert_eq!(said.headers[header::CONTENT_TYPE], "application/json");

    let session = talk.begin().await;
    assert_eq!(talk.post(&[("mcp-session-id", &session)], ping()).await.status, StatusCode::OK);
    let note = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let said = talk.post(&[("mcp-session-id", &session)], note).await;
    assert_eq!((said.status, said.body.len()), (StatusCode::ACCEPTED, 0));
    talk.server.stop().await;
}

#[tokio::test]
async fn a_session_that_ended_or_never_was_is_not_found() {
    let talk = Talk::start(Options::default()).await;
    let session = talk.begin().await;
    let header = [("mcp-session-id", session.as_str())];
    assert_eq!(talk.send(Method::DELETE, &header, String::new()).await.status, StatusCode::NO_CONTENT);
    assert_eq!(talk.post(&header, ping()).await.status, StatusCode::NOT_FOUND);
    assert_eq!(talk.send(Method::DELETE, &header, String::new()).await.status, StatusCode::NOT_FOUND);
    assert_eq!(talk.post(&[("mcp-session-id", "made-up")], ping()).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_server_without_sessions_hands_out_no_ids() {
    let talk = Talk::start(Options { sessions: false }).await;
    let params = json!({"protocolVersion": "2025-06-18", "capabilities": {}});
    let said = talk.post(&[], json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})).await;
    assert!(!said.headers.contains_key(SESSION_ID));
    assert_eq!(talk.send(Method::DELETE, &[], String::new()).await.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn progress_comes_as_an_event_stream_and_only_to_those_who_take_one() {
    let talk = Talk::start(Options::default()).await;
    let said = talk.post(&[], slow(2, 1)).await;
    assert_eq!(said.headers[header::CONTENT_TYPE], "text/event-stream");
    let mut decoder = Decoder::new(64 * 1024);
    decoder.push(&said.body);
    let mut messages: Vec<Value> = Vec::new();
    while let Some(event) = decoder.next_event().expect("within the cap") {
        messages.push(serde_json::from_slice(&event.data).expect("JSON"));
    }
    assert_eq!(messages.len(), 3);
    assert_eq!(messages[1]["params"]["progress"], 2);
    assert_eq!(messages[2]["id"], 9);

    let headers = [("content-type", "application/json"), ("accept", "application/json")];
    let said = talk.send(Method::POST, &headers, slow(2, 1).to_string()).await;
    assert_eq!(said.json()["id"], 9);
}

#[tokio::test]
async fn a_cancelled_stream_ends_without_an_answer() {
    let talk = Talk::start(Options::default()).await;
    let session = talk.begin().await;
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-session-id", session.as_str()),
    ];
    let stream = talk.open(Method::POST, &headers, slow(1, 60_000).to_string()).await;
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 9}});
    assert_eq!(talk.post(&headers[2..], cancel).await.status, StatusCode::ACCEPTED);
    assert!(stream.into_body().collect().await.expect("an end").to_bytes().is_empty());
}

#[tokio::test]
async fn batches_are_for_the_one_revision_that_has_them() {
    let talk = Talk::start(Options::default()).await;
    let batch = json!([ping(), {"jsonrpc": "2.0", "method": "notifications/initialized"}, {"jsonrpc": "2.0", "id": 2, "method": "nope"}]);
    let said = talk.post(&[("mcp-protocol-version", "2025-03-26")], batch.clone()).await.json();
    assert_eq!((said[0]["id"].clone(), said[1]["error"]["code"].clone()), (json!(1), json!(-32601)));
    let said = talk.post(&[("mcp-protocol-version", "2025-06-18")], batch).await;
    assert_eq!(said.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn wrong_requests_are_refused_with_the_fitting_status() {
    let talk = Talk::start(Options::default()).await;
    let post = |headers: &'static [(&str, &str)], body: &'static str| talk.send(Method::POST, headers, body.to_owned());
    const JSON: (&str, &str) = ("content-type", "application/json");
    assert_eq!(post(&[JSON], "{").await.json()["error"]["code"], code::PARSE_ERROR);
    assert_eq!(post(&[JSON], "{").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(post(&[("content-type", "text/plain")], "{}").await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(post(&[JSON, ("mcp-protocol-version", "2099-01-01")], "{}").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(post(&[JSON, ("origin", "https://evil.example")], "{}").await.status, StatusCode::FORBIDDEN);
    assert_eq!(post(&[JSON, ("host", "evil.example")], "{}").await.status, StatusCode::FORBIDDEN);
    assert_eq!(talk.send(Method::GET, &[], String::new()).await.status, StatusCode::METHOD_NOT_ALLOWED);
    let large = talk.send(Method::POST, &[JSON], " ".repeat(MAX_BODY_BYTES + 1)).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
}
