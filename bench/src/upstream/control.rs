//! What a run has the upstream do besides answering: send word of a change, and forget its sessions.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Uri};
use http_body::{Body, Frame};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// The word of a change, as an event.
const CHANGED: &str = "event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n\n";

/// What the upstream tells of itself.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Sessions that were ever opened.
    pub(crate) sessions: u64,
    /// Streams that are open.
    pub(crate) streams: usize,
}

/// The upstream's sessions and streams.
#[derive(Debug, Default)]
pub(crate) struct Control {
    /// How many sessions were opened; the number is the session's id.
    opened: AtomicU64,
    /// Sessions with a smaller number are not known any more.
    forgotten: AtomicU64,
    /// Held for single operations.
    streams: Mutex<Vec<mpsc::UnboundedSender<Bytes>>>,
}

impl Control {
    /// A new session's id.
    pub(crate) fn open(&self) -> HeaderValue {
        HeaderValue::from(self.opened.fetch_add(1, Ordering::Relaxed))
    }

    /// Whether the session that a request names is one that was forgotten.
    pub(crate) fn forgot(&self, headers: &HeaderMap) -> bool {
        let session = headers.get(super::SESSION_ID).and_then(|id| id.to_str().ok()?.parse::<u64>().ok());
        session.is_some_and(|session| session < self.forgotten.load(Ordering::Relaxed))
    }

    /// A stream that hears of changes.
    pub(crate) fn stream(&self) -> News {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.lock().push(sender);
        News(receiver)
    }

    /// Does what `path` says; `None` when it says nothing.
    pub(crate) fn steer(&self, path: &str) -> Option<Counts> {
        match path {
            "/bench/counts" => {}
            "/bench/changed" => {
                self.lock().retain(|stream| stream.send(Bytes::from_static(CHANGED.as_bytes())).is_ok())
            }
            "/bench/forget" => self.forgotten.store(self.opened.load(Ordering::Relaxed), Ordering::Relaxed),
            _ => return None,
        }
        let mut streams = self.lock();
        streams.retain(|stream| !stream.is_closed());
        Some(Counts { sessions: self.opened.load(Ordering::Relaxed), streams: streams.len() })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<mpsc::UnboundedSender<Bytes>>> {
        self.streams.lock().expect("nothing panics while it holds the streams")
    }
}

/// The body of a stream: a comment at once, so that its client sees it open, then what is sent.
#[derive(Debug)]
pub(crate) struct News(mpsc::UnboundedReceiver<Bytes>);

impl Body for News {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}

/// Has the upstream at `upstream` do what `path` says.
///
/// # Errors
/// When it cannot be reached, or does not know the path.
pub(crate) async fn ask(upstream: &Uri, path: &str) -> anyhow::Result<Counts> {
    let authority = upstream.authority().context("--upstream needs a host")?.as_str();
    let mut stream = TcpStream::connect(authority).await.with_context(|| format!("cannot connect to {authority}"))?;
    let request =
        format!("POST {path} HTTP/1.1\r\nHost: {authority}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.context("the upstream does not listen")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.context("the upstream does not answer")?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "the upstream does not know {path}: {answer}");
    let (_, body) = answer.split_once("\r\n\r\n").context("the upstream's answer has no body")?;
    serde_json::from_str(body).with_context(|| format!("not the upstream's counts: {body}"))
}
