//! Keys that were looked up, with their rows.

use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use moka::future::Cache;
use toolgate_access::grant::Grant;
use toolgate_access::key::KeyHash;
use toolgate_access::principal::{Credential, Principal};
use toolgate_store::{Revision, Store, StoreError};

use super::NotLetIn;
use super::world::{Reach, place_index};
use crate::accounting::{Accounting, Payers};
use crate::auth::{CallerId, Who};

/// Keys remembered at once, unknown ones too.
const MAX_KEYS: u64 = 100_000;

/// How long an unknown key is remembered as such. One that is made meanwhile is told of by the database.
const UNKNOWN_FOR: Duration = Duration::from_secs(10);

/// All keys that were looked up.
pub(super) struct KnownKeys {
    found: Cache<KeyHash, Arc<KnownKey>>,
    unknown: Cache<KeyHash, Revision>,
    /// Counts how often something was forgotten. What was read before may be older than that, however late it comes.
    forgotten: AtomicU64,
    /// What was read before this revision is not good any more, whichever key's it is.
    good_from: AtomicI64,
    /// When the database last said what has changed.
    confirmed: RwLock<Instant>,
    /// How long keys that are known work on while the database does not answer.
    without_database: Duration,
    accounting: Accounting,
}

/// A key with its rows.
pub(super) struct KnownKey {
    hash: KeyHash,
    held: Held,
    /// The rows have every change up to this one; perhaps later ones too.
    read_at: Revision,
}

/// Somebody's rows, with what they reach and who pays.
pub(super) struct Held {
    principal: Arc<Principal>,
    payers: Arc<Payers>,
    /// What is reached from internal addresses and from others, in the state of the world that it was worked out in.
    grants: Mutex<[Option<(Weak<Reach>, Arc<Grant>)>; 2]>,
}

impl KnownKeys {
    pub(super) fn none(without_database: Duration, accounting: &Accounting) -> Self {
        Self {
            found: Cache::builder().max_capacity(MAX_KEYS).build(),
            unknown: Cache::builder().max_capacity(MAX_KEYS).time_to_live(UNKNOWN_FOR).build(),
            forgotten: AtomicU64::new(0),
            good_from: AtomicI64::new(Revision::MIN),
            confirmed: RwLock::new(Instant::now()),
            without_database,
            accounting: accounting.clone(),
        }
    }

    /// The key with this hash, if it is remembered and what is remembered can be relied on.
    pub(super) async fn known(&self, hash: &KeyHash) -> Option<Arc<KnownKey>> {
        if !self.is_fresh() {
            return None;
        }
        let good_from = self.good_from.load(Ordering::SeqCst);
        self.found.get(hash).await.filter(|known| known.read_at >= good_from)
    }

    /// The key with this hash; `None` when there is none.
    pub(super) async fn find(&self, store: &Store, hash: KeyHash) -> Result<Option<Arc<KnownKey>>, NotLetIn> {
        if !self.is_fresh() {
            return Err(NotLetIn::Unavailable(None));
        }
        if let Some(known) = self.known(&hash).await {
            return Ok(Some(known));
        }
        let good_from = self.good_from.load(Ordering::SeqCst);
        if self.unknown.get(&hash).await.is_some_and(|read_at| read_at >= good_from) {
            return Ok(None);
        }
        // What is still kept was read too early.
        self.found.invalidate(&hash).await;
        loop {
            let forgotten = self.forgotten.load(Ordering::SeqCst);
            let read_at = *store.changes().borrow();
            let read = async { read(store, hash, read_at, &self.accounting).await.map_err(Some)?.ok_or(None) };
            let read = self.found.try_get_with(hash, read);
            let found = match read.await.map_err(|why| (*why).clone()) {
                Ok(known) => Some(known),
                Err(None) => {
                    self.unknown.insert(hash, read_at).await;
                    None
                }
                Err(Some(why)) => return Err(NotLetIn::Unavailable(Some(why))),
            };
            if self.forgotten.load(Ordering::SeqCst) == forgotten {
                return Ok(found);
            }
            // It may have been read before the change that something was just forgotten for, and kept after.
            self.found.invalidate(&hash).await;
            self.unknown.invalidate(&hash).await;
        }
    }

    /// This key was changed by one of the changes up to `revision`: what was read before is not good any more. What was
    /// read since has the change, and stays: a database that is lost right after one must leave it usable.
    pub(super) async fn forget(&self, hash: &KeyHash, revision: Revision) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        if self.found.get(hash).await.is_some_and(|known| known.read_at < revision) {
            self.found.invalidate(hash).await;
        }
        if self.unknown.get(hash).await.is_some_and(|read_at| read_at < revision) {
            self.unknown.invalidate(hash).await;
        }
    }

    /// Any key may have been changed by one of the changes up to `revision`.
    pub(super) fn forget_older(&self, revision: Revision) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.good_from.fetch_max(revision, Ordering::SeqCst);
    }

    /// Nothing is known of any key any more: revisions count anew.
    pub(super) fn forget_all(&self) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.good_from.store(Revision::MIN, Ordering::SeqCst);
        self.found.invalidate_all();
        self.unknown.invalidate_all();
    }

    /// What is known is what the database says.
    pub(super) fn confirm(&self) {
        *self.confirmed.write().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// As if the database had not answered for as long as that is borne.
    #[cfg(test)]
    pub(super) fn lose(&self) {
        let then = Instant::now().checked_sub(self.without_database).expect("the machine runs for longer");
        *self.confirmed.write().unwrap_or_else(PoisonError::into_inner) = then;
    }

    pub(super) fn is_fresh(&self) -> bool {
        self.confirmed.read().unwrap_or_else(PoisonError::into_inner).elapsed() < self.without_database
    }
}

async fn read(
    store: &Store,
    hash: KeyHash,
    read_at: Revision,
    accounting: &Accounting,
) -> Result<Option<Arc<KnownKey>>, Arc<StoreError>> {
    let reading = accounting.reading();
    let Some(found) = store.authorization(&hash).await.map_err(Arc::new)? else { return Ok(None) };
    let principal = found.principal().map_err(Arc::new)?;
    let payers = accounting.payers(&principal, reading);
    let held = Held::new(principal, payers);
    Ok(Some(Arc::new(KnownKey { hash, held, read_at })))
}

impl KnownKey {
    pub(super) fn principal(&self) -> &Principal {
        &self.held.principal
    }

    pub(super) fn allowed_routes(&self) -> &[String] {
        match &self.principal().credential {
            Credential::Key(key) => &key.allowed_routes,
            Credential::Master | Credential::Token(_) | Credential::Session(_) | Credential::Anonymous => &[],
        }
    }

    /// The holder, calling from `from`.
    pub(super) fn who(&self, reach: &Arc<Reach>, from: Option<IpAddr>) -> Who {
        self.held.who(CallerId::of_key(&self.hash), reach, from)
    }
}

impl Held {
    pub(super) fn new(principal: Principal, payers: Arc<Payers>) -> Self {
        Self { principal: Arc::new(principal), payers, grants: Mutex::default() }
    }

    /// Whoever it is, as a caller from `from`.
    pub(super) fn who(&self, id: CallerId, reach: &Arc<Reach>, from: Option<IpAddr>) -> Who {
        let (principal, payers) = (Arc::clone(&self.principal), Arc::clone(&self.payers));
        Who { id, principal, grant: self.grant(reach, from), payers }
    }

    pub(super) fn principal(&self) -> &Principal {
        &self.principal
    }

    /// What is reached from `from`.
    fn grant(&self, reach: &Arc<Reach>, from: Option<IpAddr>) -> Arc<Grant> {
        let place = reach.place_of(from);
        let mut grants = self.grants.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = &mut grants[place_index(place)];
        if let Some((of, grant)) = kept
            && std::ptr::eq(of.as_ptr(), Arc::as_ptr(reach))
        {
            return Arc::clone(grant);
        }
        let grant = Arc::new(reach.compile(&self.principal, &place.into()));
        *kept = Some((Arc::downgrade(reach), Arc::clone(&grant)));
        grant
    }
}

#[cfg(test)]
mod tests;
