//! Budgets that organizations, customers, projects, keys and memberships refer to.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::page::{Page, PageOf};
use crate::query::Where;
use crate::row::row;
use crate::{Actor, Noun, Store, StoreError};

row! {
    /// A budget. What is spent of it is counted at each who refers to it.
    pub struct Budget, BudgetChanges in Noun::Budget;
    id { budget_id }
    free {
        /// In USD per period.
        max_budget: Option<f64>,
        soft_budget: Option<f64>,
        max_parallel_requests: Option<i64>,
        tpm_limit: Option<i64>,
        rpm_limit: Option<i64>,
        tpd_limit: Option<i64>,
        model_max_budget: Option<Value>,
        /// LiteLLM's form: `30s`, `30m`, `24h`, `7d`, `1mo`.
        budget_duration: Option<String>,
        budget_reset_at: Option<DateTime<Utc>>,
        allowed_models: Vec<String>,
        temp_budget_increase: Option<f64>,
        temp_budget_expiry: Option<DateTime<Utc>>,
    }
}

impl Store {
    /// Keeps a new budget.
    pub async fn create_budget(&self, actor: &Actor, budget: Budget) -> Result<Budget, StoreError> {
        self.create(actor, budget).await
    }

    /// The budget with this id.
    pub async fn budget(&self, budget_id: &str) -> Result<Option<Budget>, StoreError> {
        self.get(&[budget_id]).await
    }

    /// These budgets, as far as they exist, by id.
    pub async fn budgets_by_id(&self, budget_ids: &[String]) -> Result<Vec<Budget>, StoreError> {
        let mut session = self.db().read().await?;
        let mut conditions = Where::new(&session);
        conditions.one_of("budget_id", Some(budget_ids));
        conditions.rows(&mut session, self.sealer(), "budget_id").await
    }

    /// A page of budgets, by id.
    pub async fn budgets(&self, page: PageOf) -> Result<Page<Budget>, StoreError> {
        let mut session = self.db().read().await?;
        let conditions = Where::new(&session);
        conditions.page_of_rows(&mut session, self.sealer(), "budget_id", page).await
    }

    /// Changes a budget.
    pub async fn update_budget(
        &self,
        actor: &Actor,
        budget_id: &str,
        changes: BudgetChanges,
    ) -> Result<Budget, StoreError> {
        self.change(actor, &[budget_id], changes).await
    }

    /// Deletes a budget. Who refers to it has none from then on. `None` when there was none.
    pub async fn delete_budget(&self, actor: &Actor, budget_id: &str) -> Result<Option<Budget>, StoreError> {
        self.remove(actor, &[budget_id]).await
    }
}
