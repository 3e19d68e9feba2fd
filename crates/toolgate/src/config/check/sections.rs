//! What can be said about keys without knowing their meaning: repeated ones, unknown sections, keys whose part is not
//! active yet, variables that are not set, and what only LiteLLM's Python can do.

use std::collections::HashMap;

use super::super::file::litellm::RedisSection;
use super::super::file::{File, GeneralSection, LitellmSection, OTHER_SECTIONS, ServerEntry};
use super::super::keys::Keys;
use super::super::report::{At, Report};
use super::super::suggest::nearest;
use super::super::tree::{Node, Value};

/// Checks everything that hangs on keys alone.
pub(super) fn check(root: &At<'_>, report: &mut Report) {
    repeated_keys(root, false, report);
    unknown_sections(root, report);
    python_only(root, report);
    not_enforced(&root.key("general_settings"), report);
    let general = Keys::of::<GeneralSection>();
    let litellm = Keys::of::<LitellmSection>();
    let server = Keys::of::<ServerEntry>();
    let router = Keys::of::<RedisSection>();
    for (section, keys) in
        [("general_settings", &general), ("litellm_settings", &litellm), ("router_settings", &router)]
    {
        not_active_yet(&root.key(section), keys, report);
        unset_variables(&root.key(section), keys, report);
    }
    let servers = root.key("mcp_servers");
    for entry in servers.node.map(super::names::entries).unwrap_or_default().into_values() {
        let at = servers.entry(entry);
        if let Some(Node { value: Value::Unset(variable), .. }) = at.node {
            report_unset(&at, variable, true, report);
        }
        unset_variables(&at, &server, report);
    }
}

/// PyYAML lets the last one win without a word, which hides a whole server when two have the same name.
fn repeated_keys(at: &At<'_>, foreign: bool, report: &mut Report) {
    let Some(node) = at.node else { return };
    let mut seen = HashMap::new();
    for entry in node.entries() {
        let first = *seen.entry(entry.key.as_str()).or_insert(entry);
        if !std::ptr::eq(first, entry) {
            let place = at.key(&entry.key).with_span(entry.key_span);
            let message = format!("the key is written twice, first on line {}", first.key_span.line);
            if foreign {
                report.warning("config.duplicate_key", &place, message).help("the last one counts; remove the other");
            } else {
                report.error("config.duplicate_key", &place, message).help("remove or rename one of the two");
            }
        }
        let foreign = foreign || (at.path.is_empty() && OTHER_SECTIONS.contains(&entry.key.as_str()));
        repeated_keys(&at.entry(entry), foreign, report);
    }
    if let Value::List(items) = &node.value {
        (0..items.len()).for_each(|index| repeated_keys(&at.index(index), foreign, report));
    }
}

fn unknown_sections(root: &At<'_>, report: &mut Report) {
    let known = Keys::of::<File>();
    for entry in root.node.into_iter().flat_map(Node::entries) {
        let key = entry.key.as_str();
        if known.is_active(key).is_some() || OTHER_SECTIONS.contains(&key) {
            continue;
        }
        let at = root.key_itself(key);
        if key == "include" {
            report
                .warning("config.not_active_yet", &at, "other files are not included yet")
                .help("copy their `mcp_servers` into this file");
            continue;
        }
        let finding = report.warning("config.unknown_key", &at, "unknown section; it has no effect");
        if key == "mcpServers" {
            finding.help("this is another program's format; the section is called `mcp_servers` here");
        } else if let Some(near) = nearest(key, known.names().chain(OTHER_SECTIONS.iter().copied())) {
            finding.help(format!("did you mean `{near}`?"));
        }
    }
}

/// Settings by which LiteLLM keeps callers out and that have no counterpart here: whoever relies on one must hear of it.
const NOT_ENFORCED: [(&str, &str); 4] = [
    ("allowed_ips", "let only those addresses reach the gateway, with a firewall or proxy"),
    ("allowed_routes", "give keys `allowed_routes` of their own"),
    ("admin_only_routes", "management routes are for admins in any case"),
    ("user_header_mappings", "name the customer's header in `user_header_name`"),
];

fn not_enforced(general: &At<'_>, report: &mut Report) {
    for (key, help) in NOT_ENFORCED {
        if general.key(key).is_set() {
            let at = general.key_itself(key);
            report
                .warning("config.not_enforced", &at, "LiteLLM limits callers by this; it has no effect here")
                .help(help);
        }
    }
}

/// Notes each key of the mapping that has a value and is not acted on.
pub(super) fn not_active_yet(at: &At<'_>, keys: &Keys, report: &mut Report) {
    for entry in at.node.into_iter().flat_map(Node::entries) {
        let inactive = keys.is_active(&entry.key) == Some(false);
        if !inactive || entry.node.is_null() || keys.is_default(&entry.key, &entry.node.to_json()) {
            continue;
        }
        let _ = report.note("config.not_active_yet", &at.key_itself(&entry.key), "read, but not active yet");
    }
}

fn unset_variables(at: &At<'_>, keys: &Keys, report: &mut Report) {
    for entry in at.node.into_iter().flat_map(Node::entries) {
        if let Some(active) = keys.is_active(&entry.key) {
            unset_under(&at.entry(entry), active, report);
        }
    }
}

fn unset_under(at: &At<'_>, active: bool, report: &mut Report) {
    let Some(node) = at.node else { return };
    match &node.value {
        Value::Unset(variable) => report_unset(at, variable, active, report),
        Value::List(items) => (0..items.len()).for_each(|index| unset_under(&at.index(index), active, report)),
        Value::Map(entries) => entries.iter().for_each(|entry| unset_under(&at.entry(entry), active, report)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {}
    }
}

fn report_unset(at: &At<'_>, variable: &str, active: bool, report: &mut Report) {
    let message = format!("the environment variable `{variable}` is not set");
    let help = if at.path == "general_settings.master_key" {
        format!("set {variable}, or remove the line to have a key made and kept at first start")
    } else {
        format!("set {variable} before starting, or under `environment_variables`")
    };
    if active {
        report.error("config.variable_not_set", at, message).help(help);
    } else {
        report.warning("config.variable_not_set", at, message).help(help);
    }
}

/// What LiteLLM does by calling Python code that the user wrote.
fn python_only(root: &At<'_>, report: &mut Report) {
    local_tools(&root.key("mcp_tools"), report);
    let litellm = root.key("litellm_settings");
    for key in ["callbacks", "success_callback", "failure_callback"] {
        custom_callbacks(&litellm.key(key), report);
    }
    let general = root.key("general_settings");
    for key in ["custom_auth", "custom_sso", "custom_ui_sso_sign_in_handler", "custom_key_generate"] {
        let at = general.key(key);
        if at.is_set() {
            report
                .warning("config.python_only", &at, "names Python code, which this gateway cannot run")
                .help("give callers keys of the gateway instead");
        }
    }
}

fn local_tools(at: &At<'_>, report: &mut Report) {
    let Some(Node { value: Value::List(items), .. }) = at.node else { return };
    for (index, item) in items.iter().enumerate() {
        let at = at.index(index);
        let name = item.get("name").and_then(|entry| entry.node.text()).unwrap_or("?");
        let handler = at.key("handler");
        let place = if handler.is_set() { &handler } else { &at };
        report
            .warning("config.python_only", place, format!("the tool `{name}` is Python code, which this gateway cannot run"))
            .help("serve it from an MCP server (for example with FastMCP) and add that to `mcp_servers` with transport stdio");
    }
}

/// A callback with a dot in its name is an object in the user's own Python module; others are LiteLLM's integrations.
fn custom_callbacks(at: &At<'_>, report: &mut Report) {
    let names = match at.node.map(|node| &node.value) {
        Some(Value::List(items)) => (0..items.len()).map(|index| at.index(index)).collect(),
        Some(Value::Text(_)) => vec![at.clone()],
        _ => Vec::new(),
    };
    for at in names {
        let Some(name) = at.node.and_then(Node::text).filter(|name| name.contains('.')) else { continue };
        report
            .warning("config.python_only", &at, format!("`{name}` is Python code, which this gateway cannot run"))
            .help("for logs and metrics use the gateway's JSON logs, /metrics and OpenTelemetry");
    }
}
