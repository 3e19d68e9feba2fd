//! From the work on a request to its response: JSON with the status that its outcome has, or a stream that ends with it.
//!
//! The stream is the request: when the client closes it, what is left of the work is dropped, and so cancelled.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{StatusCode, header};
use toolgate_mcp::jsonrpc::{self, ErrorObject, Id, code};
use tracing::Instrument as _;

use super::answer;
use crate::faces::rest;
use crate::gateway::Gateway;
use crate::mcp::ended::Ended;
use crate::mcp::head::Accepts;
use crate::mcp::in_place::{Came, InPlace, Panicked};
use crate::mcp::outlet::Outlet;
use crate::mcp::reply::{Framing, Message};
use crate::mcp::stream;

/// Works on the request called `id` until there is something to respond with.
///
/// `outlet` is where events for this response go.
pub(super) async fn respond(
    gateway: &Gateway,
    work: BoxFuture<'static, Ended>,
    id: Id,
    outlet: Arc<Outlet>,
    accepts: Accepts,
) -> Response {
    let stream_after = gateway.snapshot().settings.clients.stream_after;
    let came = InPlace::that_ends_with_its_client(work).wait(&outlet, accepts.streams.then_some(stream_after)).await;
    let rest = match came {
        Came::End(ended) if accepts.streams && outlet.has_events() => {
            // What was said last comes before the answer all the same.
            outlet.finish(Some(last_message(ended, &id).await));
            return stream::response(Body::from_stream(outlet.reader()));
        }
        Came::End(ended) => return whole(ended, &id, accepts.framing).await,
        Came::Stream(rest) => rest,
    };
    let reader = outlet.reader();
    let metrics = gateway.clone();
    let task = async move {
        tokio::select! {
            ended = rest.end() => outlet.finish(Some(last_message(ended, &id).await)),
            () = outlet.deserted() => {}
        }
        for _ in 0..outlet.take_dropped() {
            metrics.metrics.dropped_frames("_client", "stream_full");
        }
    };
    gateway.tasks.spawn(task.in_current_span());
    stream::response(Body::from_stream(reader))
}

async fn whole(ended: Result<Ended, Panicked>, id: &Id, framing: Framing) -> Response {
    let ended = match ended {
        Ok(ended) => ended,
        Err(panicked) => return internal_error(&panicked, id).into_json(StatusCode::INTERNAL_SERVER_ERROR),
    };
    let status = answer::status(&ended);
    let retry_after = ended.limited.and_then(|limited| limited.retry_after);
    let mut response = match framing {
        // In a box, because collecting a large answer is rare and every response would carry its size.
        Framing::Sse if status == StatusCode::OK => Box::pin(ended.message.whole()).await.into_sse(),
        Framing::Json | Framing::Sse => ended.message.into_json(status),
    };
    if let Some(after) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, rest::seconds(after));
    }
    response
}

/// The message that ends a stream.
async fn last_message(ended: Result<Ended, Panicked>, id: &Id) -> Bytes {
    let message = match ended {
        Ok(ended) => ended.message,
        Err(panicked) => internal_error(&panicked, id),
    };
    message.whole().await.into_bytes()
}

fn internal_error(panicked: &Panicked, id: &Id) -> Message {
    tracing::error!(%panicked, "serving a request panicked");
    let text = "internal error; the gateway's log has the details under this response's x-request-id";
    jsonrpc::error(Some(id), &ErrorObject::new(code::INTERNAL_ERROR, text)).into()
}
