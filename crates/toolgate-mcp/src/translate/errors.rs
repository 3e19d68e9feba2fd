//! Error codes that mean something in one era only.
//!
//! Source: MCP 2026-07-28, Error Codes.

use std::borrow::Cow;

use crate::edit::{self, Fields};
use crate::jsonrpc::{code, quote, string};
use crate::views::ViewError;

/// What servers of 2025-11-25 answer until a user has opened a URL; see [`super::url_elicitation`].
pub const URL_ELICITATION_REQUIRED: i32 = -32042;

/// How a modern server must answer a request with an error over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// As a bad request, with status 400.
    BadRequest,
    /// As not found, with status 404.
    NotFound,
    /// As any other answer, with status 200.
    None,
}

/// How the status of an HTTP answer to a modern request follows from its error's code.
///
/// -32602 says that a tool or an argument is wrong, which is an answer like any other, or that the request lacks what its
/// `_meta` must have, which is a bad request: whoever finds that out knows.
#[must_use]
pub fn rejection(code: i32) -> Rejection {
    match code {
        code::METHOD_NOT_FOUND => Rejection::NotFound,
        code::HEADER_MISMATCH | code::MISSING_CLIENT_CAPABILITY | code::UNSUPPORTED_PROTOCOL_VERSION => {
            Rejection::BadRequest
        }
        _ => Rejection::None,
    }
}

/// The code of a raw `error`; `None` when it has none.
#[must_use]
pub fn code_of(error: &str) -> Option<i32> {
    Fields::read(error).ok()?.get("code")?.get().parse().ok()
}

/// A server's raw `error` for a modern client.
///
/// "Resource not found" gets the code that it has now. "URL elicitation required", where it could not become a question
/// ([`super::url_elicitation::from_url_required`]), becomes the capability that the client lacks. Header and version
/// errors are between the gateway and the server, and none of the client's.
///
/// # Errors
/// [`ViewError`] when `error` is no object, or has a key twice.
pub fn to_modern(error: &str) -> Result<Cow<'_, str>, ViewError> {
    match code_of(error) {
        Some(code::RESOURCE_NOT_FOUND) => with_code(error, code::INVALID_PARAMS).map(Cow::Owned),
        Some(URL_ELICITATION_REQUIRED) => {
            let error = with_code(error, code::MISSING_CLIENT_CAPABILITY)?;
            let data = r#"{"requiredCapabilities":{"elicitation":{"url":{}}}}"#;
            Ok(Cow::Owned(edit::set_field(&error, "data", data)?))
        }
        Some(code::HEADER_MISMATCH | code::UNSUPPORTED_PROTOCOL_VERSION) => gateway_fault(error).map(Cow::Owned),
        _ => Ok(Cow::Borrowed(error)),
    }
}

/// A modern server's raw `error` for a legacy client, to whom the codes of 2026-07-28 mean nothing, or a failed
/// handshake.
///
/// # Errors
/// [`ViewError`] when `error` is no object, or has a key twice.
pub fn to_legacy(error: &str) -> Result<Cow<'_, str>, ViewError> {
    match code_of(error) {
        Some(code::MISSING_CLIENT_CAPABILITY) => {
            let text = "the server needs a capability that this client has not declared";
            with_text(&with_code(error, code::INVALID_PARAMS)?, text).map(Cow::Owned)
        }
        Some(code::HEADER_MISMATCH | code::UNSUPPORTED_PROTOCOL_VERSION) => gateway_fault(error).map(Cow::Owned),
        _ => Ok(Cow::Borrowed(error)),
    }
}

fn gateway_fault(error: &str) -> Result<String, ViewError> {
    let error = with_code(&edit::remove_field(error, "data")?, code::INTERNAL_ERROR)?;
    with_text(&error, "the server refused the gateway's request")
}

fn with_code(error: &str, code: i32) -> Result<String, ViewError> {
    Ok(edit::set_field(error, "code", &code.to_string())?)
}

/// `error` with `text` before its message.
fn with_text(error: &str, text: &str) -> Result<String, ViewError> {
    let message = Fields::read(error)?.get("message").and_then(string).filter(|message| !message.is_empty());
    let message = message.map_or_else(|| text.to_owned(), |message| format!("{text}: {message}"));
    Ok(edit::set_field(error, "message", &quote(&message))?)
}
