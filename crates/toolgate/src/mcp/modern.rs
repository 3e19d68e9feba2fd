//! The face to clients of revision 2026-07-28, on the same endpoints.
//!
//! Every request stands alone: it says its revision and what its client can do in `params._meta`, and repeats in
//! headers what intermediaries need. Nothing is remembered between two of them, and no session is ever opened. The
//! response's stream is the request: a client that closes it has cancelled, so a request runs inside the future of its
//! own response and ends with it.
//!
//! Here is decided whether a request can be served, [`refusal`] answers those that cannot, and [`dispatch`] knows what
//! each method means. A [`call`] of one server may ask the client something; then it waits in [`parking`]. What changes
//! is told to those who [`listen`]. What servers of older revisions say is put into this one's words by
//! `toolgate_mcp::translate`.
//!
//! Source: MCP 2026-07-28, `basic/versioning`, `basic/transports/streamable-http`.

mod answer;
mod call;
mod discover;
mod dispatch;
mod hearing;
mod listen;
pub(crate) mod parking;
mod refusal;
mod respond;
pub(crate) mod slots;
mod tasks;

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::value::RawValue;
use toolgate_mcp::headers::{self, Received};
use toolgate_mcp::jsonrpc::{self, Body, Message, Request};
use toolgate_mcp::session::{self as rules, Content, Decision, SessionHeader};
use toolgate_mcp::translate::request::Client;
use toolgate_mcp::version::Revision;
use toolgate_mcp::word::Word;
use toolgate_mcp::{method, views};

use self::refusal::Refusal;
use super::scope::Selection;
use crate::auth::Caller;
use crate::catalog::{Scope, ScopeError};
use crate::gateway::{Gateway, Snapshot};

const PROTOCOL_VERSION: Word = Word::new(views::META_PROTOCOL_VERSION);

/// Whether `version`, the value of the header if it is there, names a revision of this face.
pub(super) fn is_named(version: Option<&str>) -> bool {
    version.and_then(Revision::parse).is_some_and(|revision| !revision.has_handshake())
}

/// Whether a POST is for this face, whatever else is offered: its body says a revision in `_meta`, or its header names
/// one whose bodies do.
///
/// The version in the header is `None` when there is none. `initialize` without a revision in `_meta` is the older
/// face's, whatever its header says.
pub(super) fn is_ours(version: Option<&str>, body: &[u8]) -> bool {
    let header_is_ours = is_named(version);
    // Most bodies of the other face are told by this look alone, which is cheaper than parsing them.
    if !header_is_ours && !PROTOCOL_VERSION.is_in(body) {
        return false;
    }
    match jsonrpc::parse_body(body) {
        Ok(Body::Single(Message::Request(request))) => {
            meta_version(request.params).is_some() || (header_is_ours && request.method != method::INITIALIZE)
        }
        Ok(Body::Single(Message::Notification(notification))) => {
            header_is_ours || meta_version(notification.params).is_some()
        }
        Ok(Body::Single(Message::Response(_)) | Body::Batch(_)) => header_is_ours,
        Err(_) => false,
    }
}

/// What a client may declare, since servers' sessions are kept by it.
const MAX_CAPABILITIES_BYTES: usize = 16 * 1024;

/// A POST for this face, with its body read.
pub(super) struct Arrived {
    pub(super) gateway: Gateway,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) caller: Caller,
    /// What the path or header selects, and which servers that are.
    pub(super) selection: Selection,
    pub(super) scope: Result<Scope, ScopeError>,
    /// All headers of the request.
    pub(super) headers: HeaderMap,
    /// The value of `MCP-Protocol-Version`.
    pub(super) version: Option<String>,
    /// The trace context of the HTTP request; empty when traces are off.
    pub(super) trace_headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Arrived {
    /// The response. Dropping the future, or the response's body, cancels what the request has begun.
    pub(super) async fn serve(self) -> Response {
        let body = self.body.clone();
        let request = match jsonrpc::parse_body(&body) {
            Ok(Body::Single(Message::Request(request))) => request,
            Ok(Body::Single(Message::Notification(_))) => return StatusCode::ACCEPTED.into_response(),
            Ok(Body::Single(Message::Response(_)) | Body::Batch(_)) => {
                return Refusal::NotARequest.into_response(None);
            }
            Err(error) => return Refusal::Parse(error).into_response(None),
        };
        match self.admit(&request) {
            Ok((client, scope)) => dispatch::serve(self, &request, client, scope).await,
            Err(refusal) => refusal.into_response(Some(&request.id)),
        }
    }

    /// Checks all that can be checked before anybody is asked.
    fn admit<'r>(&self, request: &Request<'r>) -> Result<(Client<'r>, Scope), Refusal> {
        self.check_version(request)?;
        let client = Client::read(request.params)?;
        if client.capabilities.get().len() > MAX_CAPABILITIES_BYTES {
            return Err(Refusal::TooMany { what: "bytes of capabilities", max: MAX_CAPABILITIES_BYTES });
        }
        headers::check(&received(&self.headers), &request.method, request.params)?;
        let scope = self.scope.clone().map_err(Refusal::Scope)?;
        Ok((client, scope))
    }

    fn check_version(&self, request: &Request<'_>) -> Result<(), Refusal> {
        let offered = &self.snapshot.settings.general.advertised_versions;
        let asked = meta_version(request.params);
        let decision = rules::decide(&rules::Post {
            session: SessionHeader::Absent,
            version_header: self.version.as_deref(),
            meta_version: asked.as_deref(),
            content: Content::Request(&request.method),
        });
        let supported = offered.iter().map(|revision| revision.name()).collect();
        match decision {
            Decision::Modern(revision) if offered.contains(&revision) => Ok(()),
            Decision::Modern(_) | Decision::Refused(rules::Refusal::UnsupportedVersion { .. }) => {
                Err(Refusal::Version { requested: asked.unwrap_or_default(), supported })
            }
            Decision::Refused(refusal) => Err(Refusal::Era(refusal)),
            // It comes here only where no revision is offered that has it.
            Decision::Initialize => {
                let requested =
                    views::Initialize::read(request.params).map(|asked| asked.protocol_version.into_owned());
                Err(Refusal::Version { requested: requested.unwrap_or_default(), supported })
            }
            Decision::InSession(_) | Decision::Sessionless(_) => Err(Refusal::Era(rules::Refusal::MissingMeta)),
        }
    }
}

/// The headers that repeat something of a body.
fn received(all: &HeaderMap) -> Received<'_> {
    Received::new(all.iter().map(|(name, value)| (name.as_str(), value.as_bytes())))
}

fn meta_version(params: Option<&RawValue>) -> Option<String> {
    let meta = views::meta(params).ok()??;
    views::meta_protocol_version(meta).ok()?.map(std::borrow::Cow::into_owned)
}
