//! What stands in a `_meta`.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{ViewError, object_field, optional_string, present};
use crate::jsonrpc::{self, Id};
use crate::word::Word;

/// The `_meta` key with which a request of 2026-07-28 and later says its revision.
pub const META_PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// The `_meta` key with which a request of 2026-07-28 and later says what its client can do: an object.
pub const META_CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

/// The `_meta` key with which a request of 2026-07-28 and later names its client: an object.
pub const META_CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";

/// The `_meta` key with which a request of 2026-07-28 and later asks for log messages.
pub const META_LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";

/// The `_meta` key with which a result of 2026-07-28 and later names its server: an object.
pub const META_SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

/// The `_meta` key that says which `subscriptions/listen` a message belongs to: that request's id.
pub const META_SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";

/// The `_meta` of any parameters or result.
///
/// # Errors
/// [`ViewError`] when the whole or its `_meta` is no object, or `_meta` is there twice.
pub fn meta(of: Option<&RawValue>) -> Result<Option<&RawValue>, ViewError> {
    let Some(of) = of.filter(|of| may_have_meta(of.get())) else { return Ok(None) };
    let [meta] = present(of.get(), ["_meta"])?;
    object_field("_meta", meta)
}

/// Most parameters have no `_meta`, and a look for the word is cheaper than reading all arguments. What has an escape
/// may have it in disguise.
fn may_have_meta(json: &str) -> bool {
    const META: Word = Word::new("_meta\"");
    let json = json.as_bytes();
    !json.starts_with(b"{") || META.is_in(json) || memchr::memchr(b'\\', json).is_some()
}

/// The revision that a request of 2026-07-28 and later carries in its `_meta`; any text.
///
/// # Errors
/// [`ViewError`] when it is there twice, or is no string.
pub fn meta_protocol_version(meta: &RawValue) -> Result<Option<Cow<'_, str>>, ViewError> {
    let [version] = present(meta.get(), [META_PROTOCOL_VERSION])?;
    Ok(optional_string(META_PROTOCOL_VERSION, version)?.map(|(_, version)| version))
}

/// The JSON text of the `progressToken` in the parameters of `notifications/progress`, or in a request's `_meta`.
///
/// # Errors
/// [`ViewError`] when it is there twice, or is neither a string nor a number.
pub fn progress_token(of: &RawValue) -> Result<Option<&str>, ViewError> {
    let [token] = present(of.get(), ["progressToken"])?;
    let Some(token) = token else { return Ok(None) };
    let wrong = ViewError::WrongType { field: "progressToken", expected: "a string or a number" };
    Id::read(token).ok_or(wrong)?;
    Ok(Some(token.get()))
}

/// The W3C trace context in a `_meta` (SEP-414: unprefixed keys).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceContext<'a> {
    /// Trace, parent span and flags.
    pub traceparent: Option<Cow<'a, str>>,
    /// What tracing vendors add.
    pub tracestate: Option<Cow<'a, str>>,
    /// Key-value pairs of the application.
    pub baggage: Option<Cow<'a, str>>,
}

/// Reads the trace context; empty when a key of it stands there twice, since tracing must never fail a call.
#[must_use]
pub fn trace_context(meta: &RawValue) -> TraceContext<'_> {
    let values = present(meta.get(), ["traceparent", "tracestate", "baggage"]).unwrap_or_default();
    let [traceparent, tracestate, baggage] = values.map(|value| value.and_then(jsonrpc::string));
    TraceContext { traceparent, tracestate, baggage }
}
