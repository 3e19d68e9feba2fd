//! What goes to an HTTP upstream in the name of one caller. Later wins:
//!
//! 1. the credential: the caller's own `x-mcp-{alias}-{header}`, or `x-mcp-auth`, or else what the user keeps for the
//!    server (`is_byok`), or else the configured one;
//! 2. the caller's headers that `extra_headers` names;
//! 3. `static_headers`.
//!
//! Where `upstream_token_header` names a slot for the configured credential, nothing shadows it. The gateway's own key
//! cannot get here: the headers are those of [`crate::auth::Caller`], which does not have it any more.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;

use super::addressing::{Addressing, Sent};
use super::aws;
use super::credential::{CredentialError, check_value};
use super::vault;
use crate::auth::passing;
use crate::auth::vault::Own;
use crate::config::settings::{AuthScheme, ServerSettings, Template, UpstreamAuth};

/// Where an upstream's credential came from; LiteLLM's words in `x-mcp-debug-auth-resolution`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthResolution {
    /// No credential is sent.
    NoAuth,
    /// The configured one.
    StaticToken,
    /// The token that the gateway was given in its own name.
    MachineToken,
    /// The gateway's signature over each request.
    Signature,
    /// The caller's own, from an `x-mcp-...` header.
    PerRequestHeader,
    /// The one that the user keeps for the server.
    UserCredential,
    /// `extra_headers` or `static_headers`.
    ExtraHeaders,
    /// A child process; it has an environment instead.
    NotApplicable,
    /// Not known.
    Unresolved,
}

impl AuthResolution {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoAuth => "no-auth",
            Self::StaticToken => "static-token",
            Self::MachineToken => "m2m-client-credentials",
            Self::Signature => "aws-sigv4",
            Self::PerRequestHeader => "per-request-header",
            Self::UserCredential => "byok",
            Self::ExtraHeaders => "extra-headers",
            Self::NotApplicable => "not-applicable",
            Self::Unresolved => "unresolved",
        }
    }
}

/// The headers, and why they are these.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) headers: HeaderMap,
    /// The gateway authorizes each request with its own token or signature.
    pub(super) is_authorized: bool,
    pub(super) resolution: AuthResolution,
}

/// Whether `caller` could get other headers than everybody else.
pub(super) fn depends_on(caller: &HeaderMap, server: &ServerSettings, addressing: &Addressing) -> bool {
    addressing.concerns(caller) || server.extra_headers.iter().any(|name| caller.contains_key(name))
}

/// Makes the headers for `caller`.
pub(super) fn resolve(
    server: &ServerSettings,
    addressing: &Addressing,
    caller: &HeaderMap,
    own: Own<'_>,
) -> Result<Resolved, CredentialError> {
    let mut headers = HeaderMap::new();
    let sent = addressing.sent(caller, server)?;
    let from_caller = sent != Sent::Nothing;
    let slot = put_credential(&mut headers, server, sent, own)?;
    let has_credential = !headers.is_empty();

    let mut extra = forwarded(server, caller)?;
    let signs_in = matches!(server.auth, UpstreamAuth::ClientCredentials(_)) && !from_caller && !has_credential;
    if signs_in {
        // What a caller shows the gateway is not for servers that the gateway uses in its own name.
        extra.remove(AUTHORIZATION);
    }
    for (name, value) in &server.static_headers {
        if !passing::is_wire(name) {
            extra.insert(name, sensitive(value.clone()));
        }
    }
    for (name, template) in &server.own.headers {
        if !passing::is_wire(name) {
            extra.insert(name, own_header(server, name, template, own)?);
        }
    }
    if let Some(slot) = &slot.kept {
        extra.remove(slot);
    }
    let with_token = signs_in && !extra.contains_key(AUTHORIZATION);
    let is_signed = matches!(server.auth, UpstreamAuth::AwsSigv4(_));
    let resolution = match () {
        () if is_signed => AuthResolution::Signature,
        () if with_token => AuthResolution::MachineToken,
        () if extra.contains_key(&slot.name) => AuthResolution::ExtraHeaders,
        () if from_caller && has_credential => AuthResolution::PerRequestHeader,
        () if has_credential && server.own.credential => AuthResolution::UserCredential,
        () if has_credential => AuthResolution::StaticToken,
        () if !extra.is_empty() => AuthResolution::ExtraHeaders,
        () => AuthResolution::NoAuth,
    };
    for name in extra.keys() {
        headers.remove(name);
    }
    headers.extend(extra);
    if is_signed {
        // Nothing stands in the place of the signature, whoever brings it.
        aws::OURS.iter().for_each(|name| _ = headers.remove(name));
    }
    Ok(Resolved { headers, is_authorized: with_token || is_signed, resolution })
}

/// A configured header with the user's values in it. What was written there by the administrator is checked with them.
fn own_header(
    server: &ServerSettings,
    name: &HeaderName,
    template: &Template,
    own: Own<'_>,
) -> Result<HeaderValue, CredentialError> {
    let text = vault::fill(template, server, own)?;
    let unclean = || CredentialError::Unclean { server: server.name.clone(), header: name.clone() };
    let value = HeaderValue::from_str(&text).map_err(|_| unclean())?;
    check_value(&value, name, &server.name)?;
    Ok(sensitive(value))
}

/// Where the credential is.
struct Slot {
    name: HeaderName,
    /// Set when nothing may be put over it.
    kept: Option<HeaderName>,
}

fn put_credential(
    headers: &mut HeaderMap,
    server: &ServerSettings,
    sent: Sent,
    own: Own<'_>,
) -> Result<Slot, CredentialError> {
    let (scheme, value, header) = match &server.auth {
        UpstreamAuth::Static { scheme, value, header } => (scheme, value.as_ref(), header.as_ref()),
        // What a caller brings stands in the place of the gateway's token.
        UpstreamAuth::ClientCredentials(_) => (&AuthScheme::BearerToken, None, None),
        UpstreamAuth::None
        | UpstreamAuth::AwsSigv4(_)
        | UpstreamAuth::Incomplete { .. }
        | UpstreamAuth::NotActiveYet { .. } => {
            // Without a scheme, one value for all servers has no place; headers say their own.
            if let Sent::Headers(own) = sent {
                headers.extend(own);
            }
            return Ok(Slot { name: AUTHORIZATION, kept: None });
        }
    };
    let (credential, slot) = match sent {
        Sent::Headers(own) => {
            headers.extend(own);
            return Ok(Slot { name: own_slot(*scheme), kept: None });
        }
        // A caller's own value goes where the upstream normally looks, not where ours was moved to.
        Sent::Value(own) => (Some(own.as_bytes().to_vec()), Slot { name: own_slot(*scheme), kept: None }),
        Sent::Nothing => {
            let name = header.cloned().unwrap_or_else(|| own_slot(*scheme));
            let value = if server.own.credential { Some(vault::credential(server, own)?) } else { value };
            let value = value.map(|value| value.expose_secret().trim().as_bytes().to_vec());
            let kept = header.cloned().filter(|_| value.is_some());
            (value.filter(|value| !value.is_empty()), Slot { name, kept })
        }
    };
    if let Some(credential) = credential {
        let value = HeaderValue::from_bytes(&on_the_wire(*scheme, &credential))
            .map_err(|_| CredentialError::Configured { server: server.name.clone(), header: slot.name.clone() })?;
        headers.insert(slot.name.clone(), sensitive(value));
    }
    Ok(slot)
}

fn own_slot(scheme: AuthScheme) -> HeaderName {
    match scheme {
        AuthScheme::ApiKey => HeaderName::from_static("x-api-key"),
        AuthScheme::BearerToken | AuthScheme::Basic | AuthScheme::Authorization | AuthScheme::Token => AUTHORIZATION,
    }
}

fn on_the_wire(scheme: AuthScheme, value: &[u8]) -> Vec<u8> {
    match scheme {
        AuthScheme::ApiKey | AuthScheme::Authorization => value.to_vec(),
        AuthScheme::BearerToken => [b"Bearer ", strip_scheme(value, "bearer").unwrap_or(value)].concat(),
        AuthScheme::Token => [b"token ", strip_scheme(value, "token").unwrap_or(value)].concat(),
        AuthScheme::Basic => [b"Basic ".to_vec(), basic_credentials(value)].concat(),
    }
}

/// Base64 of `user:password`. A value that begins with `Basic` may be encoded already; a pair never looks so, since
/// `:` is not in the alphabet.
fn basic_credentials(value: &[u8]) -> Vec<u8> {
    match strip_scheme(value, "basic") {
        Some(encoded) if STANDARD.decode(encoded).is_ok() => encoded.to_vec(),
        Some(pair) => STANDARD.encode(pair).into_bytes(),
        None => STANDARD.encode(value).into_bytes(),
    }
}

/// What is behind a scheme and blanks; a scheme with nothing behind it is a value like any other.
fn strip_scheme<'a>(value: &'a [u8], scheme: &str) -> Option<&'a [u8]> {
    let value = value.trim_ascii();
    let (head, rest) = value.split_at_checked(scheme.len())?;
    let separated = rest.first().is_some_and(u8::is_ascii_whitespace);
    (separated && head.eq_ignore_ascii_case(scheme.as_bytes())).then(|| rest.trim_ascii())
}

fn forwarded(server: &ServerSettings, caller: &HeaderMap) -> Result<HeaderMap, CredentialError> {
    let mut forwarded = HeaderMap::new();
    for name in &server.extra_headers {
        if passing::is_wire(name) || passing::is_gateways(name) || forwarded.contains_key(name) {
            continue;
        }
        for value in caller.get_all(name) {
            check_value(value, name, &server.name)?;
            forwarded.append(name, sensitive(value.clone()));
        }
    }
    Ok(forwarded)
}

fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests;
