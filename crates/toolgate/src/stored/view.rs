//! A server of the database as it is told: LiteLLM's fields, secrets covered.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use toolgate_store::Server;
use url::Url;

use super::entry::{self, DETECT};
use crate::auth::Caller;

/// What stands for a secret. Sent back, it leaves the secret as it is.
pub const MASK: &str = "********";

/// How much somebody is told of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sees {
    /// That it is there.
    Presence,
    /// Where it is and how it is configured.
    Everything,
    /// The same, and what is needed to send it back changed: an admin's.
    ToChange,
}

impl Sees {
    /// What `caller` is told.
    #[must_use]
    pub fn of(caller: &Caller) -> Self {
        match caller.principal.role() {
            Some(role) if role.manages_everything() => Self::ToChange,
            Some(role) if role.sees_everything() => Self::Everything,
            _ => Self::Presence,
        }
    }
}

/// The row with LiteLLM's fields.
#[must_use]
pub fn row(row: &Server, sees: Sees) -> Value {
    let admins = |value: Value| if sees >= Sees::Everything { value } else { Value::Null };
    let admins_list = |list: &[String]| if sees >= Sees::Everything { json!(list) } else { json!([]) };
    let mut told = json!({
        "server_id": row.server_id,
        "is_config": false,
        "server_name": row.server_name,
        "alias": row.alias,
        "description": row.description,
        "url": admins(row.url.as_deref().map(|url| shown_url(url, sees)).into()),
        "spec_path": admins(row.spec_path.as_deref().map(|url| shown_url(url, sees)).into()),
        "transport": if row.transport == DETECT { "http" } else { &row.transport },
        "auth_type": row.auth_type,
        "credentials": admins(covered(row.credentials.as_ref().map(|secret| entry::object("credentials", Some(secret))))),
        "instructions": row.instructions,
        "created_at": time(Some(row.created_at)),
        "created_by": admins(json!(row.created_by)),
        "updated_at": time(Some(row.updated_at)),
        "updated_by": admins(json!(row.updated_by)),
        "teams": [],
        "mcp_access_groups": admins_list(&row.mcp_access_groups),
        "allowed_tools": admins_list(&row.allowed_tools),
        "disallowed_tools": admins_list(&row.disallowed_tools),
        "allowed_params": admins(json!(row.allowed_params)),
        "tool_name_to_display_name": admins(json!(row.tool_name_to_display_name)),
        "tool_name_to_description": admins(json!(row.tool_name_to_description)),
        "pinned_tools": admins(json!(row.pinned_tools)),
        "extra_headers": admins_list(&row.extra_headers),
        "mcp_info": info(row, sees),
        "static_headers": admins(covered(row.static_headers.as_ref().map(|s| entry::object("static_headers", Some(s))))),
        "env_vars": admins(variables(row)),
        "status": row.status,
        "last_health_check": time(row.last_health_check),
        "health_check_error": admins(json!(row.health_check_error)),
        "command": admins(json!(row.command)),
        "args": if sees == Sees::ToChange { json!(row.args) } else { json!([]) },
        "env": match row.env.as_ref().filter(|_| sees >= Sees::Everything) {
            Some(env) => covered(Some(entry::object("env", Some(env)))),
            None => json!({}),
        },
    });
    if let (Some(told), Value::Object(rest)) = (told.as_object_mut(), rest(row)) {
        told.extend(rest);
    }
    told
}

/// The fields that are no secret to whoever is told of the server at all.
fn rest(row: &Server) -> Value {
    json!({
        "issuer": row.issuer,
        "authorization_url": row.authorization_url,
        "token_url": row.token_url,
        "registration_url": row.registration_url,
        "oauth2_flow": row.oauth2_flow,
        "token_exchange_endpoint": row.token_exchange_endpoint,
        "audience": row.audience,
        "subject_token_type": row.subject_token_type,
        "token_exchange_profile": row.token_exchange_profile,
        "allow_all_keys": row.allow_all_keys,
        "available_on_public_internet": row.available_on_public_internet,
        "delegate_auth_to_upstream": row.delegate_auth_to_upstream,
        "oauth_passthrough": row.oauth_passthrough,
        "dcr_bridge": row.dcr_bridge,
        "per_server_oauth_discovery": row.per_server_oauth_discovery,
        "is_byok": row.is_byok,
        "byok_description": row.byok_description,
        "byok_api_key_help_url": row.byok_api_key_help_url,
        "has_user_credential": null,
        "connected_app_reachable": null,
        "source_url": row.source_url,
        "timeout": row.timeout,
        "max_concurrent_requests": row.max_concurrent_requests,
        "rpm": row.rpm,
        "approval_status": row.approval_status.as_deref().unwrap_or("active"),
        "submitted_by": row.submitted_by,
        "submitted_at": time(row.submitted_at),
        "reviewed_at": time(row.reviewed_at),
        "review_notes": row.review_notes,
    })
}

/// Who may change the row has to send the URL back; others see it without what people put keys into.
fn shown_url(text: &str, sees: Sees) -> String {
    if sees == Sees::ToChange {
        return text.to_owned();
    }
    Url::parse(text).map_or_else(|_| String::new(), |url| without_secrets(&url))
}

/// Scheme, host, port and path: people put keys into the rest.
#[must_use]
pub fn without_secrets(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

/// An object with its values covered, names shown.
fn covered(object: Option<Result<Map<String, Value>, entry::Unreadable>>) -> Value {
    match object {
        None => Value::Null,
        Some(Ok(map)) => map.into_iter().map(|(name, _)| (name, json!(MASK))).collect::<Map<_, _>>().into(),
        // What it was cannot be told, and sending it back must not write it.
        Some(Err(_)) => Value::Null,
    }
}

fn variables(row: &Server) -> Value {
    let Ok(items) = entry::list("env_vars", row.env_vars.as_ref()) else { return Value::Null };
    let cover = |mut item: Value| {
        if let Some(value) = item.get_mut("value").filter(|value| value.as_str().is_some_and(|text| !text.is_empty())) {
            *value = json!(MASK);
        }
        item
    };
    if row.env_vars.is_none() { Value::Null } else { items.into_iter().map(cover).collect() }
}

/// `mcp_info`; to others than admins what is meant for people.
fn info(row: &Server, sees: Sees) -> Value {
    let all = row.mcp_info.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
    let mut info: Map<String, Value> = match sees {
        Sees::ToChange | Sees::Everything => all,
        Sees::Presence => {
            let told = ["server_name", "description", "logo_url"];
            told.iter().filter_map(|key| Some(((*key).to_owned(), all.get(*key)?.clone()))).collect()
        }
    };
    info.entry("server_name").or_insert_with(|| json!(entry::name(row)));
    Value::Object(info)
}

fn time(at: Option<DateTime<Utc>>) -> Value {
    at.map(|at| at.to_rfc3339_opts(SecondsFormat::Micros, true)).into()
}
