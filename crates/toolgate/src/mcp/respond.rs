//! From the work on a POST to its response: JSON, or a stream of events that ends with the answer.

use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderName, HeaderValue, StatusCode};
use toolgate_mcp::headers;
use toolgate_mcp::jsonrpc::{self, ErrorObject, code};
use tracing::Instrument as _;

use super::dispatch::Answered;
use super::head::Accepts;
use super::in_place::{Came, InPlace, Panicked};
use super::outlet::Outlet;
use super::refusal::Refusal;
use super::reply::{Framing, Message};
use super::stream;
use crate::gateway::Gateway;

pub(super) const SESSION_ID: HeaderName = HeaderName::from_static(headers::SESSION_ID);

/// What serving a body came to.
pub(super) enum Served {
    /// An answer.
    Answered(Answered),
    /// Nothing to answer.
    Accepted,
    /// Not served.
    Refused(Refusal),
}

/// Works on a POST until there is something to respond with: the answer, or the beginning of a stream.
///
/// `outlet` is where events for this response go.
pub(super) async fn respond(
    gateway: &Gateway,
    work: BoxFuture<'static, Served>,
    outlet: Arc<Outlet>,
    accepts: Accepts,
) -> Response {
    let stream_after = gateway.snapshot().settings.clients.stream_after;
    let came = InPlace::that_goes_on(work, &gateway.tasks).wait(&outlet, accepts.streams.then_some(stream_after)).await;
    let rest = match came {
        Came::End(served) if accepts.streams && outlet.has_events() => {
            // What was said last comes before the answer all the same.
            outlet.finish(last_message(served).await);
            return stream::response(Body::from_stream(outlet.reader()));
        }
        Came::End(served) => return whole(served, accepts.framing).await,
        Came::Stream(rest) => rest,
    };
    let reader = outlet.reader();
    let gateway_of_task = gateway.clone();
    let task = async move {
        outlet.finish(last_message(rest.end().await).await);
        for _ in 0..outlet.take_dropped() {
            gateway_of_task.metrics.dropped_frames("_client", "stream_full");
        }
    };
    gateway.tasks.spawn(task.in_current_span());
    stream::response(Body::from_stream(reader))
}

async fn whole(served: Result<Served, Panicked>, framing: Framing) -> Response {
    match served {
        Ok(Served::Answered(Answered { message, opened })) => {
            let mut response = match framing {
                Framing::Json => message.into_json(StatusCode::OK),
                // In a box, because collecting a large answer is rare and every response would carry its size.
                Framing::Sse => Box::pin(message.whole()).await.into_sse(),
            };
            if let Some(value) = opened.and_then(|token| HeaderValue::try_from(token).ok()) {
                response.headers_mut().insert(SESSION_ID, value);
            }
            response
        }
        Ok(Served::Accepted) => StatusCode::ACCEPTED.into_response(),
        Ok(Served::Refused(refusal)) => refusal.into_response(),
        Err(panicked) => internal_error(&panicked).into_json(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// The message that ends a stream.
async fn last_message(served: Result<Served, Panicked>) -> Option<Bytes> {
    match served {
        Ok(Served::Answered(answered)) => Some(answered.message.whole().await.into_bytes()),
        // Refused and accepted are known long before a stream begins.
        Ok(Served::Accepted | Served::Refused(_)) => None,
        Err(panicked) => Some(internal_error(&panicked).whole().await.into_bytes()),
    }
}

fn internal_error(panicked: &Panicked) -> Message {
    tracing::error!(%panicked, "serving a request panicked");
    let text = "internal error; the gateway's log has the details under this response's x-request-id";
    jsonrpc::error(None, &ErrorObject::new(code::INTERNAL_ERROR, text)).into()
}
