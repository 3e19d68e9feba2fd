//! Which servers a request is about: those that its path names, else those of its `x-mcp-servers` header, else all.

use http::HeaderMap;

use super::refusal::Refusal;
use crate::catalog::Scope;
use crate::gateway::Snapshot;

/// Selects servers, when the path does not: comma-separated names.
pub(crate) const SERVERS_HEADER: &str = "x-mcp-servers";

/// The scope of a request with these headers, whose path names `path`.
pub(super) fn of(snapshot: &Snapshot, path: Option<&str>, headers: &HeaderMap) -> Result<Scope, Refusal> {
    let max = snapshot.settings.limits.names_per_scope;
    if let Some(names) = path.filter(|names| !names.is_empty()) {
        return Scope::named(&snapshot.upstreams, names, max).map_err(Refusal::PathScope);
    }
    if let Some(names) = headers.get(SERVERS_HEADER) {
        let names = names.to_str().unwrap_or_default();
        return Scope::named(&snapshot.upstreams, names, max).map_err(Refusal::HeaderScope);
    }
    if snapshot.settings.general.require_explicit_scope {
        return Err(Refusal::ScopeRequired);
    }
    Ok(Scope::all(&snapshot.upstreams))
}
