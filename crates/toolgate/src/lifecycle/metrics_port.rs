//! A port of its own for `/metrics`, on which there is nothing else, so that a network can keep it apart.
//!
//! No key is asked for: whoever reaches the port may read. It goes on answering while the gateway stops.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::{IntoResponse as _, Response};
use http::{Method, Request, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::accept::ACCEPT_PAUSE;
use super::stall::StallLimit;
use crate::auth::origin;
use crate::faces::admission;
use crate::gateway::Gateway;
use crate::rest::health;

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
    let service = hyper::service::service_fn(|request| {
        let response = respond(&gateway, &request);
        async move { Ok::<_, Infallible>(response) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(QUIET).max_buf_size(16 * 1024);
    let stream = TokioIo::new(StallLimit::new(stream, STALL));
    if let Err(error) = builder.serve_connection(stream, service).await {
        tracing::debug!(%error, "a connection to the port of metrics ended badly");
    }
}

fn respond(gateway: &Gateway, request: &Request<Incoming>) -> Response {
    let snapshot = gateway.snapshot();
    let general = &snapshot.settings.general;
    if let Err(why) = origin::check_scraper(request.uri(), request.headers(), general, &gateway.bind) {
        return admission::refused(&why);
    }
    if request.uri().path() != "/metrics" {
        let text = "only /metrics is served on this port";
        return admission::detail(StatusCode::NOT_FOUND, "not_found", text);
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let text = "metrics are read with GET";
        let response = admission::detail(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", text);
        return ([(header::ALLOW, "GET, HEAD")], response).into_response();
    }
    health::metrics_page(gateway)
}
