//! A port of its own for `/metrics` (`server::scrape`), so that a network can keep it apart. It goes on answering while the
//! gateway stops.

use std::convert::Infallible;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::accept::ACCEPT_PAUSE;
use super::stall::StallLimit;
use crate::gateway::Gateway;
use crate::server::scrape;

/// Connections that are open at once; more wait. Few ever read metrics.
const MAX_CONNECTIONS: usize = 16;

/// How long a connection may be quiet, and how long one may take nothing of what it asked for.
const QUIET: Duration = Duration::from_secs(75);
const STALL: Duration = Duration::from_secs(10);

/// Serves until `ended`.
pub(super) async fn run(listener: TcpListener, gateway: Gateway, ended: CancellationToken) {
    let mut open = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = ended.cancelled() => break,
            Some(_) = open.join_next(), if !open.is_empty() => continue,
            accepted = listener.accept(), if open.len() < MAX_CONNECTIONS => accepted,
        };
        match accepted {
            Ok((stream, _)) => drop(open.spawn(serve(stream, gateway.clone()))),
            Err(error) => {
                tracing::warn!(%error, "a connection to the port of metrics could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, gateway: Gateway) {
    let service = hyper::service::service_fn(|request: http::Request<hyper::body::Incoming>| {
        let response = scrape::respond(&gateway, &request);
        async move { Ok::<_, Infallible>(response) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(QUIET).max_buf_size(16 * 1024);
    let stream = TokioIo::new(StallLimit::new(stream, STALL));
    if let Err(error) = builder.serve_connection(stream, service).await {
        tracing::debug!(%error, "a connection to the port of metrics ended badly");
    }
}
