//! `/team/member_add`, `/team/member_update`, `/team/member_delete`: by the team's admins, those of its organization and
//! proxy admins.

use axum::Json;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use toolgate_store::{Change, OwnBudget, StoreError, Team, TeamMembership, TeamMembershipChanges};

use super::{managed, of, role, with_members};
use crate::admin::body::{FieldError, JsonBody};
use crate::admin::budgets::Bounds;
use crate::admin::people::{self, Member, Members, user_of};
use crate::admin::terms::{self, Sent, shown, value};
use crate::admin::{AdminError, Allowed};

/// The body of `/team/member_add`.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "TeamMembersAdded")]
pub struct Added {
    team_id: String,
    member: Members,
    #[serde(default)]
    max_budget_in_team: Option<f64>,
    #[serde(default)]
    budget_duration: Option<String>,
}

/// The team, or LiteLLM's error for somebody who does not manage it, or which is not there.
async fn team(allowed: &Allowed, team_id: &str, route: &str) -> Result<Team, AdminError> {
    match managed(allowed, team_id).await {
        Ok((team, _)) => Ok(team),
        Err(AdminError::Forbidden(_)) => Err(AdminError::Forbidden(format!(
            "Call not allowed. User not proxy admin OR team admin. route={route}, team_id={team_id}"
        ))),
        Err(AdminError::NotFound(_)) => Err(AdminError::NotFound(format!("Team not found for team_id={team_id}"))),
        Err(why) => Err(why),
    }
}

/// `POST /team/member_add`: those who are members already stay as they are; it is an error when all are.
pub async fn add(allowed: Allowed, JsonBody(body): JsonBody<Added>) -> Result<Json<Value>, AdminError> {
    let team = team(&allowed, &body.team_id, "/team/member_add").await?;
    added_to(&allowed, &team, body).await.map(Json)
}

async fn added_to(allowed: &Allowed, team: &Team, body: Added) -> Result<Value, AdminError> {
    terms::check_amount("max_budget_in_team", body.max_budget_in_team)?;
    let there = allowed.store.team_members(&team.team_id).await?;
    let (mut users, mut places) = (Vec::new(), Vec::<TeamMembership>::new());
    for member in body.member.into_list()? {
        let role = role(&member.role)?;
        let user = user_of(allowed, &member).await?;
        let is_in = |of: &TeamMembership| of.user_id == user.user_id;
        if there.iter().any(is_in) || places.iter().any(is_in) {
            continue;
        }
        places.push(TeamMembership {
            team_id: team.team_id.clone(),
            user_id: user.user_id.clone(),
            role: role.as_str().to_owned(),
            user_email: user.user_email.clone(),
            ..TeamMembership::default()
        });
        users.push(user);
    }
    if places.is_empty() {
        return Err(already_in(&there));
    }
    let bounds = Bounds {
        max_budget: body.max_budget_in_team.map(Some).into(),
        budget_duration: body.budget_duration.map(Some).into(),
        ..Bounds::default()
    };
    let bounds = if bounds.is_sent() { Some(bounds.changes()?) } else { None };
    let own = || bounds.clone().map(|changes| OwnBudget { new_id: terms::new_id(), changes });
    let places = places.into_iter().map(|place| (place, own())).collect();
    let added = match allowed.store.add_team_members(&allowed.actor, &team.team_id, places).await {
        Err(StoreError::Conflict { .. }) => return Err(already_in(&there)),
        added => added?,
    };
    let team = with_members(allowed, team).await?;
    let users: Vec<_> = users.iter().map(|user| shown(user, json!({ "password": null }))).collect();
    Ok(shown(&team, json!({ "updated_users": users, "updated_team_memberships": added })))
}

/// The body of `/team/bulk_member_add`.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "TeamMembersBulkAdded")]
pub struct BulkAdded {
    team_id: String,
    #[serde(default)]
    members: Option<Vec<Member>>,
    /// Everybody there is, as members without rights over the team. For proxy admins.
    #[serde(default)]
    all_users: bool,
    #[serde(default)]
    max_budget_in_team: Option<f64>,
}

/// `POST /team/bulk_member_add`: one after the other; the answer says of each whether they are in.
pub async fn add_many(allowed: Allowed, JsonBody(body): JsonBody<BulkAdded>) -> Result<Json<Value>, AdminError> {
    let team = team(&allowed, &body.team_id, "/team/bulk_member_add").await?;
    let members = match (body.members.unwrap_or_default(), body.all_users) {
        (members, false) if !members.is_empty() => members,
        (members, true) if members.is_empty() && allowed.is_admin() => everybody(&allowed).await?,
        (members, true) if members.is_empty() => {
            return Err(AdminError::Forbidden("Only proxy admins can add all users to a team".to_owned()));
        }
        _ => return Err(FieldError::wrong("members", "give either `members`, or `all_users`: true").into()),
    };
    people::check(&members)?;
    let (mut results, mut added) = (Vec::new(), 0);
    for member in members {
        let (user_id, user_email) = (member.user_id.clone(), member.user_email.clone());
        let one = Added {
            team_id: team.team_id.clone(),
            member: Members::One(member),
            max_budget_in_team: body.max_budget_in_team,
            budget_duration: None,
        };
        let error = match added_to(&allowed, &team, one).await {
            Ok(_) => None,
            Err(AdminError::Store(why)) => return Err(why.into()),
            Err(why) => Some(why.to_string()),
        };
        added += usize::from(error.is_none());
        let success = error.is_none();
        results.push(json!({ "user_id": user_id, "user_email": user_email, "success": success, "error": error }));
    }
    let requested = results.len();
    let updated = with_members(&allowed, &team).await?;
    Ok(Json(json!({
        "team_id": team.team_id,
        "results": results,
        "total_requested": requested,
        "successful_additions": added,
        "failed_additions": requested - added,
        "updated_team": updated,
    })))
}

async fn everybody(allowed: &Allowed) -> Result<Vec<Member>, AdminError> {
    let member = |id: String| Member { user_id: Some(id), user_email: None, role: "user".to_owned() };
    Ok(people::everybody(allowed, people::MAX_MEMBERS).await?.into_iter().map(member).collect())
}

fn already_in(there: &[TeamMembership]) -> AdminError {
    let ids: Vec<_> = there.iter().map(|of| of.user_id.as_str()).collect();
    AdminError::Taken(format!("All users are already in team. Existing members={}", ids.join(", ")))
}

/// The body of `/team/member_update`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "TeamMemberUpdated")]
pub struct Updated {
    team_id: String,
    user_id: Option<String>,
    user_email: Option<String>,
    role: Option<String>,
    max_budget_in_team: Sent<f64>,
    tpm_limit: Sent<i64>,
    rpm_limit: Sent<i64>,
    budget_duration: Sent<String>,
}

impl Updated {
    /// What changes in the member's budget; `None` when nothing does.
    fn budget(&self) -> Result<Option<OwnBudget>, AdminError> {
        terms::check_amount("max_budget_in_team", value(&self.max_budget_in_team))?;
        let bounds = Bounds {
            max_budget: self.max_budget_in_team,
            tpm_limit: self.tpm_limit,
            rpm_limit: self.rpm_limit,
            budget_duration: self.budget_duration.clone(),
            ..Bounds::default()
        };
        bounds.own()
    }
}

/// `POST /team/member_update`. A member who has no budget of their own gets one when bounds are sent.
pub async fn update(allowed: Allowed, JsonBody(body): JsonBody<Updated>) -> Result<Json<Value>, AdminError> {
    let team = team(&allowed, &body.team_id, "/team/member_update").await?;
    let member = member(&allowed, &team, body.user_id.clone(), body.user_email.as_deref()).await?;
    let mut changes = TeamMembershipChanges::default();
    if let Some(name) = &body.role {
        changes.role = Change::Set(role(name)?.as_str().to_owned());
    }
    let own = body.budget()?;
    if own.is_some() {
        // Nobody raises what they themselves may spend, and nobody's role covers it.
        if !allowed.is_admin() && allowed.user_id() == Some(&member.user_id) {
            let text = "Cannot change your own budget in a team. Ask a proxy admin.";
            return Err(AdminError::Forbidden(text.to_owned()));
        }
        if member.budget_id.as_ref().is_some_and(|id| is_shared(&team, id)) {
            changes.budget_id = Change::Set(None);
        }
    }
    allowed.store.update_team_member(&allowed.actor, &team.team_id, &member.user_id, changes, own).await?;
    Ok(Json(json!({
        "team_id": team.team_id, "user_id": member.user_id, "user_email": member.user_email,
        "max_budget_in_team": value(&body.max_budget_in_team), "tpm_limit": value(&body.tpm_limit),
        "rpm_limit": value(&body.rpm_limit), "budget_duration": value(&body.budget_duration),
    })))
}

/// Whether a budget is what LiteLLM gives all members of a team who have none of their own.
fn is_shared(team: &Team, budget_id: &str) -> bool {
    team.metadata.get("team_member_budget_id").and_then(Value::as_str) == Some(budget_id)
}

/// The body of `/team/member_delete`.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "TeamMemberRemoved")]
pub struct Removed {
    team_id: String,
    #[serde(default)]
    user_id: Option<String>,
    #[serde(default)]
    user_email: Option<String>,
}

/// `POST /team/member_delete`: the member's keys in the team go as well.
pub async fn delete(allowed: Allowed, JsonBody(body): JsonBody<Removed>) -> Result<Json<Value>, AdminError> {
    let team = team(&allowed, &body.team_id, "/team/member_delete").await?;
    let member = member(&allowed, &team, body.user_id, body.user_email.as_deref()).await?;
    allowed.store.remove_team_member(&allowed.actor, &team.team_id, &member.user_id).await?.ok_or_else(not_in)?;
    let rest = allowed.store.team_members(&team.team_id).await?;
    Ok(Json(of(&team, &rest.iter().collect::<Vec<_>>())))
}

fn not_in() -> AdminError {
    AdminError::Invalid("User not found in team".to_owned())
}

async fn member(
    allowed: &Allowed,
    team: &Team,
    user_id: Option<String>,
    user_email: Option<&str>,
) -> Result<TeamMembership, AdminError> {
    let user_id = people::named(user_id, user_email)?;
    let members = allowed.store.team_members(&team.team_id).await?;
    let is_named = |of: &TeamMembership| match (&user_id, user_email) {
        (Some(id), _) => &of.user_id == id,
        (None, email) => email.is_some() && of.user_email.as_deref() == email,
    };
    let mut named = members.into_iter().filter(is_named);
    let member = named.next().ok_or_else(not_in)?;
    if named.next().is_some() {
        return Err(FieldError::wrong("user_email", "several members have it; use user_id").into());
    }
    Ok(member)
}
