//! Whose a key is, and what its holder reaches.
//!
//! Keys live in the database (`toolgate_store`); what they may reach is worked out by `toolgate_access` from the rows
//! that hang on them and from what there is to be reached (`world`). Both are kept here, so that a request of a known
//! key asks no database: `known` keeps the rows of each key, and `feed` drops them when the database says that they
//! changed. The master key needs neither. Whom a request is made for (`customers`) narrows what its key reaches.

mod customers;
mod explaining;
mod feed;
mod jwks;
mod known;
mod refusals;
mod tokens;
mod toolsets;
pub mod vaults;
mod world;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use toolgate_access::grant::Grant;
use toolgate_access::issue::{Giver, IssueError};
use toolgate_access::key::{KeyHash, VirtualKey};
use toolgate_access::permission::ObjectPermission;
use toolgate_access::world::World;
use toolgate_access::{routes, standing};
use toolgate_store::{Store, StoreError};

use crate::accounting::{Accounting, Payers};
use crate::auth::{CallerId, Who};
use crate::config::Settings;
use customers::Customers;
use known::KnownKeys;
use refusals::Refusals;
use tokens::Tokens;
use toolsets::ToolsetGrants;
use vaults::Vaults;
use world::Reach;

pub use explaining::CalledAt;
pub use feed::follow;
pub use refusals::tell as tell_of_refusals;
pub use tokens::Bearer;

/// Why nobody is let in with a key.
#[derive(Debug, thiserror::Error)]
pub enum NotLetIn {
    /// There is no such key, or it is blocked, expired or belongs to something that is. One answer for all of them.
    #[error("no such key is in force")]
    Unknown,
    /// As `Unknown`, and there were many of them from the same address.
    #[error("too many keys that are not in force came from there")]
    TooMany,
    /// The key is good, and not for this route.
    #[error(transparent)]
    Route(#[from] routes::RouteRefused),
    /// The key is good, and the customer whom the request names is blocked.
    #[error(transparent)]
    Customer(standing::Refusal),
    /// Whether the key is good cannot be found out now.
    #[error("the database does not answer")]
    Unavailable(#[source] Option<Arc<StoreError>>),
}

/// Where a request goes: the table of routes has both.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'a> {
    /// The method.
    pub method: &'a str,
    /// The path with `{name}` for what varies.
    pub template: &'a str,
}

impl Destination<'_> {
    /// Whether MCP is spoken there.
    #[must_use]
    pub fn is_mcp(self) -> bool {
        let path = self.template.trim_end_matches('/');
        (path == "/mcp" || path.starts_with("/mcp/") || path.ends_with("/mcp") || path.starts_with("/sse"))
            && path != "/mcp/enabled"
    }
}

/// How the database does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseState {
    /// There is none, and only the master key.
    Absent,
    /// It answers.
    Connected,
    /// It does not answer; keys that are known work on.
    Lost,
    /// It has not answered for so long that no key but the master key is let in.
    Gone,
}

/// Knows the holders of keys.
pub struct Identity {
    store: Option<Store>,
    /// Whether the database answered when it was last asked.
    answers: AtomicBool,
    keys: KnownKeys,
    tokens: Tokens,
    refusals: Refusals,
    customers: Customers,
    reach: ArcSwap<Reach>,
    toolset_grants: ToolsetGrants,
    vaults: Vaults,
    masters_payers: Arc<Payers>,
}

impl Identity {
    /// Without a database there is only the master key.
    #[must_use]
    pub fn new(settings: &Settings, store: Option<Store>, accounting: &Accounting) -> Self {
        Self {
            answers: AtomicBool::new(true),
            keys: KnownKeys::none(settings.limits.without_database, accounting),
            tokens: Tokens::none(accounting),
            refusals: Refusals::none(),
            customers: Customers::none(store.is_some(), accounting),
            store,
            reach: ArcSwap::from_pointee(Reach::of_config(settings)),
            toolset_grants: ToolsetGrants::none(),
            vaults: Vaults::none(),
            masters_payers: Payers::nobody(),
        }
    }

    /// The database.
    #[must_use]
    pub fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// How the database does.
    #[must_use]
    pub fn database(&self) -> DatabaseState {
        match &self.store {
            None => DatabaseState::Absent,
            Some(_) if !self.keys.is_fresh() => DatabaseState::Gone,
            Some(_) if self.answers.load(Ordering::Relaxed) => DatabaseState::Connected,
            Some(_) => DatabaseState::Lost,
        }
    }

    /// Other servers are configured: what everybody reaches is worked out anew.
    pub fn reloaded(&self, settings: &Settings) {
        self.reach.rcu(|reach| reach.with_config(settings));
    }

    /// Asks something of what there is to be reached now.
    pub fn with_world<T>(&self, ask: impl FnOnce(&World) -> T) -> T {
        ask(self.reach.load().world())
    }

    /// The holder of the master key, calling from `from`.
    #[must_use]
    pub fn master(&self, from: Option<IpAddr>) -> Who {
        let reach = self.reach.load();
        let (principal, grant) = (reach.master(), reach.masters_grant(from));
        Who { id: CallerId::master(), principal, grant, payers: Arc::clone(&self.masters_payers) }
    }

    /// The holder of `key`, calling from `from` for `destination` at the time `now`.
    ///
    /// # Errors
    /// See [`NotLetIn`].
    pub async fn holder(
        &self,
        key: &[u8],
        from: Option<IpAddr>,
        destination: Destination<'_>,
        now: DateTime<Utc>,
    ) -> Result<Who, NotLetIn> {
        let Some(hash) = hash_of(key) else { return Err(self.refused(from, "no key")) };
        let Some(store) = self.store.as_ref() else { return Err(self.refused(from, "unknown key")) };
        let known = match self.keys.known(&hash).await {
            Some(known) => Some(known),
            None => {
                let _turn = self.refusals.turn(from).await.ok_or(NotLetIn::TooMany)?;
                self.keys.find(store, hash).await?
            }
        };
        let Some(known) = known else { return Err(self.refused(from, "unknown key")) };
        if let Err(why) = standing::check(known.principal(), now) {
            tracing::info!(key.id = %hash.to_hex(), "a key was refused: {why}");
            let is_over = self.refusals.key(hash, from, &why.to_string());
            return Err(if is_over { NotLetIn::TooMany } else { NotLetIn::Unknown });
        }
        routes::check(known.allowed_routes(), destination.method, destination.template)?;
        Ok(known.who(&self.reach.load(), from))
    }

    /// The error for what is no key in force, which came from `from`.
    fn refused(&self, from: Option<IpAddr>, why: &str) -> NotLetIn {
        if self.refusals.address(from, why) { NotLetIn::TooMany } else { NotLetIn::Unknown }
    }

    /// Whether somebody who reaches `grant` may give a row the permission `after`, which has `before` now.
    ///
    /// # Errors
    /// [`IssueError`] with the first thing that they may not give.
    pub fn check_given(
        &self,
        giver: &Giver,
        grant: &Grant,
        before: Option<&ObjectPermission>,
        after: &ObjectPermission,
    ) -> Result<(), IssueError> {
        self.reach.load().check_given(giver, grant, before, after)
    }

    /// Whether it matters for whom a request is made. Where it does not, nobody looks.
    #[must_use]
    pub fn asks_for_customers(&self) -> bool {
        self.customers.any() || self.reach.load().asks_for_customers()
    }

    /// Whether that may be so some day. A stream outlives the day, so whom it was opened for is known from its beginning.
    #[must_use]
    pub fn may_have_customers(&self) -> bool {
        self.store.is_some() || self.asks_for_customers()
    }

    /// `who`, making a request for the customer with the id `customer`.
    ///
    /// # Errors
    /// [`NotLetIn::Customer`] when the customer is blocked, [`NotLetIn::Unavailable`].
    pub async fn for_customer(&self, who: Who, customer: &str, from: Option<IpAddr>) -> Result<Who, NotLetIn> {
        if self.store.is_some() && !self.keys.is_fresh() {
            return Err(NotLetIn::Unavailable(None));
        }
        let found = self.customers.find(self.store.as_ref(), customer).await;
        let found = found.map_err(|why| NotLetIn::Unavailable(Some(why)))?;
        if found.facts.blocked {
            let refusal = standing::Refusal::CustomerBlocked(found.facts.user_id.clone());
            tracing::info!(key.id = %who.id, "a request was refused: {refusal}");
            return Err(NotLetIn::Customer(refusal));
        }
        let reach = self.reach.load();
        Ok(self.customers.join(who, found, &reach, from).await)
    }

    /// The holder of a key and what they reach now, for what was begun with it and still goes on; `None` when it is not in
    /// force any more.
    pub async fn again(&self, hash: KeyHash, from: Option<IpAddr>, now: DateTime<Utc>) -> Option<Who> {
        let known = self.keys.find(self.store.as_ref()?, hash).await.ok()??;
        standing::check(known.principal(), now).ok()?;
        Some(known.who(&self.reach.load(), from))
    }
}

/// What has not the shape of a key never reaches the database.
fn hash_of(key: &[u8]) -> Option<KeyHash> {
    Some(VirtualKey::parse(std::str::from_utf8(key).ok()?).ok()?.hash())
}
