//! Budgets that organizations, customers, projects, keys and memberships refer to.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::edit::Edit;
use crate::page::{Page, PageOf};
use crate::query::Where;
use crate::row::{ChangesOf, Row, row};
use crate::{Actor, Customer, Noun, Organization, OrganizationMembership, Project, Store, StoreError, TeamMembership};

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

/// Bounds that are sent with a row: they are kept in its budget, in the same transaction as the row.
#[derive(Debug, Clone)]
pub struct OwnBudget {
    /// The id of a new budget, which the row gets when it refers to none.
    pub new_id: String,
    /// The bounds.
    pub changes: BudgetChanges,
}

impl OwnBudget {
    /// The budget that the bounds make of nothing.
    #[must_use]
    pub fn made(self) -> Budget {
        let mut budget = Budget { budget_id: self.new_id, ..Budget::default() };
        self.changes.apply(&mut budget);
        budget
    }
}

/// A row that refers to a budget.
pub(crate) trait Bounded: Row {
    fn budget_id(&mut self) -> &mut Option<String>;
}

macro_rules! bounded {
    ($($row:ty),+ $(,)?) => {
        $(impl Bounded for $row {
            fn budget_id(&mut self) -> &mut Option<String> {
                &mut self.budget_id
            }
        })+
    };
}

bounded! { Customer, Organization, OrganizationMembership, Project, TeamMembership }

impl Edit<'_> {
    /// Keeps a new row that has, or gets, a budget.
    pub(crate) async fn insert_bounded<R: Bounded>(
        &mut self,
        mut row: R,
        own: Option<OwnBudget>,
    ) -> Result<R, StoreError> {
        self.bound(row.budget_id(), own).await?;
        self.insert(row).await
    }

    /// Writes a row as it is `after`, with the bounds that were sent for it.
    pub(crate) async fn write_bounded<R: Bounded>(
        &mut self,
        before: &R,
        mut after: R,
        own: Option<OwnBudget>,
    ) -> Result<R, StoreError> {
        if own.is_some() || after.budget_id() != before.clone().budget_id() {
            self.bound(after.budget_id(), own).await?;
        }
        self.write(before, after).await
    }

    /// Gives bounds, if there are any, to the budget that is named, or to a new one, which is named then.
    async fn bound(&mut self, budget_id: &mut Option<String>, own: Option<OwnBudget>) -> Result<(), StoreError> {
        match (&*budget_id, own) {
            (None, None) => {}
            (None, Some(own)) => *budget_id = Some(self.insert(own.made()).await?.budget_id),
            (Some(id), own) => {
                self.change::<Budget>(&[id], own.map(|own| own.changes).unwrap_or_default()).await?;
            }
        }
        Ok(())
    }
}

impl Store {
    /// Keeps a new row and the bounds that were sent for it, in one transaction.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the budget that the row refers to is not there.
    pub(crate) async fn create_bounded<R: Bounded>(
        &self,
        actor: &Actor,
        row: R,
        own: Option<OwnBudget>,
    ) -> Result<R, StoreError> {
        Box::pin(async move {
            let mut edit = self.edit(actor).await?;
            let row = edit.insert_bounded(row, own).await?;
            edit.commit().await?;
            Ok(row)
        })
        .await
    }

    /// Changes a row and the bounds that were sent for it, in one transaction.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the row, or the budget that it is to refer to, is not there.
    pub(crate) async fn change_bounded<R: Bounded>(
        &self,
        actor: &Actor,
        id: &[&str],
        changes: impl ChangesOf<R>,
        own: Option<OwnBudget>,
    ) -> Result<R, StoreError> {
        Box::pin(async move {
            let mut edit = self.edit(actor).await?;
            let before = edit.existing::<R>(id).await?;
            let mut after = before.clone();
            changes.apply(&mut after);
            let row = edit.write_bounded(&before, after, own).await?;
            edit.commit().await?;
            Ok(row)
        })
        .await
    }

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
