//! `auth_type: oauth2`.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::super::file::ServerEntry;
use super::super::file::server::{OauthFlow, TokenEndpointAuthMethod};
use super::super::file::server_later::OneOrMany;
use super::super::report::{At, Report};
use super::super::settings::UpstreamAuth;
use super::super::settings::oauth::{Authority, ClientAuthMethod, ClientCredentials};
use super::Common;
use super::server::http_url;

const AUTH_TYPE: &str = "oauth2";

/// Checks how the gateway, or each user, signs in at the server's authorization server.
pub(super) fn check(entry: &ServerEntry, at: &At<'_>, common: &Common<'_>, report: &mut Report) -> UpstreamAuth {
    match flow(entry) {
        OauthFlow::ClientCredentials => client_credentials(entry, at, common, report),
        OauthFlow::AuthorizationCode => {
            let assumed = if entry.oauth2_flow.is_none() { ", as `oauth2_flow` is absent" } else { "" };
            let what = format!("`{AUTH_TYPE}` with users who sign in (authorization_code{assumed}) is not active yet");
            report.note("config.not_active_yet", &at.key("auth_type"), what).help(
                "the server is listed as unavailable; until then `oauth2_flow: client_credentials`, a static credential \
                 or `extra_headers: [Authorization]` works",
            );
            UpstreamAuth::NotActiveYet { auth_type: AUTH_TYPE.to_owned() }
        }
    }
}

/// Which flow is meant. LiteLLM 1.109 refuses its own documented example, which leaves `oauth2_flow` out.
fn flow(entry: &ServerEntry) -> OauthFlow {
    let is_machine = entry.client_id.is_some()
        && entry.client_secret.is_some()
        && entry.token_url.is_some()
        && entry.authorization_url.is_none();
    let assumed = if is_machine { OauthFlow::ClientCredentials } else { OauthFlow::AuthorizationCode };
    entry.oauth2_flow.unwrap_or(assumed)
}

fn client_credentials(entry: &ServerEntry, at: &At<'_>, common: &Common<'_>, report: &mut Report) -> UpstreamAuth {
    let client_id = entry.client_id.clone().filter(|id| !id.is_empty());
    let client_secret = entry.client_secret.clone().filter(|secret| !secret.expose_secret().is_empty());
    let authority = authority(entry, at, report);
    let mut missing = Vec::new();
    for (key, is_there) in [
        ("client_id", client_id.is_some()),
        ("client_secret", client_secret.is_some()),
        ("token_url", authority.is_some()),
    ] {
        if !is_there {
            missing.push(format!("`{key}`"));
        }
    }
    let (Some(client_id), Some(client_secret), Some(authority)) = (client_id, client_secret, authority) else {
        let missing = missing.join(", ");
        report
            .warning(
                "config.missing_key",
                &at.key("auth_type"),
                format!("the gateway cannot sign in for itself without {missing}; the server is unavailable"),
            )
            .help("`client_credentials` takes `client_id`, `client_secret`, and `token_url` or `issuer`");
        return UpstreamAuth::Incomplete { auth_type: AUTH_TYPE.to_owned(), missing };
    };
    check_secret(&client_secret, at, common, report);
    warn_of_unused(entry, at, report);
    UpstreamAuth::ClientCredentials(Box::new(ClientCredentials {
        client_id,
        client_secret,
        authority,
        method: match entry.token_endpoint_auth_method {
            Some(TokenEndpointAuthMethod::ClientSecretBasic) => ClientAuthMethod::Basic,
            Some(TokenEndpointAuthMethod::ClientSecretPost) | None => ClientAuthMethod::Post,
        },
        scope: scope(entry.scopes.as_ref()),
        audience: entry.audience.clone().filter(|audience| !audience.is_empty()),
        resource: resource(entry),
    }))
}

/// The issuer's own metadata wins over an endpoint that is written beside it.
fn authority(entry: &ServerEntry, at: &At<'_>, report: &mut Report) -> Option<Authority> {
    let mut url = |key: &'static str, given: &Option<String>| {
        let given = given.as_deref().filter(|url| !url.is_empty())?;
        let url = http_url(given, &at.key(key), report)?;
        warn_of_plain(&url, &at.key(key), report);
        Some(url)
    };
    let issuer = url("issuer", &entry.issuer).map(Authority::Issuer);
    let token_url = url("token_url", &entry.token_url).map(Authority::TokenUrl);
    issuer.or(token_url)
}

fn warn_of_plain(url: &Url, at: &At<'_>, report: &mut Report) {
    let is_here = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if url.scheme() == "http" && !is_here {
        report
            .warning("config.secret_in_the_clear", at, "the client's secret goes there without encryption")
            .help("write https://");
    }
}

fn check_secret(secret: &SecretString, at: &At<'_>, common: &Common<'_>, report: &mut Report) {
    if secret.expose_secret().contains(common.master_key.expose_secret()) {
        report
            .error("config.master_key_leaves", &at.key("client_secret"), "the value contains the gateway's master key")
            .help("the master key is for this gateway alone; register a client of its own");
    }
}

fn warn_of_unused(entry: &ServerEntry, at: &At<'_>, report: &mut Report) {
    for (key, given) in
        [("auth_value", entry.auth_value.is_some()), ("authentication_token", entry.authentication_token.is_some())]
    {
        if given {
            let at = at.key_itself(key);
            let _ = report.warning("config.unused_key", &at, "the gateway signs in for itself; it has no effect");
        }
    }
}

fn scope(scopes: Option<&OneOrMany>) -> Option<String> {
    let text = match scopes? {
        OneOrMany::One(text) => text.trim().to_owned(),
        OneOrMany::Many(list) => list.join(" "),
    };
    Some(text).filter(|text| !text.is_empty())
}

/// `auto` is the server itself, named as RFC 8707 has it: without a fragment.
fn resource(entry: &ServerEntry) -> Option<String> {
    let given = entry.upstream_resource.as_deref().filter(|given| !given.is_empty())?;
    if given != "auto" {
        return Some(given.to_owned());
    }
    let mut url = Url::parse(entry.url.as_deref()?).ok()?;
    url.set_fragment(None);
    Some(url.to_string())
}
