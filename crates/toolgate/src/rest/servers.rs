//! `/v1/mcp/server` and what else is told of servers: LiteLLM's routes for reading, with its fields.
//!
//! Nobody is told credentials, nor what may hold one: `static_headers`, `env`, `args`, and the query and user of URLs are
//! left out for everybody, or covered. Admins are told where a server is; others only that it is there, and only of those
//! that they reach. Servers come from the configuration (`is_config`) or from the database; of the latter, admins are told
//! also why one is left out. What makes, changes and deletes them is in [`crate::admin::servers`].

mod row;

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use http::request::Parts;
use http::{Request, StatusCode, header};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use toolgate_access::grant::Grant;
use toolgate_access::principal::{Credential, Link, Principal, TokenFacts};
use toolgate_access::role::Role;
use toolgate_store::{Health, StoreError, team_facts};

use self::row::row;
use super::tools::visit;
use crate::auth::{Caller, Peer};
use crate::catalog::{Kind, ListError, Scope};
use crate::config::settings::{Origin, ServerId, ServerSettings, UpstreamAuth};
use crate::faces::admission::{self, Admitted, detail};
use crate::gateway::{Gateway, Snapshot};
use crate::identity::NotLetIn;
use crate::stored::view::{self, Sees};
use crate::stored::{Fate, StoredServer};
use crate::telemetry::OperationSpan;
use crate::upstream::{ClientSide, State as Standing, Upstream, UpstreamError};

/// LiteLLM's query of the list. What has no meaning here is accepted and not looked at.
#[derive(Debug, Default, Deserialize, JsonSchema)]
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
    let mut told: Vec<Value> = servers.into_iter().map(|server| told(&admitted, server, sees)).collect();
    if sees >= Sees::Everything && grants.is_none() {
        told.extend(admitted.snapshot.stored.iter().filter_map(|stored| left_out(stored, sees)));
    }
    Json(told).into_response()
}

/// What is told of a server that is in use.
fn told(admitted: &Admitted, server: &ServerSettings, sees: Sees) -> Value {
    let stored = admitted.snapshot.stored.find(&server.id).and_then(|stored| stored.row.as_ref());
    let mut told = match stored.filter(|_| server.origin != Origin::File) {
        Some(stored) => view::row(stored, sees),
        None => row(server, sees),
    };
    if admitted.snapshot.settings.access.public_mcp_servers.contains(&server.id) {
        told["mcp_info"]["is_public"] = json!(true);
    }
    if server.own.credential {
        let kept = admitted.caller.vault.of_server(&server.id).kept();
        told["has_user_credential"] = json!(kept.is_some_and(|kept| kept.credential.is_some()));
    }
    told
}

/// What admins are told of a server of the database that cannot be used.
fn left_out(stored: &StoredServer, sees: Sees) -> Option<Value> {
    let Fate::LeftOut(why) = &stored.fate else { return None };
    let mut told = match &stored.row {
        Some(row) => view::row(row, sees),
        None => json!({ "server_id": stored.id.as_str(), "is_config": false }),
    };
    told["status"] = json!("unhealthy");
    told["health_check_error"] = json!(format!("the server is left out: {why}"));
    Some(told)
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
    let sees = Sees::of(&admitted.caller);
    let Some(upstream) = found else {
        // Of one that is not in use, only admins are told.
        let stored = admitted.snapshot.stored.find(&ServerId::from(id.as_str())).filter(|_| sees >= Sees::Everything);
        let of_row = |stored: &StoredServer| stored.row.as_ref().map(|row| view::row(row, sees));
        if let Some(told) = stored.and_then(|stored| left_out(stored, sees).or_else(|| of_row(stored))) {
            return Json(told).into_response();
        }
        let text = format!("MCP Server with id {id} not found");
        return (StatusCode::NOT_FOUND, Json(json!({ "detail": { "error": text } }))).into_response();
    };
    let mut row = told(&admitted, &upstream.settings, sees);
    let status = upstream.status();
    row["status"] = word(status.state).into();
    if sees >= Sees::Everything {
        row["health_check_error"] =
            status.last_failure.filter(|_| status.state == Standing::Down).map(|it| it.message).into();
    }
    Json(row).into_response()
}

/// Servers that one request has asked at the same time.
const PROBES: usize = 16;

/// The query of the health route; `server_ids` may come several times.
#[derive(JsonSchema)]
pub struct HealthQuery {
    #[expect(dead_code, reason = "read by hand, since a query has no lists for serde")]
    server_ids: Option<Vec<String>>,
}

/// `GET /v1/mcp/server/health`: how servers do. Each is asked, as the caller: by MCP's handshake, or by a ping where there
/// is a connection already.
pub async fn health(State(gateway): State<Gateway>, admitted: Admitted, request: Request<Body>) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let wanted: Vec<String> = url::form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name == "server_ids")
        .map(|(_, id)| id.into_owned())
        .collect();
    let scope = Scope::all(&admitted.snapshot.upstreams, &admitted.caller.grant);
    let is_wanted = |id: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == id);
    let mut probes = Vec::new();
    for upstream in scope.servers() {
        if is_wanted(upstream.settings.id.as_str()) {
            probes.push(probe(&gateway, &admitted, upstream));
        }
    }
    let told: Vec<Value> = futures_util::stream::iter(probes).buffered(PROBES).collect().await;
    Json(told).into_response()
}

async fn probe(gateway: &Gateway, admitted: &Admitted, upstream: &Arc<Upstream>) -> Value {
    let timeout = admitted.snapshot.settings.timeouts.health;
    let outcome = match upstream.lane(&admitted.caller, &ClientSide::none()) {
        Ok(lane) => upstream.probe(&lane, timeout).await,
        Err(error) => Err(error.into()),
    };
    let server = &upstream.settings;
    let status = match &outcome {
        Ok(()) => "healthy",
        Err(error) if is_no_verdict(server, error) => "unknown",
        Err(_) => "unhealthy",
    };
    // What an admin's request shows is kept with the server; another caller's own credential says nothing about it.
    if server.origin != Origin::File
        && Sees::of(&admitted.caller) == Sees::ToChange
        && let Some(store) = gateway.identity.store()
    {
        let error = outcome.err().map(|error| error.to_string());
        let health = Health { status: status.to_owned(), error, at: chrono::Utc::now() };
        if let Err(error) = store.record_server_health(server.id.as_str(), &health).await {
            tracing::warn!(%error, "the health of a server could not be written down");
        }
    }
    json!({ "server_id": server.id.as_str(), "status": status })
}

/// Whether the caller could not ask in a way that would show how the server is.
fn is_no_verdict(server: &ServerSettings, error: &UpstreamError) -> bool {
    let has_own_credential = matches!(
        &server.auth,
        UpstreamAuth::Static { value: Some(_), .. } | UpstreamAuth::ClientCredentials(_) | UpstreamAuth::AwsSigv4(_)
    );
    match error {
        UpstreamError::NotActiveYet { .. } | UpstreamError::Credential(_) => true,
        UpstreamError::AuthRequired { .. } => !has_own_credential,
        UpstreamError::Unavailable { .. }
        | UpstreamError::TimedOut { .. }
        | UpstreamError::NotSignedIn { .. }
        | UpstreamError::Busy { .. }
        | UpstreamError::RateLimited { .. }
        | UpstreamError::Description { .. }
        | UpstreamError::Closed { .. }
        | UpstreamError::Unfulfilled { .. }
        | UpstreamError::Failed { .. } => false,
    }
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
pub async fn tools(State(gateway): State<Gateway>, admitted: Admitted) -> Response {
    let Admitted { caller, snapshot } = admitted;
    let scope = Scope::all(&snapshot.upstreams, &caller.grant);
    let (client, span) = (ClientSide::none(), OperationSpan::none());
    let visit = visit(&gateway, &caller, &client, &scope, &span);
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
