//! `/organization/*`: tenants, with teams and members of their own. LiteLLM: `organization_endpoints.py`.
//!
//! Bounds and permission of an organization are the proxy admins' to set; its own admins name it and manage its
//! members. To everybody else an organization that is not theirs is one that is not there.

pub mod members;

use axum::Json;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use toolgate_access::permission::ObjectPermissionUpdate;
use toolgate_store::{
    Budget, Change, Direction, MAX_PAGE_SIZE, Organization, OrganizationChanges, OrganizationFilter, PageOf,
    StoreError, TeamFilter, TeamOrder,
};

use super::body::{FieldError, JsonBody, QueryOf};
use super::budgets::Bounds;
use super::terms::{self, Sent, or_empty, shown, value};
use super::{AdminError, Allowed};

/// The fields of an organization, as they are sent to make or change one.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OrganizationBody {
    organization_id: Option<String>,
    organization_alias: Option<String>,
    budget_id: Sent<String>,
    models: Sent<Vec<String>>,
    metadata: Sent<Map<String, Value>>,
    object_permission: Option<ObjectPermissionUpdate>,
    spend: Option<f64>,
    max_budget: Sent<f64>,
    soft_budget: Sent<f64>,
    max_parallel_requests: Sent<i64>,
    tpm_limit: Sent<i64>,
    rpm_limit: Sent<i64>,
    tpd_limit: Sent<i64>,
    model_max_budget: Sent<Value>,
    budget_duration: Sent<String>,
    // LiteLLM keeps these in `metadata`.
    model_rpm_limit: Sent<Value>,
    model_tpm_limit: Sent<Value>,
    mcp_rpm_limit: Sent<Map<String, Value>>,
}

impl OrganizationBody {
    fn check(&self) -> Result<(), AdminError> {
        terms::check_amount("spend", self.spend)?;
        terms::check_mcp_rpm_limit(&self.mcp_rpm_limit)
    }

    /// What is the budget's.
    fn bounds(&self) -> Bounds {
        Bounds {
            max_budget: self.max_budget,
            soft_budget: self.soft_budget,
            max_parallel_requests: self.max_parallel_requests,
            tpm_limit: self.tpm_limit,
            rpm_limit: self.rpm_limit,
            tpd_limit: self.tpd_limit,
            model_max_budget: self.model_max_budget.clone(),
            budget_duration: self.budget_duration.clone(),
        }
    }

    /// Whether it sends anything but what the organization's own admins may change.
    fn sets_bounds(&self) -> bool {
        let values = [&self.model_rpm_limit, &self.model_tpm_limit];
        self.bounds().is_sent()
            || self.budget_id != Change::Keep
            || self.models != Change::Keep
            || self.metadata != Change::Keep
            || self.mcp_rpm_limit != Change::Keep
            || self.object_permission.is_some()
            || self.spend.is_some()
            || values.into_iter().any(|value| *value != Change::Keep)
    }

    /// What is sent is merged into what is there, as LiteLLM does; null empties it.
    fn metadata_after(&self, before: &Map<String, Value>) -> Map<String, Value> {
        let mut metadata = before.clone();
        match &self.metadata {
            Change::Keep => {}
            Change::Set(None) => metadata.clear(),
            Change::Set(Some(sent)) => metadata.extend(sent.clone()),
        }
        let mcp_rpm_limit = match &self.mcp_rpm_limit {
            Change::Keep => Change::Keep,
            Change::Set(limits) => Change::Set(limits.clone().map(Value::Object)),
        };
        let fields = vec![
            ("model_rpm_limit", self.model_rpm_limit.clone()),
            ("model_tpm_limit", self.model_tpm_limit.clone()),
            ("mcp_rpm_limit", mcp_rpm_limit),
        ];
        terms::put_into(&mut metadata, fields);
        metadata
    }
}

fn absent(organization_id: &str) -> AdminError {
    AdminError::NotFound(format!("Organization not found for organization_id={organization_id}"))
}

fn denied() -> AdminError {
    AdminError::Forbidden("You do not have access to this organization".to_owned())
}

/// An organization that the caller manages. Others are told the same of one that is there and of one that is not.
async fn managed(allowed: &Allowed, organization_id: &str) -> Result<Organization, AdminError> {
    if !allowed.is_admin() && !allowed.tenant.manages_organization(organization_id) {
        return Err(denied());
    }
    allowed.store.organization(organization_id).await?.ok_or_else(|| absent(organization_id))
}

/// `POST /organization/new`. Without `budget_id` it gets a budget of its own.
pub async fn new(allowed: Allowed, JsonBody(body): JsonBody<OrganizationBody>) -> Result<Json<Value>, AdminError> {
    body.check()?;
    let alias = body.organization_alias.clone().filter(|alias| !alias.is_empty());
    let organization_alias = alias.ok_or_else(|| FieldError::wrong("organization_alias", "it is needed"))?;
    let organization_id = body.organization_id.clone().unwrap_or_else(terms::new_id);
    if allowed.store.organization(&organization_id).await?.is_some() {
        return Err(taken(&organization_id));
    }
    let object_permission = terms::permission(&allowed, None, body.object_permission.clone())?;
    let budget_id = value(&body.budget_id);
    let own = match &budget_id {
        Some(id) if body.bounds().is_sent() => {
            let why = format!("give either `{id}` or the bounds of a new budget");
            return Err(FieldError::wrong("budget_id", why).into());
        }
        Some(_) => None,
        None => Some(body.bounds().always_own()?),
    };
    let organization = Organization {
        organization_id: organization_id.clone(),
        organization_alias,
        budget_id,
        metadata: body.metadata_after(&Map::new()),
        models: value(&body.models).unwrap_or_default(),
        object_permission: value(&object_permission),
        ..Organization::default()
    };
    match allowed.store.create_organization(&allowed.actor, organization, own).await {
        Ok(organization) => whole(&allowed, &organization, Parts::Budget).await.map(Json),
        Err(StoreError::Conflict { .. }) => Err(taken(&organization_id)),
        Err(why) => Err(why.into()),
    }
}

fn taken(organization_id: &str) -> AdminError {
    AdminError::Taken(format!("Organization id = {organization_id} already exists."))
}

/// `PATCH /organization/update`: what is not sent stays, null clears.
pub async fn update(allowed: Allowed, JsonBody(body): JsonBody<OrganizationBody>) -> Result<Json<Value>, AdminError> {
    let id = body.organization_id.clone();
    let id = id.ok_or_else(|| AdminError::Invalid("organization_id is required".to_owned()))?;
    let before = managed(&allowed, &id).await?;
    if !allowed.is_admin() && body.sets_bounds() {
        let text = "Organization admins change organization_alias; ask a proxy admin for more";
        return Err(AdminError::Forbidden(text.to_owned()));
    }
    body.check()?;
    let object_permission =
        terms::permission(&allowed, before.object_permission.as_ref(), body.object_permission.clone())?;
    let own = body.bounds().own()?;
    let metadata = body.metadata_after(&before.metadata);
    let changes = OrganizationChanges {
        organization_alias: body.organization_alias.into(),
        budget_id: body.budget_id,
        metadata: if metadata == before.metadata { Change::Keep } else { Change::Set(metadata) },
        models: or_empty(body.models),
        spend: body.spend.into(),
        object_permission,
        ..OrganizationChanges::default()
    };
    let after = allowed.store.update_organization(&allowed.actor, &id, changes, own).await?;
    whole(&allowed, &after, Parts::All).await.map(Json)
}

/// The query of `/organization/info`.
#[derive(Deserialize, JsonSchema)]
pub struct Asked {
    organization_id: String,
}

/// `GET /organization/info?organization_id=`: for those who see everything, and its admins.
pub async fn info(allowed: Allowed, QueryOf(query): QueryOf<Asked>) -> Result<Json<Value>, AdminError> {
    let id = &query.organization_id;
    if !allowed.sees_everything() && !allowed.tenant.manages_organization(id) {
        return Err(denied());
    }
    let organization = allowed.store.organization(id).await?;
    let organization = organization.ok_or_else(|| AdminError::NotFound("Organization not found".to_owned()))?;
    whole(&allowed, &organization, Parts::All).await.map(Json)
}

/// The query of `/organization/list`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Listed {
    org_id: Option<String>,
    org_alias: Option<String>,
    #[schemars(with = "Option<u32>")]
    page: Option<String>,
    #[schemars(with = "Option<u32>")]
    page_size: Option<String>,
}

/// `GET /organization/list`: those that the caller sees. Members who do not manage one see no other members and teams.
pub async fn list(allowed: Allowed, QueryOf(query): QueryOf<Listed>) -> Result<Json<Vec<Value>>, AdminError> {
    let own = || allowed.tenant.organizations.iter().map(|of| of.organization_id.clone()).collect::<Vec<_>>();
    let mut visible = (!allowed.sees_everything()).then(own);
    if let Some(asked) = &query.org_id {
        let may_see = visible.as_ref().is_none_or(|visible| visible.contains(asked));
        visible = Some(if may_see { vec![asked.clone()] } else { Vec::new() });
    }
    let filter = OrganizationFilter {
        organization_ids: visible,
        organization_alias_contains: query.org_alias.clone(),
        ..OrganizationFilter::default()
    };
    let page = terms::page_of(query.page.as_deref(), query.page_size.as_deref(), 100, MAX_PAGE_SIZE)?;
    let everything = query.page.is_none() && query.page_size.is_none();
    let mut shown = Vec::new();
    let mut at = page;
    loop {
        let found = allowed.store.organizations(&filter, at).await?;
        for organization in &found.items {
            let manages = allowed.tenant.manages_organization(&organization.organization_id);
            let parts = if allowed.sees_everything() || manages { Parts::All } else { Parts::Budget };
            shown.push(whole(&allowed, organization, parts).await?);
        }
        if !everything || i64::from(at.page()) >= found.pages() {
            return Ok(Json(shown));
        }
        at = PageOf::new(at.page() + 1, at.size());
    }
}

/// The body of `/organization/delete`.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "OrganizationsDeleted")]
pub struct Deleted {
    organization_ids: Vec<String>,
}

/// `DELETE /organization/delete`: with their teams, keys and memberships; none if one is not there.
pub async fn delete(allowed: Allowed, JsonBody(body): JsonBody<Deleted>) -> Result<Json<Vec<Value>>, AdminError> {
    let mut shown = Vec::new();
    for id in &body.organization_ids {
        let organization = allowed.store.organization(id).await?;
        let organization = organization.ok_or_else(|| AdminError::NotFound(format!("Organization={id} not found")))?;
        shown.push(whole(&allowed, &organization, Parts::All).await?);
    }
    for id in &body.organization_ids {
        allowed.store.delete_organization(&allowed.actor, id).await?;
    }
    Ok(Json(shown))
}

/// How much is told of an organization.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parts {
    /// Itself and its budget.
    Budget,
    /// Its members and teams too.
    All,
}

async fn whole(allowed: &Allowed, organization: &Organization, parts: Parts) -> Result<Value, AdminError> {
    let budget: Option<Budget> = match &organization.budget_id {
        Some(id) => allowed.store.budget(id).await?,
        None => None,
    };
    let mut shown = shown(organization, json!({ "litellm_budget_table": budget, "members": [], "teams": [] }));
    if parts == Parts::All {
        let id = &organization.organization_id;
        let filter = TeamFilter { organization_id: Some(id.clone()), ..TeamFilter::default() };
        let order = (TeamOrder::TeamAlias, Direction::Ascending);
        let teams = allowed.store.teams(&filter, order, PageOf::new(1, MAX_PAGE_SIZE)).await?.items;
        shown["teams"] = teams.iter().map(|team| terms::shown(team, json!({}))).collect();
        shown["members"] = json!(allowed.store.organization_members(id).await?);
    }
    Ok(shown)
}
