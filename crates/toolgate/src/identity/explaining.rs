//! Why somebody reaches what they reach: for admins, and for the log.

use std::net::IpAddr;

use toolgate_access::explain::{self, Explanation};
use toolgate_access::grant::{Grant, Place};
use toolgate_access::id::ToolsetId;
use toolgate_access::principal::Principal;

use super::Identity;
use super::world::Reach;
use crate::auth::Caller;

/// Where somebody calls from, and at which endpoint.
#[derive(Debug, Clone, Default)]
pub struct CalledAt {
    /// The client's address.
    pub from: Option<IpAddr>,
    /// The toolset at whose endpoint.
    pub toolset: Option<ToolsetId>,
}

impl CalledAt {
    fn place(&self, reach: &Reach) -> Place {
        let place = Place::from(reach.place_of(self.from));
        match &self.toolset {
            Some(toolset) => place.at_toolset(toolset.clone()),
            None => place,
        }
    }
}

impl Identity {
    /// The way to the decision whether `principal` may use a server, or one tool of it. The tool may be named as it is
    /// listed, with the server's prefix.
    #[must_use]
    pub fn explain(&self, principal: &Principal, at: &CalledAt, server: &str, tool: Option<&str>) -> Explanation {
        let reach = self.reach.load();
        let tool = tool.map(|tool| bare(&reach, server, tool));
        explain::explain(reach.world(), principal, reach.rules(), &at.place(&reach), server, tool)
    }

    /// How much `principal` reaches, and by which rules.
    #[must_use]
    pub fn explain_reach(&self, principal: &Principal, at: &CalledAt) -> explain::Reach {
        let reach = self.reach.load();
        explain::reach(reach.world(), principal, reach.rules(), &at.place(&reach))
    }

    /// What `principal`, who need not be calling, reaches from `from`.
    #[must_use]
    pub fn granted_to(&self, principal: &Principal, from: Option<IpAddr>) -> Grant {
        let reach = self.reach.load();
        reach.compile(principal, &Place::from(reach.place_of(from)))
    }

    /// Whether servers that are not on the public internet are there for a client at `from`.
    #[must_use]
    pub fn is_internal(&self, from: Option<IpAddr>) -> bool {
        self.reach.load().place_of(from) == toolgate_access::rules::ClientPlace::Internal
    }
}

impl Caller {
    /// Where the request came from and to.
    #[must_use]
    pub fn at(&self) -> CalledAt {
        CalledAt { from: self.from, toolset: self.toolset.clone() }
    }
}

/// A tool's name without the server's prefix.
fn bare<'t>(reach: &Reach, server: &str, tool: &'t str) -> &'t str {
    let separator = &reach.rules().tool_prefix_separator;
    let mut prefixes = reach.world().named(server).flat_map(|server| server.names());
    prefixes.find_map(|prefix| tool.strip_prefix(prefix)?.strip_prefix(separator.as_str())).unwrap_or(tool)
}
