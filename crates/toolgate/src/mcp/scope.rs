//! Which servers a request is about: those that its path names, else those of its `x-mcp-servers` header, else all; at the
//! endpoint of a toolset those of the toolset.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, HeaderName, StatusCode};
use toolgate_access::grant::Grant;
use toolgate_access::role::Role;

use super::refusal::Refusal;
use crate::catalog::{Scope, ScopeError};
use crate::faces::admission::{Admitted, detail};
use crate::gateway::{Gateway, Snapshot};
use crate::identity::Destination;
use crate::telemetry::Denial;

/// Selects servers, when the path does not: comma-separated names. Sent twice, it is one list.
const SERVERS_HEADER: HeaderName = HeaderName::from_static("x-mcp-servers");

/// What a path names.
pub enum PathNames {
    /// Nothing.
    None,
    /// Servers, access groups or a toolset, as in `/mcp/{names}`.
    Names(String),
    /// A toolset, as in `/toolset/{name}/mcp`.
    Toolset(String),
}

/// The beginning of templates of paths that name a toolset.
const TOOLSET_TEMPLATES: &str = "/toolset/";

impl<S: Send + Sync> FromRequestParts<S> for PathNames {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        // Does not come by the router (see `server::routes::straight`), so nothing was found in its path.
        if parts.uri.path() == "/mcp" {
            return Ok(Self::None);
        }
        match Option::<Path<String>>::from_request_parts(parts, state).await {
            Ok(None) => Ok(Self::None),
            Ok(Some(Path(name))) if is_toolsets(parts) => Ok(Self::Toolset(name)),
            Ok(Some(Path(path))) => Ok(match named(&path) {
                "" => Self::None,
                names => Self::Names(names.to_owned()),
            }),
            Err(_) => Err(detail(StatusCode::BAD_REQUEST, "invalid_path", "the names in the path are not UTF-8")),
        }
    }
}

fn is_toolsets(parts: &Parts) -> bool {
    let destination = parts.extensions.get::<Destination<'static>>();
    destination.is_some_and(|destination| destination.template.starts_with(TOOLSET_TEMPLATES))
}

/// The names in the rest of a path, as LiteLLM takes them: a comma list ends at the first slash after its last comma; a
/// single name may have one slash in it.
fn named(path: &str) -> &str {
    let path = path.trim_matches('/');
    let (from, slashes) = path.rfind(',').map_or((0, 1), |comma| (comma, 0));
    let end = path[from..].match_indices('/').nth(slashes).map_or(path.len(), |(at, _)| from + at);
    &path[..end]
}

/// What a request selects, by its path or its header. It means other servers when the configuration changes.
#[derive(Debug, Clone)]
pub(super) struct Selection {
    path: Option<String>,
    header: Option<String>,
    /// At the endpoint of a toolset, where the caller's grant is the toolset already.
    is_toolset: bool,
}

impl Selection {
    /// What a request with these headers selects, whose path names `path`. Where that is a toolset, the caller is at its
    /// endpoint from now on.
    ///
    /// A name is a server's, else a toolset's, else an access group's, as in LiteLLM. A toolset that the caller does not
    /// hold is as if it did not exist.
    pub(super) fn enter(
        gateway: &Gateway,
        admitted: &mut Admitted,
        path: PathNames,
        headers: &HeaderMap,
    ) -> Result<Self, Refusal> {
        match path {
            PathNames::None => Ok(Self::of_headers(headers)),
            PathNames::Names(names) => {
                let is_toolset = !is_server(admitted, &names) && enter_toolset(gateway, admitted, &names);
                let path = (!is_toolset).then_some(names);
                Ok(Self { path, header: None, is_toolset })
            }
            PathNames::Toolset(name) if enter_toolset(gateway, admitted, &name) => {
                Ok(Self { path: None, header: None, is_toolset: true })
            }
            PathNames::Toolset(name) => {
                if gateway.identity.toolset_named(&name).is_some() {
                    gateway.metrics.denied(Denial::ServerNotGranted);
                }
                Err(Refusal::PathScope(ScopeError::NotFound(name)))
            }
        }
    }

    /// What a request with these headers selects, on a path that names nothing.
    pub(super) fn of_headers(headers: &HeaderMap) -> Self {
        Self { path: None, header: header(headers), is_toolset: false }
    }

    /// The servers that it means to a request of the holder of `grant`. A refusal is a decision, and counted.
    pub(super) fn scope_of_request(
        &self,
        gateway: &Gateway,
        snapshot: &Snapshot,
        grant: &Arc<Grant>,
    ) -> Result<Scope, Refusal> {
        self.scope(snapshot, grant).inspect_err(|why| {
            if let Refusal::PathScope(ScopeError::NotFound(names)) | Refusal::HeaderScope(ScopeError::NotFound(names)) =
                why
                && Scope::is_known(&snapshot.upstreams, names)
            {
                gateway.metrics.denied(Denial::ServerNotGranted);
            }
        })
    }

    /// The servers that it means with this configuration, for the holder of `grant`.
    pub(super) fn scope(&self, snapshot: &Snapshot, grant: &Arc<Grant>) -> Result<Scope, Refusal> {
        let max = snapshot.settings.limits.names_per_scope;
        if let Some(names) = &self.path {
            return Scope::named(&snapshot.upstreams, names, max, grant).map_err(Refusal::PathScope);
        }
        if let Some(names) = &self.header {
            // LiteLLM's clients ask for nothing with an empty header; it does not stand for everything.
            if names.split(',').all(|name| name.trim().is_empty()) {
                return Ok(Scope::nothing(grant));
            }
            return Scope::named(&snapshot.upstreams, names, max, grant).map_err(Refusal::HeaderScope);
        }
        if snapshot.settings.general.require_explicit_scope && !self.is_toolset {
            return Err(Refusal::ScopeRequired);
        }
        Ok(Scope::all(&snapshot.upstreams, grant))
    }
}

/// Whether `name` is that of a server which the caller reaches.
fn is_server(Admitted { caller, snapshot }: &Admitted, name: &str) -> bool {
    snapshot
        .upstreams
        .all()
        .iter()
        .map(|upstream| &upstream.settings)
        .any(|settings| settings.names().any(|known| known == name) && caller.grant.server(&settings.id).is_some())
}

/// Puts the caller at the endpoint of the toolset of this name, if there is one for them.
fn enter_toolset(gateway: &Gateway, admitted: &mut Admitted, name: &str) -> bool {
    let caller = &mut admitted.caller;
    let Some(toolset) = gateway.identity.toolset_named(name) else { return false };
    let grant = gateway.identity.at_toolset(caller, &caller.principal, &toolset);
    // To those who see everything an empty toolset is empty; to others it cannot be told from one that is not theirs.
    if grant.is_empty() && !caller.principal.role().is_some_and(Role::sees_everything) {
        return false;
    }
    caller.grant = grant;
    caller.toolset = Some(toolset);
    true
}

/// The names in `x-mcp-servers`, if it is there. What is not ASCII names nobody.
pub(crate) fn header(headers: &HeaderMap) -> Option<String> {
    if !headers.contains_key(SERVERS_HEADER) {
        return None;
    }
    let values: Vec<&str> =
        headers.get_all(SERVERS_HEADER).iter().map(|value| value.to_str().unwrap_or_default()).collect();
    Some(values.join(","))
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn the_rest_of_a_path_is_names_as_litellm_takes_them() {
        let cases = [
            ("a", "a"),
            ("a/", "a"),
            ("a/b", "a/b"),
            ("a/b/c", "a/b"),
            ("a,b", "a,b"),
            ("a,b/tools", "a,b"),
            ("a,b/tools/list", "a,b"),
            ("a/x,b/tools", "a/x,b"),
            ("", ""),
        ];
        for (path, names) in cases {
            assert_eq!(named(path), names, "{path}");
        }
    }
}
