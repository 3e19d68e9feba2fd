//! Names and values of HTTP headers.

use http::{HeaderName, HeaderValue};
use indexmap::IndexMap;
use secrecy::ExposeSecret;

use super::super::file::ServerEntry;
use super::super::report::{At, Report};
use super::super::settings::Template;
use super::Common;
use super::variables::{Filled, Variables};

/// Headers that frame the message or belong to one connection: whoever sets them by hand breaks the request.
const FRAMING: [&str; 11] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "upgrade",
];

/// Headers that the MCP transport itself sets.
const TRANSPORT: [&str; 7] = [
    "mcp-session-id",
    "mcp-protocol-version",
    "mcp-method",
    "last-event-id",
    "accept",
    "content-type",
    "accept-encoding",
];

/// Headers that carry keys of the gateway or tell it where to look: never passed on from callers.
const GATEWAY: [&str; 8] = [
    "x-litellm-api-key",
    "api-key",
    "x-goog-api-key",
    "ocp-apim-subscription-key",
    "x-mcp-auth",
    "x-mcp-servers",
    "x-mcp-access-groups",
    "cookie",
];

/// A header's name, or an error.
pub(super) fn name(text: &str, at: &At<'_>, report: &mut Report) -> Option<HeaderName> {
    let Ok(name) = text.trim().parse::<HeaderName>() else {
        report
            .error("config.not_a_header", at, format!("`{text}` is not a header name"))
            .help("use letters, digits, `-` and `_`");
        return None;
    };
    if FRAMING.contains(&name.as_str()) {
        report
            .error("config.forbidden_header", at, format!("`{name}` belongs to the connection and cannot be set"))
            .help("remove it");
        return None;
    }
    Some(name)
}

/// `extra_headers`: names that are forwarded from the caller's request.
pub(super) fn forwarded(entry: &ServerEntry, at: &At<'_>, report: &mut Report) -> Vec<HeaderName> {
    let at = at.key("extra_headers");
    let mut names = Vec::new();
    for (index, text) in entry.extra_headers.iter().flatten().enumerate() {
        let at = at.index(index);
        let Some(name) = name(text, &at, report) else { continue };
        if TRANSPORT.contains(&name.as_str()) || GATEWAY.contains(&name.as_str()) {
            report
                .warning("config.header_not_forwarded", &at, format!("`{name}` is never forwarded from callers"))
                .help(
                    "remove it; a credential for the server itself goes into `auth_value` or `x-mcp-{alias}-{header}`",
                );
        } else if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Headers that are the same for all callers.
type Fixed = Vec<(HeaderName, HeaderValue)>;

/// Headers with values of users' own in them.
type Own = Vec<(HeaderName, Template)>;

/// `static_headers`, with `${NAME}` filled in.
pub(super) fn fixed(
    entry: &ServerEntry,
    variables: &Variables<'_>,
    at: &At<'_>,
    common: &Common<'_>,
    report: &mut Report,
) -> (Fixed, Own) {
    let at = at.key("static_headers");
    let (mut headers, mut own) = (Vec::new(), Vec::new());
    let empty = IndexMap::new();
    for (text, value) in entry.static_headers.as_ref().unwrap_or(&empty) {
        let Some(name) = name(text, &at.key_itself(text), report) else { continue };
        let at = at.key(text);
        if TRANSPORT.contains(&name.as_str()) {
            report
                .warning(
                    "config.header_ignored",
                    &at,
                    format!("`{name}` is set by the MCP transport; this value is not sent"),
                )
                .help("remove it");
            continue;
        }
        let filled = variables.fill(value.expose_secret(), &at, report);
        if filled.holds(common.master_key.expose_secret()) {
            report
                .error("config.master_key_leaves", &at, "the value contains the gateway's master key")
                .help("the master key is for this gateway alone; give the server a key of its own");
            continue;
        }
        let filled = match filled {
            Filled::Fixed(filled) => filled,
            Filled::Own(template) => {
                own.push((name, template));
                continue;
            }
        };
        match header_value(&filled) {
            Some(value) => headers.push((name, value)),
            None => report
                .error("config.bad_header_value", &at, "the value has control characters or is longer than 4 KiB")
                .help("write it on one line; a trailing line break in an environment variable is the usual cause"),
        }
    }
    (headers, own)
}

/// A value that may be sent, marked as sensitive so that it is never printed.
fn header_value(text: &str) -> Option<HeaderValue> {
    const MAX_BYTES: usize = 4096;
    let mut value = HeaderValue::from_str(text).ok().filter(|value| value.len() <= MAX_BYTES)?;
    value.set_sensitive(true);
    Some(value)
}
