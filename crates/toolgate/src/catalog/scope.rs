//! Which servers a request is about: all, or those that its path or its `x-mcp-servers` header names.

use std::sync::Arc;

use crate::upstream::{Upstream, Upstreams};

/// The servers that one request can reach, in the configuration's order.
#[derive(Clone)]
pub struct Scope {
    servers: Arc<[Arc<Upstream>]>,
    named: bool,
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
    /// Every server.
    #[must_use]
    pub fn all(upstreams: &Upstreams) -> Self {
        Self { servers: Arc::clone(upstreams.all_shared()), named: false }
    }

    /// No server.
    #[must_use]
    pub fn nothing() -> Self {
        Self { servers: Arc::new([]), named: true }
    }

    /// The servers that `names`, a comma list of servers and access groups, leads to.
    ///
    /// A server is named by its alias, name or one of its ids; an access group stands for all its servers. Unknown
    /// names beside known ones are dropped, as LiteLLM does.
    ///
    /// # Errors
    /// [`ScopeError`] when no name is known, or there are more than `max`.
    pub fn named(upstreams: &Upstreams, names: &str, max: usize) -> Result<Self, ScopeError> {
        let names: Vec<&str> = names.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        if names.len() > max {
            return Err(ScopeError::TooMany { count: names.len(), max });
        }
        let wanted = |upstream: &&Arc<Upstream>| {
            let settings = &upstream.settings;
            names.iter().any(|name| {
                settings.names().any(|known| known == *name) || settings.access_groups.iter().any(|group| group == name)
            })
        };
        let servers: Vec<Arc<Upstream>> = upstreams.all().iter().filter(wanted).cloned().collect();
        if servers.is_empty() {
            return Err(ScopeError::NotFound(names.join(",")));
        }
        Ok(Self { servers: servers.into(), named: true })
    }

    /// Whether the two reach the same servers, configured in the same way.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.servers.len() == other.servers.len()
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
