//! Every route of the gateway, with who may use it, in one table.
//!
//! The router is built from the table, so there is no route outside it; a test asks every route without a key and
//! compares with the table.

use axum::body::Body;
use axum::handler::Handler as _;
use axum::response::Response;
use axum::routing::MethodRouter;
use axum::{Extension, Router};
use http::{Method, Request};

use crate::admin::servers::{self as made_servers, import, pin, preview, public, sessions, submissions};
use crate::admin::{
    Least, access_groups, activity, audit, budgets, calls, customers, explain, keys, organizations, projects, spend,
    teams, toolsets, users, vault,
};
use crate::faces::admission;
use crate::gateway::Gateway;
use crate::identity::Destination;
use crate::mcp::{endpoint, legacy_sse, listen};
use crate::rest::{health, servers, tools};
use crate::server::describe::{Endpoint, delete, get, patch, post, put};
use crate::server::{docs, openapi};

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody. Health tells nothing about servers or callers; metrics name servers and their tools, as LiteLLM's do,
    /// and can be closed to those without a key (`require_auth_for_metrics_endpoint`).
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
    handler: fn() -> Endpoint,
}

impl Route {
    /// What answers it, and what that says of itself.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        (self.handler)()
    }
}

const fn route(method: &'static str, path: &'static str, access: Access, handler: fn() -> Endpoint) -> Route {
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
    route("POST", "/mcp-rest/tools/call", Access::Key, || post(tools::call).reads_body::<tools::CallBody<'static>>()),
    route("GET", "/v1/mcp/server", Access::Key, || get(servers::list)),
    route("GET", "/v1/mcp/server/health", Access::Key, || get(servers::health).reads_query::<servers::HealthQuery>()),
    route("GET", "/v1/mcp/server/{server_id}", Access::Key, || get(servers::get)),
    route("POST", "/v1/mcp/server", Access::Role(Least::Admin), || post(made_servers::create)),
    route("PUT", "/v1/mcp/server", Access::Role(Least::Admin), || put(made_servers::update)),
    route("DELETE", "/v1/mcp/server/{server_id}", Access::Role(Least::Admin), || delete(made_servers::delete)),
    route("POST", "/mcp-rest/test/connection", Access::Role(Least::Admin), || post(preview::connection)),
    route("POST", "/mcp-rest/test/tools/list", Access::Role(Least::Admin), || post(preview::tools)),
    route("POST", "/v1/mcp/server/register", Access::Role(Least::Holder), || post(submissions::register)),
    route("POST", "/v1/mcp/server/{server_id}/pin", Access::Role(Least::Admin), || post(pin::pin)),
    route("DELETE", "/v1/mcp/server/{server_id}/pin", Access::Role(Least::Admin), || delete(pin::unpin)),
    route("POST", "/v1/mcp/server/import", Access::Role(Least::Admin), || post(import::import)),
    route("POST", "/v1/mcp/make_public", Access::Role(Least::Admin), || post(public::make_public)),
    route("GET", "/v1/mcp/discover", Access::Role(Least::AdminViewer), || get(public::discover)),
    route("GET", "/public/mcp_hub", Access::Public, || get(public::hub)),
    route("GET", "/v1/mcp/sessions", Access::Role(Least::AdminViewer), || get(sessions::list)),
    route("DELETE", "/v1/mcp/sessions", Access::Role(Least::Admin), || delete(sessions::end)),
    route("GET", "/v1/mcp/server/submissions", Access::Role(Least::AdminViewer), || get(submissions::list)),
    route("PUT", "/v1/mcp/server/{server_id}/approve", Access::Role(Least::Admin), || put(submissions::approve)),
    route("PUT", "/v1/mcp/server/{server_id}/reject", Access::Role(Least::Admin), || put(submissions::reject)),
    route("POST", "/v1/mcp/server/{server_id}/user-credential", Access::Role(Least::Holder), || {
        post(vault::keep_credential)
    }),
    route("DELETE", "/v1/mcp/server/{server_id}/user-credential", Access::Role(Least::Holder), || {
        delete(vault::drop_credential)
    }),
    route("GET", "/v1/mcp/user-credentials", Access::Role(Least::Holder), || get(vault::credentials)),
    route("GET", "/v1/mcp/server/{server_id}/user-credentials", Access::Role(Least::AdminViewer), || {
        get(vault::credentials_for)
    }),
    route("GET", "/v1/mcp/server/{server_id}/user-env-vars", Access::Role(Least::Holder), || get(vault::values)),
    route("POST", "/v1/mcp/server/{server_id}/user-env-vars", Access::Role(Least::Holder), || post(vault::keep_values)),
    route("DELETE", "/v1/mcp/server/{server_id}/user-env-vars", Access::Role(Least::Holder), || {
        delete(vault::drop_values)
    }),
    route("GET", "/v1/mcp/user-env-vars/status", Access::Role(Least::Holder), || get(vault::values_status)),
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
    route("GET", "/v1/mcp/calls", Access::Role(Least::Holder), || get(calls::list)),
    route("GET", "/spend/logs", Access::Role(Least::Holder), || get(spend::logs)),
    route("GET", "/mcp/enabled", Access::Public, || get(health::mcp_enabled)),
    route("GET", "/health", Access::Key, || get(health::servers)),
    route("GET", "/health/liveliness", Access::Public, || get(health::liveliness)),
    route("GET", "/health/liveness", Access::Public, || get(health::liveliness)),
    route("GET", "/livez", Access::Public, || get(health::liveliness)),
    route("GET", "/healthz", Access::Public, || get(health::liveliness)),
    route("GET", "/health/readiness", Access::Public, || get(health::readiness)),
    route("GET", "/readyz", Access::Public, || get(health::readiness)),
    route("POST", "/key/generate", Access::Role(Least::Manager), || post(keys::generate)),
    route("POST", "/key/service-account/generate", Access::Role(Least::Manager), || post(keys::service_account)),
    route("POST", "/key/update", Access::Role(Least::Manager), || post(keys::update)),
    route("POST", "/key/delete", Access::Role(Least::Manager), || post(keys::delete)),
    route("POST", "/key/regenerate", Access::Role(Least::Manager), || post(keys::regenerate)),
    route("POST", "/key/{key}/regenerate", Access::Role(Least::Manager), || post(keys::regenerate_named)),
    route("POST", "/key/block", Access::Role(Least::Manager), || post(keys::block)),
    route("POST", "/key/unblock", Access::Role(Least::Manager), || post(keys::unblock)),
    route("GET", "/key/info", Access::Role(Least::Holder), || get(keys::info)),
    route("GET", "/key/list", Access::Role(Least::Holder), || get(keys::list)),
    route("POST", "/key/bulk_update", Access::Role(Least::Admin), || post(keys::bulk::update)),
    route("POST", "/team/key/bulk_update", Access::Role(Least::Manager), || post(keys::bulk::update_of_team)),
    route("POST", "/v2/key/info", Access::Role(Least::Holder), || post(keys::bulk::info)),
    route("GET", "/key/aliases", Access::Role(Least::Holder), || get(keys::bulk::aliases)),
    route("POST", "/key/{key}/reset_spend", Access::Role(Least::Manager), || post(keys::bulk::reset_spend)),
    route("GET", "/metrics", Access::Public, || get(health::metrics)),
    route("POST", "/team/new", Access::Role(Least::Manager), || post(teams::new)),
    route("POST", "/team/update", Access::Role(Least::Manager), || post(teams::update)),
    route("GET", "/team/info", Access::Role(Least::Holder), || get(teams::info)),
    route("GET", "/team/list", Access::Role(Least::Holder), || get(teams::list)),
    route("GET", "/v2/team/list", Access::Role(Least::Holder), || get(teams::pages)),
    route("POST", "/team/delete", Access::Role(Least::Manager), || post(teams::delete)),
    route("POST", "/team/block", Access::Role(Least::Manager), || post(teams::block)),
    route("POST", "/team/unblock", Access::Role(Least::Manager), || post(teams::unblock)),
    route("POST", "/team/member_add", Access::Role(Least::Manager), || post(teams::members::add)),
    route("POST", "/team/member_update", Access::Role(Least::Manager), || post(teams::members::update)),
    route("POST", "/team/member_delete", Access::Role(Least::Manager), || post(teams::members::delete)),
    route("POST", "/team/bulk_member_add", Access::Role(Least::Manager), || post(teams::members::add_many)),
    route("PATCH", "/team/{team_id}", Access::Role(Least::Manager), || patch(teams::patch)),
    route("GET", "/team/permissions_list", Access::Role(Least::Holder), || get(teams::permissions::list)),
    route("POST", "/team/permissions_update", Access::Role(Least::Manager), || post(teams::permissions::update)),
    route("POST", "/team/permissions_bulk_update", Access::Role(Least::Admin), || post(teams::permissions::add)),
    route("GET", "/team/daily/activity", Access::Role(Least::Holder), || get(activity::teams)),
    route("POST", "/organization/new", Access::Role(Least::Admin), || post(organizations::new)),
    route("PATCH", "/organization/update", Access::Role(Least::Manager), || patch(organizations::update)),
    route("DELETE", "/organization/delete", Access::Role(Least::Admin), || delete(organizations::delete)),
    route("GET", "/organization/info", Access::Role(Least::Holder), || get(organizations::info)),
    route("GET", "/organization/list", Access::Role(Least::Holder), || get(organizations::list)),
    route("POST", "/organization/member_add", Access::Role(Least::Manager), || post(organizations::members::add)),
    route("PATCH", "/organization/member_update", Access::Role(Least::Manager), || {
        patch(organizations::members::update)
    }),
    route("DELETE", "/organization/member_delete", Access::Role(Least::Manager), || {
        delete(organizations::members::delete)
    }),
    route("GET", "/organization/daily/activity", Access::Role(Least::Holder), || get(activity::organizations)),
    route("POST", "/project/new", Access::Role(Least::Manager), || post(projects::new)),
    route("POST", "/project/update", Access::Role(Least::Manager), || post(projects::update)),
    route("DELETE", "/project/delete", Access::Role(Least::Admin), || delete(projects::delete)),
    route("GET", "/project/info", Access::Role(Least::Holder), || get(projects::info)),
    route("GET", "/project/list", Access::Role(Least::Holder), || get(projects::list)),
    route("POST", "/user/new", Access::Role(Least::Manager), || post(users::new)),
    route("POST", "/user/update", Access::Role(Least::Holder), || post(users::update)),
    route("GET", "/user/info", Access::Role(Least::Holder), || get(users::info)),
    route("GET", "/v2/user/info", Access::Role(Least::Holder), || get(users::info_v2)),
    route("GET", "/user/list", Access::Role(Least::Holder), || get(users::list)),
    route("POST", "/user/delete", Access::Role(Least::Manager), || post(users::delete)),
    route("POST", "/user/bulk_update", Access::Role(Least::Admin), || post(users::bulk::update)),
    route("GET", "/user/available_roles", Access::Role(Least::Holder), || get(users::roles)),
    route("GET", "/user/daily/activity", Access::Role(Least::Holder), || get(activity::users)),
    route("GET", "/user/daily/activity/aggregated", Access::Role(Least::Holder), || get(activity::users_at_once)),
    route("POST", "/customer/new", Access::Role(Least::Admin), || post(customers::new)),
    route("POST", "/customer/update", Access::Role(Least::Admin), || post(customers::update)),
    route("POST", "/customer/delete", Access::Role(Least::Admin), || post(customers::delete)),
    route("POST", "/customer/block", Access::Role(Least::Admin), || post(customers::block)),
    route("POST", "/customer/unblock", Access::Role(Least::Admin), || post(customers::unblock)),
    route("GET", "/customer/info", Access::Role(Least::AdminViewer), || get(customers::info)),
    route("GET", "/customer/list", Access::Role(Least::AdminViewer), || get(customers::list)),
    route("GET", "/customer/daily/activity", Access::Role(Least::AdminViewer), || get(activity::customers)),
    route("POST", "/end_user/new", Access::Role(Least::Admin), || post(customers::new)),
    route("POST", "/end_user/update", Access::Role(Least::Admin), || post(customers::update)),
    route("POST", "/end_user/delete", Access::Role(Least::Admin), || post(customers::delete)),
    route("POST", "/end_user/block", Access::Role(Least::Admin), || post(customers::block)),
    route("POST", "/end_user/unblock", Access::Role(Least::Admin), || post(customers::unblock)),
    route("GET", "/end_user/info", Access::Role(Least::AdminViewer), || get(customers::info)),
    route("GET", "/end_user/list", Access::Role(Least::AdminViewer), || get(customers::list)),
    route("GET", "/end_user/daily/activity", Access::Role(Least::AdminViewer), || get(activity::customers)),
    route("POST", "/budget/new", Access::Role(Least::Admin), || post(budgets::new)),
    route("POST", "/budget/update", Access::Role(Least::Admin), || post(budgets::update)),
    route("POST", "/budget/info", Access::Role(Least::AdminViewer), || post(budgets::info)),
    route("GET", "/budget/list", Access::Role(Least::AdminViewer), || get(budgets::list)),
    route("POST", "/budget/delete", Access::Role(Least::Admin), || post(budgets::delete)),
    route("GET", "/audit", Access::Role(Least::AdminViewer), || get(audit::list)),
    route("GET", "/audit/{id}", Access::Role(Least::AdminViewer), || get(audit::get)),
    route("POST", "/v1/access_group", Access::Role(Least::Admin), || post(access_groups::new)),
    route("GET", "/v1/access_group", Access::Role(Least::AdminViewer), || get(access_groups::list)),
    route("GET", "/v1/access_group/{access_group_id}", Access::Role(Least::AdminViewer), || get(access_groups::info)),
    route("PUT", "/v1/access_group/{access_group_id}", Access::Role(Least::Admin), || put(access_groups::update)),
    route("DELETE", "/v1/access_group/{access_group_id}", Access::Role(Least::Admin), || delete(access_groups::delete)),
    route("POST", "/v1/unified_access_group", Access::Role(Least::Admin), || post(access_groups::new)),
    route("GET", "/v1/unified_access_group", Access::Role(Least::AdminViewer), || get(access_groups::list)),
    route("GET", "/v1/unified_access_group/{access_group_id}", Access::Role(Least::AdminViewer), || {
        get(access_groups::info)
    }),
    route("PUT", "/v1/unified_access_group/{access_group_id}", Access::Role(Least::Admin), || {
        put(access_groups::update)
    }),
    route("DELETE", "/v1/unified_access_group/{access_group_id}", Access::Role(Least::Admin), || {
        delete(access_groups::delete)
    }),
    route("GET", "/openapi.json", Access::Public, || get(openapi::get)),
    route("GET", "/docs", Access::Public, || get(docs::get)),
    route("GET", "/", Access::Public, || get(docs::get)),
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
            let handler: MethodRouter<Gateway> = route.endpoint().router.layer(Extension(destination));
            router.route(route.path, handler.layer(Extension(route.access)))
        })
        .fallback(admission::not_found)
        .method_not_allowed_fallback(admission::method_not_allowed)
        .with_state(gateway)
}
