//! A REST API that tells what it was sent.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::soon;

/// A running API. `/echo..` answers what it was sent as JSON, `/describe` the description that the test set; other paths
/// answer as [`answer`] says.
pub(crate) struct RestService {
    pub(crate) url: String,
    state: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    description: Mutex<String>,
    seen: Mutex<Vec<Value>>,
    came: Notify,
}

impl RestService {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Shared::default());
        let app = Router::new().fallback(answer).with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, state }
    }

    /// What `/describe` answers from now on.
    pub(crate) fn describe(&self, text: &str) {
        text.clone_into(&mut self.state.description.lock().unwrap());
    }

    /// The requests that came.
    pub(crate) fn seen(&self) -> Vec<Value> {
        self.state.seen.lock().unwrap().clone()
    }

    /// Waits until a path has been asked for so many times.
    pub(crate) async fn until_asked(&self, path: &str, times: usize) {
        soon("a request to the API", async {
            loop {
                let came = self.state.came.notified();
                if self.asked(path) >= times {
                    return;
                }
                came.await;
            }
        })
        .await;
    }

    /// How often a path was asked for.
    pub(crate) fn asked(&self, path: &str) -> usize {
        self.seen().iter().filter(|one| one["path"] == path).count()
    }
}

async fn answer(State(state): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let headers: serde_json::Map<String, Value> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned().into()))
        .collect();
    let path = parts.uri.path().to_owned();
    let seen = json!({
        "method": parts.method.as_str(),
        "path": path,
        "query": parts.uri.query(),
        "headers": headers,
        "body": String::from_utf8_lossy(&body),
    });
    state.seen.lock().unwrap().push(seen.clone());
    state.came.notify_waiters();
    let reply = |status: u16, kind: &str, body: Vec<u8>| {
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        if !kind.is_empty() {
            response.headers_mut().insert("content-type", kind.parse().unwrap());
        }
        response
    };
    let with = |mut response: Response, name: &'static str, value: &str| {
        response.headers_mut().insert(name, value.parse().unwrap());
        response
    };
    match path.as_str() {
        "/describe" => {
            let text = state.description.lock().unwrap().clone();
            let tag = format!("\"{:x}\"", text.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31) ^ u64::from(byte)));
            if headers.get("if-none-match").is_some_and(|sent| *sent == tag.as_str()) {
                return with(reply(304, "", Vec::new()), "etag", &tag);
            }
            with(reply(200, "application/json", text.into_bytes()), "etag", &tag)
        }
        "/text" => reply(200, "text/plain; charset=utf-8", "grüß dich".as_bytes().to_vec()),
        "/list" => reply(200, "application/json", b"[1, 2.50]".to_vec()),
        "/image" => reply(200, "image/png", b"\x89PNG".to_vec()),
        "/empty" => reply(204, "", Vec::new()),
        "/busy" => with(reply(429, "application/json", br#"{"why":"too fast"}"#.to_vec()), "retry-after", "7"),
        "/unavailable" => reply(503, "text/html", b"nobody is here".to_vec()),
        "/broken" => reply(500, "text/html", b"<h1>oops</h1>".to_vec()),
        "/large" => reply(200, "text/plain", b"0123456789".repeat(500)),
        "/here" => with(reply(302, "", Vec::new()), "location", "/echo/there"),
        "/away" => with(reply(302, "", Vec::new()), "location", "http://127.0.0.1:9/steal"),
        "/never" => std::future::pending().await,
        _ => reply(200, "application/json", seen.to_string().into_bytes()),
    }
}
