//! `auth_type` and its value.

use secrecy::ExposeSecret;

use super::super::file::ServerEntry;
use super::super::file::server::AuthType;
use super::super::report::{At, Report};
use super::super::settings::{AuthScheme, UpstreamAuth};
use super::{Common, aws, headers, oauth};

/// Checks how the gateway authenticates to a server.
pub(super) fn check(
    name: &str,
    entry: &ServerEntry,
    at: &At<'_>,
    common: &Common<'_>,
    report: &mut Report,
) -> UpstreamAuth {
    let value = entry.authentication_token.as_ref().or(entry.auth_value.as_ref());
    let value_key = if entry.authentication_token.is_some() { "authentication_token" } else { "auth_value" };
    let value_at = at.key(value_key);
    if let Some(value) = value {
        check_value(value.expose_secret(), &value_at, common, report);
    }
    let is_byok = entry.is_byok.unwrap_or(false);
    // A user's own credential has to be sent somehow.
    let as_bearer = is_byok && matches!(entry.auth_type, None | Some(AuthType::None));
    let scheme = if as_bearer { Some(AuthScheme::BearerToken) } else { entry.auth_type.and_then(scheme) };
    let Some(scheme) = scheme else {
        return match entry.auth_type {
            Some(AuthType::AwsSigv4) => aws::check(name, entry, at, common, report),
            _ => without_static_value(entry, at, &value_at, common, report),
        };
    };
    let header_at = at.key("upstream_token_header");
    let header = entry.upstream_token_header.as_deref().and_then(|name| headers::name(name, &header_at, report));
    if value.is_none() && !is_byok {
        let kind = entry.auth_type.map_or("none", AuthType::as_str);
        let _ = report.note(
            "config.no_auth_value",
            &at.key("auth_type"),
            format!("`{kind}` without `auth_value`: only a caller's own credential is sent"),
        );
    }
    UpstreamAuth::Static { scheme, value: value.cloned(), header }
}

fn scheme(auth_type: AuthType) -> Option<AuthScheme> {
    match auth_type {
        AuthType::ApiKey => Some(AuthScheme::ApiKey),
        AuthType::BearerToken => Some(AuthScheme::BearerToken),
        AuthType::Basic => Some(AuthScheme::Basic),
        AuthType::Authorization => Some(AuthScheme::Authorization),
        AuthType::Token => Some(AuthScheme::Token),
        AuthType::None
        | AuthType::Oauth2
        | AuthType::AwsSigv4
        | AuthType::Oauth2TokenExchange
        | AuthType::Oauth2IdJag
        | AuthType::TruePassthrough
        | AuthType::OauthDelegate => None,
    }
}

fn without_static_value(
    entry: &ServerEntry,
    at: &At<'_>,
    value_at: &At<'_>,
    common: &Common<'_>,
    report: &mut Report,
) -> UpstreamAuth {
    match entry.auth_type {
        None | Some(AuthType::None) => {
            if value_at.is_set() {
                report
                    .warning("config.auth_value_unused", value_at, "a credential without `auth_type` is not sent")
                    .help("add `auth_type: bearer_token`, `api_key`, `basic`, `authorization` or `token`");
            }
            UpstreamAuth::None
        }
        Some(AuthType::Oauth2) => oauth::check(entry, at, common, report),
        Some(auth_type) => {
            let kind = auth_type.as_str();
            report
                .note("config.not_active_yet", &at.key("auth_type"), format!("`{kind}` is not active yet"))
                .help("the server is listed as unavailable; until then a static credential or `extra_headers: [Authorization]` works");
            UpstreamAuth::NotActiveYet { auth_type: kind.to_owned() }
        }
    }
}

fn check_value(value: &str, at: &At<'_>, common: &Common<'_>, report: &mut Report) {
    if value.contains(common.master_key.expose_secret()) {
        report
            .error("config.master_key_leaves", at, "the value contains the gateway's master key")
            .help("the master key is for this gateway alone; give the server a key of its own");
    } else if value.is_empty() || value.len() > 16 * 1024 || value.chars().any(char::is_control) {
        report
            .error(
                "config.bad_header_value",
                at,
                "the credential is empty, has control characters or is longer than 16 KiB",
            )
            .help("a trailing line break in an environment variable is the usual cause");
    }
}
