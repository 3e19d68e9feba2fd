//! What callers reach at the endpoint of a toolset: the toolset's servers and tools, as far as they may.

use std::sync::{Arc, Weak};
use std::time::Duration;

use moka::sync::Cache;
use toolgate_access::grant::{Grant, Place};
use toolgate_access::id::ToolsetId;
use toolgate_access::principal::Principal;
use toolgate_access::rules::ClientPlace;

use super::Identity;
use super::world::Reach;
use crate::auth::{Caller, CallerId};

/// Grants remembered at once.
const MAX_GRANTS: u64 = 10_000;

/// How long a grant is remembered that nobody asks for.
const IDLE: Duration = Duration::from_secs(600);

/// Who, from where, at which toolset's endpoint.
type At = (CallerId, ClientPlace, ToolsetId);

/// Grants that were worked out, with what they were worked out from: they hold while that is the same.
pub(super) struct ToolsetGrants(Cache<At, Arc<Kept>>);

struct Kept {
    /// Weak, since it may be large and is replaced by others.
    reach: Weak<Reach>,
    principal: Arc<Principal>,
    grant: Arc<Grant>,
}

impl ToolsetGrants {
    pub(super) fn none() -> Self {
        Self(Cache::builder().max_capacity(MAX_GRANTS).time_to_idle(IDLE).build())
    }
}

impl Identity {
    /// The toolset of this name, whoever may use it.
    #[must_use]
    pub fn toolset_named(&self, name: &str) -> Option<ToolsetId> {
        self.reach.load().world().toolset_named(name).map(|toolset| toolset.id.clone())
    }

    /// What `principal`, who calls as `caller`, reaches at the endpoint of this toolset; nothing, if they do not hold
    /// it or it is not there.
    #[must_use]
    pub fn at_toolset(&self, caller: &Caller, principal: &Arc<Principal>, toolset: &ToolsetId) -> Arc<Grant> {
        let reach = self.reach.load();
        let client = reach.place_of(caller.from);
        let at = (caller.id.clone(), client, toolset.clone());
        if let Some(kept) = self.toolset_grants.0.get(&at)
            && std::ptr::eq(kept.reach.as_ptr(), Arc::as_ptr(&reach))
            && Arc::ptr_eq(&kept.principal, principal)
        {
            return Arc::clone(&kept.grant);
        }
        let grant = Arc::new(reach.compile(principal, &Place::from(client).at_toolset(toolset.clone())));
        let (reach, principal) = (Arc::downgrade(&reach), Arc::clone(principal));
        self.toolset_grants.0.insert(at, Arc::new(Kept { reach, principal, grant: Arc::clone(&grant) }));
        grant
    }
}
