//! What the headers of a request say to the MCP face.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use toolgate_mcp::headers;

use super::reply::Framing;
use crate::gateway::Gateway;

const PROTOCOL_VERSION: HeaderName = HeaderName::from_static(headers::PROTOCOL_VERSION);

/// What the client takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Accepts {
    /// Of a whole answer.
    pub(super) framing: Framing,
    /// Whether an answer may come as a stream.
    pub(super) streams: bool,
}

impl Accepts {
    /// JSON where the client takes it, since a whole answer needs no stream; a stream for those who take only that.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let (mut json, mut streams) = (false, false);
        for value in headers.get_all(header::ACCEPT) {
            // As the SDKs write it, and so nearly everybody.
            if value == "application/json, text/event-stream" {
                (json, streams) = (true, true);
                continue;
            }
            for range in value.to_str().unwrap_or_default().split(',') {
                match range.split(';').next().unwrap_or_default().trim() {
                    "application/json" | "*/*" | "application/*" => json = true,
                    "text/event-stream" => streams = true,
                    _ => {}
                }
            }
        }
        Self { framing: if streams && !json { Framing::Sse } else { Framing::Json }, streams }
    }
}

/// The version header's value. Some proxies repeat a header, or make a list of its values; equal ones count once.
pub(super) fn version_name(all: &HeaderMap) -> Option<String> {
    let mut values = all.get_all(PROTOCOL_VERSION).iter();
    if let (Some(Ok(only)), None) = (values.next().map(HeaderValue::to_str), values.next())
        && !only.contains(',')
    {
        return Some(only.trim().to_owned());
    }
    let values = all.get_all(PROTOCOL_VERSION).iter();
    let texts: Vec<_> = values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    let mut names = texts.iter().flat_map(|text| text.split(',')).map(str::trim);
    let first = names.next()?;
    Some(if names.all(|other| other == first) { first.to_owned() } else { texts.join(",") })
}

/// The trace context of a request, when somebody looks at traces.
pub(super) fn trace_headers(gateway: &Gateway, headers: &HeaderMap) -> HeaderMap {
    if !gateway.traces.is_on() {
        return HeaderMap::new();
    }
    let kept = |name: &'static str| Some((HeaderName::from_static(name), headers.get(name)?.clone()));
    ["traceparent", "tracestate"].into_iter().filter_map(kept).collect()
}
