//! HTTP+SSE, the transport of revision 2024-11-05: a stream that first names the endpoint to post to, and then carries
//! the answers.
//!
//! <https://modelcontextprotocol.io/specification/2024-11-05/basic/transports#http-with-sse>

use std::time::SystemTime;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::{Request, StatusCode, Uri};
use serde::Deserialize;
use tokio::sync::mpsc;
use toolgate_mcp::jsonrpc::{self, ErrorObject, Message as Incoming};
use toolgate_mcp::sse::{self, KEEP_ALIVE};
use toolgate_mcp::version::Revision;

use super::dispatch::{self, Exchange};
use super::head::trace_headers;
use super::refusal::Refusal;
use super::session::ClientSession;
use super::stream::KEEP_ALIVE_EVERY;
use super::{scope, stream as event_stream};
use crate::faces::admission::{Admitted, detail};
use crate::gateway::Gateway;
use crate::seal::Purpose;
use crate::server::body;
use crate::telemetry::StreamGuard;
use crate::upstream::SessionKey;

/// Answers that wait for a slow reader; one more and its POST is refused.
const QUEUED_ANSWERS: usize = 64;

/// Takes the stream out of the map when the client is gone, and closes what the session had upstream.
struct OpenStream {
    gateway: Gateway,
    key: SessionKey,
    answers: mpsc::Receiver<Bytes>,
    /// The gateway stops, and nothing more is taken.
    ending: bool,
    _counted: StreamGuard,
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.gateway.sse_streams.remove(&self.key);
        let (gateway, key) = (self.gateway.clone(), self.key);
        let closing = async move { gateway.snapshot().upstreams.close_session(&key).await };
        self.gateway.tasks.spawn(closing);
    }
}

/// `GET /sse`: opens the stream.
pub async fn open(State(gateway): State<Gateway>, admitted: Admitted, uri: Uri) -> Response {
    let mut key = [0u8; 16];
    aws_lc_rs::rand::fill(&mut key).expect("the system's random source works");
    let key = SessionKey(key);
    let (sender, answers) = mpsc::channel(QUEUED_ANSWERS);
    gateway.sse_streams.insert(&key, sender);
    let token = gateway.sessions.sealer().seal(Purpose::SseSession, admitted.caller.id.as_str(), &key.0);
    let endpoint = format!("{}/messages?session_id={token}", uri.path().trim_end_matches('/'));
    let first = Bytes::from(sse::encode(Some("endpoint"), None, endpoint.as_bytes()));
    let open = OpenStream { _counted: gateway.metrics.stream_opened(), gateway, key, answers, ending: false };
    let body = Body::from_stream(stream::unfold((Some(first), open), async |(first, mut open)| {
        let chunk = match first {
            Some(first) => first,
            None => open.next().await?,
        };
        Some((Ok::<_, std::convert::Infallible>(chunk), (None, open)))
    }));
    event_stream::response(body)
}

impl OpenStream {
    /// The next answer or keep-alive; `None` when the gateway stops and every answer on its way has been given out.
    async fn next(&mut self) -> Option<Bytes> {
        let stopping = self.gateway.stopping.clone();
        loop {
            tokio::select! {
                biased;
                answer = self.answers.recv() => return answer,
                () = stopping.cancelled(), if !self.ending => {
                    // Only the answers on their way hold senders now, so the last of them ends the stream.
                    self.ending = true;
                    self.gateway.sse_streams.remove(&self.key);
                }
                () = tokio::time::sleep(KEEP_ALIVE_EVERY) => return Some(Bytes::from_static(KEEP_ALIVE)),
            }
        }
    }
}

/// The query of the message endpoint.
#[derive(Deserialize)]
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
    let (parts, body) = request.into_parts();
    let Admitted { caller, snapshot } = admitted;
    let Ok(Query(MessageQuery { session_id })) = query else {
        let text = "the query needs one session_id: post to the address in the stream's `endpoint` event";
        return detail(StatusCode::BAD_REQUEST, "missing_parameter", text);
    };
    let Some((key, answers)) = stream_of(&gateway, caller.id.as_str(), &session_id) else {
        return detail(StatusCode::NOT_FOUND, "session_not_found", "no such stream is open; connect to /sse again");
    };
    let scope = match scope::of_headers(&snapshot, &parts.headers) {
        Ok(scope) => scope,
        Err(refusal) => return refusal.into_response(),
    };
    let body = match body::read_json(&parts.headers, body, snapshot.settings.limits.request_bytes).await {
        Ok(body) => body,
        Err(error) => return Refusal::Body(error).into_response(),
    };
    // Room is taken before the work is done, so a client that does not read its stream cannot pile up answers.
    let Ok(place) = answers.try_reserve_owned() else {
        return detail(
            StatusCode::TOO_MANY_REQUESTS,
            "stream_full",
            "too many answers wait on this session's stream; read them first",
        );
    };
    let session = ClientSession::of_stream(key, SystemTime::now());
    let trace_headers = trace_headers(&gateway, &parts.headers);
    let exchange = Exchange {
        gateway: gateway.clone(),
        snapshot,
        caller,
        client: dispatch::client_of(Some(&session)),
        session: Some(session),
        scope,
        revision: Revision::V2024_11_05,
        trace_headers,
    };
    gateway.tasks.spawn(Box::pin(async move {
        if let Some(event) = answer(&exchange, &body).await {
            place.send(event);
        }
    }));
    (StatusCode::ACCEPTED, "Accepted").into_response()
}

fn stream_of(gateway: &Gateway, caller: &str, token: &str) -> Option<(SessionKey, mpsc::Sender<Bytes>)> {
    let plain = gateway.sessions.sealer().open(Purpose::SseSession, caller, token)?;
    let key = SessionKey(plain.try_into().ok()?);
    let sender = gateway.sse_streams.get(&key)?;
    Some((key, sender))
}

async fn answer(exchange: &Exchange, body: &[u8]) -> Option<Bytes> {
    match jsonrpc::parse(body) {
        Ok(Incoming::Request(request)) => Some(exchange.answer(&request).await.message.whole().await.into_event()),
        Ok(Incoming::Notification(_)) => None,
        Ok(Incoming::Response(_)) => {
            exchange.gateway.metrics.dropped_frames("_client", "answer_to_nothing");
            None
        }
        Err(error) => {
            let error = jsonrpc::error(None, &ErrorObject::new(error.code(), error.to_string()));
            Some(Bytes::from(sse::encode(Some("message"), None, &error)))
        }
    }
}
