//! What users keep at the gateway for servers: credentials of their own, and values for a server's `env_vars`.
//!
//! A caller comes to their own alone, whatever role they have; admins see who keeps something, never what. A server that
//! the caller does not reach answers like one that is not there. OAuth tokens of users, which LiteLLM keeps in the same
//! place (`oauth-user-credential`), come with the OAuth flows and are not there yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::Path;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use toolgate_store::{Secret, UserCredential, UserEnvVars};

use super::body::{FieldError, JsonBody};
use super::error::Detail;
use super::{AdminError, Allowed};
use crate::catalog::Scope;
use crate::config::settings::ServerSettings;
use crate::identity::vaults::{is_oauth, owner};
use crate::stored::view::MASK;

/// The longest value, in bytes: a longer one is sent to no server.
const MAX_VALUE: usize = 4096;

type Answered = Result<Json<Value>, AdminError>;

/// The body of a credential.
#[derive(Deserialize, JsonSchema)]
pub struct CredentialBody {
    credential: String,
    #[serde(default = "yes")]
    save: bool,
}

fn yes() -> bool {
    true
}

/// `POST /v1/mcp/server/{server_id}/user-credential`
///
/// # Errors
/// [`AdminError`].
pub async fn keep_credential(
    allowed: Allowed,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<CredentialBody>,
) -> Answered {
    let (user_id, server) = (user(&allowed)?, reached(&allowed, &id)?);
    if !server.own.credential {
        let text = "This MCP server does not support BYOK credentials";
        return Err(AdminError::Detail(Detail::Invalid, text.to_owned()));
    }
    let server_id = server.id.as_str();
    if !body.save {
        return Ok(Json(json!({ "server_id": server_id, "has_credential": false })));
    }
    check_value("credential", &body.credential)?;
    if is_oauth(&body.credential) {
        return Err(FieldError::wrong("credential", "send the key or token itself, not a JSON object around it").into());
    }
    let row = UserCredential {
        user_id: user_id.to_owned(),
        server_id: server_id.to_owned(),
        credential: Some(Secret::new(body.credential)),
        ..UserCredential::default()
    };
    allowed.store.put_user_credential(&allowed.actor, row).await?;
    allowed.gateway.identity.vault_changed(user_id).await;
    Ok(Json(json!({ "server_id": server_id, "has_credential": true })))
}

/// `DELETE /v1/mcp/server/{server_id}/user-credential`
///
/// # Errors
/// [`AdminError`].
pub async fn drop_credential(allowed: Allowed, Path(id): Path<String>) -> Answered {
    let user_id = user(&allowed)?;
    // What one keeps can be taken back also when the server is not reached any more.
    let server = reached(&allowed, &id).ok();
    let server_id = server.as_ref().map_or(id.as_str(), |server| server.id.as_str());
    allowed.store.delete_user_credential(&allowed.actor, user_id, server_id).await?;
    allowed.gateway.identity.vault_changed(user_id).await;
    Ok(Json(json!({ "server_id": server_id, "has_credential": false })))
}

/// `GET /v1/mcp/user-credentials`: for which servers the caller keeps one.
///
/// # Errors
/// [`AdminError`].
pub async fn credentials(allowed: Allowed) -> Answered {
    let rows = allowed.store.user_credentials(user(&allowed)?).await?;
    let servers = &allowed.snapshot.settings.servers;
    let one = |row: &UserCredential| {
        // Of a server that the caller does not reach any more, only its id is told, which they know.
        let server = servers.iter().find(|server| server.id.as_str() == row.server_id);
        let server = server.filter(|server| allowed.caller.grant.server(&server.id).is_some());
        json!({
            "server_id": row.server_id,
            "server_name": server.map(|server| &server.name),
            "alias": server.and_then(|server| server.alias.as_ref()),
            "credential_type": kind(row),
            "has_credential": true,
            "expires_at": null,
            "connected_at": row.updated_at,
        })
    };
    Ok(Json(rows.iter().map(one).collect()))
}

/// `GET /v1/mcp/server/{server_id}/user-credentials`: who keeps one for it.
///
/// # Errors
/// [`AdminError`].
pub async fn credentials_for(allowed: Allowed, Path(id): Path<String>) -> Answered {
    let rows = allowed.store.user_credentials_for(&id).await?;
    let one = |row: &UserCredential| {
        json!({
            "user_id": row.user_id,
            "server_id": row.server_id,
            "credential_type": kind(row),
            "has_credential": true,
            "connected_at": row.updated_at,
        })
    };
    Ok(Json(rows.iter().map(one).collect()))
}

fn kind(row: &UserCredential) -> &'static str {
    let is_oauth = row.credential.as_ref().and_then(Secret::expose).is_some_and(is_oauth);
    if is_oauth { "oauth2" } else { "byok" }
}

/// The body of values. One that is covered stays as it is; an empty one is forgotten.
#[derive(Deserialize, JsonSchema)]
pub struct ValuesBody {
    values: BTreeMap<String, String>,
}

/// `GET /v1/mcp/server/{server_id}/user-env-vars`
///
/// # Errors
/// [`AdminError`].
pub async fn values(allowed: Allowed, Path(id): Path<String>) -> Answered {
    let (user_id, server) = (user(&allowed)?, reached(&allowed, &id)?);
    let kept = kept_values(&allowed, user_id, &server).await?;
    Ok(Json(told_values(&server, &kept)))
}

/// `POST /v1/mcp/server/{server_id}/user-env-vars`
///
/// # Errors
/// [`AdminError`].
pub async fn keep_values(allowed: Allowed, Path(id): Path<String>, JsonBody(body): JsonBody<ValuesBody>) -> Answered {
    let (user_id, server) = (user(&allowed)?, reached(&allowed, &id)?);
    let mut kept = kept_values(&allowed, user_id, &server).await?;
    for (name, value) in body.values {
        if server.own.variables.iter().all(|variable| variable.name != name) {
            let names: Vec<_> = server.own.variables.iter().map(|variable| variable.name.as_str()).collect();
            let why = format!("the server has no such variable of users' own; it has: {}", names.join(", "));
            return Err(FieldError::wrong("values", why).into());
        }
        if value == MASK {
            continue;
        }
        if value.is_empty() {
            kept.remove(&name);
            continue;
        }
        check_value(&format!("values.{name}"), &value)?;
        kept.insert(name, value);
    }
    let row = UserEnvVars {
        user_id: user_id.to_owned(),
        server_id: server.id.as_str().to_owned(),
        env_values: Some(Secret::new(json!(kept).to_string())),
        ..UserEnvVars::default()
    };
    allowed.store.put_user_env_vars(&allowed.actor, row).await?;
    allowed.gateway.identity.vault_changed(user_id).await;
    Ok(Json(told_values(&server, &kept)))
}

/// `DELETE /v1/mcp/server/{server_id}/user-env-vars`
///
/// # Errors
/// [`AdminError`].
pub async fn drop_values(allowed: Allowed, Path(id): Path<String>) -> Answered {
    let user_id = user(&allowed)?;
    let server = reached(&allowed, &id).ok();
    let server_id = server.as_ref().map_or(id.as_str(), |server| server.id.as_str());
    allowed.store.delete_user_env_vars(&allowed.actor, user_id, server_id).await?;
    allowed.gateway.identity.vault_changed(user_id).await;
    Ok(Json(match &server {
        Some(server) => told_values(server, &BTreeMap::new()),
        None => json!({ "server_id": server_id, "values": {}, "missing": [] }),
    }))
}

/// `GET /v1/mcp/user-env-vars/status`: what the caller has still to fill in, over all servers that they reach.
///
/// # Errors
/// [`AdminError`].
pub async fn values_status(allowed: Allowed) -> Answered {
    let scope = Scope::all(&allowed.snapshot.upstreams, &allowed.caller.grant);
    let mut servers = Vec::new();
    if let Some(user_id) = owner(&allowed.caller.principal) {
        for server in scope.servers().iter().map(|upstream| &upstream.settings) {
            if !server.own.variables.is_empty() {
                let kept = kept_values(&allowed, user_id, server).await?;
                servers.push(told_values(server, &kept));
            }
        }
    }
    Ok(Json(json!({ "servers": servers })))
}

async fn kept_values(
    allowed: &Allowed,
    user_id: &str,
    server: &ServerSettings,
) -> Result<BTreeMap<String, String>, AdminError> {
    let row = allowed.store.user_env_vars(user_id, server.id.as_str()).await?;
    let text = row.as_ref().and_then(|row| row.env_values.as_ref()).and_then(Secret::expose);
    // What cannot be read is to be sent again.
    Ok(text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default())
}

/// The variables, with whether there is a value, and never the value.
fn told_values(server: &ServerSettings, kept: &BTreeMap<String, String>) -> Value {
    let is_set = |name: &str| kept.get(name).is_some_and(|value| !value.is_empty());
    let variables = &server.own.variables;
    let told = |name: &String| (name.clone(), json!(if is_set(name) { MASK } else { "" }));
    json!({
        "server_id": server.id.as_str(),
        "server_name": server.name,
        "env_vars": variables.iter().map(|variable| json!({
            "name": variable.name,
            "description": variable.description,
            "is_set": is_set(&variable.name),
        })).collect::<Vec<_>>(),
        "values": variables.iter().map(|variable| told(&variable.name)).collect::<Map<_, _>>(),
        "missing": variables.iter().map(|variable| &variable.name).filter(|name| !is_set(name)).collect::<Vec<_>>(),
    })
}

/// Whose it is.
fn user(allowed: &Allowed) -> Result<&str, AdminError> {
    let text = "User ID not found in token: use a key that belongs to a user";
    owner(&allowed.caller.principal).ok_or_else(|| AdminError::Detail(Detail::Invalid, text.to_owned()))
}

/// The server with this id, name or alias, if the caller reaches it.
fn reached(allowed: &Allowed, id: &str) -> Result<Arc<ServerSettings>, AdminError> {
    let scope = Scope::all(&allowed.snapshot.upstreams, &allowed.caller.grant);
    let servers = || scope.servers().iter().map(|upstream| &upstream.settings);
    let found = servers().find(|server| server.id.as_str() == id);
    let found = found.or_else(|| servers().find(|server| server.names().any(|name| name == id)));
    found.cloned().ok_or_else(|| AdminError::Detail(Detail::NotFound, format!("MCP Server {id} not found")))
}

/// Refuses what could not be sent.
fn check_value(field: &str, value: &str) -> Result<(), FieldError> {
    let is_clean = value.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if value.trim().is_empty() || value.len() > MAX_VALUE || !is_clean || value == MASK {
        let why = format!("a value has 1 to {MAX_VALUE} characters of printable ASCII, and is not the covered one");
        return Err(FieldError::wrong(field, why));
    }
    Ok(())
}
