//! Admits holders of the gateway's key, wherever LiteLLM's clients put it.
//!
//! The first of these headers that is there and not empty carries the key; it alone decides:
//! `litellm_key_header_name`'s, `x-litellm-api-key`, `Authorization`, `API-Key`, `x-api-key`, `x-goog-api-key`,
//! `Ocp-Apim-Subscription-Key`. So a caller who sends `x-litellm-api-key` keeps `Authorization` for the upstream.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::{Caller, Who, mask, passing};
use crate::config::settings::General;

const LITELLM_API_KEY: HeaderName = HeaderName::from_static("x-litellm-api-key");
const DEBUG: HeaderName = HeaderName::from_static("x-litellm-mcp-debug");
const MCP_AUTH: HeaderName = HeaderName::from_static("x-mcp-auth");

/// In LiteLLM's order of precedence, after `litellm_key_header_name`.
const KEY_HEADERS: [HeaderName; 6] = [
    LITELLM_API_KEY,
    AUTHORIZATION,
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-goog-api-key"),
    HeaderName::from_static("ocp-apim-subscription-key"),
];

/// Query parameters that people put keys into. Such a request is refused whatever the value is, because by then the
/// key is in somebody's access log (MCP 2025-11-25 `basic/authorization`: tokens must not be in URIs).
const KEY_PARAMETERS: [&str; 8] =
    ["api_key", "api-key", "apikey", "key", "access_token", "litellm_api_key", "x-litellm-api-key", "x-goog-api-key"];

/// Headers that name the customer for whom a request is made, in LiteLLM's order, before `user_header_name`.
const CUSTOMER_HEADERS: [HeaderName; 2] =
    [HeaderName::from_static("x-litellm-customer-id"), HeaderName::from_static("x-litellm-end-user-id")];

/// The longest id of a customer, in bytes.
const LONGEST_CUSTOMER_ID_BYTES: usize = 256;

/// Of these, those by which a management request names the key that it is about.
const NAMED_KEY_PARAMETERS: [&str; 2] = ["key", "api_key"];

/// A key shorter than this is only looked for as a whole value: as a part it would be found by accident.
const SHORTEST_KEY_SOUGHT_INSIDE_BYTES: usize = 8;

/// Why a request was not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// No header carried a key.
    #[error("no key in the request; send `x-litellm-api-key: Bearer <key>` or `Authorization: Bearer <key>`")]
    Missing,
    /// A header carried something else than the key.
    #[error("the key in `{header}` is not valid")]
    Invalid {
        /// Which header decided.
        header: HeaderName,
    },
    /// The request must be changed before any key in it can be looked at.
    #[error("{0}")]
    Malformed(MalformedCredential),
}

/// What is wrong with the way the key was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedCredential {
    /// Two values, and no rule says which one counts.
    #[error("header `{0}` was sent more than once; send it once")]
    Duplicate(HeaderName),
    /// An id of a customer that is none.
    #[error("header `{0}` is no text of at most 256 bytes")]
    NoCustomer(HeaderName),
    /// A key in the URL.
    #[error("query parameter `{0}` carries a key; send keys in a header, since URLs end up in logs")]
    InQuery(String),
}

/// What a request shows to be let in.
pub struct Shown<'h> {
    carrier: &'h HeaderName,
    /// The key, without a scheme before it.
    pub key: &'h [u8],
    /// It is the master key.
    pub is_master: bool,
}

impl Shown<'_> {
    /// The error for a key that nobody knows.
    #[must_use]
    pub fn unknown(&self) -> AuthError {
        AuthError::Invalid { header: self.carrier.clone() }
    }
}

/// Compares what callers present with the gateway's key.
#[derive(Debug)]
pub struct Gatekeeper {
    master_key: SecretString,
    /// Where a key may be, the first that is there decides.
    key_headers: Vec<HeaderName>,
    /// What `x-mcp-debug-inbound-auth` tells about.
    debug_headers: Vec<HeaderName>,
    /// Where the id of a customer may be, the first that is there and not empty counts.
    customer_headers: Vec<HeaderName>,
}

impl Gatekeeper {
    /// A gatekeeper for these settings.
    #[must_use]
    pub fn new(general: &General) -> Self {
        let mut debug_headers = vec![LITELLM_API_KEY, AUTHORIZATION, MCP_AUTH];
        if !debug_headers.contains(&general.client_auth_header) {
            debug_headers.push(general.client_auth_header.clone());
        }
        Self {
            master_key: general.master_key.clone(),
            key_headers: general.key_header.iter().cloned().chain(KEY_HEADERS).collect(),
            debug_headers,
            customer_headers: CUSTOMER_HEADERS.into_iter().chain(general.customer_header.clone()).collect(),
        }
    }

    /// The id of the customer for whom the request with these headers is made, if it names one.
    ///
    /// # Errors
    /// [`AuthError::Malformed`] for a header that is there twice or that cannot be an id.
    pub fn customer<'h>(&self, headers: &'h HeaderMap) -> Result<Option<&'h str>, AuthError> {
        for name in &self.customer_headers {
            let mut values = headers.get_all(name).iter();
            let Some(value) = values.next() else { continue };
            if values.next().is_some() {
                return Err(AuthError::Malformed(MalformedCredential::Duplicate(name.clone())));
            }
            match std::str::from_utf8(value.as_bytes()).map(str::trim) {
                Ok("") => {}
                Ok(id) if id.len() <= LONGEST_CUSTOMER_ID_BYTES => return Ok(Some(id)),
                _ => return Err(AuthError::Malformed(MalformedCredential::NoCustomer(name.clone()))),
            }
        }
        Ok(None)
    }

    /// The key that a request shows. `query` is the raw query string of its URI.
    ///
    /// # Errors
    /// [`AuthError::Missing`] when there is none; [`AuthError::Malformed`] is a 400 that says what to change.
    pub fn look<'h>(&'h self, headers: &'h HeaderMap, query: Option<&str>) -> Result<Shown<'h>, AuthError> {
        self.refuse_key_in_query(query)?;
        self.look_at(headers)
    }

    /// The same for a management request, which may name the key that it is about: LiteLLM's `/key/info?key=sk-...`.
    /// The master key is refused there as everywhere.
    ///
    /// # Errors
    /// As [`Gatekeeper::look`].
    pub fn look_for_management<'h>(
        &'h self,
        headers: &'h HeaderMap,
        query: Option<&str>,
    ) -> Result<Shown<'h>, AuthError> {
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let names_it = NAMED_KEY_PARAMETERS.contains(&name.as_ref());
            let is_credential = KEY_PARAMETERS.iter().any(|known| name.eq_ignore_ascii_case(known)) && !names_it;
            if is_credential || self.is_master_key(value.as_bytes()) {
                return Err(AuthError::Malformed(MalformedCredential::InQuery(name.into_owned())));
            }
        }
        self.look_at(headers)
    }

    fn look_at<'h>(&'h self, headers: &'h HeaderMap) -> Result<Shown<'h>, AuthError> {
        if headers.get_all(AUTHORIZATION).iter().nth(1).is_some() {
            return Err(AuthError::Malformed(MalformedCredential::Duplicate(AUTHORIZATION)));
        }
        let (carrier, presented) = self.presented(headers)?;
        let key = strip_scheme(presented.as_bytes());
        Ok(Shown { carrier, key, is_master: self.is_master_key(key) })
    }

    /// `who`, as whom the request with these headers was let in for what it has `shown`.
    pub fn caller(&self, headers: &HeaderMap, shown: &Shown<'_>, who: Who, from: Option<IpAddr>) -> Caller {
        let debug = wants_debug(headers);
        let is_credential = |name: &HeaderName, value: &HeaderValue| name == shown.carrier || is_in(value, shown.key);
        Caller {
            id: who.id,
            headers: passing::passing(headers, is_credential).into(),
            inbound_auth: if debug { self.inbound_auth(headers) } else { String::new() },
            debug,
            principal: who.principal,
            grant: who.grant,
            payers: who.payers,
            toolset: None,
            from,
            vault: Arc::default(),
        }
    }

    /// The header that decides, with its value.
    fn presented<'a>(&'a self, headers: &'a HeaderMap) -> Result<(&'a HeaderName, &'a HeaderValue), AuthError> {
        for name in &self.key_headers {
            let mut values = headers.get_all(name).iter();
            let Some(value) = values.next() else { continue };
            if values.next().is_some() {
                return Err(AuthError::Malformed(MalformedCredential::Duplicate(name.clone())));
            }
            if !strip_scheme(value.as_bytes()).is_empty() {
                return Ok((name, value));
            }
        }
        Err(AuthError::Missing)
    }

    /// Compares in constant time. Only the length is looked at first: it is that of every key that we make, and no
    /// secret.
    fn is_master_key(&self, key: &[u8]) -> bool {
        let key = strip_scheme(key);
        let master = self.master_key.expose_secret().as_bytes();
        key.len() == master.len() && !key.is_empty() && bool::from(key.ct_eq(master))
    }

    fn refuse_key_in_query(&self, query: Option<&str>) -> Result<(), AuthError> {
        let Some(query) = query else { return Ok(()) };
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let named = KEY_PARAMETERS.iter().any(|known| name.eq_ignore_ascii_case(known));
            if named || self.is_master_key(value.as_bytes()) || value.starts_with(toolgate_access::key::PREFIX) {
                let name = if self.is_master_key(name.as_bytes()) { "(the key)".to_owned() } else { name.into_owned() };
                return Err(AuthError::Malformed(MalformedCredential::InQuery(name)));
            }
        }
        Ok(())
    }

    /// `x-mcp-debug-inbound-auth`: which credentials came in, masked, as LiteLLM writes it.
    fn inbound_auth(&self, headers: &HeaderMap) -> String {
        let shown = |name: &HeaderName, value: &HeaderValue| format!("{name}={}", mask::mask(Some(value.as_bytes())));
        let parts: Vec<_> =
            self.debug_headers.iter().filter_map(|name| Some(shown(name, headers.get(name)?))).collect();
        if parts.is_empty() { mask::NONE.to_owned() } else { parts.join("; ") }
    }
}

/// Whether the key is in this value in any form that an upstream could read: bare, after a scheme, within a longer text,
/// or in the base64 of a `Basic` credential. Asked only for callers who have shown the key, so that how long it takes
/// tells them nothing new.
fn is_in(value: &HeaderValue, key: &[u8]) -> bool {
    let value = value.as_bytes();
    is_inside(value, key) || {
        let basic = strip_prefix_ignoring_case(value.trim_ascii(), b"basic ");
        basic.and_then(decode_base64).is_some_and(|decoded| is_inside(&decoded, key))
    }
}

fn is_inside(text: &[u8], key: &[u8]) -> bool {
    if key.len() < SHORTEST_KEY_SOUGHT_INSIDE_BYTES {
        return strip_scheme(text) == key;
    }
    if text.len() < key.len() {
        return false;
    }
    // Values are short: to build a searcher would cost more than it saves.
    memchr::memchr_iter(key[0], text).any(|at| text[at..].starts_with(key))
}

fn wants_debug(headers: &HeaderMap) -> bool {
    let value = headers.get(DEBUG).map_or(&b""[..], HeaderValue::as_bytes).trim_ascii();
    ["true", "1", "yes"].iter().any(|yes| value.eq_ignore_ascii_case(yes.as_bytes()))
}

/// Takes `Bearer` off, and `Basic`, before which LiteLLM accepts a bare key as well.
fn strip_scheme(value: &[u8]) -> &[u8] {
    let value = value.trim_ascii();
    for scheme in [&b"bearer"[..], b"basic"] {
        if value.eq_ignore_ascii_case(scheme) {
            return b"";
        }
        if let Some(rest) = strip_prefix_ignoring_case(value, scheme)
            && rest.first().is_some_and(u8::is_ascii_whitespace)
        {
            return rest.trim_ascii();
        }
    }
    value
}

fn strip_prefix_ignoring_case<'a>(value: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (head, rest) = value.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text.trim_ascii()).ok()
}

#[cfg(test)]
mod tests;
