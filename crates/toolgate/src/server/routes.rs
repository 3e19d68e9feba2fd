//! Every route of the gateway, with who may use it, in one table.
//!
//! The router is built from the table, so there is no route outside it; a test asks every route without a key and
//! compares with the table.

use axum::body::Body;
use axum::handler::Handler as _;
use axum::response::Response;
use axum::routing::{MethodRouter, delete, get, post, put};
use axum::{Extension, Router};
use http::{Method, Request};

use crate::admin::{Least, explain, toolsets};
use crate::faces::admission;
use crate::gateway::Gateway;
use crate::identity::Destination;
use crate::mcp::{endpoint, legacy_sse, listen};
use crate::rest::{health, servers, tools};

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody. Health tells nothing about servers or callers; metrics name servers and their tools, as LiteLLM's do.
    Public,
    /// Whoever has a key.
    Key,
    /// Whoever has at least this role: management routes.
    Role(Least),
}

/// One route.
pub struct Route {
    /// `GET`, `POST`, `PUT`, `PATCH`, `DELETE`.
    pub method: &'static str,
    /// With axum's `{name}` for a part that varies, and `{*name}` for a rest that does.
    pub path: &'static str,
    /// Who may use it.
    pub access: Access,
    handler: fn() -> MethodRouter<Gateway>,
}

const fn route(
    method: &'static str,
    path: &'static str,
    access: Access,
    handler: fn() -> MethodRouter<Gateway>,
) -> Route {
    Route { method, path, access, handler }
}

/// All routes.
pub const ROUTES: &[Route] = &[
    route("POST", "/mcp", Access::Key, || post(endpoint::post)),
    route("GET", "/mcp", Access::Key, || get(listen::get)),
    route("DELETE", "/mcp", Access::Key, || delete(endpoint::delete)),
    route("POST", "/mcp/", Access::Key, || post(endpoint::post)),
    route("GET", "/mcp/", Access::Key, || get(listen::get)),
    route("DELETE", "/mcp/", Access::Key, || delete(endpoint::delete)),
    route("POST", "/mcp/{*names}", Access::Key, || post(endpoint::post)),
    route("GET", "/mcp/{*names}", Access::Key, || get(listen::get)),
    route("DELETE", "/mcp/{*names}", Access::Key, || delete(endpoint::delete)),
    route("POST", "/{names}/mcp", Access::Key, || post(endpoint::post)),
    route("GET", "/{names}/mcp", Access::Key, || get(listen::get)),
    route("DELETE", "/{names}/mcp", Access::Key, || delete(endpoint::delete)),
    route("POST", "/{names}/mcp/", Access::Key, || post(endpoint::post)),
    route("GET", "/{names}/mcp/", Access::Key, || get(listen::get)),
    route("DELETE", "/{names}/mcp/", Access::Key, || delete(endpoint::delete)),
    route("GET", "/sse", Access::Key, || get(legacy_sse::open)),
    route("POST", "/sse/messages", Access::Key, || post(legacy_sse::message)),
    route("GET", "/sse/", Access::Key, || get(legacy_sse::open)),
    route("POST", "/sse/messages/", Access::Key, || post(legacy_sse::message)),
    route("GET", "/mcp/sse", Access::Key, || get(legacy_sse::open)),
    route("POST", "/mcp/sse/messages", Access::Key, || post(legacy_sse::message)),
    route("GET", "/mcp/sse/", Access::Key, || get(legacy_sse::open)),
    route("POST", "/mcp/sse/messages/", Access::Key, || post(legacy_sse::message)),
    route("POST", "/toolset/{name}/mcp", Access::Key, || post(endpoint::post)),
    route("GET", "/toolset/{name}/mcp", Access::Key, || get(listen::get)),
    route("DELETE", "/toolset/{name}/mcp", Access::Key, || delete(endpoint::delete)),
    route("POST", "/toolset/{name}/mcp/", Access::Key, || post(endpoint::post)),
    route("GET", "/toolset/{name}/mcp/", Access::Key, || get(listen::get)),
    route("DELETE", "/toolset/{name}/mcp/", Access::Key, || delete(endpoint::delete)),
    route("GET", "/mcp-rest/tools/list", Access::Key, || get(tools::list)),
    route("POST", "/mcp-rest/tools/call", Access::Key, || post(tools::call)),
    route("GET", "/v1/mcp/server", Access::Key, || get(servers::list)),
    route("GET", "/v1/mcp/server/health", Access::Key, || get(servers::health)),
    route("GET", "/v1/mcp/server/{server_id}", Access::Key, || get(servers::get)),
    route("GET", "/v1/mcp/tools", Access::Key, || get(servers::tools)),
    route("GET", "/v1/mcp/access_groups", Access::Key, || get(servers::access_groups)),
    route("GET", "/v1/mcp/network/client-ip", Access::Key, || get(servers::client_ip)),
    route("GET", "/v1/mcp/registry.json", Access::Public, || get(servers::registry)),
    route("GET", "/v1/mcp/access/explain", Access::Role(Least::Holder), || get(explain::get)),
    route("POST", "/v1/mcp/access/explain", Access::Role(Least::Holder), || post(explain::post)),
    route("POST", "/v1/mcp/toolset", Access::Role(Least::Admin), || post(toolsets::create)),
    route("GET", "/v1/mcp/toolset", Access::Role(Least::Holder), || get(toolsets::list)),
    route("PUT", "/v1/mcp/toolset", Access::Role(Least::Admin), || put(toolsets::update)),
    route("GET", "/v1/mcp/toolset/{toolset_id}", Access::Role(Least::Holder), || get(toolsets::get)),
    route("DELETE", "/v1/mcp/toolset/{toolset_id}", Access::Role(Least::Admin), || delete(toolsets::delete)),
    route("GET", "/mcp/enabled", Access::Public, || get(health::mcp_enabled)),
    route("GET", "/health", Access::Key, || get(health::servers)),
    route("GET", "/health/liveliness", Access::Public, || get(health::liveliness)),
    route("GET", "/health/liveness", Access::Public, || get(health::liveliness)),
    route("GET", "/livez", Access::Public, || get(health::liveliness)),
    route("GET", "/healthz", Access::Public, || get(health::liveliness)),
    route("GET", "/health/readiness", Access::Public, || get(health::readiness)),
    route("GET", "/readyz", Access::Public, || get(health::readiness)),
    route("GET", "/metrics", Access::Public, || get(health::metrics)),
];

/// Whether `request` is `POST /mcp`, as nearly all are. The router's boxes and look-ups cost a twentieth of a small call,
/// so those go to the handler that the table has for them without it.
#[must_use]
pub fn is_straight(request: &Request<Body>) -> bool {
    request.method() == Method::POST && request.uri().path() == "/mcp"
}

/// Answers a request that [`is_straight`].
pub fn straight(gateway: Gateway, request: Request<Body>) -> impl Future<Output = Response> + Send {
    endpoint::post.call(request, gateway)
}

/// The router over the table.
pub fn router(gateway: Gateway) -> Router {
    ROUTES
        .iter()
        .fold(Router::new(), |router, route| {
            let destination = Destination { method: route.method, template: route.path };
            let handler: MethodRouter<Gateway> = (route.handler)().layer(Extension(destination));
            router.route(route.path, handler.layer(Extension(route.access)))
        })
        .fallback(admission::not_found)
        .method_not_allowed_fallback(admission::method_not_allowed)
        .with_state(gateway)
}
