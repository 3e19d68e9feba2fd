//! `/budget/*`: budgets that others refer to by id. LiteLLM: `budget_management_endpoints.py`.

use axum::Json;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use toolgate_store::{Budget, BudgetChanges, Change, OwnBudget, PageOf, StoreError};

use super::body::{JsonBody, QueryOf};
use super::terms::{self, Sent, value};
use super::{AdminError, Allowed};

/// The fields of a budget, as they are sent to make or change one.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BudgetBody {
    budget_id: Option<String>,
    max_budget: Sent<f64>,
    soft_budget: Sent<f64>,
    max_parallel_requests: Sent<i64>,
    tpm_limit: Sent<i64>,
    rpm_limit: Sent<i64>,
    tpd_limit: Sent<i64>,
    budget_duration: Sent<String>,
    model_max_budget: Sent<Value>,
    budget_reset_at: Sent<DateTime<Utc>>,
}

impl BudgetBody {
    /// A time that is sent for the next reset holds; else it follows from the duration.
    fn changes(self) -> Result<BudgetChanges, AdminError> {
        let sent = self.budget_reset_at;
        let bounds = Bounds {
            max_budget: self.max_budget,
            soft_budget: self.soft_budget,
            max_parallel_requests: self.max_parallel_requests,
            tpm_limit: self.tpm_limit,
            rpm_limit: self.rpm_limit,
            tpd_limit: self.tpd_limit,
            model_max_budget: self.model_max_budget,
            budget_duration: self.budget_duration,
        };
        let changes = bounds.changes()?;
        Ok(if sent == Change::Keep { changes } else { BudgetChanges { budget_reset_at: sent, ..changes } })
    }
}

/// The fields of a body that are kept in a budget, whosever the body is.
#[derive(Default, PartialEq)]
pub(super) struct Bounds {
    pub max_budget: Sent<f64>,
    pub soft_budget: Sent<f64>,
    pub max_parallel_requests: Sent<i64>,
    pub tpm_limit: Sent<i64>,
    pub rpm_limit: Sent<i64>,
    pub tpd_limit: Sent<i64>,
    pub model_max_budget: Sent<Value>,
    pub budget_duration: Sent<String>,
}

impl Bounds {
    /// Whether any was sent.
    pub(super) fn is_sent(&self) -> bool {
        *self != Self::default()
    }

    /// The bounds, as far as they were sent, as changes to a budget.
    ///
    /// # Errors
    /// [`AdminError`] for an amount, limit or duration that is none.
    pub(super) fn changes(self) -> Result<BudgetChanges, AdminError> {
        terms::check_amount("max_budget", value(&self.max_budget))?;
        terms::check_amount("soft_budget", value(&self.soft_budget))?;
        let limits = [
            ("max_parallel_requests", &self.max_parallel_requests),
            ("tpm_limit", &self.tpm_limit),
            ("rpm_limit", &self.rpm_limit),
            ("tpd_limit", &self.tpd_limit),
        ];
        for (field, limit) in limits {
            terms::check_limit(field, value(limit))?;
        }
        Ok(BudgetChanges {
            max_budget: self.max_budget,
            soft_budget: self.soft_budget,
            max_parallel_requests: self.max_parallel_requests,
            tpm_limit: self.tpm_limit,
            rpm_limit: self.rpm_limit,
            tpd_limit: self.tpd_limit,
            model_max_budget: self.model_max_budget,
            budget_reset_at: terms::changed_reset(&self.budget_duration)?,
            budget_duration: self.budget_duration,
            ..BudgetChanges::default()
        })
    }

    /// The bounds for the budget of a row; `None` when none were sent.
    pub(super) fn own(self) -> Result<Option<OwnBudget>, AdminError> {
        if !self.is_sent() {
            return Ok(None);
        }
        self.always_own().map(Some)
    }

    /// The same for a row that has a budget in any case.
    pub(super) fn always_own(self) -> Result<OwnBudget, AdminError> {
        Ok(OwnBudget { new_id: terms::new_id(), changes: self.changes()? })
    }
}

/// `POST /budget/new`
pub async fn new(allowed: Allowed, JsonBody(body): JsonBody<BudgetBody>) -> Result<Json<Budget>, AdminError> {
    let budget_id = body.budget_id.clone().unwrap_or_else(terms::new_id);
    let budget = OwnBudget { new_id: budget_id.clone(), changes: body.changes()? }.made();
    match allowed.store.create_budget(&allowed.actor, budget).await {
        Ok(budget) => Ok(Json(budget)),
        Err(StoreError::Conflict { .. }) => {
            Err(AdminError::Taken(format!("Budget with id '{budget_id}' already exists.")))
        }
        Err(why) => Err(why.into()),
    }
}

/// `POST /budget/update`
pub async fn update(allowed: Allowed, JsonBody(body): JsonBody<BudgetBody>) -> Result<Json<Budget>, AdminError> {
    let budget_id = body.budget_id.clone().ok_or_else(|| AdminError::Invalid("budget_id is required".to_owned()))?;
    Ok(Json(allowed.store.update_budget(&allowed.actor, &budget_id, body.changes()?).await?))
}

/// The body of `/budget/info`.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "BudgetsNamed")]
pub struct Asked {
    budgets: Vec<String>,
}

/// `POST /budget/info`: those of the budgets that there are.
pub async fn info(allowed: Allowed, JsonBody(body): JsonBody<Asked>) -> Result<Json<Vec<Budget>>, AdminError> {
    if body.budgets.is_empty() {
        return Err(AdminError::Invalid("Specify list of budget id's to query. Passed in=[]".to_owned()));
    }
    Ok(Json(allowed.store.budgets_by_id(&body.budgets).await?))
}

/// The query of `/budget/list`: LiteLLM has no pages here, so all budgets come where none is asked for.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Listed {
    #[schemars(with = "Option<u32>")]
    page: Option<String>,
    #[schemars(with = "Option<u32>")]
    page_size: Option<String>,
}

/// `GET /budget/list`
pub async fn list(allowed: Allowed, QueryOf(query): QueryOf<Listed>) -> Result<Json<Vec<Budget>>, AdminError> {
    const SIZE: u32 = toolgate_store::MAX_PAGE_SIZE;
    let first = terms::page_of(query.page.as_deref(), query.page_size.as_deref(), SIZE, SIZE)?;
    let mut page = allowed.store.budgets(first).await?;
    let mut budgets = std::mem::take(&mut page.items);
    if query.page.is_none() && query.page_size.is_none() {
        for number in 2..=u32::try_from(page.pages()).unwrap_or(u32::MAX) {
            budgets.extend(allowed.store.budgets(PageOf::new(number, SIZE)).await?.items);
        }
    }
    Ok(Json(budgets))
}

/// The body of `/budget/delete`.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "BudgetDeleted")]
pub struct Deleted {
    id: String,
}

/// `POST /budget/delete`
pub async fn delete(allowed: Allowed, JsonBody(body): JsonBody<Deleted>) -> Result<Json<Budget>, AdminError> {
    let deleted = allowed.store.delete_budget(&allowed.actor, &body.id).await?;
    deleted.map(Json).ok_or_else(|| AdminError::NotFound(format!("Budget with id '{}' does not exist.", body.id)))
}
