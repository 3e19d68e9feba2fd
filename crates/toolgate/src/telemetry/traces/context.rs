//! Trace context in and out of `_meta` and of headers.
//!
//! Source: W3C Trace Context, level 1; MCP SEP-414 for the keys in `_meta`.

use std::borrow::Cow;
use std::collections::HashMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use toolgate_mcp::edit::{self, Fields};
use toolgate_mcp::jsonrpc;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// The context in `_meta`, if it has a valid one.
pub(super) fn of_meta(meta: &str) -> Option<SpanContext> {
    let fields = Fields::read(meta).ok()?;
    let text = |key: &str| jsonrpc::string(fields.get(key)?).map(Cow::into_owned);
    read(text(TRACEPARENT)?, text(TRACESTATE))
}

/// The context in the headers, if they have exactly one and it is valid.
pub(super) fn of_headers(headers: &HeaderMap) -> Option<SpanContext> {
    let mut parents = headers.get_all(TRACEPARENT).iter();
    let parent = parents.next().filter(|_| parents.next().is_none())?.to_str().ok()?;
    let states: Vec<&str> = headers.get_all(TRACESTATE).iter().filter_map(|state| state.to_str().ok()).collect();
    let state = (!states.is_empty()).then(|| states.join(","));
    read(parent.to_owned(), state)
}

fn read(traceparent: String, tracestate: Option<String>) -> Option<SpanContext> {
    let mut carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent)]);
    carrier.extend(tracestate.map(|state| (TRACESTATE.to_owned(), state)));
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier);
    let span = context.span().span_context().clone();
    span.is_valid().then_some(span)
}

/// Puts `span` into `headers`, in place of any context that is there.
pub(super) fn into_headers(span: &SpanContext, headers: &mut HeaderMap) {
    headers.remove(TRACESTATE);
    let pairs = [(TRACEPARENT, Some(traceparent(span))), (TRACESTATE, tracestate(span))];
    for (name, value) in pairs {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// `params` with `span` in its `_meta`; as it is when it is not an object, or its `_meta` is not.
pub(super) fn into_params<'p>(span: &SpanContext, params: Option<&'p str>) -> Option<Cow<'p, str>> {
    let given = params.unwrap_or("{}");
    match with_context(span, given) {
        Ok(text) => Some(Cow::Owned(text)),
        Err(_) => params.map(Cow::Borrowed),
    }
}

fn with_context(span: &SpanContext, params: &str) -> Result<String, serde_json::Error> {
    let fields = Fields::read(params)?;
    let meta = fields.get("_meta").map_or("{}", |meta| meta.get());
    let mut meta = edit::set_field(meta, TRACEPARENT, &jsonrpc::quote(&traceparent(span)))?;
    // A `tracestate` that stays behind would belong to another parent.
    meta = match tracestate(span) {
        Some(state) => edit::set_field(&meta, TRACESTATE, &jsonrpc::quote(&state))?,
        None => edit::remove_field(&meta, TRACESTATE)?,
    };
    edit::set_field(params, "_meta", &meta)
}

fn traceparent(span: &SpanContext) -> String {
    format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags().to_u8())
}

fn tracestate(span: &SpanContext) -> Option<String> {
    Some(span.trace_state().header()).filter(|state| !state.is_empty())
}
