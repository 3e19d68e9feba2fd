//! Budget periods: when one ends, what was spent in it is forgotten and the next begins.

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::audit::Action;
use crate::cell::args;
use crate::edit::Edit;
use crate::row::{Row, object_id};
use crate::{Actor, Budget, Key, Store, StoreError, Team, User};

/// When the period after `now` ends, for a duration in LiteLLM's form; `None` for one that cannot be understood.
pub type NextReset = dyn Fn(&str, DateTime<Utc>) -> Option<DateTime<Utc>> + Send + Sync;

/// A row with a budget period of its own.
trait Periodic: Row {
    fn period(&mut self) -> Period<'_>;
}

struct Period<'a> {
    duration: Option<&'a String>,
    reset_at: &'a mut Option<DateTime<Utc>>,
    /// Nothing for a budget, which others spend.
    spend: Option<&'a mut f64>,
}

macro_rules! periodic {
    ($($row:ty),*) => {$(
        impl Periodic for $row {
            fn period(&mut self) -> Period<'_> {
                Period {
                    duration: self.budget_duration.as_ref(),
                    reset_at: &mut self.budget_reset_at,
                    spend: Some(&mut self.spend),
                }
            }
        }
    )*};
}

periodic! { Key, User, Team }

impl Periodic for Budget {
    fn period(&mut self) -> Period<'_> {
        Period { duration: self.budget_duration.as_ref(), reset_at: &mut self.budget_reset_at, spend: None }
    }
}

/// Tables whose rows spend of a budget that they refer to.
const SPENDERS: [&str; 5] = ["organizations", "organization_memberships", "team_memberships", "customers", "projects"];

/// How many rows one call looks at, of each kind.
const AT_ONCE: i64 = 500;

impl Store {
    /// Begins the next period of every budget whose period has ended; returns how many. It is safe to call this anywhere
    /// and at any time: a period that somebody else has ended is not due any more.
    pub async fn reset_budgets(&self, next: &NextReset) -> Result<usize, StoreError> {
        if !self.budgets_due().await? {
            return Ok(0);
        }
        let actor = Actor { changed_by: "budget reset".to_owned(), ..Actor::default() };
        let mut edit = self.edit(&actor).await?;
        let mut reset = due::<Key>(&mut edit, next).await?.len();
        reset += due::<User>(&mut edit, next).await?.len();
        reset += due::<Team>(&mut edit, next).await?.len();
        let budgets = due::<Budget>(&mut edit, next).await?;
        for budget_id in &budgets {
            reset_spenders(&mut edit, budget_id).await?;
        }
        edit.commit().await?;
        Ok(reset + budgets.len())
    }

    /// A look that takes no revision.
    async fn budgets_due(&self) -> Result<bool, StoreError> {
        let mut session = self.db().read().await?;
        for table in ["keys", "users", "teams", "budgets"] {
            let sql = format!("SELECT COUNT(*) FROM {table} WHERE budget_reset_at <= $1");
            if session.value::<i64>(sql, args![self.now()]).await?.unwrap_or_default() > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Ends the periods that are over; returns the ids.
async fn due<R: Periodic>(edit: &mut Edit<'_>, next: &NextReset) -> Result<Vec<String>, StoreError> {
    let now = edit.now;
    let tail = format!(
        "WHERE budget_reset_at <= $1 ORDER BY budget_reset_at LIMIT {AT_ONCE} {}",
        edit.session.dialect("", "FOR UPDATE")
    );
    let rows = edit.select::<R>(&tail, args![now]).await?;
    let mut ids = Vec::with_capacity(rows.len());
    for before in rows {
        let mut after = before.clone();
        let period = after.period();
        // Without a duration, or with one that nobody understands, there is no next period.
        *period.reset_at = period.duration.and_then(|duration| next(duration, now));
        if let Some(spend) = period.spend {
            *spend = 0.0;
        }
        edit.write(&before, after).await?;
        ids.push(object_id(&before));
    }
    Ok(ids)
}

async fn reset_spenders(edit: &mut Edit<'_>, budget_id: &str) -> Result<(), StoreError> {
    for table in SPENDERS {
        let sql = format!("UPDATE {table} SET spend = 0 WHERE budget_id = $1");
        edit.session.execute(sql, args![budget_id]).await?;
    }
    // A key with a period of its own keeps to that.
    let sql = "UPDATE keys SET spend = 0 WHERE budget_id = $1 AND budget_duration IS NULL";
    edit.session.execute(sql, args![budget_id]).await?;
    // Caches that hold what hangs on the budget go by the budget.
    let after = Some(json!({ "spend": 0.0 }));
    edit.log(crate::Noun::Budget, budget_id.to_owned(), Action::Updated, None, after).await
}
