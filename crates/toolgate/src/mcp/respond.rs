//! From the work on a POST to its response: JSON, or a stream of events that ends with the answer.

use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderName, HeaderValue, StatusCode, header};
use toolgate_mcp::headers;
use toolgate_mcp::jsonrpc::{self, ErrorObject, code};
use tracing::Instrument as _;

use super::dispatch::Answered;
use super::event_id::Position;
use super::head::Accepts;
use super::in_place::{Came, InPlace, Panicked, Rest};
use super::outlet::Outlet;
use super::refusal::Refusal;
use super::reply::{Framing, Message};
use super::session::ClientSession;
use super::{listen, stream};
use crate::auth::Caller;
use crate::faces::rest;
use crate::gateway::{Gateway, Snapshot};

pub(super) const SESSION_ID: HeaderName = HeaderName::from_static(headers::SESSION_ID);

/// What serving a body came to.
pub(super) enum Served {
    /// An answer.
    Answered(Answered),
    /// The client has cancelled what it asked for, and gets no answer.
    Cancelled,
    /// Nothing to answer.
    Accepted,
    /// Not served.
    Refused(Refusal),
}

/// Where and how a client is responded to.
pub(super) struct Respondee<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) caller: Caller,
    /// The session, if the client named one.
    pub(super) session: Option<ClientSession>,
    pub(super) accepts: Accepts,
    /// Where events for this response go.
    pub(super) outlet: Arc<Outlet>,
}

impl Respondee<'_> {
    /// Works on a POST until there is something to respond with: the answer, or the beginning of a stream.
    pub(super) async fn respond(self, work: BoxFuture<'static, Served>) -> Response {
        let Self { gateway, accepts, outlet, .. } = &self;
        let clients = &self.snapshot.settings.clients;
        let may_stream = accepts.streams && gateway.streams.has_room(clients.streams);
        let comes_back = self.session.as_ref().is_some_and(|session| session.revision.has_priming_events());
        let stream_after = if comes_back { clients.resumable_after } else { clients.stream_after };
        let patience = may_stream.then_some(stream_after);
        let rest = match InPlace::that_goes_on(work, &gateway.tasks).wait(outlet, patience).await {
            Came::Stream(rest) => rest,
            Came::End(Ok(Served::Cancelled)) if accepts.streams => return stream::response(Body::empty()),
            // What was said last comes before the answer all the same.
            Came::End(served) if !outlet.desert_if_empty() => Rest::over(served),
            Came::End(served) => return whole(served, accepts.framing).await,
        };
        self.stream(rest)
    }

    /// A response that is a stream, whatever becomes of its client.
    fn stream(self, rest: Rest<Served>) -> Response {
        let Self { gateway, caller, session, outlet, .. } = self;
        let live = session
            .filter(|session| session.revision.has_event_ids())
            .map(|session| gateway.lives.of(&session, &caller));
        let kept = live.and_then(|live| {
            let stream = gateway.lives.keep(&live, &outlet, gateway.sessions.sealer(), &caller)?;
            Some((live, stream))
        });
        // Whether there was a place was asked before; that two asked at once does no harm.
        let held = (gateway.metrics.stream_opened(), gateway.streams.one_more());
        let mut reader = outlet.reader().holding(held);
        if let Some((live, stream)) = &kept
            && live.session.revision.has_priming_events()
        {
            outlet.tell_places();
            let beginning = Position { stream: *stream, number: 0, behind: outlet.behind_beginning() };
            let id = beginning.seal(gateway.sessions.sealer(), &caller.id, live.session.key);
            reader = reader.after(listen::priming(&id));
        }
        let gateway_of_task = gateway.clone();
        let task = async move {
            outlet.finish(last_message(rest.end().await).await);
            if let Some((live, stream)) = kept {
                gateway_of_task.lives.kept_to_its_end(&live, stream);
            }
            for _ in 0..outlet.take_dropped() {
                gateway_of_task.metrics.dropped_frames("_client", "stream_full");
            }
        };
        gateway.tasks.spawn(task.in_current_span());
        stream::response(Body::from_stream(reader))
    }
}

async fn whole(served: Result<Served, Panicked>, framing: Framing) -> Response {
    match served {
        Ok(Served::Answered(Answered { message, opened, retry_after })) => {
            let mut response = match framing {
                Framing::Json => message.into_json(StatusCode::OK),
                // In a box, because collecting a large answer is rare and every response would carry its size.
                Framing::Sse => Box::pin(message.whole()).await.into_sse(),
            };
            if let Some(value) = opened.and_then(|token| HeaderValue::try_from(token).ok()) {
                response.headers_mut().insert(SESSION_ID, value);
            }
            // The status stays 200 for these clients: the Python SDK up to 1.30 (November 2026) does not read the body
            // of any other, and ends the whole session.
            if let Some(after) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, rest::seconds(after));
            }
            response
        }
        // A client that takes no streams gets a response without an answer.
        Ok(Served::Accepted | Served::Cancelled) => StatusCode::ACCEPTED.into_response(),
        Ok(Served::Refused(refusal)) => refusal.into_response(),
        Err(panicked) => internal_error(&panicked).into_json(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// The message that ends a stream.
async fn last_message(served: Result<Served, Panicked>) -> Option<Bytes> {
    match served {
        Ok(Served::Answered(answered)) => Some(answered.message.whole().await.into_bytes()),
        // Refused and accepted are known long before a stream begins.
        Ok(Served::Accepted | Served::Refused(_) | Served::Cancelled) => None,
        Err(panicked) => Some(internal_error(&panicked).whole().await.into_bytes()),
    }
}

fn internal_error(panicked: &Panicked) -> Message {
    tracing::error!(%panicked, "serving a request panicked");
    let text = "internal error; the gateway's log has the details under this response's x-request-id";
    jsonrpc::error(None, &ErrorObject::new(code::INTERNAL_ERROR, text)).into()
}
