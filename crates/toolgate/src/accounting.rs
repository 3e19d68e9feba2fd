//! What callers may use of their limits and budgets, what calls cost, and the log of calls.
//!
//! Nothing on the path of a call asks the database. An `account` is what one key, team, user,
//! organization, project or customer has used, in memory; [`Payers`] are the accounts of one caller, found when the
//! caller's rows are read. A call reserves what it will cost at each of them and settles when it has ended
//! ([`Charge`]). What was called is queued (`journal`) and written in batches (`writer`), which also learn there
//! what other replicas have written. With a Redis (`shared`), callers who have bounds ask it before each call, so that
//! limits hold over all replicas.
//!
//! Only tool calls count, as in LiteLLM: listing, prompts and resources are free of limits, and bounded by the `rpm` of
//! the server that they are sent to (`upstream`).

mod account;
mod charge;
mod journal;
mod ledger;
mod payers;
mod record;
mod refusal;
mod shape;
mod shared;
mod upkeep;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use tokio::sync::broadcast;
use toolgate_access::principal::Principal;
use toolgate_store::{SpendRow, Store};

use crate::config::Settings;
use crate::config::settings::{RedisSettings, SpendSettings};
use crate::telemetry::Metrics;
use journal::Journal;
use ledger::Ledger;
use shared::{Given, Shared};

pub use charge::{Charge, Ended};
pub use ledger::Reading;
pub use payers::Payers;
pub use record::{Call, Outcome};
pub use refusal::Refused;

/// What the time is.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// Accounts for calls. One per gateway; clones are one.
#[derive(Clone)]
pub struct Accounting(Arc<Parts>);

struct Parts {
    ledger: Ledger,
    /// `None` without a database: then there is nobody to account for but the holder of the master key.
    journal: Option<Journal>,
    /// `None` where each replica counts for itself.
    shared: Option<Shared>,
    settings: ArcSwap<SpendSettings>,
    clock: Clock,
    metrics: Metrics,
}

impl Accounting {
    /// Nothing has been called yet. What is called is kept in `store`.
    #[must_use]
    pub fn new(settings: SpendSettings, store: Option<Store>, metrics: &Metrics) -> Self {
        Self::with_clock(settings, store, metrics, Arc::new(Utc::now))
    }

    /// The same with another clock.
    #[must_use]
    pub fn with_clock(settings: SpendSettings, store: Option<Store>, metrics: &Metrics, clock: Clock) -> Self {
        Self(Arc::new(Parts {
            ledger: Ledger::default(),
            journal: store.map(Journal::new),
            shared: None,
            settings: ArcSwap::from_pointee(settings),
            clock,
            metrics: metrics.clone(),
        }))
    }

    /// The same, with limits and budgets counted for all replicas in this Redis.
    ///
    /// # Panics
    /// When it has been cloned already.
    #[must_use]
    pub fn shared_in(mut self, redis: Option<RedisSettings>) -> Self {
        let parts = Arc::get_mut(&mut self.0).expect("it has just been made");
        parts.shared = redis.map(Shared::new);
        self
    }

    /// Whether limits and budgets are counted for all replicas at the moment; `None` where nothing is said of a Redis.
    #[must_use]
    pub fn is_shared(&self) -> Option<bool> {
        self.0.shared.as_ref().map(Shared::is_up)
    }

    /// Other settings hold from now on.
    pub fn reloaded(&self, settings: &Settings) {
        self.0.settings.store(Arc::new(settings.general.spend.clone()));
    }

    /// To be asked for before rows are read: tells whether what they say was spent is newer than what is known.
    #[must_use]
    pub fn reading(&self) -> Reading {
        self.0.ledger.reading()
    }

    /// Who pays for what `principal` does, whose rows were read after `reading` was asked for.
    #[must_use]
    pub fn payers(&self, principal: &Principal, reading: Reading) -> Arc<Payers> {
        self.told(Payers::of(principal, &self.0.ledger, reading))
    }

    /// The same for a caller with `payers` who acts for the customer in `principal`; only the customer was read then.
    #[must_use]
    pub fn payers_with(&self, payers: &Payers, principal: &Principal, reading: Reading) -> Arc<Payers> {
        self.told(payers.for_customer(principal, &self.0.ledger, reading))
    }

    /// These, once those who share counts have heard what the database has.
    fn told(&self, payers: Payers) -> Arc<Payers> {
        if let Some(shared) = self.0.shared.as_ref().filter(|shared| shared.is_up()) {
            let news = payers.bounded.iter().filter_map(|bounded| {
                let spent = bounded.account.take_news()?;
                Some(Given { spent: Some(spent), ..Given::nothing(Arc::clone(&bounded.account)) })
            });
            shared.give(news.collect());
        }
        Arc::new(payers)
    }

    /// Begins a call; `None` where nothing is to be accounted for.
    ///
    /// # Errors
    /// [`Refused`] when a limit or budget is used up; then nothing is taken from any.
    pub async fn begin(&self, payers: &Arc<Payers>, call: &Call<'_>) -> Result<Option<Charge>, Refused> {
        if self.0.journal.is_none() && payers.are_unbounded() {
            return Ok(None);
        }
        match &self.0.shared {
            // In a box, since most calls need none of it.
            Some(shared) if !payers.are_unbounded() => {
                Box::pin(Charge::begin_shared(self, shared, payers, call)).await.map(Some)
            }
            Some(_) | None => Charge::begin(self, payers, call).map(Some),
        }
    }

    /// Calls as they are written down, from now on; who is slow misses some.
    #[must_use]
    pub fn calls(&self) -> Option<broadcast::Receiver<Arc<SpendRow>>> {
        self.0.journal.as_ref().map(Journal::subscribe)
    }

    /// Starts what runs beside: writing, ending periods, deleting old rows.
    pub fn start(&self) {
        if let Some(shared) = &self.0.shared {
            shared.start(self);
        }
        if let Some(journal) = &self.0.journal {
            journal.start(self);
        }
    }

    /// Writes what is still to be written, for at most `limit`, and ends what runs beside.
    pub async fn close(&self, limit: Duration) {
        if let Some(journal) = &self.0.journal {
            journal.close(limit).await;
        }
        if let Some(shared) = &self.0.shared {
            shared.close(limit).await;
        }
    }

    fn now(&self) -> DateTime<Utc> {
        (self.0.clock)()
    }
}

#[cfg(test)]
mod tests;
