//! A server of revision 2024-11-05: HTTP+SSE.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::stream;
use serde_json::Value;
use tokio::sync::mpsc;
use toolgate_mcp::sse;

/// The running server; one session at a time.
pub(crate) struct Old {
    pub(crate) url: String,
    /// Every message that was posted.
    pub(crate) posted: mpsc::UnboundedReceiver<Value>,
    /// What goes out on the stream; taking it away ends the stream.
    pub(crate) stream: Stream,
}

type Stream = Arc<Mutex<Option<mpsc::UnboundedSender<Vec<u8>>>>>;

#[derive(Clone)]
struct Shared {
    posted: mpsc::UnboundedSender<Value>,
    stream: Stream,
    endpoint: Arc<str>,
}

impl Old {
    /// `endpoint` is what the first event says.
    pub(crate) async fn serve(endpoint: &str) -> Self {
        let (sender, posted) = mpsc::unbounded_channel();
        let stream = Stream::default();
        let shared = Shared { posted: sender, stream: Arc::clone(&stream), endpoint: endpoint.into() };
        let router = axum::Router::new()
            .route("/sse", get(open).fallback(|| async { StatusCode::METHOD_NOT_ALLOWED }))
            .route("/messages", post(take))
            .with_state(shared);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/sse", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { url, posted, stream }
    }

    /// Sends `message` to the client.
    pub(crate) fn send(&self, message: &str) {
        send(&self.stream, Some("message"), message);
    }

    /// Ends the stream.
    pub(crate) fn hang_up(&self) {
        self.stream.lock().expect("not poisoned").take();
    }
}

async fn open(State(shared): State<Shared>) -> Response {
    let (sender, receiver) = mpsc::unbounded_channel();
    *shared.stream.lock().expect("not poisoned") = Some(sender);
    send(&shared.stream, Some("endpoint"), &shared.endpoint);
    let events = stream::unfold(receiver, |mut receiver| async move {
        let event = receiver.recv().await?;
        Some((Ok::<_, Infallible>(Bytes::from(event)), receiver))
    });
    ([("content-type", "text/event-stream")], Body::from_stream(events)).into_response()
}

async fn take(State(shared): State<Shared>, body: Bytes) -> StatusCode {
    let message: Value = serde_json::from_slice(&body).expect("JSON");
    let id = &message["id"];
    let answer = match message["method"].as_str() {
        Some("initialize") => Some(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{{"protocolVersion":"2024-11-05","capabilities":{{}}}}}}"#
        )),
        Some("echo") => Some(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{}}}"#, message["params"])),
        Some("gone") => return StatusCode::NOT_FOUND,
        _ => None,
    };
    if let Some(answer) = answer {
        send(&shared.stream, None, &answer);
    }
    // The test may have heard enough.
    let _ = shared.posted.send(message);
    StatusCode::ACCEPTED
}

fn send(stream: &Stream, event: Option<&str>, data: &str) {
    if let Some(stream) = &*stream.lock().expect("not poisoned") {
        // The client may have gone away.
        let _ = stream.send(sse::encode(event, None, data.as_bytes()));
    }
}
