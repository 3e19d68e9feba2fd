//! JWT callers and the clients that are let in.

use std::time::Duration;

use url::{Host, Url};

use super::super::environment::Environment;
use super::super::file::GeneralSection;
use super::super::file::jwt::{IssuerEntry, JwtAuthSection};
use super::super::keys::Keys;
use super::super::read::{UnknownKeys, read};
use super::super::report::{At, Report};
use super::super::settings::jwt::{AllowedClients, Fields, Issuer, JwtSettings};
use super::general::many;
use super::{headers, sections};

const KEYS_VARIABLE: &str = "JWT_PUBLIC_KEY_URL";

/// Where an issuer's discovery document is, below the issuer.
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// `None` unless `enable_jwt_auth`.
pub(super) fn check(
    section: &GeneralSection,
    at: &At<'_>,
    environment: &Environment,
    report: &mut Report,
) -> Option<JwtSettings> {
    let jwt_at = at.key("litellm_jwtauth");
    let jwt: JwtAuthSection = read(&jwt_at, report, UnknownKeys::Warn);
    sections::not_active_yet(&jwt_at, &Keys::of::<JwtAuthSection>(), report);
    if !section.enable_jwt_auth.unwrap_or(false) {
        return None;
    }
    let fields = Fields {
        user_id: jwt.user_id_jwt_field.clone(),
        user_email: jwt.user_email_jwt_field.clone(),
        team_id: jwt.team_id_jwt_field.clone(),
        team_ids: jwt.team_ids_jwt_field.clone(),
        org_id: jwt.org_id_jwt_field.clone(),
        end_user_id: jwt.end_user_id_jwt_field.clone(),
    };
    let mut issuers = Vec::new();
    for (index, entry) in jwt.issuers.iter().flatten().enumerate() {
        issuers.extend(issuer(entry, &fields, &jwt_at.key("issuers").index(index), report));
    }
    issuers.extend(general_issuer(fields, environment, at, issuers.is_empty(), report));
    let seconds = |name: &str, given: Option<f64>, default: f64, report: &mut Report| match given {
        Some(seconds) if !(0.0..=86_400.0 * 30.0).contains(&seconds) => {
            let at = jwt_at.key(name);
            let _ = report.error("config.out_of_range", &at, format!("{seconds} s is not between 0 and 30 days"));
            Duration::from_secs_f64(default)
        }
        given => Duration::from_secs_f64(given.unwrap_or(default)),
    };
    Some(JwtSettings {
        issuers,
        admin_scope: jwt.admin_jwt_scope.clone().unwrap_or_else(|| "litellm_proxy_admin".to_owned()),
        user_id_upsert: jwt.user_id_upsert.unwrap_or(false),
        email_domain: jwt.user_allowed_email_domain.as_deref().map(str::to_lowercase),
        allowed_roles: pair(
            ("user_roles_jwt_field", jwt.user_roles_jwt_field.clone()),
            ("user_allowed_roles", jwt.user_allowed_roles.clone()),
            &jwt_at,
            report,
        ),
        role_mappings: pair(
            ("roles_jwt_field", jwt.roles_jwt_field.clone()),
            ("role_mappings", role_mappings(&jwt, &jwt_at, report)),
            &jwt_at,
            report,
        ),
        object_id: jwt.object_id_jwt_field.clone(),
        team_default: jwt.team_id_default.clone(),
        client_id: jwt.mcp_client_id_jwt_field.clone(),
        admin_routes: routes("admin_allowed_routes", jwt.admin_allowed_routes.as_deref(), &jwt_at, report),
        other_routes: routes("team_allowed_routes", jwt.team_allowed_routes.as_deref(), &jwt_at, report),
        keys_for: seconds("public_key_ttl", jwt.public_key_ttl, 600.0, report),
        stale_for: seconds("public_key_stale_ttl", jwt.public_key_stale_ttl, 3600.0, report),
    })
}

/// Routes that tokens are good for. A list without any is a slip: nobody would get in.
fn routes(name: &str, given: Option<&[String]>, at: &At<'_>, report: &mut Report) -> Vec<String> {
    let Some(given) = given else { return Vec::new() };
    if given.is_empty() {
        report
            .error(
                "config.missing_key",
                &at.key(name),
                "the list is empty, so that no token would be good for anything",
            )
            .help("name routes or groups (`mcp_routes`, `info_routes`), or leave it out");
    }
    for (index, entry) in given.iter().enumerate() {
        if !entry.starts_with('/') && !toolgate_access::routes::is_group(entry) {
            report
                .error("config.bad_name", &at.key(name).index(index), format!("`{entry}` is no group of routes"))
                .help("a route begins with `/`; groups are `mcp_routes`, `llm_api_routes`, `info_routes`, `management_routes`");
        }
    }
    given.to_vec()
}

fn role_mappings(
    jwt: &JwtAuthSection,
    at: &At<'_>,
    report: &mut Report,
) -> Option<Vec<(String, super::super::file::jwt::InternalRole)>> {
    let mappings = jwt.role_mappings.as_ref()?;
    let mut checked = Vec::new();
    for (index, mapping) in mappings.iter().enumerate() {
        match (&mapping.role, mapping.internal_role) {
            (Some(role), Some(internal)) => checked.push((role.clone(), internal)),
            _ => report
                .error(
                    "config.missing_key",
                    &at.key("role_mappings").index(index),
                    "`role` and `internal_role` are needed",
                )
                .help("write `{role: their-role, internal_role: proxy_admin}`"),
        }
    }
    Some(checked)
}

/// Two keys that mean something only together.
fn pair<A, B>(
    (first, one): (&str, Option<A>),
    (second, other): (&str, Option<B>),
    at: &At<'_>,
    report: &mut Report,
) -> Option<(A, B)> {
    match (one, other) {
        (Some(one), Some(other)) => Some((one, other)),
        (None, None) => None,
        (Some(_), None) => {
            let _ = report.error("config.missing_key", &at.key(first), format!("it needs `{second}` beside it"));
            None
        }
        (None, Some(_)) => {
            let _ = report.error("config.missing_key", &at.key(second), format!("it needs `{first}` beside it"));
            None
        }
    }
}

fn issuer(entry: &IssuerEntry, general: &Fields, at: &At<'_>, report: &mut Report) -> Option<Issuer> {
    let Some(name) = entry.issuer.clone().filter(|name| !name.is_empty()) else {
        let _ = report.error("config.missing_key", at, "an issuer needs `issuer`");
        return None;
    };
    let url = entry.jwks_url.clone().unwrap_or_else(|| format!("{}{DISCOVERY}", name.trim_end_matches('/')));
    let place = if entry.jwks_url.is_some() { at.key("jwks_url") } else { at.key("issuer") };
    let keys = key_url(&url, &place, report)?;
    let audience: Vec<String> = many(entry.audience.as_ref()).into_iter().map(|(_, text)| text.to_owned()).collect();
    let unchecked = entry.disable_audience_validation.unwrap_or(false);
    if audience.is_empty() && !unchecked {
        report
            .error("config.missing_key", at, format!("it is not said which audience tokens of `{name}` must have"))
            .help("add `audience`, or `disable_audience_validation: true` to take tokens for anybody");
    }
    let or = |own: &Option<String>, general: &Option<String>| own.clone().or_else(|| general.clone());
    Some(Issuer {
        issuer: Some(name),
        keys: vec![keys],
        audience: (!unchecked).then_some(audience),
        fields: Fields {
            user_id: or(&entry.user_id_jwt_field, &general.user_id),
            user_email: or(&entry.user_email_jwt_field, &general.user_email),
            team_id: or(&entry.team_id_jwt_field, &general.team_id),
            team_ids: or(&entry.team_ids_jwt_field, &general.team_ids),
            org_id: or(&entry.org_id_jwt_field, &general.org_id),
            end_user_id: or(&entry.end_user_id_jwt_field, &general.end_user_id),
        },
    })
}

/// The one of the environment.
fn general_issuer(
    fields: Fields,
    environment: &Environment,
    at: &At<'_>,
    is_needed: bool,
    report: &mut Report,
) -> Option<Issuer> {
    let at_keys = At::variable(KEYS_VARIABLE);
    let Some(urls) = environment.get(KEYS_VARIABLE) else {
        if is_needed {
            report
                .error("config.missing_key", &at.key("enable_jwt_auth"), format!("{KEYS_VARIABLE} is not set"))
                .help("set it to the URL of the issuer's keys (JWKS), or name `issuers` in litellm_jwtauth");
        }
        return None;
    };
    let texts = urls.split(',').map(str::trim).filter(|url| !url.is_empty());
    let keys = texts.filter_map(|url| key_url(url, &at_keys, report)).collect();
    let issuer = environment.get("JWT_ISSUER").map(str::to_owned);
    let audience = environment
        .get("JWT_AUDIENCE")
        .map(|all| all.split(',').map(|one| one.trim().to_owned()).filter(|one| !one.is_empty()).collect());
    if audience.is_none() {
        report
            .warning("config.any_audience", &at_keys, "tokens that the issuer made for other programs are taken too")
            .help("set JWT_AUDIENCE to what tokens for this gateway have as `aud`");
    }
    Some(Issuer { issuer, keys, audience, fields })
}

/// Keys that came over a network in the clear could be anybody's.
fn key_url(text: &str, at: &At<'_>, report: &mut Report) -> Option<Url> {
    let url = Url::parse(text).ok().filter(is_safe);
    if url.is_none() {
        report
            .error("config.bad_url", at, format!("`{text}` is no https URL"))
            .help("keys are fetched over https, or over http from this machine itself");
    }
    url
}

/// https, or this machine.
pub(crate) fn is_safe(url: &Url) -> bool {
    let is_local = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.username().is_empty() && (url.scheme() == "https" || url.scheme() == "http" && is_local)
}

/// `mcp_allowed_clients`. One that cannot be read admits nobody, as in LiteLLM; here the file is refused instead.
pub(super) fn clients(section: &GeneralSection, at: &At<'_>, report: &mut Report) -> Option<AllowedClients> {
    let header = section
        .mcp_client_id_header
        .as_deref()
        .filter(|name| !name.is_empty())
        .and_then(|name| headers::name(name, &at.key("mcp_client_id_header"), report));
    let clients = section.mcp_allowed_clients.as_ref()?;
    let at = at.key("mcp_allowed_clients");
    let mut values = Vec::new();
    for (index, client) in clients.iter().enumerate() {
        match client.value.clone().filter(|value| !value.is_empty()) {
            Some(value) => values.push(value),
            None => report
                .error("config.missing_key", &at.index(index), "a client needs `value`, the name that it sends")
                .help("write `{alias: what people call it, value: what it sends}`"),
        }
    }
    Some(AllowedClients { values, header })
}
