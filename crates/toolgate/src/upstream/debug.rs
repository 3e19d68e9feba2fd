//! The answer to `x-litellm-mcp-debug: true`: where a credential came from and where it went, masked.
//!
//! Names and formats are LiteLLM's (`mcp_server/mcp_debug.py`).

use std::collections::BTreeMap;

use http::header::{HeaderName, HeaderValue};
use url::Url;

use super::{Lane, Upstream};
use crate::auth::{Caller, mask};
use crate::config::settings::Transport;

const INBOUND_AUTH: HeaderName = HeaderName::from_static("x-mcp-debug-inbound-auth");
const OAUTH2_TOKEN: HeaderName = HeaderName::from_static("x-mcp-debug-oauth2-token");
const RESOLUTION: HeaderName = HeaderName::from_static("x-mcp-debug-auth-resolution");
const RESOLUTIONS: HeaderName = HeaderName::from_static("x-mcp-debug-auth-resolutions");
const TRUNCATED: HeaderName = HeaderName::from_static("x-mcp-debug-auth-resolutions-truncated");
const OUTBOUND_URL: HeaderName = HeaderName::from_static("x-mcp-debug-outbound-url");
const SERVER_AUTH_TYPE: HeaderName = HeaderName::from_static("x-mcp-debug-server-auth-type");

const MOST_RESOLUTIONS: usize = 32;

/// The debug headers of a response, or none when `caller` did not ask for them. `asked` are the servers that the
/// request went to; the first one's URL and `auth_type` are told.
#[must_use]
pub fn response_headers(caller: &Caller, asked: &[(&Upstream, &Lane)]) -> Vec<(HeaderName, HeaderValue)> {
    if !caller.debug {
        return Vec::new();
    }
    let first = asked.first();
    let mut headers = vec![
        (INBOUND_AUTH, value(&caller.inbound_auth)),
        (OAUTH2_TOKEN, value(&mask::mask(caller.headers.get("authorization").map(HeaderValue::as_bytes)))),
    ];
    match asked {
        [] => headers.push((RESOLUTION, value("unresolved"))),
        [(_, lane)] => headers.push((RESOLUTION, value(lane.outfit.resolution.as_str()))),
        many => {
            headers.push((RESOLUTION, value("multiple")));
            headers.push((RESOLUTIONS, value(&resolutions(many))));
            if many.len() > MOST_RESOLUTIONS {
                headers.push((TRUNCATED, value("true")));
            }
        }
    }
    headers.push((OUTBOUND_URL, value(&first.map_or_else(unknown, |(server, _)| outbound_url(server)))));
    headers.push((
        SERVER_AUTH_TYPE,
        value(first.map_or(mask::NONE, |(server, _)| server.settings.auth.auth_type().unwrap_or(mask::NONE))),
    ));
    headers
}

fn resolutions(asked: &[(&Upstream, &Lane)]) -> String {
    let map: BTreeMap<_, _> = asked
        .iter()
        .take(MOST_RESOLUTIONS)
        .map(|(server, lane)| (server.settings.id.as_str(), lane.outfit.resolution.as_str()))
        .collect();
    serde_json::to_string(&map).expect("a map of strings is JSON")
}

fn unknown() -> String {
    "(unknown)".to_owned()
}

fn outbound_url(server: &Upstream) -> String {
    match &server.settings.transport {
        Transport::Http { url, .. } => without_secrets(url),
        Transport::OpenApi { base_url: Some(url), .. } => without_secrets(url),
        Transport::OpenApi { base_url: None, .. } | Transport::Stdio(_) => unknown(),
    }
}

/// User, password, query and fragment are where credentials are kept in URLs.
fn without_secrets(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("(not printable)"))
}
