//! A server of the configuration as it is told.

use serde_json::{Value, json};
use url::Url;

use crate::config::settings::{HttpKind, ServerSettings, Transport, UpstreamAuth};
use crate::stored::view::{Sees, without_secrets};

/// A server with LiteLLM's fields.
pub(super) fn row(server: &ServerSettings, sees: Sees) -> Value {
    let admins = |value: Value| if sees >= Sees::Everything { value } else { Value::Null };
    let admins_list = |list: &[String]| if sees >= Sees::Everything { json!(list) } else { json!([]) };
    let (transport, url, spec_path, command) = match &server.transport {
        Transport::Http { url, kind: HttpKind::Sse } => ("sse", Some(url), None, None),
        Transport::Http { url, kind: HttpKind::Detect | HttpKind::Streamable } => ("http", Some(url), None, None),
        Transport::Stdio(stdio) => ("stdio", None, None, Some(&stdio.command)),
        Transport::OpenApi { spec, base_url, .. } => ("http", base_url.as_ref(), Some(spec), None),
    };
    let mut info = match sees {
        Sees::ToChange | Sees::Everything => server.mcp_info.clone(),
        Sees::Presence => {
            let told = ["server_name", "description", "logo_url"];
            told.iter().filter_map(|key| Some(((*key).to_owned(), server.mcp_info.get(*key)?.clone()))).collect()
        }
    };
    info.entry("server_name").or_insert_with(|| json!(server.name));
    let extra_headers: Vec<String> = server.extra_headers.iter().map(ToString::to_string).collect();
    let mut row = json!({
        "server_id": server.id.as_str(),
        "is_config": true,
        "server_name": server.name,
        "alias": server.alias,
        "description": server.description,
        "url": admins(url.map_or(json!(""), |url| json!(without_secrets(url)))),
        "spec_path": admins(spec_path.and_then(|spec| Url::parse(spec).ok()).map(|url| without_secrets(&url)).into()),
        "transport": transport,
        "auth_type": server.auth.auth_type(),
        "credentials": null,
        "instructions": server.instructions,
        "created_at": null,
        "created_by": null,
        "updated_at": null,
        "updated_by": null,
        "teams": [],
        "mcp_access_groups": admins_list(&server.access_groups),
        "allowed_tools": admins_list(server.tools.allowed.as_deref().unwrap_or_default()),
        "extra_headers": admins_list(&extra_headers),
        "mcp_info": info,
        "static_headers": null,
        "env_vars": null,
        "status": null,
        "last_health_check": null,
        "health_check_error": null,
        "command": admins(json!(command.map_or("", String::as_str))),
        "args": [],
        "env": {},
        "allow_all_keys": server.allow_all_keys,
        "available_on_public_internet": server.available_on_public_internet,
        "is_byok": server.own.credential,
        "timeout": server.timeout.map(|timeout| timeout.as_secs_f64()),
        "max_concurrent_requests": server.max_concurrent_requests,
        "approval_status": "active",
    });
    for (name, value) in UNUSED {
        row[*name] = value();
    }
    if matches!(server.auth, UpstreamAuth::ClientCredentials(_)) {
        row["oauth2_flow"] = json!("client_credentials");
    }
    row
}

/// LiteLLM's fields that say nothing of a server in this gateway's configuration, with LiteLLM's values for that.
const UNUSED: &[(&str, fn() -> Value)] = &[
    ("tool_name_to_display_name", || Value::Null),
    ("tool_name_to_description", || Value::Null),
    ("pinned_tools", || Value::Null),
    ("issuer", || Value::Null),
    ("authorization_url", || Value::Null),
    ("token_url", || Value::Null),
    ("registration_url", || Value::Null),
    ("oauth2_flow", || Value::Null),
    ("token_exchange_endpoint", || Value::Null),
    ("audience", || Value::Null),
    ("subject_token_type", || Value::Null),
    ("token_exchange_profile", || Value::Null),
    ("delegate_auth_to_upstream", || json!(false)),
    ("oauth_passthrough", || json!(false)),
    ("dcr_bridge", || Value::Null),
    ("per_server_oauth_discovery", || json!(false)),
    ("byok_description", || json!([])),
    ("byok_api_key_help_url", || Value::Null),
    ("has_user_credential", || Value::Null),
    ("connected_app_reachable", || Value::Null),
    ("source_url", || Value::Null),
    ("rpm", || Value::Null),
    ("submitted_by", || Value::Null),
    ("submitted_at", || Value::Null),
    ("reviewed_at", || Value::Null),
    ("review_notes", || Value::Null),
];
