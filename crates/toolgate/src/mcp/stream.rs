//! Event streams towards clients: their heads, and the standalone stream that is still quiet.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderName, HeaderValue, header};
use toolgate_mcp::sse::KEEP_ALIVE;

use super::reply::EVENT_STREAM;
use super::session::ClientSession;
use crate::gateway::Gateway;

/// How often a quiet stream gets a keep-alive comment; below the minute after which proxies like to hang up.
pub(super) const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(15);

/// Keep-alives until the gateway stops or the session is over.
pub(super) fn quiet(gateway: &Gateway, session: ClientSession) -> Response {
    let open = (gateway.metrics.stream_opened(), gateway.clone(), session);
    response(Body::from_stream(stream::unfold(open, async |(counted, gateway, session)| {
        tokio::select! {
            () = gateway.stopping.cancelled() => return None,
            () = tokio::time::sleep(KEEP_ALIVE_EVERY) => {}
        }
        let goes_on = gateway.sessions.is_open(&session, SystemTime::now());
        goes_on.then(|| (Ok::<_, Infallible>(Bytes::from_static(KEEP_ALIVE)), (counted, gateway, session)))
    })))
}

/// `body` as an event stream that no proxy buffers.
pub(super) fn response(body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, EVENT_STREAM);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}
