//! Arguments of a call that travel in headers as well (`Mcp-Param-*`).
//!
//! A server marks them in its tool's schema. What a client sends so is checked against the body, since somebody on the
//! way may have let it through for what the headers said; what the server gets is made from the body.
//!
//! Source: MCP 2026-07-28, Streamable HTTP, Custom Headers from Tool Parameters.

use http::{HeaderMap, HeaderName, HeaderValue};
use toolgate_mcp::headers::{self, ParamHeaders, Received};
use toolgate_mcp::views::Named;

use super::errors::CallError;

/// The headers that go with `call` of a tool that marks these arguments.
///
/// `sent` are the headers that the client sent, if it is of a revision that has such headers. Those that belong to no
/// argument that is known here are passed on.
///
/// # Errors
/// [`CallError::Headers`] when a header of the client's does not say what the call says, or is not there.
pub(super) fn headers(
    sent: Option<&HeaderMap>,
    marked: Option<&ParamHeaders>,
    call: &Named<'_>,
) -> Result<HeaderMap, CallError> {
    let none = ParamHeaders::default();
    let marked = marked.unwrap_or(&none);
    let mut repeated = HeaderMap::new();
    if let Some(sent) = sent {
        let received = Received::new(sent.iter().map(|(name, value)| (name.as_str(), value.as_bytes())));
        headers::check_params(&received, marked, call.arguments)?;
        repeated.extend(received.unknown_params(marked).filter_map(|(name, value)| header(name, value)));
    }
    for (name, value) in marked.of_call(call.arguments)? {
        repeated.extend(header(name, value.as_bytes()));
    }
    Ok(repeated)
}

fn header(name: &str, value: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    Some((HeaderName::try_from(name).ok()?, HeaderValue::from_bytes(value).ok()?))
}
