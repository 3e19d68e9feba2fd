//! Why a request is refused before any server is asked, and the answer that says so: with the request's id, and with
//! the HTTP status that MCP 2026-07-28 asks for.

use axum::response::Response;
use http::StatusCode;
use serde_json::json;
use toolgate_mcp::headers::Mismatch;
use toolgate_mcp::jsonrpc::{self, ErrorObject, Id, ParseError, code};
use toolgate_mcp::session;
use toolgate_mcp::translate::errors::{Rejection, rejection};
use toolgate_mcp::views::ViewError;

use super::super::refusal::not_allowed_servers;
use super::super::reply::Message;
use super::tasks;
use crate::catalog::ScopeError;

/// Why a request is refused.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The body cannot be read.
    Parse(ParseError),
    /// A batch, or an answer: neither is sent over HTTP in this revision.
    NotARequest,
    /// Header and body do not agree on the revision, or the body has none.
    Era(session::Refusal),
    /// The revision is not offered.
    Version {
        /// As the client wrote it.
        requested: String,
        /// What is offered.
        supported: Vec<&'static str>,
    },
    /// `params` or its `_meta` is not what every request must have.
    Params(ViewError),
    /// A header is missing, is no text, or says something else than the body.
    Header(Mismatch),
    /// `x-mcp-servers` names no server, or too many.
    Scope(ScopeError),
    /// The client takes no streams, and the method has nothing else.
    NotAStream,
    /// More of something than one request may have.
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
    /// The client must declare the tasks extension.
    TasksUndeclared,
    /// All streams are taken.
    Busy,
}

impl Refusal {
    /// The response to the request called `id`.
    pub(super) fn into_response(self, id: Option<&Id>) -> Response {
        let (status, error) = self.into_error();
        Message::from(jsonrpc::error(id, &error)).into_json(status)
    }

    fn into_error(self) -> (StatusCode, ErrorObject) {
        match self {
            Self::Parse(error) => bad(error.code(), error.to_string()),
            Self::NotARequest => bad(code::INVALID_REQUEST, "one request or notification in a POST, nothing else"),
            Self::Era(refusal) => bad(refusal.code(), refusal.to_string()),
            Self::Version { requested, supported } => {
                let text = format!("Unsupported protocol version {requested}; supported: {}", supported.join(", "));
                let data = json!({ "requested": requested, "supported": supported });
                with_data(bad(code::UNSUPPORTED_PROTOCOL_VERSION, text), data)
            }
            Self::Params(error) => bad(code::INVALID_PARAMS, error.to_string()),
            Self::Header(mismatch) => bad(mismatch.code(), mismatch.to_string()),
            Self::Scope(error @ ScopeError::TooMany { .. }) => bad(code::INVALID_REQUEST, error.to_string()),
            Self::NotAStream => {
                let text = "this opens a stream: send `Accept: application/json, text/event-stream`";
                (StatusCode::NOT_ACCEPTABLE, ErrorObject::new(code::INVALID_REQUEST, text))
            }
            Self::TooMany { what, max } => bad(code::INVALID_PARAMS, format!("at most {max} {what}")),
            Self::TasksUndeclared => (StatusCode::BAD_REQUEST, tasks::undeclared()),
            Self::Busy => {
                let text = "too many streams are open; close some, or try again later";
                (StatusCode::SERVICE_UNAVAILABLE, ErrorObject::new(code::BUSY, text))
            }
            Self::Scope(ScopeError::NotFound(names)) => {
                (StatusCode::FORBIDDEN, ErrorObject::new(code::INVALID_REQUEST, not_allowed_servers(&names)))
            }
        }
    }
}

fn bad(code: i32, message: impl Into<String>) -> (StatusCode, ErrorObject) {
    (StatusCode::BAD_REQUEST, ErrorObject::new(code, message))
}

fn with_data((status, error): (StatusCode, ErrorObject), data: serde_json::Value) -> (StatusCode, ErrorObject) {
    (status, ErrorObject { data: Some(data), ..error })
}

impl From<ViewError> for Refusal {
    fn from(error: ViewError) -> Self {
        Self::Params(error)
    }
}

impl From<Mismatch> for Refusal {
    fn from(mismatch: Mismatch) -> Self {
        Self::Header(mismatch)
    }
}

/// The HTTP status of an answer that is an error with this code.
pub(super) fn status_of(code: i32) -> StatusCode {
    match rejection(code) {
        Rejection::BadRequest => StatusCode::BAD_REQUEST,
        Rejection::NotFound => StatusCode::NOT_FOUND,
        Rejection::None => StatusCode::OK,
    }
}
