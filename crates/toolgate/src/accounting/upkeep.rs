//! Ends budgets' periods, and deletes calls that have been kept long enough. Every replica does both, and that some
//! other was faster does no harm.

use std::time::Duration;

use chrono::{DateTime, Utc};
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

pub(super) async fn run(accounting: Accounting, closing: CancellationToken) {
    let Some(journal) = &accounting.0.journal else { return };
    let store = &journal.store;
    let mut cleaned: Option<Instant> = None;
    loop {
        let work = async {
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
