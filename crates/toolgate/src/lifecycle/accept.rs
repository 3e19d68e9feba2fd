//! Accepting connections and speaking HTTP on them.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::stall::StallLimit;
use crate::auth::Peer;
use crate::gateway::Gateway;
use crate::places::Places;
use crate::server::serve::Server;

/// The largest head, in bytes.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Streams that one HTTP/2 connection may have open.
const MAX_STREAMS: u32 = 250;

/// What to wait after the system refuses to give another socket (too many open files, say).
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a client may take nothing of what is sent to it.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a connection that came just before the gateway began to stop may take to send its first request.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(1);

/// Connections beyond `max_connections` that are told so at once, and how long each may take to hear it.
const MAX_REFUSALS: usize = 64;
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// Accepts until `ended`.
pub(super) async fn run(
    listener: TcpListener,
    server: Server,
    gateway: Gateway,
    connections: TaskTracker,
    ended: CancellationToken,
) {
    // Connections that come while the gateway stops are not waited for: they are load balancers asking for health.
    let latecomers = TaskTracker::new();
    let refusals = Places::default();
    loop {
        let accepted = tokio::select! {
            () = ended.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let late = gateway.stopping.is_cancelled();
                let tracker = if late { &latecomers } else { &connections };
                let (most, head_time) = {
                    let settings = &gateway.snapshot().settings;
                    (settings.clients.connections, settings.limits.head_time)
                };
                let (server, stopping, ended) = (server.clone(), gateway.stopping.clone(), ended.clone());
                match (gateway.connections.place(most), refusals.place(MAX_REFUSALS)) {
                    (Some(place), _) => drop(tracker.spawn(async move {
                        let _place = place;
                        serve((stream, Peer(address.ip())), http(head_time), server, stopping, late, ended).await;
                    })),
                    (None, Some(place)) => drop(tracker.spawn(async move {
                        let _place = place;
                        refuse(stream).await;
                    })),
                    // There are too many to tell them.
                    (None, None) => drop(stream),
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    latecomers.close();
    latecomers.wait().await;
}

/// Says that no more connections are taken, in the words of HTTP/1.1, which the client most likely speaks.
async fn refuse(mut stream: TcpStream) {
    let body = r#"{"detail":{"error":"too_many_connections","message":"as many connections are open as `max_connections` allows; try again later"}}"#;
    let response = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         retry-after: 5\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let told = async {
        // A client that is answered before it has asked takes that for an error.
        if stream.read(&mut [0; 1024]).await? == 0 {
            return Ok(0);
        }
        stream.write_all(response.as_bytes()).await?;
        stream.shutdown().await?;
        // What the client has sent is taken: closed with it unread, the connection would take the response along.
        tokio::io::copy(&mut (&mut stream).take(MAX_HEAD_BYTES as u64), &mut tokio::io::sink()).await
    };
    match tokio::time::timeout(REFUSAL_TIMEOUT, told).await {
        Ok(Ok(_)) | Err(_) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection that is one too many could not be told so"),
    }
}

/// HTTP within its bounds.
fn http(head_time: Duration) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(head_time).max_buf_size(MAX_HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD_BYTES as u32)
        .keep_alive_interval(Duration::from_secs(30));
    builder
}

async fn serve(
    (stream, peer): (TcpStream, Peer),
    http: auto::Builder<TokioExecutor>,
    server: Server,
    stopping: CancellationToken,
    late: bool,
    ended: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    let first = Arc::new(FirstRequest::default());
    let begun = Arc::clone(&first);
    let service = hyper::service::service_fn(move |mut request: http::Request<hyper::body::Incoming>| {
        begun.came();
        request.extensions_mut().insert(peer);
        let server = server.clone();
        async move { Ok::<_, Infallible>(server.respond(request.map(Body::new)).await) }
    });
    let mut connection = pin!(http.serve_connection(TokioIo::new(StallLimit::new(stream, STALL_TIMEOUT)), service));
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = stopping.cancelled(), if !late => {
            // Hyper closes a connection without a request at once, also when the request is on its way.
            let over = tokio::select! {
                served = connection.as_mut() => Some(served),
                () = first.wait() => None,
                () = tokio::time::sleep(FIRST_REQUEST_TIMEOUT) => None,
            };
            match over {
                Some(served) => served,
                None => {
                    connection.as_mut().graceful_shutdown();
                    tokio::select! {
                        served = connection.as_mut() => served,
                        () = ended.cancelled() => return,
                    }
                }
            }
        }
        // The others learn of the end by `stopping`, which comes before it; and each wait costs a little at every call.
        () = ended.cancelled(), if late => return,
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a client's connection ended badly");
    }
}

/// Whether a connection has brought a request yet.
#[derive(Default)]
struct FirstRequest {
    came: AtomicBool,
    told: Notify,
}

impl FirstRequest {
    fn came(&self) {
        if !self.came.load(Ordering::Relaxed) {
            self.came.store(true, Ordering::Release);
            self.told.notify_waiters();
        }
    }

    async fn wait(&self) {
        let told = self.told.notified();
        if !self.came.load(Ordering::Acquire) {
            told.await;
        }
    }
}
