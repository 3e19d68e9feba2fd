//! `/v1/access_group`: unified access groups, which teams and keys have by their id. LiteLLM:
//! `access_group_endpoints.py`.

use axum::Json;
use axum::extract::Path;
use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use toolgate_access::key::KeyHash;
use toolgate_access::permission::ToolPermissions;
use toolgate_store::{
    AccessGroup, AccessGroupChanges, Change, Direction, KeyFilter, KeyOrder, MAX_PAGE_SIZE, PageOf, StoreError,
    TeamFilter, TeamOrder,
};

use super::body::{FieldError, JsonBody};
use super::terms::{self, Sent, or_empty, shown, value};
use super::{AdminError, Allowed};

/// The fields of an access group, as they are sent to make or change one.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GroupBody {
    access_group_name: Sent<String>,
    description: Sent<String>,
    access_model_names: Sent<Vec<String>>,
    access_mcp_server_ids: Sent<Vec<String>>,
    mcp_tool_permissions: Sent<ToolPermissions>,
    access_agent_ids: Sent<Vec<String>>,
    access_skill_names: Sent<Vec<String>>,
    assigned_team_ids: Sent<Vec<String>>,
    assigned_key_ids: Sent<Vec<String>>,
}

impl GroupBody {
    /// The owners that are named are there, or it is refused before anything is written.
    async fn check(&self, allowed: &Allowed) -> Result<(), AdminError> {
        if matches!(self.access_group_name, Change::Set(None))
            || value(&self.access_group_name).is_some_and(|name| name.is_empty())
        {
            return Err(FieldError::wrong("access_group_name", "it is needed, and not empty").into());
        }
        let teams = value(&self.assigned_team_ids).unwrap_or_default();
        let mut missing = Vec::new();
        for team in &teams {
            if allowed.store.team(team).await?.is_none() {
                missing.push(team.as_str());
            }
        }
        if !missing.is_empty() {
            return Err(AdminError::NotFound(format!("Teams not found: {}", missing.join(", "))));
        }
        for key in value(&self.assigned_key_ids).unwrap_or_default() {
            hash(&key)?;
        }
        Ok(())
    }
}

/// Keys are named by their hash in hex.
fn hash(key: &str) -> Result<KeyHash, AdminError> {
    key.parse().map_err(|_| FieldError::wrong("assigned_key_ids", "a key is named by its hash in hex").into())
}

fn name_taken(name: &str) -> AdminError {
    AdminError::Conflict(format!("Access group '{name}' already exists"))
}

fn absent(id: &str) -> AdminError {
    AdminError::NotFound(format!("Access group '{id}' not found"))
}

/// `POST /v1/access_group`
pub async fn new(
    allowed: Allowed,
    JsonBody(body): JsonBody<GroupBody>,
) -> Result<(StatusCode, Json<Value>), AdminError> {
    let name = value(&body.access_group_name)
        .ok_or_else(|| FieldError::wrong("access_group_name", "it is needed, and not empty"))?;
    body.check(&allowed).await?;
    let group = AccessGroup {
        access_group_id: terms::new_id(),
        access_group_name: name.clone(),
        description: value(&body.description),
        access_model_names: value(&body.access_model_names).unwrap_or_default(),
        access_mcp_server_ids: value(&body.access_mcp_server_ids).unwrap_or_default(),
        mcp_tool_permissions: value(&body.mcp_tool_permissions),
        access_agent_ids: value(&body.access_agent_ids).unwrap_or_default(),
        access_skill_names: value(&body.access_skill_names).unwrap_or_default(),
        assigned_team_ids: value(&body.assigned_team_ids).unwrap_or_default(),
        assigned_key_ids: value(&body.assigned_key_ids).unwrap_or_default(),
        ..AccessGroup::default()
    };
    let group = match allowed.store.create_access_group(&allowed.actor, group).await {
        Err(StoreError::Conflict { .. }) => return Err(name_taken(&name)),
        made => made?,
    };
    Ok((StatusCode::CREATED, Json(of(&allowed, &group).await?)))
}

/// `GET /v1/access_group`: all, the latest first.
pub async fn list(allowed: Allowed) -> Result<Json<Vec<Value>>, AdminError> {
    let mut groups = allowed.store.access_groups().await?;
    groups.sort_by_key(|group| std::cmp::Reverse(group.created_at));
    let mut shown = Vec::with_capacity(groups.len());
    for group in &groups {
        shown.push(of(&allowed, group).await?);
    }
    Ok(Json(shown))
}

/// `GET /v1/access_group/{access_group_id}`
pub async fn info(allowed: Allowed, Path(id): Path<String>) -> Result<Json<Value>, AdminError> {
    let group = allowed.store.access_group(&id).await?.ok_or_else(|| absent(&id))?;
    Ok(Json(of(&allowed, &group).await?))
}

/// `PUT /v1/access_group/{access_group_id}`: what is not sent stays.
pub async fn update(
    allowed: Allowed,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<GroupBody>,
) -> Result<Json<Value>, AdminError> {
    body.check(&allowed).await?;
    let name = value(&body.access_group_name);
    let changes = AccessGroupChanges {
        access_group_name: name.clone().into(),
        description: body.description,
        access_model_names: or_empty(body.access_model_names),
        access_mcp_server_ids: or_empty(body.access_mcp_server_ids),
        mcp_tool_permissions: body.mcp_tool_permissions,
        access_agent_ids: or_empty(body.access_agent_ids),
        access_skill_names: or_empty(body.access_skill_names),
        assigned_team_ids: or_empty(body.assigned_team_ids),
        assigned_key_ids: or_empty(body.assigned_key_ids),
    };
    let after = match allowed.store.update_access_group(&allowed.actor, &id, changes).await {
        Err(StoreError::Conflict { .. }) => return Err(name_taken(&name.unwrap_or_default())),
        Err(StoreError::NotFound { .. }) => return Err(absent(&id)),
        changed => changed?,
    };
    Ok(Json(of(&allowed, &after).await?))
}

/// `DELETE /v1/access_group/{access_group_id}`: teams and keys no longer have it.
pub async fn delete(allowed: Allowed, Path(id): Path<String>) -> Result<StatusCode, AdminError> {
    allowed.store.delete_access_group(&allowed.actor, &id).await?.ok_or_else(|| absent(&id))?;
    Ok(StatusCode::NO_CONTENT)
}

/// The group with names beside its ids, where they lead to something.
async fn of(allowed: &Allowed, group: &AccessGroup) -> Result<Value, AdminError> {
    let filter = TeamFilter { team_ids: Some(group.assigned_team_ids.clone()), ..TeamFilter::default() };
    let order = (TeamOrder::default(), Direction::Ascending);
    let teams = allowed.store.teams(&filter, order, PageOf::new(1, MAX_PAGE_SIZE)).await?.items;
    let filter = KeyFilter { tokens: Some(group.assigned_key_ids.clone()), ..KeyFilter::default() };
    let order = (KeyOrder::default(), Direction::Ascending);
    let keys = allowed.store.keys(&filter, order, PageOf::new(1, MAX_PAGE_SIZE)).await?.items;
    let servers = &allowed.snapshot.settings.servers;
    let server =
        |id: &String| servers.iter().find(|server| server.id.as_str() == id).map(|server| server.name.to_string());
    let team = |id: &String| teams.iter().find(|team| &team.team_id == id).and_then(|team| team.team_alias.clone());
    let key = |id: &String| keys.iter().find(|key| &key.token == id).and_then(|key| key.key_alias.clone());
    Ok(shown(
        group,
        json!({
            "access_mcp_servers": named(&group.access_mcp_server_ids, server),
            "access_agents": named(&group.access_agent_ids, |_| None),
            "assigned_teams": named(&group.assigned_team_ids, team),
            "assigned_keys": named(&group.assigned_key_ids, key),
        }),
    ))
}

fn named(ids: &[String], name: impl Fn(&String) -> Option<String>) -> Vec<Value> {
    ids.iter().map(|id| json!({ "id": id, "name": name(id) })).collect()
}
