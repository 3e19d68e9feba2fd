//! Names and values of HTTP headers.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};
use indexmap::IndexMap;
use secrecy::{ExposeSecret, SecretString};

use super::super::file::ServerEntry;
use super::super::file::server::EnvVarScope;
use super::super::report::{At, Report};
use super::Common;

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

/// `static_headers`, with `${NAME}` filled in. The second value says that a user's own value is needed for one.
pub(super) fn fixed(
    entry: &ServerEntry,
    at: &At<'_>,
    common: &Common<'_>,
    report: &mut Report,
) -> (Vec<(HeaderName, HeaderValue)>, bool) {
    let variables = Variables::read(entry, at, report);
    let at = at.key("static_headers");
    let mut needs_user = false;
    let mut headers = Vec::new();
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
        if filled.contains(common.master_key.expose_secret()) {
            report
                .error("config.master_key_leaves", &at, "the value contains the gateway's master key")
                .help("the master key is for this gateway alone; give the server a key of its own");
            continue;
        }
        needs_user |= variables.names_a_users(&filled);
        match header_value(&filled) {
            Some(value) => headers.push((name, value)),
            None => report
                .error("config.bad_header_value", &at, "the value has control characters or is longer than 4 KiB")
                .help("write it on one line; a trailing line break in an environment variable is the usual cause"),
        }
    }
    (headers, needs_user)
}

/// A value that may be sent, marked as sensitive so that it is never printed.
fn header_value(text: &str) -> Option<HeaderValue> {
    const MAX_BYTES: usize = 4096;
    let mut value = HeaderValue::from_str(text).ok().filter(|value| value.len() <= MAX_BYTES)?;
    value.set_sensitive(true);
    Some(value)
}

/// The `env_vars` of one server.
struct Variables<'e> {
    global: BTreeMap<&'e str, &'e str>,
    of_users: Vec<&'e str>,
}

impl<'e> Variables<'e> {
    fn read(entry: &'e ServerEntry, at: &At<'_>, report: &mut Report) -> Self {
        let at = at.key("env_vars");
        let mut variables = Self { global: BTreeMap::new(), of_users: Vec::new() };
        for (index, variable) in entry.env_vars.iter().flatten().enumerate() {
            let at = at.index(index);
            let Some(name) = variable.name.as_deref().filter(|name| is_variable_name(name)) else {
                report
                    .error("config.bad_variable_name", &at.key("name"), "`name` is missing or not a variable's name")
                    .help("use letters, digits and `_`, not beginning with a digit");
                continue;
            };
            let value = variable.value.as_ref().map(SecretString::expose_secret);
            match variable.scope {
                Some(EnvVarScope::User) => variables.of_users.push(name),
                Some(EnvVarScope::Global) | None => {
                    variables.global.insert(name, value.unwrap_or_default());
                }
            }
        }
        variables
    }

    /// Replaces `${NAME}`. A name that nobody defines stays as it is, as in LiteLLM.
    fn fill(&self, text: &str, at: &At<'_>, report: &mut Report) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            filled.push_str(before);
            let name = after.split_once('}').map(|(name, _)| name).filter(|name| is_variable_name(name));
            rest = match name.map(|name| (name, self.global.get(name))) {
                Some((name, Some(value))) => {
                    filled.push_str(value);
                    &after[name.len() + 1..]
                }
                Some((name, None)) if !self.of_users.contains(&name) => {
                    report
                        .warning(
                            "config.undefined_variable",
                            at,
                            format!("nothing defines `${{{name}}}`; it is sent as written"),
                        )
                        .help(format!("add it to `env_vars`, or write the value as os.environ/{name}"));
                    filled.push_str("${");
                    after
                }
                _ => {
                    filled.push_str("${");
                    after
                }
            };
        }
        filled.push_str(rest);
        filled
    }

    fn names_a_users(&self, filled: &str) -> bool {
        self.of_users.iter().any(|name| filled.contains(&format!("${{{name}}}")))
    }
}

fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
