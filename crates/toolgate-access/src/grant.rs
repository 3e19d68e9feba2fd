//! What a caller may reach, compiled once and then asked at every list and call.

use std::fmt;

use foldhash::HashMap;
use sha2::{Digest as _, Sha256};

use crate::decide::record::Silent;
use crate::decide::{Case, decide};
use crate::id::{ServerId, ToolsetId};
use crate::principal::Principal;
use crate::rules::{ClientPlace, Rules};
use crate::tools::{ToolFilter, first_16};
use crate::world::World;

/// Where a request comes from and which endpoint it came to: what a grant hangs on besides the caller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Where the client is.
    pub client: ClientPlace,
    /// The toolset whose endpoint was called.
    pub toolset: Option<ToolsetId>,
}

impl From<ClientPlace> for Place {
    fn from(client: ClientPlace) -> Self {
        Self { client, toolset: None }
    }
}

impl Place {
    /// The same client at a toolset's endpoint.
    pub fn at_toolset(self, toolset: ToolsetId) -> Self {
        Self { toolset: Some(toolset), ..self }
    }
}

/// What one caller may reach: servers, and which tools of each. Prompts and resources are reached with their server.
///
/// It does not change. Whoever keeps it makes it anew when the world, the rules or the caller's rows change.
#[derive(Debug)]
pub struct Grant {
    everything: bool,
    servers: HashMap<ServerId, ToolFilter>,
    all: ToolFilter,
    fingerprint: Fingerprint,
}

/// Equal for grants that show the same, and only for those: lists may be kept by it for all callers together.
///
/// A cryptographic hash, since callers choose names that go into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub u128);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Works out what a principal reaches. The rules are described in the module `decide`.
pub fn compile(world: &World, principal: &Principal, rules: &Rules, place: &Place) -> Grant {
    let case = Case { world, principal, rules, place };
    let decided = decide(case, &mut Silent);
    let all = ToolFilter::all();
    let mut plain = None;
    let mut servers = HashMap::default();
    for position in decided.servers.positions() {
        let settle = || decided.tools(case, position, &mut Silent).freeze();
        let filter: ToolFilter = match decided.is_plain(position) {
            true => plain.get_or_insert_with(settle).clone(),
            false => settle(),
        };
        servers.insert(world.servers()[position].id.clone(), filter);
    }
    let everything =
        decided.unscoped && servers.len() == world.servers().len() && servers.values().all(ToolFilter::allows_all);
    let fingerprint = fingerprint(&servers);
    Grant { everything, servers, all, fingerprint }
}

impl Grant {
    /// Every server that there is, with all tools, so that nothing need be filtered: an admin's.
    ///
    /// [`Grant::server`] then answers for servers that the world did not have when the grant was made, too.
    pub fn everything(&self) -> bool {
        self.everything
    }

    /// Which tools of a server may be used. `None`: the server is not there for this caller, which is answered as
    /// if it did not exist.
    pub fn server(&self, id: &ServerId) -> Option<&ToolFilter> {
        if self.everything { Some(&self.all) } else { self.servers.get(id) }
    }

    /// The servers that may be used, in no order. For [`Grant::everything`] those that the world had.
    pub fn servers(&self) -> impl ExactSizeIterator<Item = (&ServerId, &ToolFilter)> {
        self.servers.iter()
    }

    /// Whether nothing at all may be used.
    pub fn is_empty(&self) -> bool {
        !self.everything && self.servers.is_empty()
    }

    /// Tells grants apart by what they show.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

fn fingerprint(servers: &HashMap<ServerId, ToolFilter>) -> Fingerprint {
    let mut sorted: Vec<_> = servers.iter().collect();
    sorted.sort_unstable_by_key(|(id, _)| *id);
    let mut hash = Sha256::new();
    for (id, filter) in sorted {
        hash.update((id.as_str().len() as u64).to_le_bytes());
        hash.update(id.as_str());
        hash.update(filter.digest());
    }
    Fingerprint(u128::from_le_bytes(first_16(&hash.finalize().into())))
}
