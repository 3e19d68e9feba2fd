//! From what was written to what holds: the tree of the file and the environment become [`Settings`].
//!
//! Every problem is reported, not the first alone. A setting that is wrong is taken as absent so that the rest can be
//! checked too; the settings are given only when there was no error.

mod access;
mod auth;
mod aws;
mod environment;
mod general;
mod headers;
mod ids;
mod jwt;
pub(crate) mod names;
mod oauth;
mod openapi;
mod redis;
mod sections;
mod server;
mod spend;
mod stdio;
pub(crate) mod stored;
mod tls;
mod tools;
mod variables;

pub(crate) use jwt::is_safe as jwt_url_is_safe;

use std::sync::Arc;

use super::environment::Environment;
use super::file::general::CompatMetrics;
use super::file::litellm::RedisSection;
use super::file::{LitellmSection, ServerEntry};
use super::keys::Keys;
use super::read::{UnknownKeys, read};
use super::report::{At, Report};
use super::settings::{General, Settings, TlsSettings};
use super::tree::{Node, Value};

/// What the checks of a server need to know besides its entry.
struct Common<'c> {
    environment: &'c Environment,
    litellm: &'c LitellmSection,
    separator: &'c str,
    tls: &'c TlsSettings,
    master_key: &'c secrecy::SecretString,
    /// Servers may be used with the keys that the gateway itself has at its cloud.
    may_use_own_keys: bool,
}

/// Checks the whole file. `None` when there was an error.
pub(crate) fn check(root: &Node, environment: &Environment, report: &mut Report) -> Option<Settings> {
    let root = At::root(root);
    if !is_mapping(&root, report) {
        return None;
    }
    sections::check(&root, report);

    let litellm_at = root.key("litellm_settings");
    let litellm: LitellmSection = read(&litellm_at, report, UnknownKeys::WarnIfClose);
    let general = general::check(&root.key("general_settings"), environment, report);
    let router: RedisSection = read(&root.key("router_settings"), report, UnknownKeys::WarnIfClose);
    let sections = [(&router, root.key("router_settings")), (&general.redis, root.key("general_settings"))];
    let redis = redis::check((&litellm, &litellm_at), sections, environment, report);
    let tls = tls::general(&litellm, &litellm_at, environment, report);
    let naming = environment::naming(general.prefix, environment, report);
    let common = Common {
        environment,
        litellm: &litellm,
        separator: &naming.separator,
        tls: &tls,
        master_key: &general.settings.master_key,
        may_use_own_keys: true,
    };
    let servers = servers(&root.key("mcp_servers"), &common, report);
    names::check_aliases(&litellm, &litellm_at, &root.key("mcp_servers"), report);
    let timeouts = environment::timeouts(environment, report);
    let limits = environment::limits(environment, report);
    let identity = environment::identity(environment);
    let (clients, access) = (general.clients, access::with_public(general.access, &litellm, &naming));
    let general = General {
        redis,
        metrics_need_key: litellm.require_auth_for_metrics_endpoint.unwrap_or(false),
        litellm_metrics: litellm_metrics(general.compat_metrics, &litellm),
        ..general.settings
    };
    (!report.has_errors()).then_some(Settings {
        general,
        servers,
        access,
        naming,
        timeouts,
        tls,
        limits,
        clients,
        identity,
        hub_is_strict: litellm.public_mcp_hub_strict_whitelist.unwrap_or(true),
        environment: Arc::new(environment.clone()),
    })
}

/// Whoever has LiteLLM's callback has dashboards that read its metrics.
fn litellm_metrics(compat: Option<CompatMetrics>, litellm: &LitellmSection) -> bool {
    let callbacks = [&litellm.callbacks, &litellm.success_callback, &litellm.failure_callback];
    let mut named = callbacks.into_iter().flat_map(|names| general::many(names.as_ref()));
    match compat {
        Some(compat) => compat == CompatMetrics::Litellm,
        None => named.any(|(_, name)| name == "prometheus"),
    }
}

fn is_mapping(root: &At<'_>, report: &mut Report) -> bool {
    let ok = root.node.is_none_or(|node| node.is_null() || matches!(node.value, Value::Map(_)));
    if !ok {
        let _ = report.error("config.wrong_type", root, "the file must be a mapping such as `mcp_servers: ...`");
    }
    ok
}

fn servers(at: &At<'_>, common: &Common<'_>, report: &mut Report) -> Vec<Arc<super::settings::ServerSettings>> {
    let Some(node) = at.node.filter(|node| !node.is_null()) else {
        report.note("config.no_servers", at, "no `mcp_servers`: clients will see no tools").help(
            "add an entry such as `mcp_servers: {demo: {transport: stdio, command: toolgate, args: [demo-server]}}`",
        );
        return Vec::new();
    };
    if !matches!(node.value, Value::Map(_)) {
        report
            .error("config.wrong_type", at, format!("expected a mapping, found {}", node.value.describe()))
            .help("write each server as `name: {url: ...}`");
        return Vec::new();
    }
    let keys = Keys::of::<ServerEntry>();
    let mut checked = Vec::new();
    for (name, entry) in names::entries(node) {
        let at = at.entry(entry);
        sections::not_active_yet(&at, &keys, report);
        let is_entry = at.node.is_none_or(|node| node.is_null() || matches!(node.value, Value::Map(_)));
        let entry: ServerEntry = read(&at, report, UnknownKeys::Warn);
        if is_entry && let Some(server) = server::check(name, &entry, &at, common, report) {
            checked.push(server);
        }
    }
    ids::assign_short_prefixes(&mut checked, &names::Taken::default(), common.environment);
    names::check_collisions(&checked, at, common.separator, report);
    checked.into_iter().map(Arc::new).collect()
}
