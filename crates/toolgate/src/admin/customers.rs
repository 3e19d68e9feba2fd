//! `/customer/*`, also spelled `/end_user/*`: those for whom keys' holders make requests. LiteLLM:
//! `customer_endpoints.py`.

use axum::Json;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use toolgate_access::permission::ObjectPermissionUpdate;
use toolgate_store::{Budget, Customer, CustomerChanges, StoreError};

use super::body::{FieldError, JsonBody, QueryOf};
use super::budgets::Bounds;
use super::terms::{self, Sent, shown, value};
use super::{AdminError, Allowed};

/// Customers on a page: LiteLLM's usual and largest number.
const PAGE_SIZES: (u32, u32) = (50, 100);

/// The fields of a customer, as they are sent to make or change one.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CustomerBody {
    user_id: String,
    alias: Sent<String>,
    blocked: Option<bool>,
    spend: Option<f64>,
    allowed_model_region: Sent<String>,
    default_model: Sent<String>,
    models: Sent<Vec<String>>,
    object_permission: Option<ObjectPermissionUpdate>,
    budget_id: Sent<String>,
    max_budget: Sent<f64>,
    soft_budget: Sent<f64>,
    max_parallel_requests: Sent<i64>,
    tpm_limit: Sent<i64>,
    rpm_limit: Sent<i64>,
    budget_duration: Sent<String>,
}

impl CustomerBody {
    fn check(&self) -> Result<(), AdminError> {
        if self.user_id.is_empty() {
            return Err(FieldError::wrong("user_id", "it is needed, and not empty").into());
        }
        if value(&self.budget_id).is_some() && value(&self.max_budget).is_some() {
            return Err(FieldError::wrong("budget_id", "Set either 'max_budget' or 'budget_id', not both.").into());
        }
        terms::check_amount("spend", self.spend)
    }

    /// What is the budget's.
    fn bounds(&self) -> Bounds {
        Bounds {
            max_budget: self.max_budget,
            soft_budget: self.soft_budget,
            max_parallel_requests: self.max_parallel_requests,
            tpm_limit: self.tpm_limit,
            rpm_limit: self.rpm_limit,
            budget_duration: self.budget_duration.clone(),
            ..Bounds::default()
        }
    }
}

/// `POST /customer/new`
pub async fn new(allowed: Allowed, JsonBody(body): JsonBody<CustomerBody>) -> Result<Json<Value>, AdminError> {
    body.check()?;
    let user_id = body.user_id.clone();
    let object_permission = terms::permission(&allowed, None, body.object_permission.clone())?;
    if allowed.store.customer(&user_id).await?.is_some() {
        return Err(taken(&user_id));
    }
    let own = body.bounds().own()?;
    let customer = Customer {
        user_id: user_id.clone(),
        alias: value(&body.alias),
        spend: body.spend.unwrap_or_default(),
        allowed_model_region: value(&body.allowed_model_region),
        default_model: value(&body.default_model),
        models: value(&body.models).unwrap_or_default(),
        // Bounds beside it are a budget of the customer's own.
        budget_id: value(&body.budget_id).filter(|_| own.is_none()),
        blocked: body.blocked.unwrap_or_default(),
        object_permission: value(&object_permission),
        ..Customer::default()
    };
    match allowed.store.create_customer(&allowed.actor, customer, own).await {
        Ok(customer) => with_budget(&allowed, &customer).await,
        Err(StoreError::Conflict { .. }) => Err(taken(&user_id)),
        Err(why) => Err(why.into()),
    }
}

fn taken(user_id: &str) -> AdminError {
    AdminError::Taken(format!("Customer already exists, passed user_id={user_id}. Please pass a new user_id."))
}

fn absent(user_ids: &str) -> AdminError {
    AdminError::NotFound(format!("End User Id={user_ids} does not exist in db"))
}

/// `POST /customer/update`. Fields of a budget change the customer's own; one without any gets one.
pub async fn update(allowed: Allowed, JsonBody(body): JsonBody<CustomerBody>) -> Result<Json<Value>, AdminError> {
    body.check()?;
    let before = allowed.store.customer(&body.user_id).await?.ok_or_else(|| absent(&body.user_id))?;
    let object_permission =
        terms::permission(&allowed, before.object_permission.as_ref(), body.object_permission.clone())?;
    let own = body.bounds().own()?;
    let changes = CustomerChanges {
        alias: body.alias,
        spend: body.spend.into(),
        allowed_model_region: body.allowed_model_region,
        default_model: body.default_model,
        // LiteLLM's null leaves the list; only an empty one clears it.
        models: value(&body.models).into(),
        budget_id: body.budget_id,
        blocked: body.blocked.into(),
        object_permission,
    };
    let customer = allowed.store.update_customer(&allowed.actor, &body.user_id, changes, own).await?;
    with_budget(&allowed, &customer).await
}

/// The query of `/customer/info`.
#[derive(Deserialize, JsonSchema)]
pub struct Asked {
    end_user_id: String,
}

/// `GET /customer/info?end_user_id=`
pub async fn info(allowed: Allowed, QueryOf(query): QueryOf<Asked>) -> Result<Json<Value>, AdminError> {
    match allowed.store.customer_with_budget(&query.end_user_id).await? {
        Some((customer, budget)) => Ok(Json(of(&customer, budget.as_ref()))),
        None => Err(absent(&query.end_user_id)),
    }
}

/// The query of `/customer/list`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Listed {
    #[schemars(with = "Option<u32>")]
    page: Option<String>,
    #[schemars(with = "Option<u32>")]
    page_size: Option<String>,
}

/// `GET /customer/list`: a page, by id.
pub async fn list(allowed: Allowed, QueryOf(query): QueryOf<Listed>) -> Result<Json<Vec<Value>>, AdminError> {
    let (usual, max) = PAGE_SIZES;
    let page = terms::page_of(query.page.as_deref(), query.page_size.as_deref(), usual, max)?;
    let customers = allowed.store.customers(page).await?.items;
    let ids: Vec<_> = customers.iter().filter_map(|customer| customer.budget_id.clone()).collect();
    let budgets = if ids.is_empty() { Vec::new() } else { allowed.store.budgets_by_id(&ids).await? };
    let budget = |customer: &Customer| {
        let id = customer.budget_id.as_ref()?;
        budgets.iter().find(|budget| &budget.budget_id == id)
    };
    Ok(Json(customers.iter().map(|customer| of(customer, budget(customer))).collect()))
}

/// A body that names customers.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "CustomersNamed")]
pub struct Named {
    user_ids: Vec<String>,
}

/// `POST /customer/delete`: all of them, or none if one is not there.
pub async fn delete(allowed: Allowed, JsonBody(body): JsonBody<Named>) -> Result<Json<Value>, AdminError> {
    if body.user_ids.is_empty() {
        return Err(FieldError::wrong("user_ids", "it names nobody").into());
    }
    let mut missing = Vec::new();
    for user_id in &body.user_ids {
        if allowed.store.customer(user_id).await?.is_none() {
            missing.push(user_id.as_str());
        }
    }
    if !missing.is_empty() {
        return Err(AdminError::NotFound(format!("End User Id(s)={} do not exist in db", missing.join(", "))));
    }
    let deleted = allowed.store.delete_customers(&allowed.actor, &body.user_ids).await?;
    let names: Vec<_> = body.user_ids.iter().map(|id| format!("'{id}'")).collect();
    let message = format!("Successfully deleted customers with ids: [{}]", names.join(", "));
    Ok(Json(json!({ "deleted_customers": deleted.len(), "message": message })))
}

/// `POST /customer/block`: who is not known yet is made known.
pub async fn block(allowed: Allowed, JsonBody(body): JsonBody<Named>) -> Result<Json<Value>, AdminError> {
    let blocked = allowed.store.set_customers_blocked(&allowed.actor, &body.user_ids, true).await?;
    let blocked: Vec<_> = blocked.iter().map(|customer| of(customer, None)).collect();
    Ok(Json(json!({ "blocked_users": blocked })))
}

/// `POST /customer/unblock`: LiteLLM's answer tells who is still blocked of those that were named, which is nobody.
pub async fn unblock(allowed: Allowed, JsonBody(body): JsonBody<Named>) -> Result<Json<Value>, AdminError> {
    let after = allowed.store.set_customers_blocked(&allowed.actor, &body.user_ids, false).await?;
    let still: Vec<_> = after.iter().filter(|customer| customer.blocked).map(|customer| &customer.user_id).collect();
    Ok(Json(json!({ "blocked_users": still })))
}

async fn with_budget(allowed: &Allowed, customer: &Customer) -> Result<Json<Value>, AdminError> {
    let budget = match &customer.budget_id {
        Some(id) => allowed.store.budget(id).await?,
        None => None,
    };
    Ok(Json(of(customer, budget.as_ref())))
}

fn of(customer: &Customer, budget: Option<&Budget>) -> Value {
    shown(customer, json!({ "litellm_budget_table": budget }))
}
