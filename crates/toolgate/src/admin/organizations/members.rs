//! `/organization/member_add`, `/organization/member_update`, `/organization/member_delete`: by the organization's admins
//! and proxy admins.

use axum::Json;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use toolgate_access::role::{OrganizationRole, Role};
use toolgate_store::{
    BudgetChanges, Change, OrganizationMembership, OrganizationMembershipChanges, OwnBudget, StoreError, User,
};

use super::managed;
use crate::admin::body::{FieldError, JsonBody};
use crate::admin::people::{self, Members, user_of};
use crate::admin::terms::{self, shown};
use crate::admin::{AdminError, Allowed};

/// The body of `/organization/member_add`.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "OrganizationMembersAdded")]
pub struct Added {
    organization_id: String,
    member: Members,
    #[serde(default)]
    max_budget_in_organization: Option<f64>,
}

fn role(name: &str) -> Result<OrganizationRole, AdminError> {
    OrganizationRole::from_name(name).ok_or_else(|| {
        let why = "Invalid role. Must be one of: ['org_admin', 'internal_user', 'internal_user_viewer']";
        FieldError::wrong("role", why).into()
    })
}

/// `POST /organization/member_add`: users who are not there yet are made.
pub async fn add(allowed: Allowed, JsonBody(body): JsonBody<Added>) -> Result<Json<Value>, AdminError> {
    let organization = managed(&allowed, &body.organization_id).await?;
    terms::check_amount("max_budget_in_organization", body.max_budget_in_organization)?;
    let members = body.member.into_list()?;
    for member in &members {
        role(&member.role)?;
    }
    let (mut users, mut places) = (Vec::new(), Vec::new());
    for member in &members {
        let user = user_of(&allowed, member).await?;
        let place = OrganizationMembership {
            organization_id: organization.organization_id.clone(),
            user_id: user.user_id.clone(),
            user_role: Some(role(&member.role)?.as_str().to_owned()),
            ..OrganizationMembership::default()
        };
        match allowed
            .store
            .add_organization_member(&allowed.actor, place, own_budget(body.max_budget_in_organization))
            .await
        {
            Ok(place) => places.push(place),
            Err(StoreError::Conflict { .. }) => {
                let text = format!("User {} is already in the organization", user.user_id);
                return Err(AdminError::Taken(text));
            }
            Err(why) => return Err(why.into()),
        }
        users.push(shown(&user, json!({ "password": null })));
    }
    Ok(Json(json!({
        "organization_id": organization.organization_id, "updated_users": users,
        "updated_organization_memberships": places,
    })))
}

fn own_budget(max: Option<f64>) -> Option<OwnBudget> {
    let changes = BudgetChanges { max_budget: Change::Set(Some(max?)), ..BudgetChanges::default() };
    Some(OwnBudget { new_id: terms::new_id(), changes })
}

/// The body of `/organization/member_update` and `/organization/member_delete`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "OrganizationMemberUpdated")]
pub struct Updated {
    organization_id: String,
    user_id: Option<String>,
    user_email: Option<String>,
    role: Option<String>,
    max_budget_in_organization: Option<f64>,
}

/// `PATCH /organization/member_update`
pub async fn update(allowed: Allowed, JsonBody(body): JsonBody<Updated>) -> Result<Json<Value>, AdminError> {
    managed(&allowed, &body.organization_id).await?;
    terms::check_amount("max_budget_in_organization", body.max_budget_in_organization)?;
    let (user, place) = member(&allowed, &body).await?;
    let of_admin = user.as_ref().and_then(|user| user.user_role.as_deref()).and_then(Role::from_name);
    if of_admin.is_some_and(Role::sees_everything) && !allowed.is_admin() {
        let text = "Only PROXY_ADMIN may modify the organization role of a user who is a global PROXY_ADMIN.";
        return Err(AdminError::Forbidden(text.to_owned()));
    }
    let mut changes = OrganizationMembershipChanges::default();
    if let Some(name) = &body.role {
        changes.user_role = Change::Set(Some(role(name)?.as_str().to_owned()));
    }
    let own = own_budget(body.max_budget_in_organization);
    let (id, user_id) = (&place.organization_id, &place.user_id);
    let place = allowed.store.update_organization_member(&allowed.actor, id, user_id, changes, own).await?;
    let budget = match &place.budget_id {
        Some(id) => allowed.store.budget(id).await?,
        None => None,
    };
    Ok(Json(shown(&place, json!({ "litellm_budget_table": budget }))))
}

/// The body of `/organization/member_delete`.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "OrganizationMemberRemoved")]
pub struct Removed {
    organization_id: String,
    #[serde(default)]
    user_id: Option<String>,
    #[serde(default)]
    user_email: Option<String>,
}

/// `DELETE /organization/member_delete`
pub async fn delete(
    allowed: Allowed,
    JsonBody(body): JsonBody<Removed>,
) -> Result<Json<OrganizationMembership>, AdminError> {
    managed(&allowed, &body.organization_id).await?;
    let body = Updated {
        organization_id: body.organization_id,
        user_id: body.user_id,
        user_email: body.user_email,
        ..Updated::default()
    };
    let (_, place) = member(&allowed, &body).await?;
    let (id, user_id) = (&place.organization_id, &place.user_id);
    let removed = allowed.store.remove_organization_member(&allowed.actor, id, user_id).await?;
    removed.map(Json).ok_or_else(|| not_in(user_id))
}

fn not_in(user: &str) -> AdminError {
    AdminError::NotFound(format!("Member not found in organization for user_id={user}"))
}

/// The member who is named, found among the organization's own: nobody learns of other users by their address.
async fn member(allowed: &Allowed, body: &Updated) -> Result<(Option<User>, OrganizationMembership), AdminError> {
    let named = people::named(body.user_id.clone(), body.user_email.as_deref())?;
    let user_id = match (named, body.user_email.as_deref()) {
        (Some(id), _) => id,
        (None, Some(email)) => {
            let user = people::by_email(&allowed.store, email).await?.ok_or_else(|| not_in(email))?;
            user.user_id
        }
        (None, None) => return Err(not_in("")),
    };
    let members = allowed.store.organization_members(&body.organization_id).await?;
    let shown_as = body.user_id.as_deref().or(body.user_email.as_deref()).unwrap_or_default();
    let place = members.into_iter().find(|of| of.user_id == user_id).ok_or_else(|| not_in(shown_as))?;
    Ok((allowed.store.user(&user_id).await?, place))
}
