//! Ends budgets' periods, and deletes calls that have been kept long enough. Every replica does both, and that some
//! other was faster does no harm.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use toolgate_store::{Store, StoreError};

use super::Accounting;

/// How often periods are looked at, beside when a call finds one over.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// However many calls find a period over, they are looked at no more often than this.
const NOT_BEFORE: Duration = Duration::from_secs(1);

/// Calls that one statement deletes, and statements of one run: what is left, the next run deletes.
const AT_ONCE: u32 = 1_000;
const STATEMENTS: u32 = 500;

/// How much faster than time the clock may be between two looks.
const LEAP: TimeDelta = TimeDelta::hours(1);

pub(super) async fn run(accounting: Accounting, closing: CancellationToken) {
    let Some(journal) = &accounting.0.journal else { return };
    let store = &journal.store;
    let mut cleaned: Option<Instant> = None;
    let mut seen = Seen::at(&accounting);
    loop {
        let work = async {
            if std::mem::replace(&mut seen, Seen::at(&accounting)).leapt_to(&seen) {
                tracing::warn!(
                    "the clock has leapt ahead; old calls are deleted from the log no sooner than after another interval"
                );
                cleaned = Some(seen.at);
            }
            match store.reset_budgets().await {
                Ok(0) => {}
                Ok(budgets) => tracing::info!(budgets, "budgets begin a new period"),
                Err(error) => tracing::warn!(%error, "budgets' periods could not be looked at"),
            }
            let settings = accounting.0.settings.load_full();
            if let Some(keep_for) = settings.keep_for
                && cleaned.is_none_or(|at| at.elapsed() >= settings.clean_every)
            {
                cleaned = Some(Instant::now());
                match clean(store, accounting.now() - keep_for).await {
                    Ok(0) => {}
                    Ok(calls) => tracing::info!(calls, "calls that were kept long enough are deleted from the log"),
                    Err(error) => tracing::warn!(%error, "old calls could not be deleted from the log"),
                }
            }
            accounting.0.ledger.sweep(accounting.now());
            tokio::time::sleep(NOT_BEFORE).await;
            wait(&accounting).await;
        };
        if closing.run_until_cancelled(work).await.is_none() {
            return;
        }
    }
}

/// What the clock said when it was looked at.
#[derive(Clone, Copy)]
struct Seen {
    at: Instant,
    clock: DateTime<Utc>,
}

impl Seen {
    fn at(accounting: &Accounting) -> Self {
        Self { at: Instant::now(), clock: accounting.now() }
    }

    /// Whether the clock has gained so much until `later` that what it says is old may be of today.
    fn leapt_to(self, later: &Self) -> bool {
        let passed = TimeDelta::from_std(later.at - self.at).unwrap_or(TimeDelta::MAX);
        later.clock - self.clock > passed.checked_add(&LEAP).unwrap_or(TimeDelta::MAX)
    }
}

async fn wait(accounting: &Accounting) {
    let due = accounting.0.ledger.due.notified();
    // That the time is over is as good a reason.
    let _ = tokio::time::timeout(LOOK_EVERY, due).await;
}

async fn clean(store: &Store, before: DateTime<Utc>) -> Result<u64, StoreError> {
    let mut deleted = 0;
    for _ in 0..STATEMENTS {
        let some = store.delete_spend_logs(before, AT_ONCE).await?;
        deleted += some;
        if some < u64::from(AT_ONCE) {
            break;
        }
        tokio::task::yield_now().await;
    }
    Ok(deleted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_leaps_ahead_is_noticed_and_one_that_goes_with_time_or_back_is_none() {
        let start = Seen { at: Instant::now(), clock: DateTime::UNIX_EPOCH };
        let cases = [(60, 60, false), (60, 3_600, false), (60, 3_661, true), (60, 86_400, true), (60, -86_400, false)];
        for (passed, gained, leapt) in cases {
            let later =
                Seen { at: start.at + Duration::from_secs(passed), clock: start.clock + TimeDelta::seconds(gained) };
            assert_eq!(start.leapt_to(&later), leapt, "{gained} s of clock in {passed} s");
        }
    }
}
