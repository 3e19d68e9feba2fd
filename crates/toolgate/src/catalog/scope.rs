//! Which servers a request is about: all, or those that its path or its `x-mcp-servers` header names; never one that the
//! caller has no grant for, which is as if it did not exist.

use std::sync::Arc;

use toolgate_access::grant::Grant;
use toolgate_access::tools::ToolFilter;

use crate::config::settings::ServerSettings;
use crate::upstream::{Upstream, Upstreams};

/// The servers that one request can reach, in the configuration's order.
#[derive(Clone)]
pub struct Scope {
    servers: Arc<[Arc<Upstream>]>,
    named: bool,
    grant: Arc<Grant>,
}

/// Why a scope cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// None of the names leads to a server.
    #[error("MCP server, toolset, or access group '{0}' not found")]
    NotFound(String),
    /// More names than `names_per_scope`.
    #[error("{count} names in one request; at most {max} are allowed")]
    TooMany {
        /// How many there were.
        count: usize,
        /// How many there may be.
        max: usize,
    },
}

impl Scope {
    /// Every server that `grant` reaches.
    #[must_use]
    pub fn all(upstreams: &Upstreams, grant: &Arc<Grant>) -> Self {
        let servers = match grant.everything() {
            true => Arc::clone(upstreams.all_shared()),
            false => granted(upstreams, grant).cloned().collect(),
        };
        Self { servers, named: false, grant: Arc::clone(grant) }
    }

    /// No server.
    #[must_use]
    pub fn nothing(grant: &Arc<Grant>) -> Self {
        Self { servers: Arc::new([]), named: true, grant: Arc::clone(grant) }
    }

    /// The servers that `names`, a comma list of servers and access groups, leads to.
    ///
    /// A server is named by its alias, name or one of its ids; an access group stands for all its servers. Unknown
    /// names beside known ones are dropped, as LiteLLM does.
    ///
    /// # Errors
    /// [`ScopeError`] when no name is known, or there are more than `max`.
    pub fn named(upstreams: &Upstreams, names: &str, max: usize, grant: &Arc<Grant>) -> Result<Self, ScopeError> {
        let names: Vec<&str> = names.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        if names.len() > max {
            return Err(ScopeError::TooMany { count: names.len(), max });
        }
        let wanted = |upstream: &&Arc<Upstream>| names.iter().any(|name| goes_by(&upstream.settings, name));
        let servers: Vec<Arc<Upstream>> = granted(upstreams, grant).filter(wanted).cloned().collect();
        if servers.is_empty() {
            return Err(ScopeError::NotFound(names.join(",")));
        }
        Ok(Self { servers: servers.into(), named: true, grant: Arc::clone(grant) })
    }

    /// Whether one of `names` is known: where they lead nowhere for a caller, they would for another.
    #[must_use]
    pub fn is_known(upstreams: &Upstreams, names: &str) -> bool {
        let is_one = |name: &str| upstreams.all().iter().any(|upstream| goes_by(&upstream.settings, name));
        names.split(',').map(str::trim).any(is_one)
    }

    /// Which tools of `upstream` are there for the caller; `None`: all.
    #[must_use]
    pub fn tools_of(&self, upstream: &Upstream) -> Option<&ToolFilter> {
        if self.grant.everything() {
            return None;
        }
        // A server is in the scope because the grant has it.
        self.grant.server(&upstream.settings.id).filter(|tools| !tools.allows_all())
    }

    /// Whether the two reach the same servers, configured in the same way, and the same tools there.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.grant.fingerprint() == other.grant.fingerprint()
            && self.servers.len() == other.servers.len()
            && self.servers.iter().zip(&*other.servers).all(|(one, another)| Arc::ptr_eq(one, another))
    }

    /// The servers, in the configuration's order.
    #[must_use]
    pub fn servers(&self) -> &[Arc<Upstream>] {
        &self.servers
    }

    /// The server, when the request named servers and exactly one was meant.
    #[must_use]
    pub fn the_one(&self) -> Option<&Arc<Upstream>> {
        match (self.named, &*self.servers) {
            (true, [only]) => Some(only),
            _ => None,
        }
    }
}

/// Whether `name` is one of the server's, or of an access group that it is in.
fn goes_by(settings: &ServerSettings, name: &str) -> bool {
    settings.names().any(|known| known == name) || settings.access_groups.iter().any(|group| group == name)
}

fn granted<'a>(upstreams: &'a Upstreams, grant: &'a Grant) -> impl Iterator<Item = &'a Arc<Upstream>> {
    upstreams.all().iter().filter(|upstream| grant.server(&upstream.settings.id).is_some())
}
