//! Budget periods: when one ends, what was spent in it is forgotten and the next begins.

use chrono::{DateTime, Utc};
use serde_json::json;
use toolgate_access::limits::period::{Period, Turn, turn};

use crate::audit::Action;
use crate::cell::{Arg, Cell, Kind, args};
use crate::edit::Edit;
use crate::row::{Row, object_id};
use crate::{Actor, Budget, Key, Noun, Store, StoreError, Team, User};

/// A row with a budget period of its own.
trait Periodic: Row {
    fn reset_at(&mut self) -> &mut Option<DateTime<Utc>>;
    /// Forgets what was spent, if it is counted here.
    fn forget_spend(&mut self);
}

macro_rules! periodic {
    ($($row:ty),*) => {$(
        impl Periodic for $row {
            fn reset_at(&mut self) -> &mut Option<DateTime<Utc>> {
                &mut self.budget_reset_at
            }
            fn forget_spend(&mut self) {
                self.spend = 0.0;
            }
        }
    )*};
}

periodic! { Key, User, Team }

impl Periodic for Budget {
    fn reset_at(&mut self) -> &mut Option<DateTime<Utc>> {
        &mut self.budget_reset_at
    }
    /// It is spent by those who refer to it.
    fn forget_spend(&mut self) {}
}

/// Tables whose rows spend of a budget that they refer to.
const SPENDERS: [&str; 5] = ["organizations", "organization_memberships", "team_memberships", "customers", "projects"];

/// How many rows of a kind and a duration one transaction takes.
const AT_ONCE: i64 = 200;

/// The periods that rows of a table have, with when one ends that lasts now.
type Periods = Vec<(String, Period)>;

impl Store {
    /// Begins the next period of every budget whose period has ended; returns how many. It is safe to call this anywhere
    /// and at any time: a period that somebody else has ended is not due any more.
    ///
    /// A period that would end later than it can (the clock was ahead when it began) ends when one does that begins now,
    /// so a clock that jumps neither forgives anything twice nor holds a budget for ever.
    pub async fn reset_budgets(&self) -> Result<usize, StoreError> {
        let mut reset = self.reset_table::<Key>().await?;
        reset += self.reset_table::<User>().await?;
        reset += self.reset_table::<Team>().await?;
        Ok(reset + self.reset_table::<Budget>().await?)
    }

    async fn reset_table<R: Periodic>(&self) -> Result<usize, StoreError> {
        let mut reset = 0;
        for (duration, period) in self.periods::<R>().await? {
            // Looking takes no revision, and mostly there is nothing to be done.
            while self.count_due::<R>(&duration, period).await? > 0 {
                reset += self.turn_some::<R>(&duration, period).await?;
            }
        }
        Ok(reset)
    }

    async fn periods<R: Row>(&self) -> Result<Periods, StoreError> {
        let sql = format!("SELECT DISTINCT budget_duration FROM {} WHERE budget_duration IS NOT NULL", R::NOUN.table());
        let rows = self.db().read().await?.rows(sql, args![], vec![Kind::Text]).await?;
        // A duration that nobody understands has no end.
        let read = |cell| match cell {
            Cell::Text(duration) => duration.parse().ok().map(|period| (duration, period)),
            _ => None,
        };
        Ok(rows.into_iter().flatten().filter_map(read).collect())
    }

    async fn count_due<R: Row>(&self, duration: &str, period: Period) -> Result<i64, StoreError> {
        let sql = format!("SELECT COUNT(*) FROM {} {DUE}", R::NOUN.table());
        let count = self.db().read().await?.value(sql, due_args(duration, period, self.now())).await?;
        Ok(count.unwrap_or_default())
    }

    async fn turn_some<R: Periodic>(&self, duration: &str, period: Period) -> Result<usize, StoreError> {
        let actor = Actor { changed_by: "budget reset".to_owned(), ..Actor::default() };
        let mut edit = self.edit(&actor).await?;
        let lock = edit.session.dialect("", "FOR UPDATE");
        let now = edit.now;
        let tail = format!("{DUE} LIMIT {AT_ONCE} {lock}");
        let mut reset = 0;
        for before in edit.select::<R>(&tail, due_args(duration, period, now)).await? {
            let mut after = before.clone();
            match turn(period, *after.reset_at(), now) {
                Turn::GoesOn => continue,
                Turn::EndsSooner(end) => *after.reset_at() = Some(end),
                Turn::BeginsAnew(end) => {
                    *after.reset_at() = Some(end);
                    after.forget_spend();
                    reset += 1;
                    if R::NOUN == Noun::Budget {
                        reset_spenders(&mut edit, &object_id(&before)).await?;
                    }
                }
            }
            edit.write(&before, after).await?;
        }
        edit.commit().await?;
        Ok(reset)
    }
}

/// Rows of one duration that [`turn`] does something about.
const DUE: &str =
    "WHERE budget_duration = $1 AND (budget_reset_at IS NULL OR budget_reset_at <= $2 OR budget_reset_at > $3)";

fn due_args(duration: &str, period: Period, now: DateTime<Utc>) -> Vec<Arg> {
    args![duration, now, period.next_reset(now)]
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
    edit.log(Noun::Budget, budget_id.to_owned(), Action::Updated, None, after).await
}
