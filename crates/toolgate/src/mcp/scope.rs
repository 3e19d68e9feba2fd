//! Which servers a request is about: those that its path names, else those of its `x-mcp-servers` header, else all.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, HeaderName, StatusCode};
use toolgate_access::grant::Grant;

use super::refusal::Refusal;
use crate::catalog::Scope;
use crate::faces::admission::detail;
use crate::gateway::Snapshot;

/// Selects servers, when the path does not: comma-separated names. Sent twice, it is one list.
const SERVERS_HEADER: HeaderName = HeaderName::from_static("x-mcp-servers");

/// What a path like `/mcp/{names}` names; nothing on a path without names.
pub struct PathNames(Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for PathNames {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        // Does not come by the router (see `server::routes::straight`), so nothing was found in its path.
        if parts.uri.path() == "/mcp" {
            return Ok(Self(None));
        }
        match Option::<Path<String>>::from_request_parts(parts, state).await {
            Ok(names) => Ok(Self(names.map(|Path(path)| named(&path).to_owned()).filter(|names| !names.is_empty()))),
            Err(_) => Err(detail(StatusCode::BAD_REQUEST, "invalid_path", "the names in the path are not UTF-8")),
        }
    }
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
}

impl Selection {
    /// What a request with these headers selects, whose path names `path`.
    pub(super) fn of(path: PathNames, headers: &HeaderMap) -> Self {
        let header = if path.0.is_none() { header(headers) } else { None };
        Self { path: path.0, header }
    }

    /// What a request with these headers selects, on a path that names nothing.
    pub(super) fn of_headers(headers: &HeaderMap) -> Self {
        Self { path: None, header: header(headers) }
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
        if snapshot.settings.general.require_explicit_scope {
            return Err(Refusal::ScopeRequired);
        }
        Ok(Scope::all(&snapshot.upstreams, grant))
    }
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
