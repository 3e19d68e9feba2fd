//! `/team/*`: teams, whose keys and members share bounds and permissions. LiteLLM: `team_endpoints.py`.
//!
//! A team's admins change its name and narrow its permission; its bounds are its organization's admins' and the proxy
//! admins' to set. To everybody else a team that is not theirs is one that is not there.

mod body;
pub mod members;
pub mod permissions;

use std::collections::HashMap;

use axum::Json;
use axum::extract::Path;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use toolgate_access::principal::TeamFacts;
use toolgate_access::role::TeamRole;
use toolgate_store::{
    Change, Direction, KeyFilter, KeyOrder, MAX_PAGE_SIZE, Page, PageOf, StoreError, Team, TeamChanges, TeamFilter,
    TeamMembership, TeamOrder, TeamScope,
};

use self::body::TeamBody;
use super::body::{FieldError, JsonBody, QueryOf};
use super::people::user_of;
use super::terms::{self, shown, value};
use super::{AdminError, Allowed};

/// Teams on a page of `/v2/team/list`: LiteLLM's usual and largest number.
const PAGE_SIZES: (u32, u32) = (10, 100);

fn denied() -> AdminError {
    AdminError::Forbidden("You do not have access to this team".to_owned())
}

fn absent(team_id: &str) -> AdminError {
    AdminError::NotFound(format!("Team not found, passed team_id={team_id}"))
}

/// What the caller may do to a team.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Sets its bounds: proxy admins, and admins of its organization.
    Sets,
    /// Manages its members and keys.
    Manages,
}

/// A team that the caller manages. Others are told the same of a team that is there and of one that is not.
async fn managed(allowed: &Allowed, team_id: &str) -> Result<(Team, Standing), AdminError> {
    let team = allowed.store.team(team_id).await?;
    let Some(team) = team else { return Err(if allowed.is_admin() { absent(team_id) } else { denied() }) };
    let is_of = |organization: &String| allowed.tenant.manages_organization(organization);
    if allowed.is_admin() || team.organization_id.as_ref().is_some_and(is_of) {
        Ok((team, Standing::Sets))
    } else if allowed.tenant.managed_teams().any(|id| id == team_id) {
        Ok((team, Standing::Manages))
    } else {
        Err(denied())
    }
}

/// Whether the caller manages a team.
///
/// # Errors
/// As for one that is not there.
pub(super) async fn check_managed(allowed: &Allowed, team_id: &str) -> Result<(), AdminError> {
    managed(allowed, team_id).await.map(|_| ())
}

/// Whether the caller sees a team: who is in it or over it, and keys of the team itself.
fn sees(allowed: &Allowed, team: &Team) -> bool {
    let tenant = &allowed.tenant;
    let of_key = allowed.caller.principal.team.row().map(|team: &TeamFacts| team.team_id.as_str());
    allowed.sees_everything()
        || of_key == Some(&team.team_id)
        || tenant.is_in_team(&team.team_id)
        || team.organization_id.as_ref().is_some_and(|id| tenant.manages_organization(id))
}

/// `POST /team/new`: by proxy admins, and by admins of an organization for it.
pub async fn new(allowed: Allowed, JsonBody(body): JsonBody<TeamBody>) -> Result<Json<Value>, AdminError> {
    let organization_id = value(&body.organization_id).filter(|id| !id.is_empty());
    check_organization(&allowed, organization_id.as_deref(), &body).await?;
    body.check(None)?;
    body.check_groups(&allowed, &[])?;
    terms::check_given_budget(&allowed, &body.max_budget)?;
    let team_id = body.team_id.clone().filter(|id| !id.trim().is_empty()).unwrap_or_else(terms::new_id);
    let object_permission = terms::permission(&allowed, None, body.object_permission.clone())?;
    let members = first_members(&allowed, &team_id, &body).await?;
    let team = Team { team_id: team_id.clone(), ..body.made(object_permission)? };
    let team = match allowed.store.create_team(&allowed.actor, team, members).await {
        Err(StoreError::Conflict { .. }) => {
            let text = format!("Team id = {team_id} already exists. Please use a different team id.");
            return Err(AdminError::Taken(text));
        }
        made => made?,
    };
    with_members(&allowed, &team).await.map(Json)
}

/// The organization is there and the caller's, and has what the team asks for.
async fn check_organization(allowed: &Allowed, id: Option<&str>, body: &TeamBody) -> Result<(), AdminError> {
    let Some(id) = id else {
        let text = "Only proxy admins can create teams outside of an organization; pass organization_id";
        return if allowed.is_admin() { Ok(()) } else { Err(AdminError::Forbidden(text.to_owned())) };
    };
    if !allowed.is_admin() && !allowed.tenant.manages_organization(id) {
        return Err(AdminError::Forbidden("You do not have access to this organization".to_owned()));
    }
    let Some(organization) = allowed.store.organization(id).await? else {
        return Err(AdminError::Invalid(format!("Organization not found for organization_id={id}")));
    };
    let budget = match &organization.budget_id {
        Some(id) => allowed.store.budget(id).await?,
        None => None,
    };
    let most = budget.and_then(|budget| budget.max_budget);
    match (value(&body.max_budget), most) {
        (Some(asked), Some(most)) if asked > most => Err(AdminError::Invalid(format!(
            "max_budget ({asked:?}) of the team exceeds that of its organization ({most:?})"
        ))),
        _ => Ok(()),
    }
}

async fn first_members(allowed: &Allowed, team_id: &str, body: &TeamBody) -> Result<Vec<TeamMembership>, AdminError> {
    let mut members: Vec<TeamMembership> = Vec::new();
    for member in body.members_with_roles.iter().flatten() {
        let user = user_of(allowed, member).await?;
        let role = role(&member.role)?;
        let place = TeamMembership {
            team_id: team_id.to_owned(),
            user_id: user.user_id,
            role: role.as_str().to_owned(),
            user_email: user.user_email,
            ..TeamMembership::default()
        };
        if !members.iter().any(|other| other.user_id == place.user_id) {
            members.push(place);
        }
    }
    Ok(members)
}

fn role(name: &str) -> Result<TeamRole, AdminError> {
    TeamRole::from_name(name)
        .ok_or_else(|| FieldError::wrong("role", format!("`{name}` is neither `admin` nor `user`")).into())
}

/// `POST /team/update`: what is not sent stays, null clears.
pub async fn update(allowed: Allowed, JsonBody(body): JsonBody<TeamBody>) -> Result<Json<Value>, AdminError> {
    changed(&allowed, body).await
}

/// `PATCH /team/{team_id}`: the same, and `metadata` is merged into what is there (RFC 7386).
pub async fn patch(
    allowed: Allowed,
    Path(team_id): Path<String>,
    JsonBody(mut body): JsonBody<TeamBody>,
) -> Result<Json<Value>, AdminError> {
    if body.team_id.as_ref().is_some_and(|other| *other != team_id) {
        return Err(FieldError::wrong("team_id", "it is not the team of the path").into());
    }
    let (team, _) = managed(&allowed, &team_id).await?;
    body.team_id = Some(team_id);
    body.merge_metadata(&team);
    changed(&allowed, body).await
}

async fn changed(allowed: &Allowed, body: TeamBody) -> Result<Json<Value>, AdminError> {
    let team_id = body.team_id.clone().ok_or_else(|| FieldError::wrong("team_id", "it is needed"))?;
    if body.members_with_roles.is_some() {
        return Err(FieldError::Unknown { name: "members_with_roles".to_owned(), nearest: None }.into());
    }
    let (team, standing) = managed(allowed, &team_id).await?;
    if standing == Standing::Manages && body.sets_bounds() {
        let text = "Team admins change team_alias and object_permission; ask a proxy or organization admin for more";
        return Err(AdminError::Forbidden(text.to_owned()));
    }
    if let Change::Set(organization) = &body.organization_id {
        let id = organization.as_deref().filter(|id| !id.is_empty());
        check_organization(allowed, id, &body).await?;
    } else if standing == Standing::Sets {
        check_own_organization(allowed, &team, &body).await?;
    }
    body.check(Some(&team))?;
    body.check_groups(allowed, &team.access_group_ids)?;
    terms::check_given_budget(allowed, &body.max_budget)?;
    let object_permission =
        terms::permission(allowed, team.object_permission.as_ref(), body.object_permission.clone())?;
    let changes = body.changes(&team, object_permission)?;
    let team = allowed.store.update_team(&allowed.actor, &team_id, changes).await?;
    let team = with_members(allowed, &team).await?;
    Ok(Json(json!({ "team_id": team_id, "data": team })))
}

async fn check_own_organization(allowed: &Allowed, team: &Team, body: &TeamBody) -> Result<(), AdminError> {
    match &team.organization_id {
        Some(id) => check_organization(allowed, Some(id), body).await,
        None => Ok(()),
    }
}

/// A query or body that names a team.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "TeamNamed")]
pub struct One {
    team_id: String,
}

/// `GET /team/info?team_id=`: the team with its members and keys, without the keys' hashes.
pub async fn info(allowed: Allowed, QueryOf(query): QueryOf<One>) -> Result<Json<Value>, AdminError> {
    let team = allowed.store.team(&query.team_id).await?.filter(|team| sees(&allowed, team));
    let Some(team) = team else {
        return Err(AdminError::NotFound(format!("Team not found, passed team id: {}.", query.team_id)));
    };
    let filter = KeyFilter { team_id: Some(team.team_id.clone()), ..KeyFilter::default() };
    let order = (KeyOrder::default(), Direction::Descending);
    let keys = allowed.store.keys(&filter, order, PageOf::new(1, MAX_PAGE_SIZE)).await?.items;
    let keys: Vec<_> = keys.iter().map(without_hash).collect();
    let memberships = allowed.store.team_members(&team.team_id).await?;
    let shown = of(&team, &memberships.iter().collect::<Vec<_>>());
    Ok(Json(json!({
        "team_id": team.team_id, "team_info": shown, "keys": keys, "team_memberships": memberships,
    })))
}

fn without_hash(key: &toolgate_store::Key) -> Value {
    let mut key = shown(key, json!({}));
    if let Value::Object(fields) = &mut key {
        fields.remove("token");
    }
    key
}

/// The query of lists.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Listed {
    user_id: Option<String>,
    organization_id: Option<String>,
    team_id: Option<String>,
    team_alias: Option<String>,
    #[schemars(with = "Option<u32>")]
    page: Option<String>,
    #[schemars(with = "Option<u32>")]
    page_size: Option<String>,
    sort_by: Option<String>,
    sort_order: Option<String>,
}

impl Listed {
    /// What the caller may see of what is asked for. `None`: nothing.
    fn filter(&self, allowed: &Allowed) -> TeamFilter {
        let tenant = &allowed.tenant;
        let visible = (!allowed.sees_everything()).then(|| {
            let of_key = allowed.caller.principal.team.row().map(|team| team.team_id.to_string());
            TeamScope {
                team_ids: tenant.teams.iter().map(|of| of.team_id.clone()).chain(of_key).collect(),
                organization_ids: tenant.managed_organizations().map(ToOwned::to_owned).collect(),
            }
        });
        TeamFilter {
            team_ids: self.team_id.clone().map(|id| vec![id]),
            team_alias_contains: self.team_alias.clone(),
            organization_id: self.organization_id.clone(),
            member: self.user_id.clone(),
            visible,
            ..TeamFilter::default()
        }
    }

    fn order(&self, usual: TeamOrder) -> Result<(TeamOrder, Direction), AdminError> {
        let column = match self.sort_by.as_deref() {
            None => usual,
            Some("team_alias") => TeamOrder::TeamAlias,
            Some("created_at") => TeamOrder::CreatedAt,
            Some("spend") => TeamOrder::Spend,
            Some(other) => {
                let why = format!("`{other}` is none of team_alias, created_at, spend");
                return Err(FieldError::wrong("sort_by", why).into());
            }
        };
        Ok((column, terms::direction(self.sort_order.as_deref())?))
    }
}

/// `GET /team/list`: LiteLLM has no pages here, so all teams that the caller sees come, by alias, where no page is asked
/// for.
pub async fn list(allowed: Allowed, QueryOf(query): QueryOf<Listed>) -> Result<Json<Vec<Value>>, AdminError> {
    let (filter, order) = (query.filter(&allowed), query.order(TeamOrder::TeamAlias)?);
    let first = terms::page_of(query.page.as_deref(), query.page_size.as_deref(), MAX_PAGE_SIZE, MAX_PAGE_SIZE)?;
    let page = allowed.store.teams(&filter, order, first).await?;
    let pages = if query.page.is_none() && query.page_size.is_none() { page.pages() } else { 1 };
    let mut teams = page_of_teams(&allowed, &page).await?;
    for number in 2..=u32::try_from(pages).unwrap_or(u32::MAX) {
        let page = allowed.store.teams(&filter, order, PageOf::new(number, MAX_PAGE_SIZE)).await?;
        teams.extend(page_of_teams(&allowed, &page).await?);
    }
    Ok(Json(teams))
}

/// `GET /v2/team/list`: a page.
pub async fn pages(allowed: Allowed, QueryOf(query): QueryOf<Listed>) -> Result<Json<Value>, AdminError> {
    let (usual, max) = PAGE_SIZES;
    let at = terms::page_of(query.page.as_deref(), query.page_size.as_deref(), usual, max)?;
    let order = query.order(TeamOrder::CreatedAt)?;
    let page = allowed.store.teams(&query.filter(&allowed), order, at).await?;
    let teams = page_of_teams(&allowed, &page).await?;
    Ok(Json(json!({
        "teams": teams, "total": page.total, "page": at.page(), "page_size": at.size(), "total_pages": page.pages(),
    })))
}

async fn page_of_teams(allowed: &Allowed, page: &Page<Team>) -> Result<Vec<Value>, AdminError> {
    let ids: Vec<_> = page.items.iter().map(|team| team.team_id.clone()).collect();
    let members = allowed.store.members_of_teams(&ids).await?;
    let mut of_team: HashMap<&str, Vec<&TeamMembership>> = HashMap::new();
    for member in &members {
        of_team.entry(&member.team_id).or_default().push(member);
    }
    let shown = page.items.iter().map(|team| {
        let places = of_team.remove(team.team_id.as_str()).unwrap_or_default();
        shown(&of(team, &places), json!({ "team_memberships": places }))
    });
    Ok(shown.collect())
}

/// The body of `/team/delete`.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "TeamsDeleted")]
pub struct Deleted {
    team_ids: Vec<String>,
}

/// `POST /team/delete`: all of them with their keys, or none if one is not the caller's.
pub async fn delete(allowed: Allowed, JsonBody(body): JsonBody<Deleted>) -> Result<Json<Value>, AdminError> {
    if body.team_ids.is_empty() {
        return Err(FieldError::wrong("team_ids", "it names no team").into());
    }
    for team_id in &body.team_ids {
        if managed(&allowed, team_id).await?.1 != Standing::Sets {
            return Err(denied());
        }
    }
    allowed.store.delete_teams(&allowed.actor, &body.team_ids).await?;
    Ok(Json(json!({ "deleted_teams": body.team_ids })))
}

/// `POST /team/block`: keys of the team are refused.
pub async fn block(allowed: Allowed, JsonBody(body): JsonBody<One>) -> Result<Json<Value>, AdminError> {
    set_blocked(&allowed, &body.team_id, true).await
}

/// `POST /team/unblock`
pub async fn unblock(allowed: Allowed, JsonBody(body): JsonBody<One>) -> Result<Json<Value>, AdminError> {
    set_blocked(&allowed, &body.team_id, false).await
}

/// A team's own admins do neither: they could undo what was done to the team.
async fn set_blocked(allowed: &Allowed, team_id: &str, blocked: bool) -> Result<Json<Value>, AdminError> {
    if managed(allowed, team_id).await?.1 != Standing::Sets {
        return Err(denied());
    }
    let changes = TeamChanges { blocked: Change::Set(blocked), ..TeamChanges::default() };
    let team = allowed.store.update_team(&allowed.actor, team_id, changes).await?;
    with_members(allowed, &team).await.map(Json)
}

async fn with_members(allowed: &Allowed, team: &Team) -> Result<Value, AdminError> {
    let members = allowed.store.team_members(&team.team_id).await?;
    Ok(of(team, &members.iter().collect::<Vec<_>>()))
}

/// A team as LiteLLM shows it.
fn of(team: &Team, members: &[&TeamMembership]) -> Value {
    let roles: Vec<_> = members
        .iter()
        .map(|of| json!({ "user_id": of.user_id, "user_email": of.user_email, "role": of.role }))
        .collect();
    shown(team, json!({ "members_with_roles": roles }))
}
