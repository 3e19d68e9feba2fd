//! What a request says of its client in `params._meta`, and whether its headers say what its body says.
//!
//! Source: MCP 2026-07-28, Basic, `_meta`; Streamable HTTP, Request Metadata.

use std::borrow::Cow;

use http::HeaderMap;
use serde_json::value::RawValue;
use toolgate_mcp::edit::{self, Edit, Fields};
use toolgate_mcp::headers::{self, Received};
use toolgate_mcp::jsonrpc::{self, Request};
use toolgate_mcp::session::ClientCapabilities;
use toolgate_mcp::views::{self, META_PROTOCOL_VERSION, ViewError};

use super::refusal::Refusal;

const META_CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
const META_CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const META_LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";

/// The levels of log messages, the least severe first (RFC 5424).
const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// Checks `params._meta`: what every request must say of its client, and what it may.
pub(super) fn check(params: Option<&RawValue>) -> Result<(), Refusal> {
    let meta = views::meta(params)?.ok_or(ViewError::Missing("_meta"))?;
    let fields = Fields::read(meta.get()).map_err(|error| ViewError::Json(error.to_string()))?;
    let object = |key: &'static str| match fields.get(key) {
        Some(value) if !value.get().starts_with('{') => Err(ViewError::WrongType { field: key, expected: "an object" }),
        value => Ok(value),
    };
    let capabilities = object(META_CLIENT_CAPABILITIES)?.ok_or(ViewError::Missing(META_CLIENT_CAPABILITIES))?;
    ClientCapabilities::read(Some(capabilities))?;
    object(META_CLIENT_INFO)?;
    fields.get(META_LOG_LEVEL).map_or(Ok(()), check_level)
}

fn check_level(raw: &RawValue) -> Result<(), Refusal> {
    match jsonrpc::string(raw) {
        Some(level) if LEVELS.contains(&&*level) => Ok(()),
        Some(other) => Err(Refusal::LogLevel(other.into_owned())),
        None => Err(ViewError::WrongType { field: META_LOG_LEVEL, expected: "a string" }.into()),
    }
}

/// Checks `Mcp-Method` and `Mcp-Name`.
pub(super) fn check_headers(all: &HeaderMap, request: &Request<'_>) -> Result<(), Refusal> {
    Ok(headers::check(&received(all), &request.method, request.params)?)
}

/// The headers that repeat something of a body.
pub(super) fn received(all: &HeaderMap) -> Received<'_> {
    Received::new(all.iter().map(|(name, value)| (name.as_str(), value.as_bytes())))
}

/// `params` without what they say of the client, which a server of an older revision must not see: it would take the
/// request for one of this revision.
pub(super) fn without_facts(params: &RawValue) -> Cow<'_, str> {
    const KEYS: [&str; 4] = [META_PROTOCOL_VERSION, META_CLIENT_CAPABILITIES, META_CLIENT_INFO, META_LOG_LEVEL];
    let Ok(Some(meta)) = views::meta(Some(params)) else { return Cow::Borrowed(params.get()) };
    let mut rest = Cow::Borrowed(meta.get());
    for key in KEYS {
        if let Ok(without) = edit::remove_field(&rest, key) {
            rest = Cow::Owned(without);
        }
    }
    if Fields::read(&rest).is_ok_and(|fields| fields.is_empty()) {
        return edit::remove_field(params.get(), "_meta").map_or(Cow::Borrowed(params.get()), Cow::Owned);
    }
    let mut edit = Edit::new(params.get());
    edit.replace(meta.get(), rest.into_owned());
    Cow::Owned(edit.finish().into_owned())
}
