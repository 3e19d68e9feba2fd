//! `/team/permissions_list`, `/team/permissions_update`, `/team/permissions_bulk_update`: what a team's members may do with
//! its keys.

use axum::Json;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use toolgate_store::{Change, Direction, MAX_PAGE_SIZE, PageOf, Team, TeamChanges, TeamFilter, TeamOrder};

use super::{One, managed, sees, with_members};
use crate::admin::body::{FieldError, JsonBody, QueryOf};
use crate::admin::{AdminError, Allowed};

/// LiteLLM's `KeyManagementRoutes`: all that members may be let do.
const ALL: [&str; 14] = [
    "/key/generate",
    "/key/update",
    "/key/bulk_update",
    "/key/delete",
    "/key/regenerate",
    "/key/service-account/generate",
    "/key/{key_id}/regenerate",
    "/key/{key_id}/reset_spend",
    "/key/block",
    "/key/unblock",
    "/key/info",
    "/key/list",
    "/key/health",
    "/key/access_group_assignment",
];

/// What members may do in a team that says nothing.
const USUAL: [&str; 2] = ["/key/info", "/key/health"];

fn check(permissions: &[String], field: &str) -> Result<(), FieldError> {
    match permissions.iter().find(|permission| !ALL.contains(&permission.as_str())) {
        Some(other) => {
            let why = format!("`{other}` is no permission of team members; there are {}", ALL.join(", "));
            Err(FieldError::wrong(field, why))
        }
        None => Ok(()),
    }
}

/// `GET /team/permissions_list?team_id=`
pub async fn list(allowed: Allowed, QueryOf(query): QueryOf<One>) -> Result<Json<Value>, AdminError> {
    let team = allowed.store.team(&query.team_id).await?.filter(|team| sees(&allowed, team));
    let Some(team) = team else {
        return Err(AdminError::NotFound(format!("Team not found for team_id={}", query.team_id)));
    };
    let has = match &team.team_member_permissions[..] {
        [] => json!(USUAL),
        own => json!(own),
    };
    Ok(Json(json!({
        "team_id": team.team_id, "team_member_permissions": has, "all_available_permissions": ALL,
    })))
}

/// The body of `/team/permissions_update`.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "TeamPermissions")]
pub struct Wanted {
    team_id: String,
    team_member_permissions: Vec<String>,
}

/// `POST /team/permissions_update`: by whoever manages the team, who may do all this themselves.
pub async fn update(allowed: Allowed, JsonBody(body): JsonBody<Wanted>) -> Result<Json<Value>, AdminError> {
    let (team, _) = managed(&allowed, &body.team_id).await?;
    check(&body.team_member_permissions, "team_member_permissions")?;
    let team = set(&allowed, &team, body.team_member_permissions).await?;
    with_members(&allowed, &team).await.map(Json)
}

async fn set(allowed: &Allowed, team: &Team, permissions: Vec<String>) -> Result<Team, AdminError> {
    let changes = TeamChanges { team_member_permissions: Change::Set(permissions), ..TeamChanges::default() };
    Ok(allowed.store.update_team(&allowed.actor, &team.team_id, changes).await?)
}

/// The body of `/team/permissions_bulk_update`.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "TeamsPermissions")]
pub struct Added {
    /// What is added to each team's.
    permissions: Vec<String>,
    #[serde(default)]
    team_ids: Option<Vec<String>>,
    #[serde(default)]
    apply_to_all_teams: bool,
}

/// `POST /team/permissions_bulk_update`: adds permissions to those of many teams.
pub async fn add(allowed: Allowed, JsonBody(body): JsonBody<Added>) -> Result<Json<Value>, AdminError> {
    check(&body.permissions, "permissions")?;
    let asked = body.team_ids.unwrap_or_default();
    if asked.is_empty() != body.apply_to_all_teams {
        let why = "give either `team_ids`, with at least one, or `apply_to_all_teams`: true";
        return Err(FieldError::wrong("team_ids", why).into());
    }
    let teams = if asked.is_empty() {
        all_teams(&allowed).await?
    } else {
        let mut teams = Vec::with_capacity(asked.len());
        for team_id in &asked {
            teams.push(managed(&allowed, team_id).await?.0);
        }
        teams
    };
    let mut updated = 0;
    for team in teams {
        let mut permissions = team.team_member_permissions.clone();
        permissions.extend(body.permissions.iter().filter(|new| !team.team_member_permissions.contains(new)).cloned());
        if permissions != team.team_member_permissions {
            set(&allowed, &team, permissions).await?;
            updated += 1;
        }
    }
    Ok(Json(json!({
        "message": format!("Updated {updated} teams"), "teams_updated": updated, "permissions_appended": body.permissions,
    })))
}

async fn all_teams(allowed: &Allowed) -> Result<Vec<Team>, AdminError> {
    let (filter, order) = (TeamFilter::default(), (TeamOrder::CreatedAt, Direction::Ascending));
    let mut page = allowed.store.teams(&filter, order, PageOf::new(1, MAX_PAGE_SIZE)).await?;
    let mut teams = std::mem::take(&mut page.items);
    for number in 2..=u32::try_from(page.pages()).unwrap_or(u32::MAX) {
        teams.extend(allowed.store.teams(&filter, order, PageOf::new(number, MAX_PAGE_SIZE)).await?.items);
    }
    Ok(teams)
}
