//! Customers, whom requests name as those for whom they are made: looked up, remembered, and joined to the key's rows.
//!
//! A customer only narrows what a key reaches. Where no customer is kept and no setting asks for one, nothing here is
//! asked: requests do not pay for what nobody uses.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use moka::future::Cache;
use toolgate_access::principal::{CustomerFacts, Principal};
use toolgate_store::{PageOf, Store, StoreError, customer_facts};

use super::known::Held;
use super::world::Reach;
use crate::accounting::{Accounting, Reading};
use crate::auth::Who;

/// Customers remembered at once, those without a row too: requests may name anybody.
const MAX_CUSTOMERS: u64 = 100_000;

/// Pairs of a key and a customer remembered at once.
const MAX_PAIRS: u64 = 20_000;

/// All customers that were named.
pub(super) struct Customers {
    any: AtomicBool,
    found: Cache<Arc<str>, Found>,
    /// What callers reach for customers. A caller is known by its rows: other rows make another pair.
    joined: Cache<(Arc<str>, Arc<str>), Arc<Joined>>,
    /// How often something was forgotten: what was read before is not kept after it.
    forgotten: AtomicU64,
    accounting: Accounting,
}

/// A customer's row as it was read.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) facts: Arc<CustomerFacts>,
    reading: Reading,
}

/// A caller who acts for a customer.
struct Joined {
    caller: Arc<Principal>,
    customer: Arc<CustomerFacts>,
    held: Held,
}

impl Customers {
    /// With a database there may be some, until it has been asked.
    pub(super) fn none(with_database: bool, accounting: &Accounting) -> Self {
        Self {
            any: AtomicBool::new(with_database),
            found: Cache::builder().max_capacity(MAX_CUSTOMERS).build(),
            joined: Cache::builder().max_capacity(MAX_PAIRS).build(),
            forgotten: AtomicU64::new(0),
            accounting: accounting.clone(),
        }
    }

    /// Whether there is any customer.
    pub(super) fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// Reads again whether there is any.
    pub(super) async fn count(&self, store: &Store) -> Result<(), StoreError> {
        let any = store.customers(PageOf::new(1, 1)).await?.total > 0;
        self.any.store(any, Ordering::Relaxed);
        Ok(())
    }

    /// The customer of this id, with or without a row.
    pub(super) async fn find(&self, store: Option<&Store>, id: &str) -> Result<Found, Arc<StoreError>> {
        let reading = self.accounting.reading();
        let Some(store) = store.filter(|_| self.any()) else {
            return Ok(Found { facts: Arc::new(CustomerFacts::new(id)), reading });
        };
        loop {
            let before = self.forgotten.load(Ordering::SeqCst);
            let found = self.found.try_get_with(Arc::from(id), read(store, id, reading)).await?;
            if self.forgotten.load(Ordering::SeqCst) == before {
                return Ok(found);
            }
            // It may have been read before the change that something was just forgotten for, and kept after.
            self.found.invalidate(id).await;
        }
    }

    /// `who` together with the customer, and what they reach.
    pub(super) async fn join(&self, who: Who, customer: Found, reach: &Arc<Reach>, from: Option<IpAddr>) -> Who {
        let Found { facts, reading } = customer;
        let pair = (Arc::from(who.id.as_str()), Arc::from(facts.user_id.as_str()));
        let kept = self.joined.get(&pair).await;
        let is_current = |kept: &Arc<Joined>| Arc::ptr_eq(&kept.caller, &who.principal) && kept.customer == facts;
        let joined = match kept.filter(is_current) {
            Some(joined) => joined,
            None => {
                let both = Principal { customer: Some((*facts).clone()), ..(*who.principal).clone() };
                // What the caller's rows say was spent is known already, and may be older than the customer's.
                let payers = self.accounting.payers_with(&who.payers, &both, reading);
                let held = Held::new(both, payers);
                let joined = Arc::new(Joined { caller: who.principal, customer: facts, held });
                self.joined.insert(pair, Arc::clone(&joined)).await;
                joined
            }
        };
        joined.held.who(who.id, reach, from)
    }

    /// Nothing is known of this customer any more.
    pub(super) async fn forget(&self, id: &str) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.found.invalidate(id).await;
    }

    /// Nothing is known of any customer any more.
    pub(super) fn forget_all(&self) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.found.invalidate_all();
        self.joined.invalidate_all();
    }
}

async fn read(store: &Store, id: &str, reading: Reading) -> Result<Found, StoreError> {
    let row = store.customer_with_budget(id).await?;
    let facts = Arc::new(match row {
        Some((customer, budget)) => customer_facts(&customer, budget.as_ref()),
        None => CustomerFacts::new(id),
    });
    Ok(Found { facts, reading })
}
