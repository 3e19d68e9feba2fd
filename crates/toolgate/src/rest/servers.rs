//! `/v1/mcp/server` and what else is told of servers: LiteLLM's routes for reading, with its fields.
//!
//! Nobody is told credentials, nor what may hold one: `static_headers`, `env`, `args`, and the query and user of URLs are
//! left out for everybody. Admins are told where a server is; others only that it is there, and only of those that they
//! reach. Servers come from the configuration (`is_config`); those that LiteLLM keeps in its database are not there yet,
//! nor are the routes that would make, change or delete one.

use std::net::IpAddr;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{Request, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use toolgate_access::grant::Grant;
use toolgate_access::principal::{Credential, Link, Principal, TokenFacts};
use toolgate_access::role::Role;
use toolgate_store::{StoreError, team_facts};
use url::Url;

use super::tools::visit;
use crate::auth::{Caller, Peer};
use crate::catalog::{Kind, ListError, Scope};
use crate::config::settings::{AuthScheme, HttpKind, ServerSettings, Transport, UpstreamAuth};
use crate::faces::admission::{self, Admitted, detail};
use crate::gateway::{Gateway, Snapshot};
use crate::identity::NotLetIn;
use crate::telemetry::OperationSpan;
use crate::upstream::{ClientSide, State as Standing, Upstream};

/// LiteLLM's query of the list. What has no meaning here is accepted and not looked at.
#[derive(Debug, Default, Deserialize)]
pub struct ListQuery {
    team_id: Option<String>,
    user_id: Option<String>,
}

/// Why servers are not told.
enum NotTold {
    /// Another team's, or another user's.
    NotYours(&'static str),
    Store(StoreError),
}

impl From<StoreError> for NotTold {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl IntoResponse for NotTold {
    fn into_response(self) -> Response {
        match self {
            Self::NotYours(text) => (StatusCode::FORBIDDEN, Json(json!({ "detail": text }))).into_response(),
            Self::Store(error) => {
                tracing::error!(%error, "servers of a team or user cannot be told");
                admission::NotAdmitted::Key(NotLetIn::Unavailable(None)).into_response()
            }
        }
    }
}

/// `GET /v1/mcp/server`: those that the caller, a team or a user reaches.
pub async fn list(
    State(gateway): State<Gateway>,
    admitted: Admitted,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Response {
    let query = match query {
        Ok(Query(query)) => query,
        Err(error) => return detail(StatusCode::BAD_REQUEST, "invalid_parameter", &error.body_text()),
    };
    let grants = match grants(&gateway, &admitted.caller, &query).await {
        Ok(grants) => grants,
        Err(error) => return error.into_response(),
    };
    let is_told = |server: &ServerSettings| match &grants {
        Some(grants) => grants.iter().any(|grant| grant.server(&server.id).is_some()),
        None => admitted.caller.grant.server(&server.id).is_some(),
    };
    let mut servers: Vec<&ServerSettings> =
        admitted.snapshot.settings.servers.iter().map(|server| &**server).filter(|server| is_told(server)).collect();
    servers.sort_by_cached_key(|server| (server.name.to_lowercase(), server.id.clone()));
    let sees = Sees::of(&admitted.caller);
    Json(servers.into_iter().map(|server| row(server, sees)).collect::<Vec<_>>()).into_response()
}

/// What the team or the user of a query reaches; `None` when it asks for the caller's own.
async fn grants(gateway: &Gateway, caller: &Caller, query: &ListQuery) -> Result<Option<Vec<Grant>>, NotTold> {
    let named =
        |name: &Option<String>| name.as_deref().map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
    let sees_everything = caller.principal.role().is_some_and(Role::sees_everything);
    let own_user = user_of(&caller.principal);
    let Some(store) = gateway.identity.store() else { return Ok(None) };
    let teams = if let Some(team) = named(&query.team_id) {
        let refused = "You do not have permission to view MCP servers for this team.";
        if !sees_everything {
            // A key that is nobody's is bound to what it has itself.
            let user = own_user.ok_or(NotTold::NotYours(refused))?;
            let places = store.team_memberships_of(user).await?;
            if !places.iter().any(|place| place.team_id == team) {
                return Err(NotTold::NotYours(refused));
            }
        }
        vec![team]
    } else if let Some(user) = named(&query.user_id) {
        if !sees_everything && own_user != Some(&user) {
            return Err(NotTold::NotYours("You do not have permission to view MCP servers for this user."));
        }
        let places = store.team_memberships_of(&user).await?;
        if places.is_empty() {
            return Ok(None);
        }
        places.into_iter().map(|place| place.team_id).collect()
    } else {
        return Ok(None);
    };
    let mut grants = Vec::new();
    for team in teams {
        let team = match store.team(&team).await? {
            Some(team) => Link::found(team_facts(&team)),
            None => Link::Missing(team),
        };
        let principal = Principal { team, ..Principal::with(Credential::Token(TokenFacts::default())) };
        grants.push(gateway.identity.granted_to(&principal, caller.from));
    }
    Ok(Some(grants))
}

fn user_of(principal: &Principal) -> Option<&str> {
    let user = match &principal.credential {
        Credential::Key(key) => key.user_id.as_ref(),
        Credential::Token(token) => token.user_id.as_ref(),
        Credential::Master | Credential::Session(_) | Credential::Anonymous => None,
    };
    user.map(|user| user.as_str())
}

/// `GET /v1/mcp/server/{server_id}`: one, by id, name or alias, with how it does.
pub async fn get(admitted: Admitted, Path(id): Path<String>) -> Response {
    let scope = Scope::all(&admitted.snapshot.upstreams, &admitted.caller.grant);
    let by_id = |upstream: &&std::sync::Arc<Upstream>| upstream.settings.id.as_str() == id;
    let by_name = |upstream: &&std::sync::Arc<Upstream>| upstream.settings.names().any(|name| name == id);
    let found = scope.servers().iter().find(by_id).or_else(|| scope.servers().iter().find(by_name));
    let Some(upstream) = found else {
        let text = format!("MCP Server with id {id} not found");
        return (StatusCode::NOT_FOUND, Json(json!({ "detail": { "error": text } }))).into_response();
    };
    let sees = Sees::of(&admitted.caller);
    let mut row = row(&upstream.settings, sees);
    let status = upstream.status();
    row["status"] = word(status.state).into();
    if sees == Sees::Everything {
        row["health_check_error"] =
            status.last_failure.filter(|_| status.state == Standing::Down).map(|it| it.message).into();
    }
    Json(row).into_response()
}

/// `GET /v1/mcp/server/health`: how servers do, as real requests have shown. Nobody is asked for it.
pub async fn health(admitted: Admitted, request: Request<Body>) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let wanted: Vec<String> = url::form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name == "server_ids")
        .map(|(_, id)| id.into_owned())
        .collect();
    let scope = Scope::all(&admitted.snapshot.upstreams, &admitted.caller.grant);
    let is_wanted = |id: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == id);
    let servers = scope.servers().iter().filter(|upstream| is_wanted(upstream.settings.id.as_str()));
    let told = servers
        .map(|upstream| json!({ "server_id": upstream.settings.id.as_str(), "status": word(upstream.status().state) }));
    Json(told.collect::<Vec<_>>()).into_response()
}

/// LiteLLM's words.
fn word(state: Standing) -> &'static str {
    match state {
        Standing::Up => "healthy",
        Standing::Down => "unhealthy",
        Standing::Idle => "unknown",
    }
}

/// `GET /v1/mcp/tools`: all tools that the caller reaches, named as they are on `/mcp`.
pub async fn tools(admitted: Admitted) -> Response {
    let Admitted { caller, snapshot } = admitted;
    let scope = Scope::all(&snapshot.upstreams, &caller.grant);
    let (client, span) = (ClientSide::none(), OperationSpan::none());
    let visit = visit(&caller, &client, &scope, &span);
    let (mut items, mut position) = (Vec::new(), None);
    loop {
        match snapshot.catalog.list(Kind::Tools, visit, position).await {
            Ok(page) => {
                items.extend(Some(page.items).filter(|items| !items.is_empty()));
                position = page.next;
            }
            Err(error @ ListError::NoneAnswered { .. }) => {
                return detail(StatusCode::BAD_GATEWAY, "upstream_unavailable", &error.to_string());
            }
            // The list has changed between two of its pages.
            Err(error @ ListError::Cursor(_)) => {
                return detail(StatusCode::SERVICE_UNAVAILABLE, "list_changed", &error.to_string());
            }
        }
        if position.is_none() {
            break;
        }
    }
    let body = [b"{\"tools\":[".as_slice(), &items.join(&b","[..]), b"]}"].concat();
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// `GET /v1/mcp/access_groups`: the tags of servers; to others than admins of those that they reach.
pub async fn access_groups(admitted: Admitted) -> Response {
    let scope = Scope::all(&admitted.snapshot.upstreams, &admitted.caller.grant);
    let mut groups: Vec<&str> =
        scope.servers().iter().flat_map(|upstream| &upstream.settings.access_groups).map(String::as_str).collect();
    groups.sort_unstable();
    groups.dedup();
    Json(json!({ "access_groups": groups })).into_response()
}

/// `GET /v1/mcp/network/client-ip`: from where the request came. `null` where a trusted proxy does not say it readably.
pub async fn client_ip(admitted: Admitted) -> Response {
    Json(json!({ "ip": admitted.caller.from.map(|address| address.to_canonical().to_string()) })).into_response()
}

/// `GET /v1/mcp/registry.json`: what there is to connect to, for everybody, where `enable_mcp_registry` says so.
pub async fn registry(State(gateway): State<Gateway>, request: Request<Body>) -> Response {
    let snapshot = gateway.snapshot();
    if !snapshot.settings.general.mcp_registry {
        return (StatusCode::NOT_FOUND, Json(json!({ "detail": "MCP registry is not enabled" }))).into_response();
    }
    let (parts, _) = request.into_parts();
    let from = admission::from(&parts, &snapshot);
    let base = base_url(&parts, &snapshot);
    let identity = &snapshot.settings.identity;
    let mut servers = vec![entry(&identity.name, &identity.description, &format!("{base}/mcp"))];
    servers.extend(public(&gateway, &snapshot, from).map(|server| {
        let title = server.alias.as_deref().unwrap_or(&server.name);
        let description = server.description.as_deref().unwrap_or(title);
        entry(title, description, &format!("{base}/{}/mcp", server.prefix))
    }));
    Json(json!({ "servers": servers })).into_response()
}

fn public<'s>(
    gateway: &Gateway,
    snapshot: &'s Snapshot,
    from: Option<IpAddr>,
) -> impl Iterator<Item = &'s ServerSettings> {
    let is_internal = gateway.identity.is_internal(from);
    let settings = &snapshot.settings;
    settings.servers.iter().map(|server| &**server).filter(move |server| {
        is_internal || server.available_on_public_internet || settings.access.public_mcp_servers.contains(&server.id)
    })
}

fn entry(name: &str, description: &str, url: &str) -> Value {
    json!({ "server": {
        "name": name,
        "title": name,
        "description": description,
        "version": "1.0.0",
        "remotes": [{ "type": "streamable-http", "url": url }],
    } })
}

/// How the client has reached the gateway. Only a trusted proxy is believed that it was by HTTPS.
fn base_url(parts: &Parts, snapshot: &Snapshot) -> String {
    let proxies = snapshot.settings.general.trusted_proxies.as_ref();
    let is_trusted = parts.extensions.get().zip(proxies).is_some_and(|(Peer(peer), proxies)| proxies.trusts(*peer));
    let proto = parts.headers.get("x-forwarded-proto").filter(|_| is_trusted);
    let scheme =
        if proto.is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https")) { "https" } else { "http" };
    let host = parts.uri.authority().map(|authority| authority.as_str());
    let host = host.or_else(|| parts.headers.get(header::HOST)?.to_str().ok()).unwrap_or("localhost");
    format!("{scheme}://{host}")
}

/// How much the caller is told of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sees {
    /// Where it is and how it is configured.
    Everything,
    /// That it is there.
    Presence,
}

impl Sees {
    fn of(caller: &Caller) -> Self {
        if caller.principal.role().is_some_and(Role::sees_everything) { Self::Everything } else { Self::Presence }
    }
}

/// A server with LiteLLM's fields.
fn row(server: &ServerSettings, sees: Sees) -> Value {
    let admins = |value: Value| if sees == Sees::Everything { value } else { Value::Null };
    let admins_list = |list: &[String]| if sees == Sees::Everything { json!(list) } else { json!([]) };
    let (transport, url, spec_path, command) = match &server.transport {
        Transport::Http { url, kind: HttpKind::Sse } => ("sse", Some(url), None, None),
        Transport::Http { url, kind: HttpKind::Detect | HttpKind::Streamable } => ("http", Some(url), None, None),
        Transport::Stdio(stdio) => ("stdio", None, None, Some(&stdio.command)),
        Transport::OpenApi { spec, base_url, .. } => ("http", base_url.as_ref(), Some(spec), None),
    };
    let mut info = match sees {
        Sees::Everything => server.mcp_info.clone(),
        Sees::Presence => {
            let told = ["server_name", "description", "logo_url"];
            told.iter().filter_map(|key| Some(((*key).to_owned(), server.mcp_info.get(*key)?.clone()))).collect()
        }
    };
    info.entry("server_name").or_insert_with(|| json!(server.name));
    let extra_headers: Vec<String> = server.extra_headers.iter().map(ToString::to_string).collect();
    let mut row = json!({
        "server_id": server.id.as_str(),
        "is_config": true,
        "server_name": server.name,
        "alias": server.alias,
        "description": server.description,
        "url": admins(url.map_or(json!(""), |url| json!(without_secrets(url)))),
        "spec_path": admins(spec_path.and_then(|spec| Url::parse(spec).ok()).map(|url| without_secrets(&url)).into()),
        "transport": transport,
        "auth_type": auth_type(&server.auth),
        "credentials": null,
        "instructions": server.instructions,
        "created_at": null,
        "created_by": null,
        "updated_at": null,
        "updated_by": null,
        "teams": [],
        "mcp_access_groups": admins_list(&server.access_groups),
        "allowed_tools": admins_list(server.tools.allowed.as_deref().unwrap_or_default()),
        "extra_headers": admins_list(&extra_headers),
        "mcp_info": info,
        "static_headers": null,
        "env_vars": null,
        "status": null,
        "last_health_check": null,
        "health_check_error": null,
        "command": admins(json!(command.map_or("", String::as_str))),
        "args": [],
        "env": {},
        "allow_all_keys": server.allow_all_keys,
        "available_on_public_internet": server.available_on_public_internet,
        "timeout": server.timeout.map(|timeout| timeout.as_secs_f64()),
        "max_concurrent_requests": server.max_concurrent_requests,
        "approval_status": "active",
    });
    for (name, value) in UNUSED {
        row[*name] = value();
    }
    row
}

/// LiteLLM's fields that say nothing of a server in this gateway's configuration, with LiteLLM's values for that.
const UNUSED: &[(&str, fn() -> Value)] = &[
    ("tool_name_to_display_name", || Value::Null),
    ("tool_name_to_description", || Value::Null),
    ("pinned_tools", || Value::Null),
    ("issuer", || Value::Null),
    ("authorization_url", || Value::Null),
    ("token_url", || Value::Null),
    ("registration_url", || Value::Null),
    ("oauth2_flow", || Value::Null),
    ("token_exchange_endpoint", || Value::Null),
    ("audience", || Value::Null),
    ("subject_token_type", || Value::Null),
    ("token_exchange_profile", || Value::Null),
    ("delegate_auth_to_upstream", || json!(false)),
    ("oauth_passthrough", || json!(false)),
    ("dcr_bridge", || Value::Null),
    ("per_server_oauth_discovery", || json!(false)),
    ("is_byok", || json!(false)),
    ("byok_description", || json!([])),
    ("byok_api_key_help_url", || Value::Null),
    ("has_user_credential", || Value::Null),
    ("connected_app_reachable", || Value::Null),
    ("source_url", || Value::Null),
    ("rpm", || Value::Null),
    ("submitted_by", || Value::Null),
    ("submitted_at", || Value::Null),
    ("reviewed_at", || Value::Null),
    ("review_notes", || Value::Null),
];

/// Scheme, host, port and path: people put keys into the rest.
fn without_secrets(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

fn auth_type(auth: &UpstreamAuth) -> Option<&str> {
    match auth {
        UpstreamAuth::None => None,
        UpstreamAuth::Static { scheme, .. } => Some(match scheme {
            AuthScheme::ApiKey => "api_key",
            AuthScheme::BearerToken => "bearer_token",
            AuthScheme::Basic => "basic",
            AuthScheme::Authorization => "authorization",
            AuthScheme::Token => "token",
        }),
        UpstreamAuth::NotActiveYet { auth_type } => Some(auth_type.split_whitespace().next().unwrap_or_default()),
    }
}
