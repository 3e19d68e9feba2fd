//! Streamable HTTP: `POST` and `DELETE` on `/mcp` and its scoped forms; for `GET` see [`super::listen`].
//!
//! MCP 2025-11-25, Transports, Streamable HTTP. Where LiteLLM is more lenient than the specification and clients count
//! on it, so is this: requests without a session and without `initialize` are served, and `Accept` may say anything.

use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, Request};
use serde_json::value::RawValue;
use toolgate_mcp::jsonrpc::{self, ErrorObject, Message as Incoming, code};
use toolgate_mcp::session::{self as rules, Content, Decision, Post, SessionHeader};
use toolgate_mcp::version::Revision;
use toolgate_mcp::{method, views};

use super::dispatch::{self, Exchange};
use super::head::{Accepts, trace_headers, version_name};
use super::modern;
use super::outlet::Outlet;
use super::refusal::{self, Refusal};
use super::reply::{Message, Whole};
use super::respond::{Respondee, SESSION_ID, Served};
use super::scope::{PathNames, Selection};
use super::session::ClientSession;
use super::speaking::Speaking;
use crate::auth::Caller;
use crate::body;
use crate::catalog::{Scope, ScopeError};
use crate::faces::admission::Admitted;
use crate::gateway::{Gateway, Snapshot};
use crate::upstream::{ClientSide, CredentialError, Lane, Rounds, Upstream, debug};

/// Messages in one batch (revision 2025-03-26 only).
const MAX_BATCH: usize = 100;

/// `POST`: one message, or a batch where the revision has them.
pub async fn post(
    State(gateway): State<Gateway>,
    admitted: Admitted,
    names: PathNames,
    request: Request<Body>,
) -> Response {
    match take(gateway, admitted, names, request).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(),
    }
}

async fn take(
    gateway: Gateway,
    mut admitted: Admitted,
    names: PathNames,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let selection = Selection::enter(&gateway, &mut admitted, names, &parts.headers)?;
    let Admitted { caller, snapshot } = admitted;
    let scope = match selection.scope_of_request(&gateway, &snapshot, &caller.grant) {
        Ok(scope) => Ok(scope),
        // Told to the request by its id, so the body is read first.
        Err(Refusal::HeaderScope(error)) => Err(error),
        Err(refusal) => return Err(refusal),
    };
    if let Ok(scope) = &scope {
        refuse_malformed(&caller, scope)?;
    }
    let found = session_of(&gateway, &caller, &parts.headers);
    let version = version_name(&parts.headers);
    let caps = (&snapshot.settings.limits).into();
    let body = body::read_json(&parts.headers, body, caps).await.map_err(Refusal::Body)?;
    let told = scope.as_ref().map_or_else(|_| HeaderMap::new(), |scope| debug_headers(&caller, scope));
    let accepts = Accepts::of(&parts.headers);
    let trace_headers = trace_headers(&gateway, &parts.headers);
    if modern::is_ours(version.as_deref(), &body) || !snapshot.settings.general.has_handshake() {
        let headers = parts.headers;
        let arrived =
            modern::Arrived { gateway, snapshot, caller, selection, scope, headers, version, trace_headers, body };
        let mut response = Box::pin(arrived.serve()).await;
        response.headers_mut().extend(told);
        return Ok(response);
    }
    let outlet = Outlet::new();
    let respondee = Respondee {
        gateway: &gateway,
        snapshot: Arc::clone(&snapshot),
        caller: caller.clone(),
        session: found.session().cloned(),
        accepts,
        outlet: Arc::clone(&outlet),
    };
    let streams = accepts.streams;
    let arrived = Arrived {
        gateway: gateway.clone(),
        snapshot,
        caller,
        scope,
        found,
        version,
        trace_headers,
        body,
        outlet,
        streams,
    };
    let mut response = respondee.respond(Box::pin(arrived.serve())).await;
    response.headers_mut().extend(told);
    Ok(response)
}

/// What the `Mcp-Session-Id` header led to.
pub(super) enum FoundSession {
    Absent,
    Unknown,
    Open(ClientSession),
}

impl FoundSession {
    fn session(&self) -> Option<&ClientSession> {
        match self {
            Self::Open(session) => Some(session),
            Self::Absent | Self::Unknown => None,
        }
    }
}

/// A POST with its body read.
struct Arrived {
    gateway: Gateway,
    snapshot: Arc<Snapshot>,
    caller: Caller,
    scope: Result<Scope, ScopeError>,
    found: FoundSession,
    version: Option<String>,
    trace_headers: HeaderMap,
    body: Bytes,
    outlet: Arc<Outlet>,
    /// The client takes streams in response.
    streams: bool,
}

impl Arrived {
    async fn serve(self) -> Served {
        let outlet = Arc::clone(&self.outlet);
        let body = self.body.clone();
        let parsed = match jsonrpc::parse_body(&body) {
            Ok(parsed) => parsed,
            Err(error) => return Served::Refused(Refusal::Parse(error)),
        };
        let scope = match &self.scope {
            Ok(scope) => scope.clone(),
            Err(error) => return out_of_scope(error, &parsed),
        };
        let exchange = match self.exchange(&parsed, scope) {
            Ok(exchange) => exchange,
            Err(refusal) => return Served::Refused(refusal),
        };
        match parsed {
            jsonrpc::Body::Batch(messages) => Box::pin(serve_batch(&exchange, &messages)).await,
            jsonrpc::Body::Single(Incoming::Request(request)) => {
                // The session id of `initialize` must be in the head, so its answer cannot begin early.
                if request.method != method::INITIALIZE {
                    outlet.let_begin();
                }
                exchange.answer(&request).await.map_or(Served::Cancelled, Served::Answered)
            }
            jsonrpc::Body::Single(Incoming::Notification(notification)) => {
                exchange.notified(&notification);
                Served::Accepted
            }
            jsonrpc::Body::Single(Incoming::Response(response)) => {
                exchange.answered(&response);
                Served::Accepted
            }
        }
    }

    /// Decides what the POST is, and by which revision it is served.
    fn exchange(self, body: &jsonrpc::Body<'_>, scope: Scope) -> Result<Exchange, Refusal> {
        let offered = &self.snapshot.settings.general.advertised_versions;
        let unsupported = |asked: &str| Refusal::Revision { asked: asked.to_owned(), offered: offered.clone() };
        let meta_version = meta_version(body);
        let decision = rules::decide(&Post {
            session: match &self.found {
                FoundSession::Absent => SessionHeader::Absent,
                FoundSession::Unknown => SessionHeader::Unknown,
                FoundSession::Open(session) => SessionHeader::Open(session.revision),
            },
            version_header: self.version.as_deref(),
            meta_version: meta_version.as_deref(),
            content: content(body),
        });
        let version = self.version.as_deref().unwrap_or_default();
        let revision = match decision {
            Decision::Initialize => Revision::NEWEST_WITH_HANDSHAKE,
            Decision::InSession(revision) => revision,
            Decision::Sessionless(revision) if self.version.is_some() && !offered.contains(&revision) => {
                return Err(unsupported(version));
            }
            Decision::Sessionless(revision) => revision,
            // Said in a way that clients of both eras take as «try initialize» (MCP 2026-07-28, Versioning).
            Decision::Modern(revision) => return Err(unsupported(revision.name())),
            Decision::Refused(
                rules::Refusal::UnknownVersionHeader { .. }
                | rules::Refusal::MissingMeta
                | rules::Refusal::HeaderMismatch { .. }
                | rules::Refusal::UnsupportedVersion { .. },
            ) => return Err(unsupported(meta_version.as_deref().unwrap_or(version))),
            Decision::Refused(refusal) => return Err(Refusal::Protocol(refusal)),
        };
        let session = self.found.session().cloned();
        let outlet = self.streams.then_some(self.outlet);
        let of_caller = session.as_ref().map(|session| (session, &self.caller));
        let speaking = Speaking::of(&self.gateway, of_caller, for_a_server(body), outlet.as_ref());
        Ok(Exchange {
            gateway: self.gateway,
            snapshot: self.snapshot,
            caller: self.caller,
            client: speaking.client,
            hears: speaking.hears,
            rounds: Rounds::Ask,
            live: speaking.live,
            outlet,
            session,
            scope,
            revision,
            trace_headers: self.trace_headers,
        })
    }
}

/// Whether the body has a request for a server in it, so that servers may have something to say to the client.
fn for_a_server(body: &jsonrpc::Body<'_>) -> bool {
    let is_one = |message: &Incoming<'_>| match message {
        Incoming::Request(request) => dispatch::is_for_a_server(&request.method),
        Incoming::Notification(_) | Incoming::Response(_) => false,
    };
    match body {
        jsonrpc::Body::Single(message) => is_one(message),
        jsonrpc::Body::Batch(messages) => messages.iter().any(is_one),
    }
}

/// A request that names servers in its header which are not there; LiteLLM's answers.
fn out_of_scope(error: &ScopeError, body: &jsonrpc::Body<'_>) -> Served {
    match (error, body) {
        (ScopeError::NotFound(names), jsonrpc::Body::Single(Incoming::Request(request)))
            if request.method != method::INITIALIZE =>
        {
            let error = ErrorObject::new(code::INVALID_REQUEST, refusal::not_allowed_servers(names));
            let message = Message::from(jsonrpc::error(Some(&request.id), &error));
            Served::Answered(message.into())
        }
        _ => Served::Refused(Refusal::HeaderScope(error.clone())),
    }
}

/// What the body is, as the rules see it.
fn content<'a>(body: &'a jsonrpc::Body<'_>) -> Content<'a> {
    match body {
        jsonrpc::Body::Single(Incoming::Request(request)) => Content::Request(&request.method),
        jsonrpc::Body::Single(Incoming::Notification(notification)) => Content::Notification(&notification.method),
        jsonrpc::Body::Single(Incoming::Response(_)) => Content::Response,
        jsonrpc::Body::Batch(messages) => Content::Batch {
            holds_single_only: messages.iter().any(|message| match message {
                Incoming::Request(request) => {
                    request.method == method::INITIALIZE || version_in(request.params).is_some()
                }
                Incoming::Notification(_) | Incoming::Response(_) => false,
            }),
        },
    }
}

/// The version that a single message names in `_meta`.
fn meta_version(body: &jsonrpc::Body<'_>) -> Option<String> {
    match body {
        jsonrpc::Body::Single(Incoming::Request(request)) => version_in(request.params),
        jsonrpc::Body::Single(Incoming::Notification(notification)) => version_in(notification.params),
        jsonrpc::Body::Single(Incoming::Response(_)) | jsonrpc::Body::Batch(_) => None,
    }
}

fn version_in(params: Option<&RawValue>) -> Option<String> {
    let meta = views::meta(params).ok()??;
    views::meta_protocol_version(meta).ok()?.map(std::borrow::Cow::into_owned)
}

async fn serve_batch(exchange: &Exchange, messages: &[Incoming<'_>]) -> Served {
    if messages.len() > MAX_BATCH {
        return Served::Refused(Refusal::Batch { count: messages.len(), max: MAX_BATCH });
    }
    if let Some(outlet) = &exchange.outlet {
        outlet.let_begin();
    }
    let answers = messages.iter().filter_map(|message| match message {
        Incoming::Request(request) => Some(exchange.answer(request)),
        Incoming::Notification(notification) => {
            exchange.notified(notification);
            None
        }
        Incoming::Response(response) => {
            exchange.answered(response);
            None
        }
    });
    let answers = futures_util::future::join_all(answers).await;
    if answers.is_empty() {
        return Served::Accepted;
    }
    let messages: Vec<_> = answers.into_iter().flatten().map(|answered| answered.message.whole()).collect();
    if messages.is_empty() {
        return Served::Cancelled;
    }
    let message = Whole::batch(futures_util::future::join_all(messages).await);
    Served::Answered(message.into())
}

/// `DELETE`: ends the session and its connections to upstreams.
pub async fn delete(State(gateway): State<Gateway>, admitted: Admitted, headers: HeaderMap) -> Response {
    match session_of(&gateway, &admitted.caller, &headers) {
        FoundSession::Absent => Refusal::SessionRequired.into_response(),
        FoundSession::Unknown => Refusal::UnknownSession.into_response(),
        FoundSession::Open(session) => {
            gateway.end_session(&session);
            admitted.snapshot.upstreams.close_session(&session.key).await;
            // LiteLLM's body.
            axum::Json(serde_json::json!({ "message": "Session terminated successfully" })).into_response()
        }
    }
}

/// A value that cannot be sent to any server is the request's fault, whatever the request is about.
fn refuse_malformed(caller: &Caller, scope: &Scope) -> Result<(), Refusal> {
    for upstream in scope.servers() {
        if let Err(error @ (CredentialError::Unclean { .. } | CredentialError::TooLong { .. })) =
            upstream.lane(caller, &ClientSide::none())
        {
            return Err(Refusal::Credential(error));
        }
    }
    Ok(())
}

/// The session that the client names. Forged, ended, expired and other callers' are all unknown.
pub(super) fn session_of(gateway: &Gateway, caller: &Caller, headers: &HeaderMap) -> FoundSession {
    // A revision without sessions has its servers ignore the header.
    if modern::is_named(version_name(headers).as_deref()) {
        return FoundSession::Absent;
    }
    let mut values = headers.get_all(SESSION_ID).iter();
    let (token, more) = match (values.next(), values.next()) {
        (None, _) => return FoundSession::Absent,
        (Some(token), more) => (token.to_str().unwrap_or_default(), more),
    };
    let session = gateway.sessions.find(&caller.id, token, SystemTime::now());
    match session.filter(|_| more.is_none()) {
        Some(session) => FoundSession::Open(session),
        None => FoundSession::Unknown,
    }
}

/// `x-mcp-debug-*`, when the caller asked for them.
fn debug_headers(caller: &Caller, scope: &Scope) -> HeaderMap {
    if !caller.debug {
        return HeaderMap::new();
    }
    let lanes: Vec<(&Upstream, Lane)> = scope
        .servers()
        .iter()
        .filter_map(|upstream| Some((upstream.as_ref(), upstream.lane(caller, &ClientSide::none()).ok()?)))
        .collect();
    let asked: Vec<(&Upstream, &Lane)> = lanes.iter().map(|(upstream, lane)| (*upstream, lane)).collect();
    debug::response_headers(caller, &asked).into_iter().collect()
}
