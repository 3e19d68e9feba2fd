//! Why a request to the MCP endpoint is refused before any server is asked, and the response that says so.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use toolgate_mcp::jsonrpc::{self, ErrorObject, ParseError, code};
use toolgate_mcp::session;
use toolgate_mcp::version::Revision;

use super::reply::Message;
use crate::body::BodyError;
use crate::catalog::ScopeError;
use crate::faces::admission::detail;
use crate::upstream::CredentialError;

/// Why a request is refused.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The path names no server.
    PathScope(ScopeError),
    /// `x-mcp-servers` names no server.
    HeaderScope(ScopeError),
    /// `mcp_require_explicit_server_scope` is on, and nothing names a server.
    ScopeRequired,
    /// GET or DELETE without a session.
    SessionRequired,
    /// HTTP+SSE, where no revision is offered that has it.
    NoSessions,
    /// GET by a client that takes no streams.
    NotAStream,
    /// The session is not there.
    UnknownSession,
    /// `Last-Event-ID` names no place in a stream of this session that is still there.
    EventId,
    /// As many streams are open as there may be.
    TooManyStreams,
    /// A header for a server cannot be sent to it.
    Credential(CredentialError),
    /// The body cannot be read.
    Body(BodyError),
    /// The body is no message.
    Parse(ParseError),
    /// The revision is not served.
    Revision {
        /// As the client wrote it.
        asked: String,
        /// What is served.
        offered: Vec<Revision>,
    },
    /// The rules of revisions and sessions forbid it.
    Protocol(session::Refusal),
    /// More messages in a batch than are taken.
    Batch {
        /// How many there are.
        count: usize,
        /// How many there may be.
        max: usize,
    },
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        match &self {
            // LiteLLM's body for a path that names nothing.
            Self::PathScope(error @ ScopeError::NotFound(_)) => {
                (StatusCode::NOT_FOUND, axum::Json(json!({ "detail": text(error) }))).into_response()
            }
            Self::PathScope(error @ ScopeError::TooMany { .. })
            | Self::HeaderScope(error @ ScopeError::TooMany { .. }) => {
                detail(StatusCode::BAD_REQUEST, "too_many_servers", &text(error))
            }
            Self::HeaderScope(ScopeError::NotFound(names)) => {
                detail(StatusCode::FORBIDDEN, "access_denied", &not_allowed_servers(names))
            }
            Self::ScopeRequired => detail(
                StatusCode::BAD_REQUEST,
                "mcp_server_scope_required",
                "name the servers you mean: in the path (/mcp/{name}), or in the x-mcp-servers header",
            ),
            Self::SessionRequired => {
                let text = "without an Mcp-Session-Id only POST is served here; send `initialize` first to get one";
                let mut response = detail(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", text);
                response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
                response
            }
            Self::NoSessions => detail(
                StatusCode::NOT_FOUND,
                "not_found",
                "HTTP+SSE is not offered here: `mcp_advertised_versions` has no revision with `initialize`",
            ),
            Self::NotAStream => detail(
                StatusCode::NOT_ACCEPTABLE,
                "not_acceptable",
                "GET opens a stream: send `Accept: text/event-stream`",
            ),
            Self::UnknownSession | Self::Protocol(session::Refusal::UnknownSession) => rpc(
                StatusCode::NOT_FOUND,
                code::INVALID_REQUEST,
                "Session not found; send `initialize` without Mcp-Session-Id to open a new one".to_owned(),
            ),
            Self::EventId => rpc(
                StatusCode::BAD_REQUEST,
                code::INVALID_REQUEST,
                "Last-Event-ID is not of a stream of this session that can be taken up again; open a new one"
                    .to_owned(),
            ),
            Self::TooManyStreams => {
                let text = "as many streams are open as `max_streams` allows; try again later";
                let mut response = detail(StatusCode::SERVICE_UNAVAILABLE, "too_many_streams", text);
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
                response
            }
            Self::Credential(error) => detail(StatusCode::BAD_REQUEST, "invalid_header", &text(error)),
            Self::Body(error) => rpc(error.status(), code::INVALID_REQUEST, text(error)),
            Self::Parse(error) => rpc(StatusCode::BAD_REQUEST, error.code(), text(error)),
            Self::Revision { asked, offered } => {
                let offered: Vec<&str> = offered.iter().map(|revision| revision.name()).collect();
                let text = format!("Unsupported MCP-Protocol-Version {asked}; supported: {}", offered.join(", "));
                rpc(StatusCode::BAD_REQUEST, code::INVALID_REQUEST, text)
            }
            Self::Protocol(refusal) => rpc(StatusCode::BAD_REQUEST, refusal.code(), text(refusal)),
            Self::Batch { count, max } => {
                let text = format!("a batch of {count} messages; at most {max} are taken");
                rpc(StatusCode::BAD_REQUEST, code::INVALID_REQUEST, text)
            }
        }
    }
}

/// LiteLLM's words, which do not tell whether such a server exists.
pub(super) fn not_allowed_servers(names: &str) -> String {
    format!("The key is not allowed to access the requested MCP servers: {names}")
}

fn rpc(status: StatusCode, code: i32, message: String) -> Response {
    Message::from(jsonrpc::error(None, &ErrorObject::new(code, message))).into_json(status)
}
