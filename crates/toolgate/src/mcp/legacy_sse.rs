//! HTTP+SSE, the transport of revision 2024-11-05: a stream that first names the endpoint to post to, and then carries
//! the answers.
//!
//! <https://modelcontextprotocol.io/specification/2024-11-05/basic/transports#http-with-sse>

use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Uri};
use schemars::JsonSchema;
use serde::Deserialize;
use toolgate_mcp::jsonrpc::{self, ErrorObject, Message as Incoming};
use toolgate_mcp::sse;
use toolgate_mcp::version::Revision;

use super::dispatch::Exchange;
use super::head::trace_headers;
use super::live::Listener;
use super::outlet::{Outlet, Promise};
use super::refusal::Refusal;
use super::scope::Selection;
use super::session::ClientSession;
use super::speaking::Speaking;
use super::stream as event_stream;
use crate::body;
use crate::faces::admission::{Admitted, detail};
use crate::gateway::Gateway;
use crate::seal::Purpose;
use crate::upstream::{Rounds, SessionKey};

/// Ends the session when the client is gone: it is the stream.
struct OpenStream {
    gateway: Gateway,
    session: ClientSession,
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.gateway.metrics.server_session(self.session.revision, self.session.age(SystemTime::now()));
        self.gateway.lives.end(&self.session.key);
        let (gateway, key) = (self.gateway.clone(), self.session.key);
        let closing = async move { gateway.snapshot().upstreams.close_session(&key).await };
        self.gateway.tasks.spawn(closing);
    }
}

/// `GET /sse`: opens the stream.
pub async fn open(State(gateway): State<Gateway>, admitted: Admitted, uri: Uri, headers: HeaderMap) -> Response {
    let Admitted { caller, snapshot } = admitted;
    if !snapshot.settings.general.has_handshake() {
        return Refusal::NoSessions.into_response();
    }
    let selection = Selection::of_headers(&headers);
    let scope = match selection.scope_of_request(&gateway, &snapshot, &caller.grant) {
        Ok(scope) => scope,
        Err(refusal) => return refusal.into_response(),
    };
    let Some(place) = gateway.streams.place(snapshot.settings.clients.streams) else {
        return Refusal::TooManyStreams.into_response();
    };
    let mut key = [0u8; 16];
    aws_lc_rs::rand::fill(&mut key).expect("the system's random source works");
    let key = SessionKey(key);
    let token = gateway.sessions.sealer().seal(Purpose::SseSession, caller.id.as_str(), &key.0);
    let endpoint = format!("{}/messages?session_id={token}", uri.path().trim_end_matches('/'));
    let session = ClientSession::of_stream(key, SystemTime::now());
    let live = gateway.lives.of(&session, &caller);
    let listener =
        Listener { caller: &caller, selection, scope: &scope, sealer: None, tells_places: false, after: None };
    let reader = live.listen(listener).reader;
    let first = Bytes::from(sse::encode(Some("endpoint"), None, endpoint.as_bytes()));
    let counted = gateway.metrics.stream_opened();
    let reader = reader.after(first).holding((OpenStream { gateway, session }, place, counted));
    event_stream::response(Body::from_stream(reader))
}

/// The query of the message endpoint.
#[derive(Deserialize, JsonSchema)]
pub struct MessageQuery {
    session_id: String,
}

/// `POST /sse/messages?session_id=`: takes a message; its answer comes on the stream.
pub async fn message(
    State(gateway): State<Gateway>,
    admitted: Admitted,
    query: Result<Query<MessageQuery>, QueryRejection>,
    request: Request<Body>,
) -> Response {
    let Ok(Query(MessageQuery { session_id })) = query else {
        let text = "the query needs one session_id: post to the address in the stream's `endpoint` event";
        return detail(StatusCode::BAD_REQUEST, "missing_parameter", text);
    };
    let (parts, body) = request.into_parts();
    let caller_id = admitted.caller.id.as_str();
    let Some((key, outlet)) = stream_of(&gateway, caller_id, &session_id) else {
        return detail(StatusCode::NOT_FOUND, "session_not_found", "no such stream is open; connect to /sse again");
    };
    let selection = Selection::of_headers(&parts.headers);
    let scope = match selection.scope_of_request(&gateway, &admitted.snapshot, &admitted.caller.grant) {
        Ok(scope) => scope,
        Err(refusal) => return refusal.into_response(),
    };
    let caps = (&admitted.snapshot.settings.limits).into();
    let body = match body::read_json(&parts.headers, body, caps).await {
        Ok(body) => body,
        Err(error) => return Refusal::Body(error).into_response(),
    };
    let session = ClientSession::of_stream(key, SystemTime::now());
    let speaking = Speaking::of(&gateway, Some((&session, &admitted.caller)), true, Some(&outlet));
    let exchange = Exchange {
        trace_headers: trace_headers(&gateway, &parts.headers),
        gateway,
        snapshot: admitted.snapshot,
        caller: admitted.caller,
        client: speaking.client,
        hears: speaking.hears,
        rounds: Rounds::Ask,
        live: speaking.live,
        outlet: Some(outlet.clone()),
        session: Some(session),
        scope,
        revision: Revision::V2024_11_05,
    };
    take(exchange, body, &outlet)
}

fn stream_of(gateway: &Gateway, caller: &str, token: &str) -> Option<(SessionKey, Arc<Outlet>)> {
    let plain = gateway.sessions.sealer().open(Purpose::SseSession, caller, token)?;
    let key = SessionKey(plain.try_into().ok()?);
    let outlet = gateway.lives.find(&key)?.only_stream()?;
    Some((key, outlet))
}

/// Takes a message. What has an answer is worked on by a task of the gateway, and answered on the stream.
fn take(exchange: Exchange, body: Bytes, outlet: &Arc<Outlet>) -> Response {
    let has_answer = match jsonrpc::parse(&body) {
        Ok(Incoming::Request(_)) | Err(_) => true,
        Ok(Incoming::Notification(notification)) => {
            exchange.notified(&notification);
            false
        }
        Ok(Incoming::Response(response)) => {
            exchange.answered(&response);
            false
        }
    };
    if has_answer {
        // Room is taken before the work is done, so a client that does not read its stream cannot pile up answers.
        let Some(promise) = outlet.promise() else {
            let text = "too many answers wait on this session's stream; read them first";
            return detail(StatusCode::TOO_MANY_REQUESTS, "stream_full", text);
        };
        exchange.gateway.tasks.clone().spawn(Box::pin(answer(exchange, body, promise)));
    }
    (StatusCode::ACCEPTED, "Accepted").into_response()
}

async fn answer(exchange: Exchange, body: Bytes, promise: Promise) {
    match jsonrpc::parse(&body) {
        Ok(Incoming::Request(request)) => {
            if let Some(answered) = exchange.answer(&request).await {
                promise.keep(answered.message.whole().await.into_bytes());
            }
        }
        // Taken already.
        Ok(Incoming::Notification(_) | Incoming::Response(_)) => {}
        Err(error) => {
            let error = ErrorObject::new(error.code(), error.to_string());
            promise.keep(Bytes::from(jsonrpc::error(None, &error)));
        }
    }
}
