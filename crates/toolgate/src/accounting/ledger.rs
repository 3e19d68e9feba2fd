//! All accounts, by whose they are.
//!
//! They outlive the rows that are kept of callers: those are read again whenever something changes, and nobody's minute
//! begins anew by that.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use tokio::sync::Notify;
use toolgate_store::PayerKind;

use super::account::Account;

/// When something was read from the database, counted. What was asked for earlier is older, however late it comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reading(u64);

#[derive(Default)]
pub(super) struct Ledger {
    readings: AtomicU64,
    /// Held for single map operations, and for a sweep each minute.
    accounts: Mutex<HashMap<(PayerKind, Vec<String>), Arc<Account>>>,
    /// Told when a budget's period is seen to be over.
    pub(super) due: Notify,
}

impl Ledger {
    pub(super) fn reading(&self) -> Reading {
        Reading(self.readings.fetch_add(1, Ordering::SeqCst) + 1)
    }

    /// The account of this row, made when it is first asked for.
    pub(super) fn account(&self, kind: PayerKind, id: Vec<String>) -> Arc<Account> {
        let mut accounts = self.lock();
        let account =
            accounts.entry((kind, id)).or_insert_with_key(|(kind, id)| Arc::new(Account::new(*kind, id.clone())));
        Arc::clone(account)
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Arc<Account>> {
        self.lock().values().cloned().collect()
    }

    /// Forgets accounts that nobody refers to and that hold nothing.
    pub(super) fn sweep(&self, now: DateTime<Utc>) {
        self.lock().retain(|_, account| Arc::strong_count(account) > 1 || !account.is_idle(now));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(PayerKind, Vec<String>), Arc<Account>>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl Reading {
    pub(super) fn number(number: u64) -> Self {
        Self(number)
    }
}
