//! `general_settings`.

use std::time::Duration;

use http::HeaderName;
use secrecy::{ExposeSecret, SecretString};
use toolgate_access::rules::Rules;
use toolgate_mcp::version::Revision;
use url::Url;

use super::super::environment::Environment;
use super::super::file::GeneralSection;
use super::super::file::general::{Capability, CompatMetrics, PrefixName};
use super::super::file::litellm::RedisSection;
use super::super::file::server_later::OneOrMany;
use super::super::master_key;
use super::super::read::{UnknownKeys, read};
use super::super::report::{At, Report};
use super::super::settings::{
    AllowedOrigins, Clients, DatabaseSettings, DisabledCapabilities, General, MasterKeyOrigin, PrefixMode,
};
use super::{access, headers, jwt, spend};

/// The section's settings, and the one that belongs to the naming of tools.
pub(super) struct Checked {
    pub(super) settings: General,
    pub(super) prefix: PrefixMode,
    pub(super) clients: Clients,
    pub(super) access: Rules,
    pub(super) redis: RedisSection,
    /// `compat_metrics`, where it says something.
    pub(super) compat_metrics: Option<CompatMetrics>,
}

/// Checks the section.
pub(super) fn check(at: &At<'_>, environment: &Environment, report: &mut Report) -> Checked {
    let section: GeneralSection = read(at, report, UnknownKeys::WarnIfClose);
    let (master_key, master_key_origin) = key(&section, at, environment, report);
    let weak_master_key = master_key::is_weak(&master_key);
    if weak_master_key {
        let key_at = match master_key_origin {
            MasterKeyOrigin::File => at.key("master_key"),
            _ => At::variable("LITELLM_MASTER_KEY"),
        };
        report
            .warning("config.weak_master_key", &key_at, "the master key is well known or shorter than 32 characters")
            .help("it is accepted on loopback addresses only; make one with: echo sk-$(openssl rand -hex 32)");
    }
    let disabled = section.mcp_disabled_capabilities.as_deref().unwrap_or_default();
    let settings = General {
        master_key,
        master_key_origin,
        weak_master_key,
        key_header: key_header(&section, at, report),
        customer_header: customer_header(&section, at, report),
        client_auth_header: client_auth_header(&section, at, environment, report),
        advertised_versions: advertised_versions(&section, at, report),
        disabled: DisabledCapabilities {
            prompts: disabled.contains(&Capability::Prompts),
            resources: disabled.contains(&Capability::Resources),
        },
        require_explicit_scope: section.mcp_require_explicit_server_scope.unwrap_or(false),
        allowed_hosts: allowed_hosts(&section, at, report),
        allowed_origins: allowed_origins(&section, at, report),
        trusted_proxies: access::trusted_proxies(&section, at, report),
        mcp_registry: section.enable_mcp_registry.unwrap_or(false),
        jwt: jwt::check(&section, at, environment, report).map(std::sync::Arc::new),
        allowed_clients: jwt::clients(&section, at, report),
        database: database(&section, at, environment, report),
        stores_servers: stores_servers(&section, environment),
        required_fields: section.mcp_required_fields.clone().unwrap_or_default(),
        spend: spend::check(&section, at, report),
        redis: None,
        metrics_need_key: false,
        litellm_metrics: false,
        shutdown_grace: shutdown_grace(&section, at, report),
    };
    let prefix = match section.mcp_tool_prefix {
        None | Some(PrefixName::Always) => PrefixMode::Always,
        Some(PrefixName::WhenAmbiguous) => PrefixMode::WhenAmbiguous,
        Some(PrefixName::Never) => PrefixMode::Never,
    };
    Checked {
        settings,
        prefix,
        clients: clients(&section, at, report),
        access: access::check(&section, at, report),
        redis: section.redis(),
        compat_metrics: section.compat_metrics,
    }
}

fn key(
    section: &GeneralSection,
    at: &At<'_>,
    environment: &Environment,
    report: &mut Report,
) -> (SecretString, MasterKeyOrigin) {
    let (given, origin, at) = if let Some(key) = &section.master_key {
        (key.clone(), MasterKeyOrigin::File, at.key("master_key"))
    } else if let Some(key) = environment.get("LITELLM_MASTER_KEY") {
        (key.into(), MasterKeyOrigin::Environment, At::variable("LITELLM_MASTER_KEY"))
    } else if let Some(path) = environment.get("LITELLM_MASTER_KEY_FILE") {
        let at = At::variable("LITELLM_MASTER_KEY_FILE");
        match std::fs::read_to_string(path) {
            Ok(text) => (text.trim_end().into(), MasterKeyOrigin::Environment, at),
            Err(error) => {
                let _ = report.error("config.unreadable_file", &at, format!("cannot read `{path}`: {error}"));
                return (master_key::generate(), MasterKeyOrigin::NotGiven);
            }
        }
    } else {
        return (master_key::generate(), MasterKeyOrigin::NotGiven);
    };
    if given.expose_secret().is_empty() || !given.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) {
        report
            .error("config.bad_master_key", &at, "the master key is empty, or has blanks or characters outside ASCII")
            .help("make one with: echo sk-$(openssl rand -hex 32)");
    }
    (given, origin)
}

fn database(section: &GeneralSection, at: &At<'_>, environment: &Environment, report: &mut Report) -> DatabaseSettings {
    let from_file = section.database_url.clone().map(|url| (url, at.key("database_url")));
    let given = from_file.or_else(|| Some((environment.get("DATABASE_URL")?.into(), At::variable("DATABASE_URL"))));
    let given: Option<(SecretString, At<'_>)> = given.filter(|(url, _)| !url.expose_secret().is_empty());
    if let Some((url, at)) = &given {
        let is_postgres = ["postgres://", "postgresql://"].iter().any(|scheme| url.expose_secret().starts_with(scheme));
        if !is_postgres {
            report
                .error("config.bad_database_url", at, "a database URL begins with `postgresql://`")
                .help("leave it out to have the database in a file of the data directory");
        }
    }
    let old_keys = environment.get("TOOLGATE_OLD_SALT_KEYS").unwrap_or_default();
    DatabaseSettings {
        url: given.map(|(url, _)| url),
        salt_key: environment.get("LITELLM_SALT_KEY").filter(|key| !key.is_empty()).map(SecretString::from),
        old_salt_keys: old_keys.split_whitespace().map(SecretString::from).collect(),
    }
}

/// LiteLLM keeps servers in its database only when told to; here there is always a database, so it is on.
fn stores_servers(section: &GeneralSection, environment: &Environment) -> bool {
    let by_variable = environment.get("STORE_MODEL_IN_DB").map(|_| environment.is_on("STORE_MODEL_IN_DB"));
    let stores = section.store_model_in_db.or(by_variable).unwrap_or(true);
    let kinds = section.supported_db_objects.as_deref();
    stores && kinds.is_none_or(|kinds| kinds.iter().any(|kind| kind == "mcp"))
}

fn key_header(section: &GeneralSection, at: &At<'_>, report: &mut Report) -> Option<HeaderName> {
    let name = section.litellm_key_header_name.as_deref()?;
    headers::name(name, &at.key("litellm_key_header_name"), report)
}

fn customer_header(section: &GeneralSection, at: &At<'_>, report: &mut Report) -> Option<HeaderName> {
    let name = section.user_header_name.as_deref().filter(|name| !name.trim().is_empty())?;
    headers::name(name, &at.key("user_header_name"), report)
}

fn client_auth_header(
    section: &GeneralSection,
    at: &At<'_>,
    environment: &Environment,
    report: &mut Report,
) -> HeaderName {
    const VARIABLE: &str = "LITELLM_MCP_CLIENT_SIDE_AUTH_HEADER_NAME";
    let checked = if let Some(name) = environment.get(VARIABLE) {
        headers::name(name, &At::variable(VARIABLE), report)
    } else if let Some(name) = section.mcp_client_side_auth_header_name.as_deref() {
        headers::name(name, &at.key("mcp_client_side_auth_header_name"), report)
    } else {
        None
    };
    checked.unwrap_or(HeaderName::from_static("x-mcp-auth"))
}

/// All revisions, or those of them that are listed; oldest first.
fn advertised_versions(section: &GeneralSection, at: &At<'_>, report: &mut Report) -> Vec<Revision> {
    let Some(names) = &section.mcp_advertised_versions else { return Revision::ALL.to_vec() };
    let at = at.key("mcp_advertised_versions");
    let mut listed = Vec::new();
    for (index, name) in names.iter().enumerate() {
        match Revision::parse(name) {
            Some(revision) => listed.push(revision),
            None => {
                let known = Revision::ALL.map(Revision::name).join(", ");
                report
                    .error("config.unknown_value", &at.index(index), format!("unknown revision `{name}`"))
                    .help(format!("possible: {known}"));
            }
        }
    }
    if listed.is_empty() && !report.has_errors() {
        report
            .error("config.empty", &at, "no revision is left that clients could use")
            .help(format!("add {}, or remove the key for all revisions", Revision::NEWEST_WITH_HANDSHAKE));
    }
    listed.sort_unstable();
    listed.dedup();
    listed
}

pub(super) fn many(value: Option<&OneOrMany>) -> Vec<(Option<usize>, &str)> {
    match value {
        None => Vec::new(),
        Some(OneOrMany::One(text)) => vec![(None, text)],
        Some(OneOrMany::Many(texts)) => {
            texts.iter().enumerate().map(|(index, text)| (Some(index), text.as_str())).collect()
        }
    }
}

fn item<'t>(at: &At<'t>, index: Option<usize>) -> At<'t> {
    index.map_or_else(|| at.clone(), |index| at.index(index))
}

fn allowed_hosts(section: &GeneralSection, at: &At<'_>, report: &mut Report) -> Vec<String> {
    let at = at.key("allowed_hosts");
    let mut hosts = Vec::new();
    for (index, text) in many(section.allowed_hosts.as_ref()) {
        // A URL with the host in it understands ports and the brackets of IPv6 addresses.
        match Url::parse(&format!("http://{text}/")).ok().filter(|url| url.path() == "/" && url.username().is_empty()) {
            Some(url) => hosts.push(url.host_str().unwrap_or_default().to_owned()),
            None => report
                .error("config.not_a_host", &item(&at, index), format!("`{text}` is not a host name"))
                .help("write the name alone, such as `tools.example.com`"),
        }
    }
    hosts
}

fn allowed_origins(section: &GeneralSection, at: &At<'_>, report: &mut Report) -> AllowedOrigins {
    let at = at.key("allowed_origins");
    let texts = many(section.allowed_origins.as_ref());
    if texts.iter().any(|(_, text)| *text == "*") {
        return AllowedOrigins::Any;
    }
    let mut origins = Vec::new();
    for (index, text) in texts {
        match origin(text) {
            Some(origin) => origins.push(origin),
            None => report
                .error("config.not_an_origin", &item(&at, index), format!("`{text}` is not an origin"))
                .help("write scheme and host, such as `https://app.example.com`, without a path"),
        }
    }
    AllowedOrigins::Listed(origins)
}

/// `scheme://host[:port]` as browsers send it: lower case, without the scheme's own port.
fn origin(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let bare = matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty();
    let host = url.host_str().filter(|host| bare && !host.is_empty())?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{}://{}{port}", url.scheme(), host.to_ascii_lowercase()))
}

fn clients(section: &GeneralSection, at: &At<'_>, report: &mut Report) -> Clients {
    let mut most = |name: &str, given: Option<u64>, default: usize| match given.map(usize::try_from) {
        None => default,
        Some(Ok(most)) if most > 0 => most,
        Some(_) => {
            let _ = report.error("config.out_of_range", &at.key(name), "at least 1 must be allowed");
            default
        }
    };
    let default = Clients::default();
    Clients {
        connections: most("max_connections", section.max_connections, default.connections),
        streams: most("max_streams", section.max_streams, default.streams),
        ..default
    }
}

fn shutdown_grace(section: &GeneralSection, at: &At<'_>, report: &mut Report) -> Duration {
    const DEFAULT: f64 = 30.0;
    let seconds = section.shutdown_grace_seconds.unwrap_or(DEFAULT);
    if (0.0..=3600.0).contains(&seconds) {
        return Duration::from_secs_f64(seconds);
    }
    let at = at.key("shutdown_grace_seconds");
    let _ = report.error("config.out_of_range", &at, format!("{seconds} s is not between 0 and 3600 s"));
    Duration::from_secs_f64(DEFAULT)
}
