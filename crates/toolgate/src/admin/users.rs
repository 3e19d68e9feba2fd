//! `/user/*`: internal users, whose keys share their bounds. LiteLLM: `internal_user_endpoints.py`.
//!
//! Users see themselves and change what they are called. Admins of organizations manage users who are in theirs and
//! nowhere else. Roles, addresses and identities are the proxy admins' to give.

mod body;
pub mod bulk;

use axum::Json;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use toolgate_access::issue;
use toolgate_access::key::VirtualKey;
use toolgate_access::role::{Role, TeamRole};
use toolgate_store::{
    Direction, Key, KeyFilter, KeyOrder, KeyScope, MAX_PAGE_SIZE, OrganizationMembership, PageOf, StoreError, Team,
    TeamFilter, TeamMembership, TeamOrder, TeamScope, User, UserFilter, UserOrder,
};

use self::body::{Place, UserBody};
use super::body::{FieldError, JsonBody, QueryOf};
use super::people::{by_email, is_in_reach};
use super::terms::{self, shown, value};
use super::{AdminError, Allowed};

/// Users on a page: LiteLLM's usual and largest number.
const PAGE_SIZES: (u32, u32) = (25, 100);

fn absent(user_id: &str) -> AdminError {
    AdminError::NotFound(format!("User {user_id} not found"))
}

/// Whether the caller, who is no proxy admin, administers all that a user is in.
async fn is_below(allowed: &Allowed, user: &User) -> Result<bool, AdminError> {
    let role = user.user_role.as_deref().and_then(Role::from_name);
    if role.is_some_and(Role::sees_everything) {
        return Ok(false);
    }
    let organizations = allowed.store.organization_memberships_of(&user.user_id).await?;
    let is_theirs = |of: &OrganizationMembership| allowed.tenant.manages_organization(&of.organization_id);
    Ok(!organizations.is_empty() && organizations.iter().all(is_theirs))
}

/// `POST /user/new`: with a key of the user's own, unless `auto_create_key` is false.
pub async fn new(allowed: Allowed, JsonBody(body): JsonBody<UserBody>) -> Result<Json<Value>, AdminError> {
    body.check()?;
    let giver = allowed.giver();
    let role = body.role()?;
    issue::check_created_role(&giver, role)?;
    check_places(&allowed, &body).await?;
    if let Some(budget) = value(&body.max_budget) {
        issue::check_max_budget(&giver, Some(budget))?;
    }
    let user_id = body.user_id.clone().filter(|id| !id.is_empty()).unwrap_or_else(terms::new_id);
    if allowed.store.user(&user_id).await?.is_some() {
        return Err(taken("id", &user_id));
    }
    if let Some(email) = value(&body.user_email)
        && by_email(&allowed.store, &email).await?.is_some()
    {
        return Err(taken("email", &email));
    }
    let object_permission = terms::permission(&allowed, None, body.object_permission.clone())?;
    let organizations = body.organizations.clone().unwrap_or_default();
    let places = body.places().into_iter().map(|place| of_team(&user_id, value(&body.user_email), place)).collect();
    let key = body.key(&user_id)?;
    let user = body.made(user_id.clone(), role.unwrap_or(Role::InternalUser), value(&object_permission))?;
    let user = match allowed.store.create_user(&allowed.actor, user, places).await {
        Err(StoreError::Conflict { .. }) => return Err(taken("id", &user_id)),
        made => made?,
    };
    for organization_id in organizations {
        let place = OrganizationMembership {
            organization_id,
            user_id: user_id.clone(),
            user_role: Some("internal_user".to_owned()),
            ..OrganizationMembership::default()
        };
        allowed.store.add_organization_member(&allowed.actor, place, None).await?;
    }
    let teams = teams_of(&allowed, &user_id).await?;
    let mut answer = of(&user, &teams, json!({ "key": "", "key_name": null, "expires": null }));
    if let Some((secret, key)) = key {
        let key = allowed.store.create_key(&allowed.actor, key).await?;
        answer["key"] = secrecy::ExposeSecret::expose_secret(secret.secret()).into();
        answer["key_name"] = key.key_name.clone().into();
        answer["key_alias"] = key.key_alias.clone().into();
        answer["expires"] = json!(key.expires);
        answer["token"] = key.token.into();
    }
    Ok(Json(answer))
}

fn taken(what: &str, which: &str) -> AdminError {
    AdminError::Conflict(format!("User with {what} {which} already exists"))
}

/// Who is no proxy admin makes users in their own organizations and teams only.
async fn check_places(allowed: &Allowed, body: &UserBody) -> Result<(), AdminError> {
    let organizations = body.organizations.as_deref().unwrap_or_default();
    if !allowed.is_admin() {
        let theirs = organizations.iter().all(|id| allowed.tenant.manages_organization(id));
        if organizations.is_empty() || !theirs {
            let text = "Only proxy admins can create users outside of the organizations that you administer; pass organizations";
            return Err(AdminError::Forbidden(text.to_owned()));
        }
    }
    for place in body.places() {
        let team = allowed.store.team(&place.team_id).await?;
        let manages = |organization: Option<&str>| allowed.tenant.manages_team(&place.team_id, organization);
        match team {
            Some(team) if allowed.is_admin() || manages(team.organization_id.as_deref()) => {}
            _ if allowed.is_admin() => {
                return Err(AdminError::NotFound(format!("Team not found for team_id={}", place.team_id)));
            }
            _ => return Err(AdminError::Forbidden("You do not have access to this team".to_owned())),
        }
        TeamRole::from_name(&place.user_role)
            .ok_or_else(|| FieldError::wrong("teams", "user_role is admin or user"))?;
    }
    Ok(())
}

fn of_team(user_id: &str, user_email: Option<String>, place: Place) -> TeamMembership {
    TeamMembership {
        team_id: place.team_id,
        user_id: user_id.to_owned(),
        role: place.user_role,
        user_email,
        ..TeamMembership::default()
    }
}

/// The teams of a user, as far as the caller sees them.
async fn teams_of(allowed: &Allowed, user_id: &str) -> Result<Vec<String>, AdminError> {
    let rows = team_rows(allowed, user_id).await?;
    Ok(rows.into_iter().map(|team| team.team_id).collect())
}

async fn team_rows(allowed: &Allowed, user_id: &str) -> Result<Vec<Team>, AdminError> {
    let scope = || TeamScope {
        team_ids: allowed.tenant.managed_teams().map(ToOwned::to_owned).collect(),
        organization_ids: allowed.tenant.managed_organizations().map(ToOwned::to_owned).collect(),
    };
    let filter = TeamFilter {
        member: Some(user_id.to_owned()),
        visible: (!sees_all_of(allowed, user_id)).then(scope),
        ..TeamFilter::default()
    };
    let order = (TeamOrder::TeamAlias, Direction::Ascending);
    Ok(allowed.store.teams(&filter, order, PageOf::new(1, MAX_PAGE_SIZE)).await?.items)
}

/// Whether the caller sees all that a user has: who only administers a team or organization of theirs does not.
fn sees_all_of(allowed: &Allowed, user_id: &str) -> bool {
    allowed.sees_everything() || allowed.user_id() == Some(user_id)
}

/// `POST /user/update`: what is not sent stays, null clears.
pub async fn update(allowed: Allowed, JsonBody(body): JsonBody<UserBody>) -> Result<Json<Value>, AdminError> {
    changed(&allowed, body).await.map(Json)
}

/// `GET /user/available_roles`: the roles of users, in LiteLLM's words.
pub async fn roles(_allowed: Allowed) -> Result<Json<Value>, AdminError> {
    let role = |description: &str, label: &str| json!({ "description": description, "ui_label": label });
    Ok(Json(json!({
        "proxy_admin": role("admin over litellm proxy, has all permissions", "Admin (All Permissions)"),
        "proxy_admin_viewer": role("view all keys, view all spend", "Admin (View Only)"),
        "internal_user": role("view/create/delete their own keys, view their own spend", "Internal User (Create/Delete/View)"),
        "internal_user_viewer": role("view their own keys, view their own spend", "Internal Viewer (View Only)"),
    })))
}

async fn changed(allowed: &Allowed, body: UserBody) -> Result<Value, AdminError> {
    if let Some(name) = body.only_new() {
        return Err(FieldError::Unknown { name: name.to_owned(), nearest: None }.into());
    }
    body.check()?;
    let before = match (&body.user_id, value(&body.user_email)) {
        (Some(id), _) => allowed.store.user(id).await?.ok_or_else(|| absent(id))?,
        (None, Some(email)) if allowed.is_admin() => {
            by_email(&allowed.store, &email).await?.ok_or_else(|| absent(&email))?
        }
        _ => return Err(FieldError::wrong("user_id", "Either user id or user email must be provided").into()),
    };
    check_update(allowed, &before, &body).await?;
    if body.sends_role() {
        issue::check_role_change(
            &allowed.giver(),
            before.user_role.as_deref().and_then(Role::from_name),
            body.role()?,
        )?;
    }
    if let Some(budget) = value(&body.max_budget) {
        issue::check_max_budget(&allowed.giver(), Some(budget))?;
    }
    let object_permission =
        terms::permission(allowed, before.object_permission.as_ref(), body.object_permission.clone())?;
    let changes = body.changes(&before, object_permission)?;
    let after = allowed.store.update_user(&allowed.actor, &before.user_id, changes).await?;
    let teams = teams_of(allowed, &after.user_id).await?;
    Ok(json!({ "user_id": after.user_id, "data": of(&after, &teams, json!({})) }))
}

/// What the caller, if they are no proxy admin, may change of a user.
async fn check_update(allowed: &Allowed, user: &User, body: &UserBody) -> Result<(), AdminError> {
    if allowed.is_admin() {
        return Ok(());
    }
    let is_self = allowed.user_id() == Some(&user.user_id);
    let is_below = !is_self && is_below(allowed, user).await?;
    if !is_self && !is_below {
        return Err(absent(&user.user_id));
    }
    let refused = if is_self { body.other_than_name() } else { body.identity() };
    match refused {
        Some("user_role") => Err(issue::IssueError::RoleChange.into()),
        Some(field) => Err(AdminError::Forbidden(format!("Only proxy admins can change `{field}` of this user."))),
        None => Ok(()),
    }
}

/// The query of `/user/info`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Asked {
    user_id: Option<String>,
}

/// `GET /user/info?user_id=`: the user, by default oneself, with their teams and keys, without the keys' hashes.
pub async fn info(allowed: Allowed, QueryOf(query): QueryOf<Asked>) -> Result<Json<Value>, AdminError> {
    let (user, teams) = asked(&allowed, query).await?;
    let order = (KeyOrder::default(), Direction::Descending);
    let page = PageOf::new(1, MAX_PAGE_SIZE);
    let keys = allowed.store.keys(&keys_of(&allowed, &user.user_id), order, page).await?.items;
    let keys: Vec<_> = keys.iter().map(without_hash).collect();
    let rows = team_rows(&allowed, &user.user_id).await?;
    let rows: Vec<_> = rows.iter().map(|team| shown(team, json!({}))).collect();
    Ok(Json(json!({
        "user_id": user.user_id, "user_info": of(&user, &teams, json!({})), "keys": keys, "teams": rows,
    })))
}

/// The keys of a user, as far as the caller sees them.
fn keys_of(allowed: &Allowed, user_id: &str) -> KeyFilter {
    let scope = || KeyScope {
        team_ids: allowed.tenant.managed_teams().map(ToOwned::to_owned).collect(),
        organization_ids: allowed.tenant.managed_organizations().map(ToOwned::to_owned).collect(),
        ..KeyScope::default()
    };
    let visible = (!sees_all_of(allowed, user_id)).then(scope);
    KeyFilter { user_id: Some(user_id.to_owned()), visible, ..KeyFilter::default() }
}

/// `GET /v2/user/info?user_id=`: the user alone.
pub async fn info_v2(allowed: Allowed, QueryOf(query): QueryOf<Asked>) -> Result<Json<Value>, AdminError> {
    let (user, teams) = asked(&allowed, query).await?;
    Ok(Json(of(&user, &teams, json!({}))))
}

/// The user who is asked for, if the caller may see them, with the ids of their teams.
async fn asked(allowed: &Allowed, query: Asked) -> Result<(User, Vec<String>), AdminError> {
    let user_id = query.user_id.or_else(|| allowed.user_id().map(ToOwned::to_owned));
    let user_id = user_id.ok_or_else(|| absent("None"))?;
    let user = allowed.store.user(&user_id).await?.ok_or_else(|| absent(&user_id))?;
    let teams = teams_of(allowed, &user_id).await?;
    // Of others' teams only those come that the caller administers.
    if sees_all_of(allowed, &user_id) || !teams.is_empty() || manages_some(allowed, &user_id).await? {
        Ok((user, teams))
    } else {
        Err(absent(&user_id))
    }
}

async fn manages_some(allowed: &Allowed, user_id: &str) -> Result<bool, AdminError> {
    if allowed.tenant.managed_organizations().next().is_none() || !is_in_reach(allowed, user_id).await? {
        return Ok(false);
    }
    let organizations = allowed.store.organization_memberships_of(user_id).await?;
    Ok(organizations.iter().any(|of| allowed.tenant.manages_organization(&of.organization_id)))
}

fn without_hash(key: &Key) -> Value {
    let mut key = shown(key, json!({}));
    if let Value::Object(fields) = &mut key {
        fields.remove("token");
    }
    key
}

/// The query of `/user/list`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Listed {
    role: Option<String>,
    user_ids: Option<String>,
    sso_user_ids: Option<String>,
    user_email: Option<String>,
    team: Option<String>,
    organization_ids: Option<String>,
    #[schemars(with = "Option<u32>")]
    page: Option<String>,
    #[schemars(with = "Option<u32>")]
    page_size: Option<String>,
    sort_by: Option<String>,
    sort_order: Option<String>,
}

/// `GET /user/list`: a page of all users, or of those in the caller's organizations.
pub async fn list(allowed: Allowed, QueryOf(query): QueryOf<Listed>) -> Result<Json<Value>, AdminError> {
    let asked = terms::names(query.organization_ids.as_deref());
    let organizations = if allowed.sees_everything() { asked } else { Some(own_organizations(&allowed, asked)?) };
    let ids = terms::names(query.user_ids.as_deref()).unwrap_or_default();
    let (one, several) = match ids.len() {
        0 => (None, None),
        1 => (ids.into_iter().next(), None),
        _ => (None, Some(ids)),
    };
    let filter = UserFilter {
        user_ids: several,
        user_id_contains: one,
        user_email_contains: query.user_email.clone(),
        user_role: query.role.clone(),
        sso_user_ids: terms::names(query.sso_user_ids.as_deref()),
        team_id: query.team.clone(),
        visible_organization_ids: organizations,
        ..UserFilter::default()
    };
    let (usual, max) = PAGE_SIZES;
    let at = terms::page_of(query.page.as_deref(), query.page_size.as_deref(), usual, max)?;
    let page = allowed.store.users(&filter, order(&query)?, at).await?;
    let mut users = Vec::with_capacity(page.items.len());
    for user in &page.items {
        let order = (KeyOrder::default(), Direction::Ascending);
        let keys = allowed.store.keys(&keys_of(&allowed, &user.user_id), order, PageOf::new(1, 1)).await?.total;
        users.push(of(user, &teams_of(&allowed, &user.user_id).await?, json!({ "key_count": keys })));
    }
    Ok(Json(json!({
        "users": users, "total": page.total, "page": at.page(), "page_size": at.size(), "total_pages": page.pages(),
    })))
}

/// The caller's organizations, as far as they are asked for.
fn own_organizations(allowed: &Allowed, asked: Option<Vec<String>>) -> Result<Vec<String>, AdminError> {
    let own: Vec<_> = allowed.tenant.managed_organizations().map(ToOwned::to_owned).collect();
    if own.is_empty() {
        let text = "Only proxy admins and organization admins can list users.";
        return Err(AdminError::Forbidden(text.to_owned()));
    }
    Ok(match asked {
        Some(asked) => own.into_iter().filter(|id| asked.contains(id)).collect(),
        None => own,
    })
}

fn order(query: &Listed) -> Result<(UserOrder, Direction), AdminError> {
    let column = match query.sort_by.as_deref() {
        None => return Ok((UserOrder::CreatedAt, Direction::Descending)),
        Some("created_at") => UserOrder::CreatedAt,
        Some("user_id") => UserOrder::UserId,
        Some("user_email") => UserOrder::UserEmail,
        Some("user_alias") => UserOrder::UserAlias,
        Some("user_role") => UserOrder::UserRole,
        Some("spend") => UserOrder::Spend,
        Some(other) => {
            let why = format!("`{other}` is none of created_at, user_id, user_email, user_alias, user_role, spend");
            return Err(FieldError::wrong("sort_by", why).into());
        }
    };
    Ok((column, terms::direction(query.sort_order.as_deref())?))
}

/// The body of `/user/delete`.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "UsersDeleted")]
pub struct Deleted {
    user_ids: Vec<String>,
}

/// `POST /user/delete`: with their keys and memberships; none if one is not the caller's to delete.
pub async fn delete(allowed: Allowed, JsonBody(body): JsonBody<Deleted>) -> Result<Json<Value>, AdminError> {
    if !allowed.is_admin() && allowed.tenant.managed_organizations().next().is_none() {
        let text = "Only PROXY_ADMIN or ORG_ADMIN users may delete users.";
        return Err(AdminError::Forbidden(text.to_owned()));
    }
    for user_id in &body.user_ids {
        let absent = || AdminError::NotFound(format!("User not found, passed user_id={user_id}"));
        let user = allowed.store.user(user_id).await?.ok_or_else(absent)?;
        if !allowed.is_admin() && !is_below(&allowed, &user).await? {
            return Err(absent());
        }
    }
    let deleted = allowed.store.delete_users(&allowed.actor, &body.user_ids).await?;
    Ok(Json(json!(deleted.len())))
}

/// A user as LiteLLM shows one.
fn of(user: &User, teams: &[String], more: Value) -> Value {
    let mut user = shown(user, more);
    user["teams"] = json!(teams);
    if let Value::Object(fields) = &mut user {
        fields.remove("password");
    }
    user
}

/// A new key from the system's random source.
fn new_key() -> VirtualKey {
    let mut bytes = [0_u8; toolgate_access::key::RANDOM_BYTES];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system's random source works, or no key could ever be made");
    VirtualKey::from_random(&bytes)
}
