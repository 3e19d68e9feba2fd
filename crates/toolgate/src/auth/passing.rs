//! Which headers may travel on to an upstream at all.
//!
//! Two classes never pass. [`is_wire`] headers frame a message or belong to one hop or to MCP itself: a second copy from
//! anywhere, the configuration included, would make two parsers disagree. [`is_gateways`] headers say something about
//! the caller's connection to the gateway (cookies, forwarding, the gateway's own controls) and mean nothing, or too
//! much, upstream; only the administrator's `static_headers` may set some of those.

use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue};

/// Headers that frame a message, belong to one hop, or are written by the transport.
pub(crate) fn is_wire(name: &HeaderName) -> bool {
    let name = name.as_str();
    matches!(
        name,
        "host"
            | "connection"
            | "keep-alive"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "expect"
            | "http2-settings"
            | "last-event-id"
            | "traceparent"
            | "tracestate"
            | "baggage"
    ) || name.starts_with("content-")
        || name == "accept"
        || name.starts_with("accept-")
        || name.starts_with("proxy-")
        || name.starts_with("mcp-")
}

/// Headers about the way from the caller to the gateway, or addressed to the gateway.
pub(crate) fn is_gateways(name: &HeaderName) -> bool {
    let name = name.as_str();
    matches!(name, "cookie" | "forwarded" | "via" | "x-real-ip" | "origin" | "x-mcp-toolset-id")
        || name.starts_with("x-forwarded-")
        || name.starts_with("x-litellm-")
}

/// Copies what may pass, but for headers that `is_credential` claims. Values are marked sensitive.
///
/// Headers that `Connection` names belong to this hop (RFC 9110 section 7.6.1) and stay behind too.
pub(crate) fn passing(
    headers: &HeaderMap,
    mut is_credential: impl FnMut(&HeaderName, &HeaderValue) -> bool,
) -> HeaderMap {
    let mut kept = HeaderMap::new();
    let hop: Vec<&[u8]> = headers.get_all(CONNECTION).iter().flat_map(|value| items(value.as_bytes())).collect();
    let is_hop = |name: &HeaderName| hop.iter().any(|item| item.eq_ignore_ascii_case(name.as_ref()));
    for (name, value) in headers {
        if is_wire(name) || is_gateways(name) || is_hop(name) || is_credential(name, value) {
            continue;
        }
        let mut value = value.clone();
        value.set_sensitive(true);
        kept.append(name, value);
    }
    kept
}

fn items(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::passing;

    #[test]
    fn only_the_callers_own_headers_pass() {
        let stay = "host connection keep-alive proxy-connection proxy-authorization te trailer transfer-encoding upgrade \
                    expect content-length content-type content-encoding accept accept-encoding accept-language cookie \
                    forwarded via x-forwarded-for x-forwarded-host x-real-ip origin mcp-session-id \
                    mcp-protocol-version mcp-method last-event-id traceparent tracestate baggage x-litellm-api-key \
                    x-litellm-tags x-mcp-toolset-id x-hop";
        let pass =
            "authorization user-agent x-github-token x-mcp-auth x-mcp-github-authorization x-request-id accepted";
        let mut headers = HeaderMap::new();
        for name in stay.split_whitespace().chain(pass.split_whitespace()) {
            headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::from_static("v"));
        }
        headers.insert("connection", HeaderValue::from_static("keep-alive, X-Hop"));

        let kept = passing(&headers, |_, _| false);
        let names: Vec<_> = kept.keys().map(HeaderName::as_str).collect();
        assert_eq!(names.join(" "), pass);
        assert!(kept.values().all(HeaderValue::is_sensitive));
    }
}
