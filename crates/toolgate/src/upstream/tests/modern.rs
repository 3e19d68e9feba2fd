//! A server of revision 2026-07-28: one connection for all, rounds of questions, what is told on a subscription.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures_util::stream::{self, StreamExt as _};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, broadcast};
use tokio::task::JoinSet;
use toolgate_client::Answer;

use super::heard::{Heard, client, hears};
use super::{PATIENCE, call, text, upstreams};
use crate::auth::testing::caller;
use crate::upstream::testing::http_server;
use crate::upstream::{Ask, Changed, Hears, LogLevel, Rounds, Upstream, UpstreamError};

struct Modern {
    /// Filters of the subscriptions that were asked for.
    filters: Mutex<Vec<Value>>,
    listening: Semaphore,
    told: broadcast::Sender<Value>,
    discovered: AtomicUsize,
    initialized: AtomicUsize,
    /// It has become a legacy server.
    is_old: AtomicBool,
}

async fn start() -> (Arc<Modern>, String, JoinSet<()>) {
    let modern = Arc::new(Modern {
        filters: Mutex::default(),
        listening: Semaphore::new(0),
        told: broadcast::Sender::new(16),
        discovered: AtomicUsize::new(0),
        initialized: AtomicUsize::new(0),
        is_old: AtomicBool::new(false),
    });
    let app = Router::new().route("/mcp", post(answer)).with_state(Arc::clone(&modern));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let mut serving = JoinSet::new();
    serving.spawn(async move { axum::serve(listener, app).await.unwrap() });
    (modern, url, serving)
}

async fn answer(State(modern): State<Arc<Modern>>, headers: HeaderMap, body: Bytes) -> Response {
    let message: Value = serde_json::from_slice(&body).unwrap();
    let (method, params) = (message["method"].as_str().unwrap(), &message["params"]);
    if modern.is_old.load(Ordering::SeqCst) {
        return match method {
            "initialize" => {
                modern.initialized.fetch_add(1, Ordering::SeqCst);
                let facts = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {} });
                let mut response = result(&message, facts);
                response.headers_mut().insert("mcp-session-id", "old".parse().unwrap());
                response
            }
            _ if !headers.contains_key("mcp-session-id") => {
                (StatusCode::BAD_REQUEST, "Bad Request: No valid session ID provided").into_response()
            }
            "tools/call" => result(&message, said("old")),
            _ => StatusCode::ACCEPTED.into_response(),
        };
    }
    if headers.get("mcp-protocol-version").is_none_or(|version| version != "2026-07-28") {
        let error = json!({ "code": -32020, "message": "the version in the header is not that in `_meta`" });
        let body = json!({ "jsonrpc": "2.0", "id": message["id"], "error": error });
        return (StatusCode::BAD_REQUEST, axum::Json(body)).into_response();
    }
    assert_eq!(headers["mcp-method"], method);
    match method {
        "server/discover" => {
            modern.discovered.fetch_add(1, Ordering::SeqCst);
            let capabilities = json!({ "tools": { "listChanged": true }, "resources": { "subscribe": true } });
            let facts = json!({ "resultType": "complete", "supportedVersions": ["2026-07-28"], "ttlMs": 0,
                "cacheScope": "private", "capabilities": capabilities });
            result(&message, facts)
        }
        "tools/call" => result(&message, called(params)),
        "subscriptions/listen" => listen(&modern, &message),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn called(params: &Value) -> Value {
    let meta = &params["_meta"];
    match params["name"].as_str().unwrap() {
        "meta" => said(&meta.to_string()),
        "endless" => json!({ "resultType": "input_required", "requestState": "again" }),
        _ => {
            if params["requestState"] == "s\u{1f600}" {
                return said(&params["inputResponses"].to_string());
            }
            let ask = |message: &str| json!({ "method": "elicitation/create", "params": { "message": message } });
            json!({ "resultType": "input_required", "requestState": "s\u{1f600}",
                "inputRequests": { "a": ask("first"), "b": ask("second") } })
        }
    }
}

fn said(text: &str) -> Value {
    json!({ "resultType": "complete", "content": [{ "type": "text", "text": text }] })
}

fn listen(modern: &Arc<Modern>, message: &Value) -> Response {
    let told = modern.told.subscribe();
    let filter = message["params"]["notifications"].clone();
    modern.filters.lock().unwrap().push(filter.clone());
    modern.listening.add_permits(1);
    let meta = json!({ "io.modelcontextprotocol/subscriptionId": message["id"] });
    let acknowledged = json!({ "jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
        "params": { "_meta": meta, "notifications": filter } });
    let told = stream::unfold(told, |mut told| async move { told.recv().await.ok().map(|message| (message, told)) });
    let told = told.map(move |mut message| {
        message["params"]["_meta"] = meta.clone();
        message
    });
    let events = stream::iter([acknowledged])
        .chain(told)
        .map(|message| Ok::<_, std::convert::Infallible>(format!("data: {message}\n\n")));
    ([("content-type", "text/event-stream")], Body::from_stream(events)).into_response()
}

fn result(message: &Value, result: Value) -> Response {
    axum::Json(json!({ "jsonrpc": "2.0", "id": message["id"], "result": result })).into_response()
}

async fn ask(up: &Upstream, side: &crate::upstream::ClientSide, tool: &str) -> Result<String, UpstreamError> {
    let lane = up.lane(&caller(&[]), side).unwrap();
    let params = format!(r#"{{"name":"{tool}"}}"#);
    let ask = Ask { rounds: Rounds::Ask, ..Ask::new("tools/call", Some(&params), PATIENCE) };
    up.ask::<Answer>(&lane, ask).await.map(text)
}

#[tokio::test]
async fn all_sessions_share_one_connection_and_each_request_says_whose_it_is() {
    let (modern, url, _serving) = start().await;
    let upstreams = upstreams(vec![http_server("up", &url)]);
    let up = upstreams.find("up").unwrap();
    let (alice, bob) = (Heard::new("alice"), Heard::new("bob"));
    call(up, &super::lane(up, &[]), "meta").await.unwrap();
    let mut alices = client(Some(1), r#"{"elicitation":{}}"#, &alice);
    alices.log_level = Some(LogLevel::Notice);
    let told: Value = serde_json::from_str(&ask(up, &alices, "meta").await.unwrap()).unwrap();
    assert_eq!(told["io.modelcontextprotocol/clientCapabilities"], json!({ "elicitation": {} }));
    assert_eq!(told["io.modelcontextprotocol/logLevel"], "notice");
    let bobs = client(Some(2), r#"{"roots":{"listChanged":true}}"#, &bob);
    let told: Value = serde_json::from_str(&ask(up, &bobs, "meta").await.unwrap()).unwrap();
    assert_eq!(told["io.modelcontextprotocol/clientCapabilities"], json!({ "roots": {} }));
    assert_eq!(told["io.modelcontextprotocol/clientInfo"]["name"], "toolgate");
    assert_eq!(told.get("io.modelcontextprotocol/logLevel"), None);
    assert_eq!(modern.discovered.load(Ordering::SeqCst), 1);
    upstreams.close(None, PATIENCE).await;
}

#[tokio::test]
async fn questions_are_asked_together_and_their_answers_go_back() {
    let (_modern, url, _serving) = start().await;
    let upstreams = upstreams(vec![http_server("up", &url)]);
    let up = upstreams.find("up").unwrap();
    let alice = Heard::new("alice");
    let alices = client(Some(1), r#"{"elicitation":{}}"#, &alice);
    let answers: Value = serde_json::from_str(&ask(up, &alices, "ask").await.unwrap()).unwrap();
    for key in ["a", "b"] {
        assert_eq!(answers[key], json!({ "action": "accept", "content": { "who": "alice" } }));
    }
    assert_eq!(alice.of("message").len(), 2);

    let why = ask(up, &alices, "endless").await.unwrap_err();
    assert!(why.to_string().contains("8 times"), "{why}");
    let why = ask(up, &client(Some(2), "{}", &alice), "ask").await.unwrap_err();
    assert!(why.to_string().contains("`elicitation/create`"), "{why}");
    upstreams.close(None, PATIENCE).await;
}

#[tokio::test]
async fn one_subscription_tells_of_all_that_is_wanted() {
    let (modern, url, _serving) = start().await;
    let upstreams = upstreams(vec![http_server("up", &url)]);
    let mut news = upstreams.news();
    let up = upstreams.find("up").unwrap();
    let alice = Heard::new("alice");
    let alices = client(Some(1), "{}", &alice);
    call(up, &super::lane(up, &[]), "meta").await.unwrap();
    modern.listening.acquire().await.unwrap().forget();
    assert_eq!(modern.filters.lock().unwrap().pop().unwrap(), json!({ "toolsListChanged": true }));

    modern.told.send(json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed", "params": {} })).unwrap();
    assert_eq!(news.recv().await.unwrap().what, Changed::Tools);

    let lane = up.lane(&caller(&[]), &alices).unwrap();
    assert!(up.subscribe(&lane, "test://a", "test://a", PATIENCE).await.unwrap().is_none());
    modern.listening.acquire().await.unwrap().forget();
    let both = json!({ "toolsListChanged": true, "resourceSubscriptions": ["test://a"] });
    assert_eq!(modern.filters.lock().unwrap().pop().unwrap(), both);
    let updated =
        json!({ "jsonrpc": "2.0", "method": "notifications/resources/updated", "params": { "uri": "test://a" } });
    modern.told.send(updated).unwrap();
    alice.next().await;
    assert_eq!(alice.of("uri"), [("notifications/resources/updated".to_owned(), json!("test://a"))]);
    assert_eq!(alice.of("_meta"), [("notifications/resources/updated".to_owned(), json!({}))]);
    upstreams.close(None, PATIENCE).await;
}

#[tokio::test]
async fn a_server_that_has_become_another_is_found_out() {
    let (modern, url, _serving) = start().await;
    let upstreams = upstreams(vec![http_server("up", &url)]);
    let up = upstreams.find("up").unwrap();
    let alice = Heard::new("alice");
    let alices = client(Some(1), "{}", &alice);
    call(up, &super::lane(up, &[]), "meta").await.unwrap();
    assert!(up.is_modern());
    modern.is_old.store(true, Ordering::SeqCst);
    assert_eq!(ask(up, &alices, "meta").await.unwrap(), "old");
    assert!(!up.is_modern());
    modern.is_old.store(false, Ordering::SeqCst);
    let hears: Arc<dyn Hears> = hears(&alice);
    let lane = up.lane(&caller(&[]), &alices).unwrap();
    let ask = Ask { hears: Some(&hears), ..Ask::new("tools/call", Some(r#"{"name":"meta"}"#), PATIENCE) };
    // A server that no longer knows the session, nor sessions.
    assert!(up.ask::<Answer>(&lane, ask).await.is_ok());
    assert!(up.is_modern());
    upstreams.close(None, PATIENCE).await;
}
